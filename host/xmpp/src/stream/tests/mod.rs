//! The rules of federation, one test each: bytes in, actions out. Every script is played twice, in
//! whole pieces and byte by byte, and has to end the same.

mod inbound;
mod outbound;
mod together;

use super::*;
use crate::{
    dialback::{DialbackCondition, DialbackError, Secret, Verified},
    error::{StreamCondition, StreamError},
    frame::Limits,
    jid::Domain,
    stanza::Direction,
};

pub(super) fn domain(name: &str) -> Domain {
    Domain::parse(name).unwrap()
}

pub(super) fn tls(mode: TlsMode, sni: Option<&str>) -> TlsFacts {
    TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS13_AES_256_GCM_SHA384",
        sni: sni.map(domain),
        mode,
        certificate: Some(Arc::from(&b"der"[..])),
    }
}

/// A header as real servers write it.
pub(super) fn header(attributes: &str) -> String {
    format!(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
         xmlns:stream='http://etherx.jabber.org/streams' {attributes}>"
    )
}

/// What stands in the sent bytes, without what every header says.
pub(super) fn brief(sent: &str) -> String {
    sent.replace(
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:db='jabber:server:dialback'",
        "<HEADER",
    )
}

/// How the driver answers.
#[derive(Clone)]
pub(super) struct Answers {
    pub(super) open: Result<Terms, StreamError>,
    pub(super) prove: Result<Proof, String>,
    pub(super) admit: Result<(), StreamError>,
}

impl Answers {
    pub(super) fn yes() -> Self {
        Self {
            open: Ok(Terms::CERTIFICATE),
            prove: Ok(Proof::Pkix),
            admit: Ok(()),
        }
    }

    pub(super) fn to(&self, question: &Question) -> Answer {
        match question {
            Question::Open { .. } => Answer::Open(self.open.clone()),
            Question::Prove { .. } => Answer::Prove(self.prove.clone()),
            Question::Pair { .. } => {
                Answer::Pair(Err(DialbackError::new(DialbackCondition::ItemNotFound)))
            }
            Question::Key(_) => Answer::Key(Verified::Invalid),
            Question::Admit(_) => Answer::Admit(self.admit.clone()),
        }
    }
}

pub(super) fn describe(question: &Question) -> String {
    match question {
        Question::Open { from, to } => format!(
            "open? {} -> {to}",
            from.as_ref().map_or("-", Domain::as_str)
        ),
        Question::Prove { domain } => format!("prove? {domain}"),
        Question::Pair { from, to } => format!("pair? {from} -> {to}"),
        Question::Key(asked) => format!("key? {} {}", asked.originating, asked.stream_id),
        Question::Admit(peer) => format!("admit? {} -> {}", peer.remote, peer.local),
    }
}

/// What a script does from outside.
#[derive(Clone)]
pub(super) enum In {
    Bytes(String),
    Eof,
    Close(Option<StreamError>),
    TlsFailed,
}

pub(super) fn bytes(text: &str) -> In {
    In::Bytes(text.to_owned())
}

pub(super) fn policy() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation).with_text("not on the list")
}

/// What came of it: all that was sent, with `[TLS]` where the handshake was asked for, and
/// everything else in order.
#[derive(Debug, PartialEq, Eq, Default)]
pub(super) struct Outcome {
    pub(super) sent: String,
    pub(super) events: Vec<String>,
}

impl Outcome {
    pub(super) fn last(&self) -> &str {
        self.events.last().map_or("", String::as_str)
    }

    /// The stream error that ended it, after a header, before the closing tag, and nothing after.
    #[track_caller]
    pub(super) fn closes_with(&self, condition: &str) {
        let error =
            format!("<stream:error><{condition} xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>");
        let at = self
            .sent
            .find(&error)
            .unwrap_or_else(|| panic!("no {condition} in {self:#?}"));
        assert!(
            self.sent[..at].contains("<HEADER"),
            "a header comes first: {self:#?}"
        );
        assert!(
            self.sent[at..].ends_with("</stream:error></stream:stream>"),
            "{self:#?}"
        );
        assert_eq!(
            self.sent.matches("</stream:stream>").count(),
            1,
            "{self:#?}"
        );
    }
}

/// How the bytes of a script arrive.
#[derive(Debug, Clone, Copy)]
pub(super) enum Pieces {
    Whole,
    Bytes,
}

impl Pieces {
    pub(super) fn cut(self, bytes: &[u8]) -> Vec<&[u8]> {
        match self {
            Self::Whole => vec![bytes],
            Self::Bytes => bytes.chunks(1).collect(),
        }
    }
}

pub(super) fn limits() -> Limits {
    Limits::default()
}
