//! One event, many sinks.
//!
//! In: each [`Decision`] about a stanza or a stream. Out: one log line, and the same event to the
//! plugins that observe, and to the memory of refusals. A `closed` observer that is full or failing holds up whoever calls here,
//! which is how its streams stop being read. No message body is ever logged.

use std::sync::Arc;
use std::time::Duration;

use portcullis_policy::{Decision, Event, Generation};
use portcullis_xmpp::stanza::{BadStanza, Kind, Stanza};
use portcullis_xmpp::stream::{Method, Peer, Proof};
use time::OffsetDateTime;

use crate::app::Gateway;
use crate::tls::Fingerprint;

/// Writes the decision to the log, keeps it for `explain` if it is a refusal and for a capture if
/// there is one, and hands it to the observers of the generation that made it.
pub(crate) async fn record(gateway: &Gateway, generation: &Generation, decision: Decision) {
    log(&decision);
    gateway.refusals.remember(generation, &decision);
    gateway.captures.offer(&decision);
    generation.observe(decision).await;
}

/// A decision of the gateway's own about a stanza; who and why are to be filled in.
pub(crate) fn of_stanza(
    event: Event,
    peer: &Arc<Peer>,
    stanza: &Stanza,
    generation: u64,
    verdict: &'static str,
) -> Decision {
    Decision {
        event,
        kind: Some(stanza.kind()),
        stanza: Some(stanza.clone()),
        ..of_stream(peer, generation, verdict)
    }
}

/// The decision about a stanza that is not fit to be judged. What it says of itself is not repeated.
pub(crate) fn of_malformed(
    peer: &Arc<Peer>,
    bad: &BadStanza,
    generation: u64,
    verdict: &'static str,
) -> Decision {
    Decision {
        event: Event::Stanza,
        kind: Some(bad.kind),
        by: Some(Arc::from("gateway:malformed")),
        reason: bad.error.text.clone(),
        condition: Some(bad.error.condition.as_str()),
        ..of_stream(peer, generation, verdict)
    }
}

/// A decision of the gateway's own about a stream; who and why are to be filled in.
pub(crate) fn of_stream(peer: &Arc<Peer>, generation: u64, verdict: &'static str) -> Decision {
    Decision {
        time: OffsetDateTime::now_utc(),
        event: Event::Stream,
        peer: Arc::clone(peer),
        kind: None,
        stanza: None,
        arrived: None,
        verdict,
        by: None,
        reason: None,
        condition: None,
        generation,
        elapsed: Duration::ZERO,
        refusal: None,
    }
}

/// One line per decision, with the names that the audit record uses. What a peer chose (ids,
/// reasons) is recorded as a string, which the log quotes and escapes: nobody outside writes a line
/// of it. What passed is for `debug`: the counters and the journal have it.
fn log(decision: &Decision) {
    let peer = &decision.peer;
    let stanza = decision.stanza.as_ref();
    // RFC 7590 §3.6; what is true of a whole stream is told with its beginning and its end.
    let of_stream = decision.event == Event::Stream;
    let tls = peer.tls.as_ref().filter(|_| of_stream);
    let method = peer.method.filter(|_| of_stream);
    let certificate = tls.and_then(|tls| tls.certificate.as_deref());
    macro_rules! line {
        ($level:ident, $message:literal) => {
            tracing::$level!(
                event = decision.event.as_str(),
                stream = &*peer.stream_id,
                partner = %peer.partner(),
                local = %peer.organisation(),
                direction = peer.direction.as_str(),
                address = peer.address.map(tracing::field::display),
                tls = tls.map(|tls| tls.version),
                cipher = tls.map(|tls| tls.cipher),
                method = method.map(Method::as_str),
                proof = method.and_then(Method::proof).map(Proof::as_str),
                certificate = certificate.map(Fingerprint::of_certificate).map(tracing::field::display),
                kind = decision.kind.map(Kind::as_str),
                r#type = stanza.map(|stanza| stanza.subtype().as_str()),
                from = stanza.map(|stanza| stanza.from().as_str()),
                to = stanza.map(|stanza| stanza.to().as_str()),
                id = stanza.and_then(Stanza::id),
                verdict = decision.verdict,
                plugin = decision.by.as_deref(),
                reason = decision.reason.as_deref(),
                condition = decision.condition,
                generation = decision.generation,
                elapsed_us = u64::try_from(decision.elapsed.as_micros()).unwrap_or(u64::MAX),
                refusal = decision.refusal.as_ref().map(|it| tracing::field::display(it.reference)),
                $message
            )
        };
    }
    match decision.event {
        Event::Stanza if decision.verdict == "pass" => line!(debug, "stanza"),
        Event::Stanza => line!(info, "stanza"),
        Event::Stream => line!(info, "stream"),
        Event::Bounce => line!(info, "undeliverable"),
    }
}
