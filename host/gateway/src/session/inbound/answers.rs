//! What the machine asks: may the stream exist, is the certificate good for the name, is the peer
//! welcome?
//!
//! In: the machine's questions, and other generations that take over. Out: answers, and for each
//! refusal a note of who refused, for the record of the stream's end.

use std::sync::Arc;

use portcullis_policy::{Decision, Generation};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{Answer, Peer, Question};

use super::Session;
use crate::app::Gateway;
use crate::audit;
use crate::session::standing::{Refusal, Standing, may_open};
use crate::tls::Side;

impl Session<'_> {
    pub(super) async fn answer(&mut self, question: Question) -> Answer {
        match question {
            Question::Open { from, to } => Answer::Open(self.open(from, to).await),
            Question::Prove { domain } => {
                let proven = self.gateway.tls.judge(self.side, &self.chain, &domain);
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
        let generation = self.gateway.chain.enter();
        let standing = ask(self.gateway, self.side, &generation, peer).await;
        self.standing = Some(standing.clone());
        match (standing.answer, self.side) {
            (Ok(_), _) => Ok(()),
            (Err(refusal), Side::Federation) => Err(self.refuse(refusal)),
            // Design 5: each stanza is answered instead; a refused stream would only show users a
            // timeout, and ejabberd would bounce everything for minutes.
            (Err(_), Side::Internal) => Ok(()),
        }
    }

    /// Asks again if another generation has taken over, and closes a partner's stream that it does
    /// not want any more.
    pub(super) async fn check(&mut self, generation: &Generation, peer: &Arc<Peer>) {
        if self
            .standing
            .as_ref()
            .is_some_and(|standing| standing.generation == generation.number())
        {
            return;
        }
        let standing = ask(self.gateway, self.side, generation, peer).await;
        if let (Err(refusal), Side::Federation) = (&standing.answer, self.side) {
            let error = self.refuse(refusal.clone());
            self.machine.close(Some(error));
        }
        self.standing = Some(standing);
    }

    /// The stream stands: it counts, and is put on record.
    pub(super) async fn establish(&mut self, peer: Arc<Peer>) {
        self.deadline = None;
        self.slot.proven();
        let generation = self.gateway.chain.enter();
        let limit = self.gateway.connection_limit(&peer.remote);
        let not_after = self.chain.not_after();
        let streams = &self.gateway.streams;
        match streams.register(self.side, &peer, not_after, limit) {
            Some(registered) => {
                let decision = Decision {
                    by: self.standing.as_ref().map(Standing::by),
                    ..audit::of_stream(&peer, generation.number(), "allow")
                };
                audit::record(&generation, decision).await;
                self.gateway.warn_of_expiry(&peer, &self.chain);
                self.established = Some((Arc::clone(&peer), registered));
                // A generation that took over between the question and now is not missed.
                self.check(&generation, &peer).await;
            }
            None => {
                let error = StreamError::new(StreamCondition::ResourceConstraint).with_text(
                    format!("more than {limit} connections with {}", peer.remote),
                );
                let refusal = Refusal {
                    by: Arc::from("gateway:connection-limit"),
                    error,
                };
                let error = self.refuse(refusal);
                self.machine.close(Some(error));
            }
        }
    }

    /// Notes why the stream ends.
    pub(super) fn refuse(&mut self, refusal: Refusal) -> StreamError {
        let error = refusal.error.clone();
        self.refusal = Some(refusal);
        error
    }
}

/// What the gatekeepers say of an authenticated stream.
async fn ask(gateway: &Gateway, side: Side, generation: &Generation, peer: &Arc<Peer>) -> Standing {
    match side {
        Side::Federation => Standing::of(generation, peer).await,
        Side::Internal if gateway.is_own(&peer.local) => Standing::inside(generation),
        Side::Internal => Standing::of_partner(generation, &peer.local).await,
    }
}
