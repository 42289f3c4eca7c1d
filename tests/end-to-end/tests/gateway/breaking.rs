//! Two gateways, and connections between them that break.

use std::collections::{BTreeMap, BTreeSet};

use portcullis_end_to_end::World;
use portcullis_test_support::{Client, Mode, attribute};

use crate::both::{Both, Record, Trust, message};
use crate::relay::Breaks;

/// What each of the two servers got, by id.
#[derive(Default)]
struct Heard {
    delivered: BTreeMap<usize, usize>,
    refused: BTreeMap<usize, usize>,
}

impl Heard {
    async fn next(&mut self, org: &mut World, alpha: &mut World) {
        let (stanza, counts) = tokio::select! {
            stanza = alpha.org.stanza() => (stanza, &mut self.delivered),
            stanza = org.org.stanza() => (stanza, &mut self.refused),
        };
        let id = attribute(&stanza, "id").unwrap().parse().unwrap();
        *counts.entry(id).or_default() += 1;
    }

    /// Of how many something was heard.
    fn count(&self) -> usize {
        let mut ids: BTreeSet<_> = self.delivered.keys().collect();
        ids.extend(self.refused.keys());
        ids.len()
    }
}

#[tokio::test]
async fn sm_01_a_broken_connection_loses_nothing_unsaid_and_doubles_nothing() {
    const ROUNDS: usize = 6;
    const ROUND: usize = 500;
    // More than the first round, less than all.
    const BYTES: u64 = 120_000;
    // Without resumption, so that what is unsaid is told.
    let record = Record::new("", Trust::Theirs);
    let timeouts = "establish = 20\nresumption = 0";
    let breaks = Breaks {
        after: BYTES,
        connections: usize::MAX,
    };
    let (both, [relay, _]) = Both::breaking(&record, timeouts, breaks).await;
    let Both { mut org, mut alpha } = both;
    let mut inside = org.inside("alpha.test", Mode::StartTls).await;
    let mut heard = Heard::default();
    for round in 0..ROUNDS {
        for id in round * ROUND..(round + 1) * ROUND {
            inside.send(&message("org.test", "alpha.test", id)).await;
        }
        // Each was delivered, or its sender is told that it may not have been.
        while heard.count() < (round + 1) * ROUND {
            heard.next(&mut org, &mut alpha).await;
        }
    }
    let sent = (ROUNDS * ROUND) as u64;
    org.at_rest(sent).await;
    assert!(*relay.connections.borrow() > 1, "it was not tried again");
    let told = org.sum("portcullis_stanzas_total", r#"outcome="bounced""#);
    let settled = org.sum("portcullis_stanzas_total", r#"outcome="delivered""#);
    assert_eq!(told + settled, sent);
    assert!(
        told > 0 && settled > 0,
        "{told} were told, {settled} settled"
    );
    let received = alpha.sum("portcullis_stanzas_received_total", "");
    alpha.at_rest(received).await;
    assert!(settled <= received && received <= sent, "{received}");
    for (id, count) in heard.delivered.iter().chain(&heard.refused) {
        assert_eq!(*count, 1, "{id}");
    }
}

/// The stream between the two, with all that is agreed about it.
async fn stream(org: &World, alpha: &mut World) -> Client {
    let mut inside = org.inside("alpha.test", Mode::StartTls).await;
    inside.send(&message("org.test", "alpha.test", 0)).await;
    alpha.org.stanza().await;
    // It is acknowledged.
    org.at_rest(1).await;
    inside
}

#[tokio::test]
async fn sm_01_under_traffic_both_ways_broken_connections_lose_double_and_bounce_nothing() {
    const ROUNDS: usize = 6;
    const ROUND: usize = 400;
    let record = Record::new("", Trust::Theirs);
    // Less than a round takes.
    let breaks = Breaks {
        after: 35_000,
        connections: usize::MAX,
    };
    let (both, relays) = Both::breaking(&record, "establish = 20", breaks).await;
    let Both { mut org, mut alpha } = both;
    let mut inside = stream(&org, &mut alpha).await;
    let mut other = alpha.inside("org.test", Mode::StartTls).await;
    for round in 0..ROUNDS {
        let ids = round * ROUND..(round + 1) * ROUND;
        let sent = ids.clone();
        let sending = async {
            for id in sent {
                inside.send(&message("org.test", "alpha.test", id)).await;
                other.send(&message("alpha.test", "org.test", id)).await;
            }
        };
        let arriving = async |world: &mut World| {
            for id in ids.clone() {
                let message = world.org.stanza().await;
                assert_eq!(attribute(&message, "type"), None, "{message}");
                assert_eq!(attribute(&message, "id"), Some(&*id.to_string()));
            }
        };
        tokio::join!(sending, arriving(&mut org), arriving(&mut alpha));
    }
    let sent = (ROUNDS * ROUND) as u64;
    for world in [&mut org, &mut alpha] {
        world.at_rest(2 * sent + 1).await;
        let delivered = world.sum("portcullis_stanzas_total", r#"outcome="delivered""#);
        assert_eq!(delivered, 2 * sent + 1);
        assert!(world.org.try_next().is_none());
    }
    let connections: usize = relays.iter().map(|relay| *relay.connections.borrow()).sum();
    // It broke several times.
    assert!(connections > 3, "{connections}");
}

#[tokio::test]
async fn sm_01_a_stream_that_is_not_taken_up_in_time_gives_back_what_is_unsaid() {
    const COUNT: usize = 900;
    let record = Record::new("", Trust::Theirs);
    let breaks = Breaks {
        after: 40_000,
        connections: 1,
    };
    let timeouts = "establish = 5\nresumption = 1";
    let (both, _relays) = Both::breaking(&record, timeouts, breaks).await;
    let Both { mut org, mut alpha } = both;
    let mut inside = stream(&org, &mut alpha).await;
    for id in 0..COUNT {
        inside.send(&message("org.test", "alpha.test", id)).await;
    }
    let mut heard = Heard::default();
    while heard.count() < COUNT {
        heard.next(&mut org, &mut alpha).await;
    }
    org.at_rest(COUNT as u64 + 1).await;
    assert!(!heard.refused.is_empty() && !heard.delivered.is_empty());
    assert!(heard.delivered.values().all(|count| *count == 1));
    assert!(heard.refused.values().all(|count| *count == 1));
}

#[tokio::test]
async fn sm_01_who_shuts_down_waits_for_no_lost_stream() {
    let record = Record::new("", Trust::Theirs);
    let breaks = Breaks {
        after: 40_000,
        connections: 1,
    };
    let (both, _relays) = Both::breaking(&record, "establish = 5", breaks).await;
    let Both { org, mut alpha } = both;
    let mut inside = stream(&org, &mut alpha).await;
    for id in 0..900 {
        inside.send(&message("org.test", "alpha.test", id)).await;
    }
    let state = || {
        let queues = org.gateway.status().queues;
        let of_pair = queues.into_iter().find(|queue| queue.to == "alpha.test");
        of_pair.map_or_else(String::new, |queue| queue.state)
    };
    org.until(|| state() == "resuming", state).await;
    for world in [org, alpha] {
        let drained = world.gateway.shutdown().await;
        assert!(drained.is_clean(), "{drained}");
        assert!(drained.took.as_secs() < 20, "{drained}");
    }
}
