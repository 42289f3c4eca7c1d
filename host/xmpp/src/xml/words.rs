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
    ($($word:literal)+) => {
        fn common(name: &str) -> Option<&'static str> {
            match name {
                $($word => Some($word),)+
                _ => None,
            }
        }
    };
}

common! {
    // RFC 6120, RFC 6121.
    "message" "presence" "iq" "from" "to" "id" "type" "lang" "body" "subject" "thread" "parent" "show"
    "status" "priority" "error" "text" "query" "item" "name" "jid" "subscription" "ask" "group"
    // What extensions use in nearly every stanza.
    "x" "c" "hash" "node" "ver" "ext" "active" "composing" "paused" "inactive" "gone" "request" "received"
    "displayed" "markable" "delay" "stamp" "ping" "html" "p" "photo" "nick" "occupant-id" "origin-id"
    "stanza-id" "by" "store" "no-store" "no-copy" "replace" "encrypted" "encryption" "header" "key" "iv"
    "payload" "rid" "sid" "namespace" "pubsub" "items" "publish" "event" "feature" "var" "identity"
    "category" "field" "value" "option" "label"
}
