//! Two streams in each direction, and what arrives on them: every stanza, in its order, once.

use std::collections::HashMap;
use std::fmt::Write as _;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering::Relaxed};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use portcullis_test_support::{Client, Server, attribute};
use tokio::sync::Semaphore;
use tokio::task::JoinHandle;
use tokio::time::{MissedTickBehavior, interval};

/// From whom to whom.
pub(crate) const STREAMS: [(&str, &str); 4] = [
    ("a@org.test", "x@alpha.test"),
    ("b@org.test", "x@beta.test"),
    ("c@alpha.test", "x@org.test"),
    ("d@beta.test", "x@org.test"),
];
/// Which streams lead to alpha, to beta, to the organisation.
const LEAD_TO: [&[usize]; 3] = [&[0], &[1], &[2, 3]];

/// How many are sent at once, and how often: 2,000 in a second on each stream, 8,000 on all.
const BURST: u32 = 20;
const PAUSE: Duration = Duration::from_millis(10);
/// Stanzas of one stream that may be underway: fewer than the gateway's queue holds.
const UNDERWAY: usize = 500;
/// Room for what arrives in the longest run, so that memory does not grow by moving it.
const MOST: usize = 1 << 18;

/// The id of the last stanza of a stream.
const LAST: &str = "last";
/// The id of the one behind it.
pub(crate) const MORE: &str = "more";

/// What flows.
pub(crate) struct Traffic {
    shared: Arc<Shared>,
    task: JoinHandle<Arrived>,
}

struct Shared {
    over: AtomicBool,
    delivered: AtomicU64,
    room: [Semaphore; STREAMS.len()],
    stamps: Mutex<HashMap<String, u32>>,
}

/// What has arrived, and both ends of the streams.
pub(crate) struct Arrived {
    clients: [Client; STREAMS.len()],
    servers: [Server; 3],
    /// Of each stream, the stamps of each stanza in its order, by number.
    stamped: [Vec<u32>; STREAMS.len()],
    stamps: Vec<String>,
}

impl Traffic {
    /// `servers`: alpha's, beta's and the organisation's.
    pub(crate) fn begin([a, b, c, d]: [Client; 4], [alpha, beta, org]: [Server; 3]) -> Self {
        let shared = Arc::new(Shared {
            over: AtomicBool::new(false),
            delivered: AtomicU64::new(0),
            room: [(); STREAMS.len()].map(|()| Semaphore::new(UNDERWAY)),
            stamps: Mutex::default(),
        });
        let underway = Arc::clone(&shared);
        let task = tokio::spawn(async move {
            let (offer, take) = (
                |n, client| underway.offer(n, client),
                |n, it| underway.take(n, it),
            );
            let (a, b, c, d, alpha, beta, org) = tokio::join!(
                offer(0, a),
                offer(1, b),
                offer(2, c),
                offer(3, d),
                take(0, alpha),
                take(1, beta),
                take(2, org),
            );
            let mut stamped = [const { Vec::new() }; STREAMS.len()];
            let mut servers = Vec::new();
            for (lead, (server, of)) in LEAD_TO.into_iter().zip([alpha, beta, org]) {
                servers.push(server);
                lead.iter().zip(of).for_each(|(n, of)| stamped[*n] = of);
            }
            let mut stamps: Vec<_> = std::mem::take(&mut *underway.stamps.lock().unwrap())
                .into_iter()
                .collect();
            stamps.sort_by_key(|(_, number)| *number);
            Arrived {
                clients: [a, b, c, d],
                servers: servers.try_into().ok().unwrap(),
                stamped,
                stamps: stamps.into_iter().map(|(text, _)| text).collect(),
            }
        });
        Self { shared, task }
    }

    /// Counts what has arrived.
    pub(crate) fn delivered(&self) -> impl Fn() -> u64 + use<> {
        let shared = Arc::clone(&self.shared);
        move || shared.delivered.load(Relaxed)
    }

    /// Whether nothing flows, since something went wrong.
    pub(crate) fn is_over(&self) -> bool {
        self.task.is_finished()
    }

    /// Sends no more, and waits for what is underway.
    pub(crate) async fn end(self) -> Arrived {
        self.shared.over.store(true, Relaxed);
        self.task.await.unwrap()
    }
}

impl Shared {
    /// Offers stanzas at the rate above, or as fast as they arrive.
    async fn offer(&self, stream: usize, mut client: Client) -> Client {
        let mut tick = interval(PAUSE);
        tick.set_missed_tick_behavior(MissedTickBehavior::Burst);
        let (mut text, mut next) = (String::new(), 0);
        while !self.over.load(Relaxed) {
            tick.tick().await;
            let room = self.room[stream].acquire_many(BURST).await;
            room.unwrap().forget();
            text.clear();
            for _ in 0..BURST {
                text.push_str(&message(stream, &next.to_string()));
                next += 1;
            }
            client.send(&text).await;
        }
        client.send(&message(stream, LAST)).await;
        client
    }

    /// Takes what comes, up to the last stanza of each stream; returns the stamps of each.
    async fn take(&self, to: usize, mut server: Server) -> (Server, Vec<Vec<u32>>) {
        let lead = LEAD_TO[to];
        let mut stamped: Vec<_> = lead.iter().map(|_| Vec::with_capacity(MOST)).collect();
        let mut open = lead.len();
        while open > 0 {
            let stanza = server.stanza().await;
            let id = attribute(&stanza, "id").unwrap_or_default();
            let (stream, n) = id.split_once('-').unwrap_or_default();
            let place = lead.iter().position(|it| it.to_string() == stream);
            let place = place.unwrap_or_else(|| panic!("nobody sent {stanza}"));
            if n == LAST {
                open -= 1;
                continue;
            }
            assert_eq!(n, stamped[place].len().to_string(), "{stanza}");
            stamped[place].push(self.stamps(&stanza));
            self.room[lead[place]].add_permits(1);
            self.delivered.fetch_add(1, Relaxed);
        }
        (server, stamped)
    }

    /// The number of what plugins have signed this stanza with.
    fn stamps(&self, stanza: &str) -> u32 {
        let mut all = String::new();
        for stamp in stanza.split("<stamp ").skip(1) {
            let (_, rest) = stamp.split_once('>').unwrap();
            let word = rest.split('<').next().unwrap();
            write!(all, "{word} ").unwrap();
        }
        let mut known = self.stamps.lock().unwrap();
        if let Some(number) = known.get(&all) {
            return *number;
        }
        let number = u32::try_from(known.len()).unwrap();
        known.insert(all, number);
        number
    }
}

fn message(stream: usize, id: &str) -> String {
    let (from, to) = STREAMS[stream];
    format!(
        "<message from='{from}' to='{to}' id='{stream}-{id}'><body>so much for that</body></message>"
    )
}

impl Arrived {
    /// All stanzas that were sent, the last one of each stream too.
    pub(crate) fn total(&self) -> u64 {
        let all: usize = self.stamped.iter().map(|of| of.len() + 1).sum();
        all as u64
    }

    /// What the plugins have signed a stanza with; none if there is no such stanza, or it was not looked at.
    pub(crate) fn stamps(&self, id: &str) -> Option<&str> {
        let (stream, n) = id.split_once('-')?;
        let of = &self.stamped[stream.parse::<usize>().ok()?];
        let number = of.get(n.parse::<usize>().ok()?)?;
        Some(&self.stamps[*number as usize])
    }

    pub(crate) async fn every_stream_carries_one_more(&mut self) {
        for (stream, client) in self.clients.iter_mut().enumerate() {
            client.send(&message(stream, MORE)).await;
            let to = LEAD_TO.iter().position(|lead| lead.contains(&stream));
            let stanza = self.servers[to.unwrap()].stanza().await;
            assert_eq!(
                attribute(&stanza, "id"),
                Some(&*format!("{stream}-{MORE}")),
                "{stanza}"
            );
        }
    }

    /// How many connections were made to alpha, to beta, to the organisation.
    pub(crate) fn connections(&self) -> [usize; 3] {
        [0, 1, 2].map(|to: usize| self.servers[to].connections())
    }
}
