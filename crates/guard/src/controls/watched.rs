//! Owns that a server is looked at more closely for a while, as part of the controls: its guard writes down the arguments of
//! every call, and `serve`, which reads the same file, looks more often.

use serde::{Deserialize, Serialize};

use super::{Controls, ControlsError, Set};
use crate::audit::Extent;

/// Shorter is no time to see anything in, and longer is the way it always is: that belongs into the settings.
const LEAST_MS: i64 = 1_000;
const MOST_MS: i64 = 30 * 24 * 60 * 60 * 1_000;

/// Until when a server is looked at more closely.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Watched {
    /// Until when, in milliseconds since 1970.
    pub until_ms: i64,
    /// Who has said so.
    pub set: Set,
}

// === impl Controls ===

impl Controls {
    /// Has the server looked at more closely until then, in milliseconds since 1970.
    ///
    /// # Errors
    /// Where that is less than a second from `set`, or more than 30 days.
    pub fn watch(&mut self, until_ms: i64, set: Set) -> Result<(), ControlsError> {
        if !(LEAST_MS..=MOST_MS).contains(&until_ms.saturating_sub(set.at_ms)) {
            return Err(ControlsError::Watch);
        }
        self.watched = Some(Watched { until_ms, set });
        Ok(())
    }

    /// Looks at it as always. Returns whether it was looked at more closely.
    pub fn unwatch(&mut self) -> bool {
        self.watched.take().is_some()
    }

    /// What the log says of calls by then.
    pub(crate) fn extent(&self, now_ms: i64) -> Extent {
        match &self.watched {
            Some(watched) if now_ms < watched.until_ms => Extent::All,
            Some(_) | None => Extent::AsSet,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_ends_by_its_time_and_is_kept_over_a_restart() {
        let set = || Set::new("ada", 1_000, Some("after an attack"));
        let mut controls = Controls::default();
        for until_ms in [0, 1_999, 1_001 + MOST_MS, i64::MAX] {
            assert!(controls.watch(until_ms, set()).is_err(), "{until_ms}");
        }
        assert_eq!(controls, Controls::default());
        controls.watch(61_000, set()).unwrap();
        let read = Controls::parse(controls.to_text().as_deref()).unwrap();
        assert_eq!(read, controls);
        assert_eq!((read.extent(60_999), read.extent(61_000)), (Extent::All, Extent::AsSet));
        assert!(
            !read.is_restricting() && read.restriction(2_000).is_none(),
            "nobody is refused anything by it"
        );
        assert_eq!(read.clone().at(60_999), read);
        assert_eq!(read.at(61_000).to_text(), None, "what is over is forgotten");
        assert!(controls.unwatch() && !controls.unwatch());
        assert_eq!(controls.to_text(), None);
    }
}
