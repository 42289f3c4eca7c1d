use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{Initiator, Party, Proof};

use super::*;

const PKIX: Option<Method> = Some(Method::External(Proof::Pkix));

fn peer(remote: &str) -> Arc<Peer> {
    Arc::new(Peer {
        remote: Domain::parse(remote).unwrap(),
        local: Domain::parse("org.test").unwrap(),
        direction: Direction::Inbound,
        party: Party::Partner,
        initiator: Initiator::Peer,
        address: None,
        stream_id: Arc::from("id"),
        method: PKIX,
        tls: None,
        bidi: true,
    })
}

struct Lost {
    id: String,
    detached: Detached,
    /// As the pair of domains holds it.
    waits: oneshot::Receiver<Output>,
}

fn remains() -> (Remains, oneshot::Receiver<Output>) {
    let (heir, waits) = oneshot::channel();
    let remains = Remains {
        handled: Handled::new(),
        sent: Sent::default(),
        heir,
        lasts: Duration::from_secs(60),
    };
    (remains, waits)
}

fn detach(grant: Grant, peer: &Arc<Peer>) -> Option<(Detached, oneshot::Receiver<Output>)> {
    let (remains, waits) = remains();
    let waiting = Waiting {
        side: Side::Federation,
        peer: Arc::clone(peer),
        until: Instant::now(),
        generations: watch::Sender::new(1).subscribe(),
    };
    let detached = grant.detach(waiting, peer.remote.clone(), remains)?;
    Some((detached, waits))
}

fn lost(table: &Table, peer: &Arc<Peer>) -> Lost {
    // A grant of its own, so that it does not forget those before.
    let grant = table.promise_again(Side::Federation, peer, &stream_id());
    let id = grant.id().to_owned();
    let (detached, waits) = detach(grant, peer).unwrap();
    Lost {
        id,
        detached,
        waits,
    }
}

impl Lost {
    fn is_kept(&mut self) -> bool {
        let kept = self.detached.taken.try_recv() == Err(oneshot::error::TryRecvError::Empty);
        let waited = matches!(
            self.waits.try_recv(),
            Err(oneshot::error::TryRecvError::Empty)
        );
        assert_eq!(kept, waited);
        kept
    }
}

fn is_there(table: &Table, peer: &Peer, id: &str) -> bool {
    table.find(Side::Federation, peer, id).is_some()
}

#[test]
fn sm_01_only_the_same_pair_proven_in_the_same_way_gets_its_stream_and_only_once() {
    let table = Table::default();
    let alpha = peer("alpha.test");
    let lost = lost(&table, &alpha);
    for other in [
        Peer {
            remote: Domain::parse("beta.test").unwrap(),
            ..(*alpha).clone()
        },
        Peer {
            local: Domain::parse("second.test").unwrap(),
            ..(*alpha).clone()
        },
        Peer {
            method: Some(Method::TlsDialback),
            ..(*alpha).clone()
        },
        Peer {
            bidi: false,
            ..(*alpha).clone()
        },
    ] {
        assert!(!is_there(&table, &other, &lost.id), "{other:?}");
    }
    assert!(table.find(Side::Internal, &alpha, &lost.id).is_none());
    for wrong in ["", "x", &lost.id[1..], &format!("{}0", lost.id)] {
        assert!(!is_there(&table, &alpha, wrong), "{wrong}");
    }
    assert!(is_there(&table, &alpha, &lost.id));
    assert!(!is_there(&table, &alpha, &lost.id));
    assert!(lock(&table.inner).entries.is_empty());
    assert_eq!(lock(&table.inner).waiting, 0);
}

#[test]
fn sm_01_a_stream_that_ends_is_not_there_any_more() {
    let table = Table::default();
    let alpha = peer("alpha.test");
    let grant = table.promise(Side::Federation, &alpha);
    let id = grant.id().to_owned();
    drop(grant);
    assert!(!is_there(&table, &alpha, &id));
    let mut lost = lost(&table, &alpha);
    assert!(lost.is_kept());
    table.forget(&lost.detached);
    assert!(!lost.is_kept());
    assert!(!is_there(&table, &alpha, &lost.id));
    assert!(lock(&table.inner).entries.is_empty());
}

#[test]
fn who_begins_anew_has_forgotten_what_it_lost() {
    let table = Table::default();
    let (alpha, beta) = (peer("alpha.test"), peer("beta.test"));
    let (mut of_alpha, mut of_beta) = (lost(&table, &alpha), lost(&table, &beta));
    let live = table.promise(Side::Federation, &alpha);
    assert!(!of_alpha.is_kept());
    assert!(of_beta.is_kept());
    let next = table.promise(Side::Federation, &alpha);
    for grant in [&live, &next] {
        assert!(is_there(&table, &alpha, grant.id()));
    }
}

#[tokio::test]
async fn sm_01_a_session_whose_connection_seems_to_live_is_asked_and_hands_over() {
    let table = Table::default();
    let alpha = peer("alpha.test");
    let mut grant = table.promise(Side::Federation, &alpha);
    let id = grant.id().to_owned();
    let Some(Found::Asked(answer)) = table.find(Side::Federation, &alpha, &id) else {
        panic!("it lives");
    };
    assert!(!is_there(&table, &alpha, &id), "one at a time");
    let (remains, _waits) = remains();
    let request = grant.requested().await;
    drop(grant);
    request.send(Box::new(remains)).unwrap();
    answer.await.unwrap();
    // It dies in the same moment: who has asked gets it, and nobody keeps it.
    let grant = table.promise_again(Side::Federation, &alpha, &id);
    let Some(Found::Asked(answer)) = table.find(Side::Federation, &alpha, &id) else {
        panic!("it lives");
    };
    assert!(detach(grant, &alpha).is_none());
    answer.await.unwrap();
    assert!(!is_there(&table, &alpha, &id));
    // It is closed in the same moment: nobody gets it.
    let grant = table.promise_again(Side::Federation, &alpha, &id);
    let Some(Found::Asked(answer)) = table.find(Side::Federation, &alpha, &id) else {
        panic!("it lives");
    };
    drop(grant);
    answer.await.unwrap_err();
}

#[test]
fn lost_streams_are_bounded_per_partner_and_in_all_and_the_oldest_go_first() {
    let table = Table::default();
    let alpha = peer("alpha.test");
    let mut of_alpha: Vec<_> = (0..=PER_PARTNER).map(|_| lost(&table, &alpha)).collect();
    let kept: Vec<_> = of_alpha.iter_mut().map(Lost::is_kept).collect();
    assert!(!kept[0] && kept[1..].iter().all(|kept| *kept), "{kept:?}");
    let mut others: Vec<_> = (PER_PARTNER..STREAMS)
        .map(|n| lost(&table, &peer(&format!("p{n}.test"))))
        .collect();
    assert!(of_alpha[1].is_kept());
    others.push(lost(&table, &peer("last.test")));
    assert!(!of_alpha[1].is_kept());
    assert!(of_alpha[2].is_kept());
    assert!(others.iter_mut().all(Lost::is_kept));
    assert_eq!(lock(&table.inner).waiting, STREAMS);
}

#[test]
fn what_waits_is_bounded_in_bytes() {
    let table = Table::default();
    let most = table.hold(BYTES - 1).unwrap();
    assert!(table.hold(2).is_none());
    let least = table.hold(1).unwrap();
    drop(most);
    assert!(table.hold(usize::MAX).is_none());
    drop(least);
    assert!(table.hold(BYTES).is_some());
}
