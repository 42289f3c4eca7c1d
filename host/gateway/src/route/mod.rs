//! Who gets a stanza.
//!
//! In: [`Judged`] stanzas from the sessions that read them. Out: the same stanzas, on the one stream
//! of their pair of domains; or an error on the way back; or a counted end. Only here a stanza
//! becomes an [`Outgoing`](outgoing::Outgoing), and only a judged one that passed, or one that the
//! gateway itself made.
//!
//! Each pair (sender's domain, recipient's domain) has one bounded queue and one task that owns the
//! stream to the recipient's side, so order is kept and a slow partner stalls nobody else. The
//! bounce of a stanza travels over the pair in the other direction.

mod carry;
mod delay;
mod emit;
mod offers;
mod outgoing;
mod pair;
mod queue;
mod undeliverable;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use portcullis_policy::{Decision, Event, Generation, Judged, Reference, Told, Verdict};
use portcullis_xmpp::error::StanzaError;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{BadStanza, Stanza};
use portcullis_xmpp::stream::Peer;

pub(crate) use self::emit::{Routed, run as emit};
use self::offers::Offers;
use self::outgoing::Outgoing;
use self::pair::Pair;
use self::queue::Refusal as QueueRefusal;
use self::undeliverable::{Ending, QUEUE_FULL, Why, bounce, by_us, undeliverable};
use crate::admin::protocol;
use crate::app::Gateway;
use crate::audit;
use crate::observe::{Delivery, GatewayStanza, Outcome, Receipt};
use crate::policing::Breach;
use crate::session::{Line, Output, Refusal};
use crate::tls::Side;

/// Pairs of domains that may have a queue at a time. Each costs some kilobytes when idle; idle ones
/// go away by themselves.
const PAIRS: usize = 10_000;
/// How long a sender's stream waits for a full queue that does not move at all, before stanzas
/// bounce. Long enough for a busy partner's pause, short enough that no sender takes us for dead.
const PATIENCE: Duration = Duration::from_secs(5);

/// The queues of all pairs of domains.
#[derive(Debug, Default)]
pub(crate) struct Router {
    pairs: Mutex<HashMap<(Domain, Domain), Arc<Pair>>>,
    offers: Offers,
}

/// The pairs that a session has put something into since it last woke them. They are woken once per
/// read, so that the stanzas of one read leave in one write.
#[derive(Debug, Default)]
pub(crate) struct Touched {
    pairs: Vec<Arc<Pair>>,
    /// The last one, kept: the next stanza is most often for it, too.
    last: Option<Arc<Pair>>,
}

impl Touched {
    /// Lets everything go that was put into queues.
    pub(crate) fn wake(&mut self) {
        for pair in self.pairs.drain(..) {
            pair.queue.wake();
        }
    }

    fn add(&mut self, pair: &Arc<Pair>) {
        if !self.pairs.iter().any(|other| Arc::ptr_eq(other, pair)) {
            self.pairs.push(Arc::clone(pair));
        }
        if !self.is_last(pair) {
            self.last = Some(Arc::clone(pair));
        }
    }

    fn is_last(&self, pair: &Arc<Pair>) -> bool {
        (self.last.as_ref()).is_some_and(|last| Arc::ptr_eq(last, pair))
    }

    /// The pair of the last stanza, if it is this one.
    fn last_of(&self, from: &Domain, to: &Domain) -> Option<Arc<Pair>> {
        let last = self.last.as_ref();
        last.filter(|pair| pair.from == *from && pair.to == *to)
            .cloned()
    }
}

/// Does what the verdict says. The decision is recorded already.
pub(crate) async fn judged(
    gateway: &Arc<Gateway>,
    judged: Judged,
    receipt: Receipt,
    touched: &mut Touched,
) {
    match judged.verdict() {
        Verdict::Pass => {
            let direction = judged.peer().direction;
            gateway.presence.passed(direction, judged.stanza());
            let outgoing = Outgoing::passed(judged, receipt);
            if let Err(outgoing) = pass_at_once(gateway, outgoing, touched) {
                Box::pin(pass(gateway, outgoing, touched)).await;
            }
        }
        Verdict::Reject { error, .. } => {
            let mut error = by_us(gateway, judged.stanza(), error.clone());
            error.reference = judged.reference().map(|reference| reference.to_string());
            let ending = bounce(gateway, judged.stanza(), &error, receipt, touched);
            if let Some(rule) = ending.rule() {
                tracing::info!(rule, from = %judged.stanza().from(), "a rejection could not be told");
                if let Some(reference) = judged.reference() {
                    gateway.refusals.untold(reference, rule);
                }
            }
        }
        Verdict::Drop { .. } => receipt.settle(Outcome::Dropped),
    }
}

/// A stanza that is not judged, because its stream may not exist.
pub(crate) struct Refused<'a> {
    pub(crate) generation: &'a Generation,
    pub(crate) peer: &'a Arc<Peer>,
    pub(crate) stanza: &'a Stanza,
    pub(crate) receipt: Receipt,
}

/// Answers an internal server's stanza to a domain that nobody admits (design 5).
pub(crate) async fn refuse(
    gateway: &Arc<Gateway>,
    refused: Refused<'_>,
    refusal: &Refusal,
    touched: &mut Touched,
) {
    let error = refusal.stanza_error();
    let reason = error.text.clone();
    turn_back(gateway, refused, &refusal.by, &error, reason, touched).await;
}

/// Ends a stanza that one of the gateway's own rules does not let pass.
pub(crate) async fn breach(
    gateway: &Arc<Gateway>,
    refused: Refused<'_>,
    breach: Breach,
    touched: &mut Touched,
) {
    let Breach {
        rule,
        error,
        reason,
    } = breach;
    let by = Arc::from(rule);
    turn_back(gateway, refused, &by, &error, Some(reason), touched).await;
}

async fn turn_back(
    gateway: &Arc<Gateway>,
    refused: Refused<'_>,
    by: &Arc<str>,
    error: &StanzaError,
    reason: Option<String>,
    touched: &mut Touched,
) {
    let reference = Reference::draw();
    let told = by_us(gateway, refused.stanza, error.clone()).with_reference(reference.to_string());
    let ending = bounce(gateway, refused.stanza, &told, refused.receipt, touched);
    let verdict = match ending {
        Ending::Bounced => "reject",
        Ending::Dropped { .. } => "drop",
    };
    let decision = Decision {
        by: Some(Arc::clone(by)),
        reason,
        condition: Some(error.condition.as_str()),
        refusal: Some(ending.refusal(reference, &told)),
        ..audit::of_stanza(
            Event::Stanza,
            refused.peer,
            refused.stanza,
            refused.generation.number(),
            verdict,
        )
    };
    audit::record(gateway, refused.generation, decision).await;
}

/// Ends a stanza of a partner whose stream has just been refused.
pub(crate) async fn revoke(gateway: &Gateway, refused: Refused<'_>, refusal: &Refusal) {
    refused.receipt.settle(Outcome::Dropped);
    let decision = Decision {
        by: Some(Arc::clone(&refusal.by)),
        reason: refusal.error.text.clone(),
        refusal: Some(portcullis_policy::Refusal {
            reference: Reference::draw(),
            told: Told::Nothing("its stream was ended with an error instead".to_owned()),
        }),
        ..audit::of_stanza(
            Event::Stanza,
            refused.peer,
            refused.stanza,
            refused.generation.number(),
            "drop",
        )
    };
    audit::record(gateway, refused.generation, decision).await;
}

/// Answers a stanza that was not fit to be judged.
pub(crate) async fn bad(
    gateway: &Arc<Gateway>,
    generation: &Generation,
    peer: &Arc<Peer>,
    mut bad: BadStanza,
    receipt: Receipt,
    touched: &mut Touched,
) {
    let reference = Reference::draw();
    bad.refer(&reference.to_string());
    let ending = match bad.reply.take() {
        None => Ending::Dropped {
            rule: "gateway:malformed-undeliverable",
        },
        Some(reply) => match send_back(gateway, *reply, GatewayStanza::Bounce, touched) {
            Ok(()) => Ending::Bounced,
            Err(()) => Ending::Dropped { rule: QUEUE_FULL },
        },
    };
    let (outcome, verdict) = match ending {
        Ending::Bounced => (Outcome::Bounced, "reject"),
        Ending::Dropped { .. } => (Outcome::Dropped, "drop"),
    };
    receipt.settle(outcome);
    let decision = Decision {
        refusal: Some(ending.refusal(reference, &bad.error)),
        ..audit::of_malformed(peer, &bad, generation.number(), verdict)
    };
    audit::record(gateway, generation, decision).await;
}

/// Sends what plugins want a partner to know that is no longer one, before its stream ends.
pub(crate) async fn last_words(gateway: &Arc<Gateway>, from: &Domain, to: &Domain, line: &Line) {
    let pair = gateway
        .router
        .lock()
        .get(&(from.clone(), to.clone()))
        .cloned();
    if let Some(pair) = pair {
        carry::last_words(gateway, &pair, line).await;
    }
}

/// Puts a stanza into its queue if there is room; gives it back if it has to wait or cannot go.
fn pass_at_once(
    gateway: &Arc<Gateway>,
    outgoing: Outgoing,
    touched: &mut Touched,
) -> Result<(), Outgoing> {
    let (from, to) = (outgoing.from(), outgoing.to());
    let pair = touched
        .last_of(from, to)
        .or_else(|| pair_of(gateway, from, to));
    match pair {
        Some(pair) => put(gateway, pair, outgoing, touched),
        None => Err(outgoing),
    }
}

async fn pass(gateway: &Arc<Gateway>, outgoing: Outgoing, touched: &mut Touched) {
    let (from, to) = (outgoing.from().clone(), outgoing.to().clone());
    let Some(pair) = pair_of(gateway, &from, &to) else {
        undeliverable(gateway, outgoing, &Why::QueueFull, touched).await;
        return;
    };
    if !pair.queue.has_room(outgoing.size()) {
        // What is there already must leave first.
        touched.wake();
        pair.queue.room(outgoing.size(), PATIENCE).await;
    }
    if let Err(outgoing) = put(gateway, pair, outgoing, touched) {
        undeliverable(gateway, outgoing, &Why::QueueFull, touched).await;
    }
}

/// Sends a stanza that the gateway itself has made and that answers nobody. Whether it left is counted.
pub(crate) fn send_own(gateway: &Arc<Gateway>, stanza: Stanza, why: GatewayStanza) {
    let mut touched = Touched::default();
    if send_back(gateway, stanza, why, &mut touched).is_err() {
        tracing::debug!(
            why = why.as_str(),
            "the queue for a stanza of the gateway's own is full"
        );
        gateway.metrics.made(why, Delivery::Failed);
    }
    touched.wake();
}

/// Sends a stanza of the gateway's own.
fn send_back(
    gateway: &Arc<Gateway>,
    stanza: Stanza,
    why: GatewayStanza,
    touched: &mut Touched,
) -> Result<(), ()> {
    let outgoing = Outgoing::own(stanza, why);
    let Some(pair) = pair_of(gateway, outgoing.from(), outgoing.to()) else {
        return Err(());
    };
    put(gateway, pair, outgoing, touched).map_err(drop)
}

/// Puts a stanza into its pair's queue; gives it back if the queue is full.
fn put(
    gateway: &Arc<Gateway>,
    mut pair: Arc<Pair>,
    mut outgoing: Outgoing,
    touched: &mut Touched,
) -> Result<(), Outgoing> {
    loop {
        match pair.queue.push(outgoing) {
            Ok(()) => {
                touched.add(&pair);
                return Ok(());
            }
            Err((back, QueueRefusal::Full)) => return Err(back),
            // Its task has just ended for lack of work: here is some.
            Err((back, QueueRefusal::Ended)) => {
                outgoing = back;
                gateway.router.forget(&pair);
                match pair_of(gateway, outgoing.from(), outgoing.to()) {
                    Some(next) => pair = next,
                    None => return Err(outgoing),
                }
            }
        }
    }
}

/// The pair's queue and task, made if they do not exist; none if there are too many.
fn pair_of(gateway: &Arc<Gateway>, from: &Domain, to: &Domain) -> Option<Arc<Pair>> {
    let mut pairs = gateway.router.lock();
    let key = (from.clone(), to.clone());
    if let Some(pair) = pairs.get(&key) {
        return Some(Arc::clone(pair));
    }
    if pairs.len() >= PAIRS {
        return None;
    }
    let side = if gateway.is_own(to) {
        Side::Internal
    } else {
        Side::Federation
    };
    let pair = Arc::new(Pair::new(side, from.clone(), to.clone()));
    pairs.insert(key, Arc::clone(&pair));
    drop(pairs);
    gateway
        .pairs
        .spawn(pair::run(Arc::clone(gateway), Arc::clone(&pair)));
    Some(pair)
}

impl Router {
    /// A stream that a peer has opened takes stanzas of `from` to `to`, too.
    pub(crate) fn offer(&self, from: &Domain, to: &Domain, output: Output) {
        self.offers.add(from, to, output);
    }

    /// A stream that was offered has ended.
    pub(crate) fn withdraw(&self, from: &Domain, to: &Domain) {
        self.offers.sweep(from, to);
    }

    /// For `status`, sorted by domains.
    pub(crate) fn list(&self) -> Vec<protocol::Queue> {
        let mut queues: Vec<_> = self.lock().values().map(|pair| pair.status()).collect();
        queues.sort_by(|a, b| (&a.from, &a.to).cmp(&(&b.from, &b.to)));
        queues
    }

    /// Pairs, and what waits in them: stanzas and bytes.
    pub(crate) fn totals(&self) -> (usize, usize, usize) {
        let pairs = self.lock();
        let (mut stanzas, mut bytes) = (0, 0);
        for pair in pairs.values() {
            let (count, size) = pair.queue.len();
            stanzas += count;
            bytes += size;
        }
        (pairs.len(), stanzas, bytes)
    }

    fn forget(&self, pair: &Arc<Pair>) {
        let mut pairs = self.lock();
        let key = (pair.from.clone(), pair.to.clone());
        if pairs
            .get(&key)
            .is_some_and(|known| Arc::ptr_eq(known, pair))
        {
            pairs.remove(&key);
        }
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<(Domain, Domain), Arc<Pair>>> {
        // The lock's sections only insert and remove whole entries.
        self.pairs.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
