//! Owns reading the settings of the one server anew while the guard runs: at SIGHUP, and the certificate when its files
//! have changed.
//!
//! What is wrong is not taken, and what was holds on: the log says which. Connections that are there keep their certificate.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};

use crate::log::{About, Level};
use crate::own::Own;
use crate::state::Guard;

/// The time between two looks at the files of the certificate. They are read when two looks see the same: the pair is
/// written in two steps.
const LOOK_EVERY: Duration = Duration::from_secs(1);

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
        let (level, message) = match again(&guard, path.clone()).await {
            Ok(()) => (Level::Info, format!("the settings were read anew from `{}`", path.display())),
            Err(error) => (Level::Error, error),
        };
        guard.note(level, About::Audit, &message, []);
    }
}

/// Reads the settings anew from there, and takes them.
///
/// # Errors
/// Why they are not taken: those from before hold on.
pub(crate) async fn again(guard: &Guard, path: PathBuf) -> Result<(), String> {
    let read = tokio::task::spawn_blocking(move || Own::read(&path)).await;
    match read {
        Ok(Ok(own)) => {
            guard.set_own(own);
            Ok(())
        }
        Ok(Err(error)) => {
            let error = crate::http::chain(&error);
            Err(format!("the settings are not taken, those from before hold: {error}"))
        }
        Err(error) => Err(format!("the settings cannot be read anew: {error}")),
    }
}

/// Reads the certificate again when its files have changed, for as long as the guard runs.
pub(crate) async fn at_new_certificates(guard: Arc<Guard>) {
    let Some(path) = guard.settings.own.path.clone() else { return };
    let base = path.parent().unwrap_or(Path::new(".")).to_owned();
    let (mut known, mut last, mut pause) = (None, None, Duration::ZERO);
    loop {
        tokio::time::sleep(std::mem::replace(&mut pause, LOOK_EVERY)).await;
        // A reading of all settings may have taken it away, or another one.
        let Some(tls) = guard.own().tls.clone() else {
            (known, last) = (None, None);
            continue;
        };
        let from = base.clone();
        let looked = tokio::task::spawn_blocking(move || (tls.look(&from), tls)).await;
        let Ok((look, tls)) = looked else { return };
        let is_settled = last.replace(look) == Some(look);
        if known.get_or_insert(look) == &look || !is_settled {
            continue;
        }
        known = Some(look);
        let from = base.clone();
        let read = tokio::task::spawn_blocking(move || tls.again(&from)).await;
        let (level, message) = match read {
            Ok(Ok(tls)) => {
                guard.set_tls(tls);
                (Level::Info, "the certificate was read anew, because its files have changed".to_owned())
            }
            Ok(Err(error)) => {
                let error = crate::http::chain(&error);
                (Level::Error, format!("the certificate is not taken, the one from before holds: {error}"))
            }
            Err(error) => (Level::Error, format!("the certificate cannot be read anew: {error}")),
        };
        guard.note(level, About::Audit, &message, []);
    }
}
