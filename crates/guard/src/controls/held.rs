//! Owns read-only mode with an end: whoever asks for it has a purpose of its own, and may be gone before that is over.

use super::{Controls, Set, Writes};

impl Controls {
    /// Nobody writes until then, in milliseconds since 1970. Only where everybody does: what somebody else has laid down
    /// stays. Returns whether it is so now by this.
    pub fn hold(&mut self, set: Set, until_ms: i64) -> bool {
        if self.writes.are_open() {
            self.writes =
                Writes { percent: 0, set: Some(set), until_ms: Some(until_ms), ..Writes::default() };
            return true;
        }
        false
    }

    /// Ends what [`Controls::hold`] of the same has begun. Returns whether it held until now.
    pub fn release(&mut self, set: &Set) -> bool {
        let held = self.writes.until_ms.is_some() && self.writes.set.as_ref() == Some(set);
        if held {
            self.writes = Writes::default();
        }
        held
    }

    /// The controls as they are by then: a hold may be over, or a watch.
    #[must_use]
    pub fn at(self, now_ms: i64) -> Self {
        let mut by_then = if self.is_over(now_ms) { self.without_hold() } else { self };
        by_then.watched = by_then.watched.filter(|watched| now_ms < watched.until_ms);
        by_then
    }

    /// Whether a hold is over by then.
    pub(crate) fn is_over(&self, now_ms: i64) -> bool {
        self.writes.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }

    /// The same without a hold that is over.
    pub(crate) fn without_hold(&self) -> Self {
        Self { writes: Writes::default(), ..self.clone() }
    }
}
