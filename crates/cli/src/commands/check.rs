//! Owns `paramedic check`: works without `serve`, from the configuration alone.

use std::path::PathBuf;

use probe::{Prober, Report};
use server::{client_target, target};

use crate::arguments::{CheckArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::findings;
use crate::show;

pub(super) fn run(
    arguments: &CheckArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (config, path) = match &arguments.server {
        // A server of a client needs no configuration.
        Some(_) => context::load_or_default(config)?,
        None => context::load(config)?,
    };
    let configured = |name: &str| config.server.iter().find(|server| server.name == name);
    let targets = match &arguments.server {
        None => config.server.iter().map(|server| target(&config, server)).collect(),
        Some(name) => {
            let found = configured(name).map(|server| target(&config, server));
            vec![found.or_else(|| client_target(&config, name)).ok_or_else(|| {
                Failure::usage(anyhow::anyhow!(
                    "there is no server `{name}` in {}, and no client has started one",
                    path.display()
                ))
            })?]
        }
    };
    let prober = Prober::new().map_err(Failure::usage)?;
    let deadline = config.probe.timeout.get();
    let reports: Vec<Report> = context::runtime()?.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for (idx, target) in targets.iter().enumerate() {
            for &check in arguments.check.types() {
                let (prober, target) = (prober.clone(), target.clone());
                asked.spawn(async move {
                    let report = prober.check(&target, check, deadline).await;
                    findings::note(&probe::findings(&target, &report));
                    (idx, check, report)
                });
            }
        }
        let mut reports = asked.join_all().await;
        reports.sort_by_key(|(idx, check, _)| (*idx, *check));
        reports.into_iter().map(|(.., report)| report).collect()
    });
    show::rows(output, &reports, &["server", "check", "health", "time", "reason"], |report| {
        let time = format!("{:.0} ms", report.duration_ms);
        let (target, reason) = (report.target.clone(), report.reason.clone());
        vec![target, report.check.to_string(), report.health.to_string(), time, reason]
    });
    let well = reports.iter().all(|report| report.health.is_well());
    Ok(if well { Code::Done } else { Code::No })
}
