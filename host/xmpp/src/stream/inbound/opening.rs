//! From the peer's header to features, and from STARTTLS to the handshake.

use super::{Agreed, Asked, Ground, Inbound, InboundAction, Reading, Security, State};
use crate::{
    error::{StreamCondition, StreamError},
    frame::StreamHeader,
    jid::Domain,
    ns, sasl,
    stream::{
        Need, NoTls, Proof, Question, StreamEnd,
        features::{self, Announced, Offer},
        header::{self, Claim, Speech},
    },
    xml::Element,
};

impl Inbound {
    pub(super) fn header(&mut self, security: Security, header: &StreamHeader) -> State {
        self.face.peer = header::sender(header);
        let speech = header::speech(header);
        if speech == Speech::Legacy && matches!(security, Security::Tls(..)) {
            return self.fail(unsupported_version());
        }
        let claim = match Claim::of(header) {
            Ok(claim) => claim,
            Err(error) => return self.fail(error),
        };
        let security = match security {
            Security::Tls(facts, before) => {
                let agreed = before.as_ref().map(|before| &before.claim.to);
                if [facts.sni.as_ref(), agreed]
                    .into_iter()
                    .flatten()
                    .any(|name| *name != claim.to)
                {
                    return self.fail(
                        StreamError::new(StreamCondition::ImproperAddressing)
                            .with_text("TLS was set up for another domain than the header's 'to'"),
                    );
                }
                match before {
                    Some(before) if before.claim == claim => {
                        return self.opened(Security::Tls(facts, None), before, speech);
                    }
                    before => Security::Tls(facts, before),
                }
            }
            Security::Plain => Security::Plain,
        };
        self.actions.push_back(InboundAction::Ask(Question::Open {
            from: claim.from.clone(),
            to: claim.to.clone(),
        }));
        State::Asked(Asked::Open(security, claim, speech))
    }

    /// The driver lets the stream exist.
    pub(super) fn opened(&mut self, security: Security, agreed: Agreed, speech: Speech) -> State {
        self.face.own = Some(agreed.claim.to.clone());
        match security {
            Security::Plain => self.opened_plain(agreed, speech),
            Security::Tls(tls, _) => self.opened_tls(Ground::new(agreed, Some(tls))),
        }
    }

    fn opened_plain(&mut self, agreed: Agreed, speech: Speech) -> State {
        let terms = agreed.terms;
        let ground = Ground::new(agreed, None);
        match (speech, terms.tls) {
            // It has no features to read, and no STARTTLS (STR-06).
            (Speech::Legacy, _) if !terms.plain() => self.fail(unsupported_version()),
            (Speech::Legacy, _) => {
                self.face.speech = Speech::Legacy;
                self.write_header();
                State::Reading(Reading::Dialback(ground))
            }
            (Speech::Modern, Need::NotSupported) if !terms.plain() => self.fail(no_method()),
            (Speech::Modern, tls) => {
                self.write_header();
                self.offer(Offer::Plain, &ground);
                State::Reading(match tls {
                    Need::Required | Need::Optional => Reading::StartTls(ground),
                    Need::NotSupported => Reading::Dialback(ground),
                })
            }
        }
    }

    fn opened_tls(&mut self, ground: Ground) -> State {
        let terms = ground.agreed.terms;
        match ground.agreed.claim.from.clone() {
            Some(domain) if terms.external => {
                self.actions.push_back(InboundAction::Ask(Question::Prove {
                    domain: domain.clone(),
                }));
                State::Asked(Asked::Prove(ground, domain))
            }
            // Who it is, is said with the dialback key (STR-05).
            _ if terms.tls_dialback => self.without_sasl(ground),
            Some(_) => self.fail(no_method()),
            None => self.fail(
                StreamError::new(StreamCondition::PolicyViolation)
                    .with_text("the header has no 'from': there is nobody to authenticate"),
            ),
        }
    }

    /// The certificate was judged for the header's `from`.
    pub(super) fn judged(
        &mut self,
        ground: Ground,
        from: Domain,
        proven: Result<Proof, String>,
    ) -> State {
        match proven {
            Ok(proof) => {
                self.write_header();
                self.offer(Offer::Proven, &ground);
                let acceptor = sasl::Acceptor::new(from);
                State::Reading(Reading::Authenticating(ground, proof, acceptor))
            }
            Err(_) if ground.agreed.terms.tls_dialback => self.without_sasl(ground),
            Err(reason) => {
                self.fail(StreamError::new(StreamCondition::PolicyViolation).with_text(reason))
            }
        }
    }

    fn without_sasl(&mut self, ground: Ground) -> State {
        self.write_header();
        self.offer(Offer::Unproven, &ground);
        State::Reading(Reading::Dialback(ground))
    }

    pub(super) fn offer(&mut self, offer: Offer, ground: &Ground) {
        let limits = Announced {
            max_bytes: self.settings.limits.stanza_bytes,
            idle_seconds: self.settings.idle_seconds,
        };
        let features = features::offered(offer, &ground.agreed.terms, &limits);
        self.wire.element(&features);
    }

    pub(super) fn before_tls(&mut self, ground: Ground, element: &Element) -> State {
        if element.is(ns::TLS, "starttls") {
            if self.wire.has_unread() {
                self.wire.element(&Element::new(ns::TLS, "failure"));
                self.wire.close();
                return self.finish(StreamEnd::NoTls(NoTls::Injection));
            }
            self.wire.element(&Element::new(ns::TLS, "proceed"));
            self.actions.push_back(InboundAction::StartTls {
                to: ground.agreed.claim.to.clone(),
            });
            return State::Handshake(ground.agreed);
        }
        match element.ns() {
            ns::SASL => self.refused(
                Reading::StartTls(ground),
                sasl::Condition::EncryptionRequired,
            ),
            // Servers that have it say it in one breath with what follows.
            ns::BIDI => State::Reading(Reading::StartTls(ground)),
            ns::DIALBACK => self.dialback(Reading::StartTls(ground), element),
            _ => self.unexpected(element),
        }
    }
}

pub(super) fn unsupported_version() -> StreamError {
    StreamError::new(StreamCondition::UnsupportedVersion).with_text("XMPP 1.0 is needed")
}

fn no_method() -> StreamError {
    StreamError::new(StreamCondition::PolicyViolation)
        .with_text("there is no way to authenticate that both sides accept")
}
