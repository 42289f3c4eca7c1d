//! The time that a stanza has waited here, for its reader (XEP-0203).
//!
//! In: a stanza and how long it stood in a queue. Out: the same stanza, with the time at which it
//! came if that was long ago. A message that was stored or delayed elsewhere says so already, and
//! its oldest time is the one that matters: it stays as it is (MSG-02). Nothing fails: a stanza that
//! would become too large goes without.

use std::time::Duration;

use portcullis_xmpp::jid::Domain;
use portcullis_xmpp::ns;
use portcullis_xmpp::stanza::{Kind, Stanza, Subtype};
use time::OffsetDateTime;
use time::format_description::FormatItem;
use time::macros::format_description;

/// What is noticed: less is within what the clocks of two servers differ by, and within what people
/// take for the time that writing takes.
const NOTICED: Duration = Duration::from_secs(5);

/// XEP-0082, in UTC.
const STAMP: &[FormatItem<'static>] =
    format_description!("[year]-[month]-[day]T[hour]:[minute]:[second]Z");

/// Marks a stanza that has waited for so long and is sent now, in the name of `domain`, which is ours.
/// With the mark it has at most `limit` bytes.
pub(super) fn mark(stanza: &mut Stanza, domain: &Domain, waited: Duration, limit: usize) {
    if waited >= NOTICED {
        mark_since(stanza, domain, OffsetDateTime::now_utc() - waited, limit);
    }
}

fn mark_since(stanza: &mut Stanza, domain: &Domain, since: OffsetDateTime, limit: usize) {
    let is_for_people = matches!(
        (stanza.kind(), stanza.subtype()),
        (
            Kind::Message,
            Subtype::Normal | Subtype::Chat | Subtype::Groupchat | Subtype::Headline
        ) | (Kind::Presence, Subtype::Available)
    );
    if !is_for_people || stanza.count("delay", ns::DELAY) > 0 {
        return;
    }
    let Ok(stamp) = since.to_offset(time::UtcOffset::UTC).format(STAMP) else {
        return;
    };
    let mark = format!(
        "<delay xmlns='{}' from='{domain}' stamp='{stamp}'/>",
        ns::DELAY
    );
    if let Err(error) = stanza.insert(&mark, limit) {
        tracing::debug!(%error, "a stanza that waited goes without the time of its coming");
    }
}

#[cfg(test)]
mod tests {
    use portcullis_xmpp::frame::{Event, Framer, Limits};
    use time::macros::datetime;

    use super::*;

    fn stanza(text: &str) -> Stanza {
        let mut framer = Framer::new(Limits::default());
        framer.push(
            b"<stream:stream xmlns='jabber:server' xmlns:stream='http://etherx.jabber.org/streams'>",
        );
        framer.push(text.as_bytes());
        assert!(matches!(framer.next(), Ok(Some(Event::Open(_)))));
        match framer.next() {
            Ok(Some(Event::Element(frame))) => Stanza::parse(frame).unwrap(),
            other => panic!("{text}: {other:?}"),
        }
    }

    fn marked(text: &str, limit: usize) -> String {
        let mut stanza = stanza(text);
        let domain = Domain::parse("org.test").unwrap();
        let since = datetime!(2026-11-22 13:59:30 +1);
        mark_since(&mut stanza, &domain, since, limit);
        String::from_utf8(stanza.to_bytes()).unwrap()
    }

    const MESSAGE: &str = "<message from='a@org.test' to='b@alpha.test'><body>1</body></message>";

    #[test]
    fn msg_02_a_message_that_waited_tells_since_when() {
        let mark = "<delay xmlns='urn:xmpp:delay' from='org.test' stamp='2026-11-22T12:59:30Z'/>";
        assert_eq!(
            marked(MESSAGE, 10_000),
            MESSAGE.replace("</message>", &format!("{mark}</message>"))
        );
        let presence = "<presence from='a@org.test' to='b@alpha.test'/>";
        assert!(marked(presence, 10_000).contains(mark));
    }

    #[test]
    fn msg_02_a_mark_that_is_there_stays_alone() {
        let delayed = MESSAGE.replace(
            "</message>",
            "<delay xmlns='urn:xmpp:delay' from='alpha.test' stamp='2020-01-01T00:00:00Z'/></message>",
        );
        assert_eq!(marked(&delayed, 10_000), delayed);
    }

    #[test]
    fn what_did_not_wait_or_is_not_for_people_has_no_mark() {
        let mut short = stanza(MESSAGE);
        let domain = Domain::parse("org.test").unwrap();
        let waited = NOTICED - Duration::from_millis(1);
        mark(&mut short, &domain, waited, 10_000);
        assert_eq!(short.to_bytes(), MESSAGE.as_bytes());
        mark(&mut short, &domain, NOTICED, 10_000);
        assert_eq!(short.count("delay", ns::DELAY), 1);
        assert_eq!(marked(MESSAGE, 80), MESSAGE);
        for other in [
            "<iq from='a@org.test' to='b@alpha.test' id='1' type='get'><q xmlns='urn:q'/></iq>",
            "<presence from='a@org.test' to='b@alpha.test' type='unavailable'/>",
            "<presence from='a@org.test' to='b@alpha.test' type='subscribe'/>",
        ] {
            assert_eq!(marked(other, 10_000), other);
        }
    }
}
