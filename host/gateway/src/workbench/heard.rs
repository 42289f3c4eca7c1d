//! Made-up peers and decisions.

use std::{sync::Arc, time::Duration};

use portcullis_policy::{Decision, Event};
use portcullis_xmpp::{
    error::StanzaCondition,
    jid::Domain,
    stanza::{Direction, Stanza},
    stream::{Initiator, Method, Party, Peer, Proof, TlsFacts, TlsMode},
};
use time::OffsetDateTime;

use super::fixture::{PeerFacts, Proven, Tls, Told, domain, stanza};

/// An address of documentation (RFC 5737), where nobody is.
const ADDRESS: &str = "192.0.2.1:5269";
/// The words for decisions (see [`Decision::verdict`]).
const VERDICTS: [&str; 7] = [
    "pass", "reject", "drop", "bounce", "allow", "refuse", "close",
];

/// Which way a stanza goes, as its addresses say.
pub(super) fn direction(stanza: &Stanza, own: &[Domain]) -> Direction {
    match own.contains(stanza.from().domain()) {
        true => Direction::Outbound,
        false => Direction::Inbound,
    }
}

/// The sender of a stream on which stanzas go this way, `remote` being at its other end.
pub(super) fn peer(
    facts: &PeerFacts,
    direction: Direction,
    remote: Domain,
    local: Domain,
) -> Arc<Peer> {
    let tls = facts.tls.unwrap_or(Tls::V13);
    let method = facts.method.unwrap_or(Proven::External);
    let (version, cipher) = match tls {
        Tls::V12 => ("TLSv1.2", "TLS_ECDHE_ECDSA_WITH_AES_256_GCM_SHA384"),
        Tls::V13 | Tls::None => ("TLSv1.3", "TLS13_AES_256_GCM_SHA384"),
    };
    let facts_of_tls = TlsFacts {
        version,
        cipher,
        sni: None,
        mode: TlsMode::StartTls,
        certificate: None,
    };
    Arc::new(Peer {
        remote,
        local,
        direction,
        party: match direction {
            Direction::Inbound => Party::Partner,
            Direction::Outbound => Party::Internal,
        },
        initiator: Initiator::Peer,
        address: facts.address.or_else(|| ADDRESS.parse().ok()),
        stream_id: Arc::from("fixture"),
        method: Some(match method {
            Proven::External => Method::External(Proof::Pkix),
            Proven::TlsDialback => Method::TlsDialback,
            Proven::TcpDialback => Method::TcpDialback,
        }),
        tls: (!matches!(tls, Tls::None)).then_some(facts_of_tls),
        bidi: false,
    })
}

/// The peer that a stanza comes from.
pub(super) fn sender(facts: &PeerFacts, direction: Direction, stanza: &Stanza) -> Arc<Peer> {
    let remote = stanza.from().domain().clone();
    let local = stanza.to().domain().clone();
    peer(facts, direction, remote, local)
}

/// The decision that an observer is told.
pub(super) fn decision(told: &Told, own: &[Domain]) -> Result<Decision, String> {
    let verdict = VERDICTS.into_iter().find(|word| *word == told.verdict);
    let verdict = verdict.ok_or_else(|| {
        format!(
            "`{}` is no verdict; there are {}",
            told.verdict,
            VERDICTS.join(", ")
        )
    })?;
    let way = told.direction.map(Direction::from);
    let (event, stanza, peer) = match (&told.stanza, &told.stream) {
        (Some(xml), None) => {
            let stanza = stanza(xml)?;
            let direction = way.unwrap_or_else(|| direction(&stanza, own));
            let peer = sender(&told.peer, direction, &stanza);
            let event = match verdict {
                "bounce" => Event::Bounce,
                _ => Event::Stanza,
            };
            (event, Some(stanza), peer)
        }
        (None, Some(name)) => {
            let local = own.first().ok_or("`own` names no domain")?.clone();
            let direction = way.unwrap_or(Direction::Inbound);
            let peer = peer(&told.peer, direction, domain(name)?, local);
            (Event::Stream, None, peer)
        }
        _ => return Err("a decision is about one `stanza` or one `stream`".to_owned()),
    };
    let condition = told.condition.as_deref().map(StanzaCondition::from_name);
    Ok(Decision {
        time: OffsetDateTime::now_utc(),
        event,
        kind: stanza.as_ref().map(Stanza::kind),
        peer,
        stanza,
        arrived: None,
        verdict,
        by: told.by.as_deref().map(Arc::from),
        reason: told.reason.clone(),
        condition: condition.map(StanzaCondition::as_str),
        generation: 1,
        elapsed: Duration::ZERO,
        refusal: None,
    })
}
