//! Addresses.

use portcullis_xmpp::{Domain, Jid, Strictness};

/// Any text: an address keeps it, its normal form is its own and equals it, and what is strict is
/// tolerated.
pub fn jid(data: &[u8]) {
    let Ok(text) = std::str::from_utf8(data) else {
        return;
    };
    for strictness in [Strictness::Tolerant, Strictness::Strict] {
        let Ok(jid) = Jid::parse_as(text, strictness) else {
            continue;
        };
        assert!(Jid::parse(text).is_ok());
        assert_eq!(jid.as_str(), text);
        assert_eq!(
            Domain::parse(jid.domain().as_str()).as_ref(),
            Ok(jid.domain())
        );
        assert!(jid.domain().as_str().is_ascii());
        assert_eq!(jid.to_bare().to_bare(), jid.to_bare());
        let local = jid.normal_local().map(|local| format!("{local}@"));
        let resource = jid.normal_resource().map(|resource| format!("/{resource}"));
        let normal = format!(
            "{}{}{}",
            local.unwrap_or_default(),
            jid.domain(),
            resource.unwrap_or_default()
        );
        let again = Jid::parse_as(&normal, strictness);
        assert_eq!(again.as_ref(), Ok(&jid), "{text:?} is {normal:?}");
        assert_eq!(
            again.as_ref().ok().and_then(Jid::normal_local),
            again.as_ref().ok().and_then(Jid::local),
            "{text:?}"
        );
    }
}
