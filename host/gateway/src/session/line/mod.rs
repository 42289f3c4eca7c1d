//! The writing end of an established stream, for all who write on it: the session that reads it, and
//! the pairs of domains that send over it.
//!
//! In: the session's own words, which never wait; whole stanzas, which wait their turn. Out: both, in
//! one piece each, the session's first. Whoever reads a stream must not wait until the peer reads, or
//! two busy peers could wait for each other: so words are noted and written by [`Line::flush`], which
//! may be cancelled, or by whoever writes next. Stanzas are written by who has them, and a write that
//! fails says how far it got. Where the peer acknowledges stanzas (XEP-0198), each counts for the pair
//! that it is of, in the order in which they are written; when the connection is lost, what is not
//! acknowledged moves on to the next one ([`Line::hand_over`]). After [`Line::shut`] no stanza is taken.
//! Every write has a deadline.

mod counted;
mod end;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};

use portcullis_xmpp::management::TooHigh;
use tokio::sync::Mutex;
use tokio::time::Instant;
use tokio_util::sync::CancellationToken;

pub(crate) use self::counted::{Acknowledged, Sent};
use self::end::End;
use super::socket::Writer;
use super::wire::{Counted, SendError};

/// How much a session may have to say that the peer does not take: acks, pings, one stream error.
/// More than that means that it asks much and reads nothing.
const WORDS: usize = 64 * 1024;

/// Asks the peer what it has settled (XEP-0198 §4).
const REQUEST: &[u8] = b"<r xmlns='urn:xmpp:sm:3'/>";

/// See the module.
#[derive(Debug)]
pub(crate) struct Line {
    words: Lock<Vec<u8>>,
    shut: AtomicBool,
    spoken: Lock<Spoken>,
    /// What the peer is to acknowledge. Locked before `words`.
    sent: Lock<Count>,
    /// When the peer last acknowledged anything.
    answered: Lock<Instant>,
    /// Cancelled when the connection is given up.
    gone: CancellationToken,
    end: Mutex<End>,
}

/// Whether the peer acknowledges stanzas.
#[derive(Debug)]
enum Count {
    /// Not, or not yet.
    Off,
    On(Sent),
    /// The connection is lost, and what was sent on it belongs to another one.
    Over,
}

/// What becomes of stanzas that were written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Written {
    /// Nobody will say more about them.
    Delivered,
    /// The peer acknowledges them.
    Awaited,
}

/// When something was last written, and when a stanza.
#[derive(Debug, Clone, Copy)]
struct Spoken {
    said: Instant,
    worked: Instant,
}

impl Line {
    pub(super) fn new(io: Option<Writer>) -> Self {
        Self {
            words: Lock::default(),
            shut: AtomicBool::new(false),
            spoken: Lock::new(Spoken {
                said: Instant::now(),
                worked: Instant::now(),
            }),
            sent: Lock::new(Count::Off),
            answered: Lock::new(Instant::now()),
            gone: CancellationToken::new(),
            end: Mutex::new(End {
                io,
                rest: Vec::new(),
                dirty: false,
                progress: Instant::now(),
                broken: false,
            }),
        }
    }

    /// Notes words of the session; an error if the peer takes none of them.
    pub(super) fn say(&self, bytes: &[u8]) -> io::Result<()> {
        let mut words = self.words();
        if words.len().saturating_add(bytes.len()) > WORDS {
            return Err(io::ErrorKind::TimedOut.into());
        }
        words.extend_from_slice(bytes);
        Ok(())
    }

    /// Notes words after which the peer counts what we send, beginning with what was sent before on
    /// another connection.
    pub(super) fn say_managed(&self, bytes: &[u8], before: Sent) -> io::Result<()> {
        let mut sent = self.sent();
        self.say(bytes)?;
        *sent = Count::On(before);
        Ok(())
    }

    /// From now on the peer counts, beginning with what was sent before on another connection.
    pub(super) fn resume(&self, before: Sent) {
        *self.sent() = Count::On(before);
    }

    /// The peer does not count after all: nobody will say more about what was sent.
    pub(super) fn unmanage(&self) {
        let mut sent = self.sent();
        if matches!(*sent, Count::On(_))
            && let Count::On(sent) = std::mem::replace(&mut *sent, Count::Off)
        {
            sent.release();
        }
    }

    /// The connection is lost. Gives away what the peer has not acknowledged, if it does that at all;
    /// from then on nothing is sent here, and who is writing is stopped.
    pub(super) fn hand_over(&self) -> Option<Sent> {
        self.shut();
        let handed = match std::mem::replace(&mut *self.sent(), Count::Over) {
            Count::On(sent) => Some(sent),
            Count::Off | Count::Over => None,
        };
        self.gone.cancel();
        handed
    }

    /// The peer has settled so many of the stanzas that were sent.
    pub(super) fn acknowledged(&self, handled: u32) -> Result<(), TooHigh> {
        match &mut *self.sent() {
            Count::On(sent) => sent.acknowledge(handled)?,
            Count::Off | Count::Over => return Ok(()),
        }
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner) = Instant::now();
        Ok(())
    }

    /// When the peer last acknowledged anything.
    pub(crate) fn answered(&self) -> Instant {
        *self.answered.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether there are words that are not written and that nobody is writing.
    pub(super) fn has_words(&self) -> bool {
        let begun = |end: tokio::sync::MutexGuard<'_, End>| !end.rest.is_empty() || end.dirty;
        !self.words().is_empty() || self.end.try_lock().is_ok_and(begun)
    }

    /// When something was last written, and when a stanza.
    pub(super) fn spoken(&self) -> (Instant, Instant) {
        let Spoken { said, worked } = *self.spoken.lock().unwrap_or_else(PoisonError::into_inner);
        (said, worked)
    }

    /// No stanza is taken any more: the closing tag is the next word.
    pub(super) fn shut(&self) {
        self.shut.store(true, Ordering::SeqCst);
    }

    /// Writes what the session has to say. May be cancelled, and called again.
    pub(super) async fn flush(&self) -> io::Result<()> {
        let mut end = self.end.lock().await;
        self.speak(&mut end).await
    }

    /// Writes and flushes whole stanzas, so many, of one pair of domains.
    pub(crate) async fn send(
        &self,
        bytes: &[u8],
        stanzas: usize,
        of: &Arc<Acknowledged>,
    ) -> Result<Written, SendError> {
        let mut end = self.end.lock().await;
        let failed = |error| SendError::new(0, error);
        let written = loop {
            if self.shut.load(Ordering::SeqCst) {
                return Err(failed(io::ErrorKind::NotConnected.into()));
            }
            self.speak(&mut end).await.map_err(failed)?;
            // Whether the peer counts changes with words that are on the wire before these stanzas.
            let mut sent = self.sent();
            if !self.words().is_empty() {
                continue;
            }
            break match &mut *sent {
                Count::On(sent) => {
                    sent.push(stanzas, of);
                    Written::Awaited
                }
                Count::Off => Written::Delivered,
                Count::Over => return Err(failed(io::ErrorKind::NotConnected.into())),
            };
        };
        let (asking, counted): (&[u8], _) = match written {
            Written::Awaited => (REQUEST, Counted::Yes),
            Written::Delivered => (b"", Counted::No),
        };
        match self.put(&mut end, [bytes, asking]).await {
            Ok(()) => Ok(written),
            Err(error) => Err(error.of(counted)),
        }
    }

    /// Writes and flushes whole stanzas that were sent before on the connection that this one takes the
    /// place of, and count already.
    pub(crate) async fn send_again(&self, bytes: &[u8]) -> Result<(), SendError> {
        let mut end = self.end.lock().await;
        let failed = |error| SendError::new(0, error);
        if self.shut.load(Ordering::SeqCst) {
            return Err(failed(io::ErrorKind::NotConnected.into()));
        }
        self.speak(&mut end).await.map_err(failed)?;
        self.put(&mut end, [bytes, REQUEST]).await
    }

    /// Writes and flushes, as long as the connection is not given up.
    async fn put(&self, end: &mut End, parts: [&[u8]; 2]) -> Result<(), SendError> {
        end.progress = Instant::now();
        let mut accepted = 0;
        for part in parts {
            let mut rest = part;
            while !rest.is_empty() {
                let more = tokio::select! {
                    more = end.write(rest) => more,
                    () = self.gone.cancelled() => {
                        end.broken |= accepted > 0;
                        Err(io::ErrorKind::NotConnected.into())
                    }
                };
                let more = more.map_err(|error| SendError::new(accepted, error))?;
                rest = rest.get(more..).unwrap_or_default();
                accepted += more;
            }
        }
        end.flush()
            .await
            .map_err(|error| SendError::new(accepted, error))?;
        let now = Instant::now();
        *self.spoken.lock().unwrap_or_else(PoisonError::into_inner) = Spoken {
            said: now,
            worked: now,
        };
        Ok(())
    }

    /// Says what is left to say, then `close_notify` and FIN.
    pub(super) async fn close(&self) -> io::Result<()> {
        self.shut();
        let mut end = self.end.lock().await;
        let words = std::mem::take(&mut *self.words());
        if end.rest.is_empty() && !end.dirty {
            end.progress = Instant::now();
        }
        end.note(words);
        end.close().await
    }

    async fn speak(&self, end: &mut End) -> io::Result<()> {
        loop {
            let words = std::mem::take(&mut *self.words());
            if end.rest.is_empty() && !end.dirty {
                end.progress = Instant::now();
            }
            end.note(words);
            if end.rest.is_empty() && !end.dirty {
                return Ok(());
            }
            end.write_rest().await?;
            end.flush().await?;
            self.spoken
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .said = Instant::now();
        }
    }

    fn sent(&self) -> MutexGuard<'_, Count> {
        // The lock's sections call one method each.
        self.sent.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn words(&self) -> MutexGuard<'_, Vec<u8>> {
        // The lock's sections only append and take.
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests;
