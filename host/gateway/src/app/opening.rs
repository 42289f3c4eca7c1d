//! By which policy the gateway starts.
//!
//! In: the configuration, and the history in the data directory. Out: what the first generation is
//! made from. That is what the files say, unless a rollback was in force when the gateway ended and
//! nobody has touched the files since: an operator who rolled back and went to bed does not find the
//! refused policy in force after a crash or an upgrade at night; one who has mended the files and
//! restarts finds what they say. Both are told in the log.
//!
//! What can fail: a rolled-back generation that cannot be restored. Starting with the policy that the
//! operator took back would be worse than not starting.

use std::path::Path;

use super::content::{Bytes, Content, hex};
use super::history::{History, Mark};
use super::start::StartError;
use crate::config::Config;

/// See the module.
pub(super) struct Opened {
    pub(super) content: Content,
    pub(super) bytes: Bytes,
    pub(super) history: History,
    /// The rollback that goes on.
    pub(super) mark: Option<Mark>,
}

/// Decides. Blocks.
///
/// # Errors
/// [`StartError::History`]
pub(super) fn open(config: Config, data_dir: &Path) -> Result<Opened, StartError> {
    let history = History::open(data_dir);
    let (content, bytes) = Content::of(config);
    let from_files = |content, bytes, history| Opened {
        content,
        bytes,
        history,
        mark: None,
    };
    let way_out = format!(
        "to start from the files instead, remove {}",
        history.mark_file().display()
    );
    let mark = history.mark();
    let mark = mark.map_err(|error| StartError::History(format!("{error}; {way_out}")))?;
    let Some(mark) = mark else {
        return Ok(from_files(content, bytes, history));
    };
    if mark.files != Some(hex(&content.identity())) {
        tracing::warn!(
            to = mark.to,
            "the files have changed since the rollback: they are read, and the rollback has ended"
        );
        if let Err(error) = history.set_mark(None) {
            tracing::error!("the mark of the rollback could not be removed: {error}");
        }
        return Ok(from_files(content, bytes, history));
    }
    let unusable = |reason: String| {
        let to = mark.to;
        StartError::History(format!(
            "the rollback to generation {to} is in force: {reason}; {way_out}"
        ))
    };
    let (record, bytes) =
        (history.load(mark.number)).map_err(|error| unusable(error.to_string()))?;
    let places = history.places(&record);
    let content = Content::restored(&content.config, &record, places).map_err(unusable)?;
    tracing::warn!(
        to = mark.to,
        since = mark.since,
        "the rollback is still in force: the files say something else, and are not read until `portcullis reload`"
    );
    Ok(Opened {
        content,
        bytes,
        history,
        mark: Some(mark),
    })
}
