//! What streams cost in memory on which nothing happens.

use std::fmt;
use std::sync::Arc;
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::arguments::Idle;
use crate::process;
use crate::stage::Stage;

/// Memory that changes by less from one look to the next has settled.
const STEADY: u64 = 64 * 1024;
/// Looks in a row that must say so.
const LOOKS: u32 = 4;
const PACE: Duration = Duration::from_millis(500);

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: String,
    streams: u16,
    /// Seconds until all were open.
    opening: f64,
    /// Bytes of memory before, as soon as all were open, and when that had settled.
    resident_before: u64,
    resident_open: u64,
    resident_settled: u64,
    /// Bytes of memory for each stream, settled.
    each: u64,
    /// Microseconds on processors for each that was opened.
    cpu_us: f64,
}

pub(crate) async fn run(plan: &Idle) -> Report {
    process::open_many_files();
    let nothing = || Arc::new(Vec::new());
    let stage = Stage::set(&plan.subject, plan.streams, [nothing(), nothing()]).await;
    let stage = Arc::new(stage);
    let resident = || stage.target.process.usage().resident;
    let most = Duration::from_secs_f64(plan.rest);
    let resident_before = settle(&resident, most).await;
    let (begin, usage) = (Instant::now(), stage.target.process.usage());
    let open = stage.open_many(0..plan.streams, plan.tls).await;
    let opening = begin.elapsed().as_secs_f64();
    let used = stage.target.process.usage().since(usage);
    let resident_settled = settle(&resident, most).await;
    let report = Report {
        target: format!("{:?}", plan.subject.target),
        streams: plan.streams,
        opening,
        resident_before,
        resident_open: used.resident,
        resident_settled,
        each: resident_settled.saturating_sub(resident_before) / u64::from(plan.streams),
        cpu_us: used.cpu.as_secs_f64() * 1e6 / f64::from(plan.streams),
    };
    drop(open);
    report
}

/// Waits until memory no longer changes, or so long.
async fn settle(resident: &impl Fn() -> u64, most: Duration) -> u64 {
    let deadline = Instant::now() + most;
    let mut steady = 0;
    let mut last = resident();
    while steady < LOOKS && Instant::now() < deadline {
        tokio::time::sleep(PACE).await;
        let now = resident();
        steady = match now.abs_diff(last) < STEADY {
            true => steady + 1,
            false => 0,
        };
        last = now;
    }
    last
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let kibibytes = |bytes: u64| bytes >> 10;
        writeln!(f, "{}, {} idle streams", self.target, self.streams)?;
        writeln!(
            f,
            "  {:>9} KiB resident before, {} as soon as all were open, {} settled",
            kibibytes(self.resident_before),
            kibibytes(self.resident_open),
            kibibytes(self.resident_settled)
        )?;
        writeln!(f, "  {:>9} bytes for each", self.each)?;
        write!(
            f,
            "  {:>9.0} us of CPU to open each, all within {:.1} s",
            self.cpu_us, self.opening
        )
    }
}
