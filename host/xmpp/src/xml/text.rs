//! What a text or an attribute's value stands for: references resolved, line ends and space normalised.

use std::borrow::Cow;

use memchr::memchr;

use super::{
    chars::{is_char, is_ncname, is_plain},
    parse::XmlError,
};

/// Line ends as XML 1.0 §2.11 wants them.
pub(super) fn lines(text: &str) -> Cow<'_, str> {
    match memchr(b'\r', text.as_bytes()) {
        Some(_) => text.replace("\r\n", "\n").replace('\r', "\n").into(),
        None => text.into(),
    }
}

/// An attribute's value: references resolved, space normalised (XML 1.0 §3.3.3).
pub(super) fn unescape(raw: &str) -> Result<Cow<'_, str>, XmlError> {
    // Nearly always.
    if is_plain(raw.as_bytes()) {
        return Ok(raw.into());
    }
    if raw.contains('<') {
        return Err(XmlError::NotWellFormed("`<` in an attribute"));
    }
    let raw = lines(raw);
    let mut value = String::with_capacity(raw.len());
    let mut rest: &str = &raw;
    while let Some(at) = rest.find(['&', '\t', '\n']) {
        let (run, special) = rest.split_at(at);
        value.push_str(run);
        if let Some(reference) = special.strip_prefix('&') {
            let (name, after) = reference
                .split_once(';')
                .ok_or(XmlError::NotWellFormed("a reference without an end"))?;
            value.push(resolve(name)?);
            rest = after;
        } else {
            value.push(' ');
            rest = special.get(1..).unwrap_or_default();
        }
    }
    value.push_str(rest);
    Ok(value.into())
}

/// The character that a reference stands for, given without its `&` and `;`.
pub(super) fn resolve(name: &str) -> Result<char, XmlError> {
    const MALFORMED: XmlError = XmlError::NotWellFormed("a malformed reference");
    let number = match name {
        "lt" => return Ok('<'),
        "gt" => return Ok('>'),
        "amp" => return Ok('&'),
        "apos" => return Ok('\''),
        "quot" => return Ok('"'),
        name => match name.strip_prefix('#') {
            Some(number) => number,
            None if is_ncname(name) => return Err(XmlError::Restricted("an entity reference")),
            None => return Err(MALFORMED),
        },
    };
    let (digits, radix) = match number.strip_prefix('x') {
        Some(digits) => (digits, 16),
        None => (number, 10),
    };
    // `from_str_radix` would also take a sign.
    if digits.is_empty() || !digits.chars().all(|c| c.is_digit(radix)) {
        return Err(MALFORMED);
    }
    u32::from_str_radix(digits, radix)
        .ok()
        .and_then(char::from_u32)
        .filter(|&c| is_char(c))
        .ok_or(XmlError::NotWellFormed("a reference to no character"))
}
