//! A plugin that judges beside the chain: what it would have decided, and nothing of it in effect.
//!
//! In: what the chain was asked, at the plugin's place in the chain, and what stood. Out: a count for
//! each kind of difference, and the last differences themselves, in the [`Ledger`]. No stanza and no
//! stream waits for it: it has a thread, an instance and a bounded queue of its own. What the queue
//! has no room for, and what a retired generation leaves behind in it, is counted as not compared.
//!
//! What it cannot do: its verdicts and edits stay here; `journal` and `emit` accept what it says and
//! keep nothing; `state` is that of its own name, which no other plugin has, so that it can be made
//! active with what it remembers, or without, under another name. If it fails, that is counted, and
//! its quarantine means only that it compares nothing for a while.
//!
//! What a comparison cannot tell: what the plugins after it would have made of a stanza that it
//! edits, or lets pass where the chain did not.

mod difference;
mod ledger;
mod seen;

use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::Peer;
use tokio::sync::{mpsc, watch};

pub use difference::Difference;
pub use ledger::{Ledger, Report, Said, Sample};

use crate::beside::Beside;
use crate::judged::{Ruling, Verdict};
use crate::plugin::{self, Plugin, Round};
use crate::spec::Partners;
use ledger::Account;
pub(crate) use seen::Seen;

/// What may wait for a shadow. Each may hold a stanza of `stanza_bytes`.
const QUEUE: usize = 1024;

/// A shadow plugin and the way to its thread.
pub(crate) struct Shadow {
    plugin: Arc<Plugin>,
    /// How many active plugins come before it.
    place: usize,
    queue: mpsc::Sender<Case>,
    told: AtomicU64,
    done: watch::Receiver<u64>,
    account: Arc<Account>,
    worker: Beside<Worker>,
}

struct Worker {
    plugin: Arc<Plugin>,
    generation: u64,
    partners: Arc<Partners>,
    queue: mpsc::Receiver<Case>,
    done: watch::Sender<u64>,
    account: Arc<Account>,
}

/// What the chain was asked, as the shadow would have seen it, and what stood.
pub(crate) enum Case {
    Stanza {
        seen: Stanza,
        peer: Arc<Peer>,
        stood: Box<Stood>,
    },
    Knock {
        domain: Domain,
        direction: Direction,
        address: Option<SocketAddr>,
        stood: Ruling,
    },
    Admit {
        peer: Arc<Peer>,
        stood: Ruling,
    },
}

/// What became of a stanza.
pub(crate) struct Stood {
    pub(crate) verdict: Verdict,
    pub(crate) by: Option<Arc<str>>,
    /// As it went on, if it did.
    pub(crate) stanza: Stanza,
}

impl Shadow {
    pub(crate) fn new(
        plugin: Arc<Plugin>,
        place: usize,
        generation: u64,
        partners: Arc<Partners>,
        ledger: &Ledger,
    ) -> Self {
        let (queue, receiver) = mpsc::channel(QUEUE);
        let (done_sender, done) = watch::channel(0);
        let account = ledger.account(plugin.name());
        let worker = Worker {
            plugin: Arc::clone(&plugin),
            generation,
            partners,
            queue: receiver,
            done: done_sender,
            account: Arc::clone(&account),
        };
        Self {
            plugin,
            place,
            queue,
            told: AtomicU64::new(0),
            done,
            account,
            worker: Beside::new("shadow", worker),
        }
    }

    pub(crate) fn plugin(&self) -> &Arc<Plugin> {
        &self.plugin
    }

    pub(crate) fn place(&self) -> usize {
        self.place
    }

    /// Starts to judge.
    pub(crate) fn begin(&self) {
        self.worker.begin(self.plugin.name(), Worker::run);
    }

    /// Lets it judge the case when it has time. Never waits.
    pub(crate) fn tell(&self, case: Case) {
        match self.queue.try_send(case) {
            Ok(()) => {
                self.told.fetch_add(1, Relaxed);
            }
            Err(_) => self.account.not_compared(1),
        }
    }

    /// Waits until everything that it took so far is compared.
    pub(crate) async fn settled(&self) {
        let told = self.told.load(Relaxed);
        let _ = self.done.clone().wait_for(|done| *done >= told).await;
    }
}

impl Worker {
    async fn run(mut self) {
        self.plugin.started().await;
        while let Some(case) = self.queue.recv().await {
            if self.queue.is_closed() {
                // The generation judges no more: nobody waits for what it left behind.
                let left = u64::try_from(self.queue.len()).unwrap_or(u64::MAX);
                self.account.not_compared(left.saturating_add(1));
                return;
            }
            self.compare(case).await;
            self.done.send_modify(|done| *done = done.saturating_add(1));
        }
    }

    async fn compare(&self, case: Case) {
        match case {
            Case::Stanza { seen, peer, stood } => {
                let mut round = Round::new();
                match self.plugin.decide(&mut round, &seen, &peer).await {
                    Ok(judgement) => {
                        let would = difference::stanza(&seen, plugin::answer(judgement), &stood);
                        self.account.count(would.difference);
                        if would.difference != Difference::None {
                            let sample = Sample::of_stanza(&seen, &peer, &stood, would);
                            self.account.keep(self.marked(sample));
                        }
                    }
                    Err(_) => self.account.failed(),
                }
            }
            Case::Knock {
                domain,
                direction,
                address,
                stood,
            } => {
                let opinion = self.plugin.try_knock(&domain, direction, address).await;
                let Ok(opinion) = opinion else {
                    return self.account.failed();
                };
                let would = difference::stream(opinion, self.is_partner(&domain), &stood);
                self.account.count(would.difference);
                if would.difference != Difference::None {
                    let sample = Sample::of_knock(&domain, direction, address, &stood, would);
                    self.account.keep(self.marked(sample));
                }
            }
            Case::Admit { peer, stood } => {
                let Ok(opinion) = self.plugin.try_admit(&peer).await else {
                    return self.account.failed();
                };
                let would = difference::stream(opinion, self.is_partner(&peer.remote), &stood);
                self.account.count(would.difference);
                if would.difference != Difference::None {
                    let sample = Sample::of_admit(&peer, &stood, would);
                    self.account.keep(self.marked(sample));
                }
            }
        }
    }

    fn is_partner(&self, domain: &Domain) -> bool {
        let now = time::OffsetDateTime::now_utc();
        self.partners.find(domain, now).is_some()
    }

    /// Says which component of which generation the sample is about.
    fn marked(&self, sample: Sample) -> Sample {
        Sample {
            generation: self.generation,
            digest: self.plugin.component().digest,
            ..sample
        }
    }
}
