use proptest::prelude::*;

use super::*;
use crate::{frame::Limits, ns};

fn parse(text: &str) -> Result<Element, XmlError> {
    parse_in(text, &mut Scope::with_default(ns::SERVER))
}

fn parse_in(text: &str, scope: &mut Scope) -> Result<Element, XmlError> {
    parse_element(text, scope, &Limits::default().bounds()).map(|parsed| parsed.element)
}

fn restricted(text: &str) -> bool {
    matches!(parse(text), Err(XmlError::Restricted(_)))
}

fn malformed(text: &str) -> bool {
    matches!(parse(text), Err(XmlError::NotWellFormed(_)))
}

#[test]
fn xml_01_comments_instructions_types_and_entities_are_restricted() {
    for text in [
        "<a><!-- x --></a>",
        "<a><?pi?></a>",
        "<a><?xml version='1.0'?></a>",
        "<a><!DOCTYPE a></a>",
        "<a>&foo;</a>",
        "<a b='&foo;'/>",
        "<a>&nbsp;</a>",
    ] {
        assert!(restricted(text), "{text}: {:?}", parse(text));
    }
}

#[test]
fn xml_01_cdata_and_predefined_references_are_text() {
    let element =
        parse("<a b='&lt;&#x41;&#66;'>&amp;<![CDATA[<!-- &x; -->]]>&gt;&apos;&quot;</a>").unwrap();
    assert_eq!(element.attribute("b"), Some("<AB"));
    assert_eq!(
        element.nodes(),
        [Node::Text("&<!-- &x; -->>'\"".to_owned())]
    );
}

#[test]
fn xml_02_what_is_not_well_formed_is_refused() {
    for text in [
        "<a>",
        "<a></b>",
        "<a/><b/>",
        "<a/> ",
        "x<a/>",
        "<a b/>",
        "<a b=c/>",
        "<a b='1' b='2'/>",
        "<a b='1'c='2'/>",
        "<a b='<'/>",
        "<a b='1/>",
        "<a>]]></a>",
        "<a>&</a>",
        "<a>&amp</a>",
        "<a b='&'/>",
        "<a>&#0;</a>",
        "<a>&#xFFFE;</a>",
        "<a>&#xD800;</a>",
        "<a>&#x110000;</a>",
        "<a>&#;</a>",
        "<a>&#x;</a>",
        "<a>&#X41;</a>",
        "<a>&#+65;</a>",
        "<a>&#99999999999;</a>",
        "<a>\u{1}</a>",
        "<a>\u{FFFE}</a>",
        "<a>\u{FFFF}</a>",
        "<a b='\u{b}'/>",
        "< a/>",
        "<a / >",
        "<1/>",
        "<-/>",
        "<a 1='x'/>",
        "</a>",
        "",
        "<>",
        "<a></ a>",
        "<a><![CDATA[</a>",
    ] {
        assert!(malformed(text), "{text:?}: {:?}", parse(text));
    }
    assert!(parse("<a b = '1'\r\n\tc=\"2\" ></a >").is_ok());
}

#[test]
fn xml_02_what_is_not_namespace_well_formed_is_refused() {
    for text in [
        "<p:a/>",
        "<a p:b='1'/>",
        "<a xmlns:p=''/>",
        "<a xmlns:p='u' xmlns:q='u' p:b='1' q:b='2'/>",
        "<a xmlns='u' xmlns='v'/>",
        "<a xmlns:p='u' xmlns:p='u'/>",
        "<:a/>",
        "<a:/>",
        "<a:b:c xmlns:a='u'/>",
        "<a xmlns:='u'/>",
        "<a xmlns:1='u'/>",
        "<p:a xmlns:p='u'></q:a>",
        "<b xmlns:p='u'><p:a xmlns:q='u'></q:a></b>",
        "<a><b xmlns:p='u'/><p:c/></a>",
    ] {
        assert!(malformed(text), "{text:?}: {:?}", parse(text));
    }
    assert!(parse("<a xmlns:p='u' xmlns:q='v' p:b='1' q:b='2' b='3'/>").is_ok());
}

#[test]
fn xml_08_reserved_prefixes_stay_as_they_are() {
    for text in [
        "<a xmlns:xml='u'/>",
        "<a xmlns:p='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns='http://www.w3.org/XML/1998/namespace'/>",
        "<a xmlns:xmlns='u'/>",
        "<a xmlns:xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns:p='http://www.w3.org/2000/xmlns/'/>",
        "<a xmlns='http://www.w3.org/2000/xmlns/'/>",
        "<xmlns:a/>",
        "<xml:a/>",
    ] {
        assert!(malformed(text), "{text:?}: {:?}", parse(text));
    }
    let element =
        parse("<a xmlns:xml='http://www.w3.org/XML/1998/namespace' xml:lang='de'/>").unwrap();
    assert_eq!(element.lang(), Some("de"));
    assert_eq!(element.to_xml(), "<a xmlns='jabber:server' xml:lang='de'/>");
}

#[test]
fn xml_07_spaces_and_line_ends_survive_a_second_reading() {
    let element = parse("<a b='1\t2\r\n3&#9;4&#10;5&#13;6'>x\r\ny\rz&#13;</a>").unwrap();
    assert_eq!(element.attribute("b"), Some("1 2 3\t4\n5\r6"));
    assert_eq!(element.text(), "x\ny\nz\r");
    assert_eq!(
        element.to_xml(),
        "<a xmlns='jabber:server' b='1 2 3&#9;4&#10;5&#13;6'>x\ny\nz&#13;</a>"
    );
    assert_eq!(parse(&element.to_xml()), Ok(element));
}

#[test]
fn xml_07_all_that_ends_text_or_a_value_is_escaped() {
    let element = Element::new("", "a")
        .with_attribute("b", "<>&'\"")
        .with_text("<>&'\"]]>");
    assert_eq!(
        element.to_xml(),
        "<a b='&lt;&gt;&amp;&apos;&quot;'>&lt;&gt;&amp;'\"]]&gt;</a>"
    );
}

#[test]
fn str_10_no_element_is_written_with_a_prefix() {
    let element =
        parse("<s:message xmlns:s='jabber:server' xmlns:u='urn:u'><u:x><s:y/></u:x></s:message>")
            .unwrap();
    assert_eq!(
        Writer::new(ns::SERVER).to_xml(&element),
        "<message><x xmlns='urn:u'><y xmlns='jabber:server'/></x></message>"
    );
}

#[test]
fn str_13_a_forwarded_message_keeps_its_namespace() {
    let text = "<message><forwarded xmlns='urn:xmpp:forward:0'><message xmlns='jabber:client' from='a@b.test'>\
                <body>hi</body></message></forwarded></message>";
    assert_eq!(Writer::new(ns::SERVER).to_xml(&parse(text).unwrap()), text);
}

#[test]
fn xml_08_declared_prefixes_are_used_for_their_namespaces_alone() {
    let writer =
        Writer::new(ns::SERVER).with_prefixes(&[("db", ns::DIALBACK), ("stream", ns::STREAM)]);
    let result = Element::new(ns::DIALBACK, "result")
        .with_attribute("to", "b.test")
        .with_text("key");
    assert_eq!(
        writer.to_xml(&result),
        "<db:result to='b.test'>key</db:result>"
    );
    let features =
        Element::new(ns::STREAM, "features").with_child(Element::new(ns::TLS, "starttls"));
    assert_eq!(
        writer.to_xml(&features),
        "<stream:features><starttls xmlns='urn:ietf:params:xml:ns:xmpp-tls'/></stream:features>"
    );
}

#[test]
fn an_element_in_no_namespace_undeclares_the_default() {
    let element = parse("<a xmlns='u'><b xmlns=''><c/></b></a>").unwrap();
    assert_eq!(element.to_xml(), "<a xmlns='u'><b xmlns=''><c/></b></a>");
}

#[test]
fn attributes_in_namespaces_get_prefixes_in_order() {
    let element =
        parse("<a xmlns:z='u' xmlns:y='v' z:b='1' y:b='2' z:c='3' b='4'><d z:e='5'/></a>").unwrap();
    assert_eq!(
        Writer::new(ns::SERVER).to_xml(&element),
        "<a xmlns:ns0='u' ns0:b='1' xmlns:ns1='v' ns1:b='2' ns0:c='3' b='4'><d xmlns:ns0='u' ns0:e='5'/></a>"
    );
}

#[test]
fn v13_depth_is_bounded_before_anything_recurses() {
    let text = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(100_000));
    assert_eq!(parse(&text), Err(XmlError::Limit("depth")));
    let most = Limits::default().depth;
    assert!(parse(&format!("{}{}", "<a>".repeat(most), "</a>".repeat(most))).is_ok());
    assert!(
        parse(&format!(
            "{}<a/>{}",
            "<a>".repeat(most),
            "</a>".repeat(most)
        ))
        .is_err()
    );
}

#[test]
fn v13_what_was_built_deeper_than_any_stack_is_dropped() {
    let mut element = Element::new("", "a").with_text("x");
    for _ in 0..100_000 {
        element = Element::new("", "a").with_child(element).with_text("y");
    }
    drop(element);
}

#[test]
fn v13_the_deepest_that_is_taken_is_read_written_compared_and_dropped() {
    let most = Limits::default().depth;
    let text = format!("{}{}", "<a>".repeat(most), "</a>".repeat(most));
    // A stack of 64 KiB, a thirtieth of a thread's.
    let walked = std::thread::Builder::new()
        .stack_size(64 * 1024)
        .spawn(move || {
            let element = parse(&text).unwrap();
            let again = parse(&element.to_xml()).unwrap();
            assert_eq!(again.clone(), element);
            format!("{again:?}").len()
        });
    assert!(walked.unwrap().join().unwrap() > most);
}

#[test]
fn xml_09_what_no_schema_knows_is_well_formed_and_passes() {
    let text = "<message from='a' from2='b' xml:lang='x'><body/><body/><never-heard-of/>loose text</message>";
    assert_eq!(Writer::new(ns::SERVER).to_xml(&parse(text).unwrap()), text);
}

#[test]
fn v10_attributes_and_declarations_are_bounded() {
    let attributes: String = (0..80_000).map(|i| format!(" a{i}=''")).collect();
    assert_eq!(
        parse(&format!("<a{attributes}/>")),
        Err(XmlError::Limit("attributes"))
    );
    let declarations: String = (0..33).map(|i| format!(" xmlns:p{i}='u'")).collect();
    assert_eq!(
        parse(&format!("<a{declarations}/>")),
        Err(XmlError::Limit("namespace declarations"))
    );
    let elements = "<b xmlns='v'/>".repeat(257);
    assert_eq!(
        parse(&format!("<a>{elements}</a>")),
        Err(XmlError::Limit("namespace declarations"))
    );
    assert_eq!(
        parse(&format!("<a>{}</a>", "<b/>".repeat(10_000))),
        Err(XmlError::Limit("elements"))
    );
}

#[test]
fn v02_a_name_that_other_parsers_refuse_is_refused() {
    for name in [
        "\u{10000}",
        "\u{FEFF}a",
        "a\u{203F}",
        "\u{37F}",
        "a\u{D7}",
        "\u{1F600}",
        "\u{132}",
        "\u{300}a",
        "\u{660}",
    ] {
        assert!(malformed(&format!("<{name}/>")), "{name:?}");
        assert!(malformed(&format!("<a {name}='1'/>")), "{name:?}");
        assert!(
            malformed(&format!("<{name}:a xmlns:{name}='u'/>")),
            "{name:?}"
        );
    }
    for name in [
        "\u{E9}\u{B7}",
        "\u{436}\u{301}",
        "\u{540D}\u{524D}",
        "\u{627}\u{660}",
    ] {
        assert!(parse(&format!("<{name} {name}='1'/>")).is_ok(), "{name:?}");
        assert_eq!(Element::new("", name).name(), name);
    }
}

#[test]
fn v02_a_namespace_with_a_separator_in_it_is_refused() {
    for ns in [
        "a b",
        "a&#10;b",
        "a\nb",
        "a\tb",
        "&#9;",
        " ",
        "urn:x&#13;",
        "a\u{A0}b",
        "a\u{85}b",
        "a\u{2028}b",
        "a\u{7F}b",
    ] {
        assert!(malformed(&format!("<a xmlns='{ns}'/>")), "{ns:?}");
        assert!(malformed(&format!("<a xmlns:p='{ns}'/>")), "{ns:?}");
    }
    assert_eq!(Element::new("a\n b", "x").ns(), "ab");
    assert!(parse("<a xmlns='urn:a|b}c#\u{E9}'/>").is_ok());
}

#[test]
fn a_name_that_is_none_is_made_one() {
    assert_eq!(Element::new("", "a b>").name(), "a_b_");
    assert_eq!(Element::new("", "1").name(), "_1");
    assert_eq!(Element::new("", "").name(), "_");
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(1000))]

    #[test]
    fn xml_07_what_is_written_is_read_as_the_same(element in generate::element()) {
        let text = element.to_xml();
        prop_assert_eq!(parse_in(&text, &mut Scope::empty()), Ok(element.clone()), "{}", text);
        let writer = Writer::new(ns::SERVER);
        let text = writer.to_xml(&element);
        prop_assert_eq!(parse(&text), Ok(element.clone()), "{}", text);
        prop_assert_eq!(writer.size(&element, None), text.len());
    }

    #[test]
    fn xml_07_writing_again_changes_nothing(bytes in generate::mutated()) {
        if let Ok(text) = std::str::from_utf8(&bytes) && let Ok(element) = parse_in(text, &mut Scope::empty()) {
            prop_assert_eq!(parse_in(&element.to_xml(), &mut Scope::empty()), Ok(element));
        }
    }
}
