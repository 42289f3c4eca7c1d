//! Text that runs from right to left must do so as a whole (RFC 5893 §2, by RFC 8265 §3.3.1).

use icu_properties::{CodePointMapData, props::BidiClass as B};

/// Whether the text has one direction: nothing in it runs from right to left, or it keeps the Bidi Rule.
pub(super) fn is_one(text: &str) -> bool {
    let class = |c: char| CodePointMapData::<B>::new().get(c);
    let classes = || text.chars().map(class);
    if !classes().any(|b| matches!(b, B::RightToLeft | B::ArabicLetter | B::ArabicNumber)) {
        return true;
    }
    let first = classes().next();
    let last = classes().rev().find(|b| *b != B::NonspacingMark);
    let neutral = |b: B| {
        matches!(
            b,
            B::EuropeanNumber
                | B::EuropeanSeparator
                | B::CommonSeparator
                | B::EuropeanTerminator
                | B::OtherNeutral
                | B::BoundaryNeutral
                | B::NonspacingMark
        )
    };
    // Something runs from right to left, so a text that begins otherwise breaks rule 5.
    let right_to_left = matches!(first, Some(B::RightToLeft | B::ArabicLetter));
    let both_numbers =
        classes().any(|b| b == B::EuropeanNumber) && classes().any(|b| b == B::ArabicNumber);
    right_to_left
        && classes()
            .all(|b| neutral(b) || matches!(b, B::RightToLeft | B::ArabicLetter | B::ArabicNumber))
        && matches!(
            last,
            Some(B::RightToLeft | B::ArabicLetter | B::EuropeanNumber | B::ArabicNumber)
        )
        && !both_numbers
}
