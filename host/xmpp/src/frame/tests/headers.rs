//! The stream header, and what it declares for all that comes after it.

use super::*;

#[test]
fn a_header_is_read_with_all_that_it_says() {
    let header = header(OPEN).unwrap();
    assert_eq!(header.from.as_deref(), Some("a.test"));
    assert_eq!(header.to.as_deref(), Some("b.test"));
    assert_eq!(header.lang.as_deref(), Some("de"));
    assert_eq!(header.version, Some(Version::ONE));
    assert!(header.dialback);
    assert_eq!(header.id, None);
}

#[test]
fn str_01_a_stream_of_another_namespace_is_refused() {
    for text in [
        "<stream:stream xmlns:stream='urn:x'>",
        "<stream xmlns='jabber:server'>",
        "<stream>",
        "<stream:stream xmlns='jabber:client' xmlns:stream='http://etherx.jabber.org/streams'>",
    ] {
        assert_eq!(header(text), Err(FrameError::Namespace), "{text}");
    }
    assert!(matches!(
        header("<s:x xmlns:s='http://etherx.jabber.org/streams'>"),
        Err(FrameError::Format(_))
    ));
    assert!(matches!(
        header("<s:stream>"),
        Err(FrameError::Xml(XmlError::NotWellFormed(_)))
    ));
    assert!(matches!(
        header("<s:stream xmlns:s='http://etherx.jabber.org/streams'/>"),
        Err(FrameError::Format(_))
    ));
}

#[test]
fn str_06_a_version_is_two_numbers() {
    let version = |version: &str| {
        header(&format!(
            "<stream xmlns='http://etherx.jabber.org/streams' version='{version}'>"
        ))
        .map(|header| header.version)
    };
    assert_eq!(version("1.0"), Ok(Some(Version::ONE)));
    assert_eq!(version("01.00"), Ok(Some(Version::ONE)));
    assert!(version("1.10").unwrap() > version("1.9").unwrap());
    assert!(version("0.9").unwrap() < Some(Version::ONE));
    assert!(version("99999999999999.0").unwrap() > Some(Version::ONE));
    for malformed in ["1", "", ".", "1.", "+1.0", "1.0.0", "one"] {
        assert_eq!(version(malformed), Err(FrameError::Version), "{malformed}");
    }
    assert_eq!(
        header("<stream xmlns='http://etherx.jabber.org/streams'>").map(|header| header.version),
        Ok(None)
    );
}

#[test]
fn str_08_what_the_header_declares_is_in_force_and_declared_anew() {
    assert_eq!(
        elements("<db:result>k</db:result>"),
        ["<result xmlns='jabber:server:dialback'>k</result>"]
    );
    let (events, error) = read([
        &b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' xmlns:p='urn:p'>"[..],
        b"<message><p:x/></message>",
    ]);
    assert_eq!(error, None);
    let Some(Event::Element(frame)) = events.last() else {
        panic!("{events:?}")
    };
    assert_eq!(
        Writer::new(ns::SERVER).to_xml(frame.element()),
        "<message><x xmlns='urn:p'/></message>"
    );
}

#[test]
fn str_09_both_prefix_styles_are_the_same() {
    let styles = [
        (
            "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
            "<message><body/></message>",
            "</stream:stream>",
        ),
        (
            "<stream xmlns='http://etherx.jabber.org/streams'>",
            "<message xmlns='jabber:server'><body/></message>",
            "</stream>",
        ),
        (
            "<s:stream xmlns:s='http://etherx.jabber.org/streams'>",
            "<message xmlns='jabber:server'><body/></message>",
            "</s:stream \n>",
        ),
    ];
    for (open, message, close) in styles {
        let (events, error) = read([open.as_bytes(), message.as_bytes(), close.as_bytes()]);
        assert_eq!(error, None, "{open}");
        let [Event::Open(_), Event::Element(frame), Event::Close] = &events[..] else {
            panic!("{events:?}")
        };
        assert!(
            frame.element().is(ns::SERVER, "message")
                && frame.element().child(ns::SERVER, "body").is_some()
        );
    }
}

#[test]
fn str_10_a_stanza_with_a_prefix_is_refused() {
    assert_eq!(
        condition("<foo:message xmlns:foo='jabber:server'/>"),
        StreamCondition::BadNamespacePrefix
    );
    assert_eq!(elements("<db:verify/>").len(), 1);
}

#[test]
fn str_14_a_stanza_comes_with_the_streams_language() {
    let (events, _) = after_open(b"<message/>");
    let [Event::Element(frame)] = &events[..] else {
        panic!("{events:?}")
    };
    assert_eq!(frame.lang(), Some("de"));
}
