//! Trees, and texts that are nearly XML, for property tests.

use proptest::{collection::vec, prelude::*, sample::select};

use super::Element;
use crate::ns;

const NAMES: &[&str] = &[
    "a", "message", "body", "x-y.z", "_", "é", "ж", "ns0", "xmlnsx",
];
const NAMESPACES: &[&str] = &[
    "",
    ns::SERVER,
    ns::CLIENT,
    ns::STREAM,
    ns::DIALBACK,
    "urn:x",
    "urn:x|y}z",
    "a<&>'\"b",
    "ü",
];

/// Any character that XML has, the awkward ones often.
fn text() -> impl Strategy<Value = String> {
    let awkward = select(
        &[
            '<',
            '>',
            '&',
            '\'',
            '"',
            ']',
            '\r',
            '\n',
            '\t',
            ' ',
            '\u{85}',
            '\u{2028}',
            '\u{FFFD}',
            '\u{1F600}',
        ][..],
    );
    vec(prop_oneof![awkward, any::<char>()], 0..8).prop_map(|chars| chars.into_iter().collect())
}

/// A tree of at most four levels. Characters that XML has not are left out when it is built.
pub(crate) fn element() -> impl Strategy<Value = Element> {
    #[derive(Debug, Clone)]
    enum Inside {
        Text(String),
        Element(Element),
    }
    fn tree(inside: impl Strategy<Value = Vec<Inside>>) -> impl Strategy<Value = Element> {
        let attribute = (
            select(&["", ns::XML, "urn:x", "urn:y'"][..]),
            select(NAMES),
            text(),
        );
        (
            select(NAMESPACES),
            select(NAMES),
            vec(attribute, 0..4),
            inside,
        )
            .prop_map(|(ns, name, attributes, inside)| {
                let mut element = Element::new(ns, name);
                for (ns, name, value) in attributes {
                    element.set(ns, name, &value);
                }
                for node in inside {
                    match node {
                        Inside::Text(text) => element.push_text(&text),
                        Inside::Element(child) => element.push(child),
                    }
                }
                element
            })
    }
    tree(vec(text().prop_map(Inside::Text), 0..2)).prop_recursive(3, 24, 4, |inner| {
        tree(vec(
            prop_oneof![
                inner.prop_map(Inside::Element),
                text().prop_map(Inside::Text)
            ],
            0..4,
        ))
    })
}

/// Pieces of XML in an order that is sometimes XML.
pub(crate) fn soup() -> impl Strategy<Value = Vec<u8>> {
    vec(piece(), 1..24).prop_map(|pieces| pieces.concat())
}

/// The XML of a tree with a few pieces put in, or a few bytes lost.
pub(crate) fn mutated() -> impl Strategy<Value = Vec<u8>> {
    let mutation = (
        any::<prop::sample::Index>(),
        0..3_usize,
        prop_oneof![piece(), Just(Vec::new())],
    );
    (element(), vec(mutation, 1..4)).prop_map(|(element, mutations)| {
        let mut bytes = element.to_xml().into_bytes();
        for (at, gone, with) in mutations {
            let at = at.index(bytes.len() + 1);
            let end = (at + gone).min(bytes.len());
            bytes.splice(at..end, with);
        }
        bytes
    })
}

fn piece() -> impl Strategy<Value = Vec<u8>> {
    let pieces: &[&[u8]] = &[
        b"<a>",
        b"</a>",
        b"<a",
        b">",
        b"/>",
        b"<b x='1'/>",
        b" x='",
        b"'",
        b"\"",
        b" ",
        b"\t",
        b"\r\n",
        b"\r",
        b"=",
        b"<p:a",
        b"</p:a>",
        b" p:x='2'",
        b" xmlns:p='urn:x'",
        b" xmlns:q=\"urn:x\"",
        b" q:x='3'",
        b" xmlns='urn:x'",
        b" xmlns=''",
        b" xmlns:p=''",
        b" xmlns:xml='u'",
        b" xmlns:xmlns='u'",
        b" xml:lang='de'",
        b" xmlns:p='http://www.w3.org/2000/xmlns/'",
        b"&lt;",
        b"&amp;",
        b"&foo;",
        b"&",
        b"&#10;",
        b"&#xD;",
        b"&#0;",
        b"&#xFFFE;",
        b"&#x1F600;",
        b"&#xD800;",
        b"&#X41;",
        b"&#+65;",
        b"&#;",
        b"<![CDATA[",
        b"]]>",
        b"]]",
        b"<![CDATA[x]]]]>",
        b"<!--",
        b"-->",
        b"<!DOCTYPE a>",
        b"<?pi?>",
        b"<?xml version='1.0'?>",
        b"text",
        b"<",
        b"</",
        b"/",
        b"</a >",
        b"</ a>",
        b"<a / >",
        b"<a\n>",
        b":",
        b"<:a/>",
        b"<a:/>",
        b"<a:b:c/>",
        b"<1/>",
        b"<\xC3\xA9/>",
        b"\xEF\xBF\xBE",
        b"\xEF\xBB\xBF",
        b"\xEB<foo>",
        b"\xC0\xBC",
        b"\xED\xA0\x80",
        b"\xF4\x90\x80\x80",
        b"\0",
        b"\x0B",
        b"\x7F",
        b"\xC2\x85",
        b"</stream:stream>",
        b"<stream:stream>",
        b"<message xmlns='jabber:server'>",
        b"</message>",
    ];
    select(pieces).prop_map(<[u8]>::to_vec)
}
