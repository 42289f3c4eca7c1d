//! What is offered to whom, phase by phase.

use portcullis_xmpp::{
    dialback::{DialbackCondition, DialbackError, Verified},
    stream::{Need, Start, Terms},
};
use proptest::prelude::*;

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
    let nothing_without = Terms {
        tcp_dialback: false,
        ..all
    };
    let mut stream = Receiving::new(Start::Plain, Answers::on(nothing_without));
    stream.hear(&alpha());
    assert_eq!(
        offered(&stream),
        ["starttls", "required"],
        "optional in name only"
    );
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

const PIECES: [&str; 16] = [
    STARTTLS,
    AUTH,
    "<db:result from='alpha.test' to='org.test'>k</db:result>",
    "<db:result from='alpha.test' to='org.test' type='valid'/>",
    "<db:result from='org.test' to='alpha.test' type='valid'/>",
    "<db:verify from='alpha.test' to='org.test' id='s1'>k</db:verify>",
    "<db:verify from='alpha.test' to='org.test' id='s1' type='valid'/>",
    "<bidi xmlns='urn:xmpp:bidi'/>",
    "<enable xmlns='urn:xmpp:sm:3'/>",
    "<r xmlns='urn:xmpp:sm:3'/>",
    "<message from='a@alpha.test' to='b@org.test'/>",
    "<message from='a@beta.test' to='b@org.test'/>",
    "<x xmlns='urn:x'/>",
    " ",
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' from='alpha.test' to='org.test' version='1.0'>",
    "</stream:stream>",
];

proptest! {
    /// Whatever a peer says in whatever order: with a certificate that is worth nothing and a key that
    /// nobody confirms it never says a stanza, and it is told so to its end.
    #[test]
    fn no_order_of_elements_authenticates(
        terms in prop::sample::select(&[TLS, EVERYTHING, Terms::CERTIFICATE]),
        plain: bool,
        said in prop::collection::vec(0..PIECES.len(), 0..12),
        outcome in prop::option::of(prop::bool::ANY),
    ) {
        let terms = Terms { bidi: true, management: true, ..terms };
        let start = if plain { Start::Plain } else { direct() };
        let mut stream = Receiving::new(start, Answers::unproven(terms));
        stream.hear(&alpha());
        for piece in said {
            stream.hear(PIECES[piece]);
            if let Some(invalid) = outcome && !stream.verifications.is_empty() {
                stream.verified(0, if invalid {
                    Verified::Invalid
                } else {
                    Verified::Failed(DialbackError::new(DialbackCondition::RemoteServerTimeout))
                });
            }
        }
        stream.nobody();
        stream.machine.eof();
        stream.run();
        prop_assert!(stream.end.is_some());
    }
}
