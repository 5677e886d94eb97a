//! Owns telling whoever has started `serve` how it is: ready, alive, stopping. That is systemd, by `Type=notify`.

use std::ffi::OsStr;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use systemd::notify::Notifier;

use crate::flow::Flow;

/// Whoever waits to hear from us.
#[derive(Debug)]
pub struct Parent {
    notifier: Notifier,
    watchdog: Option<Duration>,
}

// === impl Parent ===

impl Parent {
    /// `address` is what stands in `NOTIFY_SOCKET`; `watchdog` is how long is waited for a sign of life.
    ///
    /// # Errors
    /// When the address is none.
    pub fn new(address: &OsStr, watchdog: Option<Duration>) -> io::Result<Self> {
        Ok(Self { notifier: Notifier::new(address)?, watchdog })
    }

    /// It does now what it was started for.
    pub(crate) fn ready(&self) {
        heard(self.notifier.ready());
    }

    /// It is about to end.
    pub(crate) fn stopping(&self) {
        heard(self.notifier.stopping());
    }

    /// Gives signs of life until the task is dropped: as long as the runtime runs what is due, and an evaluation of the
    /// rules ends. One that waits for a journal which refuses is no reason to kill anybody.
    pub(crate) async fn keep_alive(self: Arc<Self>, flow: Arc<Flow>) {
        let Some(watchdog) = self.watchdog else { return };
        let pause = watchdog / 4;
        loop {
            let evaluates = tokio::time::timeout(pause, flow.turn.lock()).await.is_ok();
            if evaluates || flow.engine.refusing().is_some() {
                heard(self.notifier.alive());
            } else {
                tracing::error!(
                    "no evaluation of the rules has ended for {pause:?}: no sign of life is given"
                );
            }
            tokio::time::sleep(pause).await;
        }
    }
}

fn heard(told: io::Result<()>) {
    if let Err(error) = told {
        tracing::warn!(%error, "whoever has started this process does not hear it");
    }
}
