//! A handle on a running gateway.

use std::fmt;
use std::net::SocketAddr;
use std::sync::Arc;

use super::drain::{Drained, drain};
use super::gateway::Gateway;
use super::reload::{Action, Trigger};
use crate::admin::protocol::{Generations, Reload, Shadowed, Status};

/// Where the gateway listens; with the real ports where the configuration left the choice.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Addresses {
    /// For partners.
    pub federation: Vec<SocketAddr>,
    /// For internal servers.
    pub internal: Vec<SocketAddr>,
    /// For metrics and health.
    pub admin: Option<SocketAddr>,
}

/// A gateway that accepts connections. Dropping the handle leaves it running until the runtime ends;
/// [`shutdown`](Self::shutdown) ends it properly.
pub struct Running {
    gateway: Arc<Gateway>,
    addresses: Addresses,
}

impl Running {
    pub(super) fn new(gateway: Arc<Gateway>, addresses: Addresses) -> Self {
        Self { gateway, addresses }
    }

    /// Where it listens.
    pub fn addresses(&self) -> &Addresses {
        &self.addresses
    }

    /// Reads configuration and plugins again; returns when it is done or refused. None if the
    /// gateway is ending.
    pub async fn reload(&self, trigger: Trigger) -> Option<Reload> {
        self.gateway.reload(trigger).await
    }

    /// Builds and tries what a reload would let judge, and changes nothing. None if the gateway is
    /// ending.
    pub async fn dry_run(&self) -> Option<Reload> {
        self.gateway.change(Trigger::Call, Action::DryRun).await
    }

    /// Lets a generation of the past judge, under a new number: this one, or the last before the
    /// current that said something else. None if the gateway is ending.
    pub async fn roll_back(&self, number: Option<u64>) -> Option<Reload> {
        let action = Action::Rollback(number);
        self.gateway.change(Trigger::Call, action).await
    }

    /// The generations that can be gone back to.
    pub fn generations(&self) -> Generations {
        self.gateway.history()
    }

    /// What shadow plugins would have decided.
    pub fn shadows(&self) -> Vec<Shadowed> {
        self.gateway.shadows()
    }

    /// How it stands.
    pub fn status(&self) -> Status {
        self.gateway.status()
    }

    /// What `/metrics` says. None only if formatting fails, which it does not.
    pub fn metrics(&self) -> Option<String> {
        self.gateway.metrics.render(&self.gateway.readings()).ok()
    }

    /// Drains and ends it.
    pub async fn shutdown(self) -> Drained {
        drain(&self.gateway).await
    }
}

/// The line that says that the gateway is ready: both listeners and the dialer.
impl fmt::Display for Running {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |addresses: &[SocketAddr]| {
            addresses
                .iter()
                .map(ToString::to_string)
                .collect::<Vec<_>>()
                .join(", ")
        };
        let config = self.gateway.config();
        write!(
            f,
            "portcullis is ready: federation listens on {}, internal listens on {}, the dialer connects from ",
            list(&self.addresses.federation),
            list(&self.addresses.internal),
        )?;
        match config.federation.source {
            Some(source) => write!(f, "{source}")?,
            None => f.write_str("any address")?,
        }
        if let Some(admin) = self.addresses.admin {
            write!(f, ", admin answers on {admin}")?;
        }
        let generation = self.gateway.chain.enter();
        write!(
            f,
            "; generation {} with {} plugins and {} partner records",
            generation.number(),
            config.plugins.len(),
            config.partners.len()
        )
    }
}
