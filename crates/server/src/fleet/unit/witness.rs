//! Owns listening to the guard in a unit, which systemd takes for the server: whether the server itself is ready yet, and
//! how it ended.
//!
//! Its control socket is where the shipped unit puts it, `guards/NAME.sock` in the runtime directory. A unit without such
//! a guard has no witness, and what systemd says is all that is known.

use std::path::PathBuf;
use std::time::Duration;

use process::control::{Client, Exit, ExitCause, Message, Status};
use tokio::sync::watch;
use tokio::task::JoinHandle;

use super::super::link::keep_up;

/// The time between two attempts to find the guard, while there is none: until it is found a unit that is active passes
/// for a server that is ready.
const LOOK_EVERY: Duration = Duration::from_millis(100);
/// A guard says how its server ended before it ends itself, so that this only waits for our own turn.
const LAST_WORDS_WITHIN: Duration = Duration::from_secs(1);

/// What a guard has said.
#[derive(Clone, Debug, Default)]
pub(super) struct Said {
    pub(super) status: Option<Status>,
    /// Whether it still is there to say more.
    is_there: bool,
}

/// Listens to one guard after the other.
pub(super) struct Witness {
    said: watch::Receiver<Said>,
    listening: JoinHandle<()>,
}

// === impl Witness ===

impl Witness {
    /// None stands for a unit in which the server speaks HTTP itself.
    pub(super) fn listen(control: Option<PathBuf>) -> Self {
        let (sender, said) = watch::channel(Said::default());
        let listening = tokio::spawn(async move {
            match control {
                Some(control) => listen(control, sender).await,
                None => sender.closed().await,
            }
        });
        Self { said, listening }
    }

    /// Waits for news.
    pub(super) async fn changed(&mut self) {
        if self.said.changed().await.is_err() {
            // Only a panic ends it; then there is nothing more to hear.
            std::future::pending::<()>().await;
        }
    }

    /// The words of the guard that is this process, while it is there.
    pub(super) fn status(&self, guard: Option<i32>) -> Option<Status> {
        let said = self.said.borrow();
        said.status.clone().filter(|status| said.is_there && Some(status.guard.pid) == guard)
    }

    /// How the server of a guard ended that has ended itself, by its last words.
    pub(super) async fn end_of(&mut self, guard: Option<i32>) -> Option<Exit> {
        let is_over = |said: &Said| {
            !said.is_there || said.status.as_ref().is_none_or(|status| Some(status.guard.pid) != guard)
        };
        let said = tokio::time::timeout(LAST_WORDS_WITHIN, self.said.wait_for(is_over)).await.ok()?.ok()?;
        let status = said.status.as_ref().filter(|status| Some(status.guard.pid) == guard)?;
        status.last_exit.clone().filter(|exit| exit.cause != ExitCause::Requested)
    }
}

impl Drop for Witness {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

async fn listen(control: PathBuf, said: watch::Sender<Said>) {
    loop {
        if let Ok((_client, mut messages)) = Client::connect(&control).await {
            while let Some(message) = messages.recv().await {
                said.send_modify(|said| {
                    said.is_there = true;
                    match message {
                        Message::Hello { status } => said.status = Some(status),
                        Message::Event { event } => {
                            said.status.as_mut().map(|status| keep_up(status, event));
                        }
                        Message::Reply { .. } | Message::Answered { .. } => {}
                    }
                });
            }
            said.send_modify(|said| said.is_there = false);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
