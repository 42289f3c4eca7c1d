//! No ghosts: what presence partners have shown inside, asked again from time to time, and taken back
//! when there is nobody who could take it back.
//!
//! In: the presence that passes, and other generations that take over. Out: probes in the users' names
//! after `timeouts.subscription_refresh`; `unavailable` for every contact that does not answer, and for
//! all contacts of a partner that no one admits any more. What it sends passes no plugin.
//!
//! Only presence that a contact's server sends to its subscribers is remembered ([`Ledger`]): rooms and
//! directed presence have no roster behind them, would not answer, and must not be broken (PRS-06).
//! What a plugin takes back is forgotten here before another generation is announced, so that
//! nobody is taken back twice. Not guaranteed: what was shown before the gateway's last start.

mod ledger;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_xmpp::jid::{Domain, Jid};
use portcullis_xmpp::stanza::{Direction, Kind, Stanza, Subtype};
use tokio::time::{Instant, sleep};

pub(crate) use self::ledger::Ledger;
use self::ledger::Shown;
use crate::app::Gateway;
use crate::observe::GatewayStanza;
use crate::route;

/// How often the ledger is looked at, at most and at least; in between, so often that a refresh is
/// late by a small part of itself.
const SELDOM: Duration = Duration::from_secs(60);
const OFTEN: Duration = Duration::from_millis(100);
const PARTS: u32 = 20;

/// What is remembered, for every task that sees presence.
#[derive(Debug, Default)]
pub(crate) struct Presence(Mutex<Ledger>);

impl Presence {
    /// A stanza has passed the chain; one end of it is a partner's.
    pub(crate) fn passed(&self, direction: Direction, stanza: &Stanza) {
        if stanza.kind() != Kind::Presence {
            return;
        }
        let (from, to) = (stanza.from(), stanza.to());
        let now = Instant::now();
        match (direction, stanza.subtype()) {
            (Direction::Inbound, Subtype::Available) if !is_room(stanza) => {
                self.lock().shown(from, to, now);
            }
            (Direction::Inbound, Subtype::Unavailable | Subtype::Unsubscribed) => {
                self.lock().gone(from, to);
            }
            (Direction::Outbound, Subtype::Probe) => self.lock().probed(from, to, now),
            _ => {}
        }
    }

    /// Somebody else has told the user that the contact is gone.
    pub(crate) fn taken_back(&self, from: &Jid, to: &Jid) {
        self.lock().gone(from, to);
    }

    fn lock(&self) -> MutexGuard<'_, Ledger> {
        // Whatever a panic left behind, each entry is whole.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a room says this of an occupant (XEP-0045 §7.2.2).
fn is_room(stanza: &Stanza) -> bool {
    stanza
        .payloads()
        .any(|(_, ns)| ns.starts_with("http://jabber.org/protocol/muc"))
}

/// Keeps the ledger until the gateway drains.
pub(crate) async fn run(gateway: Arc<Gateway>) {
    let mut generations = gateway.generations.subscribe();
    loop {
        let refresh = gateway.config().timeouts.subscription_refresh;
        let pause = (refresh / PARTS).clamp(OFTEN, SELDOM);
        tokio::select! {
            () = gateway.phases.draining.cancelled() => return,
            Ok(()) = generations.changed() => withdraw(&gateway).await,
            () = sleep(pause) => {}
        }
        let sweep = gateway.presence.lock().sweep(Instant::now(), refresh);
        for (user, contact) in sweep.probes {
            let probe = Stanza::probe(&user, &contact);
            route::send_own(&gateway, probe, GatewayStanza::Probe);
        }
        take_back(&gateway, sweep.silent);
    }
}

/// Takes back what partners have shown whose presence may not come in any more (PRS-04).
async fn withdraw(gateway: &Arc<Gateway>) {
    let partners = gateway.presence.lock().partners();
    for partner in partners {
        if !may_show(gateway, &partner).await {
            let shown = gateway.presence.lock().withdraw(&partner);
            tracing::info!(%partner, count = shown.len(), "contacts of a domain that is no partner any more are shown as gone");
            take_back(gateway, shown);
        }
    }
}

async fn may_show(gateway: &Gateway, partner: &Domain) -> bool {
    let by_record = gateway.partner(partner).is_none_or(|partner| {
        partner.direction.takes() && partner.stanzas_in.contains(Kind::Presence)
    });
    let generation = gateway.chain.enter();
    by_record
        && generation
            .knock(partner, Direction::Inbound, None)
            .await
            .is_admitted()
}

fn take_back(gateway: &Arc<Gateway>, shown: Vec<Shown>) {
    for Shown { contact, user } in shown {
        let gone = Stanza::unavailable(contact, user);
        route::send_own(gateway, gone, GatewayStanza::Unavailable);
    }
}
