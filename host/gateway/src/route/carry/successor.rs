//! What takes the place of a stream that was lost, if anything does.
//!
//! In: the stream's [`Successor`], and what it broke under. Out: the same stream over another connection;
//! another stream; or nothing, and then what is not acknowledged has to be given up. A stream of ours is
//! dialled for until the peer forgets it; one of the peer's is waited for as long as the gateway keeps it.
//!
//! Not waited for: a stream that breaks [`FRUITLESS`] times without having carried anything (what it
//! carries may be what breaks it), one for which there is no room, and any stream once the gateway drains.

use tokio::time::{Instant, sleep, sleep_until};

use super::Carrier;
use super::write::Halted;
use crate::connect::{Backoff, ConnectError};
use crate::route::pair::{LONGEST_PAUSE, State, welcome};
use crate::session::{self, Failure, Kept, Output, Resumed, Successor, Unresumed};

/// How often in a row a stream may break without anything having been settled or received on it.
const FRUITLESS: u32 = 3;

/// What a carrier goes on with.
pub(super) enum Next {
    /// The stream goes on; what is not acknowledged has to be written again.
    Same(Output),
    /// Another stream, which knows nothing of the lost one.
    Other(Output),
    /// Nothing; with the failure that another attempt would meet, if one was made.
    None(Option<Failure>),
}

/// With a stream that breaks again and again.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// Stanzas settled, and received, when it last broke.
    seen: (u64, u32),
    /// How often in a row nothing had changed by then.
    fruitless: u32,
}

impl Patience {
    /// The stream has broken; so much was settled on it, and received, in all. Whether it is worth going on.
    fn is_left(&mut self, settled: u64, came: u32) -> bool {
        let fruitful = self.seen != (settled, came);
        self.seen = (settled, came);
        self.fruitless = if fruitful { 0 } else { self.fruitless + 1 };
        self.fruitless < FRUITLESS
    }
}

impl Carrier<'_> {
    /// What to go on with, now that the stream is lost.
    pub(super) async fn next(
        &mut self,
        successor: Option<Successor>,
        halted: Option<Halted>,
    ) -> Next {
        let came = match &successor {
            Some(Successor::Ours(kept)) => kept.came(),
            _ => 0,
        };
        let successor = successor.filter(|_| self.patience.is_left(self.settled, came));
        match (halted, &successor) {
            (Some(halted), Some(_)) => {
                let counted = halted.keep(self.pair);
                self.wait_for(counted);
            }
            (Some(halted), None) => halted.part(self.gateway, self.pair).await,
            (None, _) => {}
        }
        let Some(successor) = successor else {
            return Next::None(None);
        };
        let held = self.gateway.resumable.hold(self.bytes);
        self.pair.is(State::Resuming);
        let next = match successor {
            Successor::Ours(kept) if held.is_some() => self.dial(kept).await,
            Successor::Ours(_) => Next::None(None),
            // Nothing of ours hangs on it: it is offered like any other when it comes.
            Successor::Theirs(_) if self.awaited.is_empty() => Next::None(None),
            Successor::Theirs(mut stream) => {
                if held.is_some() {
                    tokio::select! {
                        biased;
                        output = &mut stream => return self.given(output.ok()).await,
                        () = self.gateway.phases.draining.cancelled() => {}
                    }
                }
                // It may be there already, and then it counts on what we have.
                stream.close();
                self.given(stream.try_recv().ok()).await
            }
        };
        drop(held);
        next
    }

    /// The peer has come back, or not. What may be sent to it may have changed meanwhile.
    async fn given(&self, output: Option<Output>) -> Next {
        let Some(output) = output else {
            return Next::None(None);
        };
        match welcome(self.gateway, self.pair).await {
            Ok(()) => {
                self.pair.is(State::Connected);
                Next::Same(output)
            }
            Err(failure) => {
                if let Failure::Refused(refusal) = &failure {
                    // It counts on what was sent, and will not get it.
                    output.revoke(refusal.clone());
                }
                Next::None(Some(failure))
            }
        }
    }

    /// Takes up a stream of ours.
    async fn dial(&mut self, kept: Box<Kept>) -> Next {
        if self.awaited.is_empty() && !kept.is_for_both() {
            return Next::None(None);
        }
        let until = kept.until();
        let phases = &self.gateway.phases;
        tokio::select! {
            biased;
            () = phases.draining.cancelled() => Next::None(None),
            () = sleep_until(until) => Next::None(None),
            next = self.attempts(kept) => next,
        }
    }

    async fn attempts(&self, mut kept: Box<Kept>) -> Next {
        let pair = self.pair;
        let mut backoff = Backoff::new(LONGEST_PAUSE);
        loop {
            let attempt = session::resume(self.gateway, pair.side, &pair.from, &pair.to, kept);
            let Unresumed {
                failure,
                kept: again,
            } = match attempt.await {
                Ok((output, resumed)) => {
                    pair.is(State::Connected);
                    return match resumed {
                        Resumed::Same => Next::Same(output),
                        Resumed::Other => Next::Other(output),
                    };
                }
                Err(unresumed) => unresumed,
            };
            self.gateway.metrics.connect_failed(pair.side);
            tracing::warn!(
                side = %pair.side, from = %pair.from, to = %pair.to, reason = failure.to_string(),
                "a lost stream could not be taken up"
            );
            kept = match again {
                Some(again) if !self.awaited.is_empty() => again,
                // Whatever waits in the queue need not wait for that.
                _ => return Next::None(Some(failure)),
            };
            let wait = match failure {
                // Somebody else tried.
                Failure::Connect(ConnectError::Resting { left, .. }) => left,
                _ => backoff.failed(Instant::now().into_std()),
            };
            sleep(wait).await;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_that_breaks_without_having_carried_anything_is_given_up() {
        let mut patience = Patience::default();
        assert!(patience.is_left(0, 0));
        assert!(patience.is_left(0, 0));
        assert!(!patience.is_left(0, 0));
        let mut patience = Patience::default();
        for round in 1..10 {
            assert!(patience.is_left(round, 0), "it settles");
            assert!(patience.is_left(round, 7), "it brings");
            assert!(patience.is_left(round, 7));
        }
    }
}
