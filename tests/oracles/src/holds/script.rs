//! How a fuzzer's bytes become a conversation: four bytes of choices, then what the peer sends, one
//! piece for each read, divided by bytes that UTF-8 does not have.

use std::sync::Arc;

use portcullis_xmpp::{
    Event, Framer, Limits,
    dialback::{DialbackCondition, DialbackError, Verified},
    error::{StreamCondition, StreamError},
    stream::{Answer, Need, Proof, Question, Terms, TlsFacts, TlsMode},
};

/// The pieces of the bytes.
pub(super) fn pieces(bytes: &[u8]) -> impl Iterator<Item = &[u8]> {
    bytes.split(|b| *b == 0xFF)
}

/// What is chosen before the conversation begins. `@` chooses nothing.
#[derive(Debug, Clone, Copy)]
pub(super) struct Choices([u8; 4]);

impl Choices {
    /// The choices, and what follows them.
    pub(super) fn of(data: &[u8]) -> Option<(Self, &[u8])> {
        let (choices, rest) = data.split_first_chunk::<4>()?;
        Some((Self(*choices), rest))
    }

    /// Whether this bit of this byte is set.
    pub(super) fn has(self, byte: usize, bit: u8) -> bool {
        self.0
            .get(byte)
            .is_some_and(|choice| choice >> bit & 1 == 1)
    }

    pub(super) fn starts_with_tls(self) -> bool {
        self.has(0, 0)
    }

    pub(super) fn terms(self) -> Terms {
        Terms {
            tls: if self.has(0, 1) {
                Need::Optional
            } else {
                Need::Required
            },
            external: !self.has(0, 2),
            tls_dialback: self.has(0, 3),
            tcp_dialback: self.has(0, 4),
            bidi: self.has(1, 0),
            management: self.has(1, 1),
        }
    }

    pub(super) fn facts(self) -> TlsFacts {
        TlsFacts {
            version: "TLSv1.3",
            cipher: "TLS13_AES_256_GCM_SHA384",
            sni: None,
            mode: if self.starts_with_tls() {
                TlsMode::Direct
            } else {
                TlsMode::StartTls
            },
            certificate: (!self.has(2, 4)).then(|| Arc::from([0_u8].as_slice())),
        }
    }

    pub(super) fn answer(self, question: &Question) -> Answer {
        let refused = || StreamError::new(StreamCondition::PolicyViolation);
        match question {
            Question::Open { .. } if self.has(1, 2) => Answer::Open(Err(refused())),
            Question::Open { .. } => Answer::Open(Ok(self.terms())),
            Question::Prove { .. } if self.has(1, 3) => Answer::Prove(Err(String::from("no"))),
            Question::Prove { .. } => Answer::Prove(Ok(Proof::Pkix)),
            Question::Pair { .. } if self.has(1, 4) => {
                Answer::Pair(Err(DialbackError::new(DialbackCondition::ItemNotFound)))
            }
            Question::Pair { .. } => Answer::Pair(Ok(self.terms())),
            Question::Key(_) => Answer::Key(self.verified()),
            Question::Admit(_) if self.has(2, 0) => Answer::Admit(Err(refused())),
            Question::Admit(_) => Answer::Admit(Ok(())),
        }
    }

    pub(super) fn verified(self) -> Verified {
        match (self.has(2, 1), self.has(2, 2)) {
            (false, false) => Verified::Valid,
            (true, _) => Verified::Invalid,
            (false, true) => {
                Verified::Failed(DialbackError::new(DialbackCondition::RemoteServerTimeout))
            }
        }
    }
}

/// Whatever a peer does, it reads well-formed XML: headers, and after each what belongs there.
pub(super) fn check_output(output: &[u8]) {
    const DECLARATION: &str = "<?xml version='1.0'?>";
    let text = std::str::from_utf8(output).unwrap_or("\0");
    let mut streams = text.split(DECLARATION);
    assert_eq!(streams.next(), Some(""), "a header comes first: {text}");
    for stream in streams {
        let mut framer = Framer::new(Limits::default());
        framer.authenticated();
        framer.push(stream.as_bytes());
        loop {
            let event = framer.next();
            assert!(event.is_ok(), "{event:?} in {stream}");
            match event {
                Ok(Some(Event::Close)) => {
                    assert!(
                        stream.ends_with("</stream:stream>"),
                        "more after the end: {stream}"
                    );
                    break;
                }
                Ok(Some(_)) => {}
                _ => break,
            }
        }
        assert_eq!(framer.buffered(), 0, "{stream}");
    }
}

/// More actions than any conversation has.
pub(super) const ENDLESS: usize = 100_000;
