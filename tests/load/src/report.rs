//! What came of a measurement.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering::Relaxed;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::arguments::Plan;
use crate::process::Usage;
use crate::tally::{Arrivals, Tally};

/// Share of its processor at which the generator cannot do much more.
const BUSY: f64 = 0.9;

/// All figures of one measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: String,
    ways: String,
    stanzas: String,
    streams: u16,
    idle: u16,
    /// Component and number of the gateway's plugins.
    plugins: Vec<String>,
    processors: usize,
    /// Stanzas per second that were asked for; none: as many as possible.
    rate: Option<u32>,
    seconds: f64,
    /// Stanzas that arrived while it was measured.
    measured: u64,
    per_second: f64,
    /// Microseconds on the target's processors for one stanza.
    target_cpu_us: f64,
    /// Share of one processor that the target used.
    target_share: f64,
    /// Bytes of memory that it had, from the beginning to the end.
    target_resident: Vec<u64>,
    /// Share of one processor that the generator used.
    generator_share: f64,
    /// Share of the time in which it could have run and somebody else did: what disturbs it disturbs the
    /// target too.
    generator_waiting: f64,
    /// Microseconds by which it was late itself, where there is a rate: 99 of 100 were later by less.
    generator_late_p99_us: u64,
    /// Whether the generator was the limit: the target could have done more, or sooner.
    generator_is_limit: bool,
    /// Microseconds from sending, or from when the target held it up, to arriving.
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    most_us: u64,
    /// Over the whole run.
    sent: u64,
    lost: u64,
    /// Of those that were lost: they came back, as errors do.
    returned: u64,
    doubled: u64,
    reordered: u64,
}

impl Report {
    /// `used`: by the target and by the generator while it was measured.
    pub(crate) fn new(
        plan: &Plan,
        elapsed: Duration,
        [target, generator]: [Usage; 2],
        target_resident: Vec<u64>,
        tallies: &[Arc<Tally>],
        returned: u64,
    ) -> Self {
        let sums: Vec<_> = tallies
            .iter()
            .map(|tally| (tally.sent.load(Relaxed), tally.arrivals()))
            .collect();
        let mut times = Histogram::<u64>::new(3).unwrap();
        let mut late = Histogram::<u64>::new(3).unwrap();
        for (tally, (_, arrivals)) in tallies.iter().zip(&sums) {
            times.add(&arrivals.times).unwrap();
            late.add(tally.late()).unwrap();
        }
        let subject = &plan.subject;
        let total =
            |figure: fn(&Arrivals) -> u64| sums.iter().map(|(_, it)| figure(it)).sum::<u64>();
        let measured = total(|arrivals| arrivals.measured);
        let seconds = elapsed.as_secs_f64();
        let count = u32::try_from(measured.max(1)).map_or(f64::MAX, f64::from);
        let [p99_us, late_us] = [&times, &late].map(|it| it.value_at_quantile(0.99));
        let generator_share = generator.cpu.as_secs_f64() / seconds;
        Self {
            target: format!("{:?}", subject.target),
            ways: format!("{:?}", plan.ways),
            stanzas: format!("{:?}", plan.stanzas),
            streams: plan.streams,
            idle: plan.idle,
            plugins: match subject.plugins {
                Some(_) => subject.chain.iter().map(ToString::to_string).collect(),
                None => Vec::new(),
            },
            processors: subject.processors,
            rate: plan.rate,
            seconds,
            measured,
            per_second: count / seconds,
            target_cpu_us: target.cpu.as_secs_f64() * 1e6 / count,
            target_share: target.cpu.as_secs_f64() / seconds,
            target_resident,
            generator_share,
            generator_waiting: generator.waiting.as_secs_f64() / seconds,
            generator_late_p99_us: late_us,
            generator_is_limit: match plan.rate {
                None => generator_share > BUSY,
                Some(_) => late_us * 2 > p99_us,
            },
            p50_us: times.value_at_quantile(0.5),
            p99_us,
            p999_us: times.value_at_quantile(0.999),
            most_us: times.max(),
            sent: sums.iter().map(|(sent, _)| sent).sum(),
            lost: sums
                .iter()
                .map(|(sent, arrivals)| arrivals.lost(*sent))
                .sum(),
            returned,
            doubled: total(|arrivals| arrivals.doubled),
            reordered: total(|arrivals| arrivals.reordered),
        }
    }

    /// Whether every stanza arrived, once and in order.
    pub(crate) fn is_whole(&self) -> bool {
        self.measured > 0 && self.lost == 0 && self.doubled == 0 && self.reordered == 0
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(
            f,
            "{}, {} streams {}, {} idle, {} stanzas, plugins: {}",
            self.target,
            self.streams,
            self.ways,
            self.idle,
            self.stanzas,
            self.plugins.join(" ")
        )?;
        writeln!(
            f,
            "  {:>12.0} stanzas/s over {:.1} s",
            self.per_second, self.seconds
        )?;
        writeln!(
            f,
            "  {:>12.2} us of CPU each ({:.0} % of a processor), {} MiB resident",
            self.target_cpu_us,
            self.target_share * 100.0,
            self.target_resident.last().unwrap_or(&0) >> 20
        )?;
        writeln!(
            f,
            "  {:>12} us p50, {} us p99, {} us p99.9, {} us at most",
            self.p50_us, self.p99_us, self.p999_us, self.most_us
        )?;
        writeln!(
            f,
            "  {:>12} sent, {} lost ({} came back), {} doubled, {} out of order",
            self.sent, self.lost, self.returned, self.doubled, self.reordered
        )?;
        write!(
            f,
            "  {:>11.0} % of a processor for the generator itself, {:.0} % waiting for it, {} us late (p99){}",
            self.generator_share * 100.0,
            self.generator_waiting * 100.0,
            self.generator_late_p99_us,
            match self.generator_is_limit {
                true => ": IT IS THE LIMIT",
                false => "",
            }
        )
    }
}
