//! The look at the gateway from outside: what it is, whom it speaks with, what waits.
//!
//! In: nothing but the question. Out: numbers, names and times as they are at that moment.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Reload, RolledBack};

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
    /// The capture that runs, if one does.
    #[serde(default)]
    pub capture: Option<Capturing>,
    /// Established streams.
    pub streams: Vec<Stream>,
    /// Pairs of domains that have or had something to send lately.
    pub queues: Vec<Queue>,
    /// The gateway's own certificates.
    pub certificates: Vec<Certificate>,
    /// The last reload that changed nothing because something was wrong; a later success does not
    /// hide it.
    #[serde(default)]
    pub last_refused: Option<Reload>,
    /// Set while a generation of the past judges.
    #[serde(default)]
    pub rolled_back: Option<RolledBack>,
}

/// One bound address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Listener {
    /// `federation`, `internal` or `admin`.
    pub name: String,
    /// `address:port`.
    pub address: String,
}

/// A sender that a plugin is not asked about at present.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Resting {
    /// A partner's domain, a user's address, or the network address of who has proven nothing.
    pub sender: String,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// When it is asked again (RFC 3339, UTC).
    pub until: Option<String>,
}

/// One plugin of the chain.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plugin {
    /// Its name in the configuration.
    pub name: String,
    /// SHA-256 of the component, lower case hex.
    pub digest: String,
    /// `active` or `shadow`.
    #[serde(default)]
    pub mode: String,
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
    /// Since when (RFC 3339, UTC).
    pub quarantined_since: Option<String>,
    /// When it is tried again (RFC 3339, UTC); none for an observer, which is tried every few seconds.
    pub quarantined_until: Option<String>,
    /// Senders that it is not asked about at present, because it failed again and again on what they
    /// sent.
    #[serde(default)]
    pub senders_resting: u64,
    /// The first of them, by name.
    #[serde(default)]
    pub resting: Vec<Resting>,
    /// The failures by cause; those that there were: `trap`, `panic`, `budget` (CPU time), `deadline`
    /// (the clock), `memory`, `host` (it misused what the host offers), `exit`, `init`, `reported`.
    pub failures_by_cause: BTreeMap<String, u64>,
    /// Half of the calls ended within so many nanoseconds, by the clock; none without a call.
    pub call_p50_ns: Option<u64>,
    /// 99 of 100 calls did.
    pub call_p99_ns: Option<u64>,
    /// Questions that `on_failure` answered because it was quarantined.
    pub skipped: u64,
    /// Times that it was quarantined.
    pub quarantines: u64,
    /// Times that a sender was left to `on_failure`.
    #[serde(default)]
    pub sender_rests: u64,
    /// Decisions that it should have observed and did not.
    pub decisions_lost: u64,
    /// Linear memory of its instances now.
    pub memory_bytes: u64,
    /// Keys and values of its state now.
    pub state_bytes: u64,
    /// As many as it may have.
    pub state_bytes_limit: u64,
    /// Keys of its state now.
    pub state_keys: u64,
    /// As many as it may have.
    pub state_keys_limit: u64,
    /// Changes of state that were not made because of a limit.
    pub state_refused: u64,
    /// Lines of its log beyond `log_lines`.
    pub log_lines_dropped: u64,
    /// Edits of stanzas.
    pub edits: u64,
    /// Edits that were not made: too many in a call, illegal or too large.
    pub edits_refused: u64,
    /// The version that the component says it has, if it says one.
    #[serde(default)]
    pub version: Option<String>,
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

/// A capture of whole stanzas.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Capturing {
    /// The file.
    pub output: PathBuf,
    /// Since when (RFC 3339, UTC).
    pub began: String,
    /// Until when, at the latest.
    pub until: String,
    /// How large the file may become.
    pub max_bytes: u64,
    /// The only partner whose stanzas it takes, if one was named.
    pub partner: Option<String>,
    /// Stanzas that it has taken.
    pub stanzas: u64,
    /// Stanzas that it had no room for: more at once than could be written.
    pub missed: u64,
}
