//! Owns orders to a unit of systemd: one job each, and none twice for one key, whoever was killed meanwhile.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use process::ProcessId;
use serde::{Deserialize, Serialize};
use systemd::{ActiveState, Systemd, Unit, UnitName, Verb as Job};
use tokio::time::Instant;

use super::super::{Asked, Carried, Deed, Verb};
use super::until::Until;
use crate::{clock, document};

/// The time between two looks at a unit that systemd is about to start again by itself.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// Where it is kept what was ordered last.
#[derive(Debug, Clone)]
pub(in super::super) struct Orders {
    file: PathBuf,
}

/// An order, written down before it is given.
#[derive(Debug, Serialize, Deserialize)]
struct Ordered {
    key: String,
    /// The run of the unit that it was to end.
    before: Option<String>,
}

// === impl Orders ===

impl Orders {
    /// `folder` outlives `serve`, and not the boot.
    pub(in super::super) fn new(folder: &Path, server: &str) -> Self {
        Self { file: folder.join(format!("{server}.order")) }
    }

    /// Carries out an order, and says what came of it.
    pub(super) async fn carry_out(
        self,
        (systemd, unit): (Systemd, UnitName),
        deed: Deed,
        until: Until,
        timeout: Duration,
    ) {
        let deadline = Instant::now() + timeout;
        let mut done = self.give(&systemd, &unit, deed.verb, &deed.asked, timeout).await;
        if let (Ok(Carried { child: Some(child), .. }), Verb::Restart | Verb::Start) = (&done, deed.verb)
            && let Err(reason) = until.answers(*child, deadline).await
        {
            done = Err(reason);
        }
        let _ = deed.reply.send(done);
    }

    async fn give(
        &self,
        systemd: &Systemd,
        unit: &UnitName,
        verb: Verb,
        asked: &Asked,
        timeout: Duration,
    ) -> Result<Carried, String> {
        let told = |error: systemd::Error| incident::error_chain(&error);
        let job = match verb {
            Verb::Restart => Job::Restart,
            Verb::Start => Job::Start,
            Verb::Stop => Job::Stop,
            Verb::ShutDown => return Err("it lives in a unit of systemd, which ends it".to_owned()),
        };
        if verb == Verb::Restart {
            let now = settled(systemd, unit, asked, timeout).await.map_err(told)?;
            let run = now.invocation.map(|run| run.to_string());
            let (is_done, is_as_good) =
                (self.is_done(&asked.key, run.as_deref()), is_as_good(&now, asked.since_ms));
            if is_done || is_as_good {
                return Ok(Carried { child: now.main_pid.and_then(ProcessId::of), anew: is_done });
            }
            self.keep(&Ordered { key: asked.key.clone(), before: run })
                .map_err(|error| format!("the order cannot be written down: {error}"))?;
        }
        let finished = systemd.order(unit, job, timeout).await.map_err(told)?;
        if verb != Verb::Stop && finished.unit.as_ref().is_some_and(|unit| !unit.is_up()) {
            return Err("it was started, and has ended again at once".to_owned());
        }
        let child = finished.unit.and_then(|unit| unit.main_pid).and_then(ProcessId::of);
        Ok(Carried { child, anew: true })
    }

    /// Whether the restart of this key was carried out: then another run of the unit goes on than when it was ordered.
    fn is_done(&self, key: &str, run: Option<&str>) -> bool {
        let text = fs::read(&self.file).ok();
        let last = text.and_then(|text| serde_json::from_slice::<Ordered>(&text).ok());
        last.is_some_and(|last| last.key == key && run.is_some() && last.before.as_deref() != run)
    }

    fn keep(&self, ordered: &Ordered) -> io::Result<()> {
        if let Some(folder) = self.file.parent() {
            fs::create_dir_all(folder)?;
        }
        document::replace(&self.file, &serde_json::to_string(ordered)?)
    }
}

/// The unit, once systemd does nothing about it by itself any more, where that would be as good as an order.
async fn settled(
    systemd: &Systemd,
    unit: &UnitName,
    asked: &Asked,
    timeout: Duration,
) -> Result<Unit, systemd::Error> {
    let deadline_ms = clock::now_ms() + i64::try_from(timeout.as_millis()).unwrap_or(i64::MAX);
    loop {
        let now = systemd.unit(unit).await?;
        // Its pause before an automatic restart is a part of that.
        let restarts = now.active == Some(ActiveState::Activating);
        if asked.since_ms.is_none() || !restarts || clock::now_ms() >= deadline_ms {
            return Ok(now);
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

/// Whether it runs, and was started since: a second restart would only be a second interruption.
fn is_as_good(now: &Unit, since_ms: Option<i64>) -> bool {
    let started_ms = now.main_started_us.and_then(|us| i64::try_from(us / 1_000).ok());
    now.is_up()
        && since_ms.is_some_and(|since_ms| started_ms.is_some_and(|started_ms| started_ms >= since_ms))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_carried_out_once_for_each_run_that_it_was_to_end() {
        let folder = tempfile::tempdir().unwrap();
        let orders = Orders::new(&folder.path().join("units"), "time");
        assert!(!orders.is_done("k", Some("1")));
        orders.keep(&Ordered { key: "k".to_owned(), before: Some("1".to_owned()) }).unwrap();
        for (key, run, done) in [
            // `serve` was killed before the job: the same run goes on.
            ("k", Some("1"), false),
            // It was killed after it.
            ("k", Some("2"), true),
            // The job stopped it, and did not start it.
            ("k", None, false),
            ("another", Some("2"), false),
        ] {
            assert_eq!(orders.is_done(key, run), done, "{key} {run:?}");
        }
    }
}
