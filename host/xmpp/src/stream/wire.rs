//! The two ends of the byte stream that both machines work on: the framer, and what waits to be sent.
//!
//! All that one event causes is sent in one piece: header, error and closing tag go in one packet.

use crate::{
    error::StreamError,
    frame::{Event, FrameError, Framer, Limits},
    ns,
    xml::{Element, Writer},
};

/// Declared in every header of ours; some servers know stream elements by this prefix only.
const PREFIXES: &[(&str, &str)] = &[("stream", ns::STREAM), ("db", ns::DIALBACK)];

pub(super) struct Wire {
    limits: Limits,
    framer: Framer,
    output: Vec<u8>,
}

impl Wire {
    pub(super) fn new(limits: Limits) -> Self {
        Self {
            framer: Framer::new(limits),
            limits,
            output: Vec::new(),
        }
    }

    pub(super) fn receive(&mut self, bytes: &[u8]) {
        self.framer.push(bytes);
    }

    pub(super) fn next_event(&mut self) -> Result<Option<Event>, FrameError> {
        self.framer.next()
    }

    /// How many bytes were received that no event has told of yet.
    pub(super) fn unfinished(&self) -> usize {
        self.framer.buffered()
    }

    /// Whether bytes were received that no event has told of yet.
    pub(super) fn has_unread(&self) -> bool {
        self.framer.buffered() > 0
    }

    /// Forgets everything: what comes now comes through TLS (RFC 6120 §5.4.3.3).
    pub(super) fn renew(&mut self) {
        *self = Self::new(self.limits);
    }

    /// The peer is authenticated, without a new header.
    pub(super) fn authenticated(&mut self) {
        self.framer.authenticated();
    }

    /// The peer is authenticated, and a new header follows.
    pub(super) fn restart(&mut self) {
        self.framer.authenticated();
        self.framer.restart();
    }

    pub(super) fn text(&mut self, text: &str) {
        self.output.extend_from_slice(text.as_bytes());
    }

    pub(super) fn element(&mut self, element: &Element) {
        Writer::new(ns::SERVER)
            .with_prefixes(PREFIXES)
            .write(element, &mut self.output);
    }

    pub(super) fn error(&mut self, error: &StreamError) {
        self.element(&error.to_element());
        self.close();
    }

    pub(super) fn close(&mut self) {
        self.text("</stream:stream>");
    }

    pub(super) fn take_output(&mut self) -> Option<Vec<u8>> {
        if self.output.is_empty() {
            None
        } else {
            Some(std::mem::take(&mut self.output))
        }
    }
}
