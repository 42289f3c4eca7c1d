//! A thousand swaps while thousands of stanzas a second go both ways: no stanza notices.
//!
//! The machine must be able to do that, and the test needs it for itself (`.config/nextest.toml`).

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a test"
)]

mod journal;
mod policy;
mod traffic;
mod windows;

use std::collections::BTreeMap;
use std::time::Duration;

use portcullis::admin::protocol::{Reload, ReloadResult};
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, prepare_quietly};
use portcullis_test_support::{Behaviour, Mode};
use time::OffsetDateTime;
use tokio::time::Instant;

use crate::journal::judged_once_by_the_generation_that_is_named;
use crate::policy::{Kind, Policy, Shelf};
use crate::traffic::{STREAMS, Traffic};
use crate::windows::{Windows, pace};

/// What is promised to be carried through a swap, all streams together.
const STANZAS_A_SECOND: f64 = 5_000.0;
/// Swaps in a row.
const SWAPS: usize = 1_000;
/// Of each kind, within seconds that carried as many stanzas as are promised.
const OF_EACH_KIND: usize = 5;
/// Until then all of it must have been done; by far enough on a machine that can.
const DEADLINE: Duration = Duration::from_secs(120);
/// Caches are full and allocators have what they need after so many.
const WARM: usize = 200;
/// Resident memory may grow by so much from the swaps behind [`WARM`] to the last ones: 27 KiB that each swap
/// left behind would be more.
const FLAT: u64 = 16 * 1024 * 1024;

/// One swap, as whoever asked for it saw it.
pub(crate) struct Swap {
    kind: Kind,
    /// Before it was asked for: its generation cannot have judged earlier.
    asked: OffsetDateTime,
    /// After it was told: the generation before judges no new stanza.
    told: OffsetDateTime,
    from: Instant,
    until: Instant,
    /// What its generation's plugins sign a message with.
    stamps: String,
    resident: u64,
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_thousand_swaps_under_load_lose_double_reorder_and_drop_nothing() {
    let prepared = prepare_quietly();
    let shelf = Shelf::new(&prepared.dir().join("shelf"));
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let mut policy = Policy::new(alpha.address, beta.address);
    let mut world = prepared
        .start(Plan {
            plugins: Some(shelf.plugins().to_owned()),
            more: policy.text(),
            ..Plan::default()
        })
        .await;
    let clients = [
        world.inside("alpha.test", Mode::StartTls).await,
        world.inside("beta.test", Mode::StartTls).await,
        world.outside("alpha.test", Mode::StartTls).await.unwrap(),
        world.outside("beta.test", Mode::StartTls).await.unwrap(),
    ];
    let org = world.take_org().await;
    let traffic = Traffic::begin(clients, [alpha, beta, org]);
    let calm = pace(&traffic, STANZAS_A_SECOND).await;
    assert!(
        calm >= STANZAS_A_SECOND,
        "without any swap this machine carries {calm:.0} stanzas per second at best: \
         what a swap does at {STANZAS_A_SECOND:.0} cannot be tried on it"
    );

    let windows = Windows::watch(&traffic);
    let mut swaps = Vec::with_capacity(SWAPS * 2);
    let first = policy.stamps();
    let mut noticed = 0;
    let begun = Instant::now();
    while swaps.len() < SWAPS || !all_kinds_under_load(&swaps, &windows) {
        if traffic.is_over() {
            break;
        }
        assert!(
            begun.elapsed() < DEADLINE,
            "after {DEADLINE:?} {} swaps, under load {:?}; the seconds carried {:.0?}",
            swaps.len(),
            under_load(&swaps, &windows),
            windows.rates(),
        );
        let (asked, from) = (OffsetDateTime::now_utc(), Instant::now());
        let kind = policy.turn(&shelf);
        let next = swaps.len() as u64 + 2;
        match swapped(&mut world, &policy, next).await {
            Some(report) => {
                let told = policy.is_what(&report.changes, kind);
                assert!(told, "{kind:?}: {report:?}");
            }
            None => noticed += 1,
        }
        swaps.push(Swap {
            kind,
            asked,
            told: OffsetDateTime::now_utc(),
            from,
            until: Instant::now(),
            stamps: policy.stamps(),
            resident: resident(),
        });
    }
    let took = begun.elapsed();
    let (rates, loaded) = (windows.rates(), under_load(&swaps, &windows));
    let mut arrived = traffic.end().await;
    let total = arrived.total();

    // Every stream is still the one that it was.
    arrived.every_stream_carries_one_more().await;
    assert_eq!(arrived.connections(), [1, 1, 2]);
    let total = total + STREAMS.len() as u64;

    world.at_rest(total).await;
    let alive = || world.sum("portcullis_generations_alive", "");
    world
        .until(|| alive() == 1, || format!("{} alive", alive()))
        .await;
    let generations = swaps.len() as u64 + 1;
    assert_eq!(world.sum("portcullis_generation", ""), generations);
    // Each generation's plugin was told once that it has started.
    let calls = world.sum("portcullis_plugin_calls_total", r#"plugin="one""#);
    assert_eq!(calls, total + generations, "judged twice, or not at all");
    judged_once_by_the_generation_that_is_named(&world, &first, &swaps, &arrived).await;

    let median = |of: &[Swap]| {
        let mut all: Vec<_> = of.iter().map(|swap| swap.resident).collect();
        all.sort_unstable();
        all[all.len() / 2]
    };
    let resident = [&swaps[WARM..WARM * 2], &swaps[SWAPS - WARM..SWAPS]].map(median);
    println!(
        "calm {calm:.0}/s; {} swaps, {noticed} by the watcher, in {took:.1?} through {total} stanzas; seconds that carried \
         {STANZAS_A_SECOND:.0}: {} of {}, the least {:.0}; swaps in them {loaded:?}; resident {} and {} KiB",
        swaps.len(),
        rates
            .iter()
            .filter(|rate| **rate >= STANZAS_A_SECOND)
            .count(),
        rates.len(),
        rates.iter().copied().fold(f64::INFINITY, f64::min),
        resident[0] / 1024,
        resident[1] / 1024,
    );
    assert!(
        resident[1] < resident[0] + FLAT,
        "{} bytes resident, then {}",
        resident[0],
        resident[1]
    );
}

/// Makes the gateway judge by this policy, as the generation of this number, and returns its report; none if
/// the gateway, which watches these files, was quicker.
async fn swapped(world: &mut World, policy: &Policy, generation: u64) -> Option<Reload> {
    world.rewrite_end(&policy.text());
    let report = world.gateway.reload(Trigger::Admin).await.unwrap();
    assert_eq!(report.generation, generation, "{report:?}");
    match report.result {
        ReloadResult::Ok => Some(report),
        ReloadResult::Unchanged => None,
        ReloadResult::Refused | ReloadResult::Failed => panic!("{report:?}"),
    }
}

/// How many swaps of each kind were made while as much was carried as is promised.
fn under_load(swaps: &[Swap], windows: &Windows) -> BTreeMap<Kind, usize> {
    let mut counts: BTreeMap<_, _> = Kind::ALL.into_iter().map(|kind| (kind, 0)).collect();
    let carried = windows.carried(STANZAS_A_SECOND);
    for swap in swaps {
        if carried(swap.from, swap.until) {
            *counts.get_mut(&swap.kind).unwrap() += 1;
        }
    }
    counts
}

fn all_kinds_under_load(swaps: &[Swap], windows: &Windows) -> bool {
    let counts = under_load(swaps, windows);
    counts.values().all(|count| *count >= OF_EACH_KIND)
}

/// Bytes of memory of this process that are resident; the gateway is in it.
fn resident() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kilobytes = line.unwrap().split_ascii_whitespace().nth(1).unwrap();
    kilobytes.parse::<u64>().unwrap() * 1024
}
