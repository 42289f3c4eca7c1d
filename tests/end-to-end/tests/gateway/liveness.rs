//! Who is there and who is not: whitespace, pings of the gateway's own, and their answers.

use portcullis_end_to_end::{Plan, World, prepare};
use portcullis_test_support::{Behaviour, Incoming, Item, Mode, Server, attribute};

/// A partner and short times. Its record has these keys, too.
async fn start(timeouts: &'static str, keys: &str) -> (World, Server) {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        more: format!(
            "[[partner]]\ndomain = 'alpha.test'\nproxy = '{}'\n{keys}\n",
            alpha.address
        ),
        timeouts,
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha)
}

const MESSAGE: &str =
    "<message from='a@org.test' to='b@alpha.test' id='1'><body>1</body></message>";

/// The id of a ping between these domains; nothing else may come.
fn ping<'a>(stanza: &'a str, from: &str, to: &str) -> &'a str {
    let is_ping = stanza.starts_with("<iq ")
        && stanza.contains("<ping xmlns='urn:xmpp:ping'/>")
        && attribute(stanza, "type") == Some("get")
        && attribute(stanza, "from") == Some(from)
        && attribute(stanza, "to") == Some(to);
    assert!(is_ping, "{stanza}");
    attribute(stanza, "id").unwrap()
}

#[tokio::test]
async fn ping_02_idle_servers_that_answer_are_not_cut() {
    let (mut world, mut alpha) = start("keepalive = 1\ninactivity = 2", "").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    inside.send(MESSAGE).await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    // Each answers where it sends its stanzas: not on the stream that the ping came on. A result and
    // an error do alike.
    let (mut to_alpha, mut to_org) = (0, 0);
    while to_alpha < 5 || to_org < 5 {
        tokio::select! {
            asked = alpha.stanza() => {
                let id = ping(&asked, "org.test", "alpha.test");
                let answer = format!("<iq from='alpha.test' to='org.test' id='{id}' type='result'/>");
                outside.send(&answer).await;
                to_alpha += 1;
            }
            asked = world.org.stanza() => {
                let id = ping(&asked, "alpha.test", "org.test");
                let answer = format!(
                    "<iq from='org.test' to='alpha.test' id='{id}' type='error'><error type='cancel'>\
                     <service-unavailable xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></iq>"
                );
                inside.send(&answer).await;
                to_org += 1;
            }
        }
    }
    assert_eq!((alpha.connections(), world.org.connections()), (1, 1));
    assert_eq!(world.sum("portcullis_streams", ""), 4);
    // The answers were for the gateway alone.
    world.at_rest(1 + to_alpha + to_org).await;
    assert_eq!(
        world.sum("portcullis_stanzas_total", r#"outcome="delivered""#),
        1 + to_alpha + to_org
    );
}

#[tokio::test]
async fn ping_01_a_server_that_does_not_answer_is_told_and_cut() {
    let (world, mut alpha) = start("keepalive = 1\ninactivity = 2", "").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside.send(MESSAGE).await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    ping(&alpha.stanza().await, "org.test", "alpha.test");
    let error = alpha.stanza().await;
    assert!(error.contains("<connection-timeout"), "{error}");
    assert_eq!(alpha.next().await, Incoming::Closed);
    // Nor does the internal server.
    let seen = inside.rest().await;
    let told =
        |item: &Item| matches!(item, Item::Element(error) if error.contains("<connection-timeout"));
    assert!(seen.iter().any(told), "{seen:?}");
}

#[tokio::test]
async fn v17_answers_of_others_with_the_id_of_a_ping_pass_on_untouched() {
    let (mut world, mut alpha) = start("keepalive = 1\ninactivity = 20", "").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside.send(MESSAGE).await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    let asked = alpha.stanza().await;
    let id = ping(&asked, "org.test", "alpha.test");
    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside
        .send(&format!(
            "<iq from='b@alpha.test' to='org.test' id='{id}' type='result'/>\
             <iq from='alpha.test' to='a@org.test' id='{id}' type='result'/>\
             <iq from='alpha.test' to='org.test' id='{id}' type='result'/>\
             <iq from='alpha.test' to='org.test' id='ours' type='get'><ping xmlns='urn:xmpp:ping'/></iq>"
        ))
        .await;
    let mut seen = Vec::new();
    while seen.len() < 3 {
        let stanza = world.org.stanza().await;
        // The gateway asks the internal server, too.
        let is_own = attribute(&stanza, "id").is_none_or(|own| own != id && own != "ours");
        if !is_own {
            let of = |name| attribute(&stanza, name).unwrap_or_default().to_owned();
            seen.push((of("from"), of("to"), of("type")));
        }
    }
    let expected = [
        ("b@alpha.test", "org.test", "result"),
        ("alpha.test", "a@org.test", "result"),
        // A ping to a domain inside is for the server inside.
        ("alpha.test", "org.test", "get"),
    ];
    let expected =
        expected.map(|(from, to, subtype)| (from.to_owned(), to.to_owned(), subtype.to_owned()));
    assert_eq!(seen, expected);
}

#[tokio::test]
async fn lim_01_what_is_longer_than_the_peer_takes_goes_back_and_names_nobody() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::Limited).await;
    let partners = vec![("alpha.test", alpha.address)];
    let mut world = prepared
        .start(Plan {
            partners,
            ..Plan::default()
        })
        .await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    let body = "x".repeat(10_000);
    inside
        .send(&format!(
            "<message from='a@org.test' to='b@alpha.test' id='0'><body>{body}</body></message>{MESSAGE}"
        ))
        .await;
    assert_eq!(attribute(&alpha.stanza().await, "id"), Some("1"));
    let error = world.org.stanza().await;
    assert_eq!(attribute(&error, "id"), Some("0"));
    assert!(error.contains("<policy-violation"), "{error}");
    assert!(error.contains("type='modify'"), "{error}");
    assert!(!error.contains(" by="), "{error}");
    world.at_rest(2).await;
}

#[tokio::test]
async fn without_keep_alive_idle_streams_end_in_peace() {
    let (world, mut alpha) = start("keepalive = 1\ninactivity = 2", "keep_alive = false").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside.send(MESSAGE).await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    assert_eq!(alpha.next().await, Incoming::Closed);
    let seen = inside.rest().await;
    assert_eq!(&seen[seen.len() - 2..], [Item::Close, Item::End]);
}
