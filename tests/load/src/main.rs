//! A load generator that plays both ends around a target, in one process with one clock.
//!
//! In: what is measured, and of which target. Out: one report, as JSON or for people; that of a `run` has
//! what passed, what was lost, doubled or out of order, how long it took, what the target needed for it,
//! and what the generator itself needed, so that nobody mistakes it for the limit. Fails, with what went
//! wrong, where the target does not start or lets nobody in; with code 3 where it is not installed.
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

mod alarm;
mod arguments;
mod baseline;
mod check;
mod ends;
mod handshakes;
mod idle;
mod negotiation;
mod process;
mod receiver;
mod report;
mod run;
mod sender;
mod stage;
mod stanzas;
mod start;
mod tally;
mod target;

use std::fmt::Display;

use clap::Parser as _;
use serde::Serialize;

use arguments::{Arguments, Command, Subject};

fn main() {
    match Arguments::parse().command {
        Command::Run(plan) => {
            let report = prepared(&plan.subject).block_on(run::run(&plan));
            tell(&plan.subject, &report);
            // Whoever compares figures must not compare those of a broken run.
            std::process::exit(i32::from(!report.is_whole()));
        }
        Command::Start(plan) => {
            let report = prepared(&plan.subject).block_on(start::run(&plan));
            tell(&plan.subject, &report);
        }
        Command::Idle(plan) => {
            let report = prepared(&plan.subject).block_on(idle::run(&plan));
            tell(&plan.subject, &report);
        }
        Command::Handshakes(plan) => {
            let report = prepared(&plan.subject).block_on(handshakes::run(&plan));
            tell(&plan.subject, &report);
        }
        Command::Check(plan) => {
            let report = prepared(&plan.subject).block_on(check::run(&plan));
            tell(&plan.subject, &report);
            std::process::exit(i32::from(!report.holds()));
        }
        Command::Relay(relay) => runtime().block_on(baseline::run(&relay)),
    }
}

/// A runtime beside the target; the end of this process, with code 3, if the target is not installed.
fn prepared(subject: &Subject) -> tokio::runtime::Runtime {
    let missing = target::missing(subject.target);
    if !missing.is_empty() {
        eprintln!("not installed: {}", missing.join(", "));
        std::process::exit(3);
    }
    process::keep_off(subject.processors);
    runtime()
}

fn runtime() -> tokio::runtime::Runtime {
    let mut builder = tokio::runtime::Builder::new_multi_thread();
    builder.worker_threads(1).enable_all().build().unwrap()
}

fn tell(subject: &Subject, report: &(impl Serialize + Display)) {
    match subject.json {
        true => println!("{}", serde_json::to_string(report).unwrap()),
        false => println!("{report}"),
    }
}
