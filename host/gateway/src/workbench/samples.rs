//! Traffic for a plugin that has no fixture for it: what a federated server sees all day.

/// Name and stanza; `{from}` and `{to}` are put in both ways round.
const STANZAS: [(&str, &str); 8] = [
    (
        "chat",
        "<message from='{from}/phone' to='{to}' type='chat' id='s1'><body>Are you there?</body>\
         <active xmlns='http://jabber.org/protocol/chatstates'/></message>",
    ),
    (
        "formatted",
        "<message from='{from}/phone' to='{to}' type='chat' id='s2'><body>hello</body>\
         <html xmlns='http://jabber.org/protocol/xhtml-im'><body xmlns='http://www.w3.org/1999/xhtml'><p>hello</p></body></html></message>",
    ),
    (
        "long",
        "<message from='{from}/phone' to='{to}' type='chat' id='s3'><body>{long}</body></message>",
    ),
    (
        "available",
        "<presence from='{from}/phone' to='{to}'><show>dnd</show><status>in a meeting</status>\
         <priority>5</priority></presence>",
    ),
    (
        "unavailable",
        "<presence from='{from}/phone' to='{to}' type='unavailable'/>",
    ),
    (
        "invitation",
        "<presence from='{from}' to='{to}' type='subscribe'/>",
    ),
    (
        "ping",
        "<iq from='{from}/phone' to='{domain}' type='get' id='s4'><ping xmlns='urn:xmpp:ping'/></iq>",
    ),
    (
        "vcard",
        "<iq from='{from}/phone' to='{to}' type='get' id='s5'><vCard xmlns='vcard-temp'/></iq>",
    ),
];

/// A message long enough for most limits.
const LONG: &str = "All work and no play makes Jack a dull boy. ";

/// Each stanza in both directions, with a name.
pub(crate) fn stanzas(own: &str) -> Vec<(String, String)> {
    let inside = format!("romeo@{own}");
    let outside = "juliet@alpha.test".to_owned();
    let ways = [
        ("inbound", &outside, &inside, own),
        ("outbound", &inside, &outside, "alpha.test"),
    ];
    let fill = |(way, from, to, domain): (&str, &String, &String, &str)| {
        STANZAS.map(|(name, xml)| {
            let xml = xml.replace("{from}", from).replace("{to}", to);
            let xml = xml.replace("{domain}", domain);
            let xml = xml.replace("{long}", &LONG.repeat(60));
            (format!("{name}, {way}"), xml)
        })
    };
    ways.into_iter().flat_map(fill).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_sample_is_a_stanza() {
        for (name, xml) in super::stanzas("org.test") {
            assert!(super::super::fixture::stanza(&xml).is_ok(), "{name}");
        }
    }
}
