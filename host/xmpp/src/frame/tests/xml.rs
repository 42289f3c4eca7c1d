//! Which XML is refused, where, and by which name.

use super::*;

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
