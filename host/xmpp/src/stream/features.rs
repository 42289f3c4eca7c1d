//! Stream features (RFC 6120 §4.3.2): the one place where ours are listed, and where the peer's are
//! read.

use crate::{ns, sasl, xml::Element};

/// How far an inbound stream is, as far as it matters for what is offered on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// No TLS yet. Nothing stands beside a STARTTLS that is required (RFC 6120 §5.3.1).
    StartTls,
    /// The peer's certificate is good for the domain that it says it is.
    External,
    /// The peer is authenticated: nothing is left to negotiate.
    Nothing,
}

/// What we offer.
pub(super) fn offered(offer: Offer) -> Element {
    let features = Element::new(ns::STREAM, "features");
    match offer {
        Offer::StartTls => {
            let required = Element::new(ns::TLS, "required");
            features.with_child(Element::new(ns::TLS, "starttls").with_child(required))
        }
        Offer::External => {
            let mechanism = Element::new(ns::SASL, "mechanism").with_text(sasl::EXTERNAL);
            features.with_child(Element::new(ns::SASL, "mechanisms").with_child(mechanism))
        }
        Offer::Nothing => features,
    }
}

/// What a peer says of the stanzas that it takes (XEP-0478).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerLimits {
    /// Bytes of the longest element.
    pub max_bytes: Option<u64>,
    /// After so many seconds without a byte of ours it may close the stream.
    pub idle_seconds: Option<u64>,
}

/// What a peer offers.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) starttls: bool,
    pub(super) external: bool,
    /// Something has to be negotiated before stanzas may be sent.
    pub(super) mandatory: bool,
}

impl Features {
    /// Reads `<stream:features/>`; none if the element is something else.
    pub(super) fn of(element: &Element) -> Option<Self> {
        if !element.is(ns::STREAM, "features") {
            return None;
        }
        let external = element.child(ns::SASL, "mechanisms").is_some_and(|list| {
            list.children()
                .any(|m| m.is(ns::SASL, "mechanism") && m.text() == sasl::EXTERNAL)
        });
        Some(Self {
            starttls: element.child(ns::TLS, "starttls").is_some(),
            external,
            mandatory: element.children().any(is_mandatory),
        })
    }
}

/// SASL and STARTTLS are mandatory as such (RFC 6120 §5.3.1, §6.3.1); any other feature if it says
/// so (§4.3.2).
fn is_mandatory(feature: &Element) -> bool {
    feature.is(ns::SASL, "mechanisms")
        || feature.is(ns::TLS, "starttls")
        || feature.children().any(|child| child.name() == "required")
}
