//! How much was carried, second by second.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};

use crate::traffic::Traffic;

const SECOND: Duration = Duration::from_secs(1);
/// So many seconds the machine has to show what it can do without swaps.
const CALM: usize = 10;

/// The time between two looks, and the stanzas that arrived in it.
#[derive(Clone, Copy)]
struct Window {
    from: Instant,
    until: Instant,
    rate: f64,
}

/// One second after the other, each at least one second long.
pub(crate) struct Windows {
    seen: Arc<Mutex<Vec<Window>>>,
    task: JoinHandle<()>,
}

impl Windows {
    pub(crate) fn watch(traffic: &Traffic) -> Self {
        let seen = Arc::new(Mutex::new(Vec::new()));
        let (delivered, windows) = (traffic.delivered(), Arc::clone(&seen));
        let task = tokio::spawn(async move {
            let (mut from, mut before) = (Instant::now(), delivered());
            loop {
                sleep(SECOND).await;
                let (until, now) = (Instant::now(), delivered());
                let rate = (now - before) as f64 / (until - from).as_secs_f64();
                windows.lock().unwrap().push(Window { from, until, rate });
                (from, before) = (until, now);
            }
        });
        Self { seen, task }
    }

    /// Stanzas per second, window by window.
    pub(crate) fn rates(&self) -> Vec<f64> {
        let seen = self.seen.lock().unwrap();
        seen.iter().map(|window| window.rate).collect()
    }

    /// Whether each window that something touches carried so much. What is not over yet did not.
    pub(crate) fn carried(&self, least: f64) -> impl Fn(Instant, Instant) -> bool {
        let seen = self.seen.lock().unwrap().clone();
        move |from, until| {
            let first = seen.partition_point(|window| window.until <= from);
            let mut touched = seen[first..]
                .iter()
                .take_while(|window| window.from < until);
            let whole = seen.last().is_some_and(|last| last.until >= until);
            whole && touched.all(|window| window.rate >= least)
        }
    }
}

impl Drop for Windows {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// The best second of some, or the first that carries so much.
pub(crate) async fn pace(traffic: &Traffic, enough: f64) -> f64 {
    let windows = Windows::watch(traffic);
    loop {
        sleep(SECOND / 10).await;
        let rates = windows.rates();
        let best = rates.iter().copied().fold(0.0, f64::max);
        if best >= enough || rates.len() >= CALM || traffic.is_over() {
            return best;
        }
    }
}
