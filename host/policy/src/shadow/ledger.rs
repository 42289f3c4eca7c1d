//! What shadows would have done, counted and sampled, by the name of the plugin.
//!
//! In: differences. Out: [`Report`]s. It outlives generations: a reload resets no count. Bounded:
//! the last [`SAMPLES`] differences of each kind, for each plugin. No content of stanzas.

use std::collections::{BTreeMap, VecDeque};
use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::Peer;
use serde::{Deserialize, Serialize};
use time::OffsetDateTime;
use time::format_description::well_known::Rfc3339;

use super::Stood;
use super::difference::{Difference, Would};
use crate::judged::{Ruling, Verdict};

/// Differences of one kind that are kept for each plugin: enough to see what they have in common.
const SAMPLES: usize = 32;

/// The accounts of all shadows that there have been.
#[derive(Debug, Default)]
pub struct Ledger(Mutex<BTreeMap<Arc<str>, Arc<Account>>>);

/// One shadow's differences.
#[derive(Debug, Default)]
pub(crate) struct Account {
    counts: [AtomicU64; Difference::ALL.len()],
    failed: AtomicU64,
    not_compared: AtomicU64,
    samples: Mutex<BTreeMap<Difference, VecDeque<Sample>>>,
}

/// One shadow plugin: what it would have decided otherwise.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Report {
    /// Its name in the configuration.
    pub plugin: String,
    /// Decisions by kind of difference, those without any included; since the gateway started.
    pub differences: BTreeMap<Difference, u64>,
    /// Decisions that it gave none for, because it failed or was quarantined.
    pub failed: u64,
    /// Decisions that it was not asked about: more at once than it could judge.
    pub not_compared: u64,
    /// The last differences of each kind, the newest last.
    pub samples: Vec<Sample>,
}

/// One difference, without content.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sample {
    /// When it was found (RFC 3339, UTC).
    pub time: String,
    /// Its kind.
    pub difference: Difference,
    /// What it is about: `message`, `presence`, `iq`, or for a stream `knock` or `admit`.
    pub about: String,
    /// The generation whose shadow it was.
    pub generation: u64,
    /// SHA-256 of the shadow's component, lower case hex.
    pub digest: String,
    /// The stream; none for a knock.
    pub stream: Option<String>,
    /// The other end's domain.
    pub remote: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// `address:port` of the other end.
    pub address: Option<String>,
    /// The stanza's type.
    #[serde(rename = "type")]
    pub subtype: Option<String>,
    /// The stanza's sender.
    pub from: Option<String>,
    /// Its recipient.
    pub to: Option<String>,
    /// Its id.
    pub id: Option<String>,
    /// What stood.
    pub stood: Said,
    /// What the shadow said.
    pub would: Said,
    /// How the stanza would differ: payloads by name and namespace.
    pub changed: Option<String>,
}

/// A verdict or a ruling.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Said {
    /// `pass`, `reject`, `drop`, `allow`, `abstain` or `refuse`.
    pub verdict: String,
    /// Whose it was.
    pub by: Option<String>,
    /// With `reject`: the stanza error.
    pub condition: Option<String>,
    /// Why.
    pub reason: Option<String>,
}

impl Ledger {
    /// What all shadows would have done, by name; those included that are shadows no more.
    #[must_use]
    pub fn reports(&self) -> Vec<Report> {
        let accounts = lock(&self.0);
        let report = |(name, account): (&Arc<str>, &Arc<Account>)| account.report(name);
        accounts.iter().map(report).collect()
    }

    /// The account of the shadow of this name. Bounded by the names that configurations had.
    pub(crate) fn account(&self, plugin: &Arc<str>) -> Arc<Account> {
        let mut accounts = lock(&self.0);
        Arc::clone(accounts.entry(Arc::clone(plugin)).or_default())
    }
}

impl Account {
    pub(super) fn count(&self, difference: Difference) {
        let kinds = Difference::ALL.iter().zip(&self.counts);
        for (_, count) in kinds.filter(|(kind, _)| **kind == difference) {
            count.fetch_add(1, Relaxed);
        }
    }

    pub(super) fn failed(&self) {
        self.failed.fetch_add(1, Relaxed);
    }

    pub(super) fn not_compared(&self, cases: u64) {
        self.not_compared.fetch_add(cases, Relaxed);
    }

    pub(super) fn keep(&self, sample: Sample) {
        let mut samples = lock(&self.samples);
        let kind = samples.entry(sample.difference).or_default();
        if kind.len() == SAMPLES {
            kind.pop_front();
        }
        kind.push_back(sample);
    }

    fn report(&self, plugin: &str) -> Report {
        let counts = Difference::ALL.into_iter().zip(&self.counts);
        Report {
            plugin: plugin.to_owned(),
            differences: counts
                .map(|(kind, count)| (kind, count.load(Relaxed)))
                .collect(),
            failed: self.failed.load(Relaxed),
            not_compared: self.not_compared.load(Relaxed),
            samples: lock(&self.samples).values().flatten().cloned().collect(),
        }
    }
}

impl Sample {
    pub(super) fn of_stanza(seen: &Stanza, peer: &Peer, stood: &Stood, would: Would) -> Self {
        Self {
            about: seen.kind().as_str().to_owned(),
            subtype: Some(seen.subtype().as_str().to_owned()),
            from: Some(seen.from().to_string()),
            to: Some(seen.to().to_string()),
            id: seen.id().map(str::to_owned),
            ..Self::of_peer(
                peer,
                Said::of_verdict(&stood.verdict, stood.by.as_deref()),
                would,
            )
        }
    }

    pub(super) fn of_admit(peer: &Peer, stood: &Ruling, would: Would) -> Self {
        Self::of_peer(peer, Said::of_ruling(stood), would)
    }

    pub(super) fn of_knock(
        domain: &Domain,
        direction: Direction,
        address: Option<SocketAddr>,
        stood: &Ruling,
        would: Would,
    ) -> Self {
        Self {
            time: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
            difference: would.difference,
            about: "knock".to_owned(),
            generation: 0,
            digest: String::new(),
            stream: None,
            remote: domain.as_str().to_owned(),
            direction: direction.as_str().to_owned(),
            address: address.map(|address| address.to_string()),
            subtype: None,
            from: None,
            to: None,
            id: None,
            stood: Said::of_ruling(stood),
            would: would.said,
            changed: would.changed,
        }
    }

    fn of_peer(peer: &Peer, stood: Said, would: Would) -> Self {
        Self {
            time: OffsetDateTime::now_utc()
                .format(&Rfc3339)
                .unwrap_or_default(),
            difference: would.difference,
            about: "admit".to_owned(),
            generation: 0,
            digest: String::new(),
            stream: Some(peer.stream_id.to_string()),
            remote: peer.remote.as_str().to_owned(),
            direction: peer.direction.as_str().to_owned(),
            address: peer.address.map(|address| address.to_string()),
            subtype: None,
            from: None,
            to: None,
            id: None,
            stood,
            would: would.said,
            changed: would.changed,
        }
    }
}

impl Said {
    pub(crate) fn of_verdict(verdict: &Verdict, by: Option<&str>) -> Self {
        let (condition, reason) = match verdict {
            Verdict::Pass => (None, None),
            Verdict::Reject { error, reason } => (Some(error.condition.as_str()), Some(reason)),
            Verdict::Drop { reason } => (None, Some(reason)),
        };
        Self {
            verdict: verdict.as_str().to_owned(),
            by: by.map(str::to_owned),
            condition: condition.map(str::to_owned),
            reason: reason.cloned(),
        }
    }

    fn of_ruling(ruling: &Ruling) -> Self {
        let (verdict, by, reason) = match ruling {
            Ruling::Admitted { by } => ("allow", by, None),
            Ruling::Refused { by, text } => ("refuse", by, Some(text.clone())),
        };
        Self {
            verdict: verdict.to_owned(),
            by: Some(by.to_string()),
            condition: None,
            reason,
        }
    }
}

fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    // Its sections insert and read whole entries.
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}
