//! What the machine asks: may the stream exist, is the certificate good for the name, is the peer
//! welcome?
//!
//! In: the machine's questions, and what [`Intake`](crate::session::intake::Intake) says. Out: answers,
//! and for each refusal a note of who refused, for the record of the stream's end.

use std::sync::Arc;

use portcullis_xmpp::dialback::{DialbackCondition, DialbackError, Verified};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{Answer, Initiator, Need, Peer, Phase, Question, Terms};

use super::Session;
use crate::prove::certificate;
use crate::session::standing::{Refusal, may_open};
use crate::tls::Side;

impl Session<'_> {
    pub(super) async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Open { from, to } => {
                let terms = match &from {
                    Some(from) => self.gateway.terms(self.side, Initiator::Peer, from),
                    None => Terms::CERTIFICATE,
                };
                let terms = self.open(from, to).await.map(|()| terms);
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
                let proven = certificate(self.gateway, self.side, &self.chain, &domain, None).await;
                Answer::Prove(proven.map_err(|unproven| {
                    let reason = unproven.to_string();
                    self.refusal = Some(Refusal {
                        by: Arc::from("gateway:certificate"),
                        error: StreamError::new(StreamCondition::NotAuthorized)
                            .with_text(reason.clone()),
                    });
                    reason
                }))
            }
            Question::Pair { .. } => {
                Answer::Pair(Err(DialbackError::new(DialbackCondition::NotAuthorized)))
            }
            Question::Key(_) => Answer::Key(Verified::Invalid),
            Question::Admit(peer) => Answer::Admit(self.admit(&peer).await),
        }
    }

    async fn open(&mut self, from: Option<Domain>, to: Domain) -> Result<(), StreamError> {
        if let Some(from) = &from {
            self.claim = Some((from.clone(), to.clone()));
        }
        let mut answer = may_open(self.gateway, self.side, from.as_ref(), &to);
        if let (Ok(()), Side::Federation, Some(from)) = (&answer, self.side, &from) {
            let generation = self.gateway.chain.enter();
            let ruling = generation
                .knock(from, Direction::Inbound, Some(self.address))
                .await;
            answer = Refusal::of(ruling).map(drop);
        }
        answer.map_err(|refusal| self.refuse(refusal))
    }

    async fn admit(&mut self, peer: &Arc<Peer>) -> Result<(), StreamError> {
        let admitted = self.intake.admit(self.gateway, peer).await;
        admitted.map_err(|refusal| self.refuse(refusal))
    }

    /// Another generation may have taken over.
    pub(super) async fn check(&mut self) {
        let generation = self.gateway.chain.enter();
        let checked = self.intake.check(self.gateway, &generation).await;
        self.close_if(checked);
    }

    /// A pair of domains is proven and admitted.
    pub(super) async fn establish(&mut self, peer: Arc<Peer>) {
        self.deadline = None;
        self.slot.proven();
        let established = self
            .intake
            .establish(self.gateway, peer, &self.chain, None)
            .await;
        self.close_if(established);
    }

    /// Ends the stream for a reason of ours, if there is one.
    pub(super) fn close_if(&mut self, checked: Result<(), Refusal>) {
        if let Err(refusal) = checked {
            let error = self.refuse(refusal);
            self.machine.close(Some(error));
        }
    }

    /// Notes why the stream ends.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> StreamError {
        let error = refusal.error.clone();
        self.refusal = Some(refusal);
        error
    }
}
