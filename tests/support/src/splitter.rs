//! Cuts a stream into its first-level elements, by counting tags. Good enough for well-formed XML
//! without comments and CDATA, which is what a federation gateway sends.

/// A part of a stream.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Item {
    /// The stream header.
    Open(String),
    /// One first-level element, whole.
    Element(String),
    /// `</stream:stream>`
    Close,
    /// The connection ended.
    End,
}

/// See the module.
#[derive(Debug, Default)]
pub struct Splitter {
    text: String,
}

impl Splitter {
    /// Takes bytes; UTF-8 that is cut in two is not expected of tests.
    pub fn push(&mut self, bytes: &[u8]) {
        self.text.push_str(&String::from_utf8_lossy(bytes));
    }

    /// The next whole part, if it is there.
    pub fn take(&mut self) -> Option<Item> {
        let start = self.text.find('<')?;
        self.text.drain(..start);
        let mut depth = 0_i32;
        let mut at = 0;
        loop {
            let open = at + self.text[at..].find('<')?;
            let end = tag_end(&self.text, open)?;
            let tag = self.text[open..=end].to_owned();
            at = end + 1;
            if tag.starts_with("<?") {
                self.text.drain(..at);
                at = 0;
                continue;
            }
            if depth == 0 && tag.starts_with("<stream:stream") {
                self.text.drain(..at);
                return Some(Item::Open(tag));
            }
            if depth == 0 && tag.starts_with("</stream:stream") {
                self.text.drain(..at);
                return Some(Item::Close);
            }
            if tag.starts_with("</") {
                depth -= 1;
            } else if !tag.ends_with("/>") {
                depth += 1;
            }
            if depth == 0 {
                let element: String = self.text.drain(..at).collect();
                return Some(Item::Element(element));
            }
        }
    }
}

/// Where the tag that begins at `open` ends; quoted values may hold `>`.
fn tag_end(text: &str, open: usize) -> Option<usize> {
    let mut quote = None;
    for (at, byte) in text.bytes().enumerate().skip(open) {
        match (quote, byte) {
            (None, b'>') => return Some(at),
            (None, b'\'' | b'"') => quote = Some(byte),
            (Some(open), close) if open == close => quote = None,
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_stream_falls_into_its_parts() {
        let mut splitter = Splitter::default();
        splitter.push(b"<?xml version='1.0'?><stream:stream a='>'><a/><b><c x='1'>t</c><d/>");
        assert_eq!(
            splitter.take(),
            Some(Item::Open("<stream:stream a='>'>".to_owned()))
        );
        assert_eq!(splitter.take(), Some(Item::Element("<a/>".to_owned())));
        assert_eq!(splitter.take(), None);
        splitter.push(b"</b> </stream:stream>");
        assert_eq!(
            splitter.take(),
            Some(Item::Element("<b><c x='1'>t</c><d/></b>".to_owned()))
        );
        assert_eq!(splitter.take(), Some(Item::Close));
        assert_eq!(splitter.take(), None);
    }
}
