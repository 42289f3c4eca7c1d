//! `[plugin.files]`: files that the operator grants a plugin by name.
//!
//! In: names and paths. Out: their contents, read once, when a generation is built; whoever changes a
//! file changes nothing for a generation that is there. What can fail: a file that is missing, is no
//! plain file, or is too large. Not guaranteed: that several files are read at the same instant.

use std::collections::BTreeMap;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// The most files that a plugin is granted (WIT, interface `files`).
pub const MAX_FILES: usize = 32;
/// The largest file in bytes (there too).
pub const MAX_FILE_BYTES: usize = 8 * 1024 * 1024;

/// Why a file cannot be given to its plugin. The operator's to mend.
#[derive(Debug, thiserror::Error)]
#[error("`{name}` of [plugin.files], {}: {reason}", path.display())]
pub struct FileError {
    name: String,
    path: PathBuf,
    reason: String,
}

/// The contents of the granted files, the same for all instances.
#[derive(Clone, Debug, Default)]
pub(crate) struct Files(Arc<BTreeMap<String, Vec<u8>>>);

impl Files {
    /// Reads them all, on a blocking thread.
    pub(crate) async fn read(paths: BTreeMap<String, PathBuf>) -> Result<Self, FileError> {
        let all = move || {
            let mut files = BTreeMap::new();
            for (name, path) in paths {
                match read(&path) {
                    Ok(content) => files.insert(name, content),
                    Err(reason) => return Err(FileError { name, path, reason }),
                };
            }
            Ok(Self(Arc::new(files)))
        };
        tokio::task::spawn_blocking(all)
            .await
            .unwrap_or_else(|error| {
                Err(FileError {
                    name: String::new(),
                    path: PathBuf::new(),
                    reason: error.to_string(),
                })
            })
    }

    /// The content of one.
    pub(crate) fn get(&self, name: &str) -> Option<&[u8]> {
        self.0.get(name).map(Vec::as_slice)
    }

    /// Their names, in order.
    pub(crate) fn names(&self) -> impl Iterator<Item = &str> {
        self.0.keys().map(String::as_str)
    }
}

/// Reads a plain file of at most [`MAX_FILE_BYTES`].
///
/// # Errors
/// Why not, in words that end a sentence.
pub fn read(path: &Path) -> Result<Vec<u8>, String> {
    // Opening a named pipe would wait for a writer.
    let metadata = std::fs::metadata(path).map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("is no plain file".to_owned());
    }
    let file = std::fs::File::open(path).map_err(|error| error.to_string())?;
    let mut content = Vec::new();
    let most = u64::try_from(MAX_FILE_BYTES).unwrap_or(u64::MAX);
    file.take(most.saturating_add(1))
        .read_to_end(&mut content)
        .map_err(|error| error.to_string())?;
    if content.len() > MAX_FILE_BYTES {
        return Err(format!("is larger than {MAX_FILE_BYTES} bytes"));
    }
    Ok(content)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_plain_file_within_the_bound_is_read() {
        let dir = tempfile::tempdir().unwrap();
        let path = dir.path().join("list");
        assert!(read(&path).is_err());
        assert_eq!(read(dir.path()).unwrap_err(), "is no plain file");
        std::fs::write(&path, vec![b'x'; MAX_FILE_BYTES]).unwrap();
        assert_eq!(read(&path).unwrap().len(), MAX_FILE_BYTES);
        std::fs::write(&path, vec![b'x'; MAX_FILE_BYTES + 1]).unwrap();
        assert!(read(&path).unwrap_err().contains("larger than"));
    }
}
