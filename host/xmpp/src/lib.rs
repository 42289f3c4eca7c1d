//! XMPP federation, sans-IO: bytes and answers flow in, events and bytes to send flow out.
//!
//! One stanza goes through these types, and each step takes only what the step before made:
//! bytes -> [`frame::Frame`] (one element, within limits, strictly parsed) -> [`stanza::Stanza`]
//! (addressed, of a known kind) -> [`stream::Authenticated`] (its domain proven on its stream).
//!
//! What can fail is told per module, by types that say whose fault it is. Nothing here opens a
//! socket, reads a clock or starts a task, so a caller keeps the deadlines.
//!
//! Every byte from outside is hostile: limits hold while bytes arrive, and what two XML parsers
//! could read differently is refused. Raw bytes never pass through; [`xml`] has the only
//! serializer.
//!
//! # Fuzzing
//!
//! `host/xmpp/fuzz` is a workspace of its own, in the layout of cargo-fuzz. Its README says what its
//! targets promise and how to run them; `tests/oracles` has what they do.

pub mod dialback;
pub mod error;
pub mod frame;
pub mod identity;
pub mod jid;
pub mod management;
pub mod ns;
pub mod sasl;
pub mod stanza;
pub mod stream;
pub mod xml;

pub use error::{ErrorType, StanzaCondition, StanzaError, StreamCondition, StreamError};
pub use frame::{Event, Frame, FrameError, Framer, Limits, StreamHeader, Version};
pub use jid::{Domain, DomainError, Jid, JidError, Strictness};
pub use stanza::{BadStanza, Direction, EditError, Kind, Stanza, StanzaFault, Subtype};
pub use xml::Element;
