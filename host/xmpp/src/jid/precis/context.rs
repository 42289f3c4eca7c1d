//! Characters that are only allowed beside certain others (RFC 5892 appendix A, by RFC 8264 §9.7).

use icu_properties::{
    CodePointMapData,
    props::{CanonicalCombiningClass, JoiningType, Script},
};

/// Whether the character may stand at this place of the text.
pub(super) fn allows(text: &str, at: usize, c: char) -> bool {
    let before = text.get(..at).unwrap_or_default();
    let after = text.get(at + c.len_utf8()..).unwrap_or_default();
    let previous = before.chars().next_back();
    let next = after.chars().next();
    match c {
        '\u{200C}' => previous.is_some_and(is_virama) || joins(before, after),
        '\u{200D}' => previous.is_some_and(is_virama),
        // Catalan `l·l`.
        '\u{B7}' => previous == Some('l') && next == Some('l'),
        '\u{375}' => next.is_some_and(|next| script(next) == Script::Greek),
        '\u{5F3}' | '\u{5F4}' => previous.is_some_and(|c| script(c) == Script::Hebrew),
        '\u{30FB}' => text
            .chars()
            .any(|c| matches!(script(c), Script::Hiragana | Script::Katakana | Script::Han)),
        // The two rows of Arabic digits do not mix.
        '\u{660}'..='\u{669}' => !text.contains(|c| matches!(c, '\u{6F0}'..='\u{6F9}')),
        '\u{6F0}'..='\u{6F9}' => !text.contains(|c| matches!(c, '\u{660}'..='\u{669}')),
        _ => false,
    }
}

fn script(c: char) -> Script {
    CodePointMapData::<Script>::new().get(c)
}

fn is_virama(c: char) -> bool {
    CodePointMapData::<CanonicalCombiningClass>::new().get(c) == CanonicalCombiningClass::Virama
}

/// Whether the letters on both sides join across the place.
fn joins(before: &str, after: &str) -> bool {
    let of = |c: char| CodePointMapData::<JoiningType>::new().get(c);
    let nearest = |kind: Option<JoiningType>, side: JoiningType| {
        kind.is_some_and(|kind| kind == side || kind == JoiningType::DualJoining)
    };
    let is_seen = |kind: &JoiningType| *kind != JoiningType::Transparent;
    let left = before.chars().rev().map(of).find(is_seen);
    let right = after.chars().map(of).find(is_seen);
    nearest(left, JoiningType::LeftJoining) && nearest(right, JoiningType::RightJoining)
}
