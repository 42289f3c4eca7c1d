//! From an accepted connection to a session, and TLS on it.
//!
//! In: one accepted connection, whose first byte tells how it begins. Out: a [`Session`] that runs to its
//! end. What can fail is the handshake: of direct TLS, and then there is no session; of STARTTLS, and then
//! the machine says how the stream ends. Each has its deadline.

use std::sync::Arc;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stream::{Inbound, InboundSettings, Start};
use tokio::net::TcpStream;
use tokio::task::JoinSet;
use tokio::time::{Instant, timeout_at};

use super::{Session, incoming};
use crate::app::{Gateway, Turn};
use crate::listen::{Accepted, FirstByte, Pace};
use crate::liveness::Keeper;
use crate::session::ids::stream_id;
use crate::session::intake::Intake;
use crate::session::output::Owner;
use crate::session::wire::Wire;
use crate::tls::{Opening, PeerChain, Secured, TlsError};

/// Drives one accepted connection to its end.
pub(crate) async fn accept(gateway: &Arc<Gateway>, accepted: Accepted) {
    let Accepted {
        side,
        stream,
        address,
        first,
        deadlines,
        slot,
    } = accepted;
    let (wire, chain, start) = match first {
        FirstByte::Xml => (Wire::plain(stream), PeerChain::default(), Start::Plain),
        FirstByte::Tls => {
            let handshake = gateway
                .tls
                .accept(side, stream, Opening::Direct, address.ip());
            // Boxed: it would be part of the stream's task for as long as that lives.
            match Box::pin(in_time(gateway, deadlines.tls, handshake)).await {
                Ok(secured) => (
                    Wire::tls(secured.stream),
                    secured.chain,
                    Start::Tls(secured.facts),
                ),
                Err(reason) => {
                    gateway.metrics.refused(incoming(side), side, "tls");
                    tracing::info!(%side, %address, reason, "TLS handshake failed");
                    return;
                }
            }
        }
    };
    let settings = InboundSettings {
        limits: gateway.stream_limits(),
        direction: incoming(side),
        address: Some(address),
        fallback: gateway.config().gateway.domains.first().cloned(),
        pairs: gateway.config().limits.pairs_per_stream,
        idle_seconds: None,
    };
    let connection = stream_id();
    let config = gateway.config();
    let session = Box::new(Session {
        gateway,
        side,
        address,
        slot,
        machine: Inbound::new(settings, Box::new(stream_id), start),
        wire,
        chain,
        judged: None,
        turn: Turn(
            u8::from_str_radix(connection.get(..2).unwrap_or_default(), 16).unwrap_or_default(),
        ),
        connection: Arc::from(connection),
        claim: None,
        refusal: None,
        intake: Intake::new(side),
        keeper: Keeper::new(Instant::now()),
        owner: Owner::new(),
        offered: Vec::new(),
        answered: false,
        told: None,
        grant: None,
        verifying: JoinSet::new(),
        deadline: Some(match first {
            FirstByte::Xml => deadlines.header,
            FirstByte::Tls => deadlines.established,
        }),
        deadlines,
        pace: Pace::new(config.limits.minimum_rate, config.timeouts.establish),
        closing: false,
        generations: gateway.generations.subscribe(),
    });
    session.run().await;
}

/// A handshake, as long as there is time for it.
async fn in_time(
    gateway: &Gateway,
    deadline: Instant,
    handshake: impl Future<Output = Result<Secured<TcpStream>, TlsError>>,
) -> Result<Secured<TcpStream>, String> {
    tokio::select! {
        handshake = timeout_at(deadline, handshake) => match handshake {
            Ok(done) => done.map_err(|error| error.to_string()),
            Err(_) => Err("it took too long".to_owned()),
        },
        () = gateway.phases.draining.cancelled() => Err("the gateway is shutting down".to_owned()),
    }
}

impl Session<'_> {
    pub(super) async fn start_tls(&mut self, to: Domain) {
        let Some(stream) = self.wire.take_plain() else {
            return;
        };
        let deadline = self.deadline.unwrap_or_else(Instant::now);
        let opening = Opening::StartTls { to };
        let handshake = self
            .gateway
            .tls
            .accept(self.side, stream, opening, self.address.ip());
        match in_time(self.gateway, deadline, handshake).await {
            Ok(secured) => {
                self.wire.secured(secured.stream);
                self.chain = secured.chain;
                self.deadline = Some(self.deadlines.established);
                self.machine.tls_established(secured.facts);
            }
            Err(reason) => self.machine.tls_failed(reason),
        }
    }
}
