//! What the machine asks: may the stream exist, is the certificate good for the name, is the peer
//! welcome?
//!
//! In: the machine's questions, and what [`Intake`](crate::session::intake::Intake) says. Out: answers,
//! and for each refusal a note of who refused, for the record of the stream's end.

use std::sync::Arc;

use portcullis_policy::Decision;
use portcullis_xmpp::dialback::DialbackError;
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::management::Nonza;
use portcullis_xmpp::stream::{Answer, Initiator, Need, Peer, Phase, Question, Terms};

use super::Session;
use crate::audit;
use crate::prove::{Evidence, Judged, certificate};
use crate::route;
use crate::session::dialback;
use crate::session::line::Line;
use crate::session::output::{Life, Made, Output, Source};
use crate::session::standing::{Refusal, Standing, may_open};
use crate::session::terms;
use crate::tls::Side;

impl Session<'_> {
    pub(super) async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Open { from, to } => {
                let terms = self.open(from, to).await;
                if let (Ok(terms), Some(_)) = (&terms, self.deadline) {
                    // The header is there; the next phase begins.
                    self.deadline = Some(match (self.machine.phase(), terms.tls) {
                        (Phase::Opening, Need::Required) => self.deadlines.tls,
                        _ => self.deadlines.established,
                    });
                }
                Answer::Open(terms)
            }
            Question::Prove { domain } => {
                let judged = Judged::now(self.gateway);
                let proven = certificate(self.gateway, self.side, &self.chain, &domain, None).await;
                self.judged = proven.is_ok().then_some((domain, judged));
                Answer::Prove(proven.map_err(|unproven| {
                    let reason = unproven.to_string();
                    let error = self.refuse(Refusal {
                        by: Arc::from("gateway:certificate"),
                        error: StreamError::new(StreamCondition::NotAuthorized)
                            .with_text(reason.clone()),
                    });
                    error.told().unwrap_or(reason)
                }))
            }
            Question::Pair { from, to } => Answer::Pair(self.pair(from, to).await),
            Question::Key(asked) => {
                self.answered = true;
                Answer::Key(dialback::answer(self.gateway, self.side, &asked))
            }
            Question::Admit(peer) => Answer::Admit(self.admit(&peer).await),
        }
    }

    async fn open(&mut self, from: Option<Domain>, to: Domain) -> Result<Terms, StreamError> {
        if let Some(from) = &from {
            self.claim = Some((from.clone(), to.clone()));
        }
        let answer = self.may(from.as_ref(), &to).await;
        answer.map_err(|refusal| self.refuse(refusal))?;
        Ok(from.map_or(Terms::CERTIFICATE, |from| self.terms(&from)))
    }

    /// Another pair of domains on this stream, by dialback. V20: who may not knock causes no lookup.
    async fn pair(&mut self, from: Domain, to: Domain) -> Result<Terms, DialbackError> {
        // A connection has few headers, but as many requests as the peer likes: each is asked about.
        self.intake.forget_knock();
        match self.may(Some(&from), &to).await {
            Ok(()) => Ok(self.terms(&from)),
            Err(refusal) => {
                let refusal = refusal.referred();
                let error = dialback::refused(&refusal);
                self.refuse_pair(from, to, refusal).await;
                Err(error)
            }
        }
    }

    /// The gateway's own rules first, then the gatekeepers.
    async fn may(&mut self, from: Option<&Domain>, to: &Domain) -> Result<(), Refusal> {
        may_open(self.gateway, self.side, from, to)?;
        match (self.side, from) {
            (Side::Federation, Some(from)) => {
                self.intake.knock(self.gateway, from, self.address).await
            }
            _ => Ok(()),
        }
    }

    fn terms(&self, domain: &Domain) -> Terms {
        terms::of(self.gateway, self.side, Initiator::Peer, domain)
    }

    async fn admit(&mut self, peer: &Arc<Peer>) -> Result<(), StreamError> {
        let Err(refusal) = self.intake.admit(self.gateway, peer).await else {
            return Ok(());
        };
        let refusal = refusal.referred();
        let error = refusal.error.clone();
        self.refuse_pair(peer.remote.clone(), peer.local.clone(), refusal)
            .await;
        Err(error)
    }

    /// Notes why a pair is refused: as the reason for which the stream ends, unless it lives on with
    /// other pairs.
    async fn refuse_pair(&mut self, remote: Domain, local: Domain, refusal: Refusal) {
        if self.intake.is_empty() {
            self.claim = Some((remote, local));
            self.refuse(refusal);
            return;
        }
        let generation = self.gateway.chain.enter();
        let decision = Decision {
            refusal: refusal.told(),
            by: Some(refusal.by),
            reason: refusal.error.text,
            condition: Some(refusal.error.condition.as_str()),
            ..audit::of_stream(&self.claimed(remote, local), generation.number(), "refuse")
        };
        audit::record(self.gateway, &generation, decision).await;
    }

    /// Another generation may have taken over.
    pub(super) async fn check(&mut self) {
        let generation = self.gateway.chain.enter();
        let checked = self.intake.check(self.gateway, &generation).await;
        self.close_if(checked).await;
    }

    /// A pair of domains is proven and admitted.
    pub(super) async fn establish(&mut self, peer: Arc<Peer>) {
        self.deadline = None;
        self.refusal = None;
        self.slot.proven();
        // From now on others may write, too.
        let line = self.wire.share();
        let judged = self.judged.take();
        let evidence = Evidence {
            chain: &self.chain,
            candidate: None,
            judged: judged
                .filter(|(domain, _)| *domain == peer.remote)
                .map(|(_, judged)| judged),
        };
        let established = self
            .intake
            .establish(self.gateway, Arc::clone(&peer), evidence)
            .await;
        if self.intake.only_peer().is_none() {
            // What several pairs share is not taken up by one of them.
            self.grant = None;
        }
        if established.is_ok() && peer.bidi {
            self.offer(&peer, line);
        }
        self.close_if(established).await;
    }

    /// What the peer says about stanzas that it or we have settled.
    pub(super) fn managed(&mut self, nonza: &Nonza) {
        match nonza {
            Nonza::Enable { resume } => self.enable(*resume),
            Nonza::Request => self.acknowledge(),
            Nonza::Answer { handled } => {
                if let Some(Err(wrong)) = self.wire.line().map(|line| line.acknowledged(*handled)) {
                    self.machine.close_too_high(wrong);
                }
            }
            // Only who is connected to says these; `<resume/>` is not for here.
            _ => {}
        }
    }

    /// Says what is settled.
    pub(super) fn acknowledge(&mut self) {
        if let Some(answer) = self.intake.answer() {
            self.machine.manage(&answer);
        }
    }

    /// The stream takes stanzas, too.
    fn offer(&mut self, peer: &Peer, line: Arc<Line>) {
        let output = self.output(peer, line);
        self.gateway.router.offer(&peer.local, &peer.remote, output);
        self.offered.push((peer.local.clone(), peer.remote.clone()));
    }

    /// The stream, for the pair of domains that sends over it.
    pub(super) fn output(&mut self, peer: &Peer, line: Arc<Line>) -> Output {
        let taker = Arc::new(peer.reversed());
        let generation = self.gateway.chain.enter();
        self.owner.output(Made {
            source: Source::Offered,
            side: self.side,
            peer: taker,
            line,
            limits: self.machine.peer_limits(),
            // Whether anything may be sent is asked by whoever takes the offer.
            standing: Standing::inside(self.gateway, &generation),
            generations: self.gateway.generations.subscribe(),
        })
    }

    /// Ends the stream for a reason of ours, if there is one. What plugins want the peer to know goes
    /// out before.
    pub(super) async fn close_if(&mut self, checked: Result<(), Refusal>) {
        if let Err(refusal) = checked {
            if let Some(line) = self.wire.line() {
                for (from, to) in &self.offered {
                    route::last_words(self.gateway, from, to, &line).await;
                }
            }
            self.owner.close(Life::Unwanted);
            let error = self.refuse(refusal);
            self.machine.close(Some(error));
        }
    }

    /// Notes why the stream ends.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> StreamError {
        // Who says no name is in no record: there would be nothing to ask about.
        let refusal = match self.claim.is_some() || !self.intake.is_empty() {
            true => refusal.referred(),
            false => refusal,
        };
        let error = refusal.error.clone();
        self.refusal = Some(refusal);
        error
    }
}
