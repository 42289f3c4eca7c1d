//! The proofs that an established stream lives on, and when they have to be looked at again.
//!
//! In: each domain that a certificate has proven on the stream; word of new trust anchors, revocation
//! lists or partner records; time. Out: nothing, as long as all are good; otherwise the error that
//! ends the stream (RFC 6120 §13.7.2.3). Asking whether there is doubt costs next to nothing and is
//! done before each stanza; judging again is done once for each cause of doubt.

use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::error::StreamError;
use portcullis_xmpp::jid::Domain;
use time::OffsetDateTime;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout};

use super::certificate;
use crate::app::Gateway;
use crate::connect::Candidate;
use crate::session::Refusal;
use crate::tls::{PeerChain, Side, Unproven};

/// The longest that a stream waits by one timer: the machine's clock may be set meanwhile.
const CLOCK_CHECK: Duration = Duration::from_secs(600);
/// What proves a domain over the network (DANE, POSH) has so long when it is asked again; the stream
/// rests meanwhile.
const PATIENCE: Duration = Duration::from_secs(20);

/// See the module.
#[derive(Debug)]
pub(crate) struct Proofs {
    side: Side,
    chain: PeerChain,
    candidate: Option<Candidate>,
    domains: Vec<Domain>,
    /// None as long as nothing is proven.
    changes: Option<watch::Receiver<u64>>,
    /// When time alone may turn the judgement.
    doubt: Option<OffsetDateTime>,
    /// Whether there is a doubt that was not settled yet.
    due: bool,
}

/// What proves a domain on a stream.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Evidence<'e> {
    /// What the peer showed.
    pub(crate) chain: &'e PeerChain,
    /// As for [`certificate`].
    pub(crate) candidate: Option<&'e Candidate>,
    /// When it was found good, if that is known.
    pub(crate) judged: Option<Judged>,
}

/// When a certificate was judged, and in which state of what is believed.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Judged {
    beliefs: u64,
    at: OffsetDateTime,
}

impl Judged {
    /// For a judgement that begins now: what changes while it lasts is a doubt.
    pub(crate) fn now(gateway: &Gateway) -> Self {
        Self {
            beliefs: *gateway.beliefs.borrow(),
            at: OffsetDateTime::now_utc(),
        }
    }
}

impl Proofs {
    /// For a stream whose peer has proven nothing yet.
    pub(crate) fn new(side: Side) -> Self {
        Self {
            side,
            chain: PeerChain::default(),
            candidate: None,
            domains: Vec::new(),
            changes: None,
            doubt: None,
            due: false,
        }
    }

    /// The chain has proven one more domain. What may have changed since it was judged is a doubt.
    pub(crate) fn add(&mut self, gateway: &Gateway, domain: &Domain, evidence: Evidence<'_>) {
        let changes = self.changes.get_or_insert_with(|| {
            self.chain = evidence.chain.clone();
            self.candidate = evidence.candidate.cloned();
            gateway.beliefs.subscribe()
        });
        let beliefs = *changes.borrow();
        if self.domains.contains(domain) {
            return;
        }
        self.domains.push(domain.clone());
        match evidence.judged {
            Some(judged) if judged.beliefs == beliefs => {
                let turns = gateway.tls.next_doubt(self.side, &self.chain, judged.at);
                self.doubt = [self.doubt, turns].into_iter().flatten().min();
            }
            _ => self.due = true,
        }
    }

    /// Another policy has taken over; its trust anchors and records may be others.
    pub(crate) fn suspect(&mut self) {
        self.due = !self.domains.is_empty();
    }

    /// Waits until there is a doubt. May be cancelled.
    pub(crate) async fn doubted(&mut self) {
        while !self.in_doubt() {
            // Without a proof there is nothing to doubt; the first comes with an event of its own.
            let Some(changes) = &mut self.changes else {
                return std::future::pending().await;
            };
            let left = self
                .doubt
                .map(|doubt| doubt - OffsetDateTime::now_utc())
                .and_then(|left| Duration::try_from(left).ok())
                .unwrap_or(CLOCK_CHECK);
            let wake = Instant::now() + left.min(CLOCK_CHECK);
            tokio::select! {
                changed = changes.changed() => match changed {
                    Ok(()) => self.due = true,
                    // The gateway ends, and the stream with it.
                    Err(_) => std::future::pending().await,
                },
                () = sleep_until(wake) => {}
            }
        }
    }

    /// Whether something has happened under which the certificate may no longer be good.
    pub(crate) fn in_doubt(&self) -> bool {
        let changed = |changes: &watch::Receiver<u64>| changes.has_changed().unwrap_or_default();
        let passed = |doubt| doubt <= OffsetDateTime::now_utc();
        self.due || self.changes.as_ref().is_some_and(changed) || self.doubt.is_some_and(passed)
    }

    /// Judges again if there is a doubt. A refusal ends the stream.
    pub(crate) async fn check(&mut self, gateway: &Gateway) -> Result<(), Refusal> {
        if !self.in_doubt() {
            return Ok(());
        }
        // Boxed: it is rare, and would be part of every stream's future.
        Box::pin(self.judge(gateway)).await
    }

    async fn judge(&mut self, gateway: &Gateway) -> Result<(), Refusal> {
        if let Some(changes) = &mut self.changes {
            changes.mark_unchanged();
        }
        // Until it is settled: what comes after a refusal, on a stream that is closing, is refused too.
        self.due = true;
        let now = OffsetDateTime::now_utc();
        self.doubt = gateway.tls.next_doubt(self.side, &self.chain, now);
        for domain in &self.domains {
            let candidate = self.candidate.as_ref();
            let judging = certificate(gateway, self.side, &self.chain, domain, candidate);
            let judged = timeout(PATIENCE, judging)
                .await
                .unwrap_or_else(|_| Err(Unproven::new("it took too long to prove again")));
            judged.map_err(|unproven| refusal(&unproven))?;
        }
        self.due = false;
        Ok(())
    }
}

fn refusal(unproven: &Unproven) -> Refusal {
    Refusal {
        by: Arc::from("gateway:certificate"),
        error: StreamError::new(unproven.condition()).with_text(unproven.reason().to_owned()),
    }
}
