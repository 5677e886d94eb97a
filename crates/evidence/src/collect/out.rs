//! Owns the way out of a step: whole findings go to the bundle at once, lines of a list are kept where they can be taken from a
//! step that hangs.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use serde::Serialize;

use crate::archive::ITEM_BYTES_MAX;
use crate::bundle::Gathered;

/// What a step writes to.
#[derive(Debug)]
pub struct Out {
    shared: Arc<Shared>,
    sender: SyncSender<Gathered>,
}

#[derive(Debug, Default)]
struct Shared {
    drafts: Mutex<Drafts>,
    given_up: AtomicBool,
}

#[derive(Debug, Default)]
struct Drafts {
    texts: BTreeMap<String, Vec<u8>>,
    doing: Option<String>,
}

// === impl Out ===

impl Out {
    /// The way out, and the other end of it. One finding waits at a time: none is larger than an item may be.
    pub(super) fn new() -> (Self, Taker) {
        let (sender, receiver) = sync_channel(1);
        let shared = Arc::new(Shared::default());
        (Self { shared: Arc::clone(&shared), sender }, Taker { shared, receiver })
    }

    /// Gives a finding away.
    pub fn give(&self, gathered: Gathered) {
        // Nobody takes any more from a step that was given up.
        let _ = self.sender.send(gathered);
    }

    /// Adds a line of JSON to a list.
    pub fn line(&self, list: &str, line: &impl Serialize) {
        if let Ok(mut text) = serde_json::to_vec(line) {
            text.push(b'\n');
            self.add(list, &text);
        }
    }

    /// Adds to a text.
    pub fn add(&self, list: &str, bytes: &[u8]) {
        let mut drafts = self.shared.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        match drafts.texts.get_mut(list) {
            Some(text) if text.len() as u64 + bytes.len() as u64 <= ITEM_BYTES_MAX => {
                text.extend_from_slice(bytes)
            }
            Some(_) => {}
            None => drop(drafts.texts.insert(list.to_owned(), bytes.to_vec())),
        }
    }

    /// Says what is begun: if the step hangs, that is why.
    pub fn doing(&self, what: impl Into<String>) {
        self.shared.drafts.lock().unwrap_or_else(PoisonError::into_inner).doing = Some(what.into());
    }

    /// Whether the step is to end, because nobody takes anything from it any more.
    pub fn is_given_up(&self) -> bool {
        self.shared.given_up.load(Ordering::Relaxed)
    }
}

/// The side of whoever takes.
#[derive(Debug)]
pub(super) struct Taker {
    shared: Arc<Shared>,
    receiver: Receiver<Gathered>,
}

// === impl Taker ===

impl Taker {
    /// The next finding.
    pub(super) fn next(&self, within: Duration) -> Result<Gathered, RecvTimeoutError> {
        self.receiver.recv_timeout(within)
    }

    /// Tells the step to end.
    pub(super) fn give_up(&self) {
        self.shared.given_up.store(true, Ordering::Relaxed);
    }

    /// What was written so far, and what was begun last.
    pub(super) fn drafts(&self) -> (BTreeMap<String, Vec<u8>>, Option<String>) {
        let mut drafts = self.shared.drafts.lock().unwrap_or_else(PoisonError::into_inner);
        (std::mem::take(&mut drafts.texts), drafts.doing.take())
    }
}
