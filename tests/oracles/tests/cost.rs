//! V10, V13: what a peer can make the parser do costs no more than its bytes, in processor time of this
//! thread alone.

#![allow(
    clippy::unwrap_used,
    clippy::indexing_slicing,
    clippy::panic,
    reason = "a test fails by panicking; clippy sees only #[test] functions as tests"
)]

use std::time::Duration;

use portcullis_xmpp::{Event, FrameError, Framer, Limits, Stanza, ns, xml::Writer};
use rustix::time::{ClockId, clock_gettime};

const OPEN: &str =
    "<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>";

fn spent<T>(work: impl FnOnce() -> T) -> (Duration, T) {
    let now = || Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap();
    let before = now();
    let result = work();
    (now() - before, result)
}

/// One element on an authenticated stream, taken and written anew.
fn take(text: &str) -> Result<Option<usize>, FrameError> {
    let mut framer = Framer::new(Limits::default());
    framer.authenticated();
    framer.push(OPEN.as_bytes());
    framer.next()?;
    framer.push(text.as_bytes());
    Ok(match framer.next()? {
        Some(Event::Element(frame)) => {
            let written = Writer::new(ns::SERVER).to_xml(frame.element()).len();
            drop(Stanza::parse(frame));
            Some(written)
        }
        _ => None,
    })
}

#[test]
fn v10_eighty_thousand_attributes_are_refused_at_the_first_too_many() {
    let plain: String = (0..80_000).map(|n| format!(" a{n}=''")).collect();
    // RUSTSEC-2026-0194 and -0195 are about parsers that read all of them first.
    let same = " a=''".repeat(80_000);
    let declarations: String = (0..36_000).map(|n| format!(" xmlns:a{n}=''")).collect();
    for attributes in [plain, same, declarations] {
        let text = format!("<message{}/>", &attributes[..500_000.min(attributes.len())]);
        assert!(text.len() > 390_000);
        let (time, taken) = spent(|| take(&text));
        assert!(matches!(taken, Err(FrameError::Xml(_))), "{taken:?}");
        assert!(time < Duration::from_millis(50), "{time:?}");
    }
}

#[test]
fn v13_a_depth_of_a_hundred_thousand_is_refused_at_the_first_too_deep() {
    let text = format!("{}{}", "<a>".repeat(100_000), "</a>".repeat(20_000));
    let (time, taken) = spent(|| take(&text));
    assert!(matches!(taken, Err(FrameError::Xml(_))), "{taken:?}");
    assert!(time < Duration::from_millis(50), "{time:?}");
}

#[test]
fn v10_the_worst_that_the_limits_let_through_costs_no_more_than_its_bytes() {
    let many = |one: String, bytes: usize| one.repeat(bytes / one.len());
    let attributes =
        |prefix: &str| -> String { (0..64).map(|n| format!(" {prefix}a{n}=''")).collect() };
    let declared: String = (0..8)
        .map(|level| {
            let names = (0..32).map(|n| format!(" xmlns:p{level}_{n}='u'"));
            format!("<a{}>", names.collect::<String>())
        })
        .collect();
    let inside = |content: String| format!("<message>{content}</message>");
    let cases: [(&str, &dyn Fn(usize) -> String); 8] = [
        ("attributes", &|bytes| {
            inside(many(format!("<a{}/>", attributes("")), bytes))
        }),
        ("prefixes", &|bytes| {
            let flood = many(format!("<a{}/>", attributes("p0_0:")), bytes);
            format!("{declared}{flood}{}", "</a>".repeat(8))
        }),
        ("references", &|bytes| {
            inside(many("&lt;".to_owned(), bytes))
        }),
        ("characters", &|bytes| {
            inside(many("&#x41;".to_owned(), bytes))
        }),
        ("sections", &|bytes| {
            inside(many("<![CDATA[]]]]>".to_owned(), bytes))
        }),
        ("value", &|bytes| {
            format!("<message a='{}'/>", many("&#9;\t".to_owned(), bytes))
        }),
        ("depth", &|bytes| {
            let tower = format!("{}{}", "<a>".repeat(63), "</a>".repeat(63));
            inside(many(tower, bytes.min(56_000)))
        }),
        ("text", &|bytes| inside(many("]] ".to_owned(), bytes))),
    ];
    for (name, make) in cases {
        // The best of three: what else the machine does can only add.
        let time = |bytes: usize| {
            let text = make(bytes);
            let times = (0..3).map(|_| {
                let (time, taken) = spent(|| take(&text));
                assert!(matches!(taken, Ok(Some(_))), "{name}: {taken:?}");
                time
            });
            times.min().unwrap()
        };
        let (quarter, whole) = (time(120_000), time(480_000));
        assert!(
            whole < quarter * 8 + Duration::from_millis(5),
            "{name}: {quarter:?} for a quarter, {whole:?} for the whole"
        );
        assert!(whole < Duration::from_secs(1), "{name}: {whole:?}");
        println!("{name}: {whole:?}");
    }
}
