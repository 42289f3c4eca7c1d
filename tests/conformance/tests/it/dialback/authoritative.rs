//! Somebody asks the gateway whether a key is its own.

use super::*;

#[tokio::test]
async fn db_10_we_answer_for_our_domains_and_for_streams_that_we_have() {
    let house = House::new().await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = house.asking().await;
    let ours = alpha.expect(ns::DIALBACK, "result").await;
    let header_id = alpha.sent_id();
    let (mut peer, _, _) = house.knock().await;
    for (id, key, kind) in [
        (&header_id[..], &ours.text[..], "valid"),
        (&header_id, "not the key", "invalid"),
    ] {
        peer.send(&format!(
            "<db:verify from='alpha.test' to='org.test' id='{id}'>{key}</db:verify>"
        ))
        .await;
        let answer = peer.expect(ns::DIALBACK, "verify").await;
        assert_eq!(answer.attribute("type"), Some(kind), "{id} {key}");
        assert_eq!(answer.attribute("id"), Some(id));
        assert_eq!(answer.attribute("from"), Some("org.test"));
        assert_eq!(answer.attribute("to"), Some("alpha.test"));
    }
    peer.send("<db:verify from='alpha.test' to='nowhere.test' id='1'>k</db:verify>")
        .await;
    let answer = peer.expect(ns::DIALBACK, "verify").await;
    assert_eq!(error_of(&answer).0, "item-not-found");
    // Who has asked has proven nothing.
    peer.send(TO_ORG).await;
    peer.refused("not-authorized").await;
}

#[tokio::test]
async fn v06_keys_have_separate_fields() {
    let house = House::new().await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = house.asking().await;
    alpha.expect(ns::DIALBACK, "result").await;
    let id = alpha.sent_id();
    let (mut peer, _, _) = house.knock().await;
    // The same letters, cut elsewhere; another pair; another stream.
    for key in [
        key("alpha.testorg.test", "", &id),
        key("alpha.test", "org.tes", &format!("t {id}")),
        key("org.test", "alpha.test", &id),
        key("alpha.test", "org.test", "another"),
    ] {
        peer.send(&format!(
            "<db:verify from='alpha.test' to='org.test' id='{id}'>{key}</db:verify>"
        ))
        .await;
        let answer = peer.expect(ns::DIALBACK, "verify").await;
        assert_eq!(answer.attribute("type"), Some("invalid"), "{key}");
    }
}

#[tokio::test]
async fn v06_a_key_is_ours_only_while_its_stream_is_there() {
    // Where a secret is configured another gateway that shares it may have the stream.
    let house = House::without_secret(RECORD, Vec::new()).await;
    let mut inside = house.stage.inside(At::Established).await;
    inside.send(TO_ALPHA).await;
    let mut alpha = house.asking().await;
    let ours = alpha.expect(ns::DIALBACK, "result").await;
    let id = alpha.sent_id();
    let (mut peer, _, _) = house.knock().await;
    let question = format!(
        "<db:verify from='alpha.test' to='org.test' id='{id}'>{}</db:verify>",
        ours.text
    );
    peer.send(&question).await;
    let answer = peer.expect(ns::DIALBACK, "verify").await;
    assert_eq!(answer.attribute("type"), Some("valid"));
    drop(alpha);
    house
        .stage
        .gateway
        .until("portcullis_stanzas_total", "bounced", 1.0)
        .await;
    peer.send(&question).await;
    let answer = peer.expect(ns::DIALBACK, "verify").await;
    assert_eq!(answer.attribute("type"), Some("invalid"));
}
