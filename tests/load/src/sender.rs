//! One stream's stanzas, on their way.

use std::sync::Arc;
use std::time::{Duration, Instant};

use tokio::io::{AsyncWrite, AsyncWriteExt as _};
use tokio::sync::watch;

use crate::stanzas::Stanzas;
use crate::tally::Tally;

/// With a window, so many are written before one flush: one TLS record each, as a server that has
/// much to say does it.
const BURST: u32 = 16;

/// How fast stanzas leave.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Pace {
    /// As fast as they arrive at the other end.
    Saturated,
    /// One each so often. One that cannot leave in time counts from when it was due.
    Every(Duration),
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
    let mut due = Instant::now();
    while !*stop.borrow() {
        let burst = match pace {
            Pace::Saturated => {
                let most = u32::try_from(tally.room.available_permits()).unwrap_or(BURST);
                let some = most.clamp(1, BURST);
                let Some(room) = acquire(&tally, some, &stop).await else {
                    break;
                };
                room.forget();
                some
            }
            Pace::Every(pause) => {
                due += pause;
                tokio::time::sleep_until(due.into()).await;
                let Some(room) = acquire(&tally, 1, &stop).await else {
                    break;
                };
                room.forget();
                1
            }
        };
        for _ in 0..burst {
            buffer.clear();
            stanzas.write(number, &mut buffer);
            let at = match pace {
                Pace::Saturated => Instant::now(),
                Pace::Every(_) => due,
            };
            tally.departs(number, at);
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
