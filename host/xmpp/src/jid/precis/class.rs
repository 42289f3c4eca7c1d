//! The two string classes of PRECIS (RFC 8264 §4): which characters a text may have.

use icu_properties::{
    CodePointMapData, CodePointSetData,
    props::{
        DefaultIgnorableCodePoint, GeneralCategory, HangulSyllableType, NoncharacterCodePoint,
    },
};

use super::{NFKC, context};

/// What the text is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Class {
    /// Names: letters, digits, and what ASCII can print (§4.2).
    Identifier,
    /// Also spaces, punctuation and symbols (§4.3).
    Freeform,
}

/// The derived property of a character (§8).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Property {
    Valid,
    /// In the freeform class only.
    Free,
    /// Where its neighbours allow it.
    Contextual,
    Disallowed,
}

/// Whether every character of the text may stand in it, where it stands.
pub(super) fn allows(class: Class, text: &str) -> bool {
    text.char_indices().all(|(at, c)| match property(c) {
        Property::Valid => true,
        Property::Free => class == Class::Freeform,
        Property::Contextual => context::allows(text, at, c),
        Property::Disallowed => false,
    })
}

/// In the order of §8, which must not be changed.
fn property(c: char) -> Property {
    use GeneralCategory as G;

    if matches!(c, '!'..='~') {
        return Property::Valid;
    }
    if let Some(property) = exception(c) {
        return property;
    }
    let category = CodePointMapData::<G>::new().get(c);
    let is_nonchar = CodePointSetData::new::<NoncharacterCodePoint>().contains(c);
    if category == G::Unassigned && !is_nonchar {
        return Property::Disallowed;
    }
    if matches!(c, '\u{200C}' | '\u{200D}') {
        return Property::Contextual;
    }
    let old_jamo = matches!(
        CodePointMapData::<HangulSyllableType>::new().get(c),
        HangulSyllableType::LeadingJamo
            | HangulSyllableType::VowelJamo
            | HangulSyllableType::TrailingJamo
    );
    let ignorable = CodePointSetData::new::<DefaultIgnorableCodePoint>().contains(c);
    if old_jamo || ignorable || is_nonchar || category == G::Control {
        return Property::Disallowed;
    }
    if !NFKC.is_normalized(c.encode_utf8(&mut [0; 4])) {
        return Property::Free;
    }
    match category {
        G::LowercaseLetter
        | G::UppercaseLetter
        | G::OtherLetter
        | G::DecimalNumber
        | G::ModifierLetter
        | G::NonspacingMark
        | G::SpacingMark => Property::Valid,
        G::TitlecaseLetter
        | G::LetterNumber
        | G::OtherNumber
        | G::EnclosingMark
        | G::SpaceSeparator
        | G::MathSymbol
        | G::CurrencySymbol
        | G::ModifierSymbol
        | G::OtherSymbol
        | G::ConnectorPunctuation
        | G::DashPunctuation
        | G::OpenPunctuation
        | G::ClosePunctuation
        | G::InitialPunctuation
        | G::FinalPunctuation
        | G::OtherPunctuation => Property::Free,
        _ => Property::Disallowed,
    }
}

/// §9.6
fn exception(c: char) -> Option<Property> {
    match c {
        '\u{DF}' | '\u{3C2}' | '\u{6FD}' | '\u{6FE}' | '\u{F0B}' | '\u{3007}' => {
            Some(Property::Valid)
        }
        '\u{B7}' | '\u{375}' | '\u{5F3}' | '\u{5F4}' | '\u{30FB}' => Some(Property::Contextual),
        '\u{660}'..='\u{669}' | '\u{6F0}'..='\u{6F9}' => Some(Property::Contextual),
        '\u{640}' | '\u{7FA}' | '\u{302E}' | '\u{302F}' | '\u{3031}'..='\u{3035}' | '\u{303B}' => {
            Some(Property::Disallowed)
        }
        _ => None,
    }
}
