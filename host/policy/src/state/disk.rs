//! The redb file behind the store.
//!
//! In: batches of changes. Out: all entries, once, when the store opens. A batch is one transaction
//! with one fsync: after a crash it is there as a whole or not at all.
//!
//! Fails when the system does. After a failed write redb wants its file opened anew: the next batch
//! does that, so a disk that was full for a while needs no restart.

use std::collections::BTreeMap;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use redb::{Database, ReadableDatabase as _, ReadableTable as _, TableDefinition};

use super::space::{Change, Entry, Space};
use super::{OpenError, Spaces};

/// Plugin and key to eight bytes of expiry (milliseconds since 1970, big-endian, 0 for never) and the
/// value.
const TABLE: TableDefinition<'static, (&'static str, &'static str), &'static [u8]> =
    TableDefinition::new("state-1");

/// Everything is served from memory, so redb needs no room of its own to speak of.
const CACHE: usize = 4 * 1024 * 1024;

/// The changes of one plugin.
pub(super) type Batch<'a> = (&'a str, &'a [Change]);

pub(super) struct Disk {
    path: PathBuf,
    database: Option<Database>,
}

impl Disk {
    pub(super) fn open(path: &Path) -> Result<Self, OpenError> {
        Ok(Self {
            path: path.to_owned(),
            database: Some(open(path)?),
        })
    }

    /// All entries of all plugins, expired ones included: the writer's first sweep takes those off
    /// the disk too.
    pub(super) fn load(&self) -> Result<Spaces, OpenError> {
        let mut spaces: BTreeMap<String, Space> = BTreeMap::new();
        if let Some(database) = &self.database {
            read(database, &mut spaces).map_err(|error| damaged(&self.path, &error))?;
        }
        Ok(spaces
            .into_iter()
            .map(|(plugin, space)| (Arc::from(plugin), Arc::new(Mutex::new(space))))
            .collect())
    }

    /// As after a failed write.
    #[cfg(test)]
    pub(super) fn break_down(&mut self) {
        self.database = None;
    }

    /// Writes all of it or nothing, and returns when it is on disk.
    pub(super) fn write(&mut self, batches: &[Batch<'_>]) -> Result<(), String> {
        let database = match self.database.take() {
            Some(database) => database,
            None => open(&self.path).map_err(|error| error.to_string())?,
        };
        commit(&database, batches).map_err(|error| error.to_string())?;
        self.database = Some(database);
        Ok(())
    }
}

fn open(path: &Path) -> Result<Database, OpenError> {
    // redb would create the file with the umask's mode; the state is nobody else's business.
    OpenOptions::new()
        .read(true)
        .write(true)
        .create(true)
        .truncate(false)
        .mode(0o600)
        .open(path)
        .map_err(|error| OpenError::Io {
            path: path.to_owned(),
            reason: error.to_string(),
        })?;
    let mut builder = Database::builder();
    builder.set_cache_size(CACHE);
    // The file is small, and a page that was altered outside must be an error here, not a panic
    // later.
    builder.set_check_integrity_on_open(true);
    builder
        .create(path)
        .map_err(|error| damaged(path, &error.into()))
}

fn read(database: &Database, spaces: &mut BTreeMap<String, Space>) -> Result<(), redb::Error> {
    let transaction = database.begin_read()?;
    let table = match transaction.open_table(TABLE) {
        Ok(table) => table,
        Err(redb::TableError::TableDoesNotExist(_)) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for row in table.iter()? {
        let (key, value) = row?;
        let (plugin, key) = key.value();
        let Some(entry) = decode(value.value()) else {
            return Err(redb::Error::Corrupted(format!(
                "the value of {key:?} of plugin {plugin:?} is too short"
            )));
        };
        match spaces.get_mut(plugin) {
            Some(space) => space.restore(key, entry),
            None => {
                let mut space = Space::default();
                space.restore(key, entry);
                spaces.insert(plugin.to_owned(), space);
            }
        }
    }
    Ok(())
}

fn commit(database: &Database, batches: &[Batch<'_>]) -> Result<(), redb::Error> {
    let transaction = database.begin_write()?;
    {
        let mut table = transaction.open_table(TABLE)?;
        for (plugin, changes) in batches {
            for (key, entry) in *changes {
                let key = (*plugin, &**key);
                match entry {
                    Some(entry) => table.insert(key, encode(entry).as_slice())?,
                    None => table.remove(key)?,
                };
            }
        }
    }
    transaction.commit()?;
    Ok(())
}

fn encode(entry: &Entry) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(8 + entry.value.len());
    // An expiry at the very epoch is one millisecond later the same.
    let expires = entry.expires.map_or(0, |at| at.max(1));
    bytes.extend_from_slice(&expires.to_be_bytes());
    bytes.extend_from_slice(&entry.value);
    bytes
}

fn decode(bytes: &[u8]) -> Option<Entry> {
    let (expires, value) = bytes.split_first_chunk()?;
    let expires = u64::from_be_bytes(*expires);
    Some(Entry {
        value: Arc::from(value),
        expires: (expires != 0).then_some(expires),
    })
}

fn damaged(path: &Path, error: &redb::Error) -> OpenError {
    let path = path.to_owned();
    match error {
        redb::Error::DatabaseAlreadyOpen => OpenError::InUse(path),
        redb::Error::Io(io) if io.kind() != std::io::ErrorKind::InvalidData => OpenError::Io {
            path,
            reason: io.to_string(),
        },
        _ => OpenError::Damaged {
            path,
            reason: error.to_string(),
        },
    }
}
