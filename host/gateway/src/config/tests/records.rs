//! `[[partner]]`: defaults, bounds, and the rows of the negotiation matrix.

use super::*;

/// The problems of a record for a.test with more lines; its first line is 16.
fn record(more: &str) -> Vec<String> {
    problems(with(&format!("[[partner]]\ndomain = \"a.test\"\n{more}")))
}

fn loaded(more: &str) -> Partner {
    let loaded = with(&format!("[[partner]]\ndomain = \"a.test\"\n{more}")).unwrap();
    loaded.config.partners.into_iter().next().unwrap()
}

#[test]
fn a_partner_record_has_lyncs_defaults_and_so_has_a_domain_without_one() {
    let config = with("[[partner]]\ndomain = \"Alpha.Test.\"")
        .unwrap()
        .config;
    let partner = config.partners.first().unwrap();
    assert_eq!(partner.domain, domain("alpha.test"));
    assert_eq!(partner.partner_type, PartnerType::PublicUnverified);
    assert_eq!(
        (partner.tls, partner.sasl),
        (Need::Required, Need::Required)
    );
    assert!(partner.dialback && partner.keep_alive);
    assert_eq!(partner.connection_limit, 20);
    assert_eq!(partner.proxy, None);
    let unlisted = Partner::unlisted(domain("alpha.test"), &config.limits);
    assert_eq!(*partner, unlisted);
}

#[test]
fn every_further_key_of_a_record_is_taken_in() {
    let partner = loaded(
        r#"
        contact = "xmpp:noc@a.test"
        direction = "inbound"
        subdomains = true
        trust = ["a-ca.pem", "system"]
        pins = ["sha256:0101010101010101010101010101010101010101010101010101010101010101"]
        dane = true
        posh = true
        stanzas_in = ["message", "iq"]
        stanzas_out = []
        group_chat = false
        stanza_bytes = 20000
        rate_in = { stanzas = 50, bytes = 100000 }
        rate_out = { stanzas = 5 }
        valid_until = 2099-01-01T00:00:00+01:00
        bidi = false
        stream_management = false
        "#,
    );
    let expected = Partner {
        contact: Some("xmpp:noc@a.test".to_owned()),
        direction: Flow::Inbound,
        subdomains: true,
        trust: vec![
            Trust::File("/etc/portcullis/a-ca.pem".into()),
            Trust::System,
        ],
        pins: vec![Pin([1; 32])],
        dane: true,
        posh: true,
        stanzas_in: Kinds {
            presence: false,
            ..Kinds::ALL
        },
        stanzas_out: Kinds {
            message: false,
            presence: false,
            iq: false,
        },
        group_chat: false,
        stanza_bytes: 20_000,
        rate_in: Rate {
            stanzas: Some(50),
            bytes: Some(100_000),
        },
        rate_out: Rate {
            stanzas: Some(5),
            bytes: None,
        },
        valid_until: Some(time::macros::datetime!(2098-12-31 23:00 UTC)),
        bidi: false,
        stream_management: false,
        ..Partner::unlisted(domain("a.test"), &parse(LEAST).unwrap().config.limits)
    };
    assert_eq!(partner, expected);
}

#[test]
fn a_value_out_of_bounds_is_told_with_them() {
    for (line, told) in [
        (
            "direction = \"in\"",
            "line 18: `direction` in [[partner]] cannot be \"in\" (one of \"both\", \"inbound\", \"outbound\")",
        ),
        (
            "stanza_bytes = 262145",
            "line 18: `stanza_bytes` in [[partner]] must be from 10000 to 262144, not 262145",
        ),
        (
            "stanzas_in = [\"messages\"]",
            "line 18: `stanzas_in` in [[partner]] cannot have \"messages\" (the kinds are \"message\", \"presence\", \"iq\")",
        ),
        (
            "pins = [\"0a\"]",
            "line 18: `pins` in [[partner]]: \"0a\" is not \"sha256:\" with 64 hexadecimal digits",
        ),
        (
            "rate_in = { stanzas = 0 }",
            "line 18: `stanzas` in a rate of [[partner]] must be from 1 to 1000000, not 0",
        ),
        (
            "rate_out = {}",
            "line 18: a rate of [[partner]] needs `stanzas` (for example: { stanzas = 50, bytes = 100000 })",
        ),
        (
            "rate_out = { messages = 1, bytes = 1 }",
            "line 18: unknown key `messages` in a rate of [[partner]] (the keys here are stanzas, bytes)",
        ),
        (
            "valid_until = \"2027-01-01\"",
            "line 18: `valid_until` in [[partner]] must be a date with time and zone without quotes, as in 2027-01-01T00:00:00Z, not a string",
        ),
        (
            "valid_until = 2027-01-01T00:00:00",
            "line 18: `valid_until` in [[partner]] must be a date with time and zone without quotes, as in 2027-01-01T00:00:00Z, not 2027-01-01T00:00:00",
        ),
    ] {
        assert_eq!(record(line), [told]);
    }
}

#[test]
fn what_has_no_effect_is_a_warning() {
    for (lines, told) in [
        (
            "valid_until = 2020-01-01T00:00:00Z",
            "line 18: `valid_until` in [[partner]] has passed: the record counts as absent",
        ),
        (
            "sasl = \"not-supported\"\npins = []",
            "line 19: `pins` in [[partner]] has no use without TLS and SASL (a certificate is looked at only where it may prove the partner's name)",
        ),
    ] {
        assert!(with(&format!("[[partner]]\ndomain = \"a.test\"\n{lines}")).is_ok());
        assert_eq!(record(lines), [told]);
    }
}

#[test]
fn a_record_is_one_until_its_end() {
    let partner = loaded("valid_until = 2099-01-01T00:00:00Z");
    let end = partner.valid_until.unwrap();
    assert!(partner.is_valid(end - Duration::from_millis(1)));
    assert!(!partner.is_valid(end));
    assert!(loaded("").is_valid(end));
}

/// What the file says of each row: nothing, a warning, or why it is refused.
#[test]
fn each_of_the_eighteen_rows_loads_warns_or_is_refused() {
    const UNUSED: &str = "dialback never operates where both TLS and SASL are required";
    const PLAIN: &str = "SASL needs TLS: where the stream is not encrypted it is not used";
    const NO_TLS: &str = "SASL needs TLS, and without it and without dialback the partner has no way to prove its name";
    const NOTHING: &str = "with neither SASL nor dialback the partner has no way to prove its name";
    let (r, o, n) = ("required", "optional", "not-supported");
    let warns = |remark: &str| vec![format!("line 20: [[partner]]: {remark}")];
    for (tls, sasl, dialback, told) in [
        (r, r, true, Ok(warns(UNUSED))),
        (r, r, false, Ok(vec![])),
        (o, r, true, Ok(warns(PLAIN))),
        (o, r, false, Ok(warns(PLAIN))),
        (n, r, true, Ok(warns(PLAIN))),
        (n, r, false, Err(NO_TLS)),
        (r, o, true, Ok(vec![])),
        (r, o, false, Ok(vec![])),
        (o, o, true, Ok(warns(PLAIN))),
        (o, o, false, Ok(warns(PLAIN))),
        (n, o, true, Ok(warns(PLAIN))),
        (n, o, false, Err(NO_TLS)),
        (r, n, true, Ok(vec![])),
        (r, n, false, Err(NOTHING)),
        (o, n, true, Ok(vec![])),
        (o, n, false, Err(NOTHING)),
        (n, n, true, Ok(vec![])),
        (n, n, false, Err(NOTHING)),
    ] {
        let lines = format!("tls = \"{tls}\"\nsasl = \"{sasl}\"\ndialback = {dialback}");
        let text = format!("[[partner]]\ndomain = \"a.test\"\n{lines}");
        let row = format!("tls = \"{tls}\", sasl = \"{sasl}\", dialback = {dialback}");
        match told {
            Ok(warnings) => {
                assert!(with(&text).is_ok(), "{row}");
                assert_eq!(record(&lines), warnings, "{row}");
            }
            Err(reason) => {
                assert!(with(&text).is_err(), "{row}");
                let told = format!("line 20: [[partner]] with {row}: {reason}");
                assert_eq!(record(&lines), [told]);
            }
        }
    }
}
