//! A stream that is opened outside of the gateway's routing: by `check partner`, which tells each
//! step, and by the demo's servers.
//!
//! In: a connection, who we are and whom we want. Out: a stream that may carry stanzas, or why there
//! is none. Policy is not asked. Deadlines are the caller's: dropping the future drops the connection.

use std::net::SocketAddr;

use portcullis_xmpp::dialback::{Secret, Verified};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::frame::Limits;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{
    Answer, Outbound, OutboundAction, OutboundFailure, OutboundSettings, Peer, Proof, Purpose,
    Question, Start, Terms, TlsFacts, TlsMode,
};
use tokio::net::TcpStream;

use crate::config::Partner;
use crate::connect::Candidate;
use crate::prove::Judge;
use crate::session::Wire;
use crate::tls::{PeerChain, Side, Tls, TlsError};

/// What happens on the way to a stream.
#[derive(Debug)]
pub(crate) enum Step<'s> {
    /// TLS stands.
    Tls(&'s TlsFacts),
    /// The server's certificate was judged.
    Certificate(&'s PeerChain, Result<Proof, &'s str>),
    /// The server has accepted our certificate as proof of our name.
    Authenticated(&'s Peer),
}

/// Why there is no stream.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ProbeError {
    /// Direct TLS failed.
    #[error(transparent)]
    Tls(#[from] TlsError),
    /// The negotiation failed.
    #[error(transparent)]
    Negotiation(OutboundFailure),
}

/// A stream that may carry stanzas.
pub(crate) struct Opened {
    pub(crate) machine: Outbound,
    pub(crate) wire: Wire,
}

/// Whom to speak with, and as whom.
#[derive(Clone, Copy)]
pub(crate) struct Probe<'p> {
    pub(crate) tls: &'p Tls,
    pub(crate) local: &'p Domain,
    pub(crate) remote: &'p Domain,
    /// The record that names `remote`.
    pub(crate) record: Option<&'p Partner>,
    pub(crate) mode: TlsMode,
    /// Whom to ask what the record allows beyond its authorities and pins, about the server there.
    pub(crate) judge: Option<(Judge<'p>, &'p Candidate)>,
}

impl Probe<'_> {
    /// Opens a stream on a connection that was just made.
    ///
    /// # Errors
    /// [`ProbeError`]
    pub(crate) async fn open(
        self,
        stream: TcpStream,
        address: SocketAddr,
        mut tell: impl FnMut(Step<'_>),
    ) -> Result<Opened, ProbeError> {
        let (mut wire, mut chain, start) = match self.mode {
            TlsMode::StartTls => (Wire::plain(stream), PeerChain::default(), Start::Plain),
            TlsMode::Direct => {
                let secured = self.secure(stream, self.remote).await?;
                tell(Step::Tls(&secured.facts));
                let start = Start::Tls(secured.facts);
                (Wire::tls(secured.stream), secured.chain, start)
            }
        };
        let settings = OutboundSettings {
            limits: Limits::default(),
            direction: Direction::Outbound,
            address: Some(address),
            local: self.local.clone(),
            remote: self.remote.clone(),
            terms: Terms::CERTIFICATE,
            // No key is sent on these terms.
            secret: Secret::new(""),
            purpose: Purpose::Stanzas,
            idle_seconds: None,
        };
        let mut machine = Outbound::new(settings, start);
        loop {
            while let Some(action) = machine.next() {
                match action {
                    OutboundAction::Send(bytes) => {
                        if wire.send(&bytes).await.is_err() {
                            machine.eof();
                        }
                    }
                    OutboundAction::StartTls { server_name } => {
                        let Some(stream) = wire.take_plain() else {
                            continue;
                        };
                        match self.secure(stream, &server_name).await {
                            Ok(secured) => {
                                tell(Step::Tls(&secured.facts));
                                wire.secured(secured.stream);
                                chain = secured.chain;
                                machine.tls_established(secured.facts);
                            }
                            Err(error) => machine.tls_failed(error.to_string()),
                        }
                    }
                    OutboundAction::Ask(Question::Prove { domain }) => {
                        let (side, record) = (Side::Federation, self.record);
                        let judged = match self.judge {
                            Some((judge, candidate)) => {
                                let candidate = Some(candidate);
                                (judge.certificate(side, record, &chain, &domain, candidate)).await
                            }
                            None => self.tls.judge(side, record, &chain, &domain),
                        };
                        let judged = judged.map_err(|unproven| unproven.to_string());
                        tell(Step::Certificate(
                            &chain,
                            judged.as_ref().copied().map_err(String::as_str),
                        ));
                        machine.answer(Answer::Prove(judged));
                    }
                    OutboundAction::Ask(Question::Admit(peer)) => {
                        tell(Step::Authenticated(&peer));
                        machine.answer(Answer::Admit(Ok(())));
                    }
                    // Never asked of who opens the stream.
                    OutboundAction::Ask(Question::Open { .. } | Question::Pair { .. }) => {
                        let error = StreamError::new(StreamCondition::InternalServerError);
                        machine.answer(Answer::Open(Err(error)));
                    }
                    OutboundAction::Ask(Question::Key(_)) => {
                        machine.answer(Answer::Key(Verified::Invalid));
                    }
                    OutboundAction::FallingBack(_)
                    | OutboundAction::Stanza(_)
                    | OutboundAction::BadStanza { .. }
                    | OutboundAction::Management(_) => {}
                    OutboundAction::Established(_) => return Ok(Opened { machine, wire }),
                    OutboundAction::Failed(failure) => {
                        wire.close().await;
                        return Err(ProbeError::Negotiation(failure));
                    }
                    OutboundAction::Verified(_) | OutboundAction::Closed(_) => {
                        return Err(ProbeError::Negotiation(OutboundFailure::Ended));
                    }
                }
            }
            match wire.read(|bytes| machine.receive(bytes)).await {
                Ok(0) => machine.eof(),
                Ok(_) => {}
                // Most often the server's refusal of our certificate.
                Err(error) => match TlsError::of_stream(&error) {
                    Some(error) => machine.tls_failed(error.to_string()),
                    None => machine.eof(),
                },
            }
        }
    }

    async fn secure(
        &self,
        stream: TcpStream,
        name: &Domain,
    ) -> Result<crate::tls::Secured<TcpStream>, TlsError> {
        let side = Side::Federation;
        let connecting = self.tls.connect(side, stream, self.mode, self.local, name);
        connecting.await
    }
}

impl Opened {
    /// Says goodbye.
    pub(crate) async fn close(mut self) {
        self.machine.close(None);
        while let Some(action) = self.machine.next() {
            if let OutboundAction::Send(bytes) = action
                && self.wire.send(&bytes).await.is_err()
            {
                break;
            }
        }
        self.wire.close().await;
    }
}
