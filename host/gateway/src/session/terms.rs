//! Does the record of a partner allow this stream?
//!
//! In: an established peer, or a domain that wants to speak, and the record in force. Out: yes, or a
//! refusal that says what the record does not allow. Pure, so that it may be asked again whenever
//! the records change: what they no longer allow ends then, and nothing else. Whether a certificate
//! is still good is asked elsewhere.

use portcullis_xmpp::error::StreamCondition;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{Initiator, Method, Need, Peer, Proof, Terms};

use super::standing::Refusal;
use crate::app::Gateway;
use crate::config::{Federation, Partner};
use crate::tls::Side;

/// Who refuses.
const BY: &str = "gateway:partner-record";

/// On what terms a stream may exist. Both ways only where stanzas may flow both ways.
pub(super) fn of(gateway: &Gateway, side: Side, initiator: Initiator, domain: &Domain) -> Terms {
    let terms = gateway.terms(side, initiator, domain);
    let both = match side {
        Side::Federation => gateway.of_record(domain, |record| {
            record.direction.takes() && record.direction.sends()
        }),
        Side::Internal => true,
    };
    Terms {
        bidi: terms.bidi && both,
        ..terms
    }
}

/// Whether an established stream with a partner may go on under the record in force.
pub(super) fn still_allowed(gateway: &Gateway, peer: &Peer) -> Result<(), Refusal> {
    let config = gateway.config();
    gateway.of_record(&peer.remote, |record| {
        allowed(peer, record, &config.federation)
    })
}

/// As [`still_allowed`], with everything that it depends on.
fn allowed(peer: &Peer, record: &Partner, outside: &Federation) -> Result<(), Refusal> {
    // On a stream that goes both ways, answers go the way that is closed to everything else.
    match peer.initiator {
        Initiator::Peer => may_deliver(record)?,
        Initiator::Gateway => may_send(record)?,
    }
    let terms = record.terms(outside);
    let domain = &peer.remote;
    match (terms.tls, &peer.tls) {
        (Need::Required, None) => {
            return Err(refusal(format!("streams with {domain} must use TLS")));
        }
        (Need::NotSupported, Some(_)) => {
            return Err(refusal(format!("streams with {domain} do not use TLS")));
        }
        _ => {}
    }
    let proven = match peer.method {
        None => true,
        Some(Method::External(Proof::Pkix)) => terms.external,
        Some(Method::External(Proof::Pinned)) => terms.external && !record.pins.is_empty(),
        Some(Method::External(Proof::Dane)) => terms.external && record.dane,
        Some(Method::External(Proof::Posh)) => terms.external && record.posh,
        Some(Method::TlsDialback) => terms.tls_dialback,
        Some(Method::TcpDialback) => terms.tcp_dialback,
    };
    if !proven {
        let method = peer.method.map_or("nothing", Method::as_str);
        return Err(refusal(format!("{method} does not prove {domain} here")));
    }
    if peer.bidi && !terms.bidi {
        return Err(refusal(format!("streams with {domain} go one way each")));
    }
    Ok(())
}

/// Whether a domain may open a stream. One that only takes stanzas may have to, to ask whether a
/// dialback key is ours (XEP-0220 §2.3); it is refused when it asks for more.
pub(super) fn may_knock(record: &Partner) -> Result<(), Refusal> {
    match record.dialback {
        true => Ok(()),
        false => may_deliver(record),
    }
}

/// Whether a partner may send us something.
fn may_deliver(record: &Partner) -> Result<(), Refusal> {
    match record.direction.takes() {
        true => Ok(()),
        false => Err(refusal(format!(
            "this server takes no stanzas from {}",
            record.domain
        ))),
    }
}

/// Whether a stream may be opened to send something to a partner.
pub(super) fn may_send(record: &Partner) -> Result<(), Refusal> {
    match record.direction.sends() {
        true => Ok(()),
        false => Err(refusal(format!(
            "this server sends no stanzas to {}",
            record.domain
        ))),
    }
}

fn refusal(text: String) -> Refusal {
    Refusal::rule(BY, StreamCondition::PolicyViolation, text)
}

#[cfg(test)]
mod tests;
