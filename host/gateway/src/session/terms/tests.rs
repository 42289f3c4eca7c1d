use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::stanza::Direction;
use portcullis_xmpp::stream::{Party, TlsFacts, TlsMode};
use std::path::Path;
use std::sync::Arc;

use super::*;
use crate::config::{Config, Flow, Pin};

fn outside() -> (Federation, Partner) {
    let text = include_str!("../../config/tests/full.toml");
    let config = Config::parse(text, Path::new("/etc/p.toml"))
        .unwrap()
        .config;
    let domain = Domain::parse("alpha.test").unwrap();
    let record = Partner::unlisted(domain, &config.limits);
    (config.federation, record)
}

/// A stream with alpha.test that was opened by this one of us.
fn peer(initiator: Initiator, method: Method) -> Peer {
    let tls = TlsFacts {
        version: "TLSv1.3",
        cipher: "TLS13_AES_256_GCM_SHA384",
        sni: None,
        mode: TlsMode::StartTls,
        certificate: None,
    };
    Peer {
        remote: Domain::parse("alpha.test").unwrap(),
        local: Domain::parse("org.test").unwrap(),
        direction: match initiator {
            Initiator::Peer => Direction::Inbound,
            Initiator::Gateway => Direction::Outbound,
        },
        party: Party::Partner,
        initiator,
        address: None,
        stream_id: Arc::from("id"),
        method: Some(method),
        tls: (method != Method::TcpDialback).then_some(tls),
        bidi: false,
    }
}

const PKIX: Method = Method::External(Proof::Pkix);

/// The text of the refusal, if there is one.
fn refused(peer: &Peer, record: &Partner) -> Option<String> {
    let refusal = allowed(peer, record, &outside().0).err()?;
    assert_eq!(refusal.error.condition, StreamCondition::PolicyViolation);
    refusal.error.text
}

#[test]
fn each_row_of_the_matrix_keeps_the_streams_whose_method_it_has() {
    use Need::{NotSupported as N, Optional as O, Required as R};
    let (_, record) = outside();
    for (tls, sasl, dialback, keeps) in [
        (R, R, true, "S"),
        (R, R, false, "S"),
        (O, R, true, "Stp"),
        (O, R, false, "S"),
        (N, R, true, "p"),
        (R, O, true, "St"),
        (R, O, false, "S"),
        (O, O, true, "Stp"),
        (O, O, false, "S"),
        (N, O, true, "p"),
        (R, N, true, "t"),
        (O, N, true, "tp"),
        (N, N, true, "p"),
    ] {
        let record = Partner {
            tls,
            sasl,
            dialback,
            ..record.clone()
        };
        let mut kept = String::new();
        for (letter, method) in [
            ('S', PKIX),
            ('t', Method::TlsDialback),
            ('p', Method::TcpDialback),
        ] {
            if refused(&peer(Initiator::Peer, method), &record).is_none() {
                kept.push(letter);
            }
        }
        assert_eq!(kept, keeps, "{tls:?} {sasl:?} {dialback}");
    }
}

#[test]
fn a_stream_the_wrong_way_is_refused_in_words() {
    let (_, record) = outside();
    let theirs = peer(Initiator::Peer, PKIX);
    let ours = peer(Initiator::Gateway, PKIX);
    let takes = "this server takes no stanzas from alpha.test";
    let sends = "this server sends no stanzas to alpha.test";
    for (direction, expected) in [
        (Flow::Both, [None, None]),
        (Flow::Inbound, [None, Some(sends)]),
        (Flow::Outbound, [Some(takes), None]),
    ] {
        let record = Partner {
            direction,
            ..record.clone()
        };
        let told = [&theirs, &ours].map(|peer| refused(peer, &record));
        assert_eq!(told.each_ref().map(Option::as_deref), expected);
    }
}

#[test]
fn what_proved_a_certificate_must_still_be_wanted() {
    let (_, record) = outside();
    let all = Partner {
        pins: vec![Pin([0; 32])],
        dane: true,
        posh: true,
        ..record.clone()
    };
    for proof in [Proof::Pinned, Proof::Dane, Proof::Posh] {
        let peer = peer(Initiator::Peer, Method::External(proof));
        assert_eq!(refused(&peer, &all), None);
        assert!(refused(&peer, &record).is_some(), "{proof:?}");
    }
}

#[test]
fn a_stream_that_goes_both_ways_ends_when_it_may_not() {
    let (outside, record) = outside();
    let both = Peer {
        bidi: true,
        ..peer(Initiator::Gateway, PKIX)
    };
    assert!(allowed(&both, &record, &outside).is_ok());
    let one_way = Partner {
        bidi: false,
        ..record.clone()
    };
    assert!(allowed(&both, &one_way, &outside).is_err());
    let outside = Federation {
        bidi: false,
        ..outside
    };
    assert!(allowed(&both, &record, &outside).is_err());
    assert!(allowed(&peer(Initiator::Gateway, PKIX), &one_way, &outside).is_ok());
}

#[test]
fn who_only_takes_stanzas_may_knock_to_verify_a_key() {
    let (_, record) = outside();
    let outbound = Partner {
        direction: Flow::Outbound,
        ..record
    };
    assert!(may_knock(&outbound).is_ok());
    let certificates = Partner {
        dialback: false,
        ..outbound
    };
    assert!(may_knock(&certificates).is_err());
}
