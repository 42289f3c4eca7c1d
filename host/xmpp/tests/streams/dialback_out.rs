//! As the initiating server, and as the receiving one that asks.

use portcullis_xmpp::{
    dialback::{DialbackCondition, DialbackError, Key, Verification, Verified},
    error::{ErrorType, StanzaCondition},
    stream::{Method, Need, OutboundFailure, Phase, Proof, Purpose, Start, Terms},
};
use proptest::prelude::*;

use crate::support::*;

const VALID: &str = "<db:result from='alpha.test' to='org.test' type='valid'/>";

fn request(id: &str) -> String {
    let key = secret().key(&domain("alpha.test"), &domain("org.test"), id);
    format!(
        "<db:result from='org.test' to='alpha.test'>{}</db:result>",
        key.as_str()
    )
}

/// Our key was sent, over TLS.
fn waiting() -> Initiating {
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    assert_eq!(stream.features("id1", DIALBACK), request("id1"));
    stream
}

#[test]
fn dialback_where_external_is_not_offered() {
    let mut stream = waiting();
    assert_eq!(stream.machine.phase(), Phase::Authenticating);
    assert!(
        stream.peers.is_empty(),
        "DB-04: nothing is sent before the answer"
    );
    stream.hear(VALID);
    assert_eq!(
        stream.events,
        [
            "prove? alpha.test",
            "falls back: the server does not offer to authenticate us by our certificate (SASL EXTERNAL)",
            "admit? alpha.test org.test",
            "established alpha.test org.test id1 tls-dialback"
        ]
    );
    assert_eq!(stream.machine.phase(), Phase::Established);
}

#[test]
fn sasl_08_a_refused_external_falls_back_on_the_same_stream() {
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    let said = stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    assert!(said.starts_with("<auth"), "{said}");
    assert_eq!(stream.hear(FAILURE), request("id1"), "without a new header");
    stream.hear(VALID);
    assert_eq!(stream.peers[0].method, Some(Method::TlsDialback));
    assert!(
        stream
            .events
            .iter()
            .any(|event| event.starts_with("falls back: ")),
        "the operator is told why: {:?}",
        stream.events
    );
    // Only where the terms allow it.
    let mut stream = Initiating::new(direct(), Answers::on(Terms::CERTIFICATE));
    stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    assert_eq!(stream.hear(FAILURE), "</stream:stream>");
    stream.fails("refused our authentication");
    // And what goes after that is told by its cause.
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    stream.hear(FAILURE);
    stream.hear("</stream:stream>");
    stream.fails("refused our authentication");
}

#[test]
fn sasl_08_who_refuses_external_and_offers_no_dialback_gets_no_key() {
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    stream.features("id1", EXTERNAL);
    assert_eq!(stream.hear(FAILURE), "</stream:stream>");
    stream.fails("refused our authentication");
    assert!(
        !stream
            .events
            .iter()
            .any(|event| event.starts_with("falls back"))
    );
}

#[test]
fn who_is_not_asked_for_a_certificate_is_not_said_to_lack_it() {
    let terms = Terms {
        external: false,
        ..TLS
    };
    let mut stream = Initiating::new(direct(), Answers::on(terms));
    assert_eq!(
        stream.features("id1", &format!("{EXTERNAL}{DIALBACK}")),
        request("id1")
    );
    assert!(
        !stream
            .events
            .iter()
            .any(|event| event.starts_with("falls back"))
    );
}

#[test]
fn external_comes_first() {
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    stream.hear(SUCCESS);
    stream.features("id2", DIALBACK);
    assert_eq!(
        stream.events.last().unwrap(),
        "established alpha.test org.test id2 external"
    );
    assert_eq!(stream.peers[0].method.unwrap().proof(), Some(Proof::Pkix));
    assert!(!stream.sent.contains("db:result"));
}

#[test]
fn an_unproven_server_gets_a_key_only_where_the_terms_have_it() {
    let mut stream = Initiating::new(direct(), Answers::unproven(TLS));
    let said = stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    assert_eq!(said, request("id1"));
    let mut stream = Initiating::new(direct(), Answers::unproven(Terms::CERTIFICATE));
    stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    stream.fails("no certificate");
    assert!(!stream.sent.contains("db:result"));
}

#[test]
fn a_server_without_dialback_gets_no_key() {
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    stream.hear(
        "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
         from='alpha.test' id='id1' version='1.0'><stream:features/>",
    );
    stream.fails("offers no dialback");
    assert!(!stream.sent.contains("db:result"));
}

#[test]
fn db_05_each_answer_has_its_stanza_error() {
    use DialbackCondition as D;
    let wait = (StanzaCondition::RemoteServerTimeout, ErrorType::Wait);
    let mut stream = waiting();
    stream.hear("<db:result from='alpha.test' to='org.test' type='invalid'/>");
    let error = stream.fails("said to be wrong").stanza_error();
    assert_eq!(
        (error.condition, error.error_type),
        (StanzaCondition::InternalServerError, ErrorType::Cancel)
    );
    for condition in [
        D::ItemNotFound,
        D::RemoteServerTimeout,
        D::RemoteConnectionFailed,
        D::PolicyViolation,
        D::NotAuthorized,
        D::Forbidden,
        D::ResourceConstraint,
    ] {
        let mut stream = waiting();
        stream.hear(&format!(
            "<db:result from='alpha.test' to='org.test' type='error'><error type='cancel'>\
             <{condition} xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></error></db:result>"
        ));
        let failure = stream.fails("could not verify us by dialback");
        assert_eq!(
            failure,
            &OutboundFailure::DialbackRefused(DialbackError::new(condition))
        );
        let error = failure.stanza_error();
        assert_eq!((error.condition, error.error_type), wait, "{condition}");
    }
    // "Stream or TCP close while waiting = as error".
    for closed in [true, false] {
        let mut stream = waiting();
        if closed {
            stream.hear("</stream:stream>");
        } else {
            stream.machine.eof();
            stream.run();
        }
        let error = stream.fails("ended the stream").stanza_error();
        assert_eq!((error.condition, error.error_type), wait);
    }
}

#[test]
fn db_03_only_the_answer_to_our_own_request_counts() {
    for answer in [
        "<db:result from='org.test' to='alpha.test' type='valid'/>",
        "<db:result from='beta.test' to='org.test' type='valid'/>",
        "<db:result from='alpha.test' to='second.test' type='valid'/>",
        "<db:verify from='alpha.test' to='org.test' id='id1' type='valid'/>",
    ] {
        let mut stream = waiting();
        stream.hear(answer);
        stream.fails("nobody asked for");
        closed_with(&stream.sent, "policy-violation");
        assert!(stream.peers.is_empty());
    }
    // Nor before we have asked, nor again afterwards.
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    stream.features("id1", &format!("{EXTERNAL}{DIALBACK}"));
    stream.hear(VALID);
    assert!(stream.failure.is_some() && stream.peers.is_empty());
    let mut stream = waiting();
    stream.hear(VALID);
    stream.hear(VALID);
    closed_with(&stream.sent, "policy-violation");
}

#[test]
fn db_04_a_stanza_instead_of_an_answer_is_refused() {
    let mut stream = waiting();
    stream.hear(&message("alpha.test", "org.test"));
    closed_with(&stream.sent, "not-authorized");
    assert!(stream.senders.is_empty() && stream.peers.is_empty());
}

#[test]
fn v04_no_key_leaves_in_the_clear_where_tls_is_required() {
    for terms in [TLS, Terms::CERTIFICATE] {
        for features in [DIALBACK, EXTERNAL, ""] {
            let mut stream = Initiating::new(Start::Plain, Answers::on(terms));
            assert_eq!(stream.features("id1", features), STARTTLS);
            stream.hear("<failure xmlns='urn:ietf:params:xml:ns:xmpp-tls'/>");
            stream.fails("offers no TLS");
            assert!(!stream.sent.contains("db:result"));
        }
        // An old server, too.
        let mut stream = Initiating::new(Start::Plain, Answers::on(terms));
        assert_eq!(stream.hear(&header("from='alpha.test' id='id1'")), STARTTLS);
    }
}

#[test]
fn tls_is_used_where_it_is_offered_and_optional() {
    let offer = format!("{STARTTLS}{DIALBACK}");
    let mut stream = Initiating::new(Start::Plain, Answers::on(EVERYTHING));
    assert_eq!(stream.features("id1", &offer), STARTTLS);
    stream.hear(PROCEED);
    stream.features("id2", DIALBACK);
    stream.hear(VALID);
    assert_eq!(stream.peers[0].method, Some(Method::TlsDialback));
    assert!(stream.peers[0].tls.is_some());

    let mut stream = Initiating::new(Start::Plain, Answers::on(EVERYTHING));
    assert_eq!(stream.features("id1", DIALBACK), request("id1"));
    stream.hear(VALID);
    assert_eq!(stream.peers[0].method, Some(Method::TcpDialback));
    assert!(stream.peers[0].tls.is_none());
}

#[test]
fn tls_is_never_used_where_it_is_not_supported() {
    let terms = Terms {
        tls: Need::NotSupported,
        tls_dialback: false,
        ..EVERYTHING
    };
    let mut stream = Initiating::new(Start::Plain, Answers::on(terms));
    assert_eq!(
        stream.features("id1", &format!("{STARTTLS}{DIALBACK}")),
        request("id1")
    );
    let mut stream = Initiating::new(Start::Plain, Answers::on(terms));
    let required = "<starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'><required/></starttls>";
    stream.features("id1", required);
    stream.fails("wants TLS");
}

#[test]
fn str_06_an_old_server_is_spoken_to_by_dialback_alone() {
    let mut stream = Initiating::new(Start::Plain, Answers::on(EVERYTHING));
    assert_eq!(
        stream.hear(&header("from='alpha.test' id='id1'")),
        request("id1")
    );
    stream.hear(VALID);
    assert_eq!(stream.peers[0].method, Some(Method::TcpDialback));
}

#[test]
fn without_an_id_there_is_no_key() {
    let mut stream = Initiating::new(direct(), Answers::on(TLS));
    stream.hear(&format!(
        "{}<stream:features>{DIALBACK}</stream:features>",
        header("from='alpha.test' version='1.0'")
    ));
    stream.fails("no 'id'");
}

fn asked() -> Verification {
    Verification {
        originating: domain("alpha.test"),
        receiving: domain("org.test"),
        stream_id: "s1".into(),
        key: Key::parse("k").unwrap(),
    }
}

fn verifying(start: Start, terms: Terms) -> Initiating {
    Initiating::for_purpose(start, Answers::unproven(terms), Purpose::Verify(asked()))
}

const VERIFY: &str = "<db:verify from='org.test' to='alpha.test' id='s1'>k</db:verify>";

#[test]
fn db_11_the_authoritative_server_is_asked_as_soon_as_may_be() {
    for (answer, verified) in [
        ("type='valid'/>", Verified::Valid),
        ("type='invalid'/>", Verified::Invalid),
        (
            "type='error'><error><item-not-found/></error></db:verify>",
            // DB-07: "MUST in step-3 error".
            Verified::Failed(DialbackError::new(DialbackCondition::RemoteServerNotFound)),
        ),
    ] {
        let mut stream = verifying(Start::Plain, TLS);
        assert_eq!(
            stream.features("a1", &format!("{STARTTLS}{DIALBACK}")),
            STARTTLS
        );
        stream.hear(PROCEED);
        assert_eq!(
            stream.features("a2", &format!("{EXTERNAL}{DIALBACK}")),
            VERIFY
        );
        let last = stream.hear(&format!(
            "<db:verify from='alpha.test' to='org.test' id='s1' {answer}"
        ));
        assert_eq!(last, "</stream:stream>");
        assert_eq!(stream.verified, Some(verified));
        assert_eq!(stream.events, [""; 0], "nobody is authenticated");
        assert_eq!(stream.machine.phase(), Phase::Closed);
    }
}

#[test]
fn db_03_another_answer_than_to_our_question_verifies_nothing() {
    for answer in [
        "<db:verify from='alpha.test' to='org.test' id='s2' type='valid'/>",
        "<db:verify from='org.test' to='alpha.test' id='s1' type='valid'/>",
        "<db:verify from='beta.test' to='org.test' id='s1' type='valid'/>",
        "<db:verify from='alpha.test' to='second.test' id='s1' type='valid'/>",
        "<db:result from='alpha.test' to='org.test' type='valid'/>",
    ] {
        let mut stream = verifying(direct(), TLS);
        stream.features("a1", DIALBACK);
        stream.hear(answer);
        assert_eq!(stream.verified, None, "{answer}");
        stream.fails("nobody asked for");
    }
}

#[test]
fn v04_no_question_leaves_in_the_clear_where_tls_is_required() {
    let mut stream = verifying(Start::Plain, TLS);
    assert_eq!(stream.features("a1", DIALBACK), STARTTLS);
    stream.hear("</stream:stream>");
    let failure = stream.fails("offers no TLS");
    assert_eq!(
        failure.dialback_error().condition,
        DialbackCondition::RemoteConnectionFailed
    );
    let mut stream = verifying(Start::Plain, EVERYTHING);
    assert_eq!(stream.features("a1", DIALBACK), VERIFY);
}

#[test]
fn db_07_why_the_authoritative_server_was_not_asked_is_told() {
    use DialbackCondition as D;
    for (script, condition) in [
        (
            "<stream:error><host-unknown xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            D::RemoteServerNotFound,
        ),
        (
            "<stream:error><reset xmlns='urn:ietf:params:xml:ns:xmpp-streams'/></stream:error>",
            D::RemoteServerTimeout,
        ),
        ("</stream:stream>", D::RemoteServerTimeout),
        ("<x/>", D::RemoteServerTimeout),
    ] {
        let mut stream = verifying(direct(), TLS);
        stream.features("a1", DIALBACK);
        stream.hear(script);
        assert_eq!(stream.verified, None);
        let failure = stream.failure.as_ref().unwrap();
        assert_eq!(failure.dialback_error().condition, condition, "{script}");
    }
}

const PIECES: [&str; 14] = [
    PROCEED,
    SUCCESS,
    FAILURE,
    "<stream:features/>",
    "<stream:features><dialback xmlns='urn:xmpp:features:dialback'/></stream:features>",
    "<stream:features><bidi xmlns='urn:xmpp:features:bidi'/></stream:features>",
    "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' id='x' version='1.0'>",
    "<stream:stream xmlns='jabber:server' xmlns:db='jabber:server:dialback' \
     xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' id='x'>",
    "<db:result from='org.test' to='alpha.test' type='valid'/>",
    "<db:verify from='alpha.test' to='org.test' id='x' type='valid'/>",
    "<db:result from='alpha.test' to='org.test'>k</db:result>",
    "<message from='a@alpha.test' to='b@org.test'/>",
    "<enabled xmlns='urn:xmpp:sm:3'/>",
    " ",
];

proptest! {
    /// Whatever a server says in whatever order: if it is not proven, and does not confirm our key, no
    /// stream comes of it, and neither key nor question leaves in the clear where TLS is required.
    #[test]
    fn no_order_of_elements_makes_a_stream(
        terms in prop::sample::select(&[TLS, EVERYTHING, Terms::CERTIFICATE]),
        plain: bool,
        question: bool,
        said in prop::collection::vec(0..PIECES.len(), 0..12),
    ) {
        let terms = Terms { bidi: true, management: true, ..terms };
        let start = if plain { Start::Plain } else { direct() };
        let purpose = if question { Purpose::Verify(asked()) } else { Purpose::Stanzas };
        let mut stream = Initiating::for_purpose(start, Answers::unproven(terms), purpose);
        for piece in said {
            stream.hear(PIECES[piece]);
        }
        prop_assert!(stream.peers.is_empty() && stream.senders.is_empty());
        prop_assert_eq!(&stream.verified, &None);
        let clear = stream.sent.split("[TLS]").next().unwrap_or_default();
        if plain && terms.tls == Need::Required {
            prop_assert!(!clear.contains("<db:"), "{}", clear);
        }
        stream.machine.eof();
        stream.run();
        prop_assert!(stream.failure.is_some());
    }
}
