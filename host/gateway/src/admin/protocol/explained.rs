//! What is known of a refusal by its reference.
//!
//! In: the reference that the sender was told. Out: who refused what, when and why, and what was said
//! about it; never what a stanza contained.

use serde::{Deserialize, Serialize};

/// What is known of a reference.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Explained {
    /// The refusal; none if no refusal of this reference is remembered.
    pub refusal: Option<Refusal>,
    /// Since when refusals are remembered (RFC 3339, UTC): older ones are forgotten, or fell before
    /// the gateway first ran.
    pub since: String,
    /// How many refusals since then were not remembered: too many at once, or a disk that failed.
    pub lost: u64,
}

/// Something that was refused, without its content.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// What it is asked about by.
    pub id: String,
    /// When it fell (RFC 3339, UTC).
    pub time: String,
    /// `stanza`, `stream` or `bounce` (a stanza that had passed and could not be delivered).
    pub event: String,
    /// `reject`, `drop`, `bounce` or `refuse`.
    pub verdict: String,
    /// The plugin, or a rule of the gateway (`gateway:default-deny`).
    pub by: String,
    /// The plugin's component; none for a rule of the gateway.
    pub component: Option<Component>,
    /// Why: the words of the plugin or the rule.
    pub reason: Option<String>,
    /// The generation that decided.
    pub generation: u64,
    /// How long the plugins took, in microseconds.
    pub elapsed_us: u64,
    /// The stream that it came on, or that was refused.
    pub stream: String,
    /// `inbound` or `outbound`.
    pub direction: String,
    /// The partner's domain.
    pub partner: String,
    /// The organisation's domain.
    pub local: String,
    /// `address:port` of the stream's other end.
    pub address: Option<String>,
    /// `message`, `presence` or `iq`; none for a stream.
    pub kind: Option<String>,
    /// The stanza's type.
    #[serde(rename = "type")]
    pub subtype: Option<String>,
    /// Its sender; none if the stanza was malformed.
    pub from: Option<String>,
    /// Its recipient.
    pub to: Option<String>,
    /// Its own id.
    pub stanza_id: Option<String>,
    /// The error that went to the sender, or to the other end of the stream.
    pub told: Option<Sent>,
    /// Why nobody was told.
    pub untold: Option<String>,
}

/// A plugin's component, as it was when it judged.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Component {
    /// SHA-256, lower case hex.
    pub digest: String,
    /// The version that the component says it has, if it says one.
    #[serde(default)]
    pub version: Option<String>,
    /// The exported interfaces with their versions, such as `portcullis:policy/filter@0.1.0`.
    pub exports: Vec<String>,
}

/// A stanza or stream error as it was sent.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sent {
    /// RFC 6120 §8.3.3 or §4.9.3.
    pub condition: String,
    /// For people, if there was a text.
    pub text: Option<String>,
}
