//! The order of stream management's elements (XEP-0198), the same from both ends.

use super::Initiator;
use crate::{
    error::{StreamCondition, StreamError},
    management::Nonza,
    xml::Element,
};

/// How far a stream is managed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Managed {
    Off,
    Enabling,
    Resuming,
    On,
}

impl Managed {
    /// Takes one more element; `who` says it. Whether it has its place there.
    fn pass(&mut self, who: Speaker, nonza: &Nonza) -> bool {
        let next = match (*self, who, nonza) {
            (Self::Off, Speaker::Initiating, Nonza::Enable { .. }) => Self::Enabling,
            (Self::Off, Speaker::Initiating, Nonza::Resume(_)) => Self::Resuming,
            (Self::Enabling, Speaker::Receiving, Nonza::Enabled { .. })
            | (Self::Resuming, Speaker::Receiving, Nonza::Resumed(_)) => Self::On,
            (Self::Enabling | Self::Resuming, Speaker::Receiving, Nonza::Failed { .. }) => {
                Self::Off
            }
            // Who has asked for it may count from then on.
            (Self::Enabling, Speaker::Initiating, Nonza::Request) => Self::Enabling,
            (Self::On, _, Nonza::Request | Nonza::Answer { .. }) => Self::On,
            _ => return false,
        };
        *self = next;
        true
    }

    /// We want to say something. Whether it has its place there.
    pub(super) fn say(&mut self, opened_by: Initiator, nonza: &Nonza) -> bool {
        let who = match opened_by {
            Initiator::Gateway => Speaker::Initiating,
            Initiator::Peer => Speaker::Receiving,
        };
        self.pass(who, nonza)
    }

    /// The peer has said something.
    ///
    /// # Errors
    /// It makes no sense, or not there.
    pub(super) fn hear(
        &mut self,
        opened_by: Initiator,
        element: &Element,
    ) -> Result<Nonza, StreamError> {
        let who = match opened_by {
            Initiator::Gateway => Speaker::Receiving,
            Initiator::Peer => Speaker::Initiating,
        };
        let nonza = Nonza::of(element).ok_or_else(|| {
            StreamError::new(StreamCondition::BadFormat)
                .with_text("a malformed element of stream management")
        })?;
        if self.pass(who, &nonza) {
            Ok(nonza)
        } else {
            Err(StreamError::new(StreamCondition::PolicyViolation)
                .with_text("stream management out of order"))
        }
    }
}

#[derive(Clone, Copy)]
enum Speaker {
    /// Who opened the stream.
    Initiating,
    Receiving,
}
