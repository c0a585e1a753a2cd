//! The servers that are not asked again.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

/// Servers that could not be connected to, or were silent. Its copies are one.
#[derive(Clone, Debug, Default)]
pub(super) struct Dead(Arc<Mutex<HashSet<String>>>);

impl Dead {
    pub(super) fn has(&self, server: &str) -> bool {
        self.set().contains(server)
    }

    pub(super) fn add(&self, server: &str) {
        self.set().insert(server.to_owned());
    }

    fn set(&self) -> std::sync::MutexGuard<'_, HashSet<String>> {
        // A set is whole after each of its operations.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
