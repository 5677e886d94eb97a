//! Owns what the client is told in the server's place: that something is refused, what is kept, and that its tools are
//! others.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use super::limiting::over_line;
use super::{Relay, error};
use crate::envelope::{self, Outcome, PARSE_ERROR};
use crate::stdio::ledger::Note;

// === impl Relay ===

impl Relay {
    /// What is refused is answered once, however often the rest of its frame is tried.
    pub(super) fn say_refusals(&self, notes: &[Note]) {
        for note in notes {
            match note {
                Note::Refused { id, reason, .. } => {
                    self.say(&error(id, &self.record.reason(&format!("refuses it: {reason}"))))
                }
                Note::Over { id: Some(id), over, .. } => self.say(&over_line(id, over)),
                Note::Kept { id, result, .. } => {
                    let mut line = envelope::response(id, Outcome::Result(result));
                    line.push(b'\n');
                    self.say(&line);
                }
                Note::Withheld(why) => {
                    let mut line =
                        envelope::error(None, PARSE_ERROR, &format!("withheld from the server: {why}"));
                    line.push(b'\n');
                    self.say(&line);
                }
                _ => {}
            }
        }
    }

    /// Tells the client that it may be shown other tools. Nobody waits here for it to read.
    pub(crate) fn announce_tools(self: &Arc<Self>) {
        if !self.is_met() || self.announcing.swap(true, Ordering::SeqCst) {
            return;
        }
        let relay = Arc::clone(self);
        let told = std::thread::Builder::new().name("announcement".to_owned()).spawn(move || {
            // What changes from now on needs another.
            relay.announcing.store(false, Ordering::SeqCst);
            let mut line = envelope::notification("notifications/tools/list_changed", None);
            line.push(b'\n');
            relay.say(&line);
        });
        if let Err(error) = told {
            self.announcing.store(false, Ordering::SeqCst);
            tracing::error!(%error, "the client cannot be told that its tools are others");
        }
    }

    pub(crate) fn writes_in_flight(&self) -> usize {
        self.lock().ledger.writes()
    }

    /// What is laid down, in words.
    pub(crate) fn restriction(&self) -> Option<String> {
        self.lock().ledger.gate.restriction()
    }
}
