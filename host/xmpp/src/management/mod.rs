//! Stream management (XEP-0198): the elements, and the counts on both ends.
//!
//! In: stanzas that were sent, received and settled. Out: what to acknowledge, and what the peer has
//! acknowledged. The machines of [`crate::stream`] read and write the [`Nonza`]s and keep their order;
//! the counts are the driver's, since only it knows what is settled.
//!
//! What can fail is the peer's fault: it acknowledges more than was sent ([`TooHigh`]).

mod count;
mod element;

pub use count::{Received, TooHigh, Unacknowledged};
pub use element::{Nonza, Resumption};

#[cfg(test)]
mod tests;
