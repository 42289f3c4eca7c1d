//! Addresses that were parsed lately: a text flows in, and the address that it was found to be the last
//! time flows out.
//!
//! Most stanzas of a stream are between few addresses, and to parse one takes longer than to know it
//! again. Bounded by [`KEPT`] and [`LONGEST`], about 10 KiB for a stream at worst. Fails as [`Jid::parse_as`];
//! what is no address is not kept.

use super::{Jid, JidError, Strictness};

/// Addresses that are kept: so many conversations at a time.
const KEPT: usize = 16;
/// The longest text that is kept, in bytes: a longer one is rare, and its writer may choose it.
const LONGEST: usize = 128;

/// All of one strictness: a stream has one.
#[derive(Debug, Default)]
pub(crate) struct RecentJids {
    known: Vec<Jid>,
    /// Which of them makes room for the next one.
    oldest: usize,
}

impl RecentJids {
    /// As [`Jid::parse_as`].
    pub(crate) fn parse(&mut self, text: &str, strictness: Strictness) -> Result<Jid, JidError> {
        if let Some(known) = self.known.iter().find(|known| known.as_str() == text) {
            return Ok(known.clone());
        }
        let jid = Jid::parse_as(text, strictness)?;
        if text.len() <= LONGEST {
            self.keep(jid.clone());
        }
        Ok(jid)
    }

    fn keep(&mut self, jid: Jid) {
        match self.known.get_mut(self.oldest) {
            Some(oldest) => *oldest = jid,
            None => self.known.push(jid),
        }
        self.oldest = (self.oldest + 1) % KEPT;
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    proptest! {
        #[test]
        fn what_is_known_again_is_what_would_be_parsed(
            texts in prop::collection::vec("[aA@/.♥ß]{0,4}", 1..100),
            strict: bool,
        ) {
            let strictness = if strict { Strictness::Strict } else { Strictness::Tolerant };
            let mut recent = RecentJids::default();
            for text in &texts {
                let (known, parsed) = (recent.parse(text, strictness), Jid::parse_as(text, strictness));
                prop_assert_eq!(
                    known.as_ref().map(|jid| (jid.as_str(), jid.to_normal())),
                    parsed.as_ref().map(|jid| (jid.as_str(), jid.to_normal()))
                );
                prop_assert!(recent.known.len() <= KEPT);
            }
        }
    }

    #[test]
    fn many_addresses_and_long_ones_take_no_more_room() {
        let mut recent = RecentJids::default();
        for number in 0..100 {
            recent
                .parse(&format!("{number}@alpha.test"), Strictness::Strict)
                .unwrap();
        }
        assert_eq!(recent.known.len(), KEPT);
        assert!(
            recent
                .known
                .iter()
                .any(|jid| jid.as_str() == "99@alpha.test")
        );
        let long = format!("{}@alpha.test", "a".repeat(LONGEST));
        recent.parse(&long, Strictness::Strict).unwrap();
        assert!(recent.known.iter().all(|jid| jid.as_str() != long));
    }
}
