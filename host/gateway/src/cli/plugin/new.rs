//! `plugin new`: a crate that builds, and passes its own tests.
//!
//! In: a name and a kind. Out: a directory of that name, complete or not there at all: it is made beside
//! its place and renamed. Can fail: the name, a directory that is there already, no SDK. The crate names
//! the SDK by its path, so it belongs to this machine until that is changed.

use std::{
    env, fs, io,
    path::{Path, PathBuf},
};

use serde_json::json;

use crate::cli::{
    args::{Format, NewPlugin, PluginKind},
    exit::Exit,
    terminal::{Level, Terminal},
};

/// Names are directories, crates and, with `_`, files; longer ones break lines.
const NAME_BYTES: usize = 64;

/// Names that are taken: by Rust's own crates and by ours.
const RESERVED: [&str; 8] = [
    "test",
    "core",
    "std",
    "alloc",
    "proc-macro",
    "portcullis",
    "portcullis-plugin",
    "self",
];

/// Where the SDK is looked for, from each directory above the program.
const PLACES: [&str; 3] = ["sdk", "share/portcullis/sdk", "."];

/// Why there is no new crate. The author's, or the installation's.
#[derive(Debug, thiserror::Error)]
enum NotMade {
    #[error(
        "\"{0}\" is no name for a plugin: 1 to {NAME_BYTES} of a-z, 0-9 and -, a letter first, and no \
         word of Rust's own"
    )]
    Name(String),
    #[error("{} is there already: choose another name, or another --dir", .0.display())]
    Exists(PathBuf),
    #[error(
        "the plugin SDK is not beside this program ({}): name its directory with --sdk, as in --sdk \
         /usr/local/share/portcullis/sdk or the source tree of Portcullis", .0.display()
    )]
    NoSdk(PathBuf),
    #[error("{}: here is no plugin SDK (plugin-sdk/Cargo.toml and wit/policy.wit)", .0.display())]
    WrongSdk(PathBuf),
    #[error("{}: {error}", path.display())]
    Io { path: PathBuf, error: io::Error },
}

/// What differs between the kinds.
struct Template {
    kind: &'static str,
    code: &'static str,
    fixture: &'static str,
    what: &'static str,
    config: &'static str,
    keys: &'static str,
}

/// The texts that all kinds share, with where they go.
const SHARED: [(&str, &str); 3] = [
    ("Cargo.toml", include_str!("template/Cargo.toml.in")),
    ("README.md", include_str!("template/README.md.in")),
    (".gitignore", include_str!("template/gitignore.in")),
];

/// Makes the crate.
pub(super) fn new(arguments: &NewPlugin) -> Exit {
    let terminal = Terminal::new();
    let format = arguments.output.format();
    match make(arguments) {
        Ok(dir) => {
            let shown = dir.display();
            match format {
                Format::Json => terminal.json(&json!({ "result": "made", "dir": dir })),
                Format::Human => {
                    let next = format!(
                        "cd {shown} and: cargo test; portcullis plugin test .; portcullis plugin dev ."
                    );
                    terminal.mark(Level::Ok, &format!("made {shown}"), Some(&next));
                }
            }
            Exit::Well
        }
        Err(error) => {
            match format {
                Format::Json => {
                    terminal.json(&json!({ "result": "failed", "message": error.to_string() }))
                }
                Format::Human => terminal.mark(Level::Problem, &error.to_string(), None),
            }
            Exit::Problem
        }
    }
}

fn make(arguments: &NewPlugin) -> Result<PathBuf, NotMade> {
    let name = arguments.name.as_str();
    check(name)?;
    let parent = arguments.dir.clone().unwrap_or_else(|| PathBuf::from("."));
    let dir = parent.join(name);
    if fs::symlink_metadata(&dir).is_ok() {
        return Err(NotMade::Exists(dir));
    }
    let sdk = sdk(arguments.sdk.as_deref())?;
    let template = Template::of(arguments.kind);
    let fill = |text: &str| fill(text, name, &sdk, &template);
    let part = parent.join(format!(".{name}.part-{}", std::process::id()));
    let written = write(&part, &sdk, &template, fill).and_then(|()| {
        fs::rename(&part, &dir).map_err(|error| NotMade::Io {
            path: dir.clone(),
            error,
        })
    });
    if written.is_err() {
        // What went wrong is told; the leftover is the lesser evil.
        let _ = fs::remove_dir_all(&part);
    }
    written.map(|()| dir)
}

fn write(
    dir: &Path,
    sdk: &Path,
    template: &Template,
    fill: impl Fn(&str) -> String,
) -> Result<(), NotMade> {
    let own = [
        ("src/lib.rs", template.code),
        ("fixtures/first.toml", template.fixture),
    ];
    for (name, text) in SHARED.into_iter().chain(own) {
        let path = dir.join(name);
        let parent = path.parent().unwrap_or(dir);
        let written = fs::create_dir_all(parent).and_then(|()| fs::write(&path, fill(text)));
        written.map_err(|error| NotMade::Io { path, error })?;
    }
    // The versions that the SDK was tried with; cargo drops what this crate does not need.
    let lock = sdk.join("Cargo.lock");
    if lock.is_file() {
        fs::copy(&lock, dir.join("Cargo.lock"))
            .map_err(|error| NotMade::Io { path: lock, error })?;
    }
    Ok(())
}

fn check(name: &str) -> Result<(), NotMade> {
    let legal = |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'-';
    let fits = name.len() <= NAME_BYTES
        && name.starts_with(|first: char| first.is_ascii_lowercase())
        && name.bytes().all(legal)
        && !name.ends_with('-')
        && !RESERVED.contains(&name)
        && !KEYWORDS.contains(&name);
    match fits {
        true => Ok(()),
        false => Err(NotMade::Name(name.to_owned())),
    }
}

/// Words that cargo refuses as the name of a crate.
const KEYWORDS: [&str; 50] = [
    "abstract", "as", "async", "await", "become", "box", "break", "const", "continue", "crate",
    "do", "dyn", "else", "enum", "extern", "false", "final", "fn", "for", "if", "impl", "in",
    "let", "loop", "macro", "match", "mod", "move", "mut", "override", "priv", "pub", "ref",
    "return", "static", "struct", "super", "trait", "true", "try", "type", "typeof", "unsafe",
    "unsized", "use", "virtual", "where", "while", "yield", "gen",
];

/// The directory with `plugin-sdk` and `wit`, absolute.
fn sdk(named: Option<&Path>) -> Result<PathBuf, NotMade> {
    if let Some(named) = named {
        let wrong = || NotMade::WrongSdk(named.to_owned());
        // The crate itself may be meant, too.
        let beside = named.join("..");
        let found = [named, &beside].into_iter().find(|dir| is_sdk(dir));
        return found.ok_or_else(wrong)?.canonicalize().map_err(|_| wrong());
    }
    let program = env::current_exe().unwrap_or_default();
    let program = program.canonicalize().unwrap_or(program);
    let here = env::current_dir().unwrap_or_default();
    let above = program.ancestors().skip(1);
    let places = above.flat_map(|dir| PLACES.iter().map(move |place| dir.join(place)));
    // A tree whose build directory is elsewhere.
    let mut places = places.chain(here.ancestors().map(Path::to_owned));
    let found = places.find(|dir| is_sdk(dir));
    let found = found.and_then(|dir| dir.canonicalize().ok());
    found.ok_or(NotMade::NoSdk(program))
}

fn is_sdk(dir: &Path) -> bool {
    dir.join("plugin-sdk/Cargo.toml").is_file() && dir.join("wit/policy.wit").is_file()
}

fn fill(text: &str, name: &str, sdk: &Path, template: &Template) -> String {
    let sdk = sdk.join("plugin-sdk").display().to_string();
    let values = [
        ("{{what}}", template.what),
        ("{{kind}}", template.kind),
        ("{{config}}", template.config),
        ("{{keys}}", template.keys),
        ("{{name}}", name),
        ("{{crate}}", &name.replace('-', "_")),
        ("{{type}}", &type_name(name)),
        // Within a TOML string.
        ("{{sdk}}", &sdk.replace('\\', "\\\\").replace('"', "\\\"")),
    ];
    let fill = |text: String, (place, value): &(&str, &str)| text.replace(place, value);
    values.iter().fold(text.to_owned(), fill)
}

/// `short-talk` to `ShortTalk`
fn type_name(name: &str) -> String {
    let word = |word: &str| {
        let mut letters = word.chars();
        let first = letters.next().map(|first| first.to_ascii_uppercase());
        first.into_iter().chain(letters).collect::<String>()
    };
    name.split('-').map(word).collect()
}

impl Template {
    fn of(kind: PluginKind) -> Self {
        match kind {
            PluginKind::Filter => Self {
                kind: "filter",
                code: include_str!("template/filter.rs.in"),
                fixture: include_str!("template/filter.toml.in"),
                what: "Sends back messages that are longer than the operator likes.",
                config: "limit = 2000",
                keys: "| `limit` | the longest message body, in characters |",
            },
            PluginKind::Gatekeeper => Self {
                kind: "gatekeeper",
                code: include_str!("template/gatekeeper.rs.in"),
                fixture: include_str!("template/gatekeeper.toml.in"),
                what: "Refuses streams of the domains that the operator names.",
                config: "refuse = [\"*.spam.test\"]",
                keys: "| `refuse` | domains that get no stream: `example.org`, `*.example.org` or `*` |",
            },
            PluginKind::Observer => Self {
                kind: "observer",
                code: include_str!("template/observer.rs.in"),
                fixture: include_str!("template/observer.toml.in"),
                what: "Records in the audit journal what was decided about some partners.",
                config: "partners = [\"alpha.test\"]",
                keys: "| `partners` | whose decisions are recorded: `example.org`, `*.example.org` or `*` |",
            },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_name_is_one_that_cargo_takes() {
        for name in ["a", "short-talk", "x2"] {
            assert!(check(name).is_ok(), "{name}");
        }
        for name in [
            "",
            "-a",
            "a-",
            "2x",
            "A",
            "a_b",
            "a b",
            "../a",
            "test",
            "fn",
            "portcullis",
            "ä",
        ] {
            assert!(check(name).is_err(), "{name}");
        }
        assert!(check(&"a".repeat(NAME_BYTES + 1)).is_err());
    }

    #[test]
    fn the_type_has_the_plugins_name() {
        assert_eq!(type_name("short-talk2"), "ShortTalk2");
    }

    #[test]
    fn no_template_keeps_a_placeholder() {
        for kind in [
            PluginKind::Filter,
            PluginKind::Gatekeeper,
            PluginKind::Observer,
        ] {
            let template = Template::of(kind);
            let texts = SHARED.map(|(_, text)| text);
            for text in texts.into_iter().chain([template.code, template.fixture]) {
                let filled = fill(text, "short-talk", Path::new("/sdk"), &template);
                assert!(!filled.contains("{{"), "{filled}");
            }
        }
    }
}
