//! The scene of a measurement: certificates, both ends, and the target between them.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering::Relaxed};

use portcullis_test_support::Duplex;
use tokio::task::JoinSet;

use crate::arguments::{Subject, TargetKind, Tls};
use crate::ends::{self, Language};
use crate::receiver;
use crate::tally::Tally;
use crate::target::{Certificates, OWN, Target, partner};

/// Streams that come to be at once, where many do.
const AT_ONCE: usize = 32;
/// Source addresses that take turns. A port of a connection that has ended is not free for a minute, and who
/// has to look for a free one among thousands is slower than what is measured.
const SOURCES: u32 = 200;

pub(crate) struct Stage {
    pub(crate) target: Target,
    certificates: Certificates,
    kind: TargetKind,
    language: Language,
    /// Connections that were made.
    connected: AtomicU32,
}

/// The way of a stream.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Way {
    /// From a partner to the organisation.
    Inbound,
    /// From the organisation to a partner.
    Outbound,
}

impl Stage {
    /// Starts the target for so many partners. `tallies`: of what the organisation gets, and partners.
    pub(crate) async fn set(
        subject: &Subject,
        partners: u16,
        [inner, outer]: [Arc<Vec<Arc<Tally>>>; 2],
    ) -> Self {
        let certificates = Certificates::new();
        let language = Language::of(subject.target);
        let own = match language {
            Language::Xmpp => certificates.own.clone(),
            Language::Bare => certificates.partners.clone(),
        };
        let others = certificates.partners.clone();
        let ends = [
            ends::listen(own, language, Arc::clone(&inner)).await,
            ends::listen(others, language, outer).await,
        ];
        let target = Target::start(subject, partners, &certificates, ends);
        if let Some(at) = target.component {
            let io = ends::component(at).await;
            tokio::spawn(receiver::run(io, Vec::new(), inner));
        }
        Self {
            target,
            certificates,
            kind: subject.target,
            language,
            connected: AtomicU32::new(0),
        }
    }

    /// Between whom a stream of this way is.
    pub(crate) fn pair(number: u16, way: Way) -> [String; 2] {
        match way {
            Way::Inbound => [partner(number), OWN.to_owned()],
            Way::Outbound => [OWN.to_owned(), partner(number)],
        }
    }

    /// Opens the stream of this partner.
    ///
    /// # Panics
    /// If the target does not let it in: there is nothing to measure then.
    pub(crate) async fn open(&self, number: u16, way: Way, tls: Tls) -> Box<dyn Duplex> {
        let pair = Self::pair(number, way);
        let [from, to] = &pair;
        let (address, identity, tls) = match way {
            Way::Inbound => (self.target.outside, &self.certificates.partners, tls),
            Way::Outbound if self.kind == TargetKind::Gateway => {
                (self.target.inside, &self.certificates.own, Tls::Starttls)
            }
            Way::Outbound => (self.target.inside, &self.certificates.partners, tls),
        };
        let source = self.source();
        match self.language {
            Language::Bare => ends::connect(source, address, identity).await,
            Language::Xmpp => ends::open(source, address, identity, [from, to], tls).await,
        }
    }

    /// Where the next connection comes from: another address than the last one's, and than those of the
    /// measurement before.
    fn source(&self) -> IpAddr {
        let [run, ..] = std::process::id().to_le_bytes();
        let turn = self.connected.fetch_add(1, Relaxed) % SOURCES;
        let last = u8::try_from(turn + 1).unwrap_or(1);
        IpAddr::V4(Ipv4Addr::new(127, 1, run, last))
    }

    /// Opens these partners' streams, many at once.
    pub(crate) async fn open_many(
        self: &Arc<Self>,
        numbers: std::ops::Range<u16>,
        tls: Tls,
    ) -> Vec<Box<dyn Duplex>> {
        let mut underway = JoinSet::new();
        let mut opened = Vec::with_capacity(numbers.len());
        for number in numbers {
            if underway.len() >= AT_ONCE {
                opened.push(underway.join_next().await.unwrap().unwrap());
            }
            let stage = Arc::clone(self);
            underway.spawn(async move { stage.open(number, Way::Inbound, tls).await });
        }
        opened.extend(underway.join_all().await);
        opened
    }

    /// Opens a stream and ends it, as soon as it stands.
    pub(crate) async fn come_and_go(&self, number: u16, tls: Tls) {
        use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
        let mut io = self.open(number, Way::Inbound, tls).await;
        let mut rest = Vec::new();
        match self.language {
            Language::Xmpp => {
                let _gone = io.write_all(b"</stream:stream>").await;
                let _gone = io.flush().await;
                // The answer, and the end.
                let _gone = io.read_to_end(&mut rest).await;
            }
            Language::Bare => {
                let _ready = io.read_u8().await;
                // As a stream ends: both say that nothing follows.
                let _gone = io.shutdown().await;
                let _gone = io.read_to_end(&mut rest).await;
            }
        }
    }
}
