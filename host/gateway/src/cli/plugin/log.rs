//! What the plugin says while it is tried.

use std::{
    fmt,
    sync::{Arc, Mutex, PoisonError},
};

use tracing::{
    Event, Subscriber,
    field::{Field, Visit},
};
use tracing_subscriber::{
    Layer,
    layer::{Context, SubscriberExt as _},
    util::SubscriberInitExt as _,
};

/// More lines are not kept: a plugin may say a hundred in a second.
const LINES: usize = 200;

/// The lines of the plugin's log since they were taken last.
#[derive(Clone, Default)]
pub(super) struct Captured(Arc<Mutex<Vec<String>>>);

impl Captured {
    /// Listens from now on, in the whole process. Once only: a second one hears nothing.
    pub(super) fn install() -> Self {
        let captured = Self::default();
        // Somebody listens already: then that one tells.
        let _ = tracing_subscriber::registry()
            .with(captured.clone())
            .try_init();
        captured
    }

    /// The lines so far.
    pub(super) fn take(&self) -> Vec<String> {
        std::mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl<S: Subscriber> Layer<S> for Captured {
    fn on_event(&self, event: &Event<'_>, _: Context<'_, S>) {
        if event.metadata().target() != "plugin" {
            return;
        }
        let mut message = Message(String::new());
        event.record(&mut message);
        let mut lines = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if lines.len() < LINES {
            let level = event.metadata().level().as_str().to_lowercase();
            lines.push(format!("{level}: {}", message.0));
        }
    }
}

struct Message(String);

impl Visit for Message {
    fn record_debug(&mut self, field: &Field, value: &dyn fmt::Debug) {
        if field.name() == "message" {
            self.0 = format!("{value:?}");
        }
    }
}
