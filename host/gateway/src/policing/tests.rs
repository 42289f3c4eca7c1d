use portcullis_xmpp::frame::{Event, Framer, Limits as StreamLimits};
use portcullis_xmpp::jid::Domain;

use super::*;
use crate::config::{Flow, Kinds, Limits};

/// A record with every default.
pub(super) fn record() -> Partner {
    let limits = Limits {
        connections: 1000,
        connections_per_partner: 20,
        connections_per_address: 20,
        attempts_per_minute: 60,
        stanza_bytes: 100_000,
        pairs_per_stream: 50,
        minimum_rate: 100,
    };
    Partner::unlisted(Domain::parse("alpha.test").unwrap(), &limits)
}

/// A stanza of this kind with this type and payload.
fn stanza(kind: &str, rest: &str) -> Stanza {
    let mut framer = Framer::new(StreamLimits::default());
    framer.push(
        b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
    );
    let text = format!("<{kind} from='a@alpha.test/r' to='b@org.test' id='1' {rest}</{kind}>");
    framer.push(text.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    match framer.next() {
        Ok(Some(Event::Element(frame))) => Stanza::parse(frame).unwrap(),
        other => panic!("{text}: {other:?}"),
    }
}

fn rule(partner: &Partner, direction: Direction, kind: &str, rest: &str) -> Option<&'static str> {
    check(partner, direction, &stanza(kind, rest))
        .err()
        .map(|breach| breach.rule)
}

const ERROR: &str = "type='error'><error type='cancel'/>";
const KINDS: [(&str, &str); 3] = [
    ("message", "><body>1</body>"),
    ("presence", ">"),
    ("iq", "type='get'><q xmlns='urn:q'/>"),
];

#[test]
fn a_record_with_defaults_lets_everything_pass() {
    for (kind, rest) in KINDS {
        for direction in [Direction::Inbound, Direction::Outbound] {
            assert_eq!(rule(&record(), direction, kind, rest), None, "{kind}");
        }
    }
}

#[test]
fn a_kind_that_is_not_in_the_record_does_not_pass_that_way() {
    let messages = Kinds {
        presence: false,
        iq: false,
        ..Kinds::ALL
    };
    let one_way = Partner {
        stanzas_in: messages,
        ..record()
    };
    let expected = [
        None,
        Some("gateway:partner-kind"),
        Some("gateway:partner-kind"),
    ];
    for ((kind, rest), expected) in KINDS.into_iter().zip(expected) {
        assert_eq!(rule(&one_way, Direction::Inbound, kind, rest), expected);
        assert_eq!(rule(&one_way, Direction::Outbound, kind, rest), None);
    }
    // The answer to an iq that may go out comes in.
    let answers = ["type='result'>", ERROR];
    for answer in answers {
        assert_eq!(rule(&one_way, Direction::Inbound, "iq", answer), None);
    }
    let neither = Partner {
        stanzas_out: messages,
        ..one_way
    };
    for answer in answers {
        assert_eq!(
            rule(&neither, Direction::Inbound, "iq", answer),
            Some("gateway:partner-kind")
        );
    }
}

#[test]
fn prs_04_unavailable_passes_though_presence_does_not() {
    let partner = Partner {
        stanzas_out: Kinds {
            presence: false,
            ..Kinds::ALL
        },
        group_chat: false,
        ..record()
    };
    for gone in [
        "type='unavailable'>",
        "type='unavailable'><x xmlns='http://jabber.org/protocol/muc#user'/>",
    ] {
        assert_eq!(rule(&partner, Direction::Outbound, "presence", gone), None);
    }
}

#[test]
fn a_direction_that_is_closed_lets_nothing_pass() {
    for (flow, closed, open) in [
        (Flow::Inbound, Direction::Outbound, Direction::Inbound),
        (Flow::Outbound, Direction::Inbound, Direction::Outbound),
    ] {
        let partner = Partner {
            direction: flow,
            ..record()
        };
        for (kind, rest) in KINDS {
            assert_eq!(
                rule(&partner, closed, kind, rest),
                Some("gateway:partner-direction")
            );
            assert_eq!(rule(&partner, open, kind, rest), None);
        }
        let gone = rule(&partner, closed, "presence", "type='unavailable'>");
        assert_eq!(gone, Some("gateway:partner-direction"));
    }
}

#[test]
fn group_chat_is_told_by_type_and_by_mark() {
    let partner = Partner {
        group_chat: false,
        ..record()
    };
    for (kind, rest) in [
        ("message", "type='groupchat'><body>1</body>"),
        (
            "message",
            "><x xmlns='http://jabber.org/protocol/muc#user'><invite to='b@org.test'/></x>",
        ),
        (
            "message",
            "><x xmlns='jabber:x:conference' jid='room@rooms.alpha.test'/>",
        ),
        (
            "message",
            "type='chat'><body>1</body><x xmlns='http://jabber.org/protocol/muc#user'/>",
        ),
        ("presence", "><x xmlns='http://jabber.org/protocol/muc'/>"),
        (
            "presence",
            "><x xmlns='http://jabber.org/protocol/muc#user'/>",
        ),
        (
            "iq",
            "type='set'><query xmlns='http://jabber.org/protocol/muc#admin'/>",
        ),
        ("iq", "type='set'><join xmlns='urn:xmpp:mix:core:1'/>"),
    ] {
        for direction in [Direction::Inbound, Direction::Outbound] {
            let found = rule(&partner, direction, kind, rest);
            assert_eq!(found, Some("gateway:partner-group-chat"), "{kind} {rest}");
            assert_eq!(rule(&record(), direction, kind, rest), None);
        }
    }
    for (kind, rest) in [
        ("message", "type='chat'><body>1</body>"),
        ("message", ERROR),
        ("message", "><x xmlns='urn:xmpp:mixed'/>"),
        ("presence", "><c xmlns='http://jabber.org/protocol/caps'/>"),
        ("presence", "type='subscribe'>"),
        (
            "iq",
            "type='get'><query xmlns='http://jabber.org/protocol/disco#info'/>",
        ),
    ] {
        let found = rule(&partner, Direction::Inbound, kind, rest);
        assert_eq!(found, None, "{kind} {rest}");
    }
}

#[test]
fn a_stanza_beyond_the_record_s_size_is_too_big() {
    let partner = Partner {
        stanza_bytes: 10_000,
        ..record()
    };
    let large = format!("><body>{}</body>", "x".repeat(10_000));
    for direction in [Direction::Inbound, Direction::Outbound] {
        let breach = check(&partner, direction, &stanza("message", &large)).unwrap_err();
        assert_eq!(breach.rule, "gateway:partner-size");
        assert_eq!(breach.error.condition, StanzaCondition::PolicyViolation);
        assert_eq!(breach.error.error_type, ErrorType::Modify);
        assert_eq!(breach.error.application.as_deref(), Some("stanza-too-big"));
        assert_eq!(rule(&record(), direction, "message", &large), None);
    }
}

#[test]
fn msg_05_outside_reads_no_more_than_that_there_is_no_such_service() {
    let partner = Partner {
        direction: Flow::Outbound,
        ..record()
    };
    let breach = |partner, direction| {
        check(partner, direction, &stanza("message", "><body>1</body>")).unwrap_err()
    };
    let inbound = breach(&partner, Direction::Inbound).error;
    assert_eq!(
        *inbound,
        StanzaError::new(StanzaCondition::ServiceUnavailable)
    );
    let partner = Partner {
        direction: Flow::Inbound,
        ..record()
    };
    let outbound = breach(&partner, Direction::Outbound).error;
    assert_eq!(outbound.condition, StanzaCondition::NotAllowed);
    assert!(outbound.text.unwrap().contains("alpha.test"));
}
