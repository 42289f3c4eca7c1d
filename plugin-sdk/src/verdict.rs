//! What a plugin answers: [`Verdict`] to a stanza, [`Admission`] to a stream.

use crate::Condition;
use crate::bindings::base::portcullis::policy::types;

/// The answer to a stanza.
///
/// ```
/// use portcullis_plugin::prelude::*;
/// let verdict = Verdict::reject(Condition::NotAllowed)
///     .text("alpha.test takes no files")
///     .reason("file transfer");
/// assert!(verdict.is_reject());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub struct Verdict(types::Verdict);

impl Verdict {
    /// The stanza goes on, with the edits that were made.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Verdict::pass().is_pass());
    /// ```
    pub fn pass() -> Self {
        Self(types::Verdict::Pass)
    }

    /// The stanza goes back as an error. What RFC 6120 forbids to answer (errors, answers, presence,
    /// what a room sends) is dropped instead. Without [`reason`](Self::reason) the audit record holds
    /// the text, and without a text the name of the condition.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Verdict::reject(Condition::Forbidden).why(), "forbidden");
    /// ```
    pub fn reject(condition: Condition) -> Self {
        Self(types::Verdict::Reject(types::Rejection {
            condition,
            text: None,
            reason: condition.as_str().to_owned(),
        }))
    }

    /// The stanza ends here; the reason is for the audit record. An iq request is answered with
    /// `service-unavailable` all the same, since it must always get an answer.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Verdict::drop("on the list").why(), "on the list");
    /// ```
    pub fn drop(reason: impl Into<String>) -> Self {
        Self(types::Verdict::Drop(reason.into()))
    }

    /// What the sender of a rejected stanza reads, at most 512 bytes. Changes nothing about other
    /// verdicts.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let verdict = Verdict::reject(Condition::NotAllowed).text("no files, please");
    /// assert_eq!(verdict.told(), Some("no files, please"));
    /// ```
    pub fn text(mut self, text: impl Into<String>) -> Self {
        if let types::Verdict::Reject(rejection) = &mut self.0 {
            let text = text.into();
            if rejection.reason == rejection.condition.as_str() {
                rejection.reason.clone_from(&text);
            }
            rejection.text = Some(text);
        }
        self
    }

    /// The reason in the audit record, at most 512 bytes. Changes nothing about a verdict to pass.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// let verdict = Verdict::reject(Condition::NotAllowed).text("no").reason("rule 7");
    /// assert_eq!((verdict.told(), verdict.why()), (Some("no"), "rule 7"));
    /// ```
    pub fn reason(mut self, reason: impl Into<String>) -> Self {
        match &mut self.0 {
            types::Verdict::Pass => {}
            types::Verdict::Reject(rejection) => rejection.reason = reason.into(),
            types::Verdict::Drop(old) => *old = reason.into(),
        }
        self
    }

    /// Whether the stanza goes on.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Verdict::pass().is_pass() && !Verdict::drop("why").is_pass());
    /// ```
    #[must_use]
    pub fn is_pass(&self) -> bool {
        matches!(self.0, types::Verdict::Pass)
    }

    /// Whether it goes back.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Verdict::reject(Condition::Forbidden).is_reject());
    /// ```
    #[must_use]
    pub fn is_reject(&self) -> bool {
        matches!(self.0, types::Verdict::Reject(_))
    }

    /// Whether it ends here.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert!(Verdict::drop("on the list").is_drop());
    /// ```
    #[must_use]
    pub fn is_drop(&self) -> bool {
        matches!(self.0, types::Verdict::Drop(_))
    }

    /// The condition of a rejection.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Verdict::reject(Condition::Gone).condition(), Some(Condition::Gone));
    /// assert_eq!(Verdict::pass().condition(), None);
    /// ```
    #[must_use]
    pub fn condition(&self) -> Option<Condition> {
        match &self.0 {
            types::Verdict::Reject(rejection) => Some(rejection.condition),
            _ => None,
        }
    }

    /// What the audit record will say; empty for a verdict to pass.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Verdict::reject(Condition::Gone).text("moved").why(), "moved");
    /// assert_eq!(Verdict::pass().why(), "");
    /// ```
    #[must_use]
    pub fn why(&self) -> &str {
        match &self.0 {
            types::Verdict::Pass => "",
            types::Verdict::Reject(rejection) => &rejection.reason,
            types::Verdict::Drop(reason) => reason,
        }
    }

    /// What the sender will read.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Verdict::reject(Condition::Gone).text("moved").told(), Some("moved"));
    /// assert_eq!(Verdict::drop("on the list").told(), None);
    /// ```
    #[must_use]
    pub fn told(&self) -> Option<&str> {
        match &self.0 {
            types::Verdict::Reject(rejection) => rejection.text.as_deref(),
            _ => None,
        }
    }

    /// What the host is told.
    #[cfg(target_family = "wasm")]
    pub(crate) fn into_wire(self) -> types::Verdict {
        self.0
    }
}

/// The answer to a stream.
///
/// ```
/// # use portcullis_plugin::prelude::*;
/// fn answer(known: bool) -> Admission {
///     if known { Admission::Allow } else { Admission::Abstain }
/// }
/// # assert_eq!(answer(true), Admission::Allow);
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[must_use]
pub enum Admission {
    /// The door opens, unless another plugin refuses.
    Allow,
    /// No opinion: opens no door and closes none.
    Abstain,
    /// The door stays shut. The peer reads the text in a `policy-violation` stream error; at most 512
    /// bytes.
    Refuse(String),
}

impl Admission {
    /// [`Refuse`](Self::Refuse) with anything that is a text.
    ///
    /// ```
    /// # use portcullis_plugin::prelude::*;
    /// assert_eq!(Admission::refuse("not you"), Admission::Refuse("not you".to_owned()));
    /// ```
    pub fn refuse(text: impl Into<String>) -> Self {
        Self::Refuse(text.into())
    }

    /// What the host is told.
    #[cfg(target_family = "wasm")]
    pub(crate) fn into_wire(self) -> types::Admission {
        match self {
            Self::Allow => types::Admission::Allow,
            Self::Abstain => types::Admission::Abstain,
            Self::Refuse(text) => types::Admission::Refuse(text),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reason_of_a_rejection_defaults_to_what_the_sender_reads() {
        let verdict = Verdict::reject(Condition::Forbidden);
        assert_eq!((verdict.why(), verdict.told()), ("forbidden", None));
        let verdict = verdict.text("no");
        assert_eq!((verdict.why(), verdict.told()), ("no", Some("no")));
        let verdict = Verdict::reject(Condition::Forbidden)
            .reason("secret")
            .text("no");
        assert_eq!((verdict.why(), verdict.told()), ("secret", Some("no")));
    }
}
