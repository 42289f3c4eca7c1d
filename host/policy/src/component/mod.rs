//! From a file to a component that is verified, compiled and linked.
//!
//! In: the bytes of a component file. Out: [`Prepared`], from which instances are made. What can
//! fail is the plugin's or the operator's fault and says what to do. A component that passes has the
//! right types; nothing is known yet about what it does.

mod cache;
mod description;
mod imports;
mod inspect;
mod provenance;
mod workshop;

use std::fmt;
use std::io::Read;
use std::path::{Path, PathBuf};

use sha2::{Digest as _, Sha256};
use tokio::sync::OnceCell;
use wasmtime::component::types::ComponentItem;
use wasmtime::component::{Component, InstancePre, Linker};

pub(crate) use cache::ComponentCache;
pub use description::Description;
pub use inspect::{Inspection, NoComponent};
pub use provenance::KeyError;
pub(crate) use provenance::{PublicKey, check_provenance};
pub(crate) use workshop::Workshop;

use crate::bindings::exports::portcullis::policy as exports;
use crate::instance::Guest;

/// No file larger than this is read, whatever the operator allows: a component that carries a whole
/// interpreter has 10 to 40 MB.
pub(crate) const MAX_BYTES: usize = 64 * 1024 * 1024;

/// Every interface of ours begins so.
pub(crate) const PACKAGE: &str = "portcullis:policy/";

/// SHA-256 of a component file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Digest([u8; 32]);

impl Digest {
    pub(crate) fn of(bytes: &[u8]) -> Self {
        Self(Sha256::digest(bytes).into())
    }
}

impl fmt::Display for Digest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// Why a file is no plugin.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ComponentError {
    #[error("cannot read the file: {0}")]
    Read(#[source] std::io::Error),
    #[error(
        "the file is larger than {0} bytes; build it with `portcullis plugin build`, which strips it, or raise `component_size` of its [[plugin]]"
    )]
    TooLarge(usize),
    #[error(transparent)]
    Key(#[from] KeyError),
    #[error(
        "its SHA-256 is {found}, but `sha256` pins it to {pinned}; if the new content is meant, write its digest there"
    )]
    Pinned { pinned: Digest, found: Digest },
    #[error(
        "it is not signed ({}: {reason}), and plugin_keys asks for a signature; sign it, or pin it with `sha256`", file.display()
    )]
    Unsigned { file: PathBuf, reason: String },
    #[error(
        "{} is not the signature of this content by any of plugin_keys; sign it again", file.display()
    )]
    Forged { file: PathBuf },
    #[error(
        "it is a core module, not a component; build it with `portcullis plugin build` or for the target wasm32-wasip2"
    )]
    CoreModule,
    #[error("it is no WebAssembly component; build it with `portcullis plugin build`")]
    NotWasm,
    #[error("it does not compile: {0}")]
    Compile(String),
    #[error(
        "it imports {0}, which plugins may not have and `grants` cannot give; a plugin reaches the world only through {PACKAGE}*"
    )]
    Import(String),
    #[error(
        "it imports `{name}`, which this gateway does not have ({known}); build it against this gateway's plugin-sdk"
    )]
    Unknown { name: String, known: String },
    #[error("it does not export `{PACKAGE}lifecycle`; use the SDK's export! macro")]
    NoLifecycle,
    #[error(
        "it exports none of {PACKAGE}gatekeeper, filter and observer, so it could decide nothing"
    )]
    NoCapability,
    #[error(
        "it exports `{name}` with other types than this gateway has: {reason}; build it against this gateway's plugin-sdk"
    )]
    Mistyped { name: String, reason: String },
    #[error("it cannot be linked: {0}")]
    Link(String),
}

/// Reads a component file of at most `limit` bytes, never more than [`MAX_BYTES`].
pub(crate) fn read(path: &Path, limit: usize) -> Result<Vec<u8>, ComponentError> {
    let largest = limit.min(MAX_BYTES);
    let file = std::fs::File::open(path).map_err(ComponentError::Read)?;
    let mut bytes = Vec::new();
    let enough = u64::try_from(largest).unwrap_or(u64::MAX);
    file.take(enough.saturating_add(1))
        .read_to_end(&mut bytes)
        .map_err(ComponentError::Read)?;
    if bytes.len() > largest {
        return Err(ComponentError::TooLarge(largest));
    }
    Ok(bytes)
}

/// Refuses what cannot be a component before any compiler sees it.
fn check_magic(bytes: &[u8]) -> Result<(), ComponentError> {
    // Bytes 4..6 are the version, 6..8 the layer: 0 is a core module, 1 a component.
    match bytes.first_chunk::<8>() {
        Some([0, b'a', b's', b'm', _, _, 1, 0]) => Ok(()),
        Some([0, b'a', b's', b'm', _, _, 0, 0]) => Err(ComponentError::CoreModule),
        _ => Err(ComponentError::NotWasm),
    }
}

/// A component with everything resolved that does not need an instance.
pub(crate) struct Prepared {
    pub(crate) digest: Digest,
    /// The interfaces of our package that it exports, as it names them.
    pub(crate) exports: Vec<String>,
    pub(crate) instance: InstancePre<Guest>,
    pub(crate) lifecycle: exports::lifecycle::GuestIndices,
    pub(crate) description: Option<exports::description::GuestIndices>,
    pub(crate) gatekeeper: Option<exports::gatekeeper::GuestIndices>,
    pub(crate) filter: Option<exports::filter::GuestIndices>,
    pub(crate) observer: Option<exports::observer::GuestIndices>,
    /// Filled by the first who asks.
    pub(crate) said: OnceCell<Description>,
}

impl Prepared {
    /// Checks imports and exports and resolves both.
    pub(crate) fn link(
        linker: &Linker<Guest>,
        component: Component,
        digest: Digest,
    ) -> Result<Self, ComponentError> {
        let engine = linker.engine();
        let world = component.component_type();
        imports::check(world.imports(engine).map(|(name, _)| name))?;
        let exported: Vec<String> = world
            .exports(engine)
            .filter(|(name, item)| {
                name.starts_with(PACKAGE) && matches!(item.ty, ComponentItem::ComponentInstance(_))
            })
            .map(|(name, _)| name.to_owned())
            .collect();
        let instance = linker
            .instantiate_pre(&component)
            .map_err(|error| ComponentError::Link(format!("{error:#}")))?;

        let description = capability(&exported, "description", || {
            exports::description::GuestIndices::new(&instance)
        })?;
        let lifecycle = capability(&exported, "lifecycle", || {
            exports::lifecycle::GuestIndices::new(&instance)
        })?
        .ok_or(ComponentError::NoLifecycle)?;
        let gatekeeper = capability(&exported, "gatekeeper", || {
            exports::gatekeeper::GuestIndices::new(&instance)
        })?;
        let filter = capability(&exported, "filter", || {
            exports::filter::GuestIndices::new(&instance)
        })?;
        let observer = capability(&exported, "observer", || {
            exports::observer::GuestIndices::new(&instance)
        })?;
        if gatekeeper.is_none() && filter.is_none() && observer.is_none() {
            return Err(ComponentError::NoCapability);
        }
        Ok(Self {
            digest,
            exports: exported,
            instance,
            lifecycle,
            description,
            gatekeeper,
            filter,
            observer,
            said: OnceCell::new(),
        })
    }
}

/// Absent is fine; there, but with other types or of another version, is not.
fn capability<T>(
    exported: &[String],
    interface: &str,
    resolve: impl FnOnce() -> wasmtime::Result<T>,
) -> Result<Option<T>, ComponentError> {
    let named = |name: &&String| {
        name.strip_prefix(PACKAGE)
            .and_then(|rest| rest.strip_prefix(interface))
            .is_some_and(|rest| rest.is_empty() || rest.starts_with('@'))
    };
    let Some(name) = exported.iter().find(named) else {
        return Ok(None);
    };
    resolve()
        .map(Some)
        .map_err(|error| ComponentError::Mistyped {
            name: name.clone(),
            reason: format!("{error:#}"),
        })
}
