//! Owns simulated time: it stands still while anything can be done, and jumps to the next timer when nothing can.
//!
//! The runtime tells when nothing can be done (`on_thread_park`), so that whole days take milliseconds and each moment is
//! the same in every run.

use std::collections::BTreeMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Poll, Waker};

use super::plan::{DISTURBED_MS, MINUTE_MS};
use super::play::SETTLED_WITHIN_MS;

/// What a world panics with that has no end.
pub(crate) const ENDLESS: &str = "somebody waits for what never comes";

/// No world lasts so long: in one that does, somebody waits for what never comes.
const END_MS: i64 = DISTURBED_MS + SETTLED_WITHIN_MS + 24 * 60 * MINUTE_MS;

/// When the wall clock begins: 2026-11-23 18:45:01.250 UTC.
const START_MS: i64 = 1_795_459_501_250;

/// Time.
#[derive(Default)]
pub(crate) struct Clock(Mutex<Hands>);

#[derive(Default)]
struct Hands {
    /// Since the beginning of the simulation; it never goes back.
    now_ms: i64,
    /// By how much people have set the wall clock.
    set_ms: i64,
    /// By time and number.
    timers: BTreeMap<(i64, u64), Waker>,
    timers_made: u64,
}

// === impl Clock ===

impl Clock {
    /// Since the beginning, in milliseconds.
    pub(crate) fn now_ms(&self) -> i64 {
        self.hands().now_ms
    }

    /// The wall clock, in milliseconds since the Unix epoch.
    pub(crate) fn wall_ms(&self) -> i64 {
        let hands = self.hands();
        START_MS + hands.now_ms + hands.set_ms
    }

    /// Sets the wall clock.
    pub(crate) fn jump(&self, by_ms: i64) {
        self.hands().set_ms += by_ms;
    }

    /// Lets time pass while nobody does anything, as after SIGSTOP.
    pub(crate) fn pass_until(&self, until_ms: i64) {
        let mut hands = self.hands();
        hands.now_ms = hands.now_ms.max(until_ms);
    }

    /// Nothing can be done now: on to the next timer.
    pub(crate) fn step(&self) {
        let mut hands = self.hands();
        if let Some(((at_ms, _), waker)) = hands.timers.pop_first() {
            hands.now_ms = hands.now_ms.max(at_ms);
            let is_endless = hands.now_ms > END_MS;
            drop(hands);
            assert!(!is_endless, "{ENDLESS}");
            waker.wake();
        }
    }

    pub(crate) async fn sleep(&self, ms: i64) {
        self.sleep_until(self.now_ms() + ms).await;
    }

    pub(crate) async fn sleep_until(&self, until_ms: i64) {
        let mut timer = Timer { clock: self, key: None };
        std::future::poll_fn(|context| {
            let mut hands = self.hands();
            if let Some(key) = timer.key.take() {
                hands.timers.remove(&key);
            }
            if hands.now_ms >= until_ms {
                return Poll::Ready(());
            }
            hands.timers_made += 1;
            let key = (until_ms, hands.timers_made);
            hands.timers.insert(key, context.waker().clone());
            timer.key = Some(key);
            Poll::Pending
        })
        .await;
    }

    fn hands(&self) -> MutexGuard<'_, Hands> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A timer that somebody waits for; whoever gives up waiting takes it along.
struct Timer<'a> {
    clock: &'a Clock,
    key: Option<(i64, u64)>,
}

impl Drop for Timer<'_> {
    fn drop(&mut self) {
        if let Some(key) = self.key.take() {
            self.clock.hands().timers.remove(&key);
        }
    }
}
