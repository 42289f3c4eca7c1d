//! What may pass, passes: both ways, both kinds of TLS, in order, counted.

use portcullis_end_to_end::{Plan, prepare};
use portcullis_test_support::{Behaviour, Client, Incoming, Mode, Server};

#[tokio::test]
async fn a_message_each_way_over_starttls() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let mut world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;

    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside.send("<message from='juliet@org.test/x' to='romeo@alpha.test' id='1'><body>out</body></message>").await;
    assert_eq!(
        alpha.next().await,
        Incoming::Opened {
            from: "org.test".to_owned(),
            to: "alpha.test".to_owned()
        }
    );
    let message = alpha.stanza().await;
    assert!(
        message.contains("<body>out</body>") && message.contains("id='1'")
            || message.contains("id=\"1\""),
        "{message}"
    );

    let mut outside = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    outside.send("<message from='romeo@alpha.test/y' to='juliet@org.test' id='2'><body>in</body></message>").await;
    assert_eq!(
        world.org.next().await,
        Incoming::Opened {
            from: "alpha.test".to_owned(),
            to: "org.test".to_owned()
        }
    );
    assert!(world.org.stanza().await.contains("<body>in</body>"));

    world.at_rest(2).await;
    assert_eq!(
        world.sum(
            "portcullis_stanzas_total",
            r#"direction="outbound",kind="message",outcome="delivered""#
        ),
        1
    );
    assert_eq!(
        world.sum(
            "portcullis_stanzas_total",
            r#"direction="inbound",kind="message",outcome="delivered""#
        ),
        1
    );
    for direction in ["inbound", "outbound"] {
        for side in ["federation", "internal"] {
            let labels = format!(r#"direction="{direction}",side="{side}""#);
            assert_eq!(world.sum("portcullis_streams", &labels), 1, "{labels}");
        }
    }
    assert!(world.gateway.shutdown().await.is_clean());
}

#[tokio::test]
async fn a_message_each_way_over_direct_tls() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let plan = Plan {
        org: Behaviour::Direct,
        partners: vec![("alpha.test", alpha.address)],
        ..Plan::default()
    };
    let mut world = prepared.start(plan).await;

    let mut inside = world.inside("alpha.test", Mode::Direct).await;
    inside
        .send("<message from='juliet@org.test/x' to='romeo@alpha.test'><body>out</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>out</body>"));

    let mut outside = world.outside("alpha.test", Mode::Direct).await.unwrap();
    outside
        .send("<message from='romeo@alpha.test/y' to='juliet@org.test'><body>in</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<body>in</body>"));
    world.at_rest(2).await;
}

#[tokio::test]
async fn ord_01_stanzas_of_one_stream_leave_in_order_over_one_stream() {
    const COUNT: u64 = 3000;
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    for n in 0..COUNT {
        let message =
            format!("<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>");
        inside.send(&message).await;
    }
    for n in 0..COUNT {
        let message = alpha.stanza().await;
        assert!(
            message.contains(&format!("<body>n{n}n</body>")),
            "{n}: {message}"
        );
    }
    world.at_rest(COUNT).await;
    assert_eq!(alpha.connections(), 1);
}

#[tokio::test]
async fn what_the_partner_ended_is_opened_again_for_the_next_stanza() {
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test'><body>1</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>1</body>"));
    alpha.break_connections();
    let streams = || {
        world.sum(
            "portcullis_streams",
            r#"direction="outbound",side="federation""#,
        )
    };
    world
        .until(|| streams() == 0, || streams().to_string())
        .await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test'><body>2</body></message>")
        .await;
    assert!(alpha.stanza().await.contains("<body>2</body>"));
    world.at_rest(2).await;
    assert_eq!(alpha.connections(), 2);
}

#[tokio::test]
async fn two_internal_servers_talk_through_the_gateway_only_if_the_configuration_says_so() {
    for (internal, passes) in [("relay_internal = true", true), ("", false)] {
        let prepared = prepare();
        let identity = prepared.pki.internal_server(&["second.test"]);
        let mut second = Server::start(&identity, Behaviour::StartTls).await;
        let more = format!(
            "[[internal.server]]\ndomains = ['second.test']\nconnect = ['{}']\n",
            second.address
        );
        let own = vec!["org.test", "second.test"];
        let world = prepared
            .start(Plan {
                own,
                internal,
                more,
                ..Plan::default()
            })
            .await;
        if passes {
            let mut inside = world.inside("second.test", Mode::StartTls).await;
            inside
                .send("<message from='a@org.test' to='b@second.test'><body>hello</body></message>")
                .await;
            assert!(second.stanza().await.contains("<body>hello</body>"));
            world.at_rest(1).await;
        } else {
            let mut inside = Client::connect(world.gateway.addresses().internal[0]).await;
            inside.header("org.test", "second.test").await;
            let seen = inside.rest().await;
            assert!(format!("{seen:?}").contains("<host-unknown"), "{seen:?}");
        }
    }
}
