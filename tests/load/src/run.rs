//! One measurement, from the certificates to the report.

use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::{Duration, Instant};

use portcullis_test_support::Duplex;
use tokio::sync::watch;

use crate::arguments::{Plan, TargetKind, Tls, Ways};
use crate::ends::{self, Language};
use crate::process::{self, Usage};
use crate::report::Report;
use crate::sender::{self, Pace};
use crate::stanzas::Stanzas;
use crate::tally::{MOST_UNDERWAY, Measuring, Tally};
use crate::target::{Certificates, OWN, Target, partner};

/// Not measured: connections come to be, caches fill.
const WARM_UP: Duration = Duration::from_secs(1);
/// What is on its way at the end shall arrive within.
const PATIENCE: Duration = Duration::from_secs(20);

/// A stream of ours to the target.
struct Opened {
    io: Box<dyn Duplex>,
    stanzas: Stanzas,
}

/// Measures.
pub(crate) async fn run(plan: &Plan) -> Report {
    let certificates = Certificates::new();
    let clock = Instant::now();
    let ways: &[Ways] = match plan.ways {
        Ways::Both => &[Ways::Inbound, Ways::Outbound],
        Ways::Inbound => &[Ways::Inbound],
        Ways::Outbound => &[Ways::Outbound],
    };
    let streams = u16::try_from(ways.len()).unwrap() * plan.streams;
    // Where there is a rate, nothing but the bound of the clock's memory holds stanzas back.
    let window = match plan.rate {
        None => plan.window,
        Some(_) => u32::try_from(MOST_UNDERWAY).unwrap(),
    };
    let tallies: Vec<_> = (0..streams)
        .map(|_| Arc::new(Tally::new(clock, window)))
        .collect();
    let tallies = Arc::new(tallies);
    let language = Language::of(plan.target);
    let own = match language {
        Language::Xmpp => certificates.own.clone(),
        Language::Bare => certificates.partners.clone(),
    };
    let ends = [
        ends::listen(own, language, Arc::clone(&tallies)).await,
        ends::listen(
            certificates.partners.clone(),
            language,
            Arc::clone(&tallies),
        )
        .await,
    ];
    let target = Target::start(plan, &certificates, ends);
    let opened = open(plan, ways, &certificates, &target, language).await;

    let (stop, stopped) = watch::channel(false);
    let pace = match plan.rate {
        None => Pace::Saturated,
        Some(rate) => Pace::Every(Duration::from_secs(1) * u32::from(streams) / rate.max(1)),
    };
    for (opened, tally) in opened.into_iter().zip(tallies.iter()) {
        let Opened { io, stanzas } = opened;
        let (tally, stopped) = (Arc::clone(tally), stopped.clone());
        tokio::spawn(sender::run(io, stanzas, tally, pace, stopped));
    }

    tokio::time::sleep(WARM_UP).await;
    let before = Instant::now();
    let (theirs, ours) = (target.process.usage(), process::own_usage());
    tallies
        .iter()
        .for_each(|tally| tally.measure(Measuring::On));
    tokio::time::sleep(Duration::from_secs(plan.seconds)).await;
    tallies
        .iter()
        .for_each(|tally| tally.measure(Measuring::Off));
    let elapsed = before.elapsed();
    let usage = [
        since(target.process.usage(), theirs),
        since(process::own_usage(), ours),
    ];

    stop.send_replace(true);
    // A sender may be in the middle of a burst.
    tokio::time::sleep(Duration::from_millis(50)).await;
    for tally in tallies.iter() {
        tally.settle(PATIENCE).await;
    }
    let sums: Vec<_> = tallies
        .iter()
        .map(|tally| (tally.sent.load(Relaxed), tally.arrivals()))
        .collect();
    Report::new(plan, elapsed, usage, &sums)
}

async fn open(
    plan: &Plan,
    ways: &[Ways],
    certificates: &Certificates,
    target: &Target,
    language: Language,
) -> Vec<Opened> {
    let mut opened = Vec::new();
    let mut number = 0;
    for way in ways {
        for stream in 0..plan.streams {
            let domain = partner(stream);
            let (address, identity, pair, tls) = match way {
                Ways::Outbound if plan.target == TargetKind::Gateway => {
                    let pair = [OWN, domain.as_str()];
                    (target.inside, &certificates.own, pair, Tls::Starttls)
                }
                Ways::Outbound => {
                    let pair = [OWN, domain.as_str()];
                    (target.inside, &certificates.partners, pair, plan.tls)
                }
                Ways::Inbound | Ways::Both => {
                    let pair = [domain.as_str(), OWN];
                    (target.outside, &certificates.partners, pair, plan.tls)
                }
            };
            opened.push(Opened {
                io: ends::open(address, identity, language, pair, tls).await,
                stanzas: Stanzas::new(plan.stanzas, number, pair[0], pair[1]),
            });
            number += 1;
        }
    }
    opened
}

fn since(now: Usage, before: Usage) -> Usage {
    Usage {
        cpu: now.cpu.saturating_sub(before.cpu),
        ..now
    }
}
