//! What a policy usually needs of a stanza, at hand without asking the host.

use crate::bindings::base::portcullis::policy::types;
use crate::{Address, Direction, Kind, Subtype};

/// The attributes of a stanza, and what it carries. It tells the stanza as it was when this plugin
/// was called: edits by earlier plugins are in it, one's own are not.
///
/// In the examples of its methods `header_of` gives the header of a stanza that arrives.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// # struct X;
/// # impl Plugin for X {
/// #     type Config = NoConfig;
/// #     fn new(_: NoConfig) -> Result<Self, String> { Ok(Self) }
/// # }
/// impl Filter for X {
///     fn decide(&mut self, header: &Header, stanza: &mut Stanza) -> Verdict {
///         assert_eq!(header.kind(), Kind::Message);
///         assert_eq!(header.subtype(), Subtype::Chat);
///         assert_eq!(header.direction(), Direction::Inbound);
///         assert!(!header.is_request() && !header.is_error());
///         assert_eq!((header.id(), header.lang()), (Some("m1"), Some("de")));
///
///         // Addresses as they were written, cut at their slashes; domains always normalised.
///         assert_eq!(header.from(), "Eve@Alpha.test/phone");
///         assert_eq!((header.from_bare(), header.from_resource()), ("Eve@Alpha.test", Some("phone")));
///         assert_eq!((header.to(), header.to_bare(), header.to_resource()), ("a@org.test", "a@org.test", None));
///         assert_eq!((header.from_domain(), header.to_domain()), ("alpha.test", "org.test"));
///         assert_eq!(header.partner(), "alpha.test");
///
///         // Addresses to compare and take apart.
///         assert_eq!(header.sender().as_str(), "eve@alpha.test/phone");
///         assert_eq!(header.contact(), header.sender());
///         assert_eq!(header.user(), header.recipient());
///
///         // What it carries: name and namespace.
///         assert!(header.has_payload("urn:xmpp:receipts"));
///         assert_eq!(header.payloads().next(), Some(("body", Stanza::XMPP)));
///         # let _ = stanza;
///         Verdict::pass()
///     }
/// }
/// # #[cfg(not(target_family = "wasm"))] {
/// # let mut host = portcullis_plugin::mock::Host::new().own("org.test");
/// # let mut plugin = host.load::<X>(serde_json::json!({}))?;
/// let (verdict, passed) = host.decide(
///     &mut plugin,
///     Direction::Inbound,
///         "<message from='Eve@Alpha.test/phone' to='a@org.test' type='chat' id='m1' xml:lang='de'>\
///                  <body>Hallo</body><request xmlns='urn:xmpp:receipts'/></message>",
///     );
/// assert!(verdict.is_pass());
/// # let _ = passed;
/// # }
/// # Ok::<(), String>(())
/// ```
#[derive(Debug, Clone)]
pub struct Header {
    wire: types::Header,
    /// Where each part begins in `wire.text`, in the order of [`Part`]; the last runs to the end.
    starts: [usize; 7],
}

/// The parts of the packed text, in their order.
#[derive(Clone, Copy)]
enum Part {
    FromDomain,
    ToDomain,
    From,
    To,
    Id,
    Lang,
    Payloads,
}

impl Header {
    /// Unpacks what the host sent. A length that points outside the text gives empty parts.
    pub(crate) fn from_wire(wire: types::Header) -> Self {
        let mut starts = [0; 7];
        let lengths = [
            wire.from_domain,
            wire.to_domain,
            wire.from,
            wire.to,
            wire.id,
            wire.lang,
        ];
        let mut at = 0;
        for (start, length) in starts.iter_mut().skip(1).zip(lengths) {
            at += usize::from(length);
            *start = at;
        }
        Self { wire, starts }
    }

    /// Message, presence or iq.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<presence from='eve@alpha.test' to='a@org.test'/>");
    /// assert_eq!(header.kind(), Kind::Presence);
    /// ```
    #[must_use]
    pub fn kind(&self) -> Kind {
        self.wire.kind
    }

    /// The `type` attribute.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<presence from='eve@alpha.test' to='a@org.test' type='subscribe'/>");
    /// assert_eq!(header.subtype(), Subtype::Subscribe);
    /// ```
    #[must_use]
    pub fn subtype(&self) -> Subtype {
        self.wire.subtype
    }

    /// Inbound: from a partner towards the organisation.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test'/>");
    /// assert_eq!(header.direction(), Direction::Inbound);
    /// ```
    #[must_use]
    pub fn direction(&self) -> Direction {
        self.wire.direction
    }

    /// The sender's address as it was written.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='Eve@Alpha.test/phone' to='a@org.test'/>");
    /// assert_eq!(header.from(), "Eve@Alpha.test/phone");
    /// ```
    #[must_use]
    pub fn from(&self) -> &str {
        self.part(Part::From)
    }

    /// The recipient's address as it was written.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='A@org.test/desk'/>");
    /// assert_eq!(header.to(), "A@org.test/desk");
    /// ```
    #[must_use]
    pub fn to(&self) -> &str {
        self.part(Part::To)
    }

    /// The sender's address without its resource.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='Eve@Alpha.test/phone' to='a@org.test'/>");
    /// assert_eq!(header.from_bare(), "Eve@Alpha.test");
    /// ```
    #[must_use]
    pub fn from_bare(&self) -> &str {
        split(self.from()).0
    }

    /// The recipient's address without its resource.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='A@org.test/desk'/>");
    /// assert_eq!(header.to_bare(), "A@org.test");
    /// ```
    #[must_use]
    pub fn to_bare(&self) -> &str {
        split(self.to()).0
    }

    /// The sender's resource: which of a user's clients, or the nickname in a room.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='hall@muc.alpha.test/Eve' to='a@org.test'/>");
    /// assert_eq!(header.from_resource(), Some("Eve"));
    /// ```
    #[must_use]
    pub fn from_resource(&self) -> Option<&str> {
        split(self.from()).1
    }

    /// The recipient's resource.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test/desk'/>");
    /// assert_eq!(header.to_resource(), Some("desk"));
    /// ```
    #[must_use]
    pub fn to_resource(&self) -> Option<&str> {
        split(self.to()).1
    }

    /// The sender's domain, normalised.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@Alpha.test' to='a@org.test'/>");
    /// assert_eq!(header.from_domain(), "alpha.test");
    /// ```
    #[must_use]
    pub fn from_domain(&self) -> &str {
        self.part(Part::FromDomain)
    }

    /// The recipient's domain, normalised.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@Org.test'/>");
    /// assert_eq!(header.to_domain(), "org.test");
    /// ```
    #[must_use]
    pub fn to_domain(&self) -> &str {
        self.part(Part::ToDomain)
    }

    /// The remote domain, normalised: the sender's if the stanza comes in, the recipient's if it
    /// goes out.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@Alpha.test' to='a@org.test'/>");
    /// assert_eq!(header.partner(), "alpha.test");
    /// ```
    #[must_use]
    pub fn partner(&self) -> &str {
        match self.direction() {
            Direction::Inbound => self.from_domain(),
            Direction::Outbound => self.to_domain(),
        }
    }

    /// The sender's address, to compare and take apart. Asks the host.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='Eve@Alpha.test/phone' to='a@org.test'/>");
    /// assert_eq!(header.sender().as_str(), "eve@alpha.test/phone");
    /// ```
    #[must_use]
    pub fn sender(&self) -> Address {
        Address::of_stanza(self.from())
    }

    /// The recipient's address, to compare and take apart. Asks the host.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='A@Org.test'/>");
    /// assert_eq!(header.recipient().local(), Some("a"));
    /// ```
    #[must_use]
    pub fn recipient(&self) -> Address {
        Address::of_stanza(self.to())
    }

    /// The address inside: the recipient's if the stanza comes in, the sender's if it goes out. Asks the
    /// host.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test'/>");
    /// assert_eq!(header.user(), header.recipient());
    /// ```
    #[must_use]
    pub fn user(&self) -> Address {
        match self.direction() {
            Direction::Inbound => self.recipient(),
            Direction::Outbound => self.sender(),
        }
    }

    /// The address outside. Asks the host.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test'/>");
    /// assert_eq!(header.contact(), header.sender());
    /// ```
    #[must_use]
    pub fn contact(&self) -> Address {
        match self.direction() {
            Direction::Inbound => self.sender(),
            Direction::Outbound => self.recipient(),
        }
    }

    /// Whether it is an iq that asks, and so must be answered.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let xml = "<iq from='alpha.test' to='org.test' id='1' type='get'><q xmlns='urn:q'/></iq>";
    /// assert!(header_of(xml).is_request());
    /// ```
    #[must_use]
    pub fn is_request(&self) -> bool {
        matches!(
            (self.kind(), self.subtype()),
            (Kind::Iq, Subtype::Get | Subtype::Set)
        )
    }

    /// Whether it is an error in answer to a stanza.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<presence from='eve@alpha.test' to='a@org.test'/>");
    /// assert!(!header.is_error());
    /// ```
    #[must_use]
    pub fn is_error(&self) -> bool {
        self.subtype() == Subtype::Error
    }

    /// The stanza's id; at most 1024 bytes of it.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test' id='m1'/>");
    /// assert_eq!(header.id(), Some("m1"));
    /// ```
    #[must_use]
    pub fn id(&self) -> Option<&str> {
        Some(self.part(Part::Id)).filter(|id| !id.is_empty())
    }

    /// Its `xml:lang`, or the stream's.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test' xml:lang='de'/>");
    /// assert_eq!(header.lang(), Some("de"));
    /// ```
    #[must_use]
    pub fn lang(&self) -> Option<&str> {
        Some(self.part(Part::Lang)).filter(|lang| !lang.is_empty())
    }

    /// Name and namespace of each direct child, in order; at most 64 of them.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<presence from='eve@alpha.test' to='a@org.test'><show>away</show></presence>");
    /// assert_eq!(header.payloads().collect::<Vec<_>>(), [("show", Stanza::XMPP)]);
    /// ```
    pub fn payloads(&self) -> impl Iterator<Item = (&str, &str)> {
        self.part(Part::Payloads)
            .lines()
            .filter_map(|line| line.rsplit_once(' '))
            .map(|(namespace, name)| (name, namespace))
    }

    /// Whether a direct child is in this namespace, among the first 64.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let header = header_of("<message from='eve@alpha.test' to='a@org.test'><x xmlns='urn:x'/></message>");
    /// assert!(header.has_payload("urn:x"));
    /// ```
    #[must_use]
    pub fn has_payload(&self, namespace: &str) -> bool {
        self.payloads().any(|(_, one)| one == namespace)
    }

    fn part(&self, part: Part) -> &str {
        let at = part as usize;
        let start = self.starts.get(at).copied().unwrap_or(usize::MAX);
        let end = self
            .starts
            .get(at + 1)
            .copied()
            .unwrap_or(self.wire.text.len());
        self.wire.text.get(start..end).unwrap_or_default()
    }
}

/// The bare address and the resource (RFC 7622 §3.1: the resource begins after the first slash).
fn split(address: &str) -> (&str, Option<&str>) {
    match address.split_once('/') {
        Some((bare, resource)) => (bare, Some(resource)),
        None => (address, None),
    }
}

#[cfg(test)]
mod tests;
