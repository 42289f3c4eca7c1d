//! Texts that may not pass, by pattern.

use std::borrow::Cow;

use portcullis_plugin::prelude::*;

use crate::config::Rules;
use crate::refuse;

/// Looks at every text that a reader sees, in every language: bodies, subjects, status texts, and whatever
/// else a client may show.
pub(crate) fn look(rules: &Rules, header: &Header, stanza: &Stanza) -> Result<(), Verdict> {
    if rules.words.is_empty() || header.kind() == Kind::Iq {
        return Ok(());
    }
    let found = stanza.texts(&[("", "")]).iter().any(|text| {
        let text = plain(&text.text);
        rules.words.iter().any(|word| word.matches(&text))
    });
    if found {
        // Which one is nobody's business outside, and a text would be in the audit record.
        return Err(refuse(
            Condition::PolicyViolation,
            "this text may not pass here".to_owned(),
        ));
    }
    Ok(())
}

/// Without the characters that nobody sees (soft hyphens, zero-width spaces and joiners, directions), and
/// with one space for any white space: they split a word for a pattern and not for a reader.
fn plain(text: &str) -> Cow<'_, str> {
    let is_plain = |b: u8| b.is_ascii_graphic() || b == b' ';
    if text.bytes().all(is_plain) && !text.contains("  ") {
        return Cow::Borrowed(text);
    }
    let mut plain = String::with_capacity(text.len());
    for sign in text.chars() {
        match sign {
            '\u{ad}'
            | '\u{34f}'
            | '\u{180e}'
            | '\u{200b}'..='\u{200f}'
            | '\u{202a}'..='\u{202e}'
            | '\u{2060}'..='\u{2064}'
            | '\u{2066}'..='\u{2069}'
            | '\u{feff}' => {}
            sign if sign.is_whitespace() => {
                if !plain.ends_with(' ') {
                    plain.push(' ');
                }
            }
            sign => plain.push(sign),
        }
    }
    Cow::Owned(plain)
}
