//! From our header to the peer's features, and from STARTTLS to the handshake.

use super::{Asked, Ground, Offered, Outbound, OutboundAction, Purpose, Reading, Stage, State};
use crate::{
    dialback::Message,
    error::{StreamCondition, StreamError},
    frame::StreamHeader,
    ns,
    stream::{
        Need, NoTls, OutboundFailure, Question, TlsFacts,
        features::Features,
        first_level,
        header::{self, Speech},
    },
    xml::Element,
};

impl Outbound {
    /// Sends our header. What was known of the peer's stream before is forgotten.
    pub(super) fn open(&mut self, stage: Stage) -> State {
        self.wire.text(&header::initial(
            &self.settings.local,
            &self.settings.remote,
        ));
        State::Reading(Reading::Header(stage))
    }

    pub(super) fn header(&mut self, stage: Stage, header: StreamHeader) -> State {
        match (header::speech(&header), stage) {
            (Speech::Modern, stage) => State::Reading(Reading::Features(stage, header)),
            // No features will come, so nothing is left to wait for.
            (Speech::Legacy, Stage::Plain) => self.plain(header, Features::default()),
            (Speech::Legacy, Stage::Tls(_) | Stage::Authenticated(_)) => self.broken(
                StreamError::new(StreamCondition::UnsupportedVersion)
                    .with_text("XMPP 1.0 is needed"),
            ),
        }
    }

    pub(super) fn features(
        &mut self,
        stage: Stage,
        header: StreamHeader,
        features: Features,
    ) -> State {
        match stage {
            Stage::Plain => self.plain(header, features),
            _ if header::sender(&header).as_ref() != Some(&self.settings.remote) => {
                self.broken(foreign_header())
            }
            Stage::Tls(tls) => self.secured(tls, header, features),
            Stage::Authenticated(before) => self.authenticated(Ground {
                header,
                features,
                ..before
            }),
        }
    }

    /// In the clear a header proves nothing, and of the features only TLS is of interest, unless the
    /// terms allow a stream without it.
    fn plain(&mut self, header: StreamHeader, features: Features) -> State {
        match (self.settings.terms.tls, features.starttls) {
            (Need::Required | Need::Optional, Some(_)) => self.ask_for_tls(Offered::Yes),
            (_, None) if self.settings.terms.plain() => self.without_tls(header, features),
            (Need::Required | Need::Optional, None) => self.ask_for_tls(Offered::No),
            (Need::NotSupported, Some(Need::Required)) => {
                self.wire.close();
                self.failed(OutboundFailure::TlsDemanded)
            }
            (Need::NotSupported, Some(_)) if self.settings.terms.plain() => {
                self.without_tls(header, features)
            }
            (Need::NotSupported, _) => {
                self.wire.close();
                self.failed(OutboundFailure::NoExternal)
            }
        }
    }

    fn without_tls(&mut self, header: StreamHeader, features: Features) -> State {
        // An old server's may be missing.
        if header::sender(&header).is_some_and(|from| from != self.settings.remote) {
            return self.broken(foreign_header());
        }
        let ground = Ground {
            tls: None,
            proof: None,
            header,
            features,
            bidi: false,
        };
        match self.question() {
            Some(state) => state,
            None => self.dialback(ground, None),
        }
    }

    fn secured(&mut self, tls: TlsFacts, header: StreamHeader, features: Features) -> State {
        if let Some(state) = self.question() {
            return state;
        }
        let ground = Ground {
            tls: Some(tls),
            proof: None,
            header,
            features,
            bidi: false,
        };
        if self.settings.terms.external {
            let domain = self.settings.remote.clone();
            self.actions
                .push_back(OutboundAction::Ask(Question::Prove { domain }));
            return State::Asked(Asked::Prove(ground));
        }
        if self.settings.terms.tls_dialback {
            return self.dialback(ground, None);
        }
        self.wire.close();
        self.failed(OutboundFailure::NoExternal)
    }

    /// Sends the question that the stream is for, if it is for one. An authoritative server answers
    /// it whoever asks.
    fn question(&mut self) -> Option<State> {
        let Purpose::Verify(asked) = &self.settings.purpose else {
            return None;
        };
        let asked = asked.clone();
        self.wire
            .element(&Message::Verify(asked.clone()).to_element());
        Some(State::Reading(Reading::Verifying(asked)))
    }

    fn ask_for_tls(&mut self, offered: Offered) -> State {
        self.wire.element(&Element::new(ns::TLS, "starttls"));
        State::Reading(Reading::Proceed(offered))
    }

    pub(super) fn proceed(&mut self, offered: Offered, element: &Element) -> State {
        if element.is(ns::TLS, "proceed") {
            if self.wire.has_unread() {
                return self.failed(OutboundFailure::NoTls(NoTls::Injection));
            }
            self.actions.push_back(OutboundAction::StartTls {
                server_name: self.settings.remote.clone(),
            });
            return State::Handshake;
        }
        if element.is(ns::TLS, "failure") {
            self.wire.close();
            return self.failed(offered.refused());
        }
        self.broken(first_level::misplaced(element))
    }
}

impl Offered {
    pub(super) fn refused(self) -> OutboundFailure {
        match self {
            Self::Yes => OutboundFailure::TlsRefused,
            Self::No => OutboundFailure::NoStartTls,
        }
    }
}

fn foreign_header() -> StreamError {
    StreamError::new(StreamCondition::InvalidFrom)
        .with_text("the header's 'from' is not the domain that was asked for")
}
