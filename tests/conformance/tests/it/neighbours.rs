//! What others notice of a plugin that uses all the time that it may: little.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use portcullis_conformance::{At, Peer, Stage};

use crate::plugins::{message, scripted};

/// Rounds, each first quiet and then with the bad plugin at work.
const ROUNDS: usize = 5;
/// Stanzas of the neighbour in each half of a round.
const STANZAS: usize = 60;
/// How much longer a neighbour's stanza may take. Guests that never rest share two processors with the
/// gateway's own work and with this test, each runs for a millisecond at a time, and a stanza passes
/// several tasks. Measured: 3.6 to 4.9; the rest is room for a quicker machine. Where
/// guests do not give way at all it is above 100.
const FACTOR: u32 = 10;
/// A quiet machine is quicker than its clock ticks: what is below counts as this much.
const LEAST: Duration = Duration::from_millis(1);

/// How long the slowest but one of the neighbour's presences took through the gateway: more than 98 of 100
/// were quicker.
async fn slowest(stage: &mut Stage, inside: &mut Peer, round: &str) -> Duration {
    let mut times = Vec::with_capacity(STANZAS);
    for n in 0..STANZAS {
        let id = format!("{round}-{n}");
        let since = Instant::now();
        inside
            .send(&format!(
                "<presence from='a@org.test' to='b@alpha.test' id='{id}'/>"
            ))
            .await;
        // Errors of the bad plugin's stanzas go to the same partner.
        while stage.alpha_gets().await.attribute("id") != Some(&id[..]) {}
        times.push(since.elapsed());
    }
    times.sort();
    times[STANZAS - 2]
}

fn median(mut times: Vec<Duration>) -> Duration {
    times.sort();
    times[times.len() / 2]
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn v24_neighbours_of_a_plugin_that_burns_its_budget_wait_little_longer() {
    let mut stage = scripted("budget = '10ms'\n[plugin.config]\nmessages = true").await;
    stage.gateway.burns_by_design();
    let mut inside = stage.inside(At::Established).await;
    // As many as the gateway has threads, and one more.
    let mut bad = Vec::new();
    for _ in 0..3 {
        bad.push(stage.outside(At::Established).await);
    }
    slowest(&mut stage, &mut inside, "warm").await;

    let (mut quiet, mut loud) = (Vec::new(), Vec::new());
    let mut burnt_or_passed = 0.0;
    for round in 0..ROUNDS {
        quiet.push(slowest(&mut stage, &mut inside, &format!("quiet{round}")).await);
        // Every second one burns its whole budget and fails; the others keep it out of quarantine.
        let enough = AtomicBool::new(false);
        let burning = async {
            while !enough.load(Ordering::Relaxed) {
                for (number, peer) in bad.iter_mut().enumerate() {
                    for script in ["a:loop", "a:pass"] {
                        peer.send(&message(&format!("bad{number}"), script)).await;
                        burnt_or_passed += 1.0;
                    }
                }
                tokio::time::sleep(Duration::from_millis(15)).await;
            }
        };
        let name = format!("loud{round}");
        let measured = async {
            loud.push(slowest(&mut stage, &mut inside, &name).await);
            enough.store(true, Ordering::Relaxed);
        };
        tokio::join!(burning, measured);
        // The next quiet half begins when there is nothing left to burn.
        let received = "portcullis_stanzas_received_total";
        stage
            .gateway
            .until(received, "kind=\"message\"", burnt_or_passed)
            .await;
        stage.gateway.settled().await;
    }
    let (quiet, loud) = (median(quiet).max(LEAST), median(loud));
    println!("quiet {quiet:?}, loud {loud:?}");
    assert!(loud <= quiet * FACTOR, "quiet {quiet:?}, loud {loud:?}");

    let status = stage.gateway.status().await;
    let plugin = &status["plugins"][0];
    let burnt = plugin["failures_by_cause"]["budget"].as_u64().unwrap_or(0);
    assert!(burnt >= 10, "it did burn: {plugin}");
    assert!(
        plugin["call_p99_ns"].as_u64().unwrap() > 5_000_000,
        "{plugin}"
    );
    assert_eq!(plugin["quarantines"], 0, "{plugin}");
}
