//! What a shadow would have decided, beside what stood.
//!
//! In: the shadow's answer and what stood. Out: one kind of [`Difference`], and what it said. About a
//! stream, the shadow is taken as the only gatekeeper beside the partner records.

use portcullis_xmpp::stanza::Stanza;
use serde::{Deserialize, Serialize};

use super::Stood;
use super::ledger::Said;
use crate::generation;
use crate::judged::{Ruling, Verdict};
use crate::plugin::{Answer, Opinion};

/// How a shadow's decision differs from what stood.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Difference {
    /// Not at all.
    None,
    /// It rejects a stanza that passed, was dropped, or was rejected with another condition.
    WouldReject,
    /// It drops a stanza that passed or was rejected.
    WouldDrop,
    /// It makes another stanza of it than the chain did.
    WouldEdit,
    /// It lets a stanza pass that was rejected or dropped.
    WouldPass,
    /// It leaves a stanza as it is that the plugins after it changed.
    WouldNotEdit,
    /// It refuses a stream that was admitted.
    WouldRefuse,
    /// It does not refuse a stream that was refused, and somebody allows it.
    WouldAdmit,
}

impl Difference {
    /// All of them.
    pub const ALL: [Self; 8] = [
        Self::None,
        Self::WouldReject,
        Self::WouldDrop,
        Self::WouldEdit,
        Self::WouldPass,
        Self::WouldNotEdit,
        Self::WouldRefuse,
        Self::WouldAdmit,
    ];

    /// As metrics and reports name it.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::WouldReject => "would-reject",
            Self::WouldDrop => "would-drop",
            Self::WouldEdit => "would-edit",
            Self::WouldPass => "would-pass",
            Self::WouldNotEdit => "would-not-edit",
            Self::WouldRefuse => "would-refuse",
            Self::WouldAdmit => "would-admit",
        }
    }
}

/// What a shadow would have done.
pub(super) struct Would {
    pub(super) difference: Difference,
    pub(super) said: Said,
    /// Which payloads it would have taken out or put in, if it edits.
    pub(super) changed: Option<String>,
}

/// Compares a shadow's answer with what became of the stanza.
pub(super) fn stanza(seen: &Stanza, answer: Answer, stood: &Stood) -> Would {
    let (verdict, edited) = match answer {
        Answer::Pass(edited) => (Verdict::Pass, edited),
        // What may not be answered would be dropped, and a request always gets its answer.
        Answer::Reject(error, reason) => (generation::rejected(seen, error, reason), None),
        Answer::Drop(reason) => (generation::dropped(seen, reason), None),
    };
    let difference = match (&verdict, &stood.verdict) {
        (Verdict::Pass, Verdict::Pass) => match &edited {
            Some(edited) if edited.to_xml() != stood.stanza.to_xml() => Difference::WouldEdit,
            None if seen.to_xml() != stood.stanza.to_xml() => Difference::WouldNotEdit,
            _ => Difference::None,
        },
        (Verdict::Pass, _) => Difference::WouldPass,
        (Verdict::Reject { error, .. }, Verdict::Reject { error: stands, .. })
            if error.condition == stands.condition =>
        {
            Difference::None
        }
        (Verdict::Reject { .. }, _) => Difference::WouldReject,
        (Verdict::Drop { .. }, Verdict::Drop { .. }) => Difference::None,
        (Verdict::Drop { .. }, _) => Difference::WouldDrop,
    };
    let changed = match difference {
        Difference::WouldEdit => edited.map(|edited| changed(&stood.stanza, &edited)),
        Difference::WouldNotEdit => Some(changed(&stood.stanza, seen)),
        _ => None,
    };
    Would {
        difference,
        said: Said::of_verdict(&verdict, None),
        changed,
    }
}

/// Compares a gatekeeper's opinion with the ruling. `is_partner`: a record names the domain.
pub(super) fn stream(opinion: Opinion, is_partner: bool, stood: &Ruling) -> Would {
    let (verdict, admits, reason) = match opinion {
        Opinion::Allow => ("allow", true, None),
        Opinion::Abstain => ("abstain", is_partner, None),
        Opinion::Refuse(text) => ("refuse", false, Some(text)),
    };
    let difference = match (admits, stood.is_admitted()) {
        (true, false) => Difference::WouldAdmit,
        // That somebody else allows it is no objection of the shadow's.
        (false, true) if verdict == "refuse" => Difference::WouldRefuse,
        _ => Difference::None,
    };
    Would {
        difference,
        said: Said {
            verdict: verdict.to_owned(),
            by: None,
            condition: None,
            reason,
        },
        changed: None,
    }
}

/// Which payloads one stanza has and the other has not, by name and namespace: never their content.
fn changed(stands: &Stanza, would: &Stanza) -> String {
    let names = |stanza: &Stanza| -> Vec<String> {
        let payloads = stanza.payloads();
        payloads.map(|(name, ns)| format!("{name} {ns}")).collect()
    };
    let (stands_with, would_have) = (names(stands), names(would));
    let without = |all: &[String], others: &[String], sign: char| -> Vec<String> {
        let alone = all.iter().filter(|name| !others.contains(name));
        alone.map(|name| format!("{sign}{name}")).collect()
    };
    let mut changes = without(&stands_with, &would_have, '-');
    changes.extend(without(&would_have, &stands_with, '+'));
    if stands.subtype() != would.subtype() {
        let (from, to) = (stands.subtype().as_str(), would.subtype().as_str());
        changes.push(format!("type {from} -> {to}"));
    }
    if changes.is_empty() {
        return "the content of payloads".to_owned();
    }
    changes.truncate(CHANGES);
    changes.join(", ")
}

/// Payloads named in one sample.
const CHANGES: usize = 16;
