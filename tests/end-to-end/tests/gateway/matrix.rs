//! Two gateways, each the other's partner: the rows of the negotiation matrix, and one stream for both
//! ways.

use portcullis_test_support::{Mode, attribute};

use crate::both::{Both, Record, Trust, federation, message};

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

impl Both {
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
