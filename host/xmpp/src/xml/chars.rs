//! Which characters XML 1.0 (fifth edition) and Namespaces in XML 1.0 allow where.

/// `Char` of XML 1.0 §2.2.
pub(crate) fn is_char(c: char) -> bool {
    matches!(c, '\t' | '\n' | '\r' | ' '..='\u{D7FF}' | '\u{E000}'..='\u{FFFD}' | '\u{10000}'..)
}

/// Whether every character of the text is a `Char`. Quick for ASCII.
pub(crate) fn are_chars(text: &str) -> bool {
    // Below U+0020 only three are allowed; above, only U+FFFE and U+FFFF are not (surrogates are
    // no `char`). Both show in the bytes.
    let bytes = text.as_bytes();
    if bytes.iter().any(|&b| b < 0x20 && !is_space(b)) {
        return false;
    }
    !memchr::memchr_iter(0xEF, bytes)
        .any(|at| matches!(bytes.get(at + 1..at + 3), Some([0xBF, 0xBE | 0xBF])))
}

/// `S` of XML 1.0 §2.3.
pub(crate) fn is_space(b: u8) -> bool {
    matches!(b, b' ' | b'\t' | b'\n' | b'\r')
}

/// `NameStartChar` of XML 1.0 §2.3, without the colon, up to the end of Latin-1. Beyond, the fourth and
/// the fifth edition differ by thousands of characters. Servers with expat know only the fourth, and
/// would close the gateway's stream for a name that one user of one partner chose.
fn is_name_start(c: char) -> bool {
    matches!(c, 'A'..='Z' | 'a'..='z' | '_' | '\u{C0}'..='\u{D6}' | '\u{D8}'..='\u{F6}' | '\u{F8}'..='\u{FF}')
}

/// `NameChar` of XML 1.0 §2.3, under the same conditions.
fn is_name_char(c: char) -> bool {
    is_name_start(c) || matches!(c, '-' | '.' | '0'..='9' | '\u{B7}')
}

/// `NCName` of Namespaces in XML 1.0 §3.
pub(crate) fn is_ncname(name: &str) -> bool {
    let mut chars = name.chars();
    chars.next().is_some_and(is_name_start) && chars.all(is_name_char)
}

/// The nearest `NCName`: what cannot stand in one becomes `_`.
pub(super) fn to_ncname(name: &str) -> Box<str> {
    if is_ncname(name) {
        return Box::from(name);
    }
    let mut fixed: String = name
        .chars()
        .map(|c| if is_name_char(c) { c } else { '_' })
        .collect();
    if !fixed.starts_with(is_name_start) {
        fixed.insert(0, '_');
    }
    fixed.into_boxed_str()
}

/// The text without what is no `Char`.
pub(super) fn to_chars(text: &str) -> String {
    if are_chars(text) {
        text.to_owned()
    } else {
        text.chars().filter(|&c| is_char(c)).collect()
    }
}
