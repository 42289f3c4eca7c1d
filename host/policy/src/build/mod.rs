//! A plugin's Rust source to a component.
//!
//! In: the directory of a crate. Out: `target/plugins/<crate_name>.wasm` of the workspace that it
//! stands in (wherever cargo has its target directory), replaced as a whole, so that a gateway which
//! watches it never sees half a file.
//!
//! cargo does the work, with the toolchain that the directory itself asks for. If the standard
//! library of [`TARGET`] is missing, rustup is asked for it; where that cannot reach its server,
//! `plugin-sdk/std-from-debian.sh` (which is part of this binary) builds it from Debian's packages.
//!
//! A component holds no path of the machine that built it: sources are told by their names, in a panic
//! too.
//!
//! Can fail: see [`BuildFailure`]; each says whose it is and what to do. Blocks for as long as a
//! compiler takes. Runs build scripts and macros of the crate and its dependencies, as cargo does:
//! build only what you would also run.

mod cargo;
mod library;
mod paths;

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use cargo::{Crate, Run};

use crate::engine::{Engine, EngineSettings};

/// What plugins are compiled for.
pub const TARGET: &str = "wasm32-wasip2";

/// Where the standard library is taken from.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Source {
    /// The toolchain's; else rustup's; else Debian's.
    #[default]
    Any,
    /// Debian's, whatever else is there. For tests of that way.
    Debian,
}

/// How to build.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Where the standard library is taken from.
    pub source: Source,
    /// What the component is for.
    pub purpose: Purpose,
}

/// What a component is built for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Purpose {
    /// A gateway: small and fast.
    #[default]
    Use,
    /// Its author, who waits: built fast.
    Trial,
}

/// A crate that is built again and again; what cargo and the toolchain know is asked once.
#[derive(Debug)]
pub struct Builder {
    run: Run,
    found: Crate,
    library: library::Library,
    purpose: Purpose,
}

impl Builder {
    /// Looks at the crate and the toolchain, and fetches the standard library if it is missing.
    ///
    /// # Errors
    /// See [`BuildFailure`].
    pub fn new(
        crate_dir: &Path,
        options: &Options,
        progress: &mut dyn FnMut(&str),
    ) -> Result<Self, BuildFailure> {
        let manifest = crate_dir.join("Cargo.toml");
        if !manifest.is_file() {
            return Err(BuildFailure::NoCrate(crate_dir.to_owned()));
        }
        let run = Run::new(crate_dir)?;
        let found = Crate::find(&run, &manifest)?;
        let library = library::find(&run, options.source, &found.target_dir, progress)?;
        Ok(Self {
            run,
            found,
            library,
            purpose: options.purpose,
        })
    }

    /// The file name that its component has, `NAME.wasm`.
    #[must_use]
    pub fn file_name(&self) -> PathBuf {
        let path = self.found.component();
        path.file_name().map_or_else(PathBuf::new, PathBuf::from)
    }

    /// Builds it; returns the component where cargo has left it.
    ///
    /// # Errors
    /// See [`BuildFailure`].
    pub fn build(&self, progress: &mut dyn FnMut(&str)) -> Result<PathBuf, BuildFailure> {
        cargo::build(
            &self.run,
            &self.found,
            &self.library,
            self.purpose,
            progress,
        )
    }
}

/// A component that was built, and that the engine can compile.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Built {
    /// The component.
    pub path: PathBuf,
    /// Its size in bytes.
    pub size: u64,
    /// The interfaces that it exports.
    pub exports: Vec<String>,
    /// Why this gateway would not take it as a plugin, if so.
    pub refused: Option<String>,
}

/// Why there is no component.
#[derive(Debug, thiserror::Error)]
pub enum BuildFailure {
    /// The machine's.
    #[error(
        "`{0}` is not to be found: install Rust (https://rustup.rs), or build the plugin on another \
         machine and copy the component"
    )]
    NoToolchain(&'static str),
    /// The caller's.
    #[error(
        "{}: no crate here: name the directory of the plugin's Cargo.toml, not a file and not the \
         workspace", .0.display()
    )]
    NoCrate(PathBuf),
    /// The author's.
    #[error(
        "{name}: no component comes from this crate: add to its Cargo.toml\n\n    [lib]\n    \
         crate-type = [\"cdylib\", \"rlib\"]\n"
    )]
    NoComponent {
        /// The package.
        name: String,
    },
    /// The author's: what cargo or the compiler said.
    #[error("cargo could not build the plugin:\n{0}")]
    Compile(String),
    /// The machine's: no way led to the standard library.
    #[error(
        "the standard library for {TARGET} is missing.\n`rustup target add {TARGET}`: {rustup}\n\
         From Debian's packages: {debian}\nEither way will do; a component built on another machine too."
    )]
    NoLibrary {
        /// How rustup failed.
        rustup: String,
        /// How the script failed.
        debian: String,
    },
    /// The author's, or a compiler's too new for this gateway.
    #[error("what was built is no component that this gateway can load: {0}")]
    Unusable(String),
    /// The machine's.
    #[error("{}: {error}", path.display())]
    Io {
        /// The file.
        path: PathBuf,
        /// What the system says.
        error: io::Error,
    },
}

/// Builds the plugin in `crate_dir`. `progress` gets a line whenever there is something to tell.
///
/// # Errors
/// See [`BuildFailure`].
pub fn component(
    crate_dir: &Path,
    options: &Options,
    progress: &mut dyn FnMut(&str),
) -> Result<Built, BuildFailure> {
    let builder = Builder::new(crate_dir, options, progress)?;
    progress(&format!("Building {} for {TARGET}", builder.found.package));
    let artefact = builder.build(progress)?;
    let path = builder.found.component();
    replace(&artefact, &path)?;
    let engine = Engine::new(EngineSettings::default())
        .map_err(|error| BuildFailure::Unusable(error.to_string()))?;
    let inspection = engine
        .inspect(&path)
        .map_err(|error| BuildFailure::Unusable(error.to_string()))?;
    let built = Built {
        size: inspection.bytes as u64,
        exports: inspection.exports,
        refused: inspection.refused,
        path,
    };
    progress(&format!(
        "{}: {} KiB, exports {}",
        built.path.display(),
        built.size.div_ceil(1024),
        built.exports.join(", ")
    ));
    Ok(built)
}

/// Copies beside the goal and renames: whoever watches the directory sees the old file or the new.
///
/// # Errors
/// [`BuildFailure::Io`]
pub fn replace(from: &Path, to: &Path) -> Result<(), BuildFailure> {
    let io = |path: &Path| {
        let path = path.to_owned();
        move |error| BuildFailure::Io { path, error }
    };
    let dir = to.parent().unwrap_or(to);
    fs::create_dir_all(dir).map_err(io(dir))?;
    let part = to.with_extension(format!("part-{}", std::process::id()));
    fs::copy(from, &part).map_err(io(&part))?;
    fs::rename(&part, to).map_err(io(to))
}

#[cfg(test)]
mod tests;
