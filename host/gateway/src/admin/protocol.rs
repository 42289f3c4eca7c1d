//! What is said over `<data_dir>/admin.sock`: one JSON object per line, one answer per request.
//!
//! In: a [`Request`]. Out: a [`Response`] of the same connection, in the order of the requests. The
//! socket has mode 0600: who may open it may do what it offers. Nothing here carries a stanza.
//! Unknown fields of an answer are ignored, so that an older command line can talk to a newer gateway.

use serde::{Deserialize, Serialize};

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
}

/// The answer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "answer", rename_all = "kebab-case")]
pub enum Response {
    /// To [`Request::Status`].
    Status(Box<Status>),
    /// To [`Request::Reload`].
    Reload(Reload),
    /// The line was not understood, or the gateway cannot answer now.
    Error {
        /// For people.
        message: String,
    },
}

/// A look at the gateway from outside.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// Version of the gateway.
    pub version: String,
    /// Its process id.
    pub pid: u32,
    /// `running` or `draining`.
    pub phase: String,
    /// When it was started (RFC 3339, UTC).
    pub started: String,
    /// The bound addresses.
    pub listeners: Vec<Listener>,
    /// Number of the generation that judges now.
    pub generation: u64,
    /// How many generations are not retired yet, this one included.
    pub generations_alive: u64,
    /// The last reload, if there was one.
    pub last_reload: Option<Reload>,
    /// The plugins of the generation, in chain order.
    pub plugins: Vec<Plugin>,
    /// Established streams.
    pub streams: Vec<Stream>,
    /// Pairs of domains that have or had something to send lately.
    pub queues: Vec<Queue>,
    /// The gateway's own certificates.
    pub certificates: Vec<Certificate>,
}

/// One bound address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `federation`, `internal` or `admin`.
    pub name: String,
    /// `address:port`.
    pub address: String,
}

/// What became of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Reload {
    /// `ok` (a new generation judges), `unchanged`, `refused` (the change needs a restart) or
    /// `failed` (configuration or plugin is faulty; the old generation goes on).
    pub result: ReloadResult,
    /// The generation that judges after it.
    pub generation: u64,
    /// When (RFC 3339, UTC).
    pub time: String,
    /// What was wrong, one line per problem; or what changed.
    pub messages: Vec<String>,
}

/// See [`Reload::result`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[must_use]
pub enum ReloadResult {
    /// A new generation judges.
    Ok,
    /// Nothing that matters had changed.
    Unchanged,
    /// The change needs a restart; nothing was changed.
    Refused,
    /// The new content is faulty; nothing was changed.
    Failed,
}

impl ReloadResult {
    /// As in metrics and logs.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Ok => "ok",
            Self::Unchanged => "unchanged",
            Self::Refused => "refused",
            Self::Failed => "failed",
        }
    }
}

/// One plugin of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name in the configuration.
    pub name: String,
    /// SHA-256 of the component, lower case hex.
    pub digest: String,
    /// `gatekeeper`, `filter`, `observer`.
    pub capabilities: Vec<String>,
    /// Calls since the generation began.
    pub calls: u64,
    /// Calls that failed: traps, budget overruns, host errors.
    pub failures: u64,
    /// The last failure, if there was one.
    pub last_failure: Option<String>,
    /// Why it is not called for the moment, if so.
    pub quarantined: Option<String>,
}

/// One established stream.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stream {
    /// Its id in logs and audit records.
    pub id: String,
    /// `federation` or `internal`.
    pub side: String,
    /// Which way its stanzas go: `inbound` or `outbound`.
    pub direction: String,
    /// The domain at the other end.
    pub remote: String,
    /// The domain at our end.
    pub local: String,
    /// `address:port` of the other end.
    pub address: Option<String>,
    /// Protocol version and cipher.
    pub tls: Option<String>,
    /// How the peer was authenticated, and what its certificate was found good by.
    pub method: Option<String>,
    /// The fingerprint of its certificate, as `pins` of a partner record takes it.
    pub certificate: Option<String>,
    /// Since when (RFC 3339, UTC).
    pub since: String,
}

/// One pair of domains.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Queue {
    /// Senders' domain.
    pub from: String,
    /// Recipients' domain.
    pub to: String,
    /// `connecting`, `connected`, `waiting` (after a failure) or `idle`.
    pub state: String,
    /// Stanzas that wait.
    pub stanzas: u64,
    /// Their size.
    pub bytes: u64,
    /// Why the last attempt failed.
    pub last_failure: Option<String>,
}

/// One of the gateway's own certificates.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Certificate {
    /// The file that it was read from.
    pub file: String,
    /// When it ends (RFC 3339, UTC).
    pub not_after: String,
    /// Seconds until then; negative if it has expired.
    pub expires_in: i64,
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
        assert!(serde_json::from_str::<Request>(r#"{"command":"halt"}"#).is_err());
    }

    #[test]
    fn answers_carry_their_kind() {
        let answer = Response::Reload(Reload {
            result: ReloadResult::Unchanged,
            generation: 3,
            time: "2026-11-22T10:00:00Z".to_owned(),
            messages: Vec::new(),
        });
        let line = serde_json::to_string(&answer).unwrap();
        assert!(
            line.starts_with(r#"{"answer":"reload","result":"unchanged","generation":3"#),
            "{line}"
        );
        assert_eq!(serde_json::from_str::<Response>(&line).unwrap(), answer);
    }
}
