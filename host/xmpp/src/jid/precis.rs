//! Localparts and resourceparts in the form that is compared (RFC 7622 §3.3, §3.4): text flows in,
//! its normal form flows out, or the profile of PRECIS refuses it (RFC 8264, RFC 8265).
//!
//! The classes are derived from the Unicode data that `idna` brings along, so that letters and
//! signs which are younger than RFC 8264's own table are known. (The crate `precis-profiles` stays
//! at Unicode 6.3, of 2013; for the 247721 characters that the registry's table of that version
//! knows, the properties here were compared with it once and are the same.)

mod class;
mod context;
mod direction;

use std::borrow::Cow;

use class::Class;
use icu_normalizer::{ComposingNormalizerBorrowed, DecomposingNormalizerBorrowed};
use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{DefaultIgnorableCodePoint, EastAsianWidth, GeneralCategory},
};

const NFC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfc();
const NFKC: ComposingNormalizerBorrowed<'static> = ComposingNormalizerBorrowed::new_nfkc();
const NFKD: DecomposingNormalizerBorrowed<'static> = DecomposingNormalizerBorrowed::new_nfkd();

/// UsernameCaseMapped (RFC 8265 §3.3) without what RFC 7622 §3.3.1 excludes; none if it is refused.
pub(super) fn local(text: &str) -> Option<Cow<'_, str>> {
    if is_plain(text) {
        return Some(lowercase(text));
    }
    let prepared: String = text.chars().map(narrow).collect();
    let normal = NFC.normalize(&prepared.to_lowercase()).into_owned();
    let allowed = class::allows(Class::Identifier, &prepared)
        && class::allows(Class::Identifier, &normal)
        && !normal.chars().any(excluded_from_local)
        && direction::is_one(&normal);
    allowed.then_some(Cow::Owned(normal))
}

/// OpaqueString (RFC 8265 §4.2); none if it is refused.
pub(super) fn resource(text: &str) -> Option<Cow<'_, str>> {
    if text.bytes().all(|b| matches!(b, b' '..=b'~')) {
        return Some(Cow::Borrowed(text));
    }
    let spaced: String = text
        .chars()
        .map(|c| if is_space(c) { ' ' } else { c })
        .collect();
    class::allows(Class::Freeform, text).then(|| NFC.normalize(&spaced).into_owned().into())
}

/// The nearest to what a server of RFC 6122 (nodeprep) compares, for a localpart that is no
/// username of RFC 8265.
pub(super) fn odd_local(text: &str) -> Cow<'_, str> {
    let folded = NFKC.normalize(text).to_lowercase();
    Cow::Owned(NFKC.normalize(&folded).into_owned())
}

/// The nearest to what others compare, for a resourcepart that is no OpaqueString.
pub(super) fn odd_resource(text: &str) -> Cow<'_, str> {
    NFC.normalize(text)
}

/// Whether a server of RFC 6122 would refuse this character in a localpart, leave it out, or read it
/// as one that takes the address apart: `a＠b` is `a@b` to one, and one name to another.
pub(super) fn is_dangerous_in_local(c: char) -> bool {
    if c.is_ascii_alphanumeric() {
        return false;
    }
    let category = CodePointMapData::<GeneralCategory>::new().get(c);
    let bare = matches!(
        category,
        GeneralCategory::Control
            | GeneralCategory::Format
            | GeneralCategory::PrivateUse
            | GeneralCategory::SpaceSeparator
            | GeneralCategory::LineSeparator
            | GeneralCategory::ParagraphSeparator
    );
    bare || excluded_from_local(c)
        || CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c)
        || NFKC
            .normalize(c.encode_utf8(&mut [0; 4]))
            .chars()
            .any(|c| c == ' ' || excluded_from_local(c))
}

/// Whether this character breaks a line or controls a terminal.
pub(super) fn is_dangerous_in_resource(c: char) -> bool {
    c.is_control() || matches!(c, '\u{2028}' | '\u{2029}')
}

/// RFC 7622 §3.3.1.
fn excluded_from_local(c: char) -> bool {
    matches!(c, '"' | '&' | '\'' | '/' | ':' | '<' | '>' | '@')
}

/// The quick way for what nearly every address has: printable ASCII, which PRECIS lets pass as it
/// is (RFC 8264 §9.11), in any case.
fn is_plain(text: &str) -> bool {
    text.bytes()
        .all(|b| matches!(b, b'!'..=b'~') && !excluded_from_local(char::from(b)))
}

fn lowercase(text: &str) -> Cow<'_, str> {
    if text.bytes().any(|b| b.is_ascii_uppercase()) {
        Cow::Owned(text.to_ascii_lowercase())
    } else {
        Cow::Borrowed(text)
    }
}

/// Width mapping (RFC 8265 §3.3.1): what is as wide or as narrow as half a Chinese character is the
/// character itself.
fn narrow(c: char) -> char {
    let width = CodePointMapData::<EastAsianWidth>::new().get(c);
    if !matches!(width, EastAsianWidth::Fullwidth | EastAsianWidth::Halfwidth) {
        return c;
    }
    let mut mapped = [0; 4];
    let mapped = NFKD.normalize(c.encode_utf8(&mut mapped));
    let mut mapped = mapped.chars();
    match (mapped.next(), mapped.next()) {
        (Some(mapped), None) => mapped,
        _ => c,
    }
}

fn is_space(c: char) -> bool {
    CodePointMapData::<GeneralCategory>::new().get(c) == GeneralCategory::SpaceSeparator
}
