//! Owns `paramedic runbook list`: the runbooks that `serve` uses, by its API.

use std::path::PathBuf;

use server::api::wire::RunbookSummary;

use crate::arguments::Output;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let client = context::client(config)?;
    let all = context::runtime()?.block_on(client.list::<RunbookSummary>("/api/v1/runbooks", usize::MAX))?;
    let header = ["runbook", "path", "alerts", "errors", "warnings", "notes"];
    show::rows(output, &all, &header, |one| {
        let alerts = one.procedures.iter().filter_map(|procedure| procedure.alert.clone());
        let alerts = alerts.collect::<Vec<_>>().join(", ");
        let counts = [one.errors, one.warnings, one.notes].map(|count| count.to_string());
        [vec![one.name.clone(), one.path.clone(), alerts], counts.to_vec()].concat()
    });
    Ok(Code::Done)
}
