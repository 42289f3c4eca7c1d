//! Server dialback in its three roles. alpha.test's own server, which the gateway asks about keys, is
//! played by the test, and so is whoever says that he is alpha.test.

mod authoritative;
mod initiating;
mod receiving;

use hmac::{Hmac, Mac};
use portcullis_conformance::{
    At, End, Listener, Node, Part, Partner, Peer, Plan, Show, Stage, bare, ns,
};
use portcullis_test_support::Identity;
use sha2::{Digest, Sha256};

use crate::support::{QUIET, TO_ALPHA, TO_ORG, playing_alpha};

const FEATURE: &str = "<dialback xmlns='urn:xmpp:features:dialback'><errors/></dialback>";
/// What a record has to say so that dialback may prove the partner.
const RECORD: &str = "sasl = 'optional'\ndialback = true\nalso = ['muc.alpha.test']\nbidi = false";
const SECRET: &str = "s3cr3tf0rd14lb4ck";

/// The gateway, and alpha.test's own server.
struct House {
    stage: Stage,
    alpha: Listener,
    identity: Identity,
}

impl House {
    async fn new() -> Self {
        Self::with(RECORD, Vec::new()).await
    }

    async fn with(record: &'static str, mut keys: Vec<(&'static str, String)>) -> Self {
        keys.push(("federation", format!("dialback_secret = '{SECRET}'")));
        Self::without_secret(record, keys).await
    }

    async fn without_secret(record: &'static str, keys: Vec<(&'static str, String)>) -> Self {
        let (stage, alpha, identity) = playing_alpha(Plan {
            record,
            keys,
            ..Plan::default()
        })
        .await;
        Self {
            stage,
            alpha,
            identity,
        }
    }

    /// Somebody says that he is alpha.test, and shows no certificate: the stream inside TLS, its id,
    /// and its features.
    async fn knock(&self) -> (Peer, String, Node) {
        self.knock_showing(&Show::Nothing).await
    }

    async fn knock_showing(&self, show: &Show<'_>) -> (Peer, String, Node) {
        let mut peer = self.stage.outside_as("alpha.test", show, At::Secured).await;
        peer.open("alpha.test", "org.test").await;
        let (header, features) = peer.features().await;
        let id = header.attribute("id").unwrap().to_owned();
        (peer, id, features)
    }

    /// alpha.test's server is asked about a key.
    async fn asked(&self) -> (Peer, Node) {
        let mut alpha = self.asking().await;
        let verify = alpha.expect(ns::DIALBACK, "verify").await;
        (alpha, verify)
    }

    /// The gateway's connection to alpha.test's server, inside TLS, with dialback offered.
    async fn asking(&self) -> Peer {
        let show = Show::Certificate(&self.identity);
        let mut alpha = self.alpha.accept_secure(&show).await;
        let header = alpha.header().await;
        let to = header.attribute("to").unwrap();
        alpha.respond(to, "org.test", FEATURE).await;
        alpha
    }

    /// A stream whose pair was proven by dialback.
    async fn proven(&self) -> Peer {
        let (mut peer, _, _) = self.knock().await;
        peer.send(&result("alpha.test", "org.test", "key")).await;
        let (mut alpha, verify) = self.asked().await;
        alpha.send(&verified(&verify, "valid")).await;
        let answer = peer.expect(ns::DIALBACK, "result").await;
        assert_eq!(answer.attribute("type"), Some("valid"));
        peer
    }
}

fn result(from: &str, to: &str, key: &str) -> String {
    format!("<db:result from='{from}' to='{to}'>{key}</db:result>")
}

/// The answer to a question of the gateway.
fn verified(question: &Node, kind: &str) -> String {
    let of = |name| question.attribute(name).unwrap();
    format!(
        "<db:verify from='{}' to='{}' id='{}' type='{kind}'/>",
        of("to"),
        of("from"),
        of("id")
    )
}

/// XEP-0185, written down once more.
fn key(receiving: &str, originating: &str, id: &str) -> String {
    let hex = |bytes: &[u8]| bytes.iter().map(|b| format!("{b:02x}")).collect::<String>();
    let secret = hex(&Sha256::digest(SECRET));
    let mut mac = Hmac::<Sha256>::new_from_slice(secret.as_bytes()).unwrap();
    mac.update(format!("{receiving} {originating} {id}").as_bytes());
    hex(&mac.finalize().into_bytes())
}

/// The condition of a dialback error, and its type.
fn error_of(element: &Node) -> (&str, &str) {
    assert_eq!(element.attribute("type"), Some("error"), "{element:?}");
    element
        .stanza_error()
        .unwrap_or_else(|| panic!("{element:?}"))
}
