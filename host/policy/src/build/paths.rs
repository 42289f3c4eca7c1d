//! Names in place of the builder's paths.
//!
//! In: what cargo knows of the crate and its dependencies. Out: flags for the compiler, so that a
//! component holds no path of the machine that built it, and is the same wherever the crate lies: a
//! dependency's file is told as `serde_json-1.0.140/src/de.rs`, one of the workspace as it stands in it
//! (`src/lib.rs`), and a panic goes on to name its place.
//!
//! The author's own flags stay. cargo takes them from one place only: the environment, or else the
//! configuration of the target, or else that of every build; ours are added to the one that counts.
//! A configuration that cannot be read is cargo's to complain about.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::TARGET;
use super::cargo::{Metadata, Package};
use super::library::Library;

/// Separates flags in `CARGO_ENCODED_RUSTFLAGS`.
const UNIT: &str = "\u{1f}";

#[derive(Debug)]
pub(super) struct Flags {
    ours: Vec<String>,
    /// Those of every build, unless the target has its own.
    configured: Vec<String>,
}

impl Flags {
    pub(super) fn new(metadata: &Metadata, sysroot: &Path, crate_dir: &Path) -> Self {
        let ours = (renamed(metadata, sysroot).into_iter())
            .map(|(path, name)| format!("--remap-path-prefix={}={name}", path.display()))
            .collect();
        let configured = Configured::read(crate_dir);
        Self {
            ours,
            configured: match configured.of_target {
                true => Vec::new(),
                false => configured.of_builds,
            },
        }
    }

    /// Adds them to a command that builds.
    pub(super) fn add_to(&self, command: &mut Command, library: &Library) {
        let variable = |name| env::var(name).ok().filter(|value| !value.is_empty());
        let words = |text: String| text.split_whitespace().collect::<Vec<_>>().join(UNIT);
        let own = variable("CARGO_ENCODED_RUSTFLAGS").or_else(|| variable("RUSTFLAGS").map(words));
        // The script that builds the library sets the variable, too, and keeps what is there.
        if own.is_some() || matches!(library, Library::Debian { .. }) {
            let all: Vec<_> = own.into_iter().chain(self.ours.iter().cloned()).collect();
            command.env("CARGO_ENCODED_RUSTFLAGS", all.join(UNIT));
        } else {
            let all: Vec<_> = self.configured.iter().chain(&self.ours).collect();
            // A list of strings is the same in JSON and in TOML.
            let list = serde_json::to_string(&all).unwrap_or_default();
            command.args(["--config", &format!("target.{TARGET}.rustflags={list}")]);
        }
    }
}

/// Directories with the names that their files get. Where two hold, the later one counts.
fn renamed(metadata: &Metadata, sysroot: &Path) -> Vec<(PathBuf, String)> {
    let mut names = vec![
        (sysroot.to_owned(), "rust".to_owned()),
        (metadata.target_directory.clone(), "target".to_owned()),
    ];
    let workspace = &metadata.workspace_root;
    let dir = |package: &Package| package.manifest_path.parent().map(Path::to_owned);
    let mut shelves = BTreeSet::new();
    for package in &metadata.packages {
        let Some(dir) = dir(package) else { continue };
        let from_registry = (package.source.as_ref()).is_some_and(|it| it.starts_with("registry+"));
        if from_registry {
            // Below it each crate's directory has its name and version.
            shelves.extend(dir.parent().map(Path::to_owned));
        } else if !dir.starts_with(workspace) {
            names.push((dir, package.name.clone()));
        }
    }
    names.extend(shelves.into_iter().map(|dir| (dir, String::new())));
    names.push((workspace.clone(), String::new()));
    if metadata.target_directory.starts_with(workspace) {
        names.push((metadata.target_directory.clone(), "target".to_owned()));
    }
    names
}

/// What cargo's configuration files say about flags.
#[derive(Debug, Default, PartialEq, Eq)]
struct Configured {
    of_builds: Vec<String>,
    of_target: bool,
}

impl Configured {
    /// From the least to the most important file, as cargo joins them.
    fn read(crate_dir: &Path) -> Self {
        let home = env::var_os("CARGO_HOME").map(PathBuf::from);
        let home = home.or_else(|| Some(PathBuf::from(env::var_os("HOME")?).join(".cargo")));
        let above = crate_dir.ancestors().map(|dir| dir.join(".cargo"));
        let mut places: Vec<_> = above.chain(home).collect();
        places.reverse();
        places.dedup();
        let mut all = Self::default();
        for place in places {
            let names = ["config.toml", "config"].map(|name| place.join(name));
            let text = names.iter().find_map(|file| fs::read_to_string(file).ok());
            all.add(text.as_deref().unwrap_or_default());
        }
        if let Some(flags) = env::var_os("CARGO_BUILD_RUSTFLAGS").map(OsString::into_string) {
            let flags = flags.unwrap_or_default();
            all.of_builds
                .extend(flags.split_whitespace().map(str::to_owned));
        }
        all
    }

    fn add(&mut self, text: &str) {
        let Ok(config) = toml::from_str::<toml::Table>(text) else {
            return;
        };
        let at = |section: &str, key: &str| {
            let section = config.get(section)?.as_table()?;
            section.get(key).cloned()
        };
        match at("build", "rustflags") {
            Some(toml::Value::String(words)) => {
                let words = words.split_whitespace().map(str::to_owned);
                self.of_builds.extend(words);
            }
            Some(toml::Value::Array(words)) => {
                let words = words.iter().filter_map(toml::Value::as_str);
                self.of_builds.extend(words.map(str::to_owned));
            }
            _ => {}
        }
        let target = at("target", TARGET);
        self.of_target |= target.is_some_and(|it| it.get("rustflags").is_some());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn package(name: &str, source: Option<&str>, dir: &str) -> Package {
        Package::at(name, source, &Path::new(dir).join("Cargo.toml"))
    }

    #[test]
    fn every_place_that_a_build_reads_from_gets_a_name() {
        let registry = Some("registry+https://github.com/rust-lang/crates.io-index");
        let shelf = "/home/ann/.cargo/registry/src/index.crates.io-1949cf8c6b5b557f";
        let metadata = Metadata {
            packages: vec![
                package("talk", None, "/home/ann/talk"),
                package("words", None, "/home/ann/talk/words"),
                package("portcullis-plugin", None, "/opt/sdk/plugin-sdk"),
                package("serde", registry, &format!("{shelf}/serde-1.0.0")),
                package("strsim", registry, &format!("{shelf}/strsim-0.11.1")),
            ],
            target_directory: PathBuf::from("/home/ann/talk/target"),
            workspace_root: PathBuf::from("/home/ann/talk"),
        };
        let names = renamed(&metadata, Path::new("/home/ann/.rustup/x"));
        // As the compiler does it: the last prefix that fits.
        let told = |path: &str| {
            let fits = names.iter().rev().find_map(|(from, name)| {
                let rest = Path::new(path).strip_prefix(from).ok()?;
                Some(Path::new(name).join(rest).display().to_string())
            });
            fits.unwrap_or_else(|| path.to_owned())
        };
        for (path, name) in [
            ("/home/ann/talk/src/lib.rs", "src/lib.rs"),
            ("/home/ann/talk/words/src/lib.rs", "words/src/lib.rs"),
            ("/home/ann/talk/target/x/out/a.rs", "target/x/out/a.rs"),
            (
                "/opt/sdk/plugin-sdk/src/lib.rs",
                "portcullis-plugin/src/lib.rs",
            ),
            (
                &format!("{shelf}/serde-1.0.0/src/lib.rs"),
                "serde-1.0.0/src/lib.rs",
            ),
            ("/home/ann/.rustup/x/lib/a.rs", "rust/lib/a.rs"),
        ] {
            assert_eq!(told(path), name);
        }
    }

    #[test]
    fn the_authors_own_flags_are_known_in_each_form_that_cargo_takes() {
        let mut found = Configured::default();
        found.add("[build]\nrustflags = '-C opt-level=2'\n");
        found.add("[build]\nrustflags = ['-C', 'debuginfo=1']\n[target.x86_64-unknown-linux-gnu]\nrustflags = []\n");
        found.add("this is no [toml");
        let words = ["-C", "opt-level=2", "-C", "debuginfo=1"].map(str::to_owned);
        assert_eq!(
            (found.of_builds.as_slice(), found.of_target),
            (&words[..], false)
        );
        found.add("[target.wasm32-wasip2]\nrustflags = ['-g']\n");
        assert!(found.of_target);
    }
}
