//! May this stream exist? The answers of the gateway itself and of the generation's gatekeepers.
//!
//! In: the two domains of a stream and who opened it. Out: yes, or a refusal that names the rule or
//! the plugin. A refusal is remembered with its generation: when another one takes over, or a partner
//! record ends by itself, the session asks again ([`Standing::of`] is cheap enough for that, and nothing else ever makes a stream valid).

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_policy::{Generation, Reference, Ruling, Told};
use portcullis_xmpp::error::{StanzaCondition, StanzaError, StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::Peer;

use super::terms;
use crate::app::Gateway;
use crate::tls::Side;

/// Who admits streams with internal servers.
const INSIDE: &str = "gateway:internal-server";

/// Why a stream may not exist.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Refusal {
    /// The plugin, or the gateway's rule.
    pub(crate) by: Arc<str>,
    /// What the peer is told.
    pub(crate) error: StreamError,
}

impl Refusal {
    pub(super) fn rule(by: &str, condition: StreamCondition, text: String) -> Self {
        Self {
            by: Arc::from(by),
            error: StreamError::new(condition).with_text(text),
        }
    }

    /// An element has begun and comes slower than so many bytes per second (XEP-0205).
    pub(super) fn too_slow(floor: usize) -> Self {
        let text = format!("an element came slower than {floor} bytes per second");
        Self::rule(
            "gateway:minimum-rate",
            StreamCondition::PolicyViolation,
            text,
        )
    }

    /// A ruling as a refusal, if it is one.
    pub(crate) fn of(ruling: Ruling) -> Result<Arc<str>, Self> {
        match ruling {
            Ruling::Admitted { by } => Ok(by),
            Ruling::Refused { by, text } => Err(Self {
                by,
                error: StreamError::new(StreamCondition::PolicyViolation).with_text(text),
            }),
        }
    }

    /// The same refusal with a reference in its error, to be asked about by.
    #[must_use]
    pub(super) fn referred(mut self) -> Self {
        if self.error.reference.is_none() {
            self.error.reference = Some(Reference::draw().to_string());
        }
        self
    }

    /// What the record of the stream keeps of it, if it has a reference.
    pub(super) fn told(&self) -> Option<portcullis_policy::Refusal> {
        Some(portcullis_policy::Refusal {
            reference: self.error.reference.as_ref()?.parse().ok()?,
            told: Told::Error(self.error.told()),
        })
    }

    /// What the sender of a stanza over such a stream is told (table 4b: "plugin denies partner
    /// domain").
    pub(crate) fn stanza_error(&self) -> StanzaError {
        let error = StanzaError::new(StanzaCondition::NotAllowed);
        match &self.error.text {
            Some(text) => error.with_text(text.clone()),
            None => error,
        }
    }
}

/// What the gatekeepers say about the partner of a stream, and which generation's.
#[derive(Debug, Clone)]
pub(crate) struct Standing {
    /// The generation that was asked.
    pub(crate) generation: u64,
    /// How often records had ended by themselves by then.
    lapses: u64,
    /// Its answer: who admits it, or why not.
    pub(crate) answer: Result<Arc<str>, Refusal>,
}

/// That a domain may knock on a connection: it says its name in every header that it sends there, and
/// is asked about once.
#[derive(Debug)]
pub(super) struct Knocked {
    domain: Domain,
    generation: u64,
    lapses: u64,
}

impl Knocked {
    /// Asks the gatekeepers about a domain that connects to us, before anything of it is proven.
    pub(super) async fn ask(
        gateway: &Gateway,
        generation: &Generation,
        domain: &Domain,
        address: SocketAddr,
    ) -> Result<Self, Refusal> {
        let lapses = gateway.lapses();
        let ruling = generation
            .knock(domain, Direction::Inbound, Some(address))
            .await;
        Refusal::of(ruling).map(|_| Self {
            domain: domain.clone(),
            generation: generation.number(),
            lapses,
        })
    }

    /// Whether it is about this domain, and what it rests on is still so.
    pub(super) fn covers(&self, gateway: &Gateway, generation: u64, domain: &Domain) -> bool {
        self.domain == *domain && self.generation == generation && self.lapses == gateway.lapses()
    }
}

impl Standing {
    /// Asks about a partner's established stream: all gatekeepers, both questions, and between them
    /// the partner's record.
    pub(crate) async fn of(gateway: &Gateway, generation: &Generation, peer: &Arc<Peer>) -> Self {
        let lapses = gateway.lapses();
        let knock = generation
            .knock(&peer.remote, peer.direction, knocking(peer))
            .await;
        let answer = match Refusal::of(knock) {
            Ok(_) => admitted(gateway, generation, peer).await,
            Err(refusal) => Err(refusal),
        };
        Self {
            generation: generation.number(),
            lapses,
            answer,
        }
    }

    /// The same about a peer that was let in when it knocked: what is left to ask.
    pub(super) async fn of_knocked(
        gateway: &Gateway,
        generation: &Generation,
        peer: &Arc<Peer>,
    ) -> Self {
        let lapses = gateway.lapses();
        Self {
            generation: generation.number(),
            lapses,
            answer: admitted(gateway, generation, peer).await,
        }
    }

    /// Asks whether an internal server may speak to this partner.
    pub(crate) async fn of_partner(
        gateway: &Gateway,
        generation: &Generation,
        partner: &Domain,
    ) -> Self {
        let lapses = gateway.lapses();
        let ruling = generation.knock(partner, Direction::Outbound, None).await;
        Self {
            generation: generation.number(),
            lapses,
            answer: Refusal::of(ruling),
        }
    }

    /// The answer about streams between the gateway and the organisation's own servers, which no
    /// gatekeeper is asked about.
    pub(crate) fn inside(gateway: &Gateway, generation: &Generation) -> Self {
        Self {
            generation: generation.number(),
            lapses: gateway.lapses(),
            answer: Ok(Arc::from(INSIDE)),
        }
    }

    /// Whether the answer is that of this generation, and no record has ended since.
    pub(crate) fn is_current(&self, gateway: &Gateway, generation: u64) -> bool {
        self.generation == generation && self.lapses == gateway.lapses()
    }

    /// Why the stream may not exist, if it may not.
    pub(crate) fn refusal(&self) -> Option<&Refusal> {
        self.answer.as_ref().err()
    }

    /// Who admits the stream. An internal server's stream exists even if its partner is refused.
    pub(crate) fn by(&self) -> Arc<str> {
        match &self.answer {
            Ok(by) => Arc::clone(by),
            Err(_) => Arc::from(INSIDE),
        }
    }
}

/// The partner's record, then the gatekeepers' second question.
async fn admitted(
    gateway: &Gateway,
    generation: &Generation,
    peer: &Arc<Peer>,
) -> Result<Arc<str>, Refusal> {
    terms::still_allowed(gateway, peer)?;
    Refusal::of(generation.admit(peer).await)
}

/// The address that a gatekeeper is told: only who connects to us has one when it knocks.
fn knocking(peer: &Peer) -> Option<SocketAddr> {
    peer.address
        .filter(|_| peer.direction == Direction::Inbound)
}

/// The gateway's own rules about a header, before any gatekeeper is asked.
pub(super) fn may_open(
    gateway: &Gateway,
    side: Side,
    from: Option<&Domain>,
    to: &Domain,
) -> Result<(), Refusal> {
    match side {
        Side::Federation => from_outside(gateway, from, to),
        Side::Internal => from_inside(gateway, from, to),
    }
}

fn from_outside(gateway: &Gateway, from: Option<&Domain>, to: &Domain) -> Result<(), Refusal> {
    if !gateway.is_own(to) {
        return Err(host_unknown(to));
    }
    // ADR-04: nobody outside is one of us.
    match from {
        Some(from) if gateway.is_own(from) => Err(Refusal::rule(
            "gateway:own-domain",
            StreamCondition::InvalidFrom,
            format!("{from} is served here and does not connect from outside"),
        )),
        Some(from) => gateway.of_record(from, terms::may_knock),
        None => Ok(()),
    }
}

fn from_inside(gateway: &Gateway, from: Option<&Domain>, to: &Domain) -> Result<(), Refusal> {
    if gateway.is_own(to) && !gateway.config().internal.relay_internal {
        return Err(host_unknown(to));
    }
    match from {
        Some(from) if !gateway.is_own(from) => Err(Refusal::rule(
            "gateway:not-internal",
            StreamCondition::InvalidFrom,
            format!("{from} is not a domain of an internal server of this gateway"),
        )),
        _ => Ok(()),
    }
}

fn host_unknown(to: &Domain) -> Refusal {
    Refusal::rule(
        "gateway:host-unknown",
        StreamCondition::HostUnknown,
        format!("{to} is not served by this gateway"),
    )
}
