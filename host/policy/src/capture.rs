//! Whole stanzas on disk, with their circumstances: the format of `portcullis capture`.
//!
//! In: decisions about stanzas. Out: lines of JSON, and back again streams and stanzas to judge anew
//! ([`crate::replay`]). Each line is an object with one key that says what it is: `capture` (the
//! first line), `peer` (a stream, before its first stanza), `stanza`, `end` (the last line; a file
//! without it was cut off). Only new keys are ever added to a version.

use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{Initiator, Method, Party, Peer, Proof, TlsFacts, TlsMode};
use serde::{Deserialize, Serialize};
use time::format_description::well_known::Rfc3339;

use crate::decision::Decision;

/// The version of the format.
pub const VERSION: u32 = 1;

/// One line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Line {
    /// The first.
    Capture(Header),
    /// A stream that stanzas came on.
    Peer(Box<PeerFacts>),
    /// A stanza and what became of it.
    Stanza(Box<Captured>),
    /// The last.
    End(End),
}

/// What was asked for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Header {
    /// [`VERSION`].
    pub version: u32,
    /// The gateway's version.
    pub gateway: String,
    /// When it began (RFC 3339, UTC).
    pub began: String,
    /// When it ends at the latest.
    pub until: String,
    /// How large the file may become.
    pub max_bytes: u64,
    /// The only partner whose stanzas are here, if one was named.
    pub partner: Option<String>,
}

/// The other end of a stream, for one pair of domains.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PeerFacts {
    /// What stanzas of this file name it by.
    pub number: u64,
    /// The stream's id.
    pub stream: String,
    /// Its domain.
    pub remote: String,
    /// The domain at our end.
    pub local: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// `partner` or `internal`.
    pub party: String,
    /// Who opened the stream: `peer` or `gateway`.
    pub initiator: String,
    /// `address:port`
    pub address: Option<String>,
    /// How it was authenticated: `external`, `tls-dialback`, `tcp-dialback`.
    pub method: Option<String>,
    /// With `external`: how the certificate was found good.
    pub proof: Option<String>,
    /// The TLS session.
    pub tls: Option<Tls>,
    /// Whether stanzas flow both ways.
    pub bidi: bool,
}

/// A TLS session.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tls {
    /// Such as `TLSv1.3`.
    pub version: String,
    /// Such as `TLS13_AES_256_GCM_SHA384`.
    pub cipher: String,
    /// `direct` or `starttls`.
    pub mode: String,
    /// The peer's certificate: DER in lower case hex.
    pub certificate: Option<String>,
}

/// A stanza and what became of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Captured {
    /// When it was decided (RFC 3339, UTC).
    pub time: String,
    /// The number of its [`PeerFacts`].
    pub peer: u64,
    /// The generation that decided.
    pub generation: u64,
    /// Its size on the wire.
    pub bytes: usize,
    /// As it arrived, by itself.
    pub xml: String,
    /// As it was passed on, if plugins edited it.
    pub passed: Option<String>,
    /// `pass`, `reject` or `drop`.
    pub verdict: String,
    /// The plugin, or a rule of the gateway.
    pub by: Option<String>,
    /// Why.
    pub reason: Option<String>,
    /// The stanza error that was sent.
    pub condition: Option<String>,
    /// How long the plugins took, in microseconds.
    pub elapsed_us: u64,
}

/// How a capture ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct End {
    /// When (RFC 3339, UTC).
    pub time: String,
    /// `time`, `size`, `stopped` or `shutdown`.
    pub because: String,
    /// Stanzas in the file.
    pub stanzas: u64,
    /// Stanzas that are not in it: more at once than could be written.
    pub missed: u64,
}

impl Captured {
    /// The stanza of a decision; none if it is about none.
    #[must_use]
    pub fn of(decision: &Decision, peer: u64) -> Option<Self> {
        let stanza = decision.stanza.as_ref()?;
        let arrived = decision.arrived.as_ref().unwrap_or(stanza);
        Some(Self {
            time: decision.time.format(&Rfc3339).unwrap_or_default(),
            peer,
            generation: decision.generation,
            bytes: arrived.wire_size(),
            xml: arrived.to_xml(),
            passed: decision.arrived.is_some().then(|| stanza.to_xml()),
            verdict: decision.verdict.to_owned(),
            by: decision.by.as_deref().map(str::to_owned),
            reason: decision.reason.clone(),
            condition: decision.condition.map(str::to_owned),
            elapsed_us: u64::try_from(decision.elapsed.as_micros()).unwrap_or(u64::MAX),
        })
    }
}

impl PeerFacts {
    /// The facts of a peer.
    #[must_use]
    pub fn of(peer: &Peer, number: u64) -> Self {
        let tls = |tls: &TlsFacts| Tls {
            version: tls.version.to_owned(),
            cipher: tls.cipher.to_owned(),
            mode: tls.mode.as_str().to_owned(),
            certificate: tls.certificate.as_deref().map(hex),
        };
        Self {
            number,
            stream: peer.stream_id.to_string(),
            remote: peer.remote.to_string(),
            local: peer.local.to_string(),
            direction: peer.direction.as_str().to_owned(),
            party: match peer.party {
                Party::Partner => "partner",
                Party::Internal => "internal",
            }
            .to_owned(),
            initiator: match peer.initiator {
                Initiator::Peer => "peer",
                Initiator::Gateway => "gateway",
            }
            .to_owned(),
            address: peer.address.map(|address| address.to_string()),
            method: peer.method.map(|method| method.as_str().to_owned()),
            proof: (peer.method.and_then(Method::proof)).map(|proof| proof.as_str().to_owned()),
            tls: peer.tls.as_ref().map(tls),
            bidi: peer.bidi,
        }
    }

    /// The peer again, but for the name that it asked for in TLS. None if a domain or a word is none
    /// that this version knows.
    #[must_use]
    pub fn peer(&self) -> Option<Peer> {
        Some(Peer {
            remote: Domain::parse(&self.remote).ok()?,
            local: Domain::parse(&self.local).ok()?,
            direction: direction(&self.direction)?,
            party: match &*self.party {
                "partner" => Party::Partner,
                "internal" => Party::Internal,
                _ => return None,
            },
            initiator: match &*self.initiator {
                "peer" => Initiator::Peer,
                "gateway" => Initiator::Gateway,
                _ => return None,
            },
            address: self.address.as_ref().and_then(|text| text.parse().ok()),
            stream_id: Arc::from(&*self.stream),
            method: method(self.method.as_deref(), self.proof.as_deref()),
            tls: self.tls.as_ref().map(Tls::facts),
            bidi: self.bidi,
        })
    }
}

impl Tls {
    fn facts(&self) -> TlsFacts {
        TlsFacts {
            version: known(&self.version, &VERSIONS),
            cipher: known(&self.cipher, &CIPHERS),
            sni: None,
            mode: match &*self.mode {
                "direct" => TlsMode::Direct,
                _ => TlsMode::StartTls,
            },
            certificate: self.certificate.as_deref().and_then(unhex),
        }
    }
}

pub(crate) fn direction(name: &str) -> Option<Direction> {
    [Direction::Inbound, Direction::Outbound]
        .into_iter()
        .find(|direction| direction.as_str() == name)
}

pub(crate) fn method(name: Option<&str>, proof: Option<&str>) -> Option<Method> {
    let proofs = [Proof::Pkix, Proof::Pinned, Proof::Dane, Proof::Posh];
    match name? {
        "tls-dialback" => Some(Method::TlsDialback),
        "tcp-dialback" => Some(Method::TcpDialback),
        "external" => (proofs.into_iter())
            .find(|known| Some(known.as_str()) == proof)
            .map(Method::External),
        _ => None,
    }
}

/// What TLS sessions of the gateway can be.
pub(crate) const VERSIONS: [&str; 2] = ["TLSv1.2", "TLSv1.3"];
pub(crate) const CIPHERS: [&str; 9] = [
    "TLS13_AES_256_GCM_SHA384",
    "TLS13_AES_128_GCM_SHA256",
    "TLS13_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_ECDSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_ECDSA_WITH_CHACHA20_POLY1305_SHA256",
    "TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384",
    "TLS_ECDHE_RSA_WITH_AES_128_GCM_SHA256",
    "TLS_ECDHE_RSA_WITH_CHACHA20_POLY1305_SHA256",
];

pub(crate) fn known(name: &str, names: &[&'static str]) -> &'static str {
    let found = names.iter().find(|known| **known == name);
    found.copied().unwrap_or("unknown")
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Arc<[u8]>> {
    let digits = text.as_bytes().chunks(2);
    let byte = |pair: &[u8]| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok();
    digits.map(byte).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_peer_is_what_it_was() {
        let peer = Peer {
            remote: Domain::parse("alpha.test").unwrap(),
            local: Domain::parse("org.test").unwrap(),
            direction: Direction::Inbound,
            party: Party::Partner,
            initiator: Initiator::Gateway,
            address: Some("192.0.2.7:40000".parse().unwrap()),
            stream_id: Arc::from("s1"),
            method: Some(Method::External(Proof::Dane)),
            tls: Some(TlsFacts {
                version: "TLSv1.3",
                cipher: "TLS13_AES_128_GCM_SHA256",
                sni: None,
                mode: TlsMode::Direct,
                certificate: Some(Arc::from(&[0, 1, 254, 255][..])),
            }),
            bidi: true,
        };
        let line = serde_json::to_string(&Line::Peer(Box::new(PeerFacts::of(&peer, 1)))).unwrap();
        assert!(line.starts_with(r#"{"peer":{"number":1,"#), "{line}");
        let Ok(Line::Peer(facts)) = serde_json::from_str(&line) else {
            panic!("{line}");
        };
        assert_eq!(facts.peer(), Some(peer));
    }
}
