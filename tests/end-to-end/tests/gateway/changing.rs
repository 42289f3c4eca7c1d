//! Reload and drain: what changes, changes at once; everything else goes on.

use portcullis::admin::protocol::ReloadResult;
use portcullis::app::Trigger;
use portcullis_end_to_end::{Plan, prepare};
use portcullis_test_support::{Behaviour, Incoming, Mode};

#[tokio::test]
async fn a_partner_that_is_taken_from_the_list_loses_its_streams_and_nobody_else_does() {
    const COUNT: u64 = 500;
    let prepared = prepare();
    let mut alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let mut beta = prepared.partner("beta.test", Behaviour::StartTls).await;
    let partners = vec![("alpha.test", alpha.address), ("beta.test", beta.address)];
    let mut world = prepared
        .start(Plan {
            partners,
            ..Plan::default()
        })
        .await;
    let mut to_alpha = world.inside("alpha.test", Mode::StartTls).await;
    let mut to_beta = world.inside("beta.test", Mode::StartTls).await;
    let mut from_alpha = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    let mut from_beta = world.outside("beta.test", Mode::StartTls).await.unwrap();
    to_beta
        .send("<message from='a@org.test' to='b@beta.test'><body>1</body></message>")
        .await;
    beta.stanza().await;

    let address = alpha.address;
    let reading = tokio::spawn(async move {
        let mut bodies = Vec::new();
        while bodies.len() < COUNT as usize {
            bodies.push(alpha.stanza().await);
        }
        (alpha, bodies)
    });
    for n in 0..COUNT {
        if n == COUNT / 2 {
            world.rewrite(vec![("alpha.test", address)]);
            let reload = world.gateway.reload(Trigger::Call).await.unwrap();
            assert_eq!(
                (reload.result, reload.generation),
                (ReloadResult::Ok, 2),
                "{reload:?}"
            );
        }
        to_alpha
            .send(&format!(
                "<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>"
            ))
            .await;
    }
    let (alpha, bodies) = reading.await.unwrap();
    for (n, body) in bodies.iter().enumerate() {
        assert!(body.contains(&format!("<body>n{n}n</body>")), "{n}: {body}");
    }

    // Both of beta's streams end, with the reason.
    let seen = from_beta.rest().await;
    assert!(
        format!("{seen:?}").contains("<policy-violation"),
        "{seen:?}"
    );
    let error = beta.next().await;
    assert!(
        matches!(&error, Incoming::Stanza(error) if error.contains("<policy-violation")),
        "{error:?}"
    );
    assert_eq!(beta.next().await, Incoming::Closed);
    to_beta
        .send("<message from='a@org.test' to='b@beta.test'><body>2</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<not-allowed"));

    // None of alpha's.
    from_alpha
        .send("<message from='b@alpha.test' to='a@org.test'><body>still here</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<body>still here</body>"));
    assert_eq!(alpha.connections(), 1);
    world.at_rest(COUNT + 3).await;
    world
        .until(
            || world.gateway.status().generations_alive == 1,
            || "a generation does not retire".to_owned(),
        )
        .await;
    assert_eq!(world.sum("portcullis_reloads_total", r#"result="ok""#), 1);
}

#[tokio::test]
async fn the_same_content_is_no_reload_and_a_faulty_one_changes_nothing() {
    let mut world = prepare().start(Plan::default()).await;
    world.rewrite(Vec::new());
    let reload = world.gateway.reload(Trigger::Signal).await.unwrap();
    assert_eq!(
        (reload.result, reload.generation),
        (ReloadResult::Unchanged, 1)
    );

    let file = world.rewrite(vec![("alpha.test", "127.0.0.1:9".parse().unwrap())]);
    let good = std::fs::read_to_string(&file).unwrap();
    std::fs::write(&file, format!("{good}\n[[partner]]\ndomian = 'x.test'\n")).unwrap();
    let reload = world.gateway.reload(Trigger::Admin).await.unwrap();
    assert_eq!(
        (reload.result, reload.generation),
        (ReloadResult::Failed, 1)
    );
    assert!(reload.messages.join(" ").contains("domian"), "{reload:?}");
    assert_eq!(world.gateway.status().last_reload, Some(reload));

    std::fs::write(&file, good.replace("establish = 20", "establish = 21")).unwrap();
    let reload = world.gateway.reload(Trigger::Admin).await.unwrap();
    assert_eq!(
        (reload.result, reload.generation),
        (ReloadResult::Refused, 1)
    );
    assert!(
        reload.messages.join(" ").contains("[timeouts]"),
        "{reload:?}"
    );

    std::fs::write(&file, good).unwrap();
    let reload = world.gateway.reload(Trigger::Admin).await.unwrap();
    assert_eq!((reload.result, reload.generation), (ReloadResult::Ok, 2));
}

#[tokio::test]
async fn a_change_on_disk_is_noticed() {
    let mut world = prepare().start(Plan::default()).await;
    assert!(world.outside("alpha.test", Mode::StartTls).await.is_err());
    world.rewrite(vec![("alpha.test", "127.0.0.1:9".parse().unwrap())]);
    let generation = || world.gateway.status().generation;
    world
        .until(
            || generation() == 2,
            || format!("generation {}", generation()),
        )
        .await;
    assert!(world.outside("alpha.test", Mode::StartTls).await.is_ok());

    world.renew_certificate();
    let reloads = || world.sum("portcullis_certificate_reloads_total", r#"result="ok""#);
    world
        .until(
            || reloads() > 0,
            || "the certificate was not read again".to_owned(),
        )
        .await;
    assert_eq!(world.gateway.status().generation, 2);
}

#[tokio::test]
async fn a_new_certificate_is_shown_without_dropping_a_stream() {
    let prepared = prepare();
    let alpha = prepared.partner("alpha.test", Behaviour::StartTls).await;
    let mut world = prepared
        .start(Plan {
            partners: vec![("alpha.test", alpha.address)],
            ..Plan::default()
        })
        .await;
    // The directory is watched: whoever notices first reads them again.
    let mut before = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    world.renew_certificate();
    let reload = world.gateway.reload(Trigger::Signal).await.unwrap();
    assert_eq!(reload.generation, 1, "{reload:?}");
    let reloads = world.sum("portcullis_certificate_reloads_total", r#"result="ok""#);
    assert!(reloads > 0, "{reload:?}");
    let mut after = world.outside("alpha.test", Mode::StartTls).await.unwrap();
    for stream in [&mut before, &mut after] {
        stream
            .send("<message from='b@alpha.test' to='a@org.test'><body>hello</body></message>")
            .await;
        assert!(world.org.stanza().await.contains("<body>hello</body>"));
    }
}

#[tokio::test]
async fn the_end_settles_everything_that_was_read_and_says_goodbye() {
    const COUNT: u64 = 200;
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
        inside
            .send(&format!(
                "<message from='a@org.test' to='b@alpha.test'><body>n{n}n</body></message>"
            ))
            .await;
    }
    world
        .until(
            || world.sum("portcullis_stanzas_received_total", "") > 0,
            || "nothing was read".to_owned(),
        )
        .await;
    let address = world.gateway.addresses().federation[0];
    let drained = world.gateway.shutdown().await;
    assert!(drained.is_clean(), "{drained:?}");

    let seen = inside.rest().await;
    assert!(format!("{seen:?}").contains("<system-shutdown"), "{seen:?}");
    let mut count = 0;
    let goodbye = loop {
        match alpha.next().await {
            Incoming::Opened { .. } | Incoming::Key { .. } | Incoming::Asked(_) => {}
            Incoming::Stanza(stanza) if stanza.contains(&format!("<body>n{count}n</body>")) => {
                count += 1
            }
            Incoming::Stanza(other) => break other,
            Incoming::Closed => panic!("no goodbye after {count}"),
        }
    };
    assert!(goodbye.contains("<system-shutdown"), "{goodbye}");
    assert_eq!(count, COUNT);
    assert!(tokio::net::TcpStream::connect(address).await.is_err());
}

#[tokio::test]
async fn a_second_gateway_on_the_same_directory_is_told_of_the_first() {
    let mut world = prepare().start(Plan::default()).await;
    let file = world.rewrite(Vec::new());
    let config = portcullis::config::Config::load(&file).unwrap();
    let Err(error) = portcullis::app::start(config).await else {
        panic!("two gateways on one directory")
    };
    assert!(
        error.to_string().contains("another gateway is running"),
        "{error}"
    );
}
