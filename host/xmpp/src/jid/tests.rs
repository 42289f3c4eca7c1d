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
    assert_eq!(jid, Jid::parse("Juliet@alpha.test/Balcony").unwrap());
    assert_ne!(jid, Jid::parse("juliet@alpha.test/Balcony").unwrap());
    assert_eq!(jid.to_bare(), Jid::parse("Juliet@alpha.test").unwrap());
    assert_eq!(jid.to_bare().resource(), None);
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
