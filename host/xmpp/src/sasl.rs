//! SASL EXTERNAL between servers, both ways (RFC 6120 §6, RFC 4422 appendix A, XEP-0178).
//!
//! Elements in the SASL namespace flow in, the step to take flows out. Nothing here knows a
//! certificate: an [`Acceptor`] is made only where the peer's domain is proven already, and what is
//! left to find out is whether the peer wants to be that domain.
//!
//! Errors are the peer's; each is one of SASL's conditions.

use std::fmt;

use base64::{Engine, alphabet, engine};

use crate::{jid::Domain, ns, xml::Element};

/// The one mechanism between servers.
pub const EXTERNAL: &str = "EXTERNAL";

/// RFC 4648 §4: padding where it belongs, the bits that nobody reads zero, no line breaks.
const STRICT: engine::GeneralPurpose = engine::GeneralPurpose::new(
    &alphabet::STANDARD,
    engine::GeneralPurposeConfig::new()
        .with_decode_allow_trailing_bits(false)
        .with_decode_padding_mode(engine::DecodePaddingMode::RequireCanonical),
);

/// A failure condition of RFC 6120 §6.5.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Condition {
    /// The initiator gave up (§6.5.1).
    Aborted,
    /// The account is disabled (§6.5.2).
    AccountDisabled,
    /// The credentials have expired (§6.5.3).
    CredentialsExpired,
    /// Not without TLS (§6.5.4).
    EncryptionRequired,
    /// The base64 is wrong (§6.5.5).
    IncorrectEncoding,
    /// The identity that is asked for is not the one that is proven (§6.5.6).
    InvalidAuthzid,
    /// The mechanism was not offered (§6.5.7).
    InvalidMechanism,
    /// The request makes no sense at this place (§6.5.8).
    MalformedRequest,
    /// The mechanism is too weak (§6.5.9).
    MechanismTooWeak,
    /// The credentials are not accepted; also for what is not known (§6.5.10).
    NotAuthorized,
    /// Try again later (§6.5.11).
    TemporaryAuthFailure,
}

impl Condition {
    /// All of them, in the order of the RFC.
    pub const ALL: [Self; 11] = [
        Self::Aborted,
        Self::AccountDisabled,
        Self::CredentialsExpired,
        Self::EncryptionRequired,
        Self::IncorrectEncoding,
        Self::InvalidAuthzid,
        Self::InvalidMechanism,
        Self::MalformedRequest,
        Self::MechanismTooWeak,
        Self::NotAuthorized,
        Self::TemporaryAuthFailure,
    ];

    /// The name of its element.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Aborted => "aborted",
            Self::AccountDisabled => "account-disabled",
            Self::CredentialsExpired => "credentials-expired",
            Self::EncryptionRequired => "encryption-required",
            Self::IncorrectEncoding => "incorrect-encoding",
            Self::InvalidAuthzid => "invalid-authzid",
            Self::InvalidMechanism => "invalid-mechanism",
            Self::MalformedRequest => "malformed-request",
            Self::MechanismTooWeak => "mechanism-too-weak",
            Self::NotAuthorized => "not-authorized",
            Self::TemporaryAuthFailure => "temporary-auth-failure",
        }
    }
}

impl fmt::Display for Condition {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// A `<failure/>`, made or received.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// What went wrong; what is not known counts as `not-authorized` (RFC 6120 §6.5).
    pub condition: Condition,
    /// Told to the other side, in English; or what it told, cut after 256 characters.
    pub text: Option<String>,
}

impl Failure {
    /// A failure without a text.
    pub fn new(condition: Condition) -> Self {
        Self {
            condition,
            text: None,
        }
    }

    /// The `<failure/>` element.
    pub fn to_element(&self) -> Element {
        let failure = Element::new(ns::SASL, "failure")
            .with_child(Element::new(ns::SASL, self.condition.as_str()));
        match &self.text {
            Some(text) => failure.with_child(
                Element::new(ns::SASL, "text")
                    .with_lang("en")
                    .with_text(text),
            ),
            None => failure,
        }
    }

    fn from_element(element: &Element) -> Self {
        let named = |condition: &Condition| element.child(ns::SASL, condition.as_str()).is_some();
        let condition = Condition::ALL
            .into_iter()
            .find(named)
            .unwrap_or(Condition::NotAuthorized);
        // An enormous text is of no use in a log, and the peer chose it.
        let text = element
            .child(ns::SASL, "text")
            .map(|text| text.text().chars().take(256).collect());
        Self { condition, text }
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.text {
            Some(text) => write!(f, "{} ({text})", self.condition),
            None => self.condition.fmt(f),
        }
    }
}

/// What the receiving side does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Send an empty `<challenge/>`.
    Challenge,
    /// The peer has authenticated.
    Accept,
    /// Send `<failure/>`; the peer may try again.
    Fail(Condition),
}

/// The receiving side, for a peer whose domain is proven.
#[derive(Debug)]
pub struct Acceptor {
    identity: Domain,
    challenged: bool,
}

impl Acceptor {
    /// For a peer that has proven to be `identity`.
    pub fn new(identity: Domain) -> Self {
        Self {
            identity,
            challenged: false,
        }
    }

    /// The domain that is proven.
    pub fn identity(&self) -> &Domain {
        &self.identity
    }

    /// Takes one element in the SASL namespace.
    pub fn step(&mut self, element: &Element) -> Step {
        // Also a second `<auth/>` ends what the first one began (RFC 6120 §6.4.2).
        let challenged = std::mem::take(&mut self.challenged);
        match element.name() {
            "abort" => Step::Fail(Condition::Aborted),
            "auth" => match element.attribute("mechanism") {
                Some(EXTERNAL) if is_empty(element) => {
                    self.challenged = true;
                    Step::Challenge
                }
                Some(EXTERNAL) => self.judge(element),
                Some(_) => Step::Fail(Condition::InvalidMechanism),
                None => Step::Fail(Condition::MalformedRequest),
            },
            "response" if challenged => self.judge(element),
            _ => Step::Fail(Condition::MalformedRequest),
        }
    }

    fn judge(&self, element: &Element) -> Step {
        match authzid(element) {
            Ok(None) => Step::Accept,
            Ok(Some(name)) if Domain::parse(&name).is_ok_and(|domain| domain == self.identity) => {
                Step::Accept
            }
            Ok(Some(_)) => Step::Fail(Condition::InvalidAuthzid),
            Err(condition) => Step::Fail(condition),
        }
    }
}

fn is_empty(element: &Element) -> bool {
    element.nodes().is_empty()
}

/// The identity that a request asks for; none if it leaves that to us. `=` in `<auth/>` and nothing
/// at all in `<response/>` are the empty one (RFC 6120 §6.4.2, §6.4.4); each is taken at both places.
fn authzid(element: &Element) -> Result<Option<String>, Condition> {
    if element.children().next().is_some() {
        return Err(Condition::MalformedRequest);
    }
    let text = element.text();
    if text.is_empty() || text == "=" {
        return Ok(None);
    }
    let bytes = STRICT
        .decode(text)
        .map_err(|_| Condition::IncorrectEncoding)?;
    // RFC 4422 appendix A.1: an identity in UTF-8, without NUL. The domain's parser sees to NUL.
    String::from_utf8(bytes)
        .map(Some)
        .map_err(|_| Condition::MalformedRequest)
}

/// The initiating side's request to be `domain`. The identity is spelled out, although the
/// certificate has it: some servers want it (XEP-0178 §3).
pub fn auth(domain: &Domain) -> Element {
    Element::new(ns::SASL, "auth")
        .with_attribute("mechanism", EXTERNAL)
        .with_text(&STRICT.encode(domain.as_str()))
}

/// The other side's answer to [`auth`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Outcome {
    /// We are authenticated.
    Success,
    /// We are not.
    Failure(Failure),
}

/// Reads the answer to [`auth`]; none if the element is none. A `<challenge/>` is none: all there is
/// to say was in the request.
pub fn outcome(element: &Element) -> Option<Outcome> {
    if element.is(ns::SASL, "success") {
        Some(Outcome::Success)
    } else if element.is(ns::SASL, "failure") {
        Some(Outcome::Failure(Failure::from_element(element)))
    } else {
        None
    }
}

#[cfg(test)]
mod tests;
