//! Which characters XML 1.0 and Namespaces in XML 1.0 allow where; in names, those of the fourth edition.

use std::borrow::Cow;

use super::{names, words};

/// `Char` of XML 1.0 §2.2.
pub(crate) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether every character of the text is a `Char`. Quick for ASCII.
pub(crate) fn are_chars(text: &str) -> bool {
    // Below U+0020 only three are allowed; above, only U+FFFE and U+FFFF are not (surrogates are
    // no `char`). Both show in the bytes.
    let bytes = text.as_bytes();
    if has_control(bytes) && bytes.iter().any(|&b| b < b' ' && !is_space(b)) {
        return false;
    }
    !memchr::memchr_iter(0xEF, bytes)
        .any(|at| matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])))
}

/// Whether there is a control character below U+0020, space included that is none.
fn has_control(bytes: &[u8]) -> bool {
    let (words, rest) = bytes.as_chunks::<8>();
    words
        .iter()
        .any(|word| has_below_space(u64::from_ne_bytes(*word)))
        || rest.iter().any(|&b| b < b' ')
}

/// Whether an attribute's value stands for itself: no reference, no `<`, no space but U+0020.
pub(super) fn is_plain(value: &[u8]) -> bool {
    let plain = |word: u64| {
        !(has_below_space(word)
            || has_zero(word ^ (ONES * u64::from(b'<')))
            || has_zero(word ^ (ONES * u64::from(b'&'))))
    };
    let (words, rest) = value.as_chunks::<8>();
    words.iter().all(|word| plain(u64::from_ne_bytes(*word)))
        && !rest.iter().any(|&b| b < b' ' || matches!(b, b'<' | b'&'))
}

/// A one in each byte: eight bytes are looked at together.
const ONES: u64 = 0x0101_0101_0101_0101;

/// Whether one of the eight bytes is below U+0020: only of such a one does the difference borrow into its
/// highest bit, or follow one that did.
fn has_below_space(word: u64) -> bool {
    word.wrapping_sub(ONES * u64::from(b' ')) & !word & (ONES << 7) != 0
}

/// Whether one of the eight bytes is zero.
fn has_zero(word: u64) -> bool {
    word.wrapping_sub(ONES) & !word & (ONES << 7) != 0
}

/// `S` of XML 1.0 §2.3.
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// `Letter` and `_` of XML 1.0 (fourth edition) §2.3: a name may begin with it.
fn is_name_start(c: char) -> bool {
    c.is_ascii_alphabetic() || c == '_' || !c.is_ascii() && names::begins_name(c)
}

/// `NameChar` of the same, without the colon.
fn is_name_char(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '0'..='9' | '_' | '-' | '.')
        || !c.is_ascii() && names::continues_name(c)
}

/// `NCName` of Namespaces in XML 1.0 §3.
pub(crate) fn is_ncname(name: &str) -> bool {
    if let [first, rest @ ..] = name.as_bytes()
        && (first.is_ascii_alphabetic() || *first == b'_')
        && (rest.iter()).all(|b| b.is_ascii_alphanumeric() || matches!(b, b'_' | b'-' | b'.'))
    {
        return true;
    }
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

/// The nearest `NCName`: what cannot stand in one becomes `_`.
pub(super) fn to_ncname(name: &str) -> Cow<'static, str> {
    if is_ncname(name) {
        return words::local(name);
    }
    let mut fixed: String = name
        .chars()
        .map(|c| if is_name_char(c) { c } else { '_' })
        .collect();
    if !fixed.starts_with(is_name_start) {
        fixed.insert(0, '_');
    }
    Cow::Owned(fixed)
}

/// Whether every character may stand in a namespace. Namespaces are URIs, which have neither spaces nor
/// controls. Parsers that put namespace and name into one text separate them by such a character, and
/// refuse what has it (expat since 2.4.5; ejabberd separates by a line feed) or mistake it.
pub(crate) fn is_namespace(text: &str) -> bool {
    text.bytes().all(|b| b.is_ascii_graphic()) || !text.contains(is_no_namespace_char)
}

fn is_no_namespace_char(c: char) -> bool {
    c.is_control() || c.is_whitespace() || !is_char(c)
}

/// The text without what may not stand in a namespace.
pub(super) fn to_namespace(text: &str) -> String {
    text.replace(is_no_namespace_char, "")
}

/// The text without what is no `Char`.
pub(super) fn to_chars(text: &str) -> String {
    if are_chars(text) {
        text.to_owned()
    } else {
        text.chars().filter(|&c| is_char(c)).collect()
    }
}
