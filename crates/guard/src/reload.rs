//! Owns reading the settings of the one server anew while the guard runs: at SIGHUP.
//!
//! What is wrong is not taken, and what was holds on: the log says which. Connections that are there keep their certificate.

use std::fs::File;
use std::sync::Arc;

use tokio::signal::unix::{SignalKind, signal};

use crate::log::{About, Level};
use crate::own::Own;
use crate::state::Guard;

/// Reads the settings again at each SIGHUP, for as long as the guard runs. Without a file of settings, and at a terminal,
/// whose end the signal says, it ends the guard as it always did.
pub(crate) async fn at_hangup(guard: Arc<Guard>) {
    let Some(path) = guard.settings.own.path.clone() else { return };
    if File::open("/dev/tty").is_ok() {
        return;
    }
    let mut hangup = match signal(SignalKind::hangup()) {
        Ok(hangup) => hangup,
        Err(error) => return tracing::warn!(%error, "settings cannot be read anew at SIGHUP"),
    };
    while hangup.recv().await.is_some() {
        let from = path.clone();
        let read = tokio::task::spawn_blocking(move || Own::read(&from)).await;
        let (level, message) = match read {
            Ok(Ok(own)) => {
                guard.set_own(own);
                (Level::Info, format!("the settings were read anew from `{}`", path.display()))
            }
            Ok(Err(error)) => {
                let error = crate::http::chain(&error);
                (Level::Error, format!("the settings are not taken, those from before hold: {error}"))
            }
            Err(error) => (Level::Error, format!("the settings cannot be read anew: {error}")),
        };
        guard.note(level, About::Audit, &message, []);
    }
}
