//! One line of the journal.
//!
//! A record is the object as it was appended, with three keys put before its last brace:
//! `"seq":N,"prev":"P","hash":"H"`. N counts from 1 without gaps, over all files. P is the hash of
//! the record before (64 zeros for the first). H is SHA-256, in lower case hex, over P followed by
//! the line as it is without the key `hash`, thus over `P{…,"seq":N,"prev":"P"}`, no line break.
//! Anyone can check that with a shell; nothing of it depends on how a JSON library prints numbers.

use std::io::Write as _;

use serde::Serialize;
use serde::de::{Deserialize, Deserializer, IgnoredAny, MapAccess, Visitor};
use sha2::{Digest as _, Sha256};

use super::MAX_LINE;
use crate::spec::OnFailure;

/// Keys that only the journal itself writes.
const RESERVED: [&str; 4] = ["seq", "prev", "hash", "journal"];

/// `prev` of the very first record.
pub(super) const GENESIS: &str = "0000000000000000000000000000000000000000000000000000000000000000";

/// Hex digits of a hash.
const HASH: usize = GENESIS.len();

/// What the next record continues: the last one's number and hash.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Link {
    pub(super) seq: u64,
    pub(super) hash: String,
}

impl Link {
    /// Before the first record.
    pub(super) fn genesis() -> Self {
        Self {
            seq: 0,
            hash: GENESIS.to_owned(),
        }
    }
}

/// A record whose own hash is right.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) seq: u64,
    pub(super) prev: String,
    pub(super) hash: String,
}

impl Record {
    pub(super) fn link(self) -> Link {
        Link {
            seq: self.seq,
            hash: self.hash,
        }
    }
}

/// What is wrong with a line taken by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Flaw {
    /// It does not end as a record ends.
    NoRecord,
    /// It ends as one, but the hash is of something else.
    Edited { seq: u64 },
}

/// What the gateway writes, under the key `journal`: about the journal itself, and about plugins.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(tag = "action", rename_all = "lowercase")]
pub(crate) enum Note {
    /// The first record of all.
    Created,
    /// First record of a file that follows `after`, whose last hash is `head`.
    Rotated { after: String, head: String },
    /// The file was taken away while the gateway was writing it; the last record had hash `head`.
    Replaced { head: String },
    /// Closes bytes that a crash left behind the last whole record: their number and SHA-256,
    /// without the line break between them and this record.
    Recovered {
        torn_bytes: u64,
        torn_sha256: String,
    },
    /// A plugin failed again and again and is left alone: `on_failure` answers, for `pause_ms` at first.
    Quarantined {
        #[serde(flatten)]
        subject: Subject,
        on_failure: OnFailure,
        /// The last failure.
        reason: String,
        pause_ms: u64,
    },
    /// It is over. `since` is when it began (RFC 3339).
    Released {
        #[serde(flatten)]
        subject: Subject,
        because: Ended,
        since: String,
    },
}

/// Which plugin is left alone, and about what.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, serde::Deserialize)]
pub(crate) struct Subject {
    pub(crate) plugin: String,
    pub(crate) digest: String,
    pub(crate) version: Option<String>,
    pub(crate) generation: u64,
    /// Whose stanzas and streams it is not asked about; none: about nothing.
    pub(crate) sender: Option<String>,
}

/// Why a quarantine is over.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, serde::Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Ended {
    /// The plugin answers again.
    Answers,
    /// Its generation is gone.
    Gone,
}

impl Note {
    /// The object to seal. `time` is RFC 3339.
    pub(super) fn object(&self, time: &str) -> String {
        let event = match self {
            Self::Quarantined { .. } | Self::Released { .. } => "quarantine",
            _ => "journal",
        };
        serde_json::json!({ "time": time, "event": event, "journal": self }).to_string()
    }

    /// The note in a line that is known to be a record.
    pub(super) fn of(line: &[u8]) -> Option<Self> {
        #[derive(serde::Deserialize)]
        struct Noted {
            journal: Note,
        }
        serde_json::from_slice::<Noted>(line)
            .ok()
            .map(|noted| noted.journal)
    }
}

/// Looks whether a plugin's line may become a record; returns it without space around it.
pub(super) fn check(line: &str) -> Result<&str, String> {
    if line.len() > MAX_LINE {
        return Err(format!("{} bytes are more than {MAX_LINE}", line.len()));
    }
    let line = line.trim_matches([' ', '\t']);
    if line.contains(['\n', '\r']) {
        return Err("it has a line break".to_owned());
    }
    match serde_json::from_str::<PlainObject>(line) {
        Ok(PlainObject) => Ok(line),
        Err(error) => Err(error.to_string()),
    }
}

/// Appends the record with its line break to `buffer`. `object` has passed [`check`] or is the
/// journal's own. Returns what the record after it continues.
pub(super) fn seal(buffer: &mut Vec<u8>, object: &str, last: &Link) -> Link {
    let seq = last.seq + 1;
    let open = object.strip_suffix('}').unwrap_or(object).trim_end();
    let comma = if open == "{" { "" } else { "," };
    let start = buffer.len();
    buffer.extend_from_slice(open.as_bytes());
    // Into memory: this cannot fail.
    let _ = write!(buffer, r#"{comma}"seq":{seq},"prev":""#);
    buffer.extend_from_slice(last.hash.as_bytes());
    buffer.push(b'"');
    let body = buffer.get(start..).unwrap_or_default();
    let hash = digest(&last.hash, body);
    buffer.extend_from_slice(br#","hash":""#);
    buffer.extend_from_slice(hash.as_bytes());
    buffer.extend_from_slice(b"\"}\n");
    Link { seq, hash }
}

/// Takes a line (without its line break) apart and compares its hash.
pub(super) fn read(line: &[u8]) -> Result<Record, Flaw> {
    let (seq, prev, hash, body) = split(line).ok_or(Flaw::NoRecord)?;
    if digest(prev, body.as_bytes()) != hash {
        return Err(Flaw::Edited { seq });
    }
    Ok(Record {
        seq,
        prev: prev.to_owned(),
        hash: hash.to_owned(),
    })
}

/// Sequence number, previous hash, hash, and the line up to the key `hash`.
fn split(line: &[u8]) -> Option<(u64, &str, &str, &str)> {
    let line = std::str::from_utf8(line).ok()?;
    let (rest, hash) = hex_at_end(line.strip_suffix("\"}")?)?;
    let body = rest.strip_suffix(r#","hash":""#)?;
    let (rest, prev) = hex_at_end(body.strip_suffix('"')?)?;
    let rest = rest.strip_suffix(r#","prev":""#)?;
    let (rest, seq) = rest.rsplit_once(r#""seq":"#)?;
    if !rest.starts_with('{') || !rest.ends_with(['{', ',']) {
        return None;
    }
    Some((seq.parse().ok()?, prev, hash, body))
}

fn hex_at_end(text: &str) -> Option<(&str, &str)> {
    let (rest, hex) = text.split_at_checked(text.len().checked_sub(HASH)?)?;
    let is_hex = |b: u8| b.is_ascii_digit() || (b'a'..=b'f').contains(&b);
    hex.bytes().all(is_hex).then_some((rest, hex))
}

/// Of the line up to the key `hash`; its last brace belongs to it.
fn digest(prev: &str, body: &[u8]) -> String {
    hex(Sha256::new()
        .chain_update(prev)
        .chain_update(body)
        .chain_update(b"}"))
}

/// The digest in lower case hex.
pub(super) fn hex(hash: Sha256) -> String {
    // Sums cost less than branches, and this is done for every stanza.
    let digit = |nibble: u8| b'0' + nibble + u8::from(nibble > 9) * (b'a' - b'9' - 1);
    let mut hex = [0; HASH];
    for (pair, byte) in hex.chunks_exact_mut(2).zip(hash.finalize()) {
        pair.copy_from_slice(&[digit(byte >> 4), digit(byte & 0xf)]);
    }
    String::from_utf8(hex.to_vec()).unwrap_or_default()
}

/// A JSON object without the reserved keys; nothing of it is kept.
struct PlainObject;

impl<'de> Deserialize<'de> for PlainObject {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_map(ObjectVisitor)
    }
}

struct ObjectVisitor;

impl<'de> Visitor<'de> for ObjectVisitor {
    type Value = PlainObject;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("one JSON object")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<PlainObject, A::Error> {
        while map.next_key::<PlainKey>()?.is_some() {
            map.next_value::<IgnoredAny>()?;
        }
        Ok(PlainObject)
    }
}

/// A key that is not reserved, however it is escaped.
struct PlainKey;

impl<'de> Deserialize<'de> for PlainKey {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_str(KeyVisitor)
    }
}

struct KeyVisitor;

impl Visitor<'_> for KeyVisitor {
    type Value = PlainKey;

    fn expecting(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("a key")
    }

    fn visit_str<E: serde::de::Error>(self, key: &str) -> Result<PlainKey, E> {
        if RESERVED.contains(&key) {
            return Err(E::custom(format!(
                "only the journal writes the key {key:?}"
            )));
        }
        Ok(PlainKey)
    }
}
