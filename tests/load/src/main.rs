//! A load generator that plays both ends around a target, in one process with one clock.
//!
//! In: which target, how many streams, which way, what stanzas, how fast, for how long. Out: one
//! [`Report`], as JSON or for people: what passed, what was lost, doubled or out of order, how long it
//! took, what the target needed for it, and what the generator itself needed, so that nobody mistakes
//! it for the limit. Fails, with what went wrong, where the target does not start or lets nobody in.
//!
//! The target is a process of its own, on a processor of its own where there are two. Nothing but
//! loopback addresses is used.

#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a failure here is the failure of a measurement"
)]

mod arguments;
mod ends;
mod negotiation;
mod process;
mod receiver;
mod relay;
mod report;
mod run;
mod sender;
mod stanzas;
mod tally;
mod target;

use clap::Parser as _;

use arguments::{Arguments, Command};
use report::Report;

fn main() {
    let runtime = |threads: usize| {
        let mut builder = tokio::runtime::Builder::new_multi_thread();
        builder
            .worker_threads(threads)
            .enable_all()
            .build()
            .unwrap()
    };
    match Arguments::parse().command {
        Command::Run(plan) => {
            let report: Report = runtime(1).block_on(run::run(&plan));
            match plan.json {
                true => println!("{}", serde_json::to_string(&report).unwrap()),
                false => println!("{report}"),
            }
            // Whoever compares figures must not compare those of a broken run.
            std::process::exit(i32::from(!report.is_whole()));
        }
        Command::Relay(relay) => runtime(1).block_on(relay::run(&relay)),
    }
}
