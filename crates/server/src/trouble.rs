//! Owns why something cannot be sent now: asked for at any time, and news only where it has changed.

use std::sync::{Mutex, PoisonError};

/// The reason, while there is one.
#[derive(Debug, Default)]
pub(crate) struct Trouble(Mutex<Option<String>>);

// === impl Trouble ===

impl Trouble {
    pub(crate) fn reason(&self) -> Option<String> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// Takes what holds now; whether it is another than before.
    pub(crate) fn is_news(&self, reason: Option<&str>) -> bool {
        let mut known = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let is_news = known.as_deref() != reason;
        *known = reason.map(str::to_owned);
        is_news
    }
}
