//! What a plugin remembers.

use std::time::Duration;

use super::Host;
use crate::bindings::portcullis::policy::state;
use crate::instance::{Guest, Rehearsal, Scope};
use crate::state::{State, StateError};

impl state::Host for Guest {
    fn get(&mut self, key: String) -> Host<Result<Option<Vec<u8>>, state::StateError>> {
        let Some(state) = self.readable()? else {
            return Ok(Ok(None));
        };
        Ok(state.get(&key).map_err(state_error))
    }

    fn set(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Host<Result<(), state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(()),
            Ok(Some(state)) => state
                .set(&key, &value, ttl(ttl_ms))
                .map_err(|error| self.refused(error)),
        })
    }

    fn set_if_absent(
        &mut self,
        key: String,
        value: Vec<u8>,
        ttl_ms: Option<u64>,
    ) -> Host<Result<bool, state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(true),
            Ok(Some(state)) => state
                .set_if_absent(&key, &value, ttl(ttl_ms))
                .map_err(|error| self.refused(error)),
        })
    }

    fn increment(
        &mut self,
        key: String,
        by: i64,
        ttl_ms: Option<u64>,
    ) -> Host<Result<i64, state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(by),
            Ok(Some(state)) => state
                .increment(&key, by, ttl(ttl_ms))
                .map_err(|error| self.refused(error)),
        })
    }

    fn delete(&mut self, key: String) -> Host<Result<bool, state::StateError>> {
        Ok(match self.writable()? {
            Err(error) => Err(error),
            Ok(None) => Ok(false),
            Ok(Some(state)) => state.delete(&key).map_err(state_error),
        })
    }

    fn keys(
        &mut self,
        prefix: String,
        after: Option<String>,
        limit: u32,
    ) -> Host<Result<Vec<String>, state::StateError>> {
        let Some(state) = self.readable()? else {
            return Ok(Ok(Vec::new()));
        };
        let limit = usize::try_from(limit.clamp(1, 1000)).unwrap_or(1000);
        Ok(state
            .keys(&prefix, after.as_deref(), limit)
            .map_err(state_error))
    }
}

impl Guest {
    /// `state` for reading; none while rehearsing.
    fn readable(&self) -> Host<Option<&crate::state::Namespace>> {
        if self.memo {
            return Err(wasmtime::format_err!(
                "it reads `state`, though its subscription declares memo-ms"
            ));
        }
        self.context.unknowns.state();
        Ok((self.rehearsal != Rehearsal::Probe).then_some(&self.context.state))
    }

    /// `state` for writing; none while rehearsing. A generation that may never live writes nothing.
    fn writable(&self) -> Host<Result<Option<&crate::state::Namespace>, state::StateError>> {
        if matches!(self.scope, Scope::Starting) {
            let text = "state cannot be written in init: do it in started";
            return Ok(Err(state::StateError::Unavailable(text.to_owned())));
        }
        self.readable().map(Ok)
    }

    /// A change that was not made; counted if a limit is why.
    fn refused(&self, error: StateError) -> state::StateError {
        let error = state_error(error);
        if matches!(error, state::StateError::TooLarge) {
            self.context.figures.state_refused.add(1);
        }
        error
    }
}

fn ttl(milliseconds: Option<u64>) -> Option<Duration> {
    milliseconds.map(Duration::from_millis)
}

fn state_error(error: StateError) -> state::StateError {
    match error {
        StateError::KeyTooLarge(_) | StateError::ValueTooLarge(_) | StateError::Full(_) => {
            state::StateError::TooLarge
        }
        other => state::StateError::Unavailable(other.to_string()),
    }
}
