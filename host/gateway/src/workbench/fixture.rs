//! A fixture: what a component meets, in order, and what it has to answer.
//!
//! In: a TOML file; docs/write-a-policy.md explains its keys. Out: [`Fixture`]. What can fail is the
//! author's: the file, with its line, a domain, an address, a stanza that no gateway would take.

use std::{
    collections::BTreeMap,
    fmt, fs,
    net::SocketAddr,
    path::{Path, PathBuf},
};

use portcullis_policy::PartnerType;
use portcullis_xmpp::{
    Event, Framer, Limits,
    jid::Domain,
    stanza::{Direction, Stanza},
};
use serde::Deserialize;
use serde_json::Value;

/// The stream that stanzas of fixtures stand in.
const STREAM: &[u8] = b"<stream:stream xmlns='jabber:server' \
    xmlns:stream='http://etherx.jabber.org/streams' version='1.0'>";

/// A file of cases that one plugin meets one after the other.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Fixture {
    /// The organisation's domains.
    #[serde(default = "own")]
    pub(crate) own: Vec<String>,
    /// The partner records.
    #[serde(default)]
    pub(crate) partners: BTreeMap<String, Type>,
    /// `[plugin.config]`
    #[serde(default = "empty")]
    pub(crate) config: Value,
    /// `[plugin.files]`; paths begin at the fixture's directory.
    #[serde(default)]
    pub(crate) files: BTreeMap<String, PathBuf>,
    /// What its state holds before it starts: texts, or counters.
    #[serde(default)]
    pub(crate) state: BTreeMap<String, Before>,
    /// What it emits when it starts.
    #[serde(default)]
    pub(crate) emits: Vec<String>,
    /// What it meets.
    #[serde(default, rename = "case")]
    pub(crate) cases: Vec<Case>,
}

/// One thing that it meets: a stanza, a domain that knocks, a peer to admit, or decisions to observe.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Case {
    pub(crate) name: Option<String>,
    pub(crate) stanza: Option<String>,
    pub(crate) knock: Option<String>,
    pub(crate) admit: Option<String>,
    pub(crate) observe: Option<Vec<Told>>,
    /// Which way; of a stanza, what its addresses say if it is left out; else inbound.
    pub(crate) direction: Option<Way>,
    #[serde(default)]
    pub(crate) peer: PeerFacts,
    /// `pass`, `reject`, `drop`; `allow`, `abstain`, `refuse`.
    pub(crate) verdict: Option<String>,
    /// Of a rejection.
    pub(crate) condition: Option<String>,
    /// What the sender or the peer is told.
    pub(crate) text: Option<String>,
    /// What stands in the audit record.
    pub(crate) reason: Option<String>,
    /// The stanza that goes on; left out, it must be unchanged.
    pub(crate) becomes: Option<String>,
    /// What it emits: `unavailable FROM TO` or `unsubscribed FROM TO`.
    #[serde(default)]
    pub(crate) emits: Vec<String>,
    /// The lines that it writes to the journal; of each only the keys that stand here are compared.
    #[serde(default)]
    pub(crate) journal: Vec<String>,
}

/// A decision that an observer is told.
#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Told {
    /// About this stanza ...
    pub(crate) stanza: Option<String>,
    /// ... or about a stream with this domain.
    pub(crate) stream: Option<String>,
    pub(crate) direction: Option<Way>,
    #[serde(default)]
    pub(crate) peer: PeerFacts,
    pub(crate) verdict: String,
    pub(crate) condition: Option<String>,
    pub(crate) reason: Option<String>,
    /// The plugin or the rule that decided.
    pub(crate) by: Option<String>,
}

/// What is known of the stream.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct PeerFacts {
    pub(crate) address: Option<SocketAddr>,
    pub(crate) method: Option<Proven>,
    pub(crate) tls: Option<Tls>,
}

/// How the domain was proven.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Proven {
    External,
    TlsDialback,
    TcpDialback,
}

/// The version of TLS.
#[derive(Debug, Clone, Copy, Deserialize)]
pub(crate) enum Tls {
    #[serde(rename = "TLSv1.2")]
    V12,
    #[serde(rename = "TLSv1.3")]
    V13,
    #[serde(rename = "none")]
    None,
}

/// Which way.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Way {
    Inbound,
    Outbound,
}

/// The type of a partner.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum Type {
    Federated,
    PublicVerified,
    PublicUnverified,
}

/// A value in the state.
#[derive(Debug, Deserialize)]
#[serde(untagged)]
pub(crate) enum Before {
    Counter(i64),
    Text(String),
}

/// Why a fixture cannot be used. The author's fault.
#[derive(Debug, thiserror::Error)]
#[error("{}: {reason}", file.display())]
pub(crate) struct Unusable {
    pub(crate) file: PathBuf,
    pub(crate) reason: String,
}

fn own() -> Vec<String> {
    vec!["org.test".to_owned()]
}

fn empty() -> Value {
    Value::Object(serde_json::Map::new())
}

impl Default for Fixture {
    fn default() -> Self {
        Self {
            own: own(),
            partners: BTreeMap::new(),
            config: empty(),
            files: BTreeMap::new(),
            state: BTreeMap::new(),
            emits: Vec::new(),
            cases: Vec::new(),
        }
    }
}

impl Fixture {
    /// Reads a file.
    pub(crate) fn read(file: &Path) -> Result<Self, Unusable> {
        let unusable = |reason: String| Unusable {
            file: file.to_owned(),
            reason,
        };
        let text = fs::read_to_string(file).map_err(|error| unusable(error.to_string()))?;
        let mut fixture: Self =
            toml::from_str(&text).map_err(|error| unusable(error.to_string()))?;
        if fixture.cases.is_empty() && fixture.emits.is_empty() {
            return Err(unusable("it has no [[case]]".to_owned()));
        }
        let dir = file.parent().unwrap_or_else(|| Path::new("."));
        for path in fixture.files.values_mut() {
            *path = dir.join(&path);
        }
        Ok(fixture)
    }
}

/// The fixtures of a directory in the order of their names, or the one that is named.
pub(crate) fn files(place: &Path) -> Result<Vec<PathBuf>, Unusable> {
    if place.is_file() {
        return Ok(vec![place.to_owned()]);
    }
    let unusable = |reason: String| Unusable {
        file: place.to_owned(),
        reason,
    };
    let entries = fs::read_dir(place).map_err(|error| unusable(error.to_string()))?;
    let mut files = Vec::new();
    for entry in entries {
        let path = entry.map_err(|error| unusable(error.to_string()))?.path();
        if path
            .extension()
            .is_some_and(|extension| extension == "toml")
        {
            files.push(path);
        }
    }
    files.sort();
    match files.is_empty() {
        true => Err(unusable("no fixture (*.toml) is here".to_owned())),
        false => Ok(files),
    }
}

/// One stanza, as it would arrive.
pub(crate) fn stanza(xml: &str) -> Result<Stanza, String> {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(STREAM);
    framer.push(xml.trim().as_bytes());
    loop {
        match framer.next() {
            Ok(Some(Event::Open(_) | Event::Whitespace)) => {}
            Ok(Some(Event::Element(frame))) => {
                return Stanza::parse(frame)
                    .map_err(|fault| format!("no stanza that a gateway takes: {fault:?}: {xml}"));
            }
            Ok(other) => return Err(format!("no whole stanza ({other:?}): {xml}")),
            Err(error) => return Err(format!("no XML that a stream takes ({error:?}): {xml}")),
        }
    }
}

/// A domain in the gateway's own form.
pub(crate) fn domain(text: &str) -> Result<Domain, String> {
    Domain::parse(text).map_err(|error| format!("`{text}` is no domain: {error}"))
}

impl From<Way> for Direction {
    fn from(way: Way) -> Self {
        match way {
            Way::Inbound => Self::Inbound,
            Way::Outbound => Self::Outbound,
        }
    }
}

impl From<Type> for PartnerType {
    fn from(name: Type) -> Self {
        match name {
            Type::Federated => Self::Federated,
            Type::PublicVerified => Self::PublicVerified,
            Type::PublicUnverified => Self::PublicUnverified,
        }
    }
}

impl fmt::Display for Case {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = (self.name.as_deref())
            .or(self.stanza.as_deref())
            .or(self.knock.as_deref())
            .or(self.admit.as_deref());
        f.write_str(what.unwrap_or("decisions"))
    }
}
