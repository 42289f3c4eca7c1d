//! How much memory an instance may have.

use std::fmt;
use std::sync::Arc;

use wasmtime::ResourceLimiter;

use crate::figures::Figures;

/// Tables of all core modules together; a Rust component has a few hundred elements.
const TABLE_ELEMENTS: usize = 100_000;
/// Core instances in one component: the module, WASI adapters and shims are three to five.
const INSTANCES: usize = 64;

/// Counts linear memory over all memories of an instance: a component may have many.
#[derive(Debug)]
pub(crate) struct Limits {
    memory: usize,
    memory_used: usize,
    elements_used: usize,
    figures: Arc<Figures>,
}

impl Limits {
    pub(crate) fn new(memory: usize, figures: Arc<Figures>) -> Self {
        Self {
            memory,
            memory_used: 0,
            elements_used: 0,
            figures,
        }
    }
}

impl Drop for Limits {
    fn drop(&mut self) {
        self.figures.memory.subtract(self.memory_used as u64);
    }
}

/// A guest asked for more than it may have. The call ends here: Rust would abort on the failed
/// allocation anyway, with a less useful message.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct OutOfMemory {
    limit: usize,
}

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "it needs more than its {} bytes of memory", self.limit)
    }
}

impl std::error::Error for OutOfMemory {}

impl ResourceLimiter for Limits {
    fn memory_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .memory_used
            .saturating_sub(current)
            .saturating_add(desired);
        if used > self.memory {
            return Err(OutOfMemory { limit: self.memory }.into());
        }
        self.figures.memory.add(used as u64);
        self.figures.memory.subtract(self.memory_used as u64);
        self.memory_used = used;
        Ok(true)
    }

    fn table_growing(
        &mut self,
        current: usize,
        desired: usize,
        _: Option<usize>,
    ) -> wasmtime::Result<bool> {
        let used = self
            .elements_used
            .saturating_sub(current)
            .saturating_add(desired);
        let fits = used <= TABLE_ELEMENTS;
        if fits {
            self.elements_used = used;
        }
        Ok(fits)
    }

    fn instances(&self) -> usize {
        INSTANCES
    }

    fn tables(&self) -> usize {
        INSTANCES
    }

    fn memories(&self) -> usize {
        INSTANCES
    }
}
