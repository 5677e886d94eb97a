//! Owns `paramedic check`: works without `serve`, from the configuration alone.

use std::path::PathBuf;

use probe::{Prober, Report};
use server::target;

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
    let (config, path) = context::load(config)?;
    let named = |name: &String| config.server.iter().find(|server| server.name == *name);
    let servers = match &arguments.server {
        None => config.server.iter().collect(),
        Some(name) => vec![named(name).ok_or_else(|| {
            Failure::usage(anyhow::anyhow!("there is no server `{name}` in {}", path.display()))
        })?],
    };
    let prober = Prober::new().map_err(Failure::usage)?;
    let deadline = config.probe.timeout.get();
    let reports: Vec<Report> = context::runtime()?.block_on(async {
        let mut asked = tokio::task::JoinSet::new();
        for (idx, server) in servers.iter().enumerate() {
            for &check in arguments.check.types() {
                let (prober, target) = (prober.clone(), target(&config, server));
                asked.spawn(async move {
                    let report = prober.check(&target, check, deadline).await;
                    findings::note(&target, &report);
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
