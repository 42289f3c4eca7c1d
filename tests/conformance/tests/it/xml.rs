//! XML on a stream between servers.

use portcullis_conformance::{At, Node, Peer, Plan, Stage, bare, ns};

use crate::support::{Refusal, refused};

/// Stages at which an element or the start of a stream may be sent.
const OPENING: [At; 3] = [At::Connected, At::Secured, At::Restarting];
const INSIDE: [At; 3] = [At::Clear, At::Authenticating, At::Established];

#[tokio::test]
async fn xml_01_restricted_xml_closes_the_stream_wherever_it_stands() {
    let stage = Stage::usual().await;
    let mut rows = Vec::new();
    for said in [
        "<!-- comment -->",
        "<?php echo 1 ?>",
        "<!DOCTYPE stream:stream>",
        "<!DOCTYPE x [<!ENTITY a 'b'>]>",
    ] {
        rows.extend(OPENING.map(|at| Refusal(at, said, "restricted-xml")));
        rows.extend(INSIDE.map(|at| Refusal(at, said, "restricted-xml")));
    }
    for said in [
        "<message from='b@alpha.test' to='a@org.test'><body>a<!-- b -->c</body></message>",
        "<message from='b@alpha.test' to='a@org.test'><body><?x?></body></message>",
        "<message from='b@alpha.test' to='a@org.test'><body>&undeclared;</body></message>",
        "<message from='b@alpha.test' to='a@org.test' id='&nbsp;'/>",
    ] {
        rows.push(Refusal(At::Established, said, "restricted-xml"));
    }
    refused(&stage, &rows).await;
}

#[tokio::test]
async fn xml_01_cdata_and_character_references_are_text() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send("<message from='b@alpha.test' to='a@org.test'><body>&#x41;&#66;<![CDATA[<c>&amp;]]>&lt;&gt;&quot;&apos;</body></message>")
        .await;
    let message = stage.org_gets().await;
    assert_eq!(
        message.child(ns::SERVER, "body").unwrap().text,
        "AB<c>&amp;<>\"'"
    );
    assert!(!stage.gateway.log().contains("AB<c>"));
}

#[tokio::test]
async fn xml_02_what_is_not_well_formed_closes_the_stream() {
    let stage = Stage::usual().await;
    let rows: Vec<_> = [
        "<message from='b@alpha.test' to='a@org.test'><body></message></body>",
        "<message from='b@alpha.test' from='c@alpha.test' to='a@org.test'/>",
        "<message from=b@alpha.test to='a@org.test'/>",
        "<message from='b@alpha.test' to='a@org.test'><x:y/></message>",
        "<message from='b@alpha.test' to='a@org.test' x:y='1'/>",
        "<message from='b@alpha.test' to='a@org.test' xmlns:p=''/>",
        "<message from='b@alpha.test' to='a@org.test' xmlns:p='urn:1' xmlns:q='urn:1' p:a='1' q:a='2'/>",
        "<message from='b@alpha.test' to='a@org.test'><body>&#0;</body></message>",
        "<message from='b@alpha.test' to='a@org.test'><body>&#xFFFE;</body></message>",
        "<message from='b@alpha.test' to='a@org.test'><body>]]></body></message>",
        "<message from='b@alpha.test' to='a@org.test' id='<'/>",
        "<1message from='b@alpha.test' to='a@org.test'/>",
    ]
    .into_iter()
    .map(|said| Refusal(At::Established, said, "not-well-formed"))
    .collect();
    refused(&stage, &rows).await;
    let rows: Vec<_> = INSIDE
        .into_iter()
        .map(|at| Refusal(at, "<a><b></a></b>", "not-well-formed"))
        .chain(OPENING.map(|at| Refusal(at, "<a b></a>", "not-well-formed")))
        .collect();
    refused(&stage, &rows).await;
}

#[tokio::test]
async fn xml_03_only_utf_8_is_read() {
    let stage = Stage::usual().await;
    for bytes in [
        &b"\xC0\xBC"[..],
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\x80",
        b"\xE2\x28\xA1",
        b"\xFF\xFE",
    ] {
        for mut peer in [
            stage.outside(At::Established).await,
            stage.inside(At::Established).await,
        ] {
            let mut said = b"<message from='b@alpha.test' to='a@org.test'><body>".to_vec();
            said.extend(bytes);
            said.extend(b"</body></message>");
            peer.send_bytes(&said).await;
            peer.refused("unsupported-encoding").await;
        }
    }
    let mut peer = stage.outside(At::Connected).await;
    peer.send("<?xml version='1.0' encoding='UTF-16'?>").await;
    peer.refused("unsupported-encoding").await;
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn xml_04_the_declaration_comes_first_or_not_at_all() {
    let stage = Stage::usual().await;
    let rows: Vec<_> = INSIDE
        .into_iter()
        .map(|at| Refusal(at, "<?xml version='1.0'?>", "restricted-xml"))
        .chain([Refusal(
            At::Connected,
            "<?xml version='1.1'?>",
            "not-well-formed",
        )])
        .collect();
    for Refusal(at, said, _) in &rows {
        let mut peer = stage.outside(*at).await;
        peer.send(said).await;
        let header = matches!(at, At::Connected);
        if header {
            peer.header().await;
        }
        let error = peer.expect(ns::STREAM, "error").await;
        let allowed = ["restricted-xml", "not-well-formed", "bad-format"];
        let condition = error.condition().unwrap();
        assert!(allowed.contains(&condition), "{said}: {condition}");
    }
    // Ours: at the start of each stream, and without standalone.
    for at in OPENING {
        let mut peer = stage.outside(at).await;
        peer.open("alpha.test", "org.test").await;
        peer.features().await;
        assert!(!peer.heard().contains("standalone"), "{}", peer.heard());
        assert!(
            peer.heard().contains("<?xml version='1.0'?>"),
            "{}",
            peer.heard()
        );
    }
}

#[tokio::test]
async fn xml_05_whitespace_keeps_alive_and_text_does_not() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(" \n\t\r\n ").await;
    peer.send("<message from='b@alpha.test' to='a@org.test'><body>x</body></message>")
        .await;
    stage.org_gets().await;
    for at in INSIDE {
        let mut peer = stage.outside(at).await;
        peer.send("text<a/>").await;
        let error = peer.expect(ns::STREAM, "error").await;
        let condition = error.condition().unwrap();
        assert!(
            ["bad-format", "not-well-formed"].contains(&condition),
            "{condition}"
        );
    }
}

/// A message of just so many bytes.
fn message_of(bytes: usize) -> String {
    let frame = "<message from='b@alpha.test' to='a@org.test'><body></body></message>";
    frame.replace(
        "</body>",
        &format!("{}</body>", "x".repeat(bytes - frame.len())),
    )
}

async fn too_big(mut peer: Peer) {
    let error = peer.refused("policy-violation").await;
    assert!(
        error.child(ns::ERRORS, "stanza-too-big").is_some(),
        "{error:?}"
    );
}

#[tokio::test]
async fn xml_06_an_element_has_so_many_bytes_at_most() {
    let plan = Plan {
        keys: vec![("limits", "stanza_bytes = 20000".to_owned())],
        ..Plan::default()
    };
    let mut stage = bare().start(plan).await;
    let mut peer = stage.outside(At::Established).await;
    peer.send(&message_of(20_000)).await;
    assert_eq!(stage.org_gets().await.name, "message");
    peer.send(&message_of(20_001)).await;
    too_big(peer).await;
    // While it arrives: the end is never sent.
    for at in [At::Clear, At::Authenticating, At::Established] {
        for start in ["<a>", "<a b='", "<a ", "<"] {
            let mut peer = stage.outside(at).await;
            let endless = format!("{start}{}", "x".repeat(24_000));
            peer.send(&endless).await;
            too_big(peer).await;
        }
    }
    // 10000 bytes always pass (RFC 6120 §13.12).
    for (mut peer, from, to) in [
        (stage.outside(At::Connected).await, "alpha.test", "org.test"),
        (stage.outside(At::Secured).await, "alpha.test", "org.test"),
    ] {
        let filler = format!("xmlns:x='{}'", "x".repeat(9_500));
        peer.open_with(&format!("{filler} from='{from}' to='{to}' version='1.0'"))
            .await;
        peer.features().await;
    }
    stage.gateway.at_rest().await;
}

#[tokio::test]
async fn xml_07_what_leaves_is_written_anew_and_reads_as_the_same() {
    let mut stage = Stage::usual().await;
    let mut peer = stage.outside(At::Established).await;
    let said = "<message  from = \"b@alpha.test\" to='a@org.test' id='a&#10;b&#9;c&#13;d&amp;&lt;&quot;&apos;' ><body >x&#13;y &gt; ]]&gt; </body ><p:q xmlns:p='urn:p' p:r = '1' r='2'><s xmlns=''/></p:q></message >";
    peer.send(said).await;
    let text = stage.org.stanza().await;
    assert_eq!(Node::parse(&text), Node::parse(said), "{text}");
    assert!(!text.contains("  ") && !text.contains(" ="), "{text}");
}

#[tokio::test]
async fn xml_08_reserved_prefixes_stay_as_they_are() {
    let stage = Stage::usual().await;
    let rows: Vec<_> = [
        "<message xmlns:xml='urn:other' from='b@alpha.test' to='a@org.test'/>",
        "<message xmlns:xmlns='urn:other' from='b@alpha.test' to='a@org.test'/>",
        "<message xmlns:x='http://www.w3.org/XML/1998/namespace' from='b@alpha.test' to='a@org.test'/>",
        "<message xmlns:x='http://www.w3.org/2000/xmlns/' from='b@alpha.test' to='a@org.test'/>",
        "<xmlns:message from='b@alpha.test' to='a@org.test'/>",
    ]
    .into_iter()
    .map(|said| Refusal(At::Established, said, "not-well-formed"))
    .collect();
    refused(&stage, &rows).await;
}
