//! Any text: no panic, and a normalised domain is its own normal form.
#![no_main]

use libfuzzer_sys::fuzz_target;
use portcullis_xmpp::{Domain, Jid};

fuzz_target!(|text: &str| {
    if let Ok(jid) = Jid::parse(text) {
        assert_eq!(jid.as_str(), text);
        assert_eq!(Domain::parse(jid.domain().as_str()).as_ref(), Ok(jid.domain()));
        assert_eq!(jid.to_bare().to_bare(), jid.to_bare());
    }
});
