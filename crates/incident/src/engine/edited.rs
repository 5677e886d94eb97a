//! Owns what an edit of the runbook means for questions about an incident that follows it as it was.
//!
//! The statement that is run is always the pinned one. But whoever says yes may have the new text before their eyes:
//! so a yes from before an edit is void, and the question is asked anew with the difference.

use std::path::Path;

use checksum::Digest;

use super::Engine;
use super::walk::Walk;
use crate::change::unified;
use crate::world::World;

/// How much of a difference is shown, in bytes: the rest is in the file.
const DIFFERENCE_BYTES_MAX: usize = 4_000;

/// How a runbook was edited since the incident was opened.
pub(super) struct Edited {
    /// The hash of what stands there now, which is in the binding of an approval.
    pub(super) sha256: String,
    now: Vec<u8>,
}

impl<W: World> Engine<W> {
    /// How the runbook of an incident was edited; `None` where it was not, or is no file that can be read.
    pub(super) fn edited(&self, walk: &Walk<'_>) -> Option<Edited> {
        let runbook = &walk.book.runbook;
        let now = self.inner.world.runbook(&runbook.name)?;
        let sha256 = Digest::of(&now).to_string();
        (sha256 != runbook.sha256).then_some(Edited { sha256, now })
    }
}

// === impl Edited ===

impl Edited {
    /// In words for people, with the difference.
    pub(super) fn told(&self, walk: &Walk<'_>) -> String {
        let name = &walk.book.runbook.name;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        let difference = unified(Path::new(name), Some(&text(&walk.book.bytes)), Some(&text(&self.now)));
        let shown = difference.floor_char_boundary(DIFFERENCE_BYTES_MAX);
        let rest = if shown < difference.len() { "…\n" } else { "" };
        format!(
            "the runbook was edited since the incident was opened, which follows it as it was then:\n{}{rest}",
            &difference[..shown]
        )
    }
}
