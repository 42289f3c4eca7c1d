//! What is asked of the one task that reloads.

use tokio::sync::oneshot;

use crate::admin::protocol::Reload;

/// Who asks for a reload.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trigger {
    /// SIGHUP.
    Signal,
    /// `portcullis reload`.
    Admin,
    /// A file in a watched directory changed, perhaps.
    Watch,
    /// Code that runs the gateway in its own process.
    Call,
}

impl Trigger {
    pub(super) fn as_str(self) -> &'static str {
        match self {
            Self::Signal => "signal",
            Self::Admin => "admin",
            Self::Watch => "watch",
            Self::Call => "call",
        }
    }
}

/// What is asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Action {
    /// Judge by what the files say.
    Reload,
    /// Find out what that would be.
    DryRun,
    /// Judge by a generation of the past; none: the last that said something else.
    Rollback(Option<u64>),
}

/// One request; who waits for the result is told.
#[derive(Debug)]
pub(crate) struct Request {
    pub(in crate::app) trigger: Trigger,
    pub(in crate::app) action: Action,
    pub(in crate::app) reply: Option<oneshot::Sender<Reload>>,
}
