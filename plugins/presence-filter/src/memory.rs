//! What must be remembered: in the host's state, since instances are many and come and go.
//!
//! One entry says: from this address to that one. Its key is a table, a direction and a hash of the
//! two addresses, which may be too long for a key (3071 bytes each); the entry holds them in full and
//! is compared, so two pairs with one hash cannot be taken for each other.

use std::fmt;
use std::time::Duration;

use portcullis_plugin::prelude::*;
use portcullis_plugin::state::StateError;
use serde::Serialize;

/// After so long without a new presence a shown one is forgotten. It bounds what partners that went
/// away leave behind; a client sends presence far more often than every quarter of a year.
const SHOWN: Duration = Duration::from_secs(90 * 24 * 3600);

/// How many presences are remembered for each partner and direction. It keeps one partner, who may
/// invent addresses, from filling the plugin's whole share (100,000 keys).
const SHOWN_PER_PARTNER: i64 = 20_000;

/// What an entry is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Table {
    /// A presence passed: from a full address to a bare one.
    Shown,
    /// A user joined a room: from the user's full address to the room's bare one.
    Room,
    /// A user of the organisation invited a contact; both bare.
    Invited,
}

/// An entry.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Entry {
    /// The partner's domain, normalised.
    pub(crate) partner: String,
    /// Whether a partner record named it.
    pub(crate) record: bool,
    pub(crate) from: String,
    pub(crate) to: String,
}

/// Why something could not be done. Ours, not the sender's, so it is never told to anyone outside.
#[derive(Debug)]
pub(crate) enum Failure {
    State(StateError),
    Edit(EditError),
    /// An entry that this version cannot read.
    Entry(serde_json::Error),
    TooMany,
    NotSent(String),
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::State(error) => error.fmt(f),
            Self::Edit(error) => f.write_str(&error.message()),
            Self::Entry(error) => write!(f, "unreadable entry in the state: {error}"),
            Self::TooMany => write!(f, "more than {SHOWN_PER_PARTNER} presences are remembered"),
            Self::NotSent(error) => write!(f, "unavailable was not sent: {error}"),
        }
    }
}

impl From<StateError> for Failure {
    fn from(error: StateError) -> Self {
        Self::State(error)
    }
}

impl From<EditError> for Failure {
    fn from(error: EditError) -> Self {
        Self::Edit(error)
    }
}

/// Remembers a presence or a join, anew each time that it is sent.
pub(crate) fn remember(
    table: Table,
    direction: Direction,
    header: &Header,
    from: &str,
    to: &str,
) -> Result<(), Failure> {
    let (key, value) = (key(table, direction, from, to), value(header, from, to)?);
    if state::set_if_absent(&key, &value, Some(SHOWN))? {
        let count = state::increment(&counter(direction, header.partner()), 1, Some(SHOWN))?;
        if count > SHOWN_PER_PARTNER {
            forget(table, direction, from, to)?;
            return Err(Failure::TooMany);
        }
    } else {
        state::set(&key, &value, Some(SHOWN))?;
    }
    Ok(())
}

/// Remembers an invitation, for good.
pub(crate) fn remember_invitation(header: &Header) -> Result<(), Failure> {
    let (from, to) = (header.from_bare(), header.to_bare());
    let key = key(Table::Invited, Direction::Outbound, from, to);
    state::set_if_absent(&key, &value(header, from, to)?, None)?;
    Ok(())
}

/// Whether there is such an entry.
pub(crate) fn knows(
    table: Table,
    direction: Direction,
    from: &str,
    to: &str,
) -> Result<bool, Failure> {
    let entry = read(&key(table, direction, from, to))?;
    Ok(entry.is_some_and(|entry| pair(table, &entry.from, &entry.to) == pair(table, from, to)))
}

/// Forgets an entry, if there is one.
pub(crate) fn forget(
    table: Table,
    direction: Direction,
    from: &str,
    to: &str,
) -> Result<(), Failure> {
    let key = key(table, direction, from, to);
    let Some(entry) = read(&key)? else {
        return Ok(());
    };
    if state::delete(&key)? && table != Table::Invited {
        state::increment(&counter(direction, &entry.partner), -1, Some(SHOWN))?;
    }
    Ok(())
}

/// Shows every entry of a table.
pub(crate) fn each(
    table: Table,
    direction: Direction,
    mut visit: impl FnMut(&Entry) -> Result<(), Failure>,
) -> Result<(), Failure> {
    let prefix = prefix(table, direction);
    let mut after: Option<String> = None;
    loop {
        let keys = state::keys(&prefix, after.as_deref(), 1000)?;
        for key in &keys {
            if let Some(entry) = read(key)? {
                visit(&entry)?;
            }
        }
        match keys.last() {
            Some(last) => after = Some(last.clone()),
            None => return Ok(()),
        }
    }
}

fn read(key: &str) -> Result<Option<Entry>, Failure> {
    match state::get(key)? {
        Some(value) => serde_json::from_slice(&value)
            .map(Some)
            .map_err(Failure::Entry),
        None => Ok(None),
    }
}

fn value(header: &Header, from: &str, to: &str) -> Result<Vec<u8>, Failure> {
    let partner = header.partner();
    let record = partners::lookup(partner).is_some();
    let (partner, from, to) = (partner.to_owned(), from.to_owned(), to.to_owned());
    serde_json::to_vec(&Entry {
        partner,
        record,
        from,
        to,
    })
    .map_err(Failure::Entry)
}

fn counter(direction: Direction, partner: &str) -> String {
    format!("count/{direction}/{partner}")
}

fn prefix(table: Table, direction: Direction) -> String {
    let table = match table {
        Table::Shown => "shown",
        Table::Room => "room",
        Table::Invited => "invited",
    };
    format!("{table}/{direction}/")
}

fn key(table: Table, direction: Direction, from: &str, to: &str) -> String {
    let (from, to) = pair(table, from, to);
    // A line break stands in no address.
    let hash = fnv1a_128(format!("{from}\n{to}").as_bytes());
    format!("{}{hash:032x}", prefix(table, direction))
}

/// The two addresses as they are compared: the recipient without a resource, and the case of what
/// comes before a resource ignored (RFC 7622 §3.2, §3.3).
fn pair(table: Table, from: &str, to: &str) -> (String, String) {
    let (to, _) = to.split_once('/').unwrap_or((to, ""));
    let from = match (table, from.split_once('/')) {
        (Table::Shown | Table::Room, Some((bare, resource))) => {
            format!("{}/{resource}", bare.to_lowercase())
        }
        (_, Some((bare, _))) => bare.to_lowercase(),
        (_, None) => from.to_lowercase(),
    };
    (from, to.to_lowercase())
}

/// FNV-1a, 128 bits: short, and the same in every build, which what is stored needs.
fn fnv1a_128(bytes: &[u8]) -> u128 {
    const BASIS: u128 = 0x6c62_272e_07bb_0142_62b8_2175_6295_c58d;
    const PRIME: u128 = 0x0000_0000_0100_0000_0000_0000_0000_013b;
    bytes.iter().fold(BASIS, |hash, byte| {
        (hash ^ u128::from(*byte)).wrapping_mul(PRIME)
    })
}
