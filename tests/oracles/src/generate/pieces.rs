//! What streams are made of.

/// Start of the header's tag, its end tag, and the prefixes that it declares.
#[rustfmt::skip]
pub(super) const HEADERS: &[(&str, &str, &[&str])] = &[
    (
        "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' version='1.0'",
        "</stream:stream>",
        &["stream"],
    ),
    (
        "<stream:stream xmlns:stream='http://etherx.jabber.org/streams' xmlns='jabber:server' xmlns:db='jabber:server:dialback'",
        "</stream:stream >",
        &["stream", "db"],
    ),
    (
        "<stream xmlns='http://etherx.jabber.org/streams'",
        "</stream>",
        &[],
    ),
    (
        "<?xml version=\"1.0\" encoding='utf-8' standalone='yes' ?>\r\n<s:stream xmlns:s=\"http://etherx.jabber.org/streams\"\txmlns:p='urn:p'",
        "</s:stream\n>",
        &["s", "p"],
    ),
];

#[rustfmt::skip]
pub(super) const NAMES: &[&str] = &[
    "a", "b", "message", "presence", "iq", "body", "x-y.z", "_", "\u{E9}", "\u{436}", "\u{540D}\u{524D}", "ns0", "ns1",
    "xmlnsx", "stream", "result", "from", "to", "lang", "A", "a\u{B7}\u{301}",
];

#[rustfmt::skip]
pub(super) const PREFIXES: &[&str] = &[
    "", "p", "q", "db", "stream", "ns0", "ns1", "\u{E9}", "a",
];

#[rustfmt::skip]
pub(super) const NAMESPACES: &[&str] = &[
    "jabber:server",
    "jabber:server",
    "jabber:client",
    "jabber:server:dialback",
    "http://etherx.jabber.org/streams",
    "urn:x",
    "urn:x",
    "urn:&#x78;",
    "urn:x|y",
    "urn:x}y",
    "a&amp;b&lt;'\"",
    "URN:X",
    "urn:\u{FC}",
    "\u{10348}",
    "",
];

/// What may not be declared, or not by every prefix.
#[rustfmt::skip]
pub(super) const ODD_NAMESPACES: &[&str] = &[
    "urn:a b",
    " urn:x",
    "a&#10;b",
    "a\tb",
    "",
    "http://www.w3.org/XML/1998/namespace",
    "http://www.w3.org/2000/xmlns/",
];

#[rustfmt::skip]
pub(super) const SPACES: &[&str] = &[" ", " ", "  ", "\n", "\t", "\r\n", "\r", " \n\t"];

#[rustfmt::skip]
pub(super) const EQUALS: &[&str] = &["=", "=", "=", " =", "= ", " \n=\t"];

#[rustfmt::skip]
pub(super) const WORDS: &[&str] = &["text", "a.test", "u@b.test/r", "12", "de", " "];

#[rustfmt::skip]
pub(super) const VALUES: &[&str] = &["a.test", "1.0", "", ">", "/>", "\t", "\n", "\r\n", "\r", "]]>"];

#[rustfmt::skip]
pub(super) const AWKWARD: &[&str] = &[
    ">", "'", "\"", "]", "]]", "\r", "\n", "\r\n", "\t", "\u{85}", "\u{A0}", "\u{2028}", "\u{FFFD}", "\u{1F600}",
    "\u{10FFFF}", "\u{FEFF}", "\u{7F}", "\u{E000}", "\u{D7FF}", "/>", "=", "e\u{301}", "\u{202E}", ";", "#", "xmlns=",
];

#[rustfmt::skip]
pub(super) const REFERENCES: &[&str] = &[
    "&lt;", "&gt;", "&amp;", "&apos;", "&quot;", "&#9;", "&#10;", "&#13;", "&#x20;", "&#0065;", "&#x1F600;",
    "&#x10FFFF;", "&#xfffd;", "&#60;", "&#38;", "&#x26;amp;", "&#93;&#93;&#62;", "&#x85;", "&#39;", "&#34;",
];

/// What is put where it does not belong.
#[rustfmt::skip]
pub(super) const FAULTS: &[&[u8]] = &[
    b"<a>", b"</a>", b"<a", b">", b"/>", b"<b x='1'/>", b" x='", b"'", b"\"", b" ", b"\t", b"\r\n", b"\r", b"=",
    b"<p:a", b"</p:a>", b" p:x='2'", b" xmlns:p='urn:x'", b" xmlns:q=\"urn:x\"", b" q:x='3'", b" xmlns='urn:x'",
    b" xmlns=''", b" xmlns:p=''", b" xmlns:xml='u'", b" xmlns:xmlns='u'", b" xml:lang='de'", b" xmlns:a='b|c'",
    b" xmlns:a='b&#10;c'", b" xmlns:p='http://www.w3.org/2000/xmlns/'", b" a='1' a='2'",
    b" xmlns:p='u' xmlns:q='u' p:a='' q:a=''", b"&lt;", b"&amp;", b"&foo;", b"&", b"&#10;", b"&#xD;", b"&#0;", b"&#x0;",
    b"&#xFFFE;", b"&#xFFFF;", b"&#x1F600;", b"&#xD800;", b"&#x110000;", b"&#99999999999999999999;", b"&#X41;", b"&#+65;",
    b"&# 65;", b"&#65 ;", b"&#;", b"&#x;", b"&;", b"& amp;", b"&amp ;", b"&AMP;", b"&#65", b"<![CDATA[", b"]]>", b"]]",
    b"<![CDATA[x]]]]>", b"<![CDATA[]]]]><![CDATA[>]]>", b"<![cdata[x]]>", b"<! [CDATA[x]]>", b"<!--", b"-->",
    b"<!-- -- -->", b"<!DOCTYPE a>", b"<!DOCTYPE a [<!ENTITY b 'c'>]>", b"<!ENTITY b 'c'>", b"<?pi?>", b"<?", b"?>",
    b"<?xml version='1.0'?>", b"<?xml version='1.1'?>", b"<?xml encoding='UTF-16'?>", b"text", b"<", b"</", b"/", b"</a >",
    b"</ a>", b"<a / >", b"< a>", b"<a\n>", b":", b"<:a/>", b"<a:/>", b"<a:b:c/>", b"<1/>", b"<-a/>", b"<.a/>",
    b"<\xC3\xA9/>", b"<xml:a/>", b"<xmlns:a/>", b" xmlns:='u'", b" xmlns :p='u'", b" xmlns: p='u'", b" xml:space='x'",
    b"\xEF\xBF\xBE", b"\xEF\xBF\xBF", b"\xEF\xBB\xBF", b"\xEB<foo>", b"\xEB", b"\xE2\x82", b"\xF0\x9F\x98", b"\xC0\xBC",
    b"\xC1\xBF", b"\xE0\x80\xBC", b"\xF0\x80\x80\xBC", b"\xED\xA0\x80", b"\xED\xBF\xBF", b"\xF4\x90\x80\x80", b"\xF8\x88\x80\x80\x80",
    b"\xFE\xFF", b"\xFF\xFE", b"\x80", b"\xBF", b"\0", b"\x01", b"\x0B", b"\x0C", b"\x1B", b"\x7F", b"\xC2\x85",
    b"\xE2\x80\xA8", b"</stream:stream>", b"<stream:stream>", b"<stream:stream xmlns:stream='u'>", b"</stream>",
    b"<message xmlns='jabber:server'>", b"</message>", b"<message from='a@a.test' to='b@b.test'/>",
    b"</message><message from='evil@b.test'>", b"=''", b"='a'b='c'", b" b", b" b=c",
];
