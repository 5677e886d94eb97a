//! Owns how long to wait before a server that has ended by itself is started again.
//!
//! The first time not at all, then 250 ms, 500 ms and 1 s. A server that ends five times within a minute is in a crash
//! loop: it is tried every 30 s from then on, for as long as the client is there. One that has run for a minute starts
//! from the beginning.

use std::collections::VecDeque;
use std::time::{Duration, Instant};

const WAITS: [Duration; 4] =
    [Duration::ZERO, Duration::from_millis(250), Duration::from_millis(500), Duration::from_secs(1)];
const WINDOW: Duration = Duration::from_secs(60);
const LOOP_WAIT: Duration = Duration::from_secs(30);

/// The ends of the last minute.
#[derive(Debug, Default)]
pub(crate) struct Backoff {
    ends: VecDeque<Instant>,
}

/// What to do next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Pace {
    /// Start again after this long; whoever asks meanwhile waits.
    Soon(Duration),
    /// Start again after this long; whoever asks meanwhile is refused.
    Looping(Duration),
}

// === impl Backoff ===

impl Backoff {
    /// A server has ended that had run this long.
    pub(crate) fn ended(&mut self, now: Instant, uptime: Duration) -> Pace {
        if uptime >= WINDOW {
            self.ends.clear();
        }
        // In a loop the ends are half a minute apart: the window begins with the first of them.
        let looping = self.ends.len() > WAITS.len();
        if !looping {
            self.ends.retain(|end| now.saturating_duration_since(*end) < WINDOW);
        }
        self.ends.push_back(now);
        if looping {
            self.ends.pop_front();
        }
        match WAITS.get(self.ends.len() - 1) {
            Some(wait) => Pace::Soon(*wait),
            None => Pace::Looping(LOOP_WAIT),
        }
    }

    /// What cannot be run at all is not tried quickly.
    pub(crate) fn cannot_run(&mut self) -> Pace {
        Pace::Looping(LOOP_WAIT)
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Backoff, LOOP_WAIT, Pace};

    #[test]
    fn five_ends_in_a_minute_are_a_loop_until_it_has_run_for_one() {
        let start = Instant::now();
        let mut backoff = Backoff::default();
        let mut after = |seconds, uptime| {
            backoff.ended(start + Duration::from_secs(seconds), Duration::from_secs(uptime))
        };
        let soon = |millis| Pace::Soon(Duration::from_millis(millis));
        assert_eq!([after(0, 1), after(1, 1), after(2, 0), after(3, 0)], [0, 250, 500, 1000].map(soon));
        assert_eq!(after(4, 0), Pace::Looping(LOOP_WAIT));
        assert_eq!(after(35, 0), Pace::Looping(LOOP_WAIT));
        assert_eq!(after(100, 0), Pace::Looping(LOOP_WAIT), "half a minute without an end is no proof");
        assert_eq!(after(300, 60), soon(0));
        assert_eq!([after(400, 10), after(500, 10)], [soon(0); 2], "rare ends are not counted together");
    }
}
