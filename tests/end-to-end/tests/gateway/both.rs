//! Two gateways, each the other's partner.

use std::net::SocketAddr;
use std::path::Path;

use portcullis::admin::protocol::{ReloadResult, Stream};
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, prepare, prepare_for};
use portcullis_test_support::Mode;

use crate::relay::{Breaks, Relay};

/// org.test and alpha.test, each behind a gateway of its own.
pub(crate) struct Both {
    pub(crate) org: World,
    pub(crate) alpha: World,
}

/// What a side's record of the other side says.
pub(crate) struct Record {
    keys: String,
    /// Whether the other side's authority is trusted.
    trust: Trust,
}

#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Trust {
    Theirs,
    NotTheirs,
}

impl Record {
    pub(crate) fn new(keys: &str, trust: Trust) -> Self {
        Self {
            keys: keys.to_owned(),
            trust,
        }
    }

    fn text(&self, domain: &str, proxy: SocketAddr, authority: &Path) -> String {
        let mut text = format!(
            "[[partner]]\ndomain = '{domain}'\nproxy = '{proxy}'\n{}",
            self.keys
        );
        if self.trust == Trust::Theirs {
            text.push_str(&format!("trust = ['{}']\n", authority.display()));
        }
        text
    }
}

impl Both {
    pub(crate) async fn start(of_alpha: &Record, of_org: &Record) -> Self {
        let straight = async |address| address;
        Self::through(of_alpha, of_org, Plan::default().timeouts, straight).await
    }

    /// As [`start`](Self::start), over connections that break, with these timeouts. org.test's way to
    /// alpha.test is the first.
    pub(crate) async fn breaking(
        record: &Record,
        timeouts: &'static str,
        breaks: Breaks,
    ) -> (Self, [Relay; 2]) {
        let mut relays = Vec::new();
        let relayed = async |address| {
            let relay = Relay::start(address, breaks).await;
            let address = relay.address;
            relays.push(relay);
            address
        };
        let both = Self::through(record, record, timeouts, relayed).await;
        (both, relays.try_into().ok().unwrap())
    }

    /// Each gateway reaches the other at the address that `way` makes of it.
    async fn through(
        of_alpha: &Record,
        of_org: &Record,
        timeouts: &'static str,
        mut way: impl AsyncFnMut(SocketAddr) -> SocketAddr,
    ) -> Self {
        let (first, second) = (prepare(), prepare_for(&["alpha.test"]));
        let authorities = [&first, &second].map(|prepared| prepared.pki.public.file.clone());
        let mut alpha = second
            .start(Plan {
                own: vec!["alpha.test"],
                timeouts,
                ..Plan::default()
            })
            .await;
        let address = way(alpha.gateway.addresses().federation[0]).await;
        let org = first
            .start(Plan {
                more: of_alpha.text("alpha.test", address, &authorities[1]),
                timeouts,
                ..Plan::default()
            })
            .await;
        // Now that it is known where the first one listens.
        let address = way(org.gateway.addresses().federation[0]).await;
        alpha.rewrite_end(&of_org.text("org.test", address, &authorities[0]));
        let reload = alpha.gateway.reload(Trigger::Call).await.unwrap();
        // The directory is watched: whoever notices first reads it.
        let done = matches!(reload.result, ReloadResult::Ok | ReloadResult::Unchanged);
        assert!(done, "{reload:?}");
        Self { org, alpha }
    }

    /// One message each way; what each server gets for it, org.test's first.
    pub(crate) async fn one_each_way(&mut self) -> [String; 2] {
        let mut inside = self.org.inside("alpha.test", Mode::StartTls).await;
        inside.send(&message("org.test", "alpha.test", 1)).await;
        let mut other = self.alpha.inside("org.test", Mode::StartTls).await;
        other.send(&message("alpha.test", "org.test", 2)).await;
        let got = [self.org.org.stanza().await, self.alpha.org.stanza().await];
        // The streams of the servers live as long.
        inside.close().await;
        other.close().await;
        got
    }

    pub(crate) async fn end(self) {
        let _ = tokio::join!(self.org.gateway.shutdown(), self.alpha.gateway.shutdown());
    }
}

pub(crate) fn message(from: &str, to: &str, id: usize) -> String {
    format!("<message from='a@{from}' to='b@{to}' id='{id}'><body>n{id}n</body></message>")
}

/// The streams with the other gateway.
pub(crate) fn federation(world: &World) -> Vec<Stream> {
    let mut streams = world.gateway.status().streams;
    streams.retain(|stream| stream.side == "federation");
    streams
}
