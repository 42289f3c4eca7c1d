//! Stream ids (RFC 6120 §4.7.3).

/// An id that nobody can guess and that never comes again: 128 random bits in hex.
#[expect(
    clippy::expect_used,
    reason = "a system without randomness cannot speak TLS either"
)]
pub(crate) fn stream_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    let digit = |half: u8| char::from_digit(u32::from(half), 16).unwrap_or_default();
    let digits = bytes
        .iter()
        .flat_map(|byte| [digit(byte >> 4), digit(byte & 15)]);
    let mut id = String::with_capacity(2 * bytes.len());
    id.extend(digits);
    id
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn str_04_stream_id_is_fresh() {
        let ids: HashSet<String> = (0..10_000).map(|_| stream_id()).collect();
        assert_eq!(ids.len(), 10_000);
        let hex = |id: &String| {
            let digits = |digit: char| digit.is_ascii_digit() || ('a'..='f').contains(&digit);
            id.len() == 32 && id.chars().all(digits)
        };
        assert!(ids.iter().all(hex));
    }
}
