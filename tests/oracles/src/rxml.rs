//! rxml, a strict parser for the XML of XMPP (RFC 6120 §11).

use ::rxml::{Event, Options, Parse, Parser, WithOptions};

use crate::tree::{Builder, End, Read};

/// Two things are spared it. Line ends are made line feeds first, as XML 1.0 §2.11 has it: rxml 0.13
/// refuses or loses a carriage return alone in an attribute. And space before the header is left out:
/// XML allows it (§2.8, `Misc`), servers keep connections alive with it, and rxml refuses it.
pub(crate) fn read(bytes: &[u8]) -> Read {
    let lines = line_feeds(bytes);
    let mut bytes = lines.trim_ascii_start();
    let mut parser = Parser::with_options(Options::default());
    let mut builder = Builder::new();
    loop {
        match parser.parse(&mut bytes, false) {
            Ok(Some(Event::XmlDeclaration(..))) => {}
            Ok(Some(Event::StartElement(_, (ns, name), attributes))) => {
                let attributes = attributes
                    .into_iter()
                    .map(|((ns, name), value)| (ns.to_string(), name.to_string(), value))
                    .collect();
                builder.start((ns.to_string(), name.to_string()), attributes);
            }
            Ok(Some(Event::Text(_, text))) => builder.text(&text),
            Ok(Some(Event::EndElement(_))) => {
                builder.end();
                if builder.read.end == End::Closed {
                    return builder.read;
                }
            }
            Ok(None) => return builder.read,
            Err(error) => {
                if !matches!(error, ::rxml::error::EndOrError::NeedMoreData) {
                    builder.read.end = End::Refused;
                }
                return builder.read;
            }
        }
    }
}

fn line_feeds(bytes: &[u8]) -> Vec<u8> {
    let mut lines = Vec::with_capacity(bytes.len());
    for (at, &b) in bytes.iter().enumerate() {
        match b {
            b'\r' if bytes.get(at + 1) == Some(&b'\n') => {}
            b'\r' => lines.push(b'\n'),
            b => lines.push(b),
        }
    }
    lines
}
