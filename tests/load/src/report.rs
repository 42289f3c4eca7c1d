//! What came of a measurement.

use std::fmt;
use std::time::Duration;

use hdrhistogram::Histogram;
use serde::Serialize;

use crate::arguments::Plan;
use crate::process::Usage;
use crate::tally::Arrivals;

/// All figures of one measurement.
#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: String,
    ways: String,
    stanzas: String,
    streams: u16,
    plugins: bool,
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
    /// Bytes of memory that it had at the end.
    target_resident: u64,
    /// Share of one processor that the generator used; near 1 it is the limit itself.
    generator_share: f64,
    /// Microseconds from sending, or from when it was due, to arriving.
    p50_us: u64,
    p99_us: u64,
    p999_us: u64,
    most_us: u64,
    /// Over the whole run.
    sent: u64,
    lost: u64,
    doubled: u64,
    reordered: u64,
}

impl Report {
    /// `usage`: the target's and the generator's own while it was measured; `sums`: for each stream,
    /// how many were sent and what arrived.
    pub(crate) fn new(
        plan: &Plan,
        elapsed: Duration,
        [target, generator]: [Usage; 2],
        sums: &[(u64, Arrivals)],
    ) -> Self {
        let mut times = Histogram::<u64>::new(3).unwrap();
        for (_, arrivals) in sums {
            times.add(&arrivals.times).unwrap();
        }
        let total =
            |figure: fn(&Arrivals) -> u64| sums.iter().map(|(_, it)| figure(it)).sum::<u64>();
        let measured = total(|arrivals| arrivals.measured);
        let seconds = elapsed.as_secs_f64();
        let count = u32::try_from(measured.max(1)).map_or(f64::MAX, f64::from);
        Self {
            target: format!("{:?}", plan.target),
            ways: format!("{:?}", plan.ways),
            stanzas: format!("{:?}", plan.stanzas),
            streams: plan.streams,
            plugins: plan.plugins.is_some(),
            rate: plan.rate,
            seconds,
            measured,
            per_second: count / seconds,
            target_cpu_us: target.cpu.as_secs_f64() * 1e6 / count,
            target_share: target.cpu.as_secs_f64() / seconds,
            target_resident: target.resident,
            generator_share: generator.cpu.as_secs_f64() / seconds,
            p50_us: times.value_at_quantile(0.5),
            p99_us: times.value_at_quantile(0.99),
            p999_us: times.value_at_quantile(0.999),
            most_us: times.max(),
            sent: sums.iter().map(|(sent, _)| sent).sum(),
            lost: sums
                .iter()
                .map(|(sent, arrivals)| arrivals.lost(*sent))
                .sum(),
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
        let plugins = if self.plugins {
            "three plugins"
        } else {
            "no plugins"
        };
        writeln!(
            f,
            "{}, {} streams {}, {} stanzas, {plugins}",
            self.target, self.streams, self.ways, self.stanzas
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
            self.target_resident >> 20
        )?;
        writeln!(
            f,
            "  {:>12} us p50, {} us p99, {} us p99.9, {} us at most",
            self.p50_us, self.p99_us, self.p999_us, self.most_us
        )?;
        writeln!(
            f,
            "  {:>12} sent, {} lost, {} doubled, {} out of order",
            self.sent, self.lost, self.doubled, self.reordered
        )?;
        write!(
            f,
            "  {:>11.0} % of a processor for the generator itself",
            self.generator_share * 100.0
        )
    }
}
