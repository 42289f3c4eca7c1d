//! V02: what two parsers read differently carries a stanza past the one that judges.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; clippy sees only #[test] functions as tests"
)]

use std::{
    env,
    hash::{BuildHasher, RandomState},
    time::{Duration, Instant},
};

use portcullis_oracles::{
    End, Random, Read, Separator, compare, generate, read_with_expat, read_with_ours,
    read_with_rxml, smallest,
};

const OPEN: &str =
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";

/// How long to go on without being told, in seconds; `tests/run oracles` says a minute.
const SECONDS: u64 = 2;

fn number(name: &str) -> Option<u64> {
    let value = env::var(name).ok().filter(|value| !value.is_empty())?;
    Some(
        value
            .parse()
            .unwrap_or_else(|_| panic!("{name} is no number: {value}")),
    )
}

/// `PORTCULLIS_ORACLE_SECONDS`: how long. `PORTCULLIS_ORACLE_SEED`: the first stream's number, as a
/// failure prints it.
#[test]
fn v02_three_parsers_read_the_same_or_we_close_the_stream() {
    let seconds = number("PORTCULLIS_ORACLE_SECONDS").unwrap_or(SECONDS);
    let first = number("PORTCULLIS_ORACLE_SEED");
    let mut seeds = Random::new(RandomState::new().hash_one(0_u8));
    let end = Instant::now() + Duration::from_secs(seconds);
    let (mut streams, mut elements, mut refused) = (0_u64, 0_u64, 0_u64);
    let mut seed = first.unwrap_or_else(|| seeds.number());
    while streams == 0 || Instant::now() < end {
        let bytes = generate::input(seed);
        if let Err(found) = compare(&bytes) {
            panic!("PORTCULLIS_ORACLE_SEED={seed}\n{}", smallest(found));
        }
        let ours = read_with_ours(&bytes, usize::MAX);
        elements += ours.elements.len() as u64;
        refused += u64::from(ours.end == End::Refused);
        streams += 1;
        seed = seeds.number();
    }
    println!("{streams} streams, {elements} elements taken, {refused} streams closed");
    // Otherwise nothing was compared.
    if streams > 1_000 {
        assert!(elements > streams / 4, "{elements} of {streams}");
        assert!(
            refused > streams / 4 && refused < streams,
            "{refused} of {streams}"
        );
    }
}

#[test]
fn v02_no_trick_at_any_place_smuggles_anything() {
    let stream = "<?xml version='1.0'?><stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams' \
                  xmlns:p='urn:p' to='b.test'><message p:a='1' b=\"2&lt;\" to='x@b.test'><body>a&amp;b<![CDATA[c]]>\u{20AC}</body>\
                  <p:x xmlns:q='urn:q' q:r='&#65;'/></message> <iq/></stream:stream>";
    let tricks: &[&[u8]] = &[
        b"\xEB",
        b"\xEB<foo>",
        b"\xC3",
        b"\xE2\x82",
        b"\xF0\x9F\x98",
        b"\xF0",
        b"\x80",
        b"\xED\xA0\x80",
        b"\xC0\xBC",
        b"\xFE",
        b"\0",
        b"\x1B",
        b"\xEF\xBF\xBE",
        b"\xEF\xBF\xBF",
        b"\xEF\xBB\xBF",
        b"]]>",
        b"&#0;",
        b"&#xFFFE;",
        b"&foo;",
        b"<!--",
        b"<!-- -->",
        b"<!DOCTYPE a>",
        b"<?a?>",
        b"<![CDATA[",
        b"<![CDATA[]]>",
        b"<stream:stream>",
        b"</stream:stream>",
        b"<message>",
        b"</message>",
        b"<",
        b">",
        b"/",
        b"'",
        b"\"",
        b"=",
        b"&",
        b":",
        b"\n",
        b"&#10;",
        b" xmlns='u'",
        b" xmlns:p='v'",
        b" xmlns='a|b'",
        b" xmlns='a&#10;b'",
        b" xmlns='a b'",
        b" p:a='2'",
        b" b='2'",
        b"\r",
    ];
    for at in 0..=stream.len() {
        let (before, after) = stream.as_bytes().split_at(at);
        for trick in tricks {
            let bytes = [before, trick, after].concat();
            if let Err(found) = compare(&bytes) {
                panic!("{} at {at}: {found}", trick.escape_ascii());
            }
        }
        // Without the next few bytes, and with nothing after them.
        for gone in 1..4.min(after.len()) {
            let bytes = [before, after.get(gone..).unwrap()].concat();
            compare(&bytes).unwrap_or_else(|found| panic!("{found}"));
        }
        compare(before).unwrap_or_else(|found| panic!("{found}"));
    }
}

#[test]
fn v02_names_are_those_that_all_parsers_know() {
    let takes = |read: Read| read.elements.len() == 1;
    let beyond = (0x1_0000..=0x10_FFFF).step_by(0x101);
    for c in (1..=0xFFFF).chain(beyond).filter_map(char::from_u32) {
        for name in [format!("{c}"), format!("a{c}")] {
            // They end the name, or stand between it and its prefix.
            if name.contains([' ', '\t', '\n', '\r', '/', '>', ':']) {
                continue;
            }
            let bytes = format!("{OPEN}<{name}/>").into_bytes();
            let ours = takes(read_with_ours(&bytes, usize::MAX));
            let expat = takes(read_with_expat(&bytes, Separator::Never));
            assert_eq!(ours, expat, "{c:?}: the fourth edition, as expat has it");
            assert!(
                !ours || takes(read_with_rxml(&bytes)),
                "{c:?}: the fifth edition"
            );
        }
    }
}

#[test]
fn v02_what_the_fuzzer_begins_with_is_read_the_same() {
    let seeds = concat!(env!("CARGO_MANIFEST_DIR"), "/../../host/xmpp/fuzz/seeds");
    let mut files = 0;
    for target in ["frame", "oracle"] {
        for entry in std::fs::read_dir(format!("{seeds}/{target}")).unwrap() {
            let path = entry.unwrap().path();
            let bytes = std::fs::read(&path).unwrap();
            compare(&bytes).unwrap_or_else(|found| panic!("{}: {found}", path.display()));
            files += 1;
        }
    }
    assert!(files > 10, "{files}");
}
