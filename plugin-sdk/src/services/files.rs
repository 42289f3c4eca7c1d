//! Files that the operator grants by name, and nothing else of the file system:
//!
//! ```toml
//! [[plugin]]
//! name = "blocklist"
//! component = "blocklist.wasm"
//! [plugin.files]
//! blocked = "blocked.txt"
//! ```
//!
//! At most 32, each of at most 8 MiB. They never change while an instance lives: a changed file is a
//! reload, and [`Plugin::new`](crate::Plugin::new), the place to read them in, is called anew. A file
//! that is missing refuses the reload, so a plugin never finds it gone.
//!
//! ```
//! # #[cfg(not(target_family = "wasm"))] {
//! use portcullis_plugin::prelude::*;
//!
//! struct Blocklist(Vec<String>);
//!
//! impl Plugin for Blocklist {
//!     type Config = NoConfig;
//!
//!     fn new(_: NoConfig) -> Result<Self, String> {
//!         let text = files::text("blocked")?;
//!         Ok(Self(text.lines().map(str::to_owned).collect()))
//!     }
//! }
//!
//! let mut host = portcullis_plugin::mock::Host::new().file("blocked", "spam.test\nscam.test\n");
//! assert_eq!(host.load::<Blocklist>(serde_json::json!({}))?.0, ["spam.test", "scam.test"]);
//! let mut host = portcullis_plugin::mock::Host::new();
//! let error = host.load::<Blocklist>(serde_json::json!({})).err().unwrap_or_default();
//! assert_eq!(error, "there is no file `blocked`: [plugin.files] names no file");
//! # }
//! # Ok::<(), String>(())
//! ```

use std::fmt;

use crate::host;

/// Why there is nothing to read. It turns into a text by itself where a plugin's `new` uses `?`.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// # within(|| {
/// let error = files::read("blocked").unwrap_err();
/// assert_eq!(error.to_string(), "there is no file `blocked`: [plugin.files] names no file");
/// # });
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FileError {
    name: String,
    cause: Cause,
}

#[derive(Debug, Clone, PartialEq, Eq)]
enum Cause {
    NotGranted(String),
    NotText(usize),
    Unavailable(String),
}

impl fmt::Display for FileError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let name = &self.name;
        match &self.cause {
            Cause::NotGranted(granted) => write!(f, "there is no file `{name}`: {granted}"),
            Cause::NotText(line) => write!(f, "file `{name}`, line {line}: no UTF-8"),
            Cause::Unavailable(why) => write!(f, "file `{name}`: {why}"),
        }
    }
}

impl std::error::Error for FileError {}

impl From<FileError> for String {
    fn from(error: FileError) -> Self {
        error.to_string()
    }
}

/// The whole content of a file, under its name in `[plugin.files]`.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new().file("key", [0x17, 0xff]);
/// assert_eq!(host.within(|| files::read("key")), Ok(vec![0x17, 0xff]));
/// ```
///
/// # Errors
/// [`FileError`] if the operator grants no file of this name; it says which are granted.
pub fn read(name: &str) -> Result<Vec<u8>, FileError> {
    host::files::read(name).map_err(|error| FileError {
        name: name.to_owned(),
        cause: match error {
            host::files::FileError::NotGranted(granted) => Cause::NotGranted(granted),
            host::files::FileError::Unavailable(why) => Cause::Unavailable(why),
        },
    })
}

/// The same as text.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let mut host = Host::new().file("blocked", "spam.test\n").file("key", [b'\n', 0xff]);
/// assert_eq!(host.within(|| files::text("blocked")).as_deref(), Ok("spam.test\n"));
/// let error = host.within(|| files::text("key")).unwrap_err();
/// assert_eq!(error.to_string(), "file `key`, line 2: no UTF-8");
/// ```
///
/// # Errors
/// [`FileError`], also with the line that is no UTF-8.
pub fn text(name: &str) -> Result<String, FileError> {
    String::from_utf8(read(name)?).map_err(|error| {
        let good = error
            .as_bytes()
            .iter()
            .take(error.utf8_error().valid_up_to());
        FileError {
            name: name.to_owned(),
            cause: Cause::NotText(1 + good.filter(|byte| **byte == b'\n').count()),
        }
    })
}

/// The names of all files that are granted, in byte order.
///
/// ```
/// # #[cfg(not(target_family = "wasm"))] {
/// use portcullis_plugin::prelude::*;
/// let mut host = portcullis_plugin::mock::Host::new().file("b", "").file("a", "");
/// assert_eq!(host.within(files::names), ["a", "b"]);
/// # }
/// ```
#[must_use]
pub fn names() -> Vec<String> {
    host::files::names()
}
