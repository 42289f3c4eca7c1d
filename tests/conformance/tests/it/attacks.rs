//! Attacks that are known from other servers. What is asserted is not only the error: memory, time on
//! the processor, and what is left behind.

use std::time::Duration;

use portcullis_conformance::{
    Answer, At, Dns, Listener, Node, Part, Partner, Peer, Plan, Show, Stage, Usage, bare, ns,
};
use portcullis_test_support::{Behaviour, Server};
use rustls::pki_types::{CertificateDer, PrivateKeyDer};

use crate::support::{QUIET, TO_ALPHA};

const MIB: u64 = 1024 * 1024;

/// What it cost between two looks.
struct Cost {
    before: Usage,
}

impl Cost {
    /// Begins to count. Everything that is made once should have been made by now.
    fn count(stage: &Stage) -> Self {
        stage.gateway.forget_peak();
        Self {
            before: stage.gateway.usage(),
        }
    }

    /// Ends; neither may have gone beyond its bound.
    fn at_most(self, stage: &Stage, memory: u64, cpu: Duration) {
        let after = stage.gateway.usage();
        let grown = after.peak.saturating_sub(self.before.resident);
        assert!(
            grown <= memory,
            "{grown} bytes more at the peak, not {memory}"
        );
        let took = after.cpu.saturating_sub(self.before.cpu);
        assert!(took <= cpu, "{took:?} on the processor, not {cpu:?}");
    }
}

/// Streams of every kind, so that what the first of them makes is made.
async fn warm(stage: &Stage) {
    for _ in 0..8 {
        for at in At::ALL {
            drop(stage.outside(at).await);
            drop(stage.inside(at).await);
        }
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v01_no_entity_is_expanded_and_nothing_is_fetched() {
    let stage = Stage::usual().await;
    let bait = Listener::bind().await;
    warm(&stage).await;
    let laughs: String = (1..10)
        .map(|n| format!("<!ENTITY l{n} '{}'>", format!("&l{};", n - 1).repeat(10)))
        .collect();
    let documents = [
        format!("<!DOCTYPE x [<!ENTITY l0 'ha'>{laughs}]><x>&l9;</x>"),
        format!(
            "<!DOCTYPE x [<!ENTITY e SYSTEM 'http://{}/'>]><x>&e;</x>",
            bait.address
        ),
        format!("<!DOCTYPE x SYSTEM 'http://{}/x.dtd'><x/>", bait.address),
        "<!DOCTYPE x [<!ENTITY e SYSTEM 'file:///etc/passwd'>]><x>&e;</x>".to_owned(),
        "<!DOCTYPE x [<!ENTITY % p SYSTEM 'file:///etc/passwd'>%p;]><x/>".to_owned(),
        format!("<!DOCTYPE x [<!ENTITY a '{}'>]>", "x".repeat(9000)),
    ];
    let cost = Cost::count(&stage);
    for document in &documents {
        for at in At::ALL {
            for mut peer in [stage.outside(at).await, stage.inside(at).await] {
                peer.send(document).await;
                peer.refused("restricted-xml").await;
                assert!(!peer.heard().contains("root:"), "{}", peer.heard());
            }
        }
    }
    stage.gateway.at_rest().await;
    cost.at_most(&stage, 2 * MIB, Duration::from_secs(3));
    assert!(bait.is_left_alone_for(QUIET).await);
    assert_eq!(stage.gateway.settled().await, 0.0);
}

#[tokio::test]
async fn v02_one_stanza_is_one_stanza_for_everybody_or_the_stream_is_closed() {
    let mut stage = Stage::usual().await;
    let smuggled = "<message from='x@alpha.test' to='a@org.test'><body>smuggled</body></message>";
    let mut bodies: Vec<Vec<u8>> = [
        "a]]>b",
        "<![CDATA[a]]]]><![CDATA[>b]]>",
        "</stream:stream>",
        "&lt;/body>&lt;/message>",
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams'><message/></stream:stream>",
        "<x xmlns='a|b'/><x xmlns='a&#10;b'/><x xmlns='a b'/>",
        "<x xmlns:p='urn:a' xmlns:q='urn:a' p:k='1' q:l='2'/>",
        "<x k='a\nb'/><x k='a&#10;b'/><x k='>'/>",
        "&#xFFFE;",
        "&#xFFFF;",
        "&#0;",
        "\u{0}",
        "a\rb\r\nc",
        "<b/ >",
        "<b\t\n k = 'v'\n/>",
    ]
    .map(|body| body.as_bytes().to_vec())
    .into();
    for cut in [&b"\xEB"[..], b"\xEB\xB0", b"\xF0\x9F\x98", b"\xC3"] {
        // A truncated character in front of markup must not swallow it.
        bodies.push([cut, &b"<b/>"[..]].concat());
        bodies.push([b"<b k='", cut, &b"'/>"[..]].concat());
        bodies.push([b"<b", cut, &b"/>"[..]].concat());
        bodies.push([cut, &b"</body></message>"[..], smuggled.as_bytes()].concat());
    }
    let behind =
        "<message from='b@alpha.test' to='a@org.test' id='behind'><body>.</body></message>";
    for body in &bodies {
        let mut said = b"<message from='b@alpha.test' to='a@org.test' id='it'><body>".to_vec();
        said.extend(body);
        said.extend(b"</body></message>");
        let wanted = Node::all(&said);
        said.extend(behind.as_bytes());
        let mut peer = stage.outside(At::Established).await;
        peer.send_bytes(&said).await;
        peer.send("</stream:stream>").await;
        peer.finish().await;
        let rest = peer.rest().await;
        let closed = rest
            .iter()
            .any(|part| matches!(part, Part::Element(e) if e.is(ns::STREAM, "error")));
        stage.gateway.settled().await;
        let shown = String::from_utf8_lossy(body);
        if closed {
            // What came before it has arrived, and nothing else was counted.
            let delivered = stage
                .gateway
                .sum("portcullis_stanzas_total", "delivered")
                .await;
            let received = stage.gateway.settled().await;
            assert!((delivered - received).abs() < 0.5, "{shown}");
            continue;
        }
        // Who was not closed is heard to the end.
        let mut heard = Vec::new();
        loop {
            let message = stage.org_gets().await;
            if message.attribute("id") == Some("behind") {
                break;
            }
            heard.push(message);
        }
        assert_eq!(heard, wanted, "{shown}");
    }
    while let Some(event) = stage.org.try_next() {
        let event = format!("{event:?}");
        assert!(!event.contains("smuggled"), "{event}");
    }
}

#[tokio::test]
async fn v03_what_was_said_in_the_clear_has_no_effect_inside() {
    let stage = Stage::usual().await;
    let injected = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>\
         <stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' to='org.test' version='1.0'>\
         <auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='EXTERNAL'>=</auth>\
         <message from='b@alpha.test' to='a@org.test'><body>x</body></message>";
    for mut peer in [
        stage.outside(At::Clear).await,
        stage.inside(At::Clear).await,
    ] {
        peer.send(injected).await;
        let rest = peer.rest().await;
        let proceeds = |part: &Part| matches!(part, Part::Element(e) if e.is(ns::TLS, "proceed"));
        assert!(!rest.iter().any(proceeds), "{rest:?}");
    }
    stage.gateway.at_rest().await;
    assert_eq!(stage.gateway.settled().await, 0.0);
    // A name from the clear is none inside: who authenticates is who the header inside says.
    let beta = stage.pki.partner(&["beta.test"]);
    let mut peer = Peer::connect(stage.gateway.federation).await;
    peer.open("alpha.test", "org.test").await;
    peer.features().await;
    peer.start_tls(&Show::Certificate(&beta), "org.test").await;
    peer.open_with("to='org.test' version='1.0'").await;
    peer.header().await;
    let said = peer.element().await;
    assert!(said.child(ns::SASL, "mechanisms").is_none(), "{said:?}");
}

#[tokio::test]
async fn v08_a_server_with_a_bad_certificate_gets_no_stanza() {
    let bare = bare();
    let (public, internal) = (&bare.pki.public, &bare.pki.internal);
    let bad: [(&str, &[&str], _, i64); 5] = [
        ("another name", &["beta.test"], public, 9),
        ("the host's name", &["localhost", "127.0.0.1"], public, 9),
        ("a wildcard above", &["*.c.test"], public, 9),
        ("the inner authority", &["d.test"], internal, 9),
        ("expired", &["e.test"], public, -1),
    ];
    // A domain for each, since after a failure the next attempt waits.
    let domains = ["a.test", "b.test", "c.test", "d.test", "e.test"];
    let mut listeners = Vec::new();
    let mut partners = Vec::new();
    for domain in domains {
        let listener = Listener::bind().await;
        partners.push(Partner {
            domain,
            address: Some(listener.address),
            more: "dialback = false",
        });
        listeners.push(listener);
    }
    let bad = bad.map(|(what, names, by, days)| {
        let issued = bare
            .pki
            .issue(by, names, &[&bare.pki.public], time::Duration::days(days));
        (what, issued)
    });
    let plan = Plan {
        partners,
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    for ((what, identity), (domain, listener)) in bad.iter().zip(domains.iter().zip(&listeners)) {
        let mut inside = stage.inside_to(domain, At::Established).await;
        inside.send(&TO_ALPHA.replace("alpha.test", domain)).await;
        let mut alpha = listener.accept_secure(&Show::Certificate(identity)).await;
        alpha.header().await;
        alpha.respond(domain, "org.test", Peer::EXTERNAL).await;
        let rest = alpha.rest().await;
        let authenticates =
            |part: &Part| matches!(part, Part::Element(e) if e.is(ns::SASL, "auth"));
        assert!(!rest.iter().any(authenticates), "{what}: {rest:?}");
        let error = stage.org_gets().await;
        assert_eq!(
            error.stanza_error(),
            Some(("remote-server-timeout", "cancel")),
            "{what}"
        );
    }
}

#[tokio::test]
async fn v08_inside_only_the_inner_authoritys_servers_speak_and_for_their_own_names() {
    let bare = bare();
    let internal = &bare.pki.internal;
    let issue = |by, names: &[&str], days| {
        bare.pki
            .issue(by, names, &[internal], time::Duration::days(days))
    };
    let bad = [
        ("another name", issue(internal, &["elsewhere.test"], 9)),
        (
            "the outer authority",
            issue(&bare.pki.public, &["org.test"], 9),
        ),
        ("expired", issue(internal, &["org.test"], -1)),
    ];
    let stage = bare.start(Plan::default()).await;
    for (what, identity) in &bad {
        let mut peer = stage.inside(At::Clear).await;
        peer.send("<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>")
            .await;
        peer.expect(ns::TLS, "proceed").await;
        let show = Show::Certificate(identity);
        if peer.secure(show.client(), "alpha.test").await.is_ok() {
            peer.open("org.test", "alpha.test").await;
            let rest = peer.rest().await;
            let features =
                |part: &Part| matches!(part, Part::Element(e) if e.is(ns::STREAM, "features"));
            assert!(!rest.iter().any(features), "{what}: {rest:?}");
        }
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn id_12_an_internal_server_speaks_for_its_own_domains() {
    let bare = bare();
    let second = bare.pki.internal_server(&["second.test"]);
    let plan = Plan {
        domains: vec!["org.test", "second.test"],
        more: "[[internal.server]]\ndomains = ['second.test']\nconnect = ['127.0.0.1:1']\n"
            .to_owned(),
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    // second.test's server in org.test's name: in the header, and in a stanza.
    let mut peer = Peer::connect(stage.gateway.internal).await;
    peer.open("org.test", "alpha.test").await;
    peer.features().await;
    peer.start_tls(&Show::Certificate(&second), "alpha.test")
        .await;
    peer.open("org.test", "alpha.test").await;
    peer.refused("policy-violation").await;
    let mut peer = Peer::connect(stage.gateway.internal).await;
    peer.secure(Show::Certificate(&second).client(), "alpha.test")
        .await
        .unwrap();
    peer.open("second.test", "alpha.test").await;
    peer.features().await;
    peer.external().await;
    peer.open("second.test", "alpha.test").await;
    peer.features().await;
    peer.send(TO_ALPHA).await;
    peer.refused("invalid-from").await;
    stage.gateway.at_rest().await;
    assert!(stage.alpha.try_next().is_none());
}

/// A leaf for alpha.test, and authorities of one name that have all signed each other: as many ways up
/// as there are orders of them, and none that ends.
fn maze(authorities: usize) -> (Vec<CertificateDer<'static>>, PrivateKeyDer<'static>) {
    use rcgen::{BasicConstraints, CertificateParams, DnType, IsCa, Issuer, KeyPair};
    let authority = || {
        let mut params = CertificateParams::new(Vec::new()).unwrap();
        params.distinguished_name.push(DnType::CommonName, "Maze");
        params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
        params
    };
    let keys: Vec<KeyPair> = (0..authorities)
        .map(|_| KeyPair::generate().unwrap())
        .collect();
    let key = KeyPair::generate().unwrap();
    let names = vec!["alpha.test".to_owned()];
    let leaf = CertificateParams::new(names).unwrap();
    let issuers: Vec<_> = keys
        .iter()
        .map(|key| Issuer::new(authority(), key))
        .collect();
    let mut chain = vec![leaf.signed_by(&key, &issuers[0]).unwrap().der().clone()];
    for (at, subject) in keys.iter().enumerate() {
        for issuer in [at + 1, at + 2] {
            let signed = authority().signed_by(subject, &issuers[issuer % authorities]);
            chain.push(signed.unwrap().der().clone());
        }
    }
    (chain, PrivateKeyDer::try_from(key.serialize_der()).unwrap())
}

#[tokio::test]
async fn v09_a_chain_that_is_made_to_be_expensive_costs_little() {
    let plan = Plan {
        record: "dialback = false",
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    warm(&stage).await;
    let mazes = [2, 4, 8, 20].map(maze);
    let cost = Cost::count(&stage);
    for (chain, key) in &mazes {
        let show = Show::Chain(chain, key);
        let mut peer = stage.outside(At::Connected).await;
        // What is too much may be refused in the handshake or behind it.
        if peer.secure(show.client(), "org.test").await.is_ok() {
            peer.open("alpha.test", "org.test").await;
            let said = peer.rest().await;
            let features =
                |part: &Part| matches!(part, Part::Element(e) if e.is(ns::STREAM, "features"));
            assert!(!said.iter().any(features), "{said:?}");
        }
    }
    stage.gateway.at_rest().await;
    cost.at_most(&stage, 4 * MIB, Duration::from_millis(400));
}

#[tokio::test]
async fn v22_where_a_pin_is_demanded_a_good_certificate_is_not_enough() {
    let bare = bare();
    let pinned = bare.pki.partner(&["beta.test"]);
    let hijacker = bare.pki.partner(&["beta.test"]);
    let record = format!(
        "[[partner]]\ndomain = 'beta.test'\nproxy = '127.0.0.1:1'\ndialback = false\npins = ['{}']\n",
        pinned.pin()
    );
    let plan = Plan {
        more: record,
        ..Plan::default()
    };
    let stage = bare.start(plan).await;
    let show = Show::Certificate(&hijacker);
    let mut peer = stage.outside_as("beta.test", &show, At::Secured).await;
    peer.open("beta.test", "org.test").await;
    peer.refused("policy-violation").await;
    let show = Show::Certificate(&pinned);
    let peer = stage.outside_as("beta.test", &show, At::Established).await;
    let status = stage.gateway.status().await;
    assert!(status["streams"].to_string().contains("pinned"), "{status}");
    peer.close().await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v10_floods_of_attributes_and_declarations_cost_little() {
    let plan = Plan {
        keys: vec![("limits", "stanza_bytes = 4194304".to_owned())],
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    warm(&stage).await;
    let attributes: String = (0..80_000).map(|n| format!(" a{n}='1'")).collect();
    let namespaces: String = (0..80_000).map(|n| format!(" xmlns:a{n}='u'")).collect();
    let cost = Cost::count(&stage);
    for flood in [&attributes, &namespaces] {
        for at in At::ALL {
            let said = match at {
                At::Connected | At::Secured | At::Restarting => format!(
                    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'{flood}>"
                ),
                _ => format!("<message from='b@alpha.test' to='a@org.test'{flood}/>"),
            };
            for mut peer in [stage.outside(at).await, stage.inside(at).await] {
                peer.send(&said).await;
                peer.error("policy-violation").await;
            }
        }
    }
    stage.gateway.at_rest().await;
    cost.at_most(&stage, 8 * MIB, Duration::from_secs(3));
}

#[tokio::test]
async fn v11_memory_of_the_unauthenticated_is_bounded_and_given_back() {
    let plan = Plan {
        keys: vec![("limits", "connections = 2000".to_owned())],
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    warm(&stage).await;
    const CONNECTIONS: u64 = 300;
    // What one may cost: its limit of 16 KiB before authentication, one read, TLS's two buffers.
    const EACH: u64 = 128 * 1024;
    let endless =
        ["<a b='", "<a>", "<a b='1' "].map(|start| format!("{start}{}", "x".repeat(15_000)));
    let cost = Cost::count(&stage);
    let mut held = Vec::new();
    for n in 0..CONNECTIONS {
        let source = format!("127.0.1.{}", 1 + n % 30);
        let mut peer = Peer::connect_from(&source, stage.gateway.federation).await;
        if n % 2 == 0 {
            peer.open("alpha.test", "org.test").await;
            peer.features().await;
        } else {
            let show = Show::Certificate(&stage.alpha_identity);
            peer.secure(show.client(), "org.test").await.unwrap();
            peer.open("alpha.test", "org.test").await;
            peer.features().await;
        }
        peer.send(&endless[usize::try_from(n % 3).unwrap()]).await;
        held.push(peer);
    }
    let all = 300.0;
    stage
        .gateway
        .until("portcullis_connections", "federation", all)
        .await;
    cost.at_most(&stage, CONNECTIONS * EACH, Duration::from_secs(5));
    drop(held);
    stage.gateway.at_rest().await;

    // Opened and closed, again and again: what was used once is used again.
    let after = |stage: &Stage| stage.gateway.usage().resident;
    let mut sizes = Vec::new();
    for _ in 0..4 {
        for n in 0..300 {
            let mut peer = stage.outside(At::Connected).await;
            if n % 2 == 0 {
                peer.open("alpha.test", "org.test").await;
                peer.features().await;
                peer.send("<a b='never ended").await;
            }
        }
        stage.gateway.at_rest().await;
        sizes.push(after(&stage));
    }
    assert!(sizes[3] <= sizes[0] + 2 * MIB, "{sizes:?}");
}

#[tokio::test]
async fn v13_depth_is_bounded_while_it_arrives() {
    let plan = Plan {
        keys: vec![("limits", "stanza_bytes = 1048576".to_owned())],
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    warm(&stage).await;
    let deep = "<a>".repeat(100_000);
    let cost = Cost::count(&stage);
    for at in [At::Clear, At::Authenticating, At::Established] {
        for mut peer in [stage.outside(at).await, stage.inside(at).await] {
            let start = match at {
                At::Established => "<message from='b@alpha.test' to='a@org.test'>",
                _ => "",
            };
            peer.send(&format!("{start}{deep}")).await;
            peer.error("policy-violation").await;
        }
    }
    stage.gateway.at_rest().await;
    cost.at_most(&stage, 4 * MIB, Duration::from_secs(1));
}

#[tokio::test]
async fn v14_slow_bytes_extend_no_deadline() {
    let plan = Plan {
        keys: vec![("timeouts", "establish = 2".to_owned())],
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    let mut slow = tokio::task::JoinSet::new();
    for at in [
        At::Connected,
        At::Clear,
        At::Secured,
        At::Authenticating,
        At::Restarting,
    ] {
        for mut peer in [stage.outside(at).await, stage.inside(at).await] {
            slow.spawn(async move {
                let began = tokio::time::Instant::now();
                peer.send("<").await;
                // A byte now and then, for as long as anybody listens.
                loop {
                    let silent = peer.is_silent_for(Duration::from_millis(100)).await;
                    if !silent || peer.try_send(b"a").await.is_err() {
                        break;
                    }
                    assert!(began.elapsed() < Duration::from_secs(10), "{at:?}");
                }
                peer.rest().await;
            });
        }
    }
    // Half of a TLS handshake, and nothing at all.
    for said in [&b"\x16\x03\x01\x02\x00\x01"[..], b""] {
        let mut peer = stage.outside(At::Connected).await;
        slow.spawn(async move {
            let _sent = peer.try_send(said).await;
            while peer.read().await.is_ok_and(|bytes| !bytes.is_empty()) {}
        });
    }
    while let Some(ended) = slow.join_next().await {
        ended.unwrap();
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn v15_a_partner_that_does_not_read_costs_one_bounded_queue() {
    let bare = bare();
    let beta_identity = bare.pki.partner(&["beta.test"]);
    let mut beta = Server::start(&beta_identity, Behaviour::StartTls).await;
    let plan = Plan {
        alpha: Behaviour::Deaf,
        partners: vec![Partner {
            domain: "beta.test",
            address: Some(beta.address),
            more: "",
        }],
        ..Plan::default()
    };
    let mut stage = bare.start(plan).await;
    warm(&stage).await;
    let mut to_alpha = stage.inside(At::Established).await;
    let body = "x".repeat(60_000);
    let cost = Cost::count(&stage);
    let flood = tokio::spawn(async move {
        for n in 0..400 {
            let message = format!(
                "<message from='a@org.test' to='b@alpha.test' id='{n}'><body>{body}</body></message>"
            );
            to_alpha.send(&message).await;
        }
        to_alpha
    });
    let error = stage.org_gets().await;
    assert_eq!(error.stanza_error(), Some(("resource-constraint", "wait")));
    // Nobody else waits.
    let mut to_beta = stage.inside_to("beta.test", At::Established).await;
    to_beta
        .send("<message from='a@org.test' to='b@beta.test'><body>hello</body></message>")
        .await;
    assert!(beta.stanza().await.contains("hello"));
    let queued = stage.gateway.sum("portcullis_queued_bytes", "").await;
    assert!(queued <= 9.0 * 1024.0 * 1024.0, "{queued}");
    cost.at_most(&stage, 48 * MIB, Duration::from_secs(10));
    flood.abort();
}

#[tokio::test]
async fn v16_a_black_hole_costs_one_attempt_and_one_error_for_each_stanza() {
    const COUNT: usize = 2000;
    let hole = Listener::bind().await;
    let plan = Plan {
        alpha_at: Some(hole.address),
        keys: vec![("timeouts", "establish = 3".to_owned())],
        ..Plan::default()
    };
    let mut stage = bare().start(plan).await;
    let mut inside = stage.inside(At::Established).await;
    for n in 0..COUNT {
        inside
            .send(&format!(
                "<message from='a@org.test' to='b@alpha.test' id='{n}'><body>x</body></message>"
            ))
            .await;
    }
    // Errors of others, and presence, are not answered.
    inside
        .send("<message from='a@org.test' to='b@alpha.test' id='e' type='error'/><presence from='a@org.test' to='b@alpha.test'/>")
        .await;
    let _attempt = hole.accept().await;
    let mut answered = vec![0; COUNT];
    for _ in 0..COUNT {
        let error = stage.org_gets().await;
        let (condition, kind) = error.stanza_error().unwrap();
        assert!(
            matches!(condition, "remote-server-timeout" | "resource-constraint") && kind == "wait",
            "{error:?}"
        );
        let id: usize = error.attribute("id").unwrap().parse().unwrap();
        answered[id] += 1;
    }
    assert!(answered.iter().all(|times| *times == 1));
    // While the next attempt waits its turn, answers come at once and nothing is dialled.
    inside.send(TO_ALPHA).await;
    let error = stage.org_gets().await;
    assert_eq!(
        error.stanza_error(),
        Some(("remote-server-timeout", "wait"))
    );
    assert!(hole.is_left_alone_for(QUIET).await);
    assert_eq!(stage.gateway.settled().await, 2003.0);
    let bounced = stage
        .gateway
        .sum("portcullis_stanzas_total", "bounced")
        .await;
    assert_eq!(bounced, 2001.0);
}

#[tokio::test]
async fn v18_no_restart_changes_who_a_stream_is() {
    let stage = Stage::usual().await;
    for (from, to) in [
        ("beta.test", "org.test"),
        ("org.test", "alpha.test"),
        ("alpha.test", "second.test"),
    ] {
        let mut peer = stage.outside(At::Restarting).await;
        peer.open(from, to).await;
        peer.refused("improper-addressing").await;
    }
    for (from, to) in [("second.test", "alpha.test"), ("org.test", "beta.test")] {
        let mut peer = stage.inside(At::Restarting).await;
        peer.open(from, to).await;
        peer.refused("improper-addressing").await;
    }
    // On an established stream there is no restart at all.
    for mut peer in [
        stage.outside(At::Established).await,
        stage.inside(At::Established).await,
    ] {
        peer.send("<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='beta.test' to='org.test' version='1.0'/>")
            .await;
        let said = peer.rest().await;
        let error = said.iter().find_map(|part| match part {
            Part::Element(element) if element.is(ns::STREAM, "error") => element.condition(),
            _ => None,
        });
        assert!(error.is_some(), "{said:?}");
    }
    stage.gateway.at_rest().await;
    assert_eq!(stage.gateway.settled().await, 0.0);
}

#[tokio::test]
async fn v20_strangers_make_the_gateway_ask_and_dial_nobody() {
    let bait = Listener::bind().await;
    let dns = Dns::start(vec![
        (
            "_xmpp-server._tcp.gamma.test",
            Answer::Srv(vec![(0, 0, bait.address.port(), "host.gamma.test")]),
        ),
        (
            "host.gamma.test",
            Answer::A(vec!["127.0.0.1".parse().unwrap()]),
        ),
    ])
    .await;
    let plan = Plan {
        dns: Some(dns.address),
        ..Plan::default()
    };
    let stage = bare().start(plan).await;
    let gamma = stage.pki.partner(&["gamma.test"]);
    let show = Show::Certificate(&gamma);
    for at in [At::Connected, At::Secured] {
        let mut peer = match at {
            At::Connected => stage.outside(At::Connected).await,
            _ => {
                let mut peer = stage.outside(At::Connected).await;
                peer.secure(show.client(), "org.test").await.unwrap();
                peer
            }
        };
        peer.open("gamma.test", "org.test").await;
        peer.refused("policy-violation").await;
    }
    for at in [At::Clear, At::Authenticating, At::Established] {
        for said in [
            "<db:result xmlns:db='jabber:server:dialback' from='gamma.test' to='org.test'>key</db:result>",
            "<db:verify xmlns:db='jabber:server:dialback' from='gamma.test' to='org.test' id='x'>key</db:verify>",
        ] {
            let mut peer = stage.outside(at).await;
            peer.send(said).await;
            peer.send("</stream:stream>").await;
            peer.rest().await;
        }
    }
    stage.gateway.at_rest().await;
    assert!(bait.is_left_alone_for(QUIET).await);
    assert_eq!(dns.asked(), Vec::<String>::new());
    // From inside, too: who may not be spoken to is not looked up.
    let mut inside = stage.inside_to("gamma.test", At::Established).await;
    inside
        .send("<message from='a@org.test' to='b@gamma.test'><body>x</body></message>")
        .await;
    stage
        .gateway
        .until("portcullis_stanzas_total", "bounced", 1.0)
        .await;
    assert_eq!(dns.asked(), Vec::<String>::new());
}
