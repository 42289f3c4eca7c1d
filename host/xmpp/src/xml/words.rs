//! Local names that most stanzas have: one text each for the whole program.
//!
//! In: a local name. Out: the same; only one that is not common costs memory of its own.

use std::borrow::Cow;

/// The local name, to be kept.
pub(super) fn local(name: &str) -> Cow<'static, str> {
    match common(name) {
        Some(word) => Cow::Borrowed(word),
        None => Cow::Owned(name.to_owned()),
    }
}

macro_rules! common {
    ($($length:literal: $($word:literal)+;)+) => {
        /// The text that the whole program shares for this name, if it is a common one, which is a local name
        /// without a prefix. By length, so that few are compared.
        pub(super) fn common(name: &str) -> Option<&'static str> {
            match name.len() {
                $($length => match name {
                    $($word => Some($word),)+
                    _ => None,
                },)+
                _ => None,
            }
        }

        #[cfg(test)]
        const COMMON: &[(usize, &[&str])] = &[$(($length, &[$($word),+])),+];
    };
}

// RFC 6120, RFC 6121, and what extensions use in nearly every stanza.
common! {
    1: "x" "c" "p";
    2: "to" "id" "iq" "by" "iv";
    3: "jid" "ask" "ver" "ext" "key" "rid" "sid" "var";
    4: "from" "type" "body" "lang" "show" "text" "item" "name" "hash" "node" "ping" "html" "nick" "gone";
    5: "query" "error" "group" "delay" "stamp" "photo" "store" "items" "event" "field" "value" "label";
    6: "thread" "parent" "status" "active" "paused" "header" "pubsub" "option";
    7: "message" "subject" "request" "replace" "payload" "publish" "feature" "no-copy";
    8: "presence" "priority" "received" "inactive" "markable" "no-store" "identity" "category";
    9: "composing" "displayed" "encrypted" "namespace" "origin-id" "stanza-id";
    10: "encryption";
    11: "occupant-id";
    12: "subscription";
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::xml::is_ncname;

    #[test]
    fn each_common_name_is_found_and_is_a_name_without_prefix() {
        for (length, words) in COMMON {
            for word in *words {
                assert_eq!((word.len(), common(word)), (*length, Some(*word)));
                assert!(is_ncname(word), "{word}");
            }
        }
    }
}
