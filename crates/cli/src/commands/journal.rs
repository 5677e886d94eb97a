//! Owns `paramedic journal`: what the data directory takes, and a copy of the journal; with and without a running `serve`.

use std::path::{Path, PathBuf};

use incident::Kept;
use serde::Serialize;
use server::config::{Bytes, Config};
use server::{data_dir, now_ms, open_stores, retention};

use crate::arguments::{JournalCommand, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// What there is.
#[derive(Debug, Serialize)]
struct Status {
    /// What everything takes, in bytes.
    bytes: u64,
    /// What it may take, in bytes.
    budget_bytes: u64,
    /// The incidents that would be given up now.
    incidents: Vec<String>,
    /// How many records on alerts of other systems that are over.
    alerts: usize,
    /// How many blobs would go with them, or belong to nobody.
    blobs: usize,
    /// What everything would take then, in bytes.
    bytes_after: u64,
}

pub(super) fn run(
    command: &JournalCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (config, _) = context::load_or_default(config)?;
    let path = config.data_dir.join("journal.db");
    if !path.exists() {
        return Err(Failure::no(anyhow::anyhow!("there is no journal `{}` yet", path.display())));
    }
    context::threaded_runtime()?.block_on(async {
        match command {
            JournalCommand::Status => status(&config, output).await,
            JournalCommand::Backup { file } => backup(&config, file).await,
        }
    })
}

async fn status(config: &Config, output: Output) -> Result<Code, Failure> {
    let (journal, blobs) = open_stores(config).await.map_err(Failure::usage)?;
    let dir = data_dir(config, journal, blobs);
    let plan = Kept::look(&dir, retention(config), now_ms()).await.map_err(Failure::no)?.plan;
    let status = Status {
        bytes: plan.bytes_before,
        budget_bytes: config.retention.budget.0,
        incidents: plan.incidents,
        alerts: plan.loose.len(),
        blobs: plan.blobs.len(),
        bytes_after: plan.bytes_after,
    };
    let code = if status.bytes_after > status.budget_bytes { Code::No } else { Code::Done };
    if output != Output::Table {
        show::json(&status);
        return Ok(code);
    }
    let budget = Bytes(status.budget_bytes);
    show::line(&format!("{} bytes of {budget}", status.bytes));
    if status.bytes > status.budget_bytes {
        show::line(&format!(
            "{} incident(s), {} record(s) on alerts of other systems and {} blob(s) are given up next, which leaves {} bytes",
            status.incidents.len(),
            status.alerts,
            status.blobs,
            status.bytes_after
        ));
    }
    if code == Code::No {
        show::line("that is over the budget: the rest is open or too young, and is kept");
    }
    Ok(code)
}

async fn backup(config: &Config, file: &Path) -> Result<Code, Failure> {
    let (journal, _) = open_stores(config).await.map_err(Failure::usage)?;
    let found = journal.backup(file).await.map_err(Failure::no)?;
    match found.broken {
        None => {
            anstream::eprintln!("`{}` has {} entries, and its chain is whole", file.display(), found.entries);
            Ok(Code::Done)
        }
        Some(broken) => {
            anstream::eprintln!("`{}` is copied as it is, and its chain is broken: {broken}", file.display());
            Ok(Code::No)
        }
    }
}
