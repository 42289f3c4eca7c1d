use proptest::prelude::*;

use super::*;
use crate::{error::StanzaCondition, ns, xml::Writer};

fn xml(nonza: &Nonza) -> String {
    Writer::new(ns::SERVER).to_xml(&nonza.to_element())
}

#[test]
fn sm_01_elements_are_written_and_read() {
    let resumption = Resumption {
        id: "id-1".into(),
        handled: u32::MAX,
    };
    for (nonza, written) in [
        (
            Nonza::Enable { resume: None },
            "<enable xmlns='urn:xmpp:sm:3'/>",
        ),
        (
            Nonza::Enable { resume: Some(None) },
            "<enable xmlns='urn:xmpp:sm:3' resume='true'/>",
        ),
        (
            Nonza::Enable {
                resume: Some(Some(60)),
            },
            "<enable xmlns='urn:xmpp:sm:3' resume='true' max='60'/>",
        ),
        (
            Nonza::Enabled { resume: None },
            "<enabled xmlns='urn:xmpp:sm:3'/>",
        ),
        (
            Nonza::Enabled {
                resume: Some(("id-1".into(), Some(60))),
            },
            "<enabled xmlns='urn:xmpp:sm:3' resume='true' id='id-1' max='60'/>",
        ),
        (
            Nonza::Resume(resumption.clone()),
            "<resume xmlns='urn:xmpp:sm:3' previd='id-1' h='4294967295'/>",
        ),
        (
            Nonza::Resumed(resumption),
            "<resumed xmlns='urn:xmpp:sm:3' previd='id-1' h='4294967295'/>",
        ),
        (
            Nonza::Failed {
                condition: StanzaCondition::ItemNotFound,
                handled: Some(7),
            },
            "<failed xmlns='urn:xmpp:sm:3' h='7'>\
             <item-not-found xmlns='urn:ietf:params:xml:ns:xmpp-stanzas'/></failed>",
        ),
        (Nonza::Request, "<r xmlns='urn:xmpp:sm:3'/>"),
        (
            Nonza::Answer { handled: 0 },
            "<a xmlns='urn:xmpp:sm:3' h='0'/>",
        ),
    ] {
        assert_eq!(xml(&nonza), written);
        assert_eq!(Nonza::of(&nonza.to_element()), Some(nonza));
    }
}

#[test]
fn sm_01_what_makes_no_sense_is_nothing() {
    for (name, attributes) in [
        ("a", vec![]),
        ("a", vec![("h", "-1")]),
        ("a", vec![("h", "4294967296")]),
        ("a", vec![("h", "99999999999999999999")]),
        ("resume", vec![("h", "1")]),
        ("resume", vec![("h", "1"), ("previd", "")]),
        ("resumed", vec![("previd", "x")]),
        ("other", vec![]),
    ] {
        let mut element = crate::xml::Element::new(ns::MANAGEMENT, name);
        for (name, value) in attributes {
            element = element.with_attribute(name, value);
        }
        assert_eq!(Nonza::of(&element), None, "{name}");
    }
    let long = crate::xml::Element::new(ns::MANAGEMENT, "resume")
        .with_attribute("h", "1")
        .with_attribute("previd", &"x".repeat(4001));
    assert_eq!(Nonza::of(&long), None);
}

#[test]
fn sm_02_only_the_settled_prefix_is_acknowledged() {
    let mut received = Received::new();
    let numbers: Vec<u64> = (0..4).map(|_| received.receive()).collect();
    received.settle(numbers[2]);
    received.settle(numbers[1]);
    assert_eq!((received.handled(), received.waiting()), (0, 4));
    received.settle(numbers[0]);
    assert_eq!((received.handled(), received.waiting()), (3, 1));
    received.settle(numbers[0]);
    received.settle(99);
    assert_eq!((received.handled(), received.waiting()), (3, 1));
    received.settle(numbers[3]);
    assert_eq!((received.handled(), received.waiting()), (4, 0));
}

#[test]
fn sm_01_who_takes_a_stream_over_answers_for_all_that_came() {
    let mut received = Received::new();
    let numbers: Vec<u64> = (0..3).map(|_| received.receive()).collect();
    received.settle(numbers[0]);
    assert_eq!(received.handled(), 1);
    assert_eq!(received.take_over(), 3);
    assert_eq!(received.handled(), 3, "nothing is taken back");
    let more = received.receive();
    assert_eq!(received.handled(), 3);
    for number in [more, numbers[1]] {
        received.settle(number);
        assert_eq!(received.handled(), 3);
    }
    received.settle(numbers[2]);
    assert_eq!((received.handled(), received.waiting()), (4, 0));
}

#[test]
fn sm_01_acknowledging_more_than_was_sent_is_refused_and_changes_nothing() {
    let mut sent = Unacknowledged::new();
    for stanza in 0..3 {
        sent.push(stanza);
    }
    assert_eq!(sent.acknowledge(2), Ok(vec![0, 1]));
    let wrong = sent.acknowledge(4).unwrap_err();
    assert_eq!(
        wrong,
        TooHigh {
            handled: 4,
            sent: 3
        }
    );
    assert_eq!(
        sent.acknowledge(1).unwrap_err().handled,
        1,
        "nor can it take anything back"
    );
    assert_eq!(sent.acknowledge(2), Ok(vec![]));
    assert_eq!(sent.acknowledge(3), Ok(vec![2]));
    assert!(sent.is_empty());
    assert_eq!(
        Writer::new(ns::SERVER)
            .with_prefixes(&[("stream", ns::STREAM)])
            .to_xml(&wrong.to_element()),
        "<stream:error><undefined-condition xmlns='urn:ietf:params:xml:ns:xmpp-streams'/>\
         <text xmlns='urn:ietf:params:xml:ns:xmpp-streams' xml:lang='en'>4 stanzas acknowledged, but 3 were sent</text>\
         <handled-count-too-high xmlns='urn:xmpp:sm:3' h='4' send-count='3'/></stream:error>"
    );
}

#[test]
fn sm_01_counts_are_modulo_2_32() {
    let last = u64::from(u32::MAX);
    let mut received = Received::starting(last);
    let (first, second) = (received.receive(), received.receive());
    received.settle(second);
    assert_eq!(received.handled(), u32::MAX);
    received.settle(first);
    assert_eq!(received.handled(), 1);

    let mut sent = Unacknowledged::starting(last);
    sent.push('a');
    sent.push('b');
    assert_eq!(sent.acknowledge(0), Ok(vec!['a']));
    assert_eq!(
        sent.acknowledge(2),
        Err(TooHigh {
            handled: 2,
            sent: 1
        })
    );
    assert_eq!(sent.acknowledge(1), Ok(vec!['b']));
}

proptest! {
    /// However stanzas are settled: what is acknowledged is the longest prefix, and the other side
    /// gives back exactly those.
    #[test]
    fn both_ends_agree(count in 1usize..40, order in prop::collection::vec(any::<prop::sample::Index>(), 0..80)) {
        let mut received = Received::new();
        let mut sent = Unacknowledged::new();
        let mut settled = vec![false; count];
        for stanza in 0..count {
            sent.push(stanza);
            prop_assert_eq!(received.receive(), stanza as u64);
        }
        let mut returned = Vec::new();
        for index in order {
            let stanza = index.index(count);
            settled[stanza] = true;
            received.settle(stanza as u64);
            let prefix = settled.iter().take_while(|settled| **settled).count();
            prop_assert_eq!(received.handled() as usize, prefix);
            returned.extend(sent.acknowledge(received.handled()).unwrap());
            prop_assert_eq!(&returned, &(0..prefix).collect::<Vec<_>>());
        }
        prop_assert_eq!(sent.into_unsettled().collect::<Vec<_>>(), (returned.len()..count).collect::<Vec<_>>());
    }
    /// However often the connection breaks, at whatever point: what is sent again is exactly what did
    /// not come, and in the end everything came once and in order.
    #[test]
    fn sm_01_streams_that_are_taken_over_lose_and_double_nothing(
        count in 1usize..60,
        steps in prop::collection::vec((0usize..8, 0usize..8, 0usize..8), 1..40),
    ) {
        let mut sent = Unacknowledged::new();
        let mut received = Received::new();
        let (mut next, mut came) = (0, Vec::new());
        let mut under_way = std::collections::VecDeque::new();
        // The last step lets everything through.
        for (written, arrived, settled) in steps.into_iter().chain([(count, usize::MAX, 0)]) {
            let until = count.min(next + written);
            for stanza in next..until {
                sent.push(stanza);
                under_way.push_back(stanza);
            }
            next = until;
            for stanza in under_way.drain(..arrived.min(under_way.len())) {
                prop_assert_eq!(received.receive(), came.len() as u64);
                came.push(stanza);
            }
            (0..settled).for_each(|number| received.settle(number as u64));
            // An acknowledgement may arrive before the connection is lost with what is under way.
            prop_assert!(sent.acknowledge(received.handled()).is_ok());
            prop_assert!(sent.acknowledge(received.take_over()).is_ok());
            under_way = sent.iter().copied().collect();
        }
        prop_assert_eq!(came, (0..next).collect::<Vec<_>>());
        prop_assert!(sent.is_empty());
    }
}
