//! The parts of the packed text are found, whatever the lengths say.

use super::*;

fn packed(id: u16) -> Header {
    Header::from_wire(types::Header {
        kind: Kind::Presence,
        subtype: Subtype::Available,
        direction: Direction::Outbound,
        from_domain: 8,
        to_domain: 10,
        from: 10,
        to: 14,
        id,
        lang: 2,
        text: "org.testalpha.testa@org.testb@Alpha.test/xi1deurn:x c\n show".into(),
    })
}

#[test]
fn each_part_is_found_in_the_packed_text() {
    let header = packed(2);
    assert_eq!(header.from_domain(), "org.test");
    assert_eq!(header.to_domain(), "alpha.test");
    assert_eq!(header.partner(), "alpha.test");
    assert_eq!(header.from(), "a@org.test");
    assert_eq!(header.to(), "b@Alpha.test/x");
    assert_eq!(
        (header.to_bare(), header.to_resource()),
        ("b@Alpha.test", Some("x"))
    );
    assert_eq!(header.from_resource(), None);
    assert_eq!(header.id(), Some("i1"));
    assert_eq!(header.lang(), Some("de"));
    let payloads: Vec<_> = header.payloads().collect();
    assert_eq!(payloads, [("c", "urn:x"), ("show", "")]);
}

#[test]
fn a_length_beyond_the_text_is_no_panic() {
    let header = packed(60000);
    assert_eq!(
        (header.id(), header.lang(), header.payloads().count()),
        (None, None, 0)
    );
}
