//! Tasks that drive streams: the machines of `portcullis-xmpp` between a socket and the rest.
//!
//! `inbound` drives streams that others open, `open` and `own` make and keep the streams that the
//! gateway opens itself. `intake` takes the stanzas that come on them, `output` and `line` let pairs of
//! domains send over them, `resumption` keeps those whose connection was lost, `standing` answers who may, `registry` knows who is there.

mod dialback;
mod failure;
mod handled;
mod ids;
mod inbound;
mod intake;
mod line;
mod open;
mod output;
mod own;
mod registry;
mod resumption;
mod socket;
mod standing;
mod terms;
mod wire;

pub(crate) use dialback::Dialback;
pub(crate) use failure::Failure;
pub(crate) use ids::stream_id;
pub(crate) use inbound::accept;
pub(crate) use line::{Acknowledged, Line, Written};
pub(crate) use open::{Resumed, Unresumed, may_reach, open, resume};
pub(crate) use output::{Lost, Output};
pub(crate) use registry::{Quota, Registry};
pub(crate) use resumption::{Kept, Successor, Table as Resumable};
pub(crate) use standing::Refusal;
pub(crate) use wire::{Counted, SendError, Wire};
