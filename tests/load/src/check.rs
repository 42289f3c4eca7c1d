//! Whether a target's policy keeps the forbidden word out, and nothing else.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use serde::Serialize;
use tokio::io::AsyncWriteExt as _;

use crate::arguments::{Check, Kind, Tls};
use crate::stage::{Stage, Way};
use crate::stanzas::Stanzas;
use crate::tally::Tally;

/// Messages, every second of them with the word; the last has none.
const MESSAGES: u64 = 41;
const PATIENCE: Duration = Duration::from_secs(20);

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: String,
    /// Messages without the word: sent, and arrived.
    allowed: [u64; 2],
    /// Messages with it.
    forbidden: [u64; 2],
}

pub(crate) async fn run(plan: &Check) -> Report {
    let tally = || Arc::new(Tally::new(Instant::now(), 1024));
    let (arrived, returned) = (tally(), tally());
    let tallies = [Arc::clone(&arrived), returned].map(|one| Arc::new(vec![one]));
    let stage = Stage::set(&plan.subject, 1, tallies).await;
    let mut io = stage.open(0, Way::Inbound, Tls::Starttls).await;
    let [from, to] = Stage::pair(0, Way::Inbound);
    let stanzas = Stanzas::new(Kind::Forbidden, 0, &from, &to);
    let mut text = Vec::new();
    for number in 0..MESSAGES {
        arrived.departs(number, Instant::now());
        stanzas.write(number, &mut text);
    }
    io.write_all(&text).await.unwrap();
    io.flush().await.unwrap();
    // They come in their order, so all are decided once the last is there.
    arrived.reaches(MESSAGES - 1, PATIENCE).await;
    let arrivals = arrived.arrivals();
    let sent = arrived.sent.load(Relaxed);
    let kept = arrivals.lost(sent);
    let kept_forbidden = arrivals.missing().filter(|number| number % 2 == 1).count();
    let kept_forbidden = u64::try_from(kept_forbidden).unwrap();
    let forbidden = MESSAGES / 2;
    Report {
        target: format!("{:?}", plan.subject.target),
        allowed: [sent - forbidden, sent - forbidden - (kept - kept_forbidden)],
        forbidden: [forbidden, forbidden - kept_forbidden],
    }
}

impl Report {
    /// Whether the policy does what it is there for.
    pub(crate) fn holds(&self) -> bool {
        self.forbidden[1] == 0 && self.allowed[0] == self.allowed[1]
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let [[sent, arrived], [forbidden, passed]] = [self.allowed, self.forbidden];
        writeln!(f, "{}", self.target)?;
        writeln!(f, "  {arrived} of {sent} messages arrived")?;
        write!(f, "  {passed} of {forbidden} with the forbidden word did")
    }
}
