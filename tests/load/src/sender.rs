//! One stream's stanzas, on their way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::alarm::Alarm;
use crate::stanzas::Stanzas;
use crate::tally::Tally;

/// With a window, so many are written before one flush: one TLS record each, as a server that has
/// much to say does it.
const BURST: u32 = 16;

/// How fast stanzas leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as they arrive at the other end; always so many at once where that is said.
    Saturated { burst: Option<u32> },
    /// One each so often, the first at its turn. One that the target holds up counts from when it was
    /// due, one for which the generator was late from when it left: that is said apart.
    Every { pause: Duration, first: Instant },
}

/// Sends until it is told to stop. Ends early, with what was sent so far, if the target hangs up.
pub(crate) async fn run<IO: AsyncWrite + Unpin>(
    mut io: IO,
    stanzas: Stanzas,
    tally: Arc<Tally>,
    pace: Pace,
    stop: watch::Receiver<bool>,
) {
    let mut buffer = Vec::new();
    let mut number = 0;
    let mut turn = Turn::new(pace);
    while !*stop.borrow() {
        let (burst, due) = match &mut turn {
            Turn::Any { burst: Some(burst) } => (*burst, None),
            Turn::Any { burst: None } => {
                let most = u32::try_from(tally.room.available_permits()).unwrap_or(BURST);
                (most.clamp(1, BURST), None)
            }
            Turn::At(clock) => (1, Some(clock.next(&tally).await)),
        };
        let Some(room) = acquire(&tally, burst, &stop).await else {
            break;
        };
        room.forget();
        for _ in 0..burst {
            buffer.clear();
            stanzas.write(number, &mut buffer);
            tally.departs(number, due.unwrap_or_else(Instant::now));
            number += 1;
            if io.write_all(&buffer).await.is_err() {
                return;
            }
        }
        if io.flush().await.is_err() {
            return;
        }
    }
    // The stream stays open: what is on its way shall arrive.
    std::future::pending::<()>().await;
}

/// Whose turn it is.
enum Turn {
    /// Whoever has room.
    Any { burst: Option<u32> },
    /// The one that is due.
    At(Clock),
}

impl Turn {
    fn new(pace: Pace) -> Self {
        match pace {
            Pace::Saturated { burst } => Self::Any { burst },
            Pace::Every { pause, first } => Self::At(Clock {
                alarm: Alarm::new(),
                due: first,
                pause,
            }),
        }
    }
}

struct Clock {
    alarm: Alarm,
    due: Instant,
    pause: Duration,
}

impl Clock {
    /// Waits for the next stanza's turn. Returns since when it could leave: since it was due if that is past
    /// already, because the target did not take the one before it in time.
    async fn next(&mut self, tally: &Tally) -> Instant {
        let due = self.due;
        self.due += self.pause;
        if due <= Instant::now() {
            return due;
        }
        self.alarm.until(due).await;
        let now = Instant::now();
        tally.is_late(now - due);
        now
    }
}

async fn acquire<'a>(
    tally: &'a Tally,
    count: u32,
    stop: &watch::Receiver<bool>,
) -> Option<tokio::sync::SemaphorePermit<'a>> {
    let mut stop = stop.clone();
    tokio::select! {
        room = tally.room.acquire_many(count) => room.ok(),
        _ = stop.wait_for(|stop| *stop) => None,
    }
}
