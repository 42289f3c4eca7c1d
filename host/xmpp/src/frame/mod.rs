//! From bytes to events: bytes of one stream flow in, in whatever pieces they arrive; the stream's
//! header, whole elements, and its end flow out.
//!
//! Every limit holds while bytes arrive: a scanner looks at each byte once (a slow trickle costs
//! no more than one big read) and stops at the first that goes beyond a limit or is restricted XML.
//! Only a complete element goes to the strict parser of [`crate::xml`]. Events and errors do not
//! depend on how the bytes were cut into pieces, except that one run of whitespace may give several
//! [`Event::Whitespace`].
//!
//! What fails is the peer's fault and ends the stream ([`FrameError::stream_error`]); a `Framer`
//! that failed goes on failing. Memory: the bytes of one incomplete element and what was pushed
//! since; the caller calls [`Framer::next`] until it returns none before it pushes more.

mod header;
mod scan;

use std::sync::Arc;

pub use header::{StreamHeader, Version};
use scan::{Item, Scanner};

use crate::{
    error::{StreamCondition, StreamError},
    jid::Strictness,
    ns,
    xml::{self, Bounds, Element, Parsed, Scope, Writer, XmlError},
};

/// What one peer may send at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// Bytes of one element after authentication, from its `<` to its `>`. RFC 6120 §13.12 wants
    /// at least 10000.
    pub stanza_bytes: usize,
    /// Bytes of one element before authentication, and of every stream header.
    pub unauthenticated_bytes: usize,
    /// Elements inside each other; a stanza is at depth 1.
    pub depth: usize,
    /// Attributes of one element, namespace declarations included.
    pub attributes: usize,
    /// Namespace declarations of one element.
    pub namespaces: usize,
    /// Namespace declarations in one stanza.
    pub all_namespaces: usize,
    /// Elements in one stanza.
    pub elements: usize,
    /// Which addresses its stanzas may have.
    pub addresses: Strictness,
}

impl Default for Limits {
    /// 512 KiB for a stanza is what Prosody takes between servers; 16 KiB before authentication is
    /// room for a long certificate identity and little for an attacker. The counts are several times
    /// what real stanzas have, and keep a parsed element within a small multiple of its bytes.
    fn default() -> Self {
        Self {
            stanza_bytes: 512 * 1024,
            unauthenticated_bytes: 16 * 1024,
            depth: 64,
            attributes: 64,
            namespaces: 32,
            all_namespaces: 256,
            elements: 8192,
            addresses: Strictness::default(),
        }
    }
}

impl Limits {
    /// What the parser is to hold a whole element to.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            depth: self.depth,
            elements: self.elements,
            attributes: self.attributes,
            namespaces: self.namespaces,
            all_namespaces: self.all_namespaces,
        }
    }
}

/// What the peer sent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Event {
    /// The stream's header.
    Open(Box<StreamHeader>),
    /// A first-level element.
    Element(Frame),
    /// Whitespace between elements: a sign of life (RFC 6120 §4.6.1).
    Whitespace,
    /// The end of the stream. Nothing is read after it.
    Close,
}

/// One first-level element, within the limits and strictly parsed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Frame {
    pub(crate) element: Element,
    pub(crate) wire_size: usize,
    pub(crate) lang: Option<Arc<str>>,
    pub(crate) rewritten: Rewritten,
    pub(crate) addresses: Strictness,
}

/// Whether an element is within [`Limits::stanza_bytes`] when it is written anew: escapes, and
/// namespaces in place of prefixes, make it longer than it was.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Rewritten {
    Fits,
    TooBig,
}

impl Frame {
    /// The element.
    pub fn element(&self) -> &Element {
        &self.element
    }

    /// How many bytes it had on the wire, from its `<` to its `>`.
    pub fn wire_size(&self) -> usize {
        self.wire_size
    }

    /// The `xml:lang` of the stream that it came on.
    pub fn lang(&self) -> Option<&str> {
        self.lang.as_deref()
    }

    /// The element alone.
    pub fn into_element(self) -> Element {
        self.element
    }
}

/// Why a stream cannot be read on. The peer is at fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum FrameError {
    /// Not XML, restricted XML, or too much of it.
    #[error(transparent)]
    Xml(#[from] XmlError),
    /// Not UTF-8 (RFC 6120 §11.6).
    #[error("not UTF-8")]
    Encoding,
    /// Something that does not belong at the stream's level.
    #[error("bad format: {0}")]
    Format(&'static str),
    /// The stream's or the content's namespace is not ours (RFC 6120 §4.8).
    #[error("not a stream between servers")]
    Namespace,
    /// A stanza with a prefix (RFC 6120 §4.8.5).
    #[error("a stanza with a prefix")]
    Prefix,
    /// The version is no version (RFC 6120 §4.7.5).
    #[error("a malformed version")]
    Version,
    /// An element is longer than so many bytes.
    #[error("an element of more than {0} bytes")]
    TooBig(usize),
}

impl FrameError {
    /// What the peer is told.
    pub fn stream_error(&self) -> StreamError {
        let condition = match self {
            Self::TooBig(_) => return StreamError::too_big(self.to_string()),
            Self::Xml(XmlError::NotWellFormed(_)) => StreamCondition::NotWellFormed,
            Self::Xml(XmlError::Restricted(_)) => StreamCondition::RestrictedXml,
            Self::Xml(XmlError::Limit(_)) => StreamCondition::PolicyViolation,
            Self::Encoding => StreamCondition::UnsupportedEncoding,
            Self::Format(_) => StreamCondition::BadFormat,
            Self::Namespace => StreamCondition::InvalidNamespace,
            Self::Prefix => StreamCondition::BadNamespacePrefix,
            Self::Version => StreamCondition::UnsupportedVersion,
        };
        StreamError::new(condition).with_text(self.to_string())
    }
}

/// How much of an emptied buffer is kept: a usual read. What a big stanza needed is given back.
const KEPT_BYTES: usize = 16 * 1024;

/// Reads one stream in one direction.
#[derive(Debug)]
pub struct Framer {
    limits: Limits,
    authenticated: bool,
    buffer: Vec<u8>,
    /// Where the current item begins in the buffer.
    start: usize,
    scanner: Scanner,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Before the header; `whitespace` bytes have been skipped, which count against its limit.
    Prolog {
        declaration: Declaration,
        whitespace: usize,
    },
    /// After the header.
    Content(Box<Opened>),
    Closed,
    Failed(FrameError),
}

/// An XML declaration may only be the very first thing (RFC 6120 §11.5).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Declaration {
    Allowed,
    Past,
}

#[derive(Debug)]
struct Opened {
    /// The name of the stream's element as it was written.
    name: Box<str>,
    scope: Scope,
    lang: Option<Arc<str>>,
}

impl Phase {
    fn prolog() -> Self {
        Self::Prolog {
            declaration: Declaration::Allowed,
            whitespace: 0,
        }
    }
}

impl Framer {
    /// Expects a stream header, and the limits before authentication.
    pub fn new(limits: Limits) -> Self {
        Self {
            limits,
            authenticated: false,
            buffer: Vec::new(),
            start: 0,
            scanner: Scanner::default(),
            phase: Phase::prolog(),
        }
    }

    /// From now on elements may be as long as [`Limits::stanza_bytes`].
    pub fn authenticated(&mut self) {
        self.authenticated = true;
    }

    /// Takes bytes as they arrived. After the stream's end they are thrown away.
    pub fn push(&mut self, bytes: &[u8]) {
        if !matches!(self.phase, Phase::Closed | Phase::Failed(_)) {
            self.buffer.extend_from_slice(bytes);
        }
    }

    /// The next event; none until more bytes are pushed.
    ///
    /// # Errors
    /// The stream cannot be read on. Every later call says the same.
    #[allow(
        clippy::should_implement_trait,
        reason = "an iterator's end is final; here more bytes may follow"
    )]
    pub fn next(&mut self) -> Result<Option<Event>, FrameError> {
        let event = match &self.phase {
            Phase::Failed(error) => return Err(*error),
            Phase::Closed => return Ok(None),
            Phase::Prolog { .. } | Phase::Content(_) => self.advance(),
        };
        match event {
            Ok(Some(Event::Close)) => self.finish(Phase::Closed),
            Ok(None) => self.reclaim(),
            Ok(Some(_)) => {}
            Err(error) => self.finish(Phase::Failed(error)),
        }
        event
    }

    /// Expects a new stream header, as after STARTTLS and SASL. What was pushed and not read yet
    /// stays; after STARTTLS it must go ([`Self::discard`]).
    pub fn restart(&mut self) {
        self.scanner = Scanner::default();
        self.phase = Phase::prolog();
    }

    /// Throws away what was pushed and not read yet, and says how many bytes that were. A peer that
    /// sent anything between `<starttls/>` or `<proceed/>` and the TLS handshake is being
    /// tampered with.
    pub fn discard(&mut self) -> usize {
        let discarded = self.buffered();
        self.buffer = Vec::new();
        self.start = 0;
        self.scanner = Scanner::default();
        discarded
    }

    /// How many bytes were pushed and not read yet.
    pub fn buffered(&self) -> usize {
        self.buffer.len() - self.start
    }

    fn finish(&mut self, phase: Phase) {
        self.phase = phase;
        self.buffer = Vec::new();
        self.start = 0;
    }

    /// Gives back what was read. Called when only an incomplete item is left, so that each byte is
    /// moved at most once.
    fn reclaim(&mut self) {
        if self.start == 0 {
            return;
        }
        self.buffer.drain(..self.start);
        self.start = 0;
        if self.buffer.capacity() > KEPT_BYTES && self.buffer.capacity() / 4 > self.buffer.len() {
            self.buffer.shrink_to(KEPT_BYTES);
        }
    }

    fn advance(&mut self) -> Result<Option<Event>, FrameError> {
        loop {
            if self.scanner.scanned() == 0 && self.skip_whitespace()? == Some(Event::Whitespace) {
                return Ok(Some(Event::Whitespace));
            }
            let Some((item, range)) = self.scan()? else {
                return Ok(None);
            };
            let bytes = self.buffer.get(range.clone()).unwrap_or_default();
            let text = std::str::from_utf8(bytes).map_err(|_| FrameError::Encoding)?;
            let event = match (&mut self.phase, item) {
                (Phase::Prolog { declaration, .. }, Item::Declaration) => {
                    header::check_declaration(text)?;
                    *declaration = Declaration::Past;
                    None
                }
                (Phase::Prolog { .. }, Item::Open) => {
                    let (header, opened) = header::parse(text, &self.limits)?;
                    self.phase = Phase::Content(Box::new(opened));
                    Some(Event::Open(Box::new(header)))
                }
                (Phase::Content(opened), Item::Element) => {
                    Some(Event::Element(opened.frame(text, &self.limits)?))
                }
                (Phase::Content(opened), Item::Close) => {
                    opened.check_close(text)?;
                    Some(Event::Close)
                }
                _ => return Err(FrameError::Format("out of place")),
            };
            self.start = range.end;
            self.scanner = Scanner::default();
            if event.is_some() {
                return Ok(event);
            }
        }
    }
}

impl Framer {
    /// Whitespace before the next item, and the item's first byte.
    fn skip_whitespace(&mut self) -> Result<Option<Event>, FrameError> {
        let pending = self.buffer.get(self.start..).unwrap_or_default();
        let skipped = pending.iter().take_while(|&&b| xml::is_space(b)).count();
        let first = pending.get(skipped).copied();
        self.start += skipped;
        match &mut self.phase {
            Phase::Prolog {
                declaration,
                whitespace,
            } if skipped > 0 => {
                *declaration = Declaration::Past;
                *whitespace += skipped;
                if *whitespace > self.limits.unauthenticated_bytes {
                    return Err(FrameError::TooBig(self.limits.unauthenticated_bytes));
                }
            }
            Phase::Content(_) if skipped > 0 => return Ok(Some(Event::Whitespace)),
            _ => {}
        }
        match first {
            None | Some(b'<') => Ok(None),
            // What UTF-16 and UTF-32 begin with, with and without a byte order mark.
            Some(0 | 0xFE | 0xFF) => Err(FrameError::Encoding),
            Some(_) => Err(FrameError::Format("text outside of an element")),
        }
    }

    /// Looks at the bytes that have come since, up to the limit.
    fn scan(&mut self) -> Result<Option<(Item, std::ops::Range<usize>)>, FrameError> {
        let (place, limit) = match &self.phase {
            Phase::Prolog {
                declaration: Declaration::Allowed,
                ..
            } => (scan::Place::Beginning, self.limits.unauthenticated_bytes),
            Phase::Prolog { .. } => (scan::Place::Header, self.limits.unauthenticated_bytes),
            _ if self.authenticated => (scan::Place::Content, self.limits.stanza_bytes),
            _ => (scan::Place::Content, self.limits.unauthenticated_bytes),
        };
        let end = self.buffer.len().min(self.start.saturating_add(limit));
        let window = self
            .buffer
            .get(self.start + self.scanner.scanned()..end)
            .unwrap_or_default();
        if let Some(item) = self.scanner.scan(window, place, &self.limits)? {
            return Ok(Some((
                item,
                self.start..self.start + self.scanner.scanned(),
            )));
        }
        if self.scanner.scanned() >= limit {
            Err(FrameError::TooBig(limit))
        } else {
            Ok(None)
        }
    }
}

impl Opened {
    fn frame(&mut self, text: &str, limits: &Limits) -> Result<Frame, FrameError> {
        let parsed = xml::parse_element(text, &mut self.scope, &limits.bounds())?;
        if parsed.prefixed && parsed.element.ns() == ns::SERVER {
            return Err(FrameError::Prefix);
        }
        let rewritten = rewritten(
            &parsed,
            text.len(),
            self.lang.as_deref(),
            limits.stanza_bytes,
        );
        Ok(Frame {
            element: parsed.element,
            wire_size: text.len(),
            lang: self.lang.clone(),
            rewritten,
            addresses: limits.addresses,
        })
    }

    /// The end tag must bear the name of the header (XML 1.0 §3, "element type match").
    fn check_close(&self, text: &str) -> Result<(), FrameError> {
        let name = text
            .strip_prefix("</")
            .and_then(|rest| rest.strip_suffix('>'));
        if name.is_some_and(|name| xml::trim_end(name) == &*self.name) {
            Ok(())
        } else {
            Err(XmlError::NotWellFormed("tags do not match").into())
        }
    }
}

/// How many bytes one byte on the wire may become, at most, beside namespaces and the language: `'`
/// becomes `&apos;`, and `<a/>` or ` p:a=''` a declaration longer.
const GROWTH: usize = 6;

fn rewritten(parsed: &Parsed, wire_size: usize, lang: Option<&str>, limit: usize) -> Rewritten {
    let most = (wire_size + parsed.redeclared) * GROWTH + lang.map_or(0, str::len);
    // Counting exactly takes as long as writing, and is rarely needed.
    let fits = most <= limit
        || (parsed.redeclared <= limit
            && Writer::new(ns::SERVER).size(&parsed.element, lang) <= limit);
    if fits {
        Rewritten::Fits
    } else {
        Rewritten::TooBig
    }
}

#[cfg(test)]
mod tests;
