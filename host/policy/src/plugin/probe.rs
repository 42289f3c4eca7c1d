//! The rehearsal of a new plugin, before anybody depends on it.
//!
//! One instance, thrown away afterwards, is asked what it will be asked: about a stream and about one
//! stanza of each kind and direction that it wants. Its `state`, `journal` and `emit` accept
//! everything and keep nothing. What it answers does not matter; that it answers does: a plugin that
//! traps or loops at the first stanza never gets to see a real one.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::frame::{Event, Framer, Limits};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::{Initiator, Party, Peer};
use time::OffsetDateTime;

use super::covers;
use crate::bindings::portcullis::policy::types::Subscription;
use crate::component::Prepared;
use crate::decision::{self, Decision, Heard};
use crate::instance::{Context, Failure, Instance, PackedHeader, Rehearsal};

/// `.invalid` can be nobody's (RFC 2606 §2).
const STREAM: &str = "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
     from='remote.invalid' to='local.invalid' version='1.0'>";
const STANZAS: [&str; 3] = [
    "<message from='probe@remote.invalid/a' to='probe@local.invalid' type='chat' id='probe'><body>probe</body></message>",
    "<presence from='probe@remote.invalid/a' to='probe@local.invalid'><status>probe</status></presence>",
    "<iq from='probe@remote.invalid/a' to='local.invalid' type='get' id='probe'><ping xmlns='urn:xmpp:ping'/></iq>",
];

/// Starts an instance, asks it, and throws it away. Returns its subscription.
pub(crate) async fn rehearse(
    prepared: &Prepared,
    context: &Arc<Context>,
) -> Result<Subscription, Failure> {
    let (mut instance, subscription) = Instance::start(prepared, context, Rehearsal::Probe).await?;
    for direction in [Direction::Inbound, Direction::Outbound] {
        let Some(peer) = peer(direction).map(Arc::new) else {
            continue;
        };
        if prepared.gatekeeper.is_some() {
            instance.knock(&peer.remote, direction, None).await?;
            instance.admit(&peer).await?;
        }
        for stanza in STANZAS.into_iter().filter_map(stanza) {
            if prepared.filter.is_some() && covers(&subscription, &stanza, direction) {
                instance
                    .decide(&PackedHeader::of(&stanza, direction), &stanza, &peer)
                    .await?;
            }
            if prepared.observer.is_some() {
                let decision = decision(&peer, stanza);
                // Its own word is an answer; only a trap or an overrun is not.
                let heard = Heard::one(decision, instance.hears());
                let _ = instance.observe(&heard).await?;
            }
        }
    }
    Ok(subscription)
}

fn peer(direction: Direction) -> Option<Peer> {
    Some(Peer {
        remote: Domain::parse("remote.invalid").ok()?,
        local: Domain::parse("local.invalid").ok()?,
        direction,
        party: match direction {
            Direction::Inbound => Party::Partner,
            Direction::Outbound => Party::Internal,
        },
        initiator: Initiator::Peer,
        address: None,
        stream_id: Arc::from("probe"),
        method: None,
        tls: None,
        bidi: false,
    })
}

/// The stanza as it would arrive.
fn stanza(xml: &str) -> Option<Stanza> {
    let mut framer = Framer::new(Limits::default());
    framer.push(STREAM.as_bytes());
    framer.push(xml.as_bytes());
    while let Some(event) = framer.next().ok()? {
        if let Event::Element(frame) = event {
            return Stanza::parse(frame).ok();
        }
    }
    None
}

fn decision(peer: &Arc<Peer>, stanza: Stanza) -> Decision {
    Decision {
        time: OffsetDateTime::now_utc(),
        event: decision::Event::Stanza,
        peer: Arc::clone(peer),
        kind: Some(stanza.kind()),
        stanza: Some(stanza),
        arrived: None,
        verdict: "pass",
        by: None,
        reason: None,
        condition: None,
        generation: 0,
        elapsed: Duration::ZERO,
        refusal: None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_made_up_stanzas_are_stanzas() {
        for xml in STANZAS {
            assert!(stanza(xml).is_some(), "{xml}");
        }
        assert!(peer(Direction::Inbound).is_some());
    }
}
