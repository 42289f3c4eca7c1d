//! What is offered to whom, phase by phase.

use portcullis_xmpp::stream::{Need, Start, Terms};

use crate::support::*;

/// The names of the features of the last stream.
fn offered(stream: &Receiving) -> Vec<&'static str> {
    let last = stream.sent.rsplit("<stream:features").next().unwrap();
    [
        ("starttls", "<starttls"),
        ("required", "<required/>"),
        ("external", "EXTERNAL"),
        ("dialback", "<errors/>"),
        ("bidi", "features:bidi"),
        ("sm", "urn:xmpp:sm:3"),
        ("limits", "<limits"),
    ]
    .into_iter()
    .filter(|(_, text)| last.contains(text))
    .map(|(name, _)| name)
    .collect()
}

#[test]
fn tls_01_feat_01_each_phase_offers_what_belongs_there() {
    let all = Terms {
        bidi: true,
        management: true,
        ..EVERYTHING
    };
    let required = Terms {
        tls: Need::Required,
        ..all
    };
    let plain = Terms {
        tls: Need::NotSupported,
        ..all
    };
    for (terms, expected) in [
        (required, &["starttls", "required"][..]),
        (all, &["starttls", "dialback", "limits"]),
        (plain, &["dialback", "limits"]),
    ] {
        let mut stream = Receiving::new(Start::Plain, Answers::on(terms));
        stream.hear(&alpha());
        assert_eq!(offered(&stream), expected);
    }
    let mut stream = Receiving::new(Start::Plain, Answers::on(required));
    stream.hear(&alpha());
    stream.hear(STARTTLS);
    stream.hear(&alpha());
    assert_eq!(offered(&stream), ["external", "dialback", "bidi", "limits"]);
    stream.hear(AUTH);
    stream.hear(&alpha());
    assert_eq!(offered(&stream), ["dialback", "sm", "limits"]);
    let mut stream = Receiving::new(direct(), Answers::unproven(required));
    stream.hear(&alpha());
    assert_eq!(offered(&stream), ["dialback", "bidi", "limits"], "SASL-02");
}

#[test]
fn sasl_02_without_a_way_to_authenticate_the_stream_is_closed() {
    let nothing = Terms {
        external: false,
        ..Terms::CERTIFICATE
    };
    for (start, terms) in [
        (direct(), Answers::unproven(Terms::CERTIFICATE)),
        (direct(), Answers::on(nothing)),
        (
            Start::Plain,
            Answers::on(Terms {
                tls: Need::NotSupported,
                ..Terms::CERTIFICATE
            }),
        ),
    ] {
        let mut stream = Receiving::new(start, terms);
        stream.hear(&alpha());
        stream.closed_with("policy-violation");
        stream.nobody();
    }
}

#[test]
fn sasl_06_what_was_not_offered_is_refused_and_dialback_may_follow() {
    let mut stream = Receiving::new(direct(), Answers::unproven(TLS));
    stream.hear(&alpha());
    assert!(stream.hear(AUTH).contains("<not-authorized/>"));
    let plain = "<auth xmlns='urn:ietf:params:xml:ns:xmpp-sasl' mechanism='PLAIN'>=</auth>";
    assert!(stream.hear(plain).contains("<invalid-mechanism/>"));
    stream.hear("<db:result from='alpha.test' to='org.test'>k</db:result>");
    assert_eq!(stream.verifications.len(), 1);
    for _ in 0..3 {
        stream.hear(AUTH);
    }
    stream.closed_with("policy-violation");
    let mut stream = Receiving::new(Start::Plain, Answers::on(EVERYTHING));
    stream.hear(&alpha());
    assert!(stream.hear(AUTH).contains("<encryption-required/>"));
}

#[test]
fn str_15_what_was_agreed_on_in_the_clear_is_asked_again_for_another_claim() {
    let mut stream = Receiving::new(Start::Plain, Answers::on(EVERYTHING));
    stream.hear(&alpha());
    stream.hear(STARTTLS);
    stream.answers.open = Terms::CERTIFICATE;
    stream.hear(&header("from='beta.test' to='org.test' version='1.0'"));
    assert_eq!(stream.events[1], "open? beta.test org.test");
    assert_eq!(offered(&stream), ["external"], "on the new terms");
}
