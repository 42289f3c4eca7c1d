//! One capture's file.
//!
//! In: decisions. Out: lines. Never more bytes than were allowed: room for the last line is kept.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Write};
use std::sync::Arc;

use portcullis_policy::Decision;
use portcullis_policy::capture::{Captured, End, Header, Line, PeerFacts, VERSION};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use crate::admin::protocol::Capturing;

/// Room for the last line.
const LAST_LINE: u64 = 512;
/// Peers that are remembered; beyond, they are written again.
const PEERS: usize = 10_000;

/// Why no further stanza goes into the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Full {
    /// It is as large as it may be.
    Size,
    /// The disk does not take it.
    Broken,
}

impl Full {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Size => "size",
            Self::Broken => "error",
        }
    }
}

#[derive(Debug)]
pub(super) struct Writer {
    file: Option<File>,
    left: u64,
    peers: HashMap<Pair, u64>,
    last_peer: u64,
}

/// Stream, direction and both domains.
type Pair = (Arc<str>, Direction, Domain, Domain);

impl Writer {
    pub(super) fn begin(file: File, wanted: &Capturing) -> io::Result<Self> {
        let mut writer = Self {
            file: Some(file),
            left: wanted.max_bytes.saturating_sub(LAST_LINE),
            peers: HashMap::new(),
            last_peer: 0,
        };
        let header = Line::Capture(Header {
            version: VERSION,
            gateway: env!("CARGO_PKG_VERSION").to_owned(),
            began: wanted.began.clone(),
            until: wanted.until.clone(),
            max_bytes: wanted.max_bytes,
            partner: wanted.partner.clone(),
        });
        let mut text = Vec::new();
        line(&mut text, &header)?;
        writer.put(&text)?;
        Ok(writer)
    }

    /// One whose file is gone.
    pub(super) fn lost() -> Self {
        Self {
            file: None,
            left: 0,
            peers: HashMap::new(),
            last_peer: 0,
        }
    }

    /// One stanza, and its peer if it is new.
    pub(super) fn write(&mut self, decision: &Decision) -> Result<(), Full> {
        let peer = &decision.peer;
        let pair = (
            Arc::clone(&peer.stream_id),
            peer.direction,
            peer.remote.clone(),
            peer.local.clone(),
        );
        let mut text = Vec::new();
        let number = match self.peers.get(&pair) {
            Some(number) => *number,
            None => {
                let number = self.last_peer + 1;
                let facts = Line::Peer(Box::new(PeerFacts::of(peer, number)));
                line(&mut text, &facts).map_err(|_| Full::Broken)?;
                number
            }
        };
        let Some(captured) = Captured::of(decision, number) else {
            return Ok(());
        };
        let captured = Line::Stanza(Box::new(captured));
        line(&mut text, &captured).map_err(|_| Full::Broken)?;
        if text.len() as u64 > self.left {
            return Err(Full::Size);
        }
        self.put(&text).map_err(|error| {
            tracing::error!(%error, "the capture cannot be written");
            Full::Broken
        })?;
        if number > self.last_peer {
            self.last_peer = number;
            if self.peers.len() >= PEERS {
                self.peers.clear();
            }
            self.peers.insert(pair, number);
        }
        Ok(())
    }

    /// The last line.
    pub(super) fn end(mut self, because: &str, stanzas: u64, missed: u64) -> io::Result<()> {
        self.left = LAST_LINE;
        let end = Line::End(End {
            time: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
            because: because.to_owned(),
            stanzas,
            missed,
        });
        let mut text = Vec::new();
        line(&mut text, &end)?;
        self.put(&text)?;
        match &self.file {
            Some(file) => file.sync_data(),
            None => Ok(()),
        }
    }

    fn put(&mut self, text: &[u8]) -> io::Result<()> {
        let file = self.file.as_mut();
        let file = file.ok_or_else(|| io::Error::from(io::ErrorKind::BrokenPipe))?;
        file.write_all(text)?;
        self.left = self.left.saturating_sub(text.len() as u64);
        Ok(())
    }
}

fn line(text: &mut Vec<u8>, line: &Line) -> io::Result<()> {
    serde_json::to_writer(&mut *text, line)?;
    text.push(b'\n');
    Ok(())
}
