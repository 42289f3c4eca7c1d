//! What a test lets an observer hear.

use serde_json::Value;

/// A decision for an observer's test.
///
/// ```
/// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
/// let decision = mock::Decision::new(serde_json::json!({ "verdict": "pass" })).body("Hi");
/// assert_eq!(host().observe(&mut Doorman, &[decision]), Ok(()));
/// ```
#[derive(Debug, Clone)]
pub struct Decision {
    pub(super) json: Value,
    pub(super) body: Option<String>,
    pub(super) xml: Option<String>,
}

impl Decision {
    /// A decision with this JSON object; [`crate::Decision`] lists its keys. `partner` and
    /// `direction` are read from it.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let decision = mock::Decision::new(serde_json::json!({ "partner": "alpha.test" }));
    /// hears(decision, |decision| assert_eq!(decision.partner(), "alpha.test"));
    /// ```
    #[must_use]
    pub fn new(json: Value) -> Self {
        Self {
            json,
            body: None,
            xml: None,
        }
    }

    /// With this message body.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let decision = mock::Decision::new(serde_json::json!({ "kind": "message" })).body("Hi");
    /// hears(decision, |decision| assert_eq!(decision.body().as_deref(), Some("Hi")));
    /// ```
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// With this stanza.
    ///
    /// ```
    /// # mod given { include!(concat!(env!("CARGO_MANIFEST_DIR"), "/docs/given.rs")); } use given::*;
    /// let decision = mock::Decision::new(serde_json::json!({ "kind": "message" })).xml("<message/>");
    /// hears(decision, |decision| assert_eq!(decision.xml().as_deref(), Some("<message/>")));
    /// ```
    #[must_use]
    pub fn xml(mut self, xml: &str) -> Self {
        self.xml = Some(xml.to_owned());
        self
    }

    /// What is left for who hears records only.
    pub(super) fn forget_stanza(&mut self) {
        self.body = None;
        self.xml = None;
    }
}
