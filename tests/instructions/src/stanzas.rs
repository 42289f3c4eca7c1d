//! The stanzas that are counted.

const ENDS: &str = "from='romeo@alpha.test/garden' to='juliet@org.test'";

/// A chat message of so many bytes, as clients send it.
pub(crate) fn message(size: usize) -> String {
    let head = format!("<message {ENDS} type='chat' id='a2f0e1c4-77'><body>");
    let tail = "</body><active xmlns='http://jabber.org/protocol/chatstates'/><request xmlns='urn:xmpp:receipts'/></message>";
    let room = size.saturating_sub(head.len() + tail.len());
    let body: String = "Wherefore art thou? ".chars().cycle().take(room).collect();
    format!("{head}{body}{tail}")
}

pub(crate) fn iq() -> String {
    format!(
        "<iq {ENDS} type='get' id='d1'><query xmlns='http://jabber.org/protocol/disco#info' node='http://client.test#QgayPKawpkPSDYmwT/WM94uAlu0='/></iq>"
    )
}

pub(crate) fn presence() -> String {
    format!(
        "<presence {ENDS}><show>away</show><status>In the garden</status><priority>5</priority><c xmlns='http://jabber.org/protocol/caps' hash='sha-1' node='http://client.test' ver='QgayPKawpkPSDYmwT/WM94uAlu0='/></presence>"
    )
}
