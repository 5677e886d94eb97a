//! Owns `paramedic check`: works without `serve`, from the configuration alone.

mod nagios;

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use probe::{CheckType, Prober, Report, Target};
use server::config::Config;
use server::{client_target, target};
use tokio::sync::Semaphore;

use super::repeat::repeated;
use crate::arguments::{CheckArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::findings;
use crate::show;

/// What is asked, and how.
struct Asking {
    prober: Prober,
    targets: Vec<Target>,
    checks: Vec<CheckType>,
    deadline: Duration,
    at_once: usize,
}

/// Without a way to print rows it answers as a plugin of Nagios.
pub(super) fn run(
    arguments: &CheckArguments,
    config: Option<PathBuf>,
    output: Option<Output>,
) -> Result<Code, Failure> {
    let asking = match (asking(arguments, config), output) {
        (Err(failure), None) => return Ok(nagios::answer(Err(&failure), 0)),
        (asking, _) => asking?,
    };
    let runtime = context::runtime()?;
    let timeout_ms = i64::try_from(asking.deadline.as_millis()).unwrap_or(i64::MAX);
    repeated(arguments.repeat, || {
        let reports = runtime.block_on(asking.ask());
        let Some(output) = output else { return Ok(nagios::answer(Ok(&reports), timeout_ms)) };
        show::rows(output, &reports, &["server", "check", "health", "time", "reason"], |report| {
            let time = format!("{:.0} ms", report.duration_ms);
            let (target, reason) = (report.target.clone(), report.reason.clone());
            vec![target, report.check.to_string(), report.health.to_string(), time, reason]
        });
        let well = reports.iter().all(|report| report.health.is_well());
        Ok(if well { Code::Done } else { Code::No })
    })
}

fn asking(arguments: &CheckArguments, config: Option<PathBuf>) -> Result<Asking, Failure> {
    let (config, path) = match &arguments.server {
        // A server of a client needs no configuration.
        Some(_) => context::load_or_default(config)?,
        None => context::load(config)?,
    };
    let targets = targets(arguments, &config).ok_or_else(|| {
        let name = arguments.server.as_deref().unwrap_or_default();
        let path = path.display();
        Failure::usage(anyhow::anyhow!(
            "there is no server `{name}` in {path}, and no client has started one"
        ))
    })?;
    let prober = Prober::new().map_err(Failure::usage)?.with_program(&context::program()?);
    let (deadline, at_once) = (config.probe.timeout.get(), config.probe.at_once);
    Ok(Asking { prober, targets, checks: arguments.check.types().to_vec(), deadline, at_once })
}

fn targets(arguments: &CheckArguments, config: &Config) -> Option<Vec<Target>> {
    let Some(name) = &arguments.server else {
        return Some(config.server.iter().map(|server| target(config, server)).collect());
    };
    let configured = config.server.iter().find(|server| server.name == *name);
    let found = configured.map(|server| target(config, server)).or_else(|| client_target(config, name));
    found.map(|found| vec![found])
}

// === impl Asking ===

impl Asking {
    /// Asks all, some at a time; in the order of the configuration.
    async fn ask(&self) -> Vec<Report> {
        let room = Arc::new(Semaphore::new(self.at_once));
        let mut asked = tokio::task::JoinSet::new();
        for (idx, target) in self.targets.iter().enumerate() {
            for &check in &self.checks {
                let (prober, target, room) = (self.prober.clone(), target.clone(), Arc::clone(&room));
                let deadline = self.deadline;
                asked.spawn(async move {
                    let _turn = room.acquire().await;
                    let report = prober.check(&target, check, deadline).await;
                    findings::note(&probe::findings(&target, &report));
                    (idx, check, report)
                });
            }
        }
        let mut reports = asked.join_all().await;
        reports.sort_by_key(|(idx, check, _)| (*idx, *check));
        reports.into_iter().map(|(.., report)| report).collect()
    }
}
