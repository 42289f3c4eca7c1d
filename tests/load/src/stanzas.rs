//! The stanzas that are sent: numbered, of a known size, and so that no target may tell them from
//! what people write.

use crate::arguments::Kind;
use crate::target::FORBIDDEN;

/// Stands before a stanza's stream and number, wherever a target writes the attribute.
pub(crate) const MARK: &[u8] = b"@@";
/// Digits of the stream, a hyphen, digits of the number.
pub(crate) const STREAM_DIGITS: usize = 4;
pub(crate) const NUMBER_DIGITS: usize = 10;
/// What follows the mark.
pub(crate) const LABEL: usize = STREAM_DIGITS + 1 + NUMBER_DIGITS;

const SMALL: usize = 400;
const LARGE: usize = 4096;

/// Makes the stanzas of one stream.
pub(crate) struct Stanzas {
    /// What there is to choose from: what comes before and behind the number.
    shapes: Vec<(String, String)>,
    stream: u16,
}

impl Stanzas {
    /// From this domain to that one.
    pub(crate) fn new(kind: Kind, stream: u16, from: &str, to: &str) -> Self {
        let (from, to) = (format!("romeo@{from}/garden"), format!("juliet@{to}"));
        let message = |size: usize| {
            let head = format!("<message from='{from}' to='{to}' type='chat' id='@@");
            let tail = "'><body></body></message>";
            let body = "Wherefore art thou? ".repeat(size / 20 + 1);
            let room = size.saturating_sub(head.len() + LABEL + tail.len());
            (
                head,
                tail.replace("<body>", &format!("<body>{}", &body[..room])),
            )
        };
        let empty = |child: &str| {
            (
                format!("<message from='{from}' to='{to}' type='chat' id='@@"),
                format!("'>{child}</message>"),
            )
        };
        let shapes = match kind {
            Kind::Small => vec![message(SMALL)],
            Kind::Large => vec![message(LARGE)],
            Kind::Forbidden => {
                let (head, tail) = message(SMALL);
                let forbidden = tail.replacen("Wherefore", FORBIDDEN, 1);
                vec![(head.clone(), tail), (head, forbidden)]
            }
            Kind::Mix => vec![
                message(350),
                empty("<composing xmlns='http://jabber.org/protocol/chatstates'/>"),
                message(600),
                empty("<received xmlns='urn:xmpp:receipts' id='m-1'/>"),
                (
                    format!("<presence from='{from}' to='{to}' id='@@"),
                    "'><show>away</show><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://client.test' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>".to_owned(),
                ),
                message(200),
                (
                    format!("<iq type='result' from='{from}' to='{to}' id='@@"),
                    "'><query xmlns='jabber:iq:version'><name>client</name><version>1</version></query></iq>".to_owned(),
                ),
                empty("<active xmlns='http://jabber.org/protocol/chatstates'/>"),
            ],
        };
        Self { shapes, stream }
    }

    /// Appends the stanza of this number.
    pub(crate) fn write(&self, number: u64, to: &mut Vec<u8>) {
        let at = usize::try_from(number).unwrap() % self.shapes.len();
        let (head, tail) = &self.shapes[at];
        to.extend_from_slice(head.as_bytes());
        let label = format!("{:04}-{number:010}", self.stream);
        to.extend_from_slice(label.as_bytes());
        to.extend_from_slice(tail.as_bytes());
    }
}

/// The stream and the number behind a mark.
pub(crate) fn label(text: &[u8]) -> Option<(u16, u64)> {
    let text = std::str::from_utf8(text.get(..LABEL)?).ok()?;
    let (stream, number) = text.split_at_checked(STREAM_DIGITS)?;
    Some((
        stream.parse().ok()?,
        number.strip_prefix('-')?.parse().ok()?,
    ))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn stanzas_are_as_long_as_they_say_and_carry_their_number() {
        for (kind, size) in [(Kind::Small, SMALL), (Kind::Large, LARGE)] {
            let stanzas = Stanzas::new(kind, 7, "p7.test", "org.test");
            let mut bytes = Vec::new();
            stanzas.write(42, &mut bytes);
            assert_eq!(bytes.len(), size);
            let at = memchr::memmem::find(&bytes, MARK).unwrap();
            assert_eq!(label(&bytes[at + MARK.len()..]), Some((7, 42)));
        }
    }
}
