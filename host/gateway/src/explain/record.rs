//! What is kept of a refusal: the decision's facts, and which component made it. No content.

use portcullis_policy::{Decision, Generation, Told};
use portcullis_xmpp::stanza::{Kind, Stanza};
use time::format_description::well_known::Rfc3339;

use crate::admin::protocol::{Component, Refusal, Sent};

/// The refusal that the decision is, if it is one.
pub(super) fn of(generation: &Generation, decision: &Decision) -> Option<Refusal> {
    let refusal = decision.refusal.as_ref()?;
    let peer = &decision.peer;
    let stanza = decision.stanza.as_ref();
    let made_by = decision.by.as_deref().and_then(|by| {
        // The one that judged, or none: another generation may have another component of that name.
        let judged = decision.generation == generation.number();
        judged.then(|| generation.component(by)).flatten()
    });
    let (told, untold) = match &refusal.told {
        Told::Error(text) => {
            let condition = decision.condition.unwrap_or_default().to_owned();
            let text = text.clone();
            (Some(Sent { condition, text }), None)
        }
        Told::Nothing(reason) => (None, Some(reason.clone())),
    };
    Some(Refusal {
        id: refusal.reference.to_string(),
        time: decision.time.format(&Rfc3339).unwrap_or_default(),
        event: decision.event.as_str().to_owned(),
        verdict: decision.verdict.to_owned(),
        by: decision.by.as_deref().unwrap_or_default().to_owned(),
        component: made_by.map(|made_by| Component {
            digest: made_by.digest,
            version: made_by.version,
            exports: made_by.exports,
        }),
        reason: decision.reason.clone(),
        generation: decision.generation,
        elapsed_us: u64::try_from(decision.elapsed.as_micros()).unwrap_or(u64::MAX),
        stream: peer.stream_id.to_string(),
        direction: peer.direction.as_str().to_owned(),
        partner: peer.partner().to_string(),
        local: peer.organisation().to_string(),
        address: peer.address.map(|address| address.to_string()),
        kind: decision.kind.map(|kind| Kind::as_str(kind).to_owned()),
        subtype: stanza.map(|stanza| stanza.subtype().as_str().to_owned()),
        from: stanza.map(|stanza| stanza.from().to_string()),
        to: stanza.map(|stanza| stanza.to().to_string()),
        stanza_id: stanza.and_then(Stanza::id).map(str::to_owned),
        told,
        untold,
    })
}
