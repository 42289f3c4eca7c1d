//! Streams on which stanzas flow both ways (XEP-0288).

use portcullis_xmpp::{
    stanza::Direction,
    stream::{Initiator, PeerLimits, StreamEnd, Terms},
};

use crate::support::*;

const BOTH_WAYS: Terms = Terms { bidi: true, ..TLS };
const FEATURE: &str = "<bidi xmlns='urn:xmpp:features:bidi'/>";
const BIDI: &str = "<bidi xmlns='urn:xmpp:bidi'/>";

#[test]
fn bi_01_it_is_offered_and_taken_after_tls_and_before_authentication() {
    let mut stream = Receiving::new(direct(), Answers::on(BOTH_WAYS));
    stream.hear(&alpha());
    assert!(stream.sent.contains(FEATURE));
    assert_eq!(stream.hear(BIDI), "", "there is no answer");
    stream.hear(AUTH);
    stream.hear(&alpha());
    assert!(stream.peers[0].bidi);

    // By dialback as well.
    let mut stream = Receiving::new(direct(), Answers::unproven(BOTH_WAYS));
    stream.hear(&alpha());
    assert!(stream.sent.contains(FEATURE));
    stream.hear(BIDI);
    stream.hear("<db:result from='alpha.test' to='org.test'>k</db:result>");
    stream.verified(0, portcullis_xmpp::dialback::Verified::Valid);
    assert!(stream.peers[0].bidi);
}

#[test]
fn bi_01_without_tls_or_without_the_offer_it_means_nothing() {
    let mut stream = Receiving::new(direct(), Answers::on(TLS));
    stream.hear(&alpha());
    assert!(!stream.sent.contains(FEATURE));
    stream.hear(BIDI);
    stream.hear(AUTH);
    stream.hear(&alpha());
    assert!(!stream.peers[0].bidi);

    let plain = Terms {
        bidi: true,
        ..EVERYTHING
    };
    let mut stream = Receiving::new(
        portcullis_xmpp::stream::Start::Plain,
        Answers::unproven(plain),
    );
    stream.hear(&alpha());
    assert!(!stream.sent.contains(FEATURE));
    stream.hear(BIDI);
    stream.hear("<db:result from='alpha.test' to='org.test'>k</db:result>");
    stream.verified(0, portcullis_xmpp::dialback::Verified::Valid);
    assert!(!stream.peers[0].bidi);
    // And when stanzas flow it is too late.
    let mut stream = Receiving::new(direct(), Answers::on(BOTH_WAYS));
    stream.hear(&alpha());
    stream.hear(AUTH);
    stream.hear(&alpha());
    stream.hear(BIDI);
    stream.closed_with("unsupported-stanza-type");
}

/// A stream of ours that goes both ways.
fn established() -> Initiating {
    let mut stream = Initiating::new(direct(), Answers::on(BOTH_WAYS));
    let said = stream.features("id1", &format!("{EXTERNAL}{FEATURE}"));
    assert!(
        said.starts_with(
            "<bidi xmlns='urn:xmpp:bidi'><limits xmlns='urn:xmpp:stream-limits:0'>\
             <max-bytes>524288</max-bytes><idle-seconds>600</idle-seconds></limits></bidi><auth"
        ),
        "{said}"
    );
    stream.hear(SUCCESS);
    stream.features("id2", "");
    assert!(stream.peers[0].bidi);
    stream
}

#[test]
fn bi_02_the_peers_stanzas_are_the_inverse_pair_in_the_other_direction() {
    let mut stream = established();
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@alpha.test");
    let (ours, theirs) = (&stream.peers[0], &stream.senders[0]);
    assert_eq!(
        (ours.direction, theirs.direction),
        (Direction::Outbound, Direction::Inbound)
    );
    for peer in [ours, theirs] {
        assert_eq!(peer.partner(), &domain("alpha.test"));
        assert_eq!(peer.organisation(), &domain("org.test"));
        assert_eq!(peer.initiator, Initiator::Gateway);
        assert_eq!(&*peer.stream_id, "id2");
    }
    for (from, to, condition) in [
        ("beta.test", "org.test", "invalid-from"),
        ("sub.alpha.test", "org.test", "invalid-from"),
        ("alpha.test", "second.test", "host-unknown"),
        ("org.test", "alpha.test", "invalid-from"),
    ] {
        let mut stream = established();
        stream.hear(&message(from, to));
        closed_with(&stream.sent, condition);
        assert!(stream.senders.is_empty());
    }
}

#[test]
fn bi_02_without_it_a_stanza_on_our_stream_is_refused() {
    let mut stream = Initiating::new(direct(), Answers::on(BOTH_WAYS));
    let said = stream.features("id1", EXTERNAL);
    assert!(!said.contains("bidi"), "it was not offered");
    stream.hear(SUCCESS);
    stream.features("id2", "");
    stream.hear(&message("alpha.test", "org.test"));
    closed_with(&stream.sent, "not-authorized");
    assert!(stream.senders.is_empty());
}

#[test]
fn bi_03_bi_05_only_a_proven_server_may_speak_on_our_stream() {
    let mut stream = Initiating::new(direct(), Answers::unproven(BOTH_WAYS));
    stream.features("id1", &format!("{DIALBACK}{FEATURE}"));
    assert!(!stream.sent.contains("urn:xmpp:bidi"));
    stream.hear("<db:result from='alpha.test' to='org.test' type='valid'/>");
    assert!(!stream.peers[0].bidi);
    stream.hear(&message("alpha.test", "org.test"));
    closed_with(&stream.sent, "not-authorized");
    // Proven, and authenticating us by dialback.
    let mut stream = Initiating::new(direct(), Answers::on(BOTH_WAYS));
    stream.features("id1", &format!("{DIALBACK}{FEATURE}"));
    stream.hear("<db:result from='alpha.test' to='org.test' type='valid'/>");
    assert!(stream.peers[0].bidi);
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(stream.events.last().unwrap(), "stanza romeo@alpha.test");
}

#[test]
fn db_03_v05_on_both_ways_answers_still_need_a_question_of_ours() {
    for answer in [
        "<db:result from='alpha.test' to='org.test' type='valid'/>",
        "<db:result from='beta.test' to='org.test' type='valid'/>",
        "<db:verify from='alpha.test' to='org.test' id='id2' type='valid'/>",
    ] {
        let mut stream = established();
        stream.hear(answer);
        closed_with(&stream.sent, "policy-violation");
        assert!(stream.senders.is_empty());
    }
    // No further pair begins on a stream of ours.
    let mut stream = established();
    stream.hear("<db:result from='beta.test' to='org.test'>k</db:result>");
    closed_with(&stream.sent, "unsupported-stanza-type");
}

#[test]
fn db_10_a_peer_may_verify_a_key_where_it_may_speak() {
    let key = secret().key(&domain("alpha.test"), &domain("org.test"), "theirs");
    let question = format!(
        "<db:verify from='alpha.test' to='org.test' id='theirs'>{}</db:verify>",
        key.as_str()
    );
    let mut stream = established();
    assert_eq!(
        stream.hear(&question),
        "<db:verify from='org.test' to='alpha.test' id='theirs' type='valid'/>"
    );
    stream.hear(&message("alpha.test", "org.test"));
    assert_eq!(stream.senders.len(), 1);
}

#[test]
fn tls_11_what_was_under_way_when_we_close_still_counts() {
    let mut stream = established();
    stream.machine.close(None);
    stream.run();
    stream.hear(&message("alpha.test", "org.test"));
    stream.hear("</stream:stream>");
    assert_eq!(stream.senders.len(), 1);
    assert_eq!(stream.end, Some(StreamEnd::Clean));
}

#[test]
fn lim_01_both_sides_say_what_they_take() {
    let limits = "<limits xmlns='urn:xmpp:stream-limits:0'><max-bytes>10000</max-bytes>\
                  <idle-seconds>many</idle-seconds></limits>";
    let mut stream = Initiating::new(direct(), Answers::on(BOTH_WAYS));
    stream.features("id1", EXTERNAL);
    stream.hear(SUCCESS);
    stream.features("id2", limits);
    let expected = PeerLimits {
        max_bytes: Some(10000),
        idle_seconds: None,
    };
    assert_eq!(stream.machine.peer_limits(), expected);
    let mut stream = Receiving::new(direct(), Answers::on(BOTH_WAYS));
    stream.hear(&alpha());
    stream.hear(&format!("<bidi xmlns='urn:xmpp:bidi'>{limits}</bidi>"));
    stream.hear(AUTH);
    stream.hear(&alpha());
    assert_eq!(stream.machine.peer_limits(), expected);
    assert!(
        stream
            .sent
            .contains("<max-bytes>524288</max-bytes><idle-seconds>600</idle-seconds>")
    );
}
