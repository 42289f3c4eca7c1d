//! How long a target needs until it is ready, and what it occupies while nothing happens.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use serde::Serialize;

use crate::arguments::Start;
use crate::ends::{self, Language};
use crate::target::{Certificates, Target};

#[derive(Debug, Serialize)]
pub(crate) struct Report {
    target: String,
    /// Milliseconds of the first start, whose directory was empty.
    first_ms: f64,
    /// Milliseconds of the others.
    ready_ms: Vec<f64>,
    /// Bytes of memory of the last one, after its rest.
    resident: u64,
}

pub(crate) async fn run(plan: &Start) -> Report {
    let certificates = Certificates::new();
    // Nobody delivers anything.
    let nothing = || Arc::new(Vec::new());
    let identity = certificates.own.clone();
    let end = ends::listen(identity, Language::Xmpp, nothing()).await;
    let start = || Target::start(&plan.subject, 3, &certificates, [end, end]).process;
    let milliseconds = |ready_after: Duration| ready_after.as_secs_f64() * 1e3;
    let first_ms = milliseconds(start().ready_after);
    let mut ready_ms = Vec::new();
    let mut resident = 0;
    for time in 1..=plan.times {
        let process = start();
        ready_ms.push(milliseconds(process.ready_after));
        if time == plan.times {
            tokio::time::sleep(Duration::from_secs_f64(plan.rest)).await;
            resident = process.usage().resident;
        }
    }
    Report {
        target: format!("{:?}", plan.subject.target),
        first_ms,
        ready_ms,
        resident,
    }
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{}", self.target)?;
        writeln!(f, "  {:>9.1} ms until ready the first time", self.first_ms)?;
        for milliseconds in &self.ready_ms {
            writeln!(f, "  {milliseconds:>9.1} ms until ready")?;
        }
        write!(f, "  {:>9} KiB resident, idle", self.resident >> 10)
    }
}
