//! A partner record: on which terms one partner federates (Lync Server's parameters and more).

pub use portcullis_xmpp::stream::Need;
use portcullis_xmpp::{jid::Domain, stanza::Kind, stream::Terms};
use time::OffsetDateTime;

use super::{
    matrix::Methods,
    model::{Federation, HostPort, Limits, Trust},
};

/// `[[partner]]`. A domain that only a plugin allows gets [`Partner::unlisted`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Partner {
    /// The partner's main domain.
    pub domain: Domain,
    /// Further domains of the same partner.
    pub also: Vec<Domain>,
    /// Who may invite whom.
    pub partner_type: PartnerType,
    /// Whether streams with it are encrypted.
    pub tls: Need,
    /// Whether it proves its name by certificate (SASL EXTERNAL).
    pub sasl: Need,
    /// Whether it may prove its name by dialback where its certificate does not.
    pub dialback: bool,
    /// Whether we send keep-alives and expect answers.
    pub keep_alive: bool,
    /// Connections with this partner, both ways together.
    pub connection_limit: usize,
    /// The next hop, instead of SRV.
    pub proxy: Option<HostPort>,
    /// For people.
    pub description: Option<String>,
    /// Whom to ask, for people.
    pub contact: Option<String>,
    /// Which way stanzas flow.
    pub direction: Flow,
    /// Whether the record is that of every subdomain of its domains, too.
    pub subdomains: bool,
    /// Whose word about its certificate is taken; empty takes that of `[federation].trust`.
    pub trust: Vec<Trust>,
    /// The certificates that it may show, whoever issued them; empty pins none.
    pub pins: Vec<Pin>,
    /// Whether TLSA records in a signed zone prove its certificate (RFC 6698, RFC 7673).
    pub dane: bool,
    /// Whether its web server proves its certificate (RFC 7711).
    pub posh: bool,
    /// What it may send.
    pub stanzas_in: Kinds,
    /// What may be sent to it.
    pub stanzas_out: Kinds,
    /// Whether group chat passes, either way.
    pub group_chat: bool,
    /// Bytes of one stanza on the wire, either way.
    pub stanza_bytes: usize,
    /// How much it may send.
    pub rate_in: Rate,
    /// How much may be sent to it.
    pub rate_out: Rate,
    /// When the record ends to be one.
    pub valid_until: Option<OffsetDateTime>,
    /// Whether stanzas may flow both ways on one stream (XEP-0288).
    pub bidi: bool,
    /// Whether stanzas are acknowledged and streams resumed (XEP-0198).
    pub stream_management: bool,
}

impl Partner {
    /// The record of a domain that no record names: the defaults of every key.
    #[must_use]
    pub fn unlisted(domain: Domain, limits: &Limits) -> Self {
        Self {
            domain,
            also: Vec::new(),
            partner_type: PartnerType::default(),
            tls: Need::default(),
            sasl: Need::default(),
            dialback: true,
            keep_alive: true,
            connection_limit: limits.connections_per_partner,
            proxy: None,
            description: None,
            contact: None,
            direction: Flow::default(),
            subdomains: false,
            trust: Vec::new(),
            pins: Vec::new(),
            dane: false,
            posh: false,
            stanzas_in: Kinds::ALL,
            stanzas_out: Kinds::ALL,
            group_chat: true,
            stanza_bytes: limits.stanza_bytes,
            rate_in: Rate::default(),
            rate_out: Rate::default(),
            valid_until: None,
            bidi: true,
            stream_management: true,
        }
    }

    /// All domains of the record, the main one first.
    pub fn domains(&self) -> impl Iterator<Item = &Domain> {
        std::iter::once(&self.domain).chain(&self.also)
    }

    /// On what terms streams with it may exist: its row of the negotiation matrix.
    #[must_use]
    pub fn terms(&self, outside: &Federation) -> Terms {
        // No file with an invalid row loads; such a row would prove nothing.
        let methods = Methods::of(self.tls, self.sasl, self.dialback).ok();
        let proves = |of: fn(&Methods) -> bool| methods.as_ref().is_some_and(of);
        Terms {
            tls: self.tls,
            external: proves(|methods| methods.sasl),
            tls_dialback: proves(|methods| methods.tls_dialback),
            tcp_dialback: proves(|methods| methods.tcp_dialback),
            bidi: outside.bidi && self.bidi && self.tls != Need::NotSupported,
            management: outside.stream_management && self.stream_management,
        }
    }

    /// Whether the record is one at this time: after `valid_until` it is as if it were not there.
    #[must_use]
    pub fn is_valid(&self, now: OffsetDateTime) -> bool {
        self.valid_until.is_none_or(|end| now < end)
    }
}

/// Which way stanzas flow between us and a partner.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Flow {
    /// Both ways.
    #[default]
    Both,
    /// From the partner to us.
    Inbound,
    /// From us to the partner.
    Outbound,
}

impl Flow {
    /// Whether the partner may send.
    #[must_use]
    pub fn takes(self) -> bool {
        self != Self::Outbound
    }

    /// Whether something may be sent to the partner.
    #[must_use]
    pub fn sends(self) -> bool {
        self != Self::Inbound
    }
}

/// Which kinds of stanza pass.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Kinds {
    /// `<message/>`
    pub message: bool,
    /// `<presence/>`
    pub presence: bool,
    /// `<iq/>`
    pub iq: bool,
}

impl Kinds {
    /// Every kind.
    pub const ALL: Self = Self {
        message: true,
        presence: true,
        iq: true,
    };

    /// Whether this kind passes.
    #[must_use]
    pub fn contains(self, kind: Kind) -> bool {
        match kind {
            Kind::Message => self.message,
            Kind::Presence => self.presence,
            Kind::Iq => self.iq,
        }
    }
}

/// How much may flow one way; a limit that is none does not hold anybody up.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Rate {
    /// Stanzas per second.
    pub stanzas: Option<u32>,
    /// Bytes of stanzas per second.
    pub bytes: Option<u64>,
}

/// The SHA-256 digest of a certificate in DER, or of its public key (SubjectPublicKeyInfo), whose
/// holder needs no other proof.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Pin(pub [u8; 32]);

/// Who may invite whom (Lync's `PartnerType`).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum PartnerType {
    /// Trusted: both sides may invite.
    Federated,
    /// A public provider that verifies its users: both sides may invite.
    PublicVerified,
    /// A public provider that does not: one of our users must invite first.
    #[default]
    PublicUnverified,
}
