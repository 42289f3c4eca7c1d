//! How many streams can be opened for a second of the processor.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::arguments::Handshakes;
use crate::process;
use crate::stage::Stage;

const WARM_UP: Duration = Duration::from_secs(1);

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: String,
    tls: String,
    seconds: f64,
    handshakes: u32,
    per_second: f64,
    /// For each second of the target on a processor.
    per_cpu_second: f64,
    target_share: f64,
    generator_share: f64,
    /// Bytes of memory when measuring began and when it ended.
    target_resident: [u64; 2],
}

pub(crate) async fn run(plan: &Handshakes) -> Report {
    process::open_many_files();
    let nothing = || Arc::new(Vec::new());
    let stage = Stage::set(&plan.subject, plan.streams, [nothing(), nothing()]).await;
    let stage = Arc::new(stage);
    let done = Arc::new(AtomicU32::new(0));
    for stream in 0..plan.streams {
        let (stage, done, tls) = (Arc::clone(&stage), Arc::clone(&done), plan.tls);
        tokio::spawn(async move {
            loop {
                stage.come_and_go(stream, tls).await;
                done.fetch_add(1, Relaxed);
            }
        });
    }
    tokio::time::sleep(WARM_UP).await;
    let begin = Instant::now();
    let usage = || [stage.target.process.usage(), process::own_usage()];
    let (first, before) = (usage(), done.load(Relaxed));
    tokio::time::sleep(Duration::from_secs_f64(plan.seconds)).await;
    let (last, handshakes) = (usage(), done.load(Relaxed) - before);
    let seconds = begin.elapsed().as_secs_f64();
    let [target, generator] = [0, 1].map(|who| last[who].since(first[who]).cpu.as_secs_f64());
    assert!(handshakes > 0, "no stream was opened");
    Report {
        target: format!("{:?}", plan.subject.target),
        tls: format!("{:?}", plan.tls),
        seconds,
        handshakes,
        per_second: f64::from(handshakes) / seconds,
        per_cpu_second: f64::from(handshakes) / target,
        target_share: target / seconds,
        generator_share: generator / seconds,
        target_resident: [first[0].resident, last[0].resident],
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}, {}", self.target, self.tls)?;
        writeln!(f, "  {:>9.0} handshakes/s", self.per_second)?;
        writeln!(
            f,
            "  {:>9.0} for each second on a processor",
            self.per_cpu_second
        )?;
        writeln!(
            f,
            "  {:>9} KiB resident when it began, {} when it ended",
            self.target_resident[0] >> 10,
            self.target_resident[1] >> 10
        )?;
        write!(
            f,
            "  {:>9.0} % of a processor for the target, {:.0} % for the generator",
            self.target_share * 100.0,
            self.generator_share * 100.0
        )
    }
}
