//! What a refusal is asked about by.
//!
//! In: random numbers of the system. Out: ten letters and digits in two groups, such as
//! `7KQ4M-ZD2WX`: short enough to be read over the phone, without `0`, `O`, `1` and `I`, which look
//! like each other, and with 50 random bits, so that nobody learns from one how many there were, or
//! finds another's. Two refusals with one reference are as likely as that guess.

use std::fmt;
use std::str::FromStr;

/// The digits, five bits each.
const ALPHABET: &[u8; 32] = b"23456789ABCDEFGHJKLMNPQRSTUVWXYZ";
/// How many of them.
const LENGTH: usize = 10;
/// After so many there is a hyphen.
const GROUP: usize = 5;

/// See the module. Shown in upper case with its hyphen.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Reference([u8; LENGTH]);

/// The text is no reference.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error(
    "a reference has ten letters and digits, such as 7KQ4M-ZD2WX; none of them is 0, 1, I or O"
)]
pub struct NoReference;

impl Reference {
    /// A new one.
    #[must_use]
    #[expect(
        clippy::expect_used,
        reason = "a system without randomness cannot speak TLS either"
    )]
    pub fn draw() -> Self {
        let mut bytes = [0; LENGTH];
        getrandom::fill(&mut bytes).expect("the system has random numbers");
        // 256 is a multiple of the alphabet's length: each digit is as likely as any other.
        Self(bytes.map(|byte| {
            let place = usize::from(byte) % ALPHABET.len();
            ALPHABET.get(place).copied().unwrap_or(b'2')
        }))
    }
}

impl FromStr for Reference {
    type Err = NoReference;

    /// Takes it as people write it: in any case, with or without hyphen and space.
    fn from_str(text: &str) -> Result<Self, NoReference> {
        let written = text.bytes().filter(|byte| !matches!(byte, b'-' | b' '));
        let mut digits = [0; LENGTH];
        let mut places = digits.iter_mut();
        for byte in written {
            let digit = byte.to_ascii_uppercase();
            let place = places.next().ok_or(NoReference)?;
            *place = (ALPHABET.contains(&digit).then_some(digit)).ok_or(NoReference)?;
        }
        match places.next() {
            Some(_) => Err(NoReference),
            None => Ok(Self(digits)),
        }
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (place, digit) in self.0.iter().enumerate() {
            if place == GROUP {
                f.write_str("-")?;
            }
            write!(f, "{}", char::from(*digit))?;
        }
        Ok(())
    }
}

impl fmt::Debug for Reference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Reference({self})")
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn it_is_read_however_people_write_it() {
        let drawn = Reference::draw();
        let text = drawn.to_string();
        assert_eq!(text.len(), LENGTH + 1, "{text}");
        for written in [
            text.clone(),
            text.to_lowercase(),
            text.replace('-', ""),
            text.replace('-', " "),
        ] {
            assert_eq!(written.parse(), Ok(drawn), "{written}");
        }
    }

    #[test]
    fn what_is_none_is_not_taken_for_one() {
        for text in [
            "",
            "ABCDE",
            "ABCDE-FGHJK-L",
            "ABCDE-FGHJ0",
            "ABCDE-FGHJO",
            "ABCDE-FGHJ1",
            "ABCDE-FGHJI",
            "äBCDE-FGHJ",
        ] {
            assert_eq!(text.parse::<Reference>(), Err(NoReference), "{text}");
        }
    }

    #[test]
    fn no_two_are_alike_and_no_digit_is_missing() {
        let drawn: HashSet<_> = (0..1000).map(|_| Reference::draw().to_string()).collect();
        assert_eq!(drawn.len(), 1000);
        let digits: HashSet<_> = drawn.iter().flat_map(|text| text.bytes()).collect();
        assert!(ALPHABET.iter().all(|digit| digits.contains(digit)));
    }
}
