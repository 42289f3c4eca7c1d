//! Stream features (RFC 6120 §4.3.2): the one place where ours are listed, and where the peer's are
//! read.

use super::{Need, Terms};
use crate::{ns, sasl, xml::Element};

/// How far an inbound stream is, as far as it matters for what is offered on it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Offer {
    /// No TLS yet. Nothing stands beside a STARTTLS that is required (RFC 6120 §5.3.1).
    Plain,
    /// TLS stands, and the peer's certificate is good for the domain that it says it is.
    Proven,
    /// TLS stands, and the peer's certificate is good for nothing.
    Unproven,
    /// The peer is authenticated: nothing is left that it has to negotiate.
    Authenticated,
}

/// What we offer.
pub(super) fn offered(offer: Offer, terms: &Terms, limits: &Announced) -> Element {
    let mut features = Element::new(ns::STREAM, "features");
    let starttls = || Element::new(ns::TLS, "starttls");
    let (external, dialback) = match offer {
        Offer::Plain => {
            match terms.tls {
                // Also where nothing could be authenticated without it.
                Need::Required | Need::Optional if !terms.plain() => {
                    let required = Element::new(ns::TLS, "required");
                    return features.with_child(starttls().with_child(required));
                }
                Need::Required | Need::Optional => features.push(starttls()),
                Need::NotSupported => {}
            }
            (false, true)
        }
        Offer::Proven => (true, terms.tls_dialback),
        Offer::Unproven | Offer::Authenticated => (false, terms.tls_dialback),
    };
    if external {
        let mechanism = Element::new(ns::SASL, "mechanism").with_text(sasl::EXTERNAL);
        features.push(Element::new(ns::SASL, "mechanisms").with_child(mechanism));
    }
    if dialback {
        let errors = Element::new(ns::DIALBACK_FEATURE, "errors");
        features.push(Element::new(ns::DIALBACK_FEATURE, "dialback").with_child(errors));
    }
    if terms.bidi && matches!(offer, Offer::Proven | Offer::Unproven) {
        features.push(Element::new(ns::BIDI_FEATURE, "bidi"));
    }
    if terms.management && offer == Offer::Authenticated {
        features.push(Element::new(ns::MANAGEMENT, "sm"));
    }
    // After dialback no other features follow.
    if dialback || offer == Offer::Authenticated {
        features.push(limits.to_element());
    }
    features
}

/// What we take on a stream (XEP-0478).
#[derive(Debug, Clone, Copy)]
pub(super) struct Announced {
    pub(super) max_bytes: usize,
    pub(super) idle_seconds: Option<u64>,
}

impl Announced {
    fn to_element(self) -> Element {
        let number = |name: &str, value: String| {
            Element::new(ns::STREAM_LIMITS, name).with_text(value.as_str())
        };
        let limits = Element::new(ns::STREAM_LIMITS, "limits")
            .with_child(number("max-bytes", self.max_bytes.to_string()));
        match self.idle_seconds {
            Some(seconds) => limits.with_child(number("idle-seconds", seconds.to_string())),
            None => limits,
        }
    }
}

/// The request that stanzas flow both ways (XEP-0288), with what we take (XEP-0478).
pub(super) fn bidi(limits: &Announced) -> Element {
    Element::new(ns::BIDI, "bidi").with_child(limits.to_element())
}

/// What a peer says of the stanzas that it takes (XEP-0478).
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct PeerLimits {
    /// Bytes of the longest element.
    pub max_bytes: Option<u64>,
    /// After so many seconds without a byte of ours it may close the stream.
    pub idle_seconds: Option<u64>,
}

impl PeerLimits {
    /// Reads `<limits/>` in the features or in `<bidi/>`. What is no number is not announced.
    pub(super) fn within(element: &Element) -> Self {
        let limits = element.child(ns::STREAM_LIMITS, "limits");
        let number = |name: &str| {
            limits?
                .child(ns::STREAM_LIMITS, name)?
                .text()
                .trim()
                .parse()
                .ok()
        };
        Self {
            max_bytes: number("max-bytes"),
            idle_seconds: number("idle-seconds"),
        }
    }
}

/// What a peer offers. A peer from before XMPP 1.0 offers nothing.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(super) struct Features {
    pub(super) starttls: Option<Need>,
    pub(super) external: bool,
    pub(super) dialback: bool,
    pub(super) bidi: bool,
    pub(super) management: bool,
    pub(super) limits: PeerLimits,
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
        let has = |ns: &str, name: &str| element.child(ns, name).is_some();
        Some(Self {
            starttls: element.child(ns::TLS, "starttls").map(|starttls| {
                match starttls.child(ns::TLS, "required") {
                    Some(_) => Need::Required,
                    None => Need::Optional,
                }
            }),
            external,
            dialback: has(ns::DIALBACK_FEATURE, "dialback"),
            bidi: has(ns::BIDI_FEATURE, "bidi"),
            management: has(ns::MANAGEMENT, "sm"),
            limits: PeerLimits::within(element),
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
