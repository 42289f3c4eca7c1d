//! Compiled components on disk, so that a start does not wait for the compiler.
//!
//! In: component bytes. Out: the compiled component, from the cache if it is there. A compiled
//! component is machine code that the gateway runs: whoever can write it owns the process. So the
//! directory (0700) and every file (0600) must be ours, and each file carries an HMAC-SHA256 under a
//! key that lies beside it (`key`, 0600). Anything odd is logged, ignored and compiled anew; the
//! cache never makes a start fail.

use std::fs::{DirBuilder, File, OpenOptions};
use std::hash::{Hash, Hasher};
use std::io::{self, Read, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use aws_lc_rs::constant_time::verify_slices_are_equal;
use sha2::{Digest as _, Sha256};
use wasmtime::component::Component;

use super::{ComponentError, Digest, check_magic};

/// A compiled component has about three times the size of its file, which has 64 MiB at most.
const MAX_COMPILED: u64 = 256 * 1024 * 1024;
const MAC: usize = 32;

pub(crate) struct ComponentCache(Option<Store>);

struct Store {
    dir: PathBuf,
    key: [u8; 32],
    /// Engine settings, wasmtime version and CPU features: part of each file's name.
    engine: u64,
}

impl ComponentCache {
    pub(crate) fn open(engine: &wasmtime::Engine, dir: Option<PathBuf>) -> Self {
        let Some(dir) = dir else { return Self(None) };
        match Store::open(engine, dir.clone()) {
            Ok(store) => Self(Some(store)),
            Err(error) => {
                tracing::warn!(dir = %dir.display(), %error, "compiled plugins are not cached");
                Self(None)
            }
        }
    }

    /// The compiled component; from the cache if it is there and proves to be ours.
    pub(crate) fn compile(
        &self,
        engine: &wasmtime::Engine,
        bytes: &[u8],
        digest: Digest,
    ) -> Result<Component, ComponentError> {
        check_magic(bytes)?;
        if let Some(store) = &self.0 {
            match store.load(engine, digest) {
                Ok(component) => return Ok(component),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {}
                Err(error) => tracing::warn!(%digest, %error, "a cached plugin is not used"),
            }
        }
        let component = Component::from_binary(engine, bytes)
            .map_err(|error| ComponentError::Compile(format!("{error:#}")))?;
        if let Some(store) = &self.0
            && let Err(error) = store.save(&component, digest)
        {
            tracing::warn!(%digest, %error, "a compiled plugin is not cached");
        }
        Ok(component)
    }
}

impl Store {
    fn open(engine: &wasmtime::Engine, dir: PathBuf) -> io::Result<Self> {
        match DirBuilder::new().recursive(true).mode(0o700).create(&dir) {
            Ok(()) => {}
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error),
        }
        owner_only(&dir.symlink_metadata()?, 0o700)?;
        let key = key(&dir)?;
        let mut hasher = StableHasher::default();
        engine.precompile_compatibility_hash().hash(&mut hasher);
        Ok(Self {
            dir,
            key,
            engine: hasher.finish(),
        })
    }

    fn path(&self, digest: Digest) -> PathBuf {
        self.dir
            .join(format!("{digest}-{:016x}.cwasm", self.engine))
    }

    fn load(&self, engine: &wasmtime::Engine, digest: Digest) -> io::Result<Component> {
        let sealed = read_owned(&self.path(digest), MAX_COMPILED)?;
        let (mac, compiled) = sealed
            .split_first_chunk::<MAC>()
            .ok_or(io::ErrorKind::UnexpectedEof)?;
        // In constant time: how much of a guess was right is nobody's to learn.
        if verify_slices_are_equal(mac, &self.seal(digest, compiled)).is_err() {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "its seal is broken",
            ));
        }
        deserialize(engine, compiled)
            .map_err(|error| io::Error::new(io::ErrorKind::InvalidData, format!("{error:#}")))
    }

    fn save(&self, component: &Component, digest: Digest) -> io::Result<()> {
        let compiled = component
            .serialize()
            .map_err(|error| io::Error::other(format!("{error:#}")))?;
        let mac = self.seal(digest, &compiled);
        write_owned(&self.dir, &self.path(digest), &[&mac, &compiled])
    }

    /// HMAC-SHA256 (RFC 2104) over what the file is for and what it holds.
    fn seal(&self, digest: Digest, compiled: &[u8]) -> [u8; MAC] {
        let pad = |byte: u8| {
            let mut block = [byte; 64];
            block
                .iter_mut()
                .zip(self.key)
                .for_each(|(pad, key)| *pad ^= key);
            block
        };
        let inner = Sha256::new()
            .chain_update(pad(0x36))
            .chain_update(digest.0)
            .chain_update(self.engine.to_be_bytes())
            .chain_update(compiled)
            .finalize();
        Sha256::new()
            .chain_update(pad(0x5c))
            .chain_update(inner)
            .finalize()
            .into()
    }
}

#[allow(
    unsafe_code,
    reason = "wasmtime cannot check machine code; the caller has proven that we wrote it"
)]
fn deserialize(engine: &wasmtime::Engine, compiled: &[u8]) -> wasmtime::Result<Component> {
    // SAFETY: `compiled` was made by `Component::serialize` in this function's only caller's `save`:
    // it came from a file that is ours alone, and its HMAC under our key held for exactly these bytes
    // in memory, so nobody changes them between the check and here. A version or setting that does
    // not fit is checked by wasmtime itself.
    unsafe { Component::deserialize(engine, compiled) }
}

/// FNV-1a: unlike std's hashers it is the same in every build, and the key needs no more.
struct StableHasher(u64);

impl Default for StableHasher {
    fn default() -> Self {
        Self(0xcbf2_9ce4_8422_2325)
    }
}

impl Hasher for StableHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

/// The key, made at the first start.
fn key(dir: &Path) -> io::Result<[u8; 32]> {
    let path = dir.join("key");
    match read_owned(&path, 32) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        read => {
            return read?.try_into().map_err(|_| {
                io::Error::new(
                    io::ErrorKind::InvalidData,
                    format!("{} has the wrong size; remove it", path.display()),
                )
            });
        }
    }
    let mut key = [0; 32];
    File::open("/dev/urandom")?.read_exact(&mut key)?;
    write_owned(dir, &path, &[&key])?;
    Ok(key)
}

fn owner_only(metadata: &std::fs::Metadata, mode: u32) -> io::Result<()> {
    let ours = metadata.uid() == rustix::process::geteuid().as_raw();
    if ours && metadata.mode() & 0o777 == mode && !metadata.file_type().is_symlink() {
        return Ok(());
    }
    Err(io::Error::new(
        io::ErrorKind::PermissionDenied,
        format!("it must belong to this user, with mode {mode:04o}"),
    ))
}

fn read_owned(path: &Path, limit: u64) -> io::Result<Vec<u8>> {
    let file = OpenOptions::new()
        .read(true)
        .custom_flags(NO_FOLLOW)
        .open(path)?;
    let metadata = file.metadata()?;
    owner_only(&metadata, 0o600)?;
    if !metadata.is_file() || metadata.len() > limit {
        return Err(io::Error::new(
            io::ErrorKind::InvalidData,
            "it is no regular file of a sane size",
        ));
    }
    let mut bytes = Vec::new();
    file.take(limit).read_to_end(&mut bytes)?;
    Ok(bytes)
}

/// Writes beside the place and renames, so that nobody reads half a file.
fn write_owned(dir: &Path, path: &Path, parts: &[&[u8]]) -> io::Result<()> {
    let temporary = dir.join(format!(
        "new-{}-{:?}",
        std::process::id(),
        std::thread::current().id()
    ));
    // A leftover of a crashed process of the same number.
    let _ = std::fs::remove_file(&temporary);
    let mut file = OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&temporary)?;
    let written = parts
        .iter()
        .try_for_each(|part| file.write_all(part))
        .and_then(|()| file.sync_all());
    written
        .and_then(|()| std::fs::rename(&temporary, path))
        .inspect_err(|_| {
            let _ = std::fs::remove_file(&temporary);
        })
}

/// `O_NOFOLLOW`, as std takes it.
const NO_FOLLOW: i32 = rustix::fs::OFlags::NOFOLLOW.bits().cast_signed();
