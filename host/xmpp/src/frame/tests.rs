use proptest::{collection::vec, prelude::*};

use super::*;
use crate::xml::generate;

const OPEN: &str = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                    xmlns:db='jabber:server:dialback' from='a.test' to='b.test' xml:lang='de' version='1.0'>";

fn limits() -> Limits {
    Limits {
        stanza_bytes: 20_000,
        ..Limits::default()
    }
}

/// All events of these pieces, with runs of whitespace joined, and the error that ended them.
fn read<'a>(pieces: impl IntoIterator<Item = &'a [u8]>) -> (Vec<Event>, Option<FrameError>) {
    let mut framer = Framer::new(limits());
    framer.authenticated();
    let mut events = Vec::new();
    for piece in pieces {
        framer.push(piece);
        loop {
            match framer.next() {
                Ok(None) => break,
                Ok(Some(Event::Whitespace)) if events.last() == Some(&Event::Whitespace) => {}
                Ok(Some(event)) => events.push(event),
                Err(error) => return (events, Some(error)),
            }
        }
    }
    (events, None)
}

fn after_open(content: &[u8]) -> (Vec<Event>, Option<FrameError>) {
    let (mut events, error) = read([OPEN.as_bytes(), content]);
    assert!(matches!(events.remove(0), Event::Open(_)));
    (events, error)
}

fn header(text: &str) -> Result<StreamHeader, FrameError> {
    match read([text.as_bytes()]) {
        (events, None) => match events.into_iter().next() {
            Some(Event::Open(header)) => Ok(*header),
            other => panic!("{other:?}"),
        },
        (_, Some(error)) => Err(error),
    }
}

fn condition(content: impl AsRef<[u8]>) -> StreamCondition {
    let (events, error) = after_open(content.as_ref());
    error
        .unwrap_or_else(|| panic!("{events:?}"))
        .stream_error()
        .condition
}

fn elements(content: &str) -> Vec<String> {
    let (events, error) = after_open(content.as_bytes());
    assert_eq!(error, None);
    events
        .into_iter()
        .filter_map(|event| match event {
            Event::Element(frame) => Some(Writer::new(ns::SERVER).to_xml(frame.element())),
            _ => None,
        })
        .collect()
}

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

#[test]
fn xml_01_restricted_xml_is_refused_wherever_it_stands() {
    for text in [
        "<!-- x -->",
        "<!DOCTYPE a>",
        "<?pi?>",
        "<?xml version='1.0'?>",
        "<!ENTITY a 'b'>",
    ] {
        for content in [
            text.to_owned(),
            format!("<message>{text}</message>"),
            format!("<message/>{text}"),
        ] {
            assert_eq!(
                condition(&content),
                StreamCondition::RestrictedXml,
                "{content}"
            );
        }
        if !text.starts_with("<?xml") {
            let error = header(&format!("{text}{OPEN}")).unwrap_err();
            assert_eq!(
                error.stream_error().condition,
                StreamCondition::RestrictedXml,
                "{text}"
            );
        }
    }
    assert_eq!(
        condition("<message>&foo;</message>"),
        StreamCondition::RestrictedXml
    );
}

#[test]
fn xml_01_restricted_xml_is_refused_before_it_ends() {
    for begun in [
        "<!-",
        "<!D",
        "<?p",
        "<message><!-",
        "<message><!D",
        "<message><?",
    ] {
        assert_eq!(condition(begun), StreamCondition::RestrictedXml, "{begun}");
    }
}

/// The rows of table 4a that are about XML, as the peer is told of them.
#[test]
fn table_4a_each_fault_of_xml_has_its_condition() {
    let told = |bytes: &[u8]| {
        let (events, error) = read([bytes]);
        let error = error.unwrap_or_else(|| panic!("{}: {events:?}", bytes.escape_ascii()));
        let condition = error.stream_error().condition;
        let (text, application) = (error.stream_error().text, error.stream_error().application);
        assert!(text.is_some_and(|text| !text.is_empty()));
        (condition, application)
    };
    let streams = "xmlns:stream='http://etherx.jabber.org/streams'";
    let headers: &[(String, StreamCondition)] = &[
        (
            "<stream:stream xmlns:stream='urn:x'>".to_owned(),
            StreamCondition::InvalidNamespace,
        ),
        (
            format!("<stream:stream xmlns='jabber:client' {streams}>"),
            StreamCondition::InvalidNamespace,
        ),
        (
            format!("<stream:stream xmlns='jabber:server' {streams} version='one'>"),
            StreamCondition::UnsupportedVersion,
        ),
        (
            format!("<stream:other xmlns='jabber:server' {streams}>"),
            StreamCondition::BadFormat,
        ),
        (
            "<?xml version='1.0' encoding='UTF-16'?>".to_owned(),
            StreamCondition::UnsupportedEncoding,
        ),
        (
            "<!DOCTYPE stream>".to_owned(),
            StreamCondition::RestrictedXml,
        ),
        ("<stream:stream>".to_owned(), StreamCondition::NotWellFormed),
        ("stream".to_owned(), StreamCondition::BadFormat),
    ];
    for (text, condition) in headers {
        assert_eq!(told(text.as_bytes()), (*condition, None), "{text}");
    }
    let contents: &[(&[u8], StreamCondition)] = &[
        (
            b"<p:message xmlns:p='jabber:server'/>",
            StreamCondition::BadNamespacePrefix,
        ),
        (b"<message></body>", StreamCondition::NotWellFormed),
        (b"<p:message/>", StreamCondition::NotWellFormed),
        (
            b"<a xmlns:p='u' xmlns:q='u' p:b='' q:b=''/>",
            StreamCondition::NotWellFormed,
        ),
        (b"<!-- -->", StreamCondition::RestrictedXml),
        (b"<?pi?>", StreamCondition::RestrictedXml),
        (b"<a>&entity;</a>", StreamCondition::RestrictedXml),
        (b"<a>\xED\xA0\x80</a>", StreamCondition::UnsupportedEncoding),
        (b"<a>\xC0\xBC</a>", StreamCondition::UnsupportedEncoding),
        (b"text", StreamCondition::BadFormat),
    ];
    for (content, condition) in contents {
        let bytes = [OPEN.as_bytes(), content].concat();
        assert_eq!(told(&bytes), (*condition, None), "{}", bytes.escape_ascii());
    }
    let deep = "<a>".repeat(65);
    let wide = format!("<a{}>", " b=''".repeat(65));
    let long = format!("<a>{}</a>", "x".repeat(20_000));
    for (content, application) in [(deep, None), (wide, None), (long, Some("stanza-too-big"))] {
        assert_eq!(
            told(format!("{OPEN}{content}").as_bytes()),
            (
                StreamCondition::PolicyViolation,
                application.map(str::to_owned)
            ),
            "{}",
            &content[..20]
        );
    }
}

#[test]
fn v01_entities_are_never_declared() {
    let bomb =
        "<?xml version='1.0'?><!DOCTYPE lolz [<!ENTITY lol 'lol'><!ENTITY lol2 '&lol;&lol;'>]>";
    let error = header(&format!("{bomb}{OPEN}")).unwrap_err();
    assert_eq!(
        error.stream_error().condition,
        StreamCondition::RestrictedXml
    );
    assert_eq!(
        condition("<!DOCTYPE a SYSTEM 'file:///etc/passwd'><message>&a;</message>"),
        StreamCondition::RestrictedXml
    );
}

#[test]
fn xml_02_what_is_not_well_formed_closes_the_stream() {
    for content in [
        "<a></b>",
        "<a b='1' b='2'/>",
        "<p:a/>",
        "<a xmlns:p=''/>",
        "<a <",
        "<a b='<'/>",
        "</other>",
        "<a>]]></a>",
        "<a/ b>",
    ] {
        assert_eq!(
            condition(content),
            StreamCondition::NotWellFormed,
            "{content}"
        );
    }
}

#[test]
fn xml_03_only_utf_8_is_read() {
    for bytes in [
        &b"<a>\xC0\xBC</a>"[..],
        b"<a>\xED\xA0\x80</a>",
        b"<a>\xF4\x90\x80\x80</a>",
        b"<a>\xE2\x82</a>",
        b"<a b='\xFF'/>",
        b"<\0a/>",
        b"\0<",
        b"\xFE\xFF",
        b"\xFF\xFE",
    ] {
        assert_eq!(
            condition(bytes),
            StreamCondition::UnsupportedEncoding,
            "{bytes:?}"
        );
    }
    assert_eq!(
        header("<?xml version='1.0' encoding='UTF-16'?><stream>"),
        Err(FrameError::Encoding)
    );
    assert_eq!(read([&b"\xFF\xFE<\0s\0"[..]]).1, Some(FrameError::Encoding));
    assert_eq!(read([&b"\xFE\xFF\0<\0s"[..]]).1, Some(FrameError::Encoding));
    // A byte order mark in UTF-8 is text (RFC 6120 §11.6).
    assert!(matches!(
        read([&b"\xEF\xBB\xBF<stream>"[..]]).1,
        Some(FrameError::Format(_))
    ));
}

#[test]
fn xml_04_the_declaration_is_the_first_thing_or_absent() {
    let rest = OPEN.split_once("?>").unwrap().1;
    for declaration in [
        "",
        "\n",
        "<?xml version='1.0'?>",
        "<?xml version=\"1.0\" encoding=\"utf-8\"?>\n",
        "<?xml version = '1.0' encoding='UTF-8' standalone='no' ?>",
        "<?xml\tversion='1.0' standalone='yes'?>",
    ] {
        assert!(
            header(&format!("{declaration}{rest}")).is_ok(),
            "{declaration}"
        );
    }
    for declaration in [
        " <?xml version='1.0'?>",
        "<?xml version='1.0'?><?xml version='1.0'?>",
        "<?xml version='1.1'?>",
        "<?xml?>",
        "<?xml encoding='UTF-8'?>",
        "<?xml version='1.0' standalone='no' encoding='UTF-8'?>",
        "<?xml version='1.0' other='1'?>",
        "<?xmlversion='1.0'?>",
        "<?XML version='1.0'?>",
    ] {
        assert!(
            header(&format!("{declaration}{rest}")).is_err(),
            "{declaration}"
        );
    }
}

#[test]
fn xml_05_whitespace_keeps_alive_and_text_does_not() {
    let (events, error) = after_open(b" \n<message/>\t\r\n ");
    assert_eq!(error, None);
    assert!(matches!(
        &events[..],
        [Event::Whitespace, Event::Element(_), Event::Whitespace]
    ));
    for content in ["x", "<message/>x", "&amp;", "<![CDATA[x]]>"] {
        assert_eq!(condition(content), StreamCondition::BadFormat, "{content}");
    }
}

#[test]
fn xml_06_an_element_may_have_just_so_many_bytes() {
    let sized = |bytes: usize| format!("<message>{}</message>", "x".repeat(bytes - 19));
    let most = limits().stanza_bytes;
    assert_eq!(sized(most).len(), most);
    let (events, _) = after_open(sized(most).as_bytes());
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.wire_size() == most));
    let (_, error) = after_open(sized(most + 1).as_bytes());
    assert_eq!(error, Some(FrameError::TooBig(most)));
    let told = error.unwrap().stream_error();
    assert_eq!(told.condition, StreamCondition::PolicyViolation);
    assert_eq!(told.application.as_deref(), Some("stanza-too-big"));
}

#[test]
fn v11_an_endless_element_ends_at_the_limit_before_authentication() {
    let endless = ["<a b='", "<a>", "<a b='1' ", "<a", "<a/", "<a><![CDATA["];
    for begin in endless {
        let mut framer = Framer::new(Limits {
            attributes: usize::MAX,
            elements: usize::MAX,
            depth: usize::MAX,
            ..Limits::default()
        });
        framer.push(OPEN.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
        framer.push(begin.as_bytes());
        let mut pushed = begin.len();
        let error = loop {
            match framer.next() {
                Ok(None) => {}
                Ok(event) => panic!("{event:?}"),
                Err(error) => break error,
            }
            framer.push(b"x");
            pushed += 1;
        };
        assert!(
            matches!(error, FrameError::TooBig(_) | FrameError::Xml(_)),
            "{error}"
        );
        assert!(pushed <= 16 * 1024, "{pushed}");
        assert_eq!(framer.buffered(), 0);
    }
}

#[test]
fn v11_a_header_and_what_is_before_it_have_a_limit_too() {
    for text in ["<stream:stream to='", " ", "<?xml ", "\n\n"] {
        let (events, error) = read([text.as_bytes(), &[b' '; 20_000]]);
        assert!(events.is_empty());
        assert_eq!(error, Some(FrameError::TooBig(16 * 1024)), "{text}");
    }
}

#[test]
fn v10_attribute_and_namespace_floods_are_stopped_while_they_arrive() {
    let flood = |one: &str| format!("<a{}", one.repeat(2_000)).into_bytes();
    for one in [" a=''", " xmlns:a=''", " xmlns:a = \"\""] {
        let content = flood(one);
        let (_, error) = after_open(&content[..2_000]);
        assert!(
            matches!(error, Some(FrameError::Xml(XmlError::Limit(_)))),
            "{one}"
        );
    }
    let many = "<b xmlns='u'/>".repeat(300);
    assert_eq!(
        after_open(format!("<a>{many}").as_bytes()).1,
        Some(XmlError::Limit("namespace declarations").into())
    );
}

#[test]
fn v13_nesting_is_stopped_while_it_arrives() {
    assert_eq!(
        condition("<a>".repeat(65)),
        StreamCondition::PolicyViolation
    );
    assert_eq!(
        elements(&format!("{}{}", "<a>".repeat(64), "</a>".repeat(64))).len(),
        1
    );
}

#[test]
fn v02_what_looks_like_an_end_is_none_in_quotes_and_cdata() {
    assert_eq!(
        elements("<a b='/>' c=\"'>\"><![CDATA[</a>]]]]><![CDATA[>]]>/&gt;</a><b/>"),
        [
            "<a b='/&gt;' c='&apos;&gt;'>&lt;/a&gt;]]&gt;/&gt;</a>",
            "<b/>"
        ]
    );
}

#[test]
fn v02_a_stream_inside_a_stanza_is_just_an_element() {
    assert_eq!(
        elements("<message><stream:stream><message/></stream:stream></message>"),
        [
            "<message><stream xmlns='http://etherx.jabber.org/streams'><message xmlns='jabber:server'/></stream></message>"
        ]
    );
    assert_eq!(
        condition("<message></stream:stream>"),
        StreamCondition::NotWellFormed
    );
}

#[test]
fn v02_a_truncated_character_swallows_no_markup() {
    for at in 0..4 {
        let text = ["<message><body>", "x", "</body>", "</message>"];
        let mut bytes = Vec::new();
        for (index, part) in text.iter().enumerate() {
            bytes.extend_from_slice(part.as_bytes());
            if index == at {
                bytes.extend_from_slice(b"\xEB<foo>");
            }
        }
        let (events, error) = after_open(&bytes);
        assert!(error.is_some() || events.is_empty(), "{at}: {events:?}");
    }
}

#[test]
fn the_end_of_the_stream_bears_the_headers_name() {
    assert!(matches!(
        &after_open(b"</stream:stream>ignored<").0[..],
        [Event::Close]
    ));
    for close in ["</stream>", "</x:stream>", "</ stream:stream>"] {
        assert_eq!(condition(close), StreamCondition::NotWellFormed, "{close}");
    }
}

#[test]
fn a_failed_framer_goes_on_failing_and_holds_nothing() {
    let mut framer = Framer::new(limits());
    framer.push(b"x");
    assert!(framer.next().is_err());
    framer.push(OPEN.as_bytes());
    assert!(framer.next().is_err());
    assert_eq!(framer.buffered(), 0);
}

#[test]
fn v03_what_came_before_a_restart_can_be_discarded() {
    let mut framer = Framer::new(limits());
    framer.push(OPEN.as_bytes());
    framer.push(b"<starttls/><auth/>");
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    assert!(matches!(framer.next(), Ok(Some(Event::Element(_)))));
    assert_eq!(framer.discard(), 7);
    framer.restart();
    assert_eq!(framer.next(), Ok(None));
    // What the old header declared is forgotten.
    framer.push(b"<stream xmlns='http://etherx.jabber.org/streams'><db:result/>");
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    assert!(framer.next().is_err());
}

#[test]
fn memory_is_given_back_after_a_big_stanza() {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(OPEN.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    framer.push(format!("<message>{}</message><iq", "x".repeat(400_000)).as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Element(_)))));
    assert_eq!(framer.next(), Ok(None));
    assert_eq!(framer.buffered(), 3);
    assert!(
        framer.buffer.capacity() <= KEPT_BYTES,
        "{}",
        framer.buffer.capacity()
    );
}

#[test]
fn a_slow_trickle_is_scanned_once() {
    // A scanner that began anew with each byte would look at 10^11 bytes here.
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(OPEN.as_bytes());
    assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
    framer.push(b"<message a='");
    for _ in 0..500_000 {
        framer.push(b"x");
        assert_eq!(framer.next(), Ok(None));
    }
    framer.push(b"'/>");
    assert!(matches!(framer.next(), Ok(Some(Event::Element(_)))));
}

#[test]
fn v02_long_namespaces_used_often_do_not_outgrow_the_limit() {
    let ns = "u".repeat(5_000);
    let (events, _) = after_open(
        format!(
            "<message xmlns:p='{ns}'>{}</message>",
            "<p:a/>".repeat(1_000)
        )
        .as_bytes(),
    );
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.rewritten == Rewritten::TooBig));
    let (events, _) =
        after_open(format!("<message>{}</message>", "<![CDATA[<<<<<]]>".repeat(1_000)).as_bytes());
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.rewritten == Rewritten::TooBig));
    let (events, _) = after_open(format!("<message>{}</message>", "x".repeat(15_000)).as_bytes());
    assert!(matches!(&events[..], [Event::Element(frame)] if frame.rewritten == Rewritten::Fits));
}

/// A stream's content: elements, whitespace, and pieces that are nearly XML.
fn content() -> impl Strategy<Value = Vec<u8>> {
    let part = prop_oneof![
        4 => generate::element().prop_map(|element| element.to_xml().into_bytes()),
        1 => Just(b" \n".to_vec()),
        1 => generate::mutated(),
        1 => generate::soup(),
    ];
    vec(part, 1..6).prop_map(|parts| parts.concat())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn events_do_not_depend_on_how_the_bytes_are_cut(content in content(), sizes in vec(1..40_usize, 1..20)) {
        let bytes = [OPEN.as_bytes(), &content].concat();
        let whole = read([&bytes[..]]);
        prop_assert_eq!(&read(bytes.chunks(1)), &whole);
        let mut rest = &bytes[..];
        let mut pieces = Vec::new();
        for size in sizes.iter().cycle() {
            let (piece, tail) = rest.split_at((*size).min(rest.len()));
            pieces.push(piece);
            rest = tail;
            if rest.is_empty() {
                break;
            }
        }
        prop_assert_eq!(read(pieces), whole);
    }

    #[test]
    fn xml_07_generated_streams_give_back_every_element(elements in vec(generate::element(), 0..5)) {
        let bytes = elements.iter().map(|element| Writer::new(ns::SERVER).to_xml(element)).collect::<Vec<_>>().join("\n");
        let (events, error) = after_open(bytes.as_bytes());
        prop_assert_eq!(error, None);
        let read: Vec<Element> = events.into_iter().filter_map(|event| match event {
            Event::Element(frame) => Some(frame.into_element()),
            _ => None,
        }).collect();
        prop_assert_eq!(read, elements);
    }
}
