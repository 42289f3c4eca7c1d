//! The presence that plugins cause: `unavailable` and `unsubscribed`.
//!
//! In: what plugins emitted, after the engine's own check of the addresses. Out: the same, on the
//! pair of domains that it belongs to. The addresses are checked once more: a stanza that the
//! gateway makes must not be a way around the rule that every stanza has one end inside and one
//! outside. It passes no plugin.

use std::sync::Arc;

use portcullis_policy::Emission;
use portcullis_xmpp::stanza::{Stanza, Subtype};
use tokio::sync::{mpsc, oneshot};

use super::{Touched, send_back};
use crate::app::Gateway;
use crate::observe::{Delivery, GatewayStanza};

/// How many are taken at a time: enough for one write.
const BATCH: usize = 256;

/// Who waits until everything that was emitted so far is in its queue.
pub(crate) type Routed = oneshot::Sender<()>;

/// Runs until the gateway flushes its queues and nothing is left.
pub(crate) async fn run(
    gateway: Arc<Gateway>,
    mut emissions: mpsc::Receiver<Emission>,
    mut waiting: mpsc::Receiver<Routed>,
) {
    let mut batch = Vec::with_capacity(BATCH);
    loop {
        let received = tokio::select! {
            biased;
            received = emissions.recv_many(&mut batch, BATCH) => received,
            Some(routed) = waiting.recv() => {
                // Who asked may be gone.
                let _ = routed.send(());
                continue;
            }
            () = gateway.phases.flushing.cancelled() => return,
        };
        if received == 0 {
            return;
        }
        let mut touched = Touched::default();
        for Emission { subtype, from, to } in batch.drain(..) {
            if gateway.is_own(from.domain()) == gateway.is_own(to.domain()) {
                tracing::warn!(from = %from.domain(), to = %to.domain(), "a plugin's presence goes nowhere");
                gateway
                    .metrics
                    .made(GatewayStanza::Emitted, Delivery::Failed);
                continue;
            }
            let stanza = match subtype {
                Subtype::Unsubscribed => Stanza::unsubscribed(&from, &to),
                _ => {
                    gateway.presence.taken_back(&from, &to);
                    Stanza::unavailable(from, to)
                }
            };
            if send_back(&gateway, stanza, GatewayStanza::Emitted, &mut touched).is_err() {
                tracing::warn!("the queue for a plugin's presence is full");
                gateway
                    .metrics
                    .made(GatewayStanza::Emitted, Delivery::Failed);
            }
        }
        touched.wake();
    }
}
