//! A stream that stands: bytes in, authenticated stanzas out.

use portcullis_xmpp::frame::Limits;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{
    Answer, Authenticated, Inbound, InboundAction, InboundSettings, Proof, Question, Start, Terms,
    TlsFacts, TlsMode,
};

use crate::callgrind::Failure;

pub(crate) const HEADER: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' to='org.test' version='1.0'>";

/// From alpha.test to org.test.
pub(crate) struct Stream(Inbound);

impl Stream {
    pub(crate) fn open() -> Result<Self, Failure> {
        let facts = TlsFacts {
            version: "TLSv1.3",
            cipher: "TLS13_AES_256_GCM_SHA384",
            sni: None,
            mode: TlsMode::Direct,
            certificate: Some(b"certificate".as_slice().into()),
        };
        let settings = InboundSettings {
            limits: Limits::default(),
            direction: Direction::Inbound,
            address: Some("192.0.2.7:40000".parse()?),
            fallback: None,
            pairs: InboundSettings::PAIRS,
            idle_seconds: None,
        };
        let id = Box::new(|| "stream-1".to_owned());
        let mut inbound = Inbound::new(settings, id, Start::Tls(facts));
        let auth = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>";
        for said in [HEADER, auth] {
            inbound.receive(said.as_bytes());
            if let Some(action) = act(&mut inbound) {
                return Err(format!("too early: {action:?}").into());
            }
        }
        inbound.receive(HEADER.as_bytes());
        match act(&mut inbound) {
            Some(InboundAction::Established(_)) => Ok(Self(inbound)),
            other => Err(format!("the stream does not stand: {other:?}").into()),
        }
    }

    /// Takes one stanza.
    pub(crate) fn receive(&mut self, bytes: &[u8]) -> Result<Authenticated, Failure> {
        self.0.receive(bytes);
        match act(&mut self.0) {
            Some(InboundAction::Stanza(stanza)) => Ok(stanza),
            other => Err(format!("no stanza but {other:?}").into()),
        }
    }
}

/// Answers yes to everything, up to the first action that matters.
fn act(inbound: &mut Inbound) -> Option<InboundAction> {
    loop {
        match inbound.next()? {
            InboundAction::Send(_) => {}
            InboundAction::Ask(Question::Open { .. }) => {
                inbound.answer(Answer::Open(Ok(Terms::CERTIFICATE)));
            }
            InboundAction::Ask(Question::Prove { .. }) => {
                inbound.answer(Answer::Prove(Ok(Proof::Pkix)));
            }
            InboundAction::Ask(Question::Admit(_)) => inbound.answer(Answer::Admit(Ok(()))),
            action => return Some(action),
        }
    }
}
