//! One XMPP server of the demo, as small as a server can be: it accepts streams, opens them when it
//! has something to say, and hands on what arrives. It proves certificates as strictly as any other.

use std::collections::{BTreeMap, VecDeque};
use std::net::{Ipv4Addr, SocketAddr};
use std::sync::Arc;
use std::time::Duration;

use portcullis_xmpp::dialback::{DialbackCondition, DialbackError, Verified};
use portcullis_xmpp::error::{StreamCondition, StreamError};
use portcullis_xmpp::frame::Limits;
use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::{Direction, Stanza};
use portcullis_xmpp::stream::{
    Answer, Inbound, InboundAction, InboundSettings, OutboundAction, Question, Start, Terms,
    TlsMode,
};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::mpsc;
use tokio::time::timeout;

use super::Failed;
use crate::probe::{Opened, Probe};
use crate::session::{Wire, stream_id};
use crate::tls::{Opening, PeerChain, Settings, Side, Tls};

/// How long a step may take on a busy machine before it counts as failed.
pub(super) const PATIENCE: Duration = Duration::from_secs(30);
/// Stanzas that wait for a stream, or for somebody to look at them.
const WAITING: usize = 4096;

/// See the module.
pub(super) struct Server {
    pub(super) domain: Domain,
    /// Where it takes streams.
    pub(super) address: SocketAddr,
    tls: Arc<Tls>,
    arrivals: mpsc::Receiver<Stanza>,
    /// What arrived while something else was waited for.
    aside: VecDeque<Stanza>,
    streams: BTreeMap<Domain, mpsc::Sender<String>>,
}

impl Server {
    /// Starts to listen on a loopback port.
    pub(super) async fn start(domain: &Domain, settings: Settings) -> Result<Self, Failed> {
        let failed = |why: String| Failed::new(format!("the server of {domain}"), why);
        let tls = Tls::load(settings).map_err(|problems| {
            failed(
                problems
                    .iter()
                    .map(ToString::to_string)
                    .collect::<Vec<_>>()
                    .join("; "),
            )
        })?;
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .await
            .map_err(|error| failed(error.to_string()))?;
        let address = listener
            .local_addr()
            .map_err(|error| failed(error.to_string()))?;
        let tls = Arc::new(tls);
        let (arrived, arrivals) = mpsc::channel(WAITING);
        tokio::spawn(accept(listener, domain.clone(), Arc::clone(&tls), arrived));
        Ok(Self {
            domain: domain.clone(),
            address,
            tls,
            arrivals,
            aside: VecDeque::new(),
            streams: BTreeMap::new(),
        })
    }

    /// Opens a stream to `to` by way of the gateway at `door`, unless there is one.
    pub(super) async fn connect(&mut self, to: &Domain, door: SocketAddr) -> Result<(), Failed> {
        if self
            .streams
            .get(to)
            .is_some_and(|stream| !stream.is_closed())
        {
            return Ok(());
        }
        let what = format!("a stream from {} to {to}", self.domain);
        let opening = async {
            let stream = TcpStream::connect(door)
                .await
                .map_err(|error| Failed::new(&what, error))?;
            let probe = Probe {
                record: None,
                tls: &self.tls,
                local: &self.domain,
                remote: to,
                mode: TlsMode::StartTls,
                judge: None,
            };
            probe
                .open(stream, door, |_| {})
                .await
                .map_err(|error| Failed::new(&what, error))
        };
        let opened = timeout(PATIENCE, opening).await;
        let opened = opened.unwrap_or_else(|_| Err(Failed::new(&what, "it took too long")))?;
        let (sender, stanzas) = mpsc::channel(WAITING);
        tokio::spawn(keep(opened, stanzas));
        self.streams.insert(to.clone(), sender);
        Ok(())
    }

    /// What sends on the stream to `to`.
    pub(super) fn sender(&self, to: &Domain) -> Result<mpsc::Sender<String>, Failed> {
        let sender = self.streams.get(to).cloned();
        sender.ok_or_else(|| {
            Failed::new(format!("sending from {} to {to}", self.domain), "no stream")
        })
    }

    /// Sends one stanza on the stream to `to`.
    pub(super) async fn send(&self, to: &Domain, stanza: String) -> Result<(), Failed> {
        let sent = self.sender(to)?.send(stanza).await;
        sent.map_err(|_| {
            Failed::new(
                format!("sending from {} to {to}", self.domain),
                "the stream has ended",
            )
        })
    }

    /// Waits for the stanza with this id. Others are put aside.
    pub(super) async fn expect(&mut self, id: &str) -> Result<Stanza, Failed> {
        let is_it = |stanza: &Stanza| stanza.id() == Some(id);
        if let Some(at) = self.aside.iter().position(is_it)
            && let Some(stanza) = self.aside.remove(at)
        {
            return Ok(stanza);
        }
        let arriving = async {
            while let Some(stanza) = self.arrivals.recv().await {
                if is_it(&stanza) {
                    return Some(stanza);
                }
                self.aside.push_back(stanza);
            }
            None
        };
        let arrived = timeout(PATIENCE, arriving).await.ok().flatten();
        arrived.ok_or_else(|| {
            Failed::new(
                format!("stanza {id} at {}", self.domain),
                "it did not arrive",
            )
        })
    }

    /// The next stanza that arrives.
    pub(super) async fn next(&mut self) -> Option<Stanza> {
        match self.aside.pop_front() {
            Some(stanza) => Some(stanza),
            None => self.arrivals.recv().await,
        }
    }
}

/// Keeps an open stream: sends what there is to send, and listens.
async fn keep(mut opened: Opened, mut stanzas: mpsc::Receiver<String>) {
    loop {
        while let Some(action) = opened.machine.next() {
            match action {
                OutboundAction::Send(bytes) if opened.wire.send(&bytes).await.is_err() => return,
                OutboundAction::Failed(_) | OutboundAction::Closed(_) => {
                    return opened.wire.close().await;
                }
                _ => {}
            }
        }
        tokio::select! {
            stanza = stanzas.recv() => {
                let Some(mut batch) = stanza else { return opened.close().await };
                while let Ok(more) = stanzas.try_recv() {
                    batch.push_str(&more);
                }
                if opened.wire.send(batch.as_bytes()).await.is_err() {
                    return;
                }
            }
            read = opened.wire.read(|bytes| opened.machine.receive(bytes)) => {
                if let Ok(0) | Err(_) = read {
                    opened.machine.eof();
                }
            }
        }
    }
}

async fn accept(
    listener: TcpListener,
    domain: Domain,
    tls: Arc<Tls>,
    arrived: mpsc::Sender<Stanza>,
) {
    while let Ok((stream, address)) = listener.accept().await {
        let incoming = Incoming {
            domain: domain.clone(),
            tls: Arc::clone(&tls),
            address,
            wire: Wire::plain(stream),
            chain: PeerChain::default(),
            arrived: arrived.clone(),
        };
        tokio::spawn(incoming.run());
    }
}

/// A stream that somebody else opened.
struct Incoming {
    domain: Domain,
    tls: Arc<Tls>,
    address: SocketAddr,
    wire: Wire,
    chain: PeerChain,
    arrived: mpsc::Sender<Stanza>,
}

impl Incoming {
    async fn run(mut self) {
        let settings = InboundSettings {
            limits: Limits::default(),
            direction: Direction::Inbound,
            address: Some(self.address),
            fallback: Some(self.domain.clone()),
            pairs: InboundSettings::PAIRS,
            idle_seconds: None,
        };
        let mut machine = Inbound::new(settings, Box::new(stream_id), Start::Plain);
        loop {
            while let Some(action) = machine.next() {
                match action {
                    InboundAction::Send(bytes) if self.wire.send(&bytes).await.is_err() => return,
                    InboundAction::StartTls { to } => self.start_tls(&mut machine, to).await,
                    InboundAction::Ask(question) => machine.answer(self.answer(question)),
                    InboundAction::Stanza(authenticated) => {
                        let (stanza, _) = authenticated.into_parts();
                        if self.arrived.send(stanza).await.is_err() {
                            return;
                        }
                    }
                    InboundAction::Close(_) => return self.wire.close().await,
                    _ => {}
                }
            }
            if let Ok(0) | Err(_) = self.wire.read(|bytes| machine.receive(bytes)).await {
                machine.eof();
            }
        }
    }

    async fn start_tls(&mut self, machine: &mut Inbound, to: Domain) {
        let Some(stream) = self.wire.take_plain() else {
            return;
        };
        let opening = Opening::StartTls { to };
        let ip = self.address.ip();
        match self.tls.accept(Side::Federation, stream, opening, ip).await {
            Ok(secured) => {
                self.wire.secured(secured.stream);
                self.chain = secured.chain;
                machine.tls_established(secured.facts);
            }
            Err(error) => machine.tls_failed(error.to_string()),
        }
    }

    fn answer(&self, question: Question) -> Answer {
        match question {
            Question::Open { to, .. } if to == self.domain => Answer::Open(Ok(Terms::CERTIFICATE)),
            Question::Open { .. } => {
                Answer::Open(Err(StreamError::new(StreamCondition::HostUnknown)))
            }
            Question::Prove { domain } => {
                let judged = (self.tls).judge(Side::Federation, None, &self.chain, &domain);
                Answer::Prove(judged.map_err(|unproven| unproven.to_string()))
            }
            Question::Pair { .. } => {
                Answer::Pair(Err(DialbackError::new(DialbackCondition::NotAuthorized)))
            }
            Question::Key(_) => Answer::Key(Verified::Invalid),
            Question::Admit(_) => Answer::Admit(Ok(())),
        }
    }
}
