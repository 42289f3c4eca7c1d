//! Attacks that are known from other servers. What is asserted is not only the error: memory, time on
//! the processor, and what is left behind.

mod identity;
mod parser;
mod patience;

use std::time::Duration;

use portcullis_conformance::{
    Answer, At, Dns, Listener, Node, Part, Partner, Peer, Plan, Show, Stage, Usage, bare, ns,
};
use portcullis_test_support::{Behaviour, Server};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{QUIET, TO_ALPHA};

const MIB: u64 = 1024 * 1024;

/// What it cost between two looks.
struct Cost {
    before: Usage,
}

impl Cost {
    /// Begins to count. Everything that is made once should have been made by now.
    fn count(stage: &Stage) -> Self {
        stage.gateway.forget_peak();
        Self {
            before: stage.gateway.usage(),
        }
    }

    /// Ends; neither may have gone beyond its bound.
    fn at_most(self, stage: &Stage, memory: u64, cpu: Duration) {
        let after = stage.gateway.usage();
        let grown = after.peak.saturating_sub(self.before.resident);
        assert!(
            grown <= memory,
            "{grown} bytes more at the peak, not {memory}"
        );
        let took = after.cpu.saturating_sub(self.before.cpu);
        assert!(took <= cpu, "{took:?} on the processor, not {cpu:?}");
    }
}

/// Streams of every kind, so that what the first of them makes is made.
async fn warm(stage: &Stage) {
    for _ in 0..8 {
        for at in At::ALL {
            drop(stage.outside(at).await);
            drop(stage.inside(at).await);
        }
    }
    stage.gateway.at_rest().await;
}
