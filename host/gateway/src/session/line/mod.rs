//! The writing end of an established stream, for all who write on it: the session that reads it, and
//! the pairs of domains that send over it.
//!
//! In: the session's own words, which never wait; whole stanzas, which wait their turn. Out: both, in
//! one piece each, the session's first. Whoever reads a stream must not wait until the peer reads, or
//! two busy peers could wait for each other: so words are noted and written by [`Line::flush`], which
//! may be cancelled, or by whoever writes next. Stanzas are written by who has them, and a write that
//! fails says how far it got. Where the peer acknowledges stanzas (XEP-0198), each counts for the pair
//! that it is of, in the order in which they are written. After [`Line::shut`] no stanza is taken. Every write has a deadline.

mod end;

use std::io;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex as Lock, MutexGuard, PoisonError};

use portcullis_xmpp::management::{TooHigh, Unacknowledged};
use tokio::io::{AsyncWriteExt, WriteHalf};
use tokio::sync::{Mutex, watch};
use tokio::time::Instant;

use self::end::End;
use super::wire::{Io, SendError};

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
    /// For each stanza that was sent and is not acknowledged, whose it is; none as long as the stream
    /// is not managed. Locked before `words`.
    sent: Lock<Option<Unacknowledged<Arc<Acknowledged>>>>,
    /// When the peer last acknowledged anything.
    answered: watch::Sender<Instant>,
    end: Mutex<End>,
}

/// How many stanzas of one pair of domains the peer has acknowledged on this stream.
#[derive(Debug, Default)]
pub(crate) struct Acknowledged(watch::Sender<u64>);

impl Acknowledged {
    /// So many, and news of more.
    pub(crate) fn subscribe(&self) -> watch::Receiver<u64> {
        self.0.subscribe()
    }
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
    pub(super) fn new(io: Option<WriteHalf<Io>>) -> Self {
        Self {
            words: Lock::default(),
            shut: AtomicBool::new(false),
            spoken: Lock::new(Spoken {
                said: Instant::now(),
                worked: Instant::now(),
            }),
            sent: Lock::new(None),
            answered: watch::Sender::new(Instant::now()),
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

    /// Notes words after which the peer counts what we send.
    pub(super) fn say_managed(&self, bytes: &[u8]) -> io::Result<()> {
        let mut sent = self.sent();
        self.say(bytes)?;
        sent.get_or_insert_default();
        Ok(())
    }

    /// The peer does not count after all: nobody will say more about what was sent.
    pub(super) fn unmanage(&self) {
        let sent = self.sent().take();
        for of in sent.into_iter().flat_map(Unacknowledged::into_unsettled) {
            of.0.send_modify(|count| *count += 1);
        }
    }

    /// The peer has settled so many of the stanzas that were sent.
    pub(super) fn acknowledged(&self, handled: u32) -> Result<(), TooHigh> {
        let settled = match &mut *self.sent() {
            Some(sent) => sent.acknowledge(handled)?,
            None => return Ok(()),
        };
        for of in settled {
            of.0.send_modify(|count| *count += 1);
        }
        self.answered.send_replace(Instant::now());
        Ok(())
    }

    /// When the peer last acknowledged anything.
    pub(crate) fn answered(&self) -> Instant {
        *self.answered.borrow()
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
        let failed = |accepted| move |error| SendError::new(accepted, error);
        let written = loop {
            if self.shut.load(Ordering::SeqCst) {
                return Err(SendError::new(0, io::ErrorKind::NotConnected.into()));
            }
            self.speak(&mut end).await.map_err(failed(0))?;
            // Whether the peer counts changes with words that are on the wire before these stanzas.
            let mut sent = self.sent();
            if !self.words().is_empty() {
                continue;
            }
            break match &mut *sent {
                Some(sent) => {
                    (0..stanzas).for_each(|_| sent.push(Arc::clone(of)));
                    Written::Awaited
                }
                None => Written::Delivered,
            };
        };
        end.progress = Instant::now();
        let mut accepted = 0;
        let asking: &[u8] = match written {
            Written::Awaited => REQUEST,
            Written::Delivered => b"",
        };
        for part in [bytes, asking] {
            let mut rest = part;
            while !rest.is_empty() {
                let more = end.write(rest).await.map_err(failed(accepted))?;
                rest = rest.get(more..).unwrap_or_default();
                accepted += more;
            }
        }
        end.flush().await.map_err(failed(accepted))?;
        let now = Instant::now();
        *self.spoken.lock().unwrap_or_else(PoisonError::into_inner) = Spoken {
            said: now,
            worked: now,
        };
        Ok(written)
    }

    /// Says what is left to say, then `close_notify` and FIN.
    pub(super) async fn close(&self) -> io::Result<()> {
        self.shut();
        let mut end = self.end.lock().await;
        self.speak(&mut end).await?;
        end.broken = true;
        match &mut end.io {
            Some(io) => io.shutdown().await,
            None => Ok(()),
        }
    }

    async fn speak(&self, end: &mut End) -> io::Result<()> {
        loop {
            let words = std::mem::take(&mut *self.words());
            if end.rest.is_empty() && !end.dirty {
                end.progress = Instant::now();
            }
            end.rest.extend_from_slice(&words);
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

    fn sent(&self) -> MutexGuard<'_, Option<Unacknowledged<Arc<Acknowledged>>>> {
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
