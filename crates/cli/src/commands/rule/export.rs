//! Owns `paramedic rule export`: the alerts of runbooks, for Prometheus and Alertmanager.

use std::path::{Path, PathBuf};

use metrics::Engine;
use runbook::Runbook;
use runbook::export::{alertmanager, prometheus};

use crate::arguments::ExportFormat;
use crate::commands::text;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(
    files: &[PathBuf],
    (format, engine): (ExportFormat, Engine),
    runbook_url: Option<&str>,
    receiver: &str,
) -> Result<Code, Failure> {
    let runbooks = files.iter().map(|file| read(file.as_path())).collect::<Result<Vec<_>, _>>()?;
    for (runbook, procedure) in
        runbooks.iter().flat_map(|runbook| runbook.procedures.iter().map(move |one| (runbook, one)))
    {
        if let Some(alert) = procedure.alert.as_ref().filter(|alert| alert.query.is_none()) {
            anstream::eprintln!(
                "{}:{}: alert `{}` has no query and is left out",
                runbook.name,
                procedure.line,
                alert.name
            );
        }
    }
    let exported = match format {
        ExportFormat::Prometheus => prometheus(&runbooks, runbook_url, engine),
        ExportFormat::Alertmanager => alertmanager(&runbooks, receiver),
    };
    show::line(exported.map_err(Failure::usage)?.trim_end());
    Ok(Code::Done)
}

fn read(file: &Path) -> Result<Runbook, Failure> {
    let bytes = text::read(file, "the runbook")?;
    Ok(runbook::parse(&file.to_string_lossy(), &bytes).0)
}
