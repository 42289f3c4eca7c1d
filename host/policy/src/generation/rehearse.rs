//! Asking plugins without anything following from it: for those who write and try them.
//!
//! In: made-up streams and stanzas. Out: what the plugins say, in types that no route takes: a
//! [`crate::Judged`] comes only from authenticated traffic. What plugins write meanwhile (`state`,
//! `journal`, `emit`) goes to the [`Services`](crate::Services) that the generation was built with, so
//! build it with ones that are thrown away.

use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::Peer;

use super::{Generation, build};
use crate::component::Description;
use crate::engine::Engine;
use crate::judged::Verdict;
use crate::plugin::Opinion;
use crate::spec::{PluginSpec, Services};
use crate::status::Wanted;

/// What became of a stanza that nobody sent.
#[derive(Clone, Debug)]
#[must_use]
pub struct Rehearsed {
    /// The verdict that would stand.
    pub verdict: Verdict,
    /// With all edits if it passed, as it was if it did not.
    pub stanza: Stanza,
    /// Time that all plugins together took.
    pub elapsed: Duration,
}

impl Generation {
    /// What a component says of itself, and which stanzas it asks for with this configuration; the
    /// inner error says why it does not start with it.
    ///
    /// # Errors
    /// Why this gateway does not take the component, whatever the configuration.
    pub async fn portrait(
        engine: &Arc<Engine>,
        services: &Services,
        plugin: &PluginSpec,
    ) -> Result<(Description, Result<Wanted, String>), String> {
        build::portrait(engine, services, plugin).await
    }

    /// What would become of this stanza from this peer.
    pub async fn rehearse(&self, stanza: Stanza, peer: Arc<Peer>) -> Rehearsed {
        let judged = self.judge_stanza(stanza, peer).await;
        let elapsed = judged.elapsed();
        let (stanza, _, verdict) = judged.into_parts();
        Rehearsed {
            verdict,
            stanza,
            elapsed,
        }
    }

    /// What each gatekeeper would say to this domain when it knocks, in chain order. Partner records
    /// open nothing here.
    pub async fn rehearse_knock(
        &self,
        domain: &Domain,
        direction: Direction,
        address: Option<SocketAddr>,
    ) -> Vec<Opinion> {
        let mut opinions = Vec::new();
        for (_, plugin) in self.gatekeepers() {
            opinions.push(plugin.knock(domain, direction, address).await);
        }
        opinions
    }

    /// What each gatekeeper would say about this peer, in chain order.
    pub async fn rehearse_admit(&self, peer: &Arc<Peer>) -> Vec<Opinion> {
        let mut opinions = Vec::new();
        for (_, plugin) in self.gatekeepers() {
            opinions.push(plugin.admit(peer).await);
        }
        opinions
    }
}
