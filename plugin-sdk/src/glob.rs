//! Patterns of text.

use std::fmt;

use serde::{Deserialize, Deserializer};

/// A pattern of text in which `*` stands for any characters and `?` for one; upper and lower case are
/// the same. It means the whole text: write `*word*` to find a word anywhere. For more take a crate
/// such as `regex`; a plugin may.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// let pattern = Glob::new("*free m?ney*");
/// assert!(pattern.matches("Get your FREE MONEY now"));
/// assert!(!pattern.matches("money, free"));
/// ```
///
/// Matching takes time in proportion to the product of both lengths at worst, and no memory but for a
/// text beyond ASCII.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Glob {
    /// Lower case.
    signs: Vec<Sign>,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
enum Sign {
    Any,
    One,
    Just(char),
}

impl Glob {
    /// A pattern; every text is one.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Glob::new("info-*").matches("Info-Desk"));
    /// ```
    #[must_use]
    pub fn new(pattern: &str) -> Self {
        let sign = |sign| match sign {
            '*' => Sign::Any,
            '?' => Sign::One,
            other => Sign::Just(other),
        };
        Self {
            signs: pattern
                .chars()
                .flat_map(char::to_lowercase)
                .map(sign)
                .collect(),
        }
    }

    /// A pattern that means this text alone, asterisks and question marks included.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Glob::exactly("what?").matches("What?"));
    /// assert!(!Glob::exactly("what?").matches("whats"));
    /// ```
    #[must_use]
    pub fn exactly(text: &str) -> Self {
        Self {
            signs: text
                .chars()
                .flat_map(char::to_lowercase)
                .map(Sign::Just)
                .collect(),
        }
    }

    /// Whether the whole text is meant.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Glob::new("*word*").matches("a word or two"));
    /// assert!(!Glob::new("word").matches("a word or two"));
    /// ```
    #[must_use]
    pub fn matches(&self, text: &str) -> bool {
        if text.is_ascii() {
            self.covers(text.as_bytes(), |b| char::from(b.to_ascii_lowercase()))
        } else {
            let text: Vec<char> = text.chars().flat_map(char::to_lowercase).collect();
            self.covers(&text, |it| it)
        }
    }

    /// Whether a text is meant whose signs this makes lower case.
    fn covers<T: Copy>(&self, text: &[T], lower: impl Fn(T) -> char) -> bool {
        let (mut sign, mut at) = (0, 0);
        // Behind the last asterisk, and how far it reaches; it is enough to go back to the last one.
        let mut back: Option<(usize, usize)> = None;
        while let Some(found) = text.get(at) {
            match self.signs.get(sign) {
                Some(Sign::Any) => {
                    sign += 1;
                    back = Some((sign, at));
                }
                Some(Sign::One) => {
                    sign += 1;
                    at += 1;
                }
                Some(Sign::Just(wanted)) if *wanted == lower(*found) => {
                    sign += 1;
                    at += 1;
                }
                _ => match &mut back {
                    Some((behind, reach)) => {
                        *reach += 1;
                        (sign, at) = (*behind, *reach);
                    }
                    None => return false,
                },
            }
        }
        self.signs.iter().skip(sign).all(|sign| *sign == Sign::Any)
    }
}

impl fmt::Display for Glob {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.signs.iter().try_for_each(|sign| match sign {
            Sign::Any => f.write_str("*"),
            Sign::One => f.write_str("?"),
            Sign::Just(sign) => write!(f, "{sign}"),
        })
    }
}

impl<'de> Deserialize<'de> for Glob {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer).map(|pattern| Self::new(&pattern))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_asterisk_stands_for_any_characters_and_a_question_mark_for_one() {
        for (pattern, text) in [
            ("", ""),
            ("*", ""),
            ("*", "anything"),
            ("a*c", "abbc"),
            ("a*b*c", "aXbXbXc"),
            ("*word*", "in WORDS"),
            ("?ü?", "xÜx"),
            ("**", "x"),
            ("*ab", "aab"),
            ("*İ*", "xi̇x"),
            ("*k*", "\u{212a}"),
        ] {
            assert!(Glob::new(pattern).matches(text), "{pattern} {text}");
        }
        for (pattern, text) in [
            ("", "x"),
            ("?", ""),
            ("a*c", "abbd"),
            ("word", "words"),
            ("a?", "a"),
        ] {
            assert!(!Glob::new(pattern).matches(text), "{pattern} {text}");
        }
        assert!(Glob::exactly("a*").matches("A*") && !Glob::exactly("a*").matches("ab"));
    }
}
