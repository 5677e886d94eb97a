//! Owns what a child says that nobody can use: what is no message, and answers that nobody has asked for. All of it is counted;
//! of very much only a part is written down, or it would push everything else out of the log.

use std::sync::atomic::{AtomicU64, Ordering};

use crate::log::{About, Level, clip};
use crate::metrics::Failure;
use crate::state::Guard;

/// So many are all written down; then the 128th, the 256th and so on.
const ALL_UP_TO: u64 = 64;
/// Garbage is shown in the log as far as it helps to recognise it.
const GARBAGE_CHARS: usize = 300;
/// And an id too.
const ID_CHARS: usize = 100;

/// How much of it came from one child.
#[derive(Debug, Default)]
pub(super) struct Noise {
    garbage: AtomicU64,
    strays: AtomicU64,
}

// === impl Noise ===

impl Noise {
    /// A line that is no message, and why.
    pub(super) fn garbage(&self, guard: &Guard, line: &[u8], reason: &str) {
        let Some(count) = count(guard, &self.garbage) else { return };
        let text = clip(&String::from_utf8_lossy(&line[..line.len().min(4 * GARBAGE_CHARS)]), GARBAGE_CHARS);
        let message = format!("dropped from the server's standard output ({reason}): {text}");
        let fields = [("bytes", line.len().into()), ("so_far", count.into())];
        guard.note(Level::Warning, About::Error, &message, fields);
    }

    /// An answer that nobody has asked for: its server makes ids up.
    pub(super) fn stray(&self, guard: &Guard, id: &str) {
        let Some(count) = count(guard, &self.strays) else { return };
        let id = clip(id, ID_CHARS);
        let message =
            format!("dropped from the server's standard output (nobody has asked for an answer to `{id}`)");
        guard.note(Level::Warning, About::Error, &message, [("so_far", count.into())]);
    }
}

/// One more; how many there are, where this one is written down.
fn count(guard: &Guard, counter: &AtomicU64) -> Option<u64> {
    guard.metrics.failed(Failure::Protocol);
    let count = counter.fetch_add(1, Ordering::Relaxed) + 1;
    (count <= ALL_UP_TO || count.is_power_of_two()).then_some(count)
}
