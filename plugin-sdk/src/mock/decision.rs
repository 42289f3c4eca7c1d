//! What a test lets an observer hear.

use serde_json::Value;

/// A decision for an observer's test.
#[derive(Debug, Clone)]
pub struct Decision {
    pub(super) json: Value,
    pub(super) body: Option<String>,
    pub(super) xml: Option<String>,
}

impl Decision {
    /// A decision with this JSON object; [`crate::Decision`] lists its keys. `partner` and
    /// `direction` are read from it.
    #[must_use]
    pub fn new(json: Value) -> Self {
        Self {
            json,
            body: None,
            xml: None,
        }
    }

    /// With this message body.
    #[must_use]
    pub fn body(mut self, body: &str) -> Self {
        self.body = Some(body.to_owned());
        self
    }

    /// With this stanza.
    #[must_use]
    pub fn xml(mut self, xml: &str) -> Self {
        self.xml = Some(xml.to_owned());
        self
    }
}
