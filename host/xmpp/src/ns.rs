//! Namespaces that the gateway itself knows. Those of payloads pass through as they are.

/// Stanzas between servers (RFC 6120 §4.8.2); the content namespace of every stream here.
pub const SERVER: &str = "jabber:server";
/// Stanzas between client and server; never on a stream of ours, but inside forwarded payloads.
pub const CLIENT: &str = "jabber:client";
/// Server dialback (XEP-0220).
pub const DIALBACK: &str = "jabber:server:dialback";
/// The stream element, its features and errors (RFC 6120 §4.8.1).
pub const STREAM: &str = "http://etherx.jabber.org/streams";
/// Stream error conditions (RFC 6120 §4.9.2).
pub const STREAM_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-streams";
/// Stanza error conditions (RFC 6120 §8.3.2).
pub const STANZA_ERRORS: &str = "urn:ietf:params:xml:ns:xmpp-stanzas";
/// STARTTLS (RFC 6120 §5).
pub const TLS: &str = "urn:ietf:params:xml:ns:xmpp-tls";
/// SASL (RFC 6120 §6).
pub const SASL: &str = "urn:ietf:params:xml:ns:xmpp-sasl";
/// Application conditions such as `stanza-too-big` (XEP-0205).
pub const ERRORS: &str = "urn:xmpp:errors";
/// What names a refusal of this gateway in an error: `<refusal id='…'/>`, for `portcullis explain`.
pub const REFUSAL: &str = "urn:portcullis:refusal:0";
/// Pings (XEP-0199).
pub const PING: &str = "urn:xmpp:ping";
/// When a stanza that waited was sent (XEP-0203).
pub const DELAY: &str = "urn:xmpp:delay";
/// What the prefix `xml` is bound to, always.
pub const XML: &str = "http://www.w3.org/XML/1998/namespace";
/// What the prefix `xmlns` is bound to, always.
pub const XMLNS: &str = "http://www.w3.org/2000/xmlns/";
/// Dialback as a stream feature (XEP-0220 §2.4.2).
pub const DIALBACK_FEATURE: &str = "urn:xmpp:features:dialback";
/// Bidirectional streams between servers (XEP-0288).
pub const BIDI: &str = "urn:xmpp:bidi";
/// Bidirectional streams as a stream feature.
pub const BIDI_FEATURE: &str = "urn:xmpp:features:bidi";
/// Stream management (XEP-0198).
pub const MANAGEMENT: &str = "urn:xmpp:sm:3";
/// Limits of a stream (XEP-0478).
pub const STREAM_LIMITS: &str = "urn:xmpp:stream-limits:0";
