//! Reading what was recorded: a capture, or an audit journal.
//!
//! In: lines of text. Out: [`Case`]s in their order. A line that is no record, a version that is not
//! known, or a stanza that does not parse is an error that names the line. Records that are about no
//! stanza, or about its delivery, are passed over, as is what was not fit to be judged.

use std::collections::HashMap;
use std::sync::Arc;

use portcullis_xmpp::frame::{Event, Framer, Limits};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::ns;
use portcullis_xmpp::stanza::{Direction, Kind, Stanza};
use portcullis_xmpp::stream::{Initiator, Party, Peer, TlsFacts, TlsMode};
use portcullis_xmpp::xml::Element;
use serde::Deserialize;

use crate::capture::{self, Captured, End, Line};
use crate::shadow::Said;

/// A stanza as it was recorded.
#[derive(Clone, Debug)]
pub struct Case {
    /// The line in its file, from 1.
    pub line: u64,
    /// When it was decided (RFC 3339).
    pub time: String,
    /// As it arrived, as far as it is known.
    pub stanza: Stanza,
    /// The stream that it came on.
    pub peer: Arc<Peer>,
    /// How much of it is known.
    pub known: Known,
    /// What became of it.
    pub stood: Said,
    /// As it was passed on, if all of it is known.
    pub passed: String,
}

/// How much of a stanza is known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// All of it.
    Whole,
    /// What a header tells: addresses, kind, type, id, language, names of payloads.
    Header,
    /// Not even that: addresses, kind and type as they were after a plugin's edits, or of a record of
    /// another version.
    Nothing,
}

/// Why a line cannot be read.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("line {line}: {reason}")]
pub struct BadRecord {
    /// Which, from 1.
    pub line: u64,
    /// Why.
    pub reason: String,
}

/// Takes a file line by line.
#[derive(Debug, Default)]
pub struct Reader {
    line: u64,
    capture: bool,
    peers: HashMap<u64, Arc<Peer>>,
    end: Option<End>,
}

impl Reader {
    /// The next line; none if it is about nothing to judge.
    ///
    /// # Errors
    /// [`BadRecord`]
    pub fn read(&mut self, text: &str) -> Result<Option<Case>, BadRecord> {
        self.line += 1;
        if text.trim().is_empty() {
            return Ok(None);
        }
        let read = if self.line == 1 && text.starts_with(r#"{"capture":"#) {
            self.capture = true;
            self.captured(text)
        } else if self.capture {
            self.captured(text)
        } else {
            journalled(text, self.line)
        };
        read.map_err(|reason| BadRecord {
            line: self.line,
            reason,
        })
    }

    /// Whether it is a capture, which has whole stanzas.
    #[must_use]
    pub fn is_capture(&self) -> bool {
        self.capture
    }

    /// How the capture ended, once its last line is read.
    #[must_use]
    pub fn end(&self) -> Option<&End> {
        self.end.as_ref()
    }

    fn captured(&mut self, text: &str) -> Result<Option<Case>, String> {
        match serde_json::from_str(text).map_err(|error| error.to_string())? {
            Line::Capture(header) if header.version == capture::VERSION => Ok(None),
            Line::Capture(header) => Err(format!(
                "it is a capture of version {}; this version reads {}",
                header.version,
                capture::VERSION
            )),
            Line::Peer(facts) => {
                let peer = facts.peer().ok_or("it is no peer")?;
                self.peers.insert(facts.number, Arc::new(peer));
                Ok(None)
            }
            Line::Stanza(captured) => self.stanza(*captured).map(Some),
            Line::End(end) => {
                self.end = Some(end);
                Ok(None)
            }
        }
    }

    fn stanza(&self, captured: Captured) -> Result<Case, String> {
        let peer = self.peers.get(&captured.peer);
        let peer = peer.ok_or("its peer is in no line before it")?;
        let read = |xml: &str| stanza(xml).ok_or_else(|| "its stanza is none".to_owned());
        let arrived = read(&captured.xml)?.with_wire_size(captured.bytes);
        let passed = match &captured.passed {
            Some(passed) => read(passed)?.to_xml(),
            None => arrived.to_xml(),
        };
        Ok(Case {
            line: self.line,
            time: captured.time,
            stanza: arrived,
            peer: Arc::clone(peer),
            known: Known::Whole,
            stood: Said {
                verdict: captured.verdict,
                by: captured.by,
                condition: captured.condition,
                reason: captured.reason,
            },
            passed,
        })
    }
}

/// What is read of an audit record.
#[derive(Deserialize)]
struct Journalled {
    time: String,
    event: String,
    stream: Option<String>,
    partner: Option<String>,
    local: Option<String>,
    direction: Option<String>,
    address: Option<String>,
    tls: Option<String>,
    cipher: Option<String>,
    method: Option<String>,
    proof: Option<String>,
    kind: Option<String>,
    #[serde(rename = "type")]
    subtype: Option<String>,
    from: Option<String>,
    to: Option<String>,
    id: Option<String>,
    lang: Option<String>,
    bytes: Option<usize>,
    payloads: Option<Vec<String>>,
    edited: Option<bool>,
    verdict: Option<String>,
    plugin: Option<String>,
    reason: Option<String>,
    condition: Option<String>,
}

fn journalled(text: &str, line: u64) -> Result<Option<Case>, String> {
    let record: Journalled = serde_json::from_str(text).map_err(|error| error.to_string())?;
    if record.event != "stanza" {
        return Ok(None);
    }
    // A malformed stanza has no addresses: it was not judged, and would not be.
    let (Some(from), Some(to)) = (&record.from, &record.to) else {
        return Ok(None);
    };
    let peer = record.peer().ok_or("it names no stream")?;
    let kind = record.kind.as_deref().and_then(Kind::from_name);
    let kind = kind.ok_or("it names no kind of stanza")?;
    let mut root = Element::new(ns::SERVER, kind.as_str())
        .with_attribute("from", from)
        .with_attribute("to", to);
    if let Some(id) = &record.id {
        root.set_attribute("id", id);
    }
    match record.subtype.as_deref() {
        None | Some("normal" | "available") => {}
        Some(subtype) => root.set_attribute("type", subtype),
    }
    if let Some(lang) = &record.lang {
        root = root.with_lang(lang);
    }
    let told = record.payloads.is_some() && record.edited == Some(false);
    for payload in record.payloads.iter().flatten() {
        // As a header lists it: the namespace, a space, the name.
        if let Some((namespace, name)) = payload.rsplit_once(' ') {
            root.push(Element::new(namespace, name));
        }
    }
    if record.payloads.is_none() && kind == Kind::Iq {
        root.push(Element::new("urn:portcullis:unknown", "unknown"));
    }
    let read = stanza(&root.to_xml()).ok_or("its stanza is none")?;
    Ok(Some(Case {
        line,
        time: record.time,
        stanza: read.with_wire_size(record.bytes.unwrap_or_default()),
        peer: Arc::new(peer),
        known: if told { Known::Header } else { Known::Nothing },
        stood: Said {
            verdict: record.verdict.unwrap_or_default(),
            by: record.plugin,
            condition: record.condition,
            reason: record.reason,
        },
        passed: String::new(),
    }))
}

impl Journalled {
    fn peer(&self) -> Option<Peer> {
        let direction = capture::direction(self.direction.as_deref()?)?;
        let partner = Domain::parse(self.partner.as_deref()?).ok()?;
        let own = Domain::parse(self.local.as_deref()?).ok()?;
        let (party, remote, local) = match direction {
            Direction::Inbound => (Party::Partner, partner, own),
            Direction::Outbound => (Party::Internal, own, partner),
        };
        Some(Peer {
            remote,
            local,
            direction,
            party,
            initiator: Initiator::Peer,
            address: self.address.as_ref().and_then(|text| text.parse().ok()),
            stream_id: Arc::from(self.stream.as_deref()?),
            method: capture::method(self.method.as_deref(), self.proof.as_deref()),
            tls: self.tls.as_deref().map(|version| TlsFacts {
                version: capture::known(version, &capture::VERSIONS),
                cipher: capture::known(
                    self.cipher.as_deref().unwrap_or_default(),
                    &capture::CIPHERS,
                ),
                sni: None,
                mode: TlsMode::StartTls,
                certificate: None,
            }),
            bidi: false,
        })
    }
}

/// Larger than any stanza that a gateway takes.
const STANZA: usize = 64 * 1024 * 1024;

/// A stanza that stands by itself.
fn stanza(xml: &str) -> Option<Stanza> {
    let mut framer = Framer::new(Limits {
        unauthenticated_bytes: STANZA,
        stanza_bytes: STANZA,
        ..Limits::default()
    });
    framer.push(STREAM.as_bytes());
    framer.push(xml.as_bytes());
    while let Some(event) = framer.next().ok()? {
        if let Event::Element(frame) = event {
            return Stanza::parse(frame).ok();
        }
    }
    None
}

const STREAM: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
     from='remote.invalid' to='local.invalid' version='1.0'>";
