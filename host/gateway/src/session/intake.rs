//! What all streams that bring stanzas have in common, whoever opened them.
//!
//! In: pairs of domains that are proven on a stream, the stanzas of their peers, other generations
//! that take over. Out: who may stay, each stanza judged and handed to [`route`](crate::route), and
//! the record of every pair's beginning and end. A stream may hold several pairs, each proven, asked
//! about and recorded by itself; a connection counts once for each partner.

use std::net::SocketAddr;
use std::sync::Arc;

use portcullis_policy::{Decision, Generation};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::management::Nonza;
use portcullis_xmpp::stanza::{BadStanza, Kind};
use portcullis_xmpp::stream::{Authenticated, Initiator, Method, Peer};

use tokio::time::Instant;

use super::handled::Handled;
use super::registry::{Adds, Registered};
use super::standing::{Knocked, Refusal, Standing};
use crate::app::Gateway;
use crate::audit;
use crate::observe::{Outcome, Receipt};
use crate::policing;
use crate::prove::{Evidence, Proofs};
use crate::route::{self, Refused, Touched};
use crate::tls::Side;

/// See the module.
#[derive(Debug)]
pub(super) struct Intake {
    side: Side,
    /// Who may knock here, until it is established.
    knocked: Option<Knocked>,
    /// What the gatekeepers said of pairs that are proven, but not established yet.
    admitted: Vec<(Arc<Peer>, Standing)>,
    pairs: Vec<Pairing>,
    proofs: Proofs,
    /// What is acknowledged, if the stream is managed.
    handled: Option<Handled>,
    touched: Touched,
}

/// A pair of domains that is established on the stream.
#[derive(Debug)]
struct Pairing {
    peer: Arc<Peer>,
    standing: Standing,
    _registered: Registered,
}

/// What stirs on a stream by itself.
pub(super) enum Stir {
    /// A certificate has to be judged again.
    Doubt,
    /// More can be acknowledged than the peer was told when it asked.
    Settled,
}

impl Intake {
    pub(super) fn new(side: Side) -> Self {
        Self {
            side,
            knocked: None,
            admitted: Vec::new(),
            pairs: Vec::new(),
            proofs: Proofs::new(side),
            handled: None,
            touched: Touched::default(),
        }
    }

    /// Whether no pair is established.
    pub(super) fn is_empty(&self) -> bool {
        self.pairs.is_empty()
    }

    /// Asks the gatekeepers about a partner that says its name, unless they have answered on this
    /// connection.
    pub(super) async fn knock(
        &mut self,
        gateway: &Gateway,
        domain: &Domain,
        address: SocketAddr,
    ) -> Result<(), Refusal> {
        let generation = gateway.chain.enter();
        if !self.has_knocked(gateway, &generation, domain) {
            let knocked = Knocked::ask(gateway, &generation, domain, address).await?;
            self.knocked = Some(knocked);
        }
        Ok(())
    }

    /// Whoever knocks next is asked about, also who has knocked here before.
    pub(super) fn forget_knock(&mut self) {
        self.knocked = None;
    }

    /// Asks the gatekeepers about a peer that is proven. The streams of an internal server are not
    /// refused (design 5): each stanza is answered instead, since a refused stream would only show
    /// users a timeout, and ejabberd would bounce everything for minutes.
    pub(super) async fn admit(
        &mut self,
        gateway: &Gateway,
        peer: &Arc<Peer>,
    ) -> Result<(), Refusal> {
        let generation = gateway.chain.enter();
        let standing = match self.has_knocked(gateway, &generation, &peer.remote) {
            true => Standing::of_knocked(gateway, &generation, peer).await,
            false => self.ask(gateway, &generation, peer).await,
        };
        // Who comes again with another pair is asked about again.
        self.knocked = None;
        let refusal = standing.refusal().cloned();
        self.admitted.retain(|(known, _)| !same(known, peer));
        match (refusal, self.side) {
            (Some(refusal), Side::Federation) => Err(refusal),
            (_, _) => {
                self.admitted.push((Arc::clone(peer), standing));
                Ok(())
            }
        }
    }

    /// A pair stands: it counts, and is put on record. A refusal ends the stream.
    pub(super) async fn establish(
        &mut self,
        gateway: &Gateway,
        peer: Arc<Peer>,
        evidence: Evidence<'_>,
    ) -> Result<(), Refusal> {
        let generation = gateway.chain.enter();
        let admitted = self
            .admitted
            .iter()
            .position(|(known, _)| same(known, &peer))
            .map(|at| self.admitted.swap_remove(at).1);
        if self.admitted.is_empty() {
            // Most streams are one pair's: the room is given back.
            self.admitted = Vec::new();
        }
        let standing = match admitted {
            Some(standing) => standing,
            None => self.ask(gateway, &generation, &peer).await,
        };
        let quota = gateway.quota(&peer.remote);
        let limit = quota.limit;
        let counts = |pair: &Pairing| gateway.quota(&pair.peer.remote).partner == quota.partner;
        let adds = match self.pairs.iter().any(counts) {
            true => Adds::Pair,
            false if self.pairs.is_empty() => Adds::Stream(quota),
            false => Adds::Partner(quota),
        };
        let registered = gateway
            .streams
            .register(self.side, &peer, evidence.chain.not_after(), adds)
            .ok_or_else(|| Refusal {
                by: Arc::from("gateway:connection-limit"),
                error: StreamError::new(StreamCondition::ResourceConstraint).with_text(format!(
                    "more than {limit} connections with {}",
                    peer.remote
                )),
            })?;
        let decision = Decision {
            by: Some(standing.by()),
            ..audit::of_stream(&peer, generation.number(), "allow")
        };
        audit::record(gateway, &generation, decision).await;
        gateway.look_at_certificate(self.side, &peer, evidence.chain);
        if let Some(Method::External(_)) = peer.method {
            self.proofs.add(gateway, &peer.remote, evidence);
        }
        // No room for others: most streams are one pair's.
        self.pairs.reserve_exact(1);
        self.pairs.push(Pairing {
            peer,
            standing,
            _registered: registered,
        });
        // A generation that took over between the question and now is not missed.
        self.check(gateway, &generation).await
    }

    /// Waits until something stirs that the peer did not cause. May be cancelled.
    pub(super) async fn stir(&mut self) -> Stir {
        let Self {
            proofs, handled, ..
        } = self;
        let settled = async {
            match handled {
                Some(handled) => handled.more().await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            () = proofs.doubted() => Stir::Doubt,
            () = settled => Stir::Settled,
        }
    }

    /// Asks again about each pair if another generation has taken over, and judges the certificate
    /// again if it is in doubt. A refusal ends the stream.
    pub(super) async fn check(
        &mut self,
        gateway: &Gateway,
        generation: &Generation,
    ) -> Result<(), Refusal> {
        for at in 0..self.pairs.len() {
            let Some(pair) = self.pairs.get(at) else {
                break;
            };
            if pair.standing.is_current(gateway, generation.number()) {
                continue;
            }
            self.proofs.suspect();
            let peer = Arc::clone(&pair.peer);
            let standing = Box::pin(self.ask(gateway, generation, &peer)).await;
            let refusal = standing.refusal().cloned();
            if let Some(pair) = self.pairs.get_mut(at) {
                pair.standing = standing;
            }
            if let (Some(refusal), Side::Federation) = (refusal, self.side) {
                return Err(refusal);
            }
        }
        self.proofs.check(gateway).await
    }

    /// Whether nothing has changed since each pair was asked about.
    fn is_current(&self, gateway: &Gateway, generation: &Generation) -> bool {
        let number = generation.number();
        let current = |pair: &Pairing| pair.standing.is_current(gateway, number);
        self.pairs.iter().all(current) && !self.proofs.in_doubt()
    }

    /// Judges a stanza and hands it on. What is rare is boxed, so that the common way stays small. A refusal ends the stream; the stanza has ended then.
    pub(super) async fn stanza(
        &mut self,
        gateway: &Arc<Gateway>,
        stanza: Authenticated,
    ) -> Result<(), Refusal> {
        let peer = Arc::clone(stanza.peer());
        let receipt = self.receive(gateway, &peer, stanza.stanza().kind());
        if gateway.questions.take(stanza.stanza(), Instant::now) {
            receipt.settle(Outcome::Delivered);
            return Ok(());
        }
        // What has to wait for its turn waits before a generation takes it up.
        let ruled = policing::admit(gateway, &peer, stanza.stanza(), &mut self.touched).await;
        let generation = gateway.chain.enter();
        let revoked = match self.is_current(gateway, &generation) {
            true => Ok(()),
            false => Box::pin(self.check(gateway, &generation)).await,
        };
        let refused = self
            .pairs
            .iter()
            .find(|pair| same(&pair.peer, &peer))
            .and_then(|pair| pair.standing.refusal())
            .or(revoked.as_ref().err())
            .cloned();
        let Some(refusal) = refused else {
            if let Err(breach) = ruled {
                let refused = Refused {
                    generation: &generation,
                    peer: &peer,
                    stanza: stanza.stanza(),
                    receipt,
                };
                Box::pin(route::breach(gateway, refused, breach, &mut self.touched)).await;
                return Ok(());
            }
            let judged = generation.judge(stanza).await;
            audit::record(gateway, &generation, Decision::of_stanza(&judged)).await;
            route::judged(gateway, judged, receipt, &mut self.touched).await;
            return Ok(());
        };
        let refused = Refused {
            generation: &generation,
            peer: &peer,
            stanza: stanza.stanza(),
            receipt,
        };
        match self.side {
            // Its stream ends with the reason; nothing can be sent to it any more.
            Side::Federation => Box::pin(route::revoke(gateway, refused, &refusal)).await,
            Side::Internal => {
                Box::pin(route::refuse(gateway, refused, &refusal, &mut self.touched)).await;
            }
        }
        revoked
    }

    /// A stanza that is not fit to be judged: its sender is told, where RFC 6120 allows it.
    pub(super) async fn bad_stanza(
        &mut self,
        gateway: &Arc<Gateway>,
        peer: &Arc<Peer>,
        fault: BadStanza,
    ) {
        let receipt = self.receive(gateway, peer, fault.kind);
        let generation = gateway.chain.enter();
        route::bad(
            gateway,
            &generation,
            peer,
            fault,
            receipt,
            &mut self.touched,
        )
        .await;
    }

    /// Who is on the other end, if the stream is one pair's.
    pub(super) fn only_peer(&self) -> Option<&Arc<Peer>> {
        match self.pairs.as_slice() {
            [pair] => Some(&pair.peer),
            _ => None,
        }
    }

    /// Who is on the other end: the first pair's peer.
    pub(super) fn peer(&self) -> Option<&Arc<Peer>> {
        self.pairs.first().map(|pair| &pair.peer)
    }

    /// From now on the stanzas of the stream are acknowledged.
    pub(super) fn manage(&mut self) {
        self.handled = Some(Handled::new());
    }

    /// As before on the connection that was lost.
    pub(super) fn resume(&mut self, handled: Handled) {
        self.handled = Some(handled);
    }

    /// What came and is being settled, if the stream is managed, for another connection.
    pub(super) fn take_handled(&mut self) -> Option<Handled> {
        self.handled.take()
    }

    /// The peer asks how much is settled.
    pub(super) fn answer(&mut self) -> Option<Nonza> {
        self.handled.as_mut().map(Handled::answer)
    }

    /// A stanza came: it is counted, and acknowledged when it has ended.
    fn receive(&self, gateway: &Gateway, peer: &Peer, kind: Kind) -> Receipt {
        let receipt = gateway.metrics.received(peer.direction, kind);
        match &self.handled {
            Some(handled) => receipt.with(handled.receive()),
            None => receipt,
        }
    }

    /// Lets everything go that was put into queues.
    pub(super) fn wake(&mut self) {
        self.touched.wake();
    }

    /// The stream is over: takes its pairs off the list and gives back their peers, for the record.
    pub(super) fn end(self) -> Vec<Arc<Peer>> {
        self.pairs.into_iter().map(|pair| pair.peer).collect()
    }

    fn has_knocked(&self, gateway: &Gateway, generation: &Generation, domain: &Domain) -> bool {
        let covers = |knocked: &Knocked| knocked.covers(gateway, generation.number(), domain);
        self.knocked.as_ref().is_some_and(covers)
    }

    /// What the gatekeepers say of an authenticated peer.
    async fn ask(&self, gateway: &Gateway, generation: &Generation, peer: &Arc<Peer>) -> Standing {
        match self.side {
            Side::Federation => {
                let standing = Standing::of(gateway, generation, peer).await;
                match (peer.initiator, &standing.answer) {
                    // It sends on our stream, too.
                    (Initiator::Gateway, Ok(_)) if peer.bidi => {
                        let sender = Arc::new(peer.reversed());
                        Standing::of(gateway, generation, &sender).await
                    }
                    _ => standing,
                }
            }
            // What is only delivered to a server of our own is nobody's to refuse.
            Side::Internal if peer.initiator == Initiator::Gateway && !peer.bidi => {
                Standing::inside(gateway, generation)
            }
            Side::Internal if gateway.is_own(&peer.local) => Standing::inside(gateway, generation),
            Side::Internal => Standing::of_partner(gateway, generation, &peer.local).await,
        }
    }
}

/// Whether both are the same pair of domains; the stream's id may have changed between them.
fn same(a: &Peer, b: &Peer) -> bool {
    a.remote == b.remote && a.local == b.local
}
