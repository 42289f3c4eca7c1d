//! What holds for whatever is received. Each function takes what a fuzzer made, does with it what the
//! gateway would do, and panics where a promise is broken. The fuzz targets of `host/xmpp/fuzz` are
//! these functions, and the tests of this crate try them on the seeds.

mod address;
mod certificate;
mod edit;
mod frame;
mod inbound;
mod outbound;
mod script;

pub use address::jid;
pub use certificate::identity;
pub use edit::edit;
pub use frame::frame;
pub use inbound::{dialback, inbound};
pub use outbound::outbound;

use crate::compare;

/// Any bytes: all parsers read the same, or ours has closed the stream.
pub fn oracle(data: &[u8]) {
    let found = compare(data);
    assert!(
        found.is_ok(),
        "{}",
        found
            .map_err(|found| found.to_string())
            .err()
            .unwrap_or_default()
    );
}

/// A fuzz target's name, as in `host/xmpp/fuzz`, and its function.
pub type Target = (&'static str, fn(&[u8]));

/// All of them.
pub const TARGETS: &[Target] = &[
    ("dialback", dialback),
    ("edit", edit),
    ("frame", frame),
    ("identity", identity),
    ("inbound", inbound),
    ("jid", jid),
    ("oracle", oracle),
    ("outbound", outbound),
];
