//! Who has no certificate proves its domain by dialback, where its record says so: in all three roles.

use portcullis_end_to_end::{Plan, World, built_plugins, prepare};
use portcullis_test_support::{
    Behaviour, Client, Identity, Incoming, Item, Mode, Server, attribute,
};

/// A world with a partner that has no good certificate and may use dialback, and what it shows.
async fn world(more: &str) -> (World, Server, Identity) {
    let prepared = prepare();
    let stranger = prepared.pki.issue(
        &prepared.pki.mint,
        &["alpha.test"],
        &[&prepared.pki.public],
        time::Duration::days(9),
    );
    let alpha = Server::start(&stranger, Behaviour::Dialback).await;
    let more = format!(
        "[[partner]]\ndomain = 'alpha.test'\nsasl = 'optional'\nproxy = '{}'\n\
         also = ['chat.alpha.test']\n{more}",
        alpha.address
    );
    let plan = Plan {
        more,
        plugins: Some(built_plugins(&["partner-allowlist"])),
        ..Plan::default()
    };
    (prepared.start(plan).await, alpha, stranger)
}

async fn unproven(world: &World, identity: &Identity) -> Client {
    let address = world.gateway.addresses().federation[0];
    Client::unproven(address, identity, "alpha.test", "org.test")
        .await
        .unwrap_or_else(|seen| panic!("{seen:?}"))
}

#[tokio::test]
async fn db_04_a_partner_proves_itself_by_dialback_and_its_stanzas_pass_only_then() {
    let (mut world, mut alpha, identity) = world("").await;
    let mut client = unproven(&world, &identity).await;
    client
        .send("<db:result from='alpha.test' to='org.test'>good</db:result>")
        .await;
    let answer = client.element("<db:result").await.unwrap();
    assert_eq!(attribute(&answer, "type"), Some("valid"), "{answer}");
    let Incoming::Asked(asked) = alpha.next().await else {
        panic!("alpha.test was not asked");
    };
    assert_eq!(attribute(&asked, "from"), Some("org.test"));
    assert_eq!(attribute(&asked, "to"), Some("alpha.test"));
    client
        .send("<message from='a@alpha.test' to='b@org.test'><body>in</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<body>in</body>"));
    world.at_rest(1).await;
    let streams = || world.gateway.status().streams;
    assert!(
        streams()
            .iter()
            .any(|stream| stream.method.as_deref() == Some("tls-dialback")),
        "{:?}",
        streams()
    );

    // Another domain on the same stream, proven by itself.
    client
        .send("<db:result from='chat.alpha.test' to='org.test'>good</db:result>")
        .await;
    let answer = client.element("<db:result").await.unwrap();
    assert_eq!(attribute(&answer, "to"), Some("chat.alpha.test"));
    assert_eq!(attribute(&answer, "type"), Some("valid"), "{answer}");
    client
        .send("<message from='room@chat.alpha.test' to='b@org.test'><body>too</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<body>too</body>"));
    // The wrong key of a third one leaves the others alone.
    client
        .send("<db:result from='gamma.test' to='org.test'>good</db:result>")
        .await;
    let answer = client.element("<db:result").await.unwrap();
    assert!(answer.contains("<policy-violation"), "{answer}");
    client
        .send("<message from='a@alpha.test' to='b@org.test'><body>still</body></message>")
        .await;
    assert!(world.org.stanza().await.contains("<body>still</body>"));
}

#[tokio::test]
async fn a_gatekeeper_is_asked_about_each_request_whoever_has_knocked_on_the_connection() {
    let door = "[[plugin]]\nname = 'door'\ncomponent = 'partner_allowlist.wasm'\n\
                [plugin.config]\nallow = ['*.alpha.test', 'alpha.test']\n";
    let (world, _alpha, identity) = world(door).await;
    let calls = || world.sum("portcullis_plugin_calls_total", r#"plugin="door""#);
    let before = calls();
    let mut client = unproven(&world, &identity).await;
    assert_eq!(calls() - before, 1, "the headers");
    for (from, asked) in [("alpha.test", 4), ("chat.alpha.test", 7), ("gamma.test", 8)] {
        let result = format!("<db:result from='{from}' to='org.test'>good</db:result>");
        client.send(&result).await;
        client.element("<db:result").await.unwrap();
        // May it knock; may we ask its own server; once it is proven, may it stay?
        assert_eq!(calls() - before, asked, "{from}");
    }
}

#[tokio::test]
async fn db_06_a_wrong_key_ends_the_stream() {
    let (world, _alpha, identity) = world("").await;
    let mut client = unproven(&world, &identity).await;
    client
        .send("<db:result from='alpha.test' to='org.test'>bad</db:result>")
        .await;
    let answer = client.element("<db:result").await.unwrap();
    assert_eq!(attribute(&answer, "type"), Some("invalid"), "{answer}");
    assert_eq!(client.rest().await.last(), Some(&Item::End));
}

#[tokio::test]
async fn db_05_an_unlisted_domain_causes_no_verification() {
    let (world, alpha, identity) = world("").await;
    let mut client = unproven(&world, &identity).await;
    for (from, to, condition) in [
        ("gamma.test", "org.test", "policy-violation"),
        ("alpha.test", "gamma.test", "item-not-found"),
        ("org.test", "org2.test", "item-not-found"),
    ] {
        let result = format!("<db:result from='{from}' to='{to}'>good</db:result>");
        client.send(&result).await;
        let answer = client.element("<db:result").await.unwrap();
        assert_eq!(attribute(&answer, "type"), Some("error"), "{answer}");
        assert!(answer.contains(condition), "{condition}: {answer}");
    }
    assert_eq!(alpha.connections(), 0);
}

#[tokio::test]
async fn db_03_v05_an_answer_that_nobody_asked_for_ends_the_stream() {
    for element in [
        "<db:result from='alpha.test' to='org.test' type='valid'/>",
        "<db:verify from='alpha.test' to='org.test' id='1' type='valid'/>",
    ] {
        let (world, _alpha, identity) = world("").await;
        let mut client = unproven(&world, &identity).await;
        client.send(element).await;
        client
            .send("<message from='a@alpha.test' to='b@org.test'/>")
            .await;
        let seen = format!("{:?}", client.rest().await);
        assert!(seen.contains("<policy-violation"), "{seen}");
        assert_eq!(world.sum("portcullis_stanzas_received_total", ""), 0);
    }
}

#[tokio::test]
async fn db_09_we_prove_ourselves_by_dialback_and_own_to_our_keys_alone() {
    let (world, mut alpha, identity) = world("").await;
    let mut inside = world.inside("alpha.test", Mode::StartTls).await;
    inside
        .send("<message from='a@org.test' to='b@alpha.test'><body>out</body></message>")
        .await;
    let Incoming::Key { id, result } = alpha.next().await else {
        panic!("no dialback key");
    };
    assert_eq!(attribute(&result, "from"), Some("org.test"));
    let key = result.split('>').nth(1).unwrap().split('<').next().unwrap();
    assert_eq!(key.len(), 64, "{result}");
    assert!(alpha.stanza().await.contains("<body>out</body>"));

    let mut client = unproven(&world, &identity).await;
    let other = "0".repeat(64);
    for (to, id, key, verdict) in [
        ("org.test", id.as_str(), key, "valid"),
        ("org.test", id.as_str(), other.as_str(), "invalid"),
        ("org.test", "another", key, "invalid"),
        ("gamma.test", id.as_str(), key, "error"),
    ] {
        let asked = format!("<db:verify from='alpha.test' to='{to}' id='{id}'>{key}</db:verify>");
        client.send(&asked).await;
        let answer = client.element("<db:verify").await.unwrap();
        assert_eq!(
            attribute(&answer, "type"),
            Some(verdict),
            "{asked}: {answer}"
        );
        assert_eq!(attribute(&answer, "id"), Some(id));
    }
}

#[tokio::test]
async fn db_11_who_cannot_be_asked_is_told_to_the_peer() {
    let prepared = prepare();
    let identity = prepared.pki.partner(&["beta.test"]);
    let more = "[[partner]]\ndomain = 'alpha.test'\nsasl = 'optional'\nproxy = '127.0.0.1:1'\n";
    let world = prepared
        .start(Plan {
            more: more.to_owned(),
            ..Plan::default()
        })
        .await;
    let mut client = unproven(&world, &identity).await;
    client
        .send("<db:result from='alpha.test' to='org.test'>good</db:result>")
        .await;
    let answer = client.element("<db:result").await.unwrap();
    assert!(answer.contains("<remote-connection-failed"), "{answer}");
}
