use proptest::prelude::*;

use super::*;

fn domain(text: &str) -> String {
    Domain::parse(text).unwrap().to_string()
}

#[test]
fn jid_01_the_resource_goes_first_then_the_local_part() {
    let jid = Jid::parse("juliet@alpha.test/balcony@a/b").unwrap();
    assert_eq!(jid.local(), Some("juliet"));
    assert_eq!(jid.domain().as_str(), "alpha.test");
    assert_eq!(jid.resource(), Some("balcony@a/b"));
    assert_eq!(jid.bare(), "juliet@alpha.test");

    let jid = Jid::parse("alpha.test/a@b").unwrap();
    assert_eq!((jid.local(), jid.resource()), (None, Some("a@b")));
    assert_eq!(Jid::parse("alpha.test").unwrap().bare(), "alpha.test");
}

#[test]
fn jid_01_what_has_two_ats_is_refused() {
    assert_eq!(
        Jid::parse("a@b@c"),
        Err(JidError::Domain(DomainError::Invalid))
    );
}

#[test]
fn jid_01_empty_parts_are_refused() {
    assert_eq!(Jid::parse(""), Err(JidError::Empty));
    assert_eq!(Jid::parse("@alpha.test"), Err(JidError::EmptyLocal));
    assert_eq!(Jid::parse("alpha.test/"), Err(JidError::EmptyResource));
    assert_eq!(Jid::parse("a@"), Err(JidError::Domain(DomainError::Empty)));
    assert_eq!(
        Jid::parse("a@/r"),
        Err(JidError::Domain(DomainError::Empty))
    );
    assert_eq!(Jid::parse("."), Err(JidError::Domain(DomainError::Empty)));
}

#[test]
fn jid_01_parts_have_at_most_1023_bytes() {
    let long = "x".repeat(1023);
    assert!(Jid::parse(&format!("{long}@alpha.test/{long}")).is_ok());
    assert_eq!(
        Jid::parse(&format!("x{long}@alpha.test")),
        Err(JidError::TooLong("localpart"))
    );
    assert_eq!(
        Jid::parse(&format!("alpha.test/x{long}")),
        Err(JidError::TooLong("resourcepart"))
    );
    // Bytes, not characters.
    assert_eq!(
        Jid::parse(&format!("{}@alpha.test", "é".repeat(512))),
        Err(JidError::TooLong("localpart"))
    );
}

#[test]
fn jid_01_forbidden_characters_are_told_with_the_good_domain() {
    let good = Domain::parse("alpha.test").unwrap();
    for local in [
        "a b", "a\"b", "a&b", "a'b", "a:b", "a<b", "a>b", "a\u{7}b", "a\u{A0}b",
    ] {
        assert_eq!(
            Jid::parse(&format!("{local}@ALPHA.test")),
            Err(JidError::LocalCharacter(good.clone())),
            "{local:?}"
        );
    }
    assert_eq!(
        Jid::parse("alpha.test/a\u{9b}b"),
        Err(JidError::ResourceCharacter(good))
    );
    assert!(Jid::parse("alpha.test/a b <c>").is_ok());
}

#[test]
fn jid_02_the_domain_is_normalised_and_the_text_stays() {
    let jid = Jid::parse("Juliet@ALPHA.Test./Balcony").unwrap();
    assert_eq!(jid.domain().as_str(), "alpha.test");
    assert_eq!(jid.as_str(), "Juliet@ALPHA.Test./Balcony");
    assert_eq!(jid, Jid::parse("juliet@alpha.test/Balcony").unwrap());
    assert_ne!(jid, Jid::parse("juliet@alpha.test/balcony").unwrap());
    assert_eq!(jid.to_bare(), Jid::parse("juliet@alpha.test").unwrap());
    assert_eq!(jid.to_bare().resource(), None);
}

fn strict(text: &str) -> Result<Jid, JidError> {
    Jid::parse_as(text, Strictness::Strict)
}

#[test]
fn jid_02_an_odd_localpart_passes_unless_addresses_are_strict() {
    // RFC 6122 lets them be; UsernameCaseMapped does not.
    for local in [
        "a\u{2665}b",
        "\u{2163}",
        "\u{1F600}",
        "a\u{B7}b",
        "1\u{2044}2",
    ] {
        let text = format!("{local}@alpha.test");
        assert!(Jid::parse(&text).is_ok(), "{text}");
        assert!(
            matches!(strict(&text), Err(JidError::LocalCharacter(_))),
            "{text}"
        );
    }
    for resource in ["\u{1100}", "\u{1F468}\u{200D}\u{1F467}", "\u{E000}"] {
        let text = format!("alpha.test/{resource}");
        assert!(Jid::parse(&text).is_ok(), "{text}");
        assert!(
            matches!(strict(&text), Err(JidError::ResourceCharacter(_))),
            "{text}"
        );
    }
    // The domain is held to all of it in both.
    for text in ["a@a_b.test", "a@\u{5D0}a.test", "a@b..c"] {
        assert!(Jid::parse(text).is_err() && strict(text).is_err(), "{text}");
    }
}

#[test]
fn jid_02_what_could_be_read_as_another_address_never_passes() {
    for local in [
        "a\u{FF20}b",     // fullwidth `@`
        "a\u{FF0F}b",     // fullwidth `/`
        "a\u{FE6B}b",     // small `@`
        "a\u{FF1A}b",     // fullwidth `:`
        "a\u{2100}b",     // `a/c` in one character
        "jul\u{200D}iet", // joiners, which RFC 6122 leaves out
        "jul\u{200C}iet",
        "jul\u{AD}iet", // soft hyphen
        "jul\u{200B}iet",
        "\u{202E}teiluj", // written backwards
        "jul\u{FEFF}iet",
        "jul\u{FE00}iet",
        "jul\u{3000}iet", // a wide space
        "jul\u{2028}iet",
        "jul\u{85}iet",
        "jul\u{E000}iet",
    ] {
        let text = format!("{local}@alpha.test");
        for parsed in [Jid::parse(&text), strict(&text)] {
            assert!(
                matches!(parsed, Err(JidError::LocalCharacter(_))),
                "{text:?}"
            );
        }
    }
    for resource in ["a\u{2028}b", "a\u{2029}b", "a\u{7}b", "a\nb", "a\u{85}b"] {
        let text = format!("alpha.test/{resource}");
        assert!(Jid::parse(&text).is_err(), "{text:?}");
    }
}

#[test]
fn jid_03_addresses_are_equal_in_their_normal_form() {
    for (one, other) in [
        ("Juliet@alpha.test/r", "juliet@ALPHA.test./r"),
        ("\u{C9}ve@alpha.test", "e\u{301}ve@alpha.test"),
        ("\u{FF21}b@alpha.test", "ab@alpha.test"),
        ("\u{FF76}\u{FF9E}@alpha.test", "\u{30AC}@alpha.test"),
        ("a@alpha.test/e\u{301}", "a@alpha.test/\u{E9}"),
        ("a@alpha.test/x\u{A0}y", "a@alpha.test/x y"),
        // An odd one, as its own server would take it.
        ("A\u{2665}B@alpha.test", "a\u{2665}b@alpha.test"),
        ("\u{2163}@alpha.test", "iv@alpha.test"),
    ] {
        let (a, b) = (Jid::parse(one).unwrap(), Jid::parse(other).unwrap());
        assert_eq!(a, b, "{one} {other}");
        assert_eq!((a.as_str(), b.as_str()), (one, other));
        let hash = |jid: &Jid| {
            use std::hash::{BuildHasher, BuildHasherDefault, DefaultHasher};
            BuildHasherDefault::<DefaultHasher>::default().hash_one(jid)
        };
        assert_eq!(hash(&a), hash(&b), "{one} {other}");
    }
    for (one, other) in [
        // A Cyrillic `а`.
        ("\u{430}lice@alpha.test", "alice@alpha.test"),
        // `ß` is no `ss`: RFC 7622 has it as itself.
        ("stra\u{DF}e@alpha.test", "strasse@alpha.test"),
        ("a@alpha.test/R", "a@alpha.test/r"),
        ("a@alpha.test", "a@alpha.test/r"),
        ("a.test/a", "a@a.test"),
    ] {
        assert_ne!(
            Jid::parse(one).unwrap(),
            Jid::parse(other).unwrap(),
            "{one} {other}"
        );
    }
}

#[test]
fn jid_02_the_profiles_of_precis_are_enforced() {
    for local in [
        "juliet",
        "juliet.capulet+x=y~!#$%()*,-;?[\\]^_`{|}",
        "fu\u{DF}ball",
        "\u{3C0}",
        "\u{3A3}",
        "l\u{B7}l",
        "\u{5D0}\u{5F3}",
        "\u{30A2}\u{30FB}\u{30A2}",
        "\u{915}\u{94D}\u{200D}\u{937}",
        "\u{628}\u{200C}\u{628}",
        "\u{628}\u{661}",
        "\u{5D0}1",
    ] {
        assert!(strict(&format!("{local}@alpha.test")).is_ok(), "{local}");
    }
    for local in [
        "\u{D7}",
        "a\u{B7}l",
        "a\u{375}",
        "a\u{5F3}",
        "a\u{30FB}b",
        "a\u{200D}b",
        "a\u{200C}b",
        "\u{628}\u{661}\u{6F1}",
        // Both directions, and digits of both.
        "a\u{5D0}",
        "\u{5D0}a",
        "\u{5D0}1\u{661}",
        "\u{5D0}-",
        "\u{661}",
        // Titlecase, compatibility, old Hangul, a hole in Unicode.
        "\u{1C5}",
        "\u{FB01}",
        "\u{1100}",
        "\u{378}",
        "\u{640}",
    ] {
        assert!(
            matches!(
                strict(&format!("{local}@alpha.test")),
                Err(JidError::LocalCharacter(_))
            ),
            "{local:?}"
        );
    }
    for resource in [
        "Caf\u{E9} \u{2665}",
        "\u{1F600}",
        "\u{2163}",
        "a\u{A0}b",
        "\u{FB01}",
    ] {
        assert!(
            strict(&format!("alpha.test/{resource}")).is_ok(),
            "{resource}"
        );
    }
}

#[test]
fn jid_01_a_part_is_short_enough_in_its_normal_form_too() {
    // 1023 bytes as it is written, many more once its ligatures are letters.
    let local = "\u{FDFA}".repeat(341);
    assert_eq!(local.len(), 1023);
    assert!(Jid::parse(&format!("{local}@alpha.test")).is_err());
}

#[test]
fn jid_03_one_name_has_one_spelling() {
    for (written, normal) in [
        ("ALPHA.test", "alpha.test"),
        ("alpha.test.", "alpha.test"),
        ("bücher.test", "xn--bcher-kva.test"),
        ("BÜCHER.test", "xn--bcher-kva.test"),
        ("bu\u{308}cher.test", "xn--bcher-kva.test"),
        ("XN--BCHER-KVA.test", "xn--bcher-kva.test"),
        ("alpha\u{3002}test", "alpha.test"),
        ("\u{FF41}lpha.test", "alpha.test"),
        // `ß` is itself, not `ss` (IDNA 2008).
        ("straße.test", "xn--strae-oqa.test"),
        ("localhost", "localhost"),
    ] {
        assert_eq!(domain(written), normal, "{written}");
    }
    assert_ne!(domain("straße.test"), domain("strasse.test"));
    // A Cyrillic `а` is another letter.
    assert_ne!(domain("\u{430}lpha.test"), domain("alpha.test"));
}

#[test]
fn jid_03_what_is_no_name_is_refused() {
    for text in [
        "a..b",
        ".a",
        "a..",
        "-a.test",
        "a-.test",
        "a_b.test",
        "a b.test",
        "a\u{FF20}b.test",
        "a\u{FF0F}b.test",
        "a\u{200D}b.test",
        "xn--a",
        "xn--bcher-kv.test",
        "*.test",
        "a\u{0}b",
        "a:5269",
        "\u{5D0}a.test",
        "\u{FFFD}.test",
        "xn--alpha-.test",
        "xn--.test",
    ] {
        assert!(Domain::parse(text).is_err(), "{text:?}");
    }
    assert_eq!(Domain::parse(&"a".repeat(64)), Err(DomainError::TooLong));
    assert_eq!(
        Domain::parse(&"a.".repeat(127)).map(|d| d.as_str().len()),
        Ok(253)
    );
    assert_eq!(
        Domain::parse(&format!("{}a", "a.".repeat(127))),
        Err(DomainError::TooLong)
    );
}

#[test]
fn jid_03_addresses_are_no_names() {
    for text in [
        "127.0.0.1",
        "127.0.0.1.",
        "[::1]",
        "::1",
        "1",
        "0x7f.1",
        "127.1",
        "\u{FF11}27.0.0.1",
        "a.0x",
        "a.0X1F",
    ] {
        assert!(Domain::parse(text).is_err(), "{text}");
    }
    assert_eq!(Domain::parse("127.0.0.1"), Err(DomainError::Address));
    assert_eq!(domain("1.alpha"), "1.alpha");
}

#[test]
fn subdomains_are_below_and_whole_labels() {
    let d = |text| Domain::parse(text).unwrap();
    assert!(d("a.alpha.test").is_subdomain_of(&d("alpha.test")));
    assert!(d("b.a.alpha.test").is_subdomain_of(&d("alpha.test")));
    assert!(!d("alpha.test").is_subdomain_of(&d("alpha.test")));
    assert!(!d("notalpha.test").is_subdomain_of(&d("alpha.test")));
}

proptest! {
    #[test]
    fn a_normalised_name_is_its_own_normal_form(text in "(?s)[a-zA-Zäß\u{430}0-9.\\-\u{3002}\u{FF41}x]{1,20}|.{0,20}") {
        if let Ok(domain) = Domain::parse(&text) {
            prop_assert!(domain.as_str().is_ascii());
            prop_assert!(!domain.as_str().ends_with('.'));
            prop_assert_eq!(Domain::parse(domain.as_str()), Ok(domain.clone()));
            prop_assert_eq!(Domain::parse(&format!("{domain}.")), Ok(domain.clone()));
            prop_assert_eq!(Domain::parse(&domain.as_str().to_uppercase()), Ok(domain));
        }
    }

    #[test]
    fn jid_03_a_normal_form_is_its_own(text in "(?s)[a-zA-Zäß\u{130}\u{3A3}\u{FF21}\u{FF76}\u{FF9E}\u{1E9B}\u{2163}\u{5D0}\u{661}]{1,8}|.{1,8}") {
        for strictness in [Strictness::Tolerant, Strictness::Strict] {
            for written in [format!("{text}@alpha.test"), format!("alpha.test/{text}")] {
                let Ok(jid) = Jid::parse_as(&written, strictness) else { continue };
                prop_assert_eq!(jid.as_str(), &written);
                let local = jid.normal_local().map(|local| format!("{local}@")).unwrap_or_default();
                let resource = jid.normal_resource().map(|part| format!("/{part}")).unwrap_or_default();
                let again = Jid::parse_as(&format!("{local}{}{resource}", jid.domain()), strictness);
                prop_assert_eq!(again.as_ref(), Ok(&jid), "{:?}", written);
                let again = again.unwrap();
                prop_assert_eq!(again.normal_local(), again.local());
            }
        }
    }

    #[test]
    fn jid_02_what_is_strict_is_tolerated(text in "(?s).{1,8}") {
        for written in [format!("{text}@alpha.test"), format!("alpha.test/{text}")] {
            if Jid::parse_as(&written, Strictness::Strict).is_ok() {
                prop_assert!(Jid::parse(&written).is_ok());
            }
        }
    }

    #[test]
    fn the_parts_of_an_address_are_its_text(text in "(?s)[a-z@/.]{0,20}|.{0,30}") {
        if let Ok(jid) = Jid::parse(&text) {
            prop_assert_eq!(jid.as_str(), &text);
            let mut bare = String::new();
            if let Some(local) = jid.local() {
                bare.push_str(local);
                bare.push('@');
            }
            prop_assert!(jid.bare().starts_with(&bare));
            prop_assert_eq!(Domain::parse(&jid.bare()[bare.len()..]), Ok(jid.domain().clone()));
            if let Some(resource) = jid.resource() {
                prop_assert_eq!(format!("{}/{resource}", jid.bare()), text);
            }
        }
    }
}

#[test]
fn jid_01_equal_addresses_and_only_those_have_one_normal_form() {
    let normal = |text: &str| Jid::parse(text).unwrap().to_normal();
    assert_eq!(
        normal("Juliet@ALPHA.test./Balcony"),
        "juliet@alpha.test/Balcony"
    );
    assert_eq!(normal("BÜCHER.example"), "xn--bcher-kva.example");
    assert_ne!(normal("a@alpha.test/x"), normal("a@alpha.test/X"));
}
