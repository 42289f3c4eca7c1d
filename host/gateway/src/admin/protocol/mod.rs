//! What is said over `<data_dir>/admin.sock`: one JSON object per line, one answer per request.
//!
//! In: a [`Request`]. Out: a [`Response`] of the same connection, in the order of the requests. The
//! socket has mode 0600: who may open it may do what it offers. Nothing here carries a stanza.
//! Unknown fields of an answer are ignored, so that an older command line can talk to a newer gateway.

use std::collections::BTreeMap;
use std::path::PathBuf;

pub use portcullis_policy::shadow::{Report as Shadowed, Sample};
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

/// A rollback that is in force: only a reload by an operator ends it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RolledBack {
    /// The generation whose policy judges again.
    pub to: u64,
    /// Since when (RFC 3339, UTC).
    pub since: String,
    /// Whether the files on disk say something else than what judges.
    pub files_differ: bool,
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
    /// `ok` (a new generation judges; after a dry run: would), `unchanged`, `refused` (the change
    /// needs a restart) or `failed` (configuration or plugin is faulty; the old generation goes on).
    pub result: ReloadResult,
    /// The generation that judges after it.
    pub generation: u64,
    /// When (RFC 3339, UTC).
    pub time: String,
    /// What was wrong, one line per problem; or what changed.
    pub messages: Vec<String>,
    /// `change` (it was meant), or `dry-run`: nothing was changed, whatever the result.
    #[serde(default)]
    pub purpose: Purpose,
    /// Who asked: `signal`, `admin`, `watch` or `call`.
    #[serde(default)]
    pub trigger: String,
    /// For a rollback, the generation whose policy judges again.
    #[serde(default)]
    pub made_from: Option<u64>,
    /// What changed, or would have: also of a change that was refused, if it could be read.
    #[serde(default)]
    pub changes: Changes,
    /// How long each step took, in their order; the last one is where a refused change ended.
    #[serde(default)]
    pub steps: Vec<Step>,
}

/// See [`Reload::purpose`].
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Purpose {
    /// The change was to be made.
    #[default]
    Change,
    /// It was to be tried.
    DryRun,
}

/// What one generation has and the one before had not.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Changes {
    /// Plugins, in the order of the new chain, then those that are gone.
    pub plugins: Vec<PluginChange>,
    /// The new chain, if plugins that stay have another order.
    pub order: Option<Vec<String>>,
    /// Partner records, by their main domain.
    pub partners: Vec<PartnerChange>,
    /// Files with trust anchors, revocation lists and signing keys, and the keys that name them.
    pub trust: Vec<String>,
    /// Other keys that a reload applies.
    pub settings: Vec<String>,
}

/// How something differs.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// It was not there before.
    Added,
    /// It is there no more.
    Removed,
    /// It is there, but not the same.
    Changed,
}

/// One plugin that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PluginChange {
    /// Its name.
    pub name: String,
    /// How it differs.
    pub difference: Difference,
    /// Its component before; none if it was not there.
    pub before: Option<Build>,
    /// Its component now; none if it is gone, or if the file cannot be read.
    pub after: Option<Build>,
    /// Whether it was replaced: the component has another content.
    pub replaced: bool,
    /// The keys of `[[plugin]]` that differ, `config` among them.
    pub settings: Vec<String>,
}

/// What was in a component file.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Build {
    /// SHA-256, lower case hex.
    pub digest: String,
    /// The version that the component states, if it states one and was built.
    pub version: Option<String>,
}

/// One partner record that differs.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PartnerChange {
    /// Its main domain.
    pub domain: String,
    /// How it differs.
    pub difference: Difference,
    /// The keys that differ, if it was there before and is now.
    pub settings: Vec<String>,
}

/// One step of a reload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// `read`, `verify`, `init`, `probe`, `trust`, `keep` or `swap`.
    pub name: String,
    /// How long it took, in microseconds.
    pub microseconds: u64,
}

/// The generations on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generations {
    /// The newest first; the one that judges is among them unless the disk refused it.
    pub kept: Vec<Kept>,
    /// What is wrong with the history, if anything is.
    pub problems: Vec<String>,
}

/// One generation on disk.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Its number.
    pub number: u64,
    /// The lowest number of the same policy: starts of the gateway with files that had not changed
    /// have numbers of their own.
    pub first: u64,
    /// When it began to judge (RFC 3339, UTC).
    pub time: String,
    /// Why it came to be: `start`, or who asked for the reload.
    pub trigger: String,
    /// For a rollback, the generation that it was made from.
    pub made_from: Option<u64>,
    /// Its plugins in chain order, each with its component's digest.
    pub plugins: Vec<KeptPlugin>,
    /// How many partner records it has.
    pub partners: u64,
    /// Whether it judges now.
    pub current: bool,
}

/// One plugin of a kept generation.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct KeptPlugin {
    /// Its name.
    pub name: String,
    /// What its component was.
    pub component: Build,
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

/// What is known of a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The refusal; none if no refusal of this reference is remembered.
    pub refusal: Option<Refusal>,
    /// Since when refusals are remembered (RFC 3339, UTC): older ones are forgotten, or fell before
    /// the gateway first ran.
    pub since: String,
    /// How many refusals since then were not remembered: too many at once, or a disk that failed.
    pub lost: u64,
}

/// Something that was refused, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What it is asked about by.
    pub id: String,
    /// When it fell (RFC 3339, UTC).
    pub time: String,
    /// `stanza`, `stream` or `bounce` (a stanza that had passed and could not be delivered).
    pub event: String,
    /// `reject`, `drop`, `bounce` or `refuse`.
    pub verdict: String,
    /// The plugin, or a rule of the gateway (`gateway:default-deny`).
    pub by: String,
    /// The plugin's component; none for a rule of the gateway.
    pub component: Option<Component>,
    /// Why: the words of the plugin or the rule.
    pub reason: Option<String>,
    /// The generation that decided.
    pub generation: u64,
    /// How long the plugins took, in microseconds.
    pub elapsed_us: u64,
    /// The stream that it came on, or that was refused.
    pub stream: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The partner's domain.
    pub partner: String,
    /// The organisation's domain.
    pub local: String,
    /// `address:port` of the stream's other end.
    pub address: Option<String>,
    /// `message`, `presence` or `iq`; none for a stream.
    pub kind: Option<String>,
    /// The stanza's type.
    #[serde(rename = "type")]
    pub subtype: Option<String>,
    /// Its sender; none if the stanza was malformed.
    pub from: Option<String>,
    /// Its recipient.
    pub to: Option<String>,
    /// Its own id.
    pub stanza_id: Option<String>,
    /// The error that went to the sender, or to the other end of the stream.
    pub told: Option<Sent>,
    /// Why nobody was told.
    pub untold: Option<String>,
}

/// A plugin's component, as it was when it judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// SHA-256, lower case hex.
    pub digest: String,
    /// The version that the component says it has, if it says one.
    #[serde(default)]
    pub version: Option<String>,
    /// The exported interfaces with their versions, such as `portcullis:policy/filter@0.1.0`.
    pub exports: Vec<String>,
}

/// A stanza or stream error as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// RFC 6120 §8.3.3 or §4.9.3.
    pub condition: String,
    /// For people, if there was a text.
    pub text: Option<String>,
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
