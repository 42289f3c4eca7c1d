//! Bytes that are made to be read wrongly, or to cost much while they are read.

use super::*;

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
