//! The standard library for plugins: there, fetched, or built from Debian's packages.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::process::Command;

use super::cargo::{Run, told};
use super::{BuildFailure, Source, TARGET};

/// The way without rustup's server. Part of the binary, so that it also works for a crate that
/// stands alone, on a machine without this repository.
const SCRIPT: &str = include_str!("../../../../plugin-sdk/std-from-debian.sh");

/// What a build has to do for its standard library.
#[derive(Debug)]
pub(super) enum Library {
    /// Nothing: the toolchain has it.
    Toolchain,
    /// Run through the script, which keeps Debian's packages in a directory.
    Debian { script: PathBuf, packages: PathBuf },
}

impl Library {
    /// The command that acts as cargo.
    pub(super) fn cargo(&self, run: &Run) -> Command {
        match self {
            Self::Toolchain => run.command("cargo"),
            Self::Debian { script, packages } => {
                let mut command = run.command("sh");
                command.arg(script).arg(packages).arg("cargo");
                command
            }
        }
    }

    /// What cargo has to be told.
    pub(super) fn arguments(&self) -> &'static [&'static str] {
        match self {
            Self::Toolchain => &[],
            Self::Debian { .. } => &["-Zbuild-std=std,panic_abort"],
        }
    }
}

/// Finds the first way that works.
pub(super) fn find(
    run: &Run,
    source: Source,
    target_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Library, BuildFailure> {
    if source == Source::Debian {
        return debian(run, target_dir, progress)?.map_err(|debian| BuildFailure::NoLibrary {
            rustup: "not tried".to_owned(),
            debian,
        });
    }
    if is_there(run)? {
        return Ok(Library::Toolchain);
    }
    progress(&format!(
        "The standard library for {TARGET} is missing: running `rustup target add {TARGET}`"
    ));
    let rustup = match rustup(run) {
        Ok(()) if is_there(run)? => return Ok(Library::Toolchain),
        Ok(()) => "it has not brought the library of the toolchain in use".to_owned(),
        Err(said) => said,
    };
    progress(&format!(
        "rustup could not ({}): building it from Debian's packages",
        rustup.lines().next().unwrap_or_default()
    ));
    debian(run, target_dir, progress)?.map_err(|debian| BuildFailure::NoLibrary { rustup, debian })
}

/// Whether the toolchain that cargo would use has the library.
fn is_there(run: &Run) -> Result<bool, BuildFailure> {
    let output = run.output("rustc", ["--print", "target-libdir", "--target", TARGET])?;
    if !output.status.success() {
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        return Err(BuildFailure::Compile(said));
    }
    let dir = PathBuf::from(String::from_utf8_lossy(&output.stdout).trim());
    let is_std = |name: &str| name.starts_with("libstd-") && name.ends_with(".rlib");
    Ok(fs::read_dir(dir).is_ok_and(|mut files| {
        files.any(|file| file.is_ok_and(|file| file.file_name().to_str().is_some_and(is_std)))
    }))
}

fn rustup(run: &Run) -> Result<(), String> {
    match run
        .command("rustup")
        .args(["target", "add", TARGET])
        .output()
    {
        Ok(output) if output.status.success() => Ok(()),
        Ok(output) => {
            let said = String::from_utf8_lossy(&output.stderr);
            // What went wrong, without progress and without a backtrace.
            let error = said.lines().find(|line| line.starts_with("error"));
            Err(error.unwrap_or("it failed without saying why").to_owned())
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            Err("there is no rustup".to_owned())
        }
        Err(error) => Err(error.to_string()),
    }
}

/// Fetches Debian's packages if they are not there yet. The inner error says why that cannot be.
fn debian(
    run: &Run,
    target_dir: &Path,
    progress: &mut dyn FnMut(&str),
) -> Result<Result<Library, String>, BuildFailure> {
    let packages = target_dir.join("std-from-debian");
    let script = packages.join("std-from-debian.sh");
    let written = fs::create_dir_all(&packages).and_then(|()| fs::write(&script, SCRIPT));
    written.map_err(|error| BuildFailure::Io {
        path: script.clone(),
        error,
    })?;
    let mut command = run.command("sh");
    command.arg(&script).arg(&packages);
    let mut last = String::new();
    let (_, said, success) = told(command, &mut |line| {
        line.clone_into(&mut last);
        progress(line);
    })?;
    Ok(match success {
        true => Ok(Library::Debian { script, packages }),
        // The script ends with its reason.
        false => Err(if last.is_empty() { said } else { last }),
    })
}
