//! Stream ids (RFC 6120 §4.7.3).

/// An id that nobody can guess and that never comes again: 128 random bits in hex.
#[expect(
    clippy::expect_used,
    reason = "a system without randomness cannot speak TLS either"
)]
pub(crate) fn stream_id() -> String {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes).expect("the system has random numbers");
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn str_04_stream_id_is_fresh() {
        let ids: HashSet<String> = (0..10_000).map(|_| stream_id()).collect();
        assert_eq!(ids.len(), 10_000);
        assert!(ids.iter().all(|id| id.len() == 32));
    }
}
