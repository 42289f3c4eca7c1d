//! Asking and running cargo.
//!
//! In: a crate's directory. Out: what cargo knows about it, and the file that it built. Every command
//! runs in that directory, so that its `rust-toolchain.toml` and `.cargo/config.toml` hold.

use std::ffi::OsStr;
use std::io::{self, BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use serde::Deserialize;

use super::library::Library;
use super::paths::Flags;
use super::{BuildFailure, Purpose, TARGET};

/// A profile, given on the command line, so that a crate outside the workspace needs none of its own.
/// A profile of its own also keeps plugins from rebuilding what `--release` has built.
struct Profile {
    name: &'static str,
    settings: &'static [&'static str],
}

impl Profile {
    fn of(purpose: Purpose) -> Self {
        match purpose {
            Purpose::Use => Self {
                name: "plugin",
                settings: USE,
            },
            Purpose::Trial => Self {
                name: "plugin-trial",
                settings: TRIAL,
            },
        }
    }
}

/// Small first: the host compiles it once more.
const USE: &[&str] = &[
    r#"profile.plugin.inherits="release""#,
    r#"profile.plugin.opt-level="s""#,
    "profile.plugin.lto=true",
    "profile.plugin.codegen-units=1",
    "profile.plugin.debug=false",
    r#"profile.plugin.strip="symbols""#,
    r#"profile.plugin.panic="abort""#,
    "profile.plugin.overflow-checks=true",
];

/// From a saved file to an answer as fast as may be: nothing is optimised across crates, and only what
/// has changed is compiled. Some optimisation pays, since the host compiles what comes out.
const TRIAL: &[&str] = &[
    r#"profile.plugin-trial.inherits="release""#,
    "profile.plugin-trial.opt-level=1",
    r#"profile.plugin-trial.lto="off""#,
    "profile.plugin-trial.codegen-units=16",
    "profile.plugin-trial.incremental=true",
    "profile.plugin-trial.debug=false",
    r#"profile.plugin-trial.strip="symbols""#,
    r#"profile.plugin-trial.panic="abort""#,
    "profile.plugin-trial.overflow-checks=true",
];

/// Where and how commands are run.
#[derive(Debug)]
pub(super) struct Run {
    dir: PathBuf,
    /// Whether rustup may fetch a toolchain that `rust-toolchain.toml` names.
    fetch_toolchain: bool,
}

impl Run {
    pub(super) fn new(dir: &Path) -> Result<Self, BuildFailure> {
        let dir = dir.canonicalize().map_err(|error| BuildFailure::Io {
            path: dir.to_owned(),
            error,
        })?;
        let mut run = Self {
            dir,
            fetch_toolchain: false,
        };
        // A toolchain file that lists the target makes rustup fetch it before every command, update
        // the whole channel on the way, and fail where its server cannot be reached. The target is
        // looked after here; only a toolchain that is missing altogether is left to rustup.
        let there = run.output("rustc", ["--version"])?.status.success();
        run.fetch_toolchain = !there;
        Ok(run)
    }

    pub(super) fn command(&self, program: impl AsRef<OsStr>) -> Command {
        let mut command = Command::new(program);
        command.current_dir(&self.dir).stdin(Stdio::null());
        if !self.fetch_toolchain {
            command.env("RUSTUP_AUTO_INSTALL", "0");
        }
        command
    }

    /// Runs a program of the toolchain to its end.
    pub(super) fn output<const N: usize>(
        &self,
        program: &'static str,
        arguments: [&str; N],
    ) -> Result<Output, BuildFailure> {
        self.command(program)
            .args(arguments)
            .output()
            .map_err(|error| not_run(program, error))
    }
}

/// A library crate that may become a component.
#[derive(Debug)]
pub(super) struct Crate {
    pub(super) package: String,
    pub(super) target_dir: PathBuf,
    flags: Flags,
    /// The library's name, as in file names.
    library: String,
}

/// What `cargo metadata` tells.
#[derive(Deserialize)]
pub(super) struct Metadata {
    pub(super) packages: Vec<Package>,
    pub(super) target_directory: PathBuf,
    pub(super) workspace_root: PathBuf,
}

impl Metadata {
    fn ask(run: &Run, about: &[&str]) -> Result<Self, BuildFailure> {
        let mut command = run.command("cargo");
        command.args(["metadata", "--format-version", "1"]);
        let output = command.args(about).output();
        let output = output.map_err(|error| not_run("cargo", error))?;
        if !output.status.success() {
            let said = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(BuildFailure::Compile(said));
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| BuildFailure::Compile(format!("`cargo metadata`: {error}")))
    }
}

#[derive(Deserialize)]
pub(super) struct Package {
    pub(super) name: String,
    pub(super) manifest_path: PathBuf,
    /// None for one that lies on this machine.
    pub(super) source: Option<String>,
    targets: Vec<Target>,
}

#[cfg(test)]
impl Package {
    pub(super) fn at(name: &str, source: Option<&str>, manifest: &Path) -> Self {
        Self {
            name: name.to_owned(),
            manifest_path: manifest.to_owned(),
            source: source.map(str::to_owned),
            targets: Vec::new(),
        }
    }
}

#[derive(Deserialize)]
struct Target {
    name: String,
    crate_types: Vec<String>,
}

impl Crate {
    /// The crate of this manifest.
    pub(super) fn find(run: &Run, manifest: &Path) -> Result<Self, BuildFailure> {
        let metadata = Metadata::ask(run, &["--no-deps"])?;
        let manifest = manifest.canonicalize().map_err(|error| BuildFailure::Io {
            path: manifest.to_owned(),
            error,
        })?;
        let package = metadata
            .packages
            .into_iter()
            .find(|package| package.manifest_path.canonicalize().ok().as_ref() == Some(&manifest))
            .ok_or_else(|| {
                BuildFailure::NoCrate(manifest.parent().unwrap_or(&manifest).to_owned())
            })?;
        let library = package
            .targets
            .into_iter()
            .find(|target| target.crate_types.iter().any(|kind| kind == "cdylib"))
            .ok_or_else(|| BuildFailure::NoComponent {
                name: package.name.clone(),
            })?;
        let sysroot = run.output("rustc", ["--print", "sysroot"])?;
        let sysroot = PathBuf::from(String::from_utf8_lossy(&sysroot.stdout).trim());
        let all = Metadata::ask(run, &["--filter-platform", TARGET])?;
        let flags = Flags::new(&all, &sysroot, &run.dir);
        Ok(Self {
            package: package.name,
            target_dir: metadata.target_directory,
            flags,
            library: library.name.replace('-', "_"),
        })
    }

    /// Where its component belongs.
    pub(super) fn component(&self) -> PathBuf {
        self.target_dir
            .join("plugins")
            .join(&self.library)
            .with_extension("wasm")
    }
}

/// One of cargo's messages, as far as it matters here.
#[derive(Deserialize)]
struct Message {
    reason: String,
    target: Option<MessageTarget>,
    #[serde(default)]
    filenames: Vec<PathBuf>,
}

#[derive(Deserialize)]
struct MessageTarget {
    name: String,
    crate_types: Vec<String>,
}

/// Builds the library; returns the file that came out.
pub(super) fn build(
    run: &Run,
    found: &Crate,
    library: &Library,
    purpose: Purpose,
    progress: &mut dyn FnMut(&str),
) -> Result<PathBuf, BuildFailure> {
    let profile = Profile::of(purpose);
    let mut command = library.cargo(run);
    command.args(["build", "--lib", "--profile", profile.name]);
    command.args(["--target", TARGET]);
    command.args(["--message-format", "json-render-diagnostics"]);
    for setting in profile.settings {
        command.args(["--config", setting]);
    }
    command.args(library.arguments());
    found.flags.add_to(&mut command, library);
    let (messages, said, success) = told(command, progress)?;
    if !success {
        return Err(BuildFailure::Compile(said));
    }
    if said.contains("warning") {
        progress(said.trim_end());
    }
    messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Message>(line).ok())
        .filter(|message| message.reason == "compiler-artifact")
        .filter(|message| {
            message.target.as_ref().is_some_and(|target| {
                target.name.replace('-', "_") == found.library
                    && target.crate_types.iter().any(|kind| kind == "cdylib")
            })
        })
        .flat_map(|message| message.filenames)
        .find(|file| file.extension() == Some(OsStr::new("wasm")))
        .ok_or_else(|| BuildFailure::Compile("cargo built no .wasm file".to_owned()))
}

/// Runs a command; its status lines ("   Compiling x") go to `progress` as they come. Returns its
/// standard output, the rest of what it said, and whether it succeeded.
pub(super) fn told(
    mut command: Command,
    progress: &mut dyn FnMut(&str),
) -> Result<(String, String, bool), BuildFailure> {
    let program = "cargo";
    let mut child = command
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .map_err(|error| not_run(program, error))?;
    let stdout = child.stdout.take();
    let stderr = child.stderr.take();
    // Both pipes are emptied at once, so that neither can fill up and stop the child.
    let reader = std::thread::spawn(move || {
        let mut text = Vec::new();
        if let Some(mut stdout) = stdout {
            stdout.read_to_end(&mut text)?;
        }
        Ok::<_, io::Error>(text)
    });
    let mut said = String::new();
    if let Some(stderr) = stderr {
        let mut lines = BufReader::new(stderr);
        let mut line = Vec::new();
        while lines
            .read_until(b'\n', &mut line)
            .map_err(|error| not_run(program, error))?
            > 0
        {
            let text = String::from_utf8_lossy(&line);
            match is_status(&text) {
                true => progress(text.trim_end()),
                false => said.push_str(&text),
            }
            line.clear();
        }
    }
    let status = child.wait().map_err(|error| not_run(program, error))?;
    let text = match reader.join() {
        Ok(text) => text.map_err(|error| not_run(program, error))?,
        Err(_) => Vec::new(),
    };
    Ok((
        String::from_utf8_lossy(&text).into_owned(),
        said,
        status.success(),
    ))
}

/// cargo sets its verbs flush right in twelve columns; the script begins with its name.
fn is_status(line: &str) -> bool {
    let verb = line.get(..12).unwrap_or_default();
    let flush_right = verb.starts_with(' ')
        && verb
            .trim_start()
            .strip_prefix(|first: char| first.is_ascii_uppercase())
            .is_some_and(|rest| !rest.is_empty() && rest.bytes().all(|b| b.is_ascii_lowercase()));
    flush_right || line.starts_with("std-from-debian: ")
}

fn not_run(program: &'static str, error: io::Error) -> BuildFailure {
    match error.kind() {
        io::ErrorKind::NotFound => BuildFailure::NoToolchain(program),
        _ => BuildFailure::Io {
            path: PathBuf::from(program),
            error,
        },
    }
}
