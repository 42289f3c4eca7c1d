//! Two gateways, each the other's partner: the rows of the negotiation matrix, one stream for both
//! ways, and a connection between them that breaks.

use std::collections::{BTreeMap, BTreeSet};
use std::net::SocketAddr;
use std::path::Path;

use portcullis::admin::protocol::{ReloadResult, Stream};
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, World, prepare, prepare_for};
use portcullis_test_support::{Mode, attribute};
use tokio::io::{AsyncReadExt, copy};
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::{oneshot, watch};
use tokio::task::JoinHandle;

/// One row, and the method that it ends in: with certificates that both sides trust, and where
/// alpha.test's is not trusted.
struct Row {
    tls: &'static str,
    sasl: &'static str,
    dialback: bool,
    trusted: &'static str,
    untrusted: Option<&'static str>,
}

const R: &str = "required";
const O: &str = "optional";
const N: &str = "not-supported";
const EXTERNAL: &str = "external (pkix)";
const TLS: &str = "tls-dialback";
const TCP: &str = "tcp-dialback";

#[rustfmt::skip]
const ROWS: [Row; 13] = [
    Row { tls: R, sasl: R, dialback: true,  trusted: EXTERNAL, untrusted: None },
    Row { tls: R, sasl: R, dialback: false, trusted: EXTERNAL, untrusted: None },
    Row { tls: O, sasl: R, dialback: true,  trusted: EXTERNAL, untrusted: Some(TLS) },
    Row { tls: O, sasl: R, dialback: false, trusted: EXTERNAL, untrusted: None },
    Row { tls: N, sasl: R, dialback: true,  trusted: TCP,      untrusted: Some(TCP) },
    Row { tls: R, sasl: O, dialback: true,  trusted: EXTERNAL, untrusted: Some(TLS) },
    Row { tls: R, sasl: O, dialback: false, trusted: EXTERNAL, untrusted: None },
    Row { tls: O, sasl: O, dialback: true,  trusted: EXTERNAL, untrusted: Some(TLS) },
    Row { tls: O, sasl: O, dialback: false, trusted: EXTERNAL, untrusted: None },
    Row { tls: N, sasl: O, dialback: true,  trusted: TCP,      untrusted: Some(TCP) },
    Row { tls: R, sasl: N, dialback: true,  trusted: TLS,      untrusted: Some(TLS) },
    Row { tls: O, sasl: N, dialback: true,  trusted: TLS,      untrusted: Some(TLS) },
    Row { tls: N, sasl: N, dialback: true,  trusted: TCP,      untrusted: Some(TCP) },
];

impl Row {
    /// The row as a record's keys. One stream each way, so that each side proves itself.
    fn keys(&self) -> String {
        format!(
            "tls = '{}'\nsasl = '{}'\ndialback = {}\nbidi = false\n",
            self.tls, self.sasl, self.dialback
        )
    }

    fn name(&self) -> String {
        let Self {
            tls,
            sasl,
            dialback,
            ..
        } = self;
        format!("TLS {tls}, SASL {sasl}, dialback {dialback}")
    }

    /// Whether certificates are looked at.
    fn certificates(&self) -> bool {
        self.tls != N && self.sasl != N
    }
}

/// org.test and alpha.test, each behind a gateway of its own.
struct Both {
    org: World,
    alpha: World,
}

/// What a side's record of the other side says.
struct Record {
    keys: String,
    /// Whether the other side's authority is trusted.
    trust: Trust,
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Trust {
    Theirs,
    NotTheirs,
}

impl Record {
    fn new(keys: &str, trust: Trust) -> Self {
        Self {
            keys: keys.to_owned(),
            trust,
        }
    }

    fn text(&self, domain: &str, proxy: SocketAddr, authority: &Path) -> String {
        let mut text = format!(
            "[[partner]]\ndomain = '{domain}'\nproxy = '{proxy}'\n{}",
            self.keys
        );
        if self.trust == Trust::Theirs {
            text.push_str(&format!("trust = ['{}']\n", authority.display()));
        }
        text
    }
}

impl Both {
    async fn start(of_alpha: &Record, of_org: &Record) -> Self {
        Self::through(of_alpha, of_org, |address| async move { address }).await
    }

    /// As [`start`](Self::start), where org.test's gateway reaches alpha.test's at the address that
    /// `way` makes of it.
    async fn through<Way: Future<Output = SocketAddr>>(
        of_alpha: &Record,
        of_org: &Record,
        way: impl FnOnce(SocketAddr) -> Way,
    ) -> Self {
        let (first, second) = (prepare(), prepare_for(&["alpha.test"]));
        let authorities = [&first, &second].map(|prepared| prepared.pki.public.file.clone());
        let mut alpha = second
            .start(Plan {
                own: vec!["alpha.test"],
                ..Plan::default()
            })
            .await;
        let address = way(alpha.gateway.addresses().federation[0]).await;
        let org = first
            .start(Plan {
                more: of_alpha.text("alpha.test", address, &authorities[1]),
                ..Plan::default()
            })
            .await;
        // Now that it is known where the first one listens.
        let address = org.gateway.addresses().federation[0];
        alpha.rewrite_end(&of_org.text("org.test", address, &authorities[0]));
        let reload = alpha.gateway.reload(Trigger::Call).await.unwrap();
        // The directory is watched: whoever notices first reads it.
        let done = matches!(reload.result, ReloadResult::Ok | ReloadResult::Unchanged);
        assert!(done, "{reload:?}");
        Self { org, alpha }
    }

    /// One message each way; what each server gets for it, org.test's first.
    async fn one_each_way(&mut self) -> [String; 2] {
        let mut inside = self.org.inside("alpha.test", Mode::StartTls).await;
        inside.send(&message("org.test", "alpha.test", 1)).await;
        let mut other = self.alpha.inside("org.test", Mode::StartTls).await;
        other.send(&message("alpha.test", "org.test", 2)).await;
        let got = [self.org.org.stanza().await, self.alpha.org.stanza().await];
        // The streams of the servers live as long.
        inside.close().await;
        other.close().await;
        got
    }

    async fn end(self) {
        let _ = tokio::join!(self.org.gateway.shutdown(), self.alpha.gateway.shutdown());
    }

    /// Direction and method of each stream between the two, as each side sees it.
    fn methods(&self) -> [Vec<(String, String)>; 2] {
        [&self.org, &self.alpha].map(|world| {
            let streams = federation(world).into_iter();
            let mut methods: Vec<_> = streams
                .map(|stream| {
                    let method = stream.method.unwrap_or_default();
                    assert_eq!(stream.tls.is_none(), method == TCP, "{:?}", stream.tls);
                    (stream.direction, method)
                })
                .collect();
            methods.sort();
            methods
        })
    }
}

fn message(from: &str, to: &str, id: usize) -> String {
    format!("<message from='a@{from}' to='b@{to}' id='{id}'><body>n{id}n</body></message>")
}

/// The streams with the other gateway.
fn federation(world: &World) -> Vec<Stream> {
    let mut streams = world.gateway.status().streams;
    streams.retain(|stream| stream.side == "federation");
    streams
}

/// Each way with its method.
fn ways(inbound: &str, outbound: &str) -> Vec<(String, String)> {
    [("inbound", inbound), ("outbound", outbound)]
        .map(|(way, method)| (way.to_owned(), method.to_owned()))
        .into()
}

#[tokio::test]
async fn matrix_each_valid_row_ends_in_the_method_that_it_names() {
    for row in ROWS {
        let trust = match row.certificates() {
            true => Trust::Theirs,
            false => Trust::NotTheirs,
        };
        let record = Record::new(&row.keys(), trust);
        let mut both = Both::start(&record, &record).await;
        let [at_org, at_alpha] = both.one_each_way().await;
        assert!(at_org.contains("n2n"), "{}: {at_org}", row.name());
        assert!(at_alpha.contains("n1n"), "{}: {at_alpha}", row.name());
        let expected = ways(row.trusted, row.trusted);
        assert_eq!(
            both.methods(),
            [expected.clone(), expected],
            "{}",
            row.name()
        );
        both.org.at_rest(2).await;
        both.alpha.at_rest(2).await;
        both.end().await;
    }
}

#[tokio::test]
async fn matrix_a_certificate_that_is_not_trusted_leaves_what_the_row_has_beside_it() {
    for row in ROWS.iter().filter(|row| row.certificates()) {
        let of_alpha = Record::new(&row.keys(), Trust::NotTheirs);
        let of_org = Record::new(&row.keys(), Trust::Theirs);
        let mut both = Both::start(&of_alpha, &of_org).await;
        let [at_org, at_alpha] = both.one_each_way().await;
        let name = row.name();
        match row.untrusted {
            Some(method) => {
                assert!(at_org.contains("n2n"), "{name}: {at_org}");
                assert!(at_alpha.contains("n1n"), "{name}: {at_alpha}");
                // org.test's own certificate is good: who is asked to take its key need not ask back
                // (XEP-0344).
                let expected = [ways(method, method), ways(EXTERNAL, method)];
                assert_eq!(both.methods(), expected, "{name}");
            }
            None => {
                for (error, id) in [(at_org, "1"), (at_alpha, "2")] {
                    assert_eq!(attribute(&error, "type"), Some("error"), "{name}: {error}");
                    assert_eq!(attribute(&error, "id"), Some(id), "{name}: {error}");
                }
                assert_eq!(both.methods(), [Vec::new(), Vec::new()], "{name}");
            }
        }
        both.end().await;
    }
}

#[tokio::test]
async fn matrix_rows_that_have_nothing_in_common_refuse_and_tell_the_sender() {
    let of_alpha = Record::new(
        "tls = 'required'\nsasl = 'required'\nbidi = false\n",
        Trust::Theirs,
    );
    let of_org = Record::new("tls = 'not-supported'\n", Trust::NotTheirs);
    let mut both = Both::start(&of_alpha, &of_org).await;
    let got = both.one_each_way().await;
    for (error, id) in got.iter().zip(["1", "2"]) {
        assert_eq!(attribute(error, "type"), Some("error"), "{error}");
        assert_eq!(attribute(error, "id"), Some(id), "{error}");
    }
    for world in [&both.org, &both.alpha] {
        world.at_rest(1).await;
        let bounced = world.sum("portcullis_stanzas_total", r#"outcome="bounced""#);
        assert_eq!(bounced, 1);
    }
    assert_eq!(both.methods(), [Vec::new(), Vec::new()]);
}

#[tokio::test]
async fn bi_04_bi_05_two_gateways_share_one_stream_for_both_ways() {
    let record = Record::new("", Trust::Theirs);
    let mut both = Both::start(&record, &record).await;
    let mut inside = both.org.inside("alpha.test", Mode::StartTls).await;
    inside.send(&message("org.test", "alpha.test", 0)).await;
    assert!(both.alpha.org.stanza().await.contains("n0n"));
    let mut other = both.alpha.inside("org.test", Mode::StartTls).await;
    for id in 0..100 {
        inside.send(&message("org.test", "alpha.test", id)).await;
        other.send(&message("alpha.test", "org.test", id)).await;
    }
    for id in 0..100 {
        let expected = id.to_string();
        for world in [&mut both.org, &mut both.alpha] {
            let message = world.org.stanza().await;
            assert_eq!(attribute(&message, "id"), Some(expected.as_str()));
        }
    }
    for world in [&both.org, &both.alpha] {
        world.at_rest(201).await;
        let delivered = world.sum("portcullis_stanzas_total", r#"outcome="delivered""#);
        assert_eq!(delivered, 201);
        let streams = federation(world);
        assert_eq!(streams.len(), 1, "{streams:?}");
    }
}

/// Passes connections on, and breaks each after so many bytes one way, with what is under way in it.
struct Relay {
    address: SocketAddr,
    connections: watch::Receiver<usize>,
    task: JoinHandle<()>,
}

impl Relay {
    async fn start(to: SocketAddr, bytes: u64) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (count, connections) = watch::channel(0);
        let task = tokio::spawn(async move {
            while let Ok((mut near, _)) = listener.accept().await {
                count.send_modify(|count| *count += 1);
                let mut far = TcpStream::connect(to).await.unwrap();
                tokio::spawn(async move {
                    let ((from_near, mut to_near), (mut from_far, mut to_far)) =
                        (near.split(), far.split());
                    let mut some = from_near.take(bytes);
                    let forth = async {
                        let _ = copy(&mut some, &mut to_far).await;
                        // What comes now is lost.
                        let _ = some.get_mut().read(&mut [0; 1024]).await;
                    };
                    tokio::select! {
                        () = forth => {}
                        _ = copy(&mut from_far, &mut to_near) => {}
                    }
                });
            }
        });
        Self {
            address,
            connections,
            task,
        }
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// What each of the two servers got, by id.
#[derive(Default)]
struct Heard {
    delivered: BTreeMap<usize, usize>,
    refused: BTreeMap<usize, usize>,
}

impl Heard {
    async fn next(&mut self, org: &mut World, alpha: &mut World) {
        let (stanza, counts) = tokio::select! {
            stanza = alpha.org.stanza() => (stanza, &mut self.delivered),
            stanza = org.org.stanza() => (stanza, &mut self.refused),
        };
        let id = attribute(&stanza, "id").unwrap().parse().unwrap();
        *counts.entry(id).or_default() += 1;
    }

    /// Of how many something was heard.
    fn count(&self) -> usize {
        let mut ids: BTreeSet<_> = self.delivered.keys().collect();
        ids.extend(self.refused.keys());
        ids.len()
    }
}

#[tokio::test]
async fn sm_01_a_broken_connection_loses_nothing_unsaid_and_doubles_nothing() {
    const ROUNDS: usize = 6;
    const ROUND: usize = 500;
    // More than the first round, less than all.
    const BYTES: u64 = 120_000;
    let record = Record::new("", Trust::Theirs);
    let (started, mut relay) = oneshot::channel();
    let both = Both::through(&record, &record, |address| async move {
        let relay = Relay::start(address, BYTES).await;
        let address = relay.address;
        assert!(started.send(relay).is_ok());
        address
    });
    let Both { mut org, mut alpha } = both.await;
    let relay = relay.try_recv().unwrap();
    let mut inside = org.inside("alpha.test", Mode::StartTls).await;
    let mut heard = Heard::default();
    for round in 0..ROUNDS {
        for id in round * ROUND..(round + 1) * ROUND {
            inside.send(&message("org.test", "alpha.test", id)).await;
        }
        // Each was delivered, or its sender is told that it may not have been.
        while heard.count() < (round + 1) * ROUND {
            heard.next(&mut org, &mut alpha).await;
        }
    }
    let sent = (ROUNDS * ROUND) as u64;
    org.at_rest(sent).await;
    assert!(*relay.connections.borrow() > 1, "it was not tried again");
    let told = org.sum("portcullis_stanzas_total", r#"outcome="bounced""#);
    let settled = org.sum("portcullis_stanzas_total", r#"outcome="delivered""#);
    assert_eq!(told + settled, sent);
    assert!(
        told > 0 && settled > 0,
        "{told} were told, {settled} settled"
    );
    let received = alpha.sum("portcullis_stanzas_received_total", "");
    alpha.at_rest(received).await;
    assert!(settled <= received && received <= sent, "{received}");
    for (id, count) in heard.delivered.iter().chain(&heard.refused) {
        assert_eq!(*count, 1, "{id}");
    }
}
