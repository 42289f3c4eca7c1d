//! One measurement of stanzas, from the certificates to the report.

use std::sync::Arc;
use std::time::{Duration, Instant};

use portcullis_test_support::Duplex;
use tokio::sync::watch;

use crate::arguments::{Plan, Ways};
use crate::process;
use crate::report::Report;
use crate::sender::{self, Pace};
use crate::stage::{Stage, Way};
use crate::stanzas::Stanzas;
use crate::tally::{MOST_UNDERWAY, Measuring, Tally};

/// Not measured: connections come to be, caches fill.
const WARM_UP: Duration = Duration::from_secs(1);
/// All that is on its way at the end shall arrive within.
const PATIENCE: Duration = Duration::from_secs(20);
/// How often the target's memory is looked at while it is measured.
const LOOKS: u32 = 20;

/// A stream of ours to the target.
struct Opened {
    io: Box<dyn Duplex>,
    stanzas: Stanzas,
}

/// Measures.
pub(crate) async fn run(plan: &Plan) -> Report {
    let ways: &[Way] = match plan.ways {
        Ways::Both => &[Way::Inbound, Way::Outbound],
        Ways::Inbound => &[Way::Inbound],
        Ways::Outbound => &[Way::Outbound],
    };
    let streams = u16::try_from(ways.len()).unwrap() * plan.streams;
    // Where there is a rate, nothing but the bound of the clock's memory holds stanzas back.
    let window = match plan.rate {
        None => plan.window.max(plan.burst.unwrap_or(1)),
        Some(_) => u32::try_from(MOST_UNDERWAY).unwrap(),
    };
    let clock = Instant::now();
    let tallies = (0..streams).map(|_| Arc::new(Tally::new(clock, window)));
    let tallies: Arc<Vec<_>> = Arc::new(tallies.collect());
    // What comes back to the side that it left has not arrived.
    let returned = Arc::new(Tally::new(clock, 0));
    let of = |end: Way| {
        let streams = ways.iter().flat_map(|way| vec![*way; plan.streams.into()]);
        let here = streams
            .zip(tallies.iter())
            .map(|(way, tally)| match way == end {
                true => Arc::clone(tally),
                false => Arc::clone(&returned),
            });
        Arc::new(here.collect::<Vec<_>>())
    };
    let both = [of(Way::Inbound), of(Way::Outbound)];
    let partners = plan.streams + plan.idle;
    let stage = Arc::new(Stage::set(&plan.subject, partners, both).await);
    let idle = stage.open_many(plan.streams..partners, plan.tls).await;
    let opened = open(plan, ways, &stage).await;

    let (stop, stopped) = watch::channel(false);
    let begin = Instant::now();
    for (opened, (turn, tally)) in opened.into_iter().zip((0..).zip(tallies.iter())) {
        let pace = match plan.rate {
            None => Pace::Saturated { burst: plan.burst },
            Some(rate) => {
                let between = Duration::from_secs(1) / rate.max(1);
                Pace::Every {
                    pause: between * u32::from(streams),
                    first: begin + between * turn,
                }
            }
        };
        let Opened { io, stanzas } = opened;
        let (tally, stopped) = (Arc::clone(tally), stopped.clone());
        tokio::spawn(sender::run(io, stanzas, tally, pace, stopped));
    }

    tokio::time::sleep(WARM_UP).await;
    let before = Instant::now();
    let usage = || [stage.target.process.usage(), process::own_usage()];
    let first = usage();
    tallies
        .iter()
        .for_each(|tally| tally.measure(Measuring::On));
    let mut resident = vec![first[0].resident];
    for _ in 0..LOOKS {
        tokio::time::sleep(Duration::from_secs_f64(plan.seconds) / LOOKS).await;
        resident.push(stage.target.process.usage().resident);
    }
    tallies
        .iter()
        .for_each(|tally| tally.measure(Measuring::Off));
    let elapsed = before.elapsed();
    let [theirs, ours] = usage();
    let used = [theirs.since(first[0]), ours.since(first[1])];

    stop.send_replace(true);
    // A sender may be in the middle of a burst.
    tokio::time::sleep(Duration::from_millis(50)).await;
    let end = Instant::now() + PATIENCE;
    for tally in tallies.iter() {
        tally
            .settle(end.saturating_duration_since(Instant::now()))
            .await;
    }
    drop(idle);
    let returned = returned.arrivals().arrived;
    Report::new(plan, elapsed, used, resident, &tallies, returned)
}

async fn open(plan: &Plan, ways: &[Way], stage: &Stage) -> Vec<Opened> {
    let mut opened = Vec::new();
    let mut number = 0;
    for way in ways {
        for stream in 0..plan.streams {
            let [from, to] = Stage::pair(stream, *way);
            opened.push(Opened {
                io: stage.open(stream, *way, plan.tls).await,
                stanzas: Stanzas::new(plan.stanzas, number, &from, &to),
            });
            number += 1;
        }
    }
    opened
}
