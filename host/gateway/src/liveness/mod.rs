//! Whether the other end of a stream is still there.
//!
//! In: what one stream hears and says, as it happens. Out: what is [`Due`], at its time: whitespace, so
//! that nothing in between forgets the connection; a ping in the gateway's own name, after which the
//! stream lives as long as pings are answered; the end of a stream whose peer does not answer, or of
//! one that nobody keeps alive and nobody uses.
//!
//! A ping is sent on the stream that takes stanzas for the pair of domains, which may be another one,
//! and its answer comes where the peer sends its stanzas: [`Questions`] brings the two together. Any
//! byte from the peer, whitespace included, is a sign of life. What can fail: nothing. Not guaranteed:
//! that a peer that answers from one machine is alive on the other end of this very connection.

mod questions;

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::stream::{Peer, PeerLimits};
use tokio::sync::oneshot;
use tokio::time::{Instant, sleep_until};

pub(crate) use self::questions::Questions;
use crate::app::Gateway;
use crate::config::Flow;
use crate::observe::GatewayStanza;
use crate::route;
use crate::tls::Side;

/// What part of the idle time that a peer allows (XEP-0478) may pass before we say something: the
/// whitespace has to arrive in time on a bad line, too.
const SHARE_OF_IDLE: u32 = 2;

/// Whether a stream is kept, though nothing is sent on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Care {
    /// As long as the peer answers.
    KeepAlive,
    /// Until it was idle for too long.
    LeaveIdle,
}

/// The times of one stream, by the configuration and by what the peer allows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Terms {
    pub(crate) care: Care,
    /// Without a byte of ours, until whitespace; without a byte of theirs, until a ping.
    pub(crate) keepalive: Duration,
    /// From the ping to the end of the stream; or from the last use to the end of an idle one.
    pub(crate) inactivity: Duration,
    /// After how long without a byte the peer says that it closes (XEP-0478).
    pub(crate) peer_idle: Option<Duration>,
}

impl Terms {
    /// How long we may say nothing.
    fn silence(&self) -> Duration {
        let allowed = self.peer_idle.map(|idle| idle / SHARE_OF_IDLE);
        allowed.map_or(self.keepalive, |allowed| allowed.min(self.keepalive))
    }
}

/// What is to be done about a quiet stream.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Due {
    /// Say whitespace.
    Whitespace,
    /// Ask whether the peer is there, and tell [`Keeper::asked`].
    Ping,
    /// The ping was not answered: close with `connection-timeout`.
    Dead,
    /// Nobody uses the stream: close it in peace.
    Idle,
}

/// When something was last written on a stream, and when a stanza.
pub(crate) type Spoken = (Instant, Instant);

/// The clock of one established stream.
#[derive(Debug)]
pub(crate) struct Keeper {
    /// When the peer last gave a sign of life.
    heard: Instant,
    asked: Option<Asked>,
}

#[derive(Debug)]
struct Asked {
    at: Instant,
    /// None once it is known that no answer will come.
    answer: Option<oneshot::Receiver<()>>,
}

impl Keeper {
    /// Of a stream that was established now.
    pub(crate) fn new(now: Instant) -> Self {
        Self {
            heard: now,
            asked: None,
        }
    }

    /// Bytes came from the peer.
    pub(crate) fn heard(&mut self, now: Instant) {
        self.heard = now;
        self.asked = None;
    }

    /// The ping is on its way. Without one, since there are too many, the peer counts as heard: it
    /// will be asked the next time.
    pub(crate) fn asked(&mut self, now: Instant, answer: Option<oneshot::Receiver<()>>) {
        match answer {
            Some(answer) => {
                self.asked = Some(Asked {
                    at: now,
                    answer: Some(answer),
                });
            }
            None => self.heard(now),
        }
    }

    /// Waits until something is due on a stream that others may write on meanwhile. May be cancelled.
    pub(crate) async fn due(&mut self, terms: Terms, spoken: impl Fn() -> Spoken) -> Due {
        loop {
            let (at, due) = self.next(terms, spoken());
            let answer = self.asked.as_mut().and_then(|asked| asked.answer.as_mut());
            let answered = tokio::select! {
                biased;
                Some(answered) = conditional(answer) => answered,
                () = sleep_until(at) => {
                    if self.next(terms, spoken()) == (at, due) {
                        return due;
                    }
                    continue;
                }
            };
            match (answered, &mut self.asked) {
                (Ok(()), _) => self.heard(Instant::now()),
                (Err(_), Some(asked)) => asked.answer = None,
                (Err(_), None) => {}
            }
        }
    }

    /// What comes next, and when.
    fn next(&self, terms: Terms, (said, worked): Spoken) -> (Instant, Due) {
        if terms.care == Care::LeaveIdle {
            return (self.heard.max(worked) + terms.inactivity, Due::Idle);
        }
        let whitespace = (said + terms.silence(), Due::Whitespace);
        let life = match &self.asked {
            None => (self.heard + terms.keepalive, Due::Ping),
            Some(asked) => (asked.at + terms.inactivity, Due::Dead),
        };
        if life.0 <= whitespace.0 {
            life
        } else {
            whitespace
        }
    }
}

async fn conditional<F: Future + Unpin>(future: Option<F>) -> Option<F::Output> {
    match future {
        Some(future) => Some(future.await),
        None => None,
    }
}

/// The terms of a stream with this peer, which has announced these limits.
pub(crate) fn terms(gateway: &Gateway, side: Side, peer: &Peer, limits: PeerLimits) -> Terms {
    let timeouts = gateway.config().timeouts;
    Terms {
        care: care(gateway, side, peer),
        keepalive: timeouts.keepalive,
        inactivity: timeouts.inactivity,
        peer_idle: limits.idle_seconds.map(Duration::from_secs),
    }
}

/// A partner is kept as its record says, and inside the gateway stands for it in this, too. What has no
/// record has its defaults; but inside, a stream in the name of a domain that nobody outside speaks for
/// is left: anybody inside may have written to anywhere. Where stanzas go one way only, no ping is
/// answered.
fn care(gateway: &Gateway, side: Side, peer: &Peer) -> Care {
    let partner = peer.partner();
    let of_record = gateway.of_partner(partner, |record| {
        record.keep_alive && record.direction == Flow::Both
    });
    let keeps = match (of_record, side) {
        (Some(keeps), _) => keeps,
        (None, Side::Federation) => true,
        (None, Side::Internal) => gateway.streams.has_partner(partner),
    };
    if keeps {
        Care::KeepAlive
    } else {
        Care::LeaveIdle
    }
}

/// Asks a peer whether it is there; none if too many have been asked. The answer is taken until the
/// stream would end without it.
pub(crate) fn ping(gateway: &Arc<Gateway>, peer: &Peer) -> Option<oneshot::Receiver<()>> {
    let patience = gateway.config().timeouts.inactivity;
    let asked = gateway
        .questions
        .ping(&peer.local, &peer.remote, Instant::now(), patience);
    let (ping, answer) = asked?;
    route::send_own(gateway, ping, GatewayStanza::Ping);
    Some(answer)
}

/// What a peer is told that has not answered (PING-02).
pub(crate) fn dead() -> StreamError {
    StreamError::new(StreamCondition::ConnectionTimeout).with_text("a ping was not answered")
}

#[cfg(test)]
mod tests {
    use super::*;

    const TERMS: Terms = Terms {
        care: Care::KeepAlive,
        keepalive: Duration::from_secs(300),
        inactivity: Duration::from_secs(600),
        peer_idle: None,
    };

    /// A stream that was established at second 0, and that second.
    fn established() -> (Keeper, Instant) {
        let began = Instant::now();
        (Keeper::new(began), began)
    }

    fn second(began: Instant, second: u64) -> Instant {
        began + Duration::from_secs(second)
    }

    /// What is due next, and in which second, if something was last said in this one.
    fn due(keeper: &Keeper, began: Instant, terms: Terms, said: u64) -> (u64, Due) {
        let (at, due) = keeper.next(terms, (second(began, said), second(began, said)));
        ((at - began).as_secs(), due)
    }

    #[test]
    fn silence_of_ours_is_broken_by_whitespace() {
        let (mut keeper, began) = established();
        keeper.heard(second(began, 200));
        assert_eq!(due(&keeper, began, TERMS, 0), (300, Due::Whitespace));
        assert_eq!(due(&keeper, began, TERMS, 300), (500, Due::Ping));
    }

    #[test]
    fn ping_01_one_ping_after_silence_and_the_end_if_it_stays_unanswered() {
        let (mut keeper, began) = established();
        assert_eq!(due(&keeper, began, TERMS, 0), (300, Due::Ping));
        let (_unanswered, answer) = oneshot::channel();
        keeper.asked(second(began, 300), Some(answer));
        assert_eq!(due(&keeper, began, TERMS, 300), (600, Due::Whitespace));
        assert_eq!(due(&keeper, began, TERMS, 600), (900, Due::Dead));
    }

    #[tokio::test]
    async fn ping_02_a_peer_that_answers_is_never_cut() {
        let (mut keeper, began) = established();
        let later = second(began, 1000);
        for nth in 1..20 {
            let (answered, answer) = oneshot::channel();
            keeper.asked(second(began, nth), Some(answer));
            answered.send(()).unwrap();
            // The answer is taken although the end is due by now.
            let terms = Terms {
                keepalive: Duration::ZERO,
                inactivity: Duration::ZERO,
                ..TERMS
            };
            assert_eq!(keeper.due(terms, || (later, later)).await, Due::Ping);
        }
    }

    #[test]
    fn any_byte_of_the_peer_is_an_answer() {
        let (mut keeper, began) = established();
        let (_unanswered, answer) = oneshot::channel();
        keeper.asked(second(began, 300), Some(answer));
        keeper.heard(second(began, 899));
        assert_eq!(due(&keeper, began, TERMS, 900), (1199, Due::Ping));
    }

    #[tokio::test]
    async fn a_question_that_was_given_up_ends_the_stream_in_its_time() {
        let (mut keeper, began) = established();
        let (given_up, answer) = oneshot::channel();
        keeper.asked(began, Some(answer));
        drop(given_up);
        let terms = Terms {
            inactivity: Duration::ZERO,
            ..TERMS
        };
        assert_eq!(keeper.due(terms, || (began, began)).await, Due::Dead);
    }

    #[tokio::test]
    async fn what_others_have_said_meanwhile_counts() {
        let (mut keeper, began) = established();
        let terms = Terms {
            care: Care::LeaveIdle,
            inactivity: Duration::from_millis(20),
            ..TERMS
        };
        let used = std::cell::Cell::new(0);
        let spoken = || {
            // Somebody writes while the first wait goes on.
            used.set(used.get() + 1);
            let worked = began + Duration::from_millis(30) * u32::from(used.get() > 1);
            (worked, worked)
        };
        assert_eq!(keeper.due(terms, spoken).await, Due::Idle);
        assert!(began.elapsed() >= Duration::from_millis(50));
    }

    #[test]
    fn a_peer_that_could_not_be_asked_is_asked_later() {
        let (mut keeper, began) = established();
        keeper.asked(second(began, 300), None);
        assert_eq!(due(&keeper, began, TERMS, 300), (600, Due::Ping));
    }

    #[test]
    fn without_keep_alive_an_idle_stream_ends_in_peace() {
        let terms = Terms {
            care: Care::LeaveIdle,
            ..TERMS
        };
        let (mut keeper, began) = established();
        assert_eq!(due(&keeper, began, terms, 100), (700, Due::Idle));
        keeper.heard(second(began, 200));
        assert_eq!(due(&keeper, began, terms, 100), (800, Due::Idle));
    }

    #[test]
    fn lim_01_the_idle_time_of_the_peer_lowers_the_keep_alive() {
        let of = |idle| Terms {
            peer_idle: Some(Duration::from_secs(idle)),
            ..TERMS
        };
        let (keeper, began) = established();
        assert_eq!(due(&keeper, began, of(60), 0), (30, Due::Whitespace));
        assert_eq!(due(&keeper, began, of(3600), 0), (300, Due::Ping));
    }
}
