//! The phases of the gateway's life, each entered once and never left backwards.
//!
//! *Running* until somebody asks for the end; then *draining*: no new connections, streams that
//! bring stanzas say goodbye; then *flushing*: what waits is sent or bounced and the streams that
//! take stanzas say goodbye; then *ended*: the operator's doors close too.

use std::sync::OnceLock;
use std::time::Duration;

use tokio::time::{Instant, sleep_until};
use tokio_util::sync::CancellationToken;

/// Tokens that tasks wait for; cancelled in the order of the fields.
#[derive(Debug, Default)]
pub(crate) struct Phases {
    /// Cancelled: accept nothing any more.
    pub(crate) listening: CancellationToken,
    /// Cancelled: streams that bring stanzas say goodbye.
    pub(crate) draining: CancellationToken,
    /// Cancelled: queues are emptied, streams that take stanzas say goodbye.
    pub(crate) flushing: CancellationToken,
    /// Cancelled: everything ends now.
    pub(crate) ended: CancellationToken,
    /// When draining began, and over how long the goodbyes are spread.
    goodbyes: OnceLock<(Instant, Duration)>,
}

/// A stream's place among the goodbyes: partners that lost their streams in the same instant would
/// all come back in the same instant.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Turn(pub(crate) u8);

impl Phases {
    /// Whether new streams are welcome.
    pub(crate) fn accepting(&self) -> bool {
        !self.listening.is_cancelled()
    }

    /// For `status`.
    pub(crate) fn name(&self) -> &'static str {
        if self.accepting() {
            "running"
        } else {
            "draining"
        }
    }

    /// Streams say goodbye now, spread over this time.
    pub(super) fn drain(&self, spread: Duration) {
        self.goodbyes.get_or_init(|| (Instant::now(), spread));
        self.draining.cancel();
    }

    /// Waits until it is this stream's turn to say goodbye.
    pub(crate) async fn goodbye(&self, turn: Turn) {
        self.draining.cancelled().await;
        if let Some((began, spread)) = self.goodbyes.get() {
            sleep_until(*began + *spread * u32::from(turn.0) / 255).await;
        }
    }
}
