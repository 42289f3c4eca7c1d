//! What is said over `<data_dir>/admin.sock`: one JSON object per line, one answer per request.
//!
//! In: a [`Request`]. Out: a [`Response`] of the same connection, in the order of the requests. The
//! socket has mode 0600: who may open it may do what it offers. Nothing here carries a stanza.
//! Unknown fields of an answer are ignored, so that an older command line can talk to a newer gateway.

mod explained;
mod generations;
mod reload;
mod status;

use std::path::PathBuf;

pub use portcullis_policy::shadow::{Report as Shadowed, Sample};
use serde::{Deserialize, Serialize};

pub use self::explained::{Component, Explained, Refusal, Sent};
pub use self::generations::{Generations, Kept, KeptPlugin, RolledBack};
pub use self::reload::{
    Build, Changes, Difference, PartnerChange, PluginChange, Purpose, Reload, ReloadResult, Step,
};
pub use self::status::{Capturing, Certificate, Listener, Plugin, Queue, Resting, Status, Stream};

/// Longest line that either side accepts, in bytes. A status with a thousand streams needs about
/// 300 KiB.
pub const MAX_LINE: usize = 4 * 1024 * 1024;

/// A question to the running gateway.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// What is going on? Answered by [`Response::Status`].
    Status,
    /// Read the configuration and the plugins again. Answered by [`Response::Reload`] when it is
    /// done or refused.
    Reload,
    /// What would shadow plugins have decided? Answered by [`Response::Shadow`].
    Shadow,
    /// Write whole stanzas to a file. Answered by [`Response::Capture`] when it has begun.
    Capture {
        /// The file: absolute, and not there yet.
        output: PathBuf,
        /// For how long, in seconds: 1 to 86400.
        seconds: u64,
        /// How large the file may become: 64 KiB to 1 TiB.
        bytes: u64,
        /// Only the stanzas of this partner.
        partner: Option<String>,
    },
    /// End the capture that runs. Answered by [`Response::Capture`].
    StopCapture,
    /// Why was this refused? Answered by [`Response::Explained`].
    Explain {
        /// The reference that the sender was told.
        id: String,
    },
    /// Build what a reload would, tell what would change, and change nothing. Answered by
    /// [`Response::Reload`].
    DryRun,
    /// Let a generation of the past judge again, under a new number. Answered by
    /// [`Response::Reload`].
    Rollback {
        /// Which; none: the last one before the current that said something else.
        #[serde(default)]
        number: Option<u64>,
    },
    /// Which generations are kept? Answered by [`Response::Generations`].
    Generations,
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Reload`].
    Reload(Reload),
    /// To [`Request::Shadow`].
    Shadow {
        /// By name; those included that are shadows no more.
        plugins: Vec<Shadowed>,
    },
    /// To [`Request::Capture`] and [`Request::StopCapture`].
    Capture(Capturing),
    /// To [`Request::Explain`].
    Explained(Box<Explained>),
    /// To [`Request::Generations`].
    Generations(Generations),
    /// The line was not understood, or the gateway cannot answer now.
    Error {
        /// For people.
        message: String,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_request_is_one_readable_line() {
        assert_eq!(
            serde_json::to_string(&Request::Status).unwrap(),
            r#"{"command":"status"}"#
        );
        assert_eq!(
            serde_json::from_str::<Request>(r#"{"command":"reload"}"#).unwrap(),
            Request::Reload
        );
        assert_eq!(
            serde_json::from_str::<Request>(r#"{"command":"rollback"}"#).unwrap(),
            Request::Rollback { number: None }
        );
        assert!(serde_json::from_str::<Request>(r#"{"command":"halt"}"#).is_err());
    }

    #[test]
    fn an_older_gateways_answer_is_understood() {
        let line = r#"{"answer":"reload","result":"ok","generation":2,"time":"","messages":[]}"#;
        let Response::Reload(reload) = serde_json::from_str(line).unwrap() else {
            panic!("not a reload")
        };
        assert_eq!(reload.purpose, Purpose::Change);
        assert_eq!(reload.changes, Changes::default());
    }

    #[test]
    fn answers_carry_their_kind() {
        let answer = Response::Reload(Reload {
            result: ReloadResult::Unchanged,
            generation: 3,
            time: "2026-11-22T10:00:00Z".to_owned(),
            messages: Vec::new(),
            purpose: Purpose::Change,
            trigger: "admin".to_owned(),
            made_from: None,
            changes: Changes::default(),
            steps: Vec::new(),
        });
        let line = serde_json::to_string(&answer).unwrap();
        assert!(
            line.starts_with(r#"{"answer":"reload","result":"unchanged","generation":3"#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Response>(&line).unwrap(), answer);
    }
}
