//! Where an element ends: a scanner that looks at each byte once and builds nothing.
//!
//! It knows just enough XML to count: tags, quotes, CDATA. What it lets through is still checked by
//! the parser, which must agree on where the element ends, or the stream is closed.

use memchr::{memchr, memchr2};

use super::{FrameError, Limits};
use crate::xml::{self, XmlError};

/// What ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Item {
    /// `<?xml ...?>`
    Declaration,
    /// The stream's start tag.
    Open,
    /// One whole element.
    Element,
    /// The stream's end tag.
    Close,
}

/// Where on the stream the item stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Place {
    /// Where an XML declaration may still come.
    Beginning,
    /// Before the header.
    Header,
    /// After it.
    Content,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Start,
    /// After `<`.
    Markup,
    /// In a start tag, outside of quotes.
    Tag {
        word: Word,
        slash: bool,
    },
    /// In an attribute's value, until this quote.
    Quoted(u8),
    /// In an end tag.
    EndTag,
    Text,
    /// After `<!` and so many bytes of `[CDATA[`.
    Bang(usize),
    /// In a CDATA section, after so many `]` (at most 2).
    Cdata(u8),
    /// After `<?` and so many bytes of `xml `.
    Declaration {
        matched: usize,
        question: bool,
    },
}

/// How far the attribute's name is the beginning of a namespace declaration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Word {
    /// So many bytes of `xmlns`.
    Maybe(usize),
    Declaration,
    Other,
}

impl Word {
    /// Over names, `=` and space to the next byte that is something else: how many those are, and how far the
    /// word has come.
    fn over(mut self, bytes: &[u8]) -> (usize, Self) {
        for (run, &b) in bytes.iter().enumerate() {
            match (b, self) {
                (b'"' | b'\'' | b'/' | b'<' | b'>', _) => return (run, self),
                (b'!'..=b'~', Self::Other | Self::Declaration) => {}
                _ => self = self.then(b),
            }
        }
        (bytes.len(), self)
    }

    fn then(self, b: u8) -> Self {
        const XMLNS: &[u8] = b"xmlns";
        match self {
            Self::Maybe(at) if XMLNS.get(at) == Some(&b) => Self::Maybe(at + 1),
            Self::Maybe(at)
                if at == XMLNS.len() && (matches!(b, b':' | b'=') || xml::is_space(b)) =>
            {
                Self::Declaration
            }
            Self::Declaration => Self::Declaration,
            _ if xml::is_space(b) => Self::Maybe(0),
            _ => Self::Other,
        }
    }
}

/// Scans one item. A new one is made for each.
#[derive(Debug)]
pub(super) struct Scanner {
    state: State,
    scanned: usize,
    depth: usize,
    elements: usize,
    /// Of the current start tag.
    attributes: usize,
    /// Of the current start tag.
    namespaces: usize,
    all_namespaces: usize,
}

impl Default for Scanner {
    fn default() -> Self {
        Self {
            state: State::Start,
            scanned: 0,
            depth: 0,
            elements: 0,
            attributes: 0,
            namespaces: 0,
            all_namespaces: 0,
        }
    }
}

impl Scanner {
    /// How many bytes of the item have been looked at.
    pub(super) fn scanned(&self) -> usize {
        self.scanned
    }

    /// Looks at the bytes that follow those seen so far. If the item ends in them, says so;
    /// [`Self::scanned`] is then its length.
    pub(super) fn scan(
        &mut self,
        bytes: &[u8],
        place: Place,
        limits: &Limits,
    ) -> Result<Option<Item>, FrameError> {
        let mut at = 0;
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            // In long runs only a few bytes are of interest.
            let skipped = match self.state {
                State::Text => memchr(b'<', rest),
                State::Quoted(quote) => memchr2(quote, b'<', rest),
                State::EndTag => memchr2(b'>', b'<', rest),
                State::Cdata(0) => memchr(b']', rest),
                State::Tag { word, slash: false } => {
                    let (run, word) = word.over(rest);
                    self.state = State::Tag { word, slash: false };
                    Some(run)
                }
                _ => Some(0),
            };
            let next = skipped.and_then(|skipped| Some((skipped, *rest.get(skipped)?)));
            let Some((skipped, b)) = next else {
                self.scanned += rest.len();
                return Ok(None);
            };
            at += skipped + 1;
            self.scanned += skipped + 1;
            if let Some(item) = self.step(b, place, limits)? {
                return Ok(Some(item));
            }
        }
    }

    fn step(&mut self, b: u8, place: Place, limits: &Limits) -> Result<Option<Item>, FrameError> {
        self.state = match self.state {
            State::Start => State::Markup,
            State::Markup => self.markup(b, place, limits)?,
            State::Tag { .. } if b == b'>' => return self.tag_ends(place),
            State::Tag { word, slash } => self.tag(b, word, slash, limits)?,
            State::Quoted(_) if b == b'<' => {
                return Err(XmlError::NotWellFormed("`<` in an attribute").into());
            }
            State::Quoted(_) => State::Tag {
                word: Word::Maybe(0),
                slash: false,
            },
            State::EndTag if b == b'<' => {
                return Err(XmlError::NotWellFormed("a malformed tag").into());
            }
            State::EndTag if self.depth == 0 => return Ok(Some(Item::Close)),
            State::EndTag => {
                self.depth -= 1;
                if self.depth == 0 {
                    return Ok(Some(Item::Element));
                }
                State::Text
            }
            State::Text => State::Markup,
            State::Bang(matched) => self.bang(b, matched)?,
            State::Cdata(2) if b == b'>' => State::Text,
            State::Cdata(brackets) if b == b']' => State::Cdata((brackets + 1).min(2)),
            State::Cdata(_) => State::Cdata(0),
            State::Declaration { question: true, .. } if b == b'>' => {
                return Ok(Some(Item::Declaration));
            }
            State::Declaration { matched, .. } => declaration(b, matched)?,
        };
        Ok(None)
    }

    fn markup(&mut self, b: u8, place: Place, limits: &Limits) -> Result<State, FrameError> {
        match b {
            // `<` in UTF-16, little-endian.
            0 => Err(FrameError::Encoding),
            b'!' => Ok(State::Bang(0)),
            b'?' if place == Place::Beginning => Ok(State::Declaration {
                matched: 0,
                question: false,
            }),
            b'?' => Err(XmlError::Restricted("a processing instruction").into()),
            b'/' if place == Place::Content => Ok(State::EndTag),
            _ => {
                self.elements += 1;
                if self.elements > limits.elements {
                    return Err(XmlError::Limit("elements").into());
                }
                if self.depth >= limits.depth {
                    return Err(XmlError::Limit("depth").into());
                }
                self.attributes = 0;
                self.namespaces = 0;
                self.tag(b, Word::Other, false, limits)
            }
        }
    }

    /// A byte of a start tag that does not end it.
    fn tag(
        &mut self,
        b: u8,
        word: Word,
        slash: bool,
        limits: &Limits,
    ) -> Result<State, FrameError> {
        match b {
            _ if slash => Err(XmlError::NotWellFormed("a malformed tag").into()),
            b'<' | b'>' => Err(XmlError::NotWellFormed("a malformed tag").into()),
            b'/' => Ok(State::Tag { word, slash: true }),
            b'"' | b'\'' => {
                self.attributes += 1;
                if self.attributes > limits.attributes {
                    return Err(XmlError::Limit("attributes").into());
                }
                if word == Word::Declaration {
                    self.namespaces += 1;
                    self.all_namespaces += 1;
                    if self.namespaces > limits.namespaces
                        || self.all_namespaces > limits.all_namespaces
                    {
                        return Err(XmlError::Limit("namespace declarations").into());
                    }
                }
                Ok(State::Quoted(b))
            }
            b => Ok(State::Tag {
                word: word.then(b),
                slash: false,
            }),
        }
    }

    /// After the `>` of a start tag.
    fn tag_ends(&mut self, place: Place) -> Result<Option<Item>, FrameError> {
        let empty = matches!(self.state, State::Tag { slash: true, .. });
        if place != Place::Content {
            return if empty {
                Err(FrameError::Format("a stream without content"))
            } else {
                Ok(Some(Item::Open))
            };
        }
        if !empty {
            self.depth += 1;
        }
        self.state = State::Text;
        Ok((self.depth == 0).then_some(Item::Element))
    }

    fn bang(&self, b: u8, matched: usize) -> Result<State, FrameError> {
        const CDATA: &[u8] = b"[CDATA[";
        match (matched, b) {
            (0, b'-') => Err(XmlError::Restricted("a comment").into()),
            (0, b'[') if self.depth == 0 => Err(FrameError::Format("text outside of an element")),
            (matched, b) if CDATA.get(matched) == Some(&b) => Ok(if matched + 1 == CDATA.len() {
                State::Cdata(0)
            } else {
                State::Bang(matched + 1)
            }),
            (0, _) => Err(XmlError::Restricted("a document type").into()),
            _ => Err(XmlError::NotWellFormed("a malformed CDATA section").into()),
        }
    }
}

/// A byte of `<?xml ...?>`; any other processing instruction is refused as soon as it shows.
fn declaration(b: u8, matched: usize) -> Result<State, FrameError> {
    const XML: &[u8] = b"xml";
    if matched > XML.len() {
        return Ok(State::Declaration {
            matched,
            question: b == b'?',
        });
    }
    let fits = match XML.get(matched) {
        Some(expected) => *expected == b,
        None => xml::is_space(b),
    };
    if fits {
        Ok(State::Declaration {
            matched: matched + 1,
            question: false,
        })
    } else {
        Err(XmlError::Restricted("a processing instruction").into())
    }
}
