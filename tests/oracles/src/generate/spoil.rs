//! One fault at a time.

use super::pieces::FAULTS;
use crate::Random;

/// Puts one fault into the bytes; some are taken from another stream.
pub(super) fn spoil(random: &mut Random, bytes: &mut Vec<u8>, other: &[u8]) {
    let at = random.below(bytes.len() + 1);
    let end = (at + random.below(8)).min(bytes.len());
    match random.below(10) {
        0..=2 => replace(bytes, at, at, random.one(FAULTS)),
        3 => replace(bytes, at, end, random.one(FAULTS)),
        4 => replace(bytes, at, end, &[]),
        5 => {
            let bit = 1 << random.below(8);
            if let Some(byte) = bytes.get_mut(at) {
                *byte ^= bit;
            }
        }
        6 => {
            let byte = random.number().to_le_bytes();
            replace(bytes, at, end, byte.get(..1).unwrap_or_default());
        }
        7 => {
            let part = range(random, bytes).to_vec();
            replace(bytes, at, at, &part);
        }
        8 => {
            let part = range(random, other).to_vec();
            replace(bytes, at, end, &part);
        }
        _ => half_a_character(random, bytes, at),
    }
}

fn replace(bytes: &mut Vec<u8>, at: usize, end: usize, with: &[u8]) {
    bytes.splice(at..end, with.iter().copied());
}

fn range<'a>(random: &mut Random, of: &'a [u8]) -> &'a [u8] {
    let at = random.below(of.len() + 1);
    let end = (at + random.below(60)).min(of.len());
    of.get(at..end).unwrap_or_default()
}

/// The beginning of a character of several bytes, whose rest some parsers look for in what follows.
fn half_a_character(random: &mut Random, bytes: &mut Vec<u8>, at: usize) {
    let whole = random
        .one(&["\u{E9}", "\u{20AC}", "\u{1F600}", "\u{FFFE}"])
        .as_bytes();
    let part = whole
        .get(..1 + random.below(whole.len() - 1))
        .unwrap_or_default();
    replace(bytes, at, at, part);
}
