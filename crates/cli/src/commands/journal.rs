//! Owns `paramedic journal`: what the data directory takes, and a copy of the journal, with and without a running `serve`;
//! what stands in it, by its API.

use std::path::{Path, PathBuf};

use incident::Kept;
use serde::Serialize;
use server::api::wire::{JournalEntry, JournalQuestion, JournalVerification, LIMIT_MAX};
use server::client::Client;
use server::config::{Bytes, Config};
use server::{data_dir, now_ms, open_stores, retention};

use crate::arguments::{JournalCommand, JournalListArguments, Output};
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
    match command {
        JournalCommand::List(arguments) => {
            return context::runtime()?.block_on(list(&context::client(config)?, arguments, output));
        }
        JournalCommand::Verify => {
            return context::runtime()?.block_on(verify(&context::client(config)?, output));
        }
        JournalCommand::Status | JournalCommand::Backup { .. } => {}
    }
    let (config, _) = context::load_or_default(config)?;
    let path = config.data_dir.join("journal.db");
    if !path.exists() {
        return Err(Failure::no(anyhow::anyhow!("there is no journal `{}` yet", path.display())));
    }
    context::threaded_runtime()?.block_on(async {
        match command {
            JournalCommand::Backup { file } => backup(&config, file).await,
            _ => status(&config, output).await,
        }
    })
}

async fn list(client: &Client, arguments: &JournalListArguments, output: Output) -> Result<Code, Failure> {
    let JournalListArguments { incident, server, kind, limit } = arguments.clone();
    let question =
        JournalQuestion { incident, server, kind, limit: Some(limit.min(LIMIT_MAX)), cursor: None };
    let entries: Vec<JournalEntry> = client.find("/api/v1/journal", &question, limit as usize).await?;
    let header = ["seq", "when (UTC)", "incident", "kind", "says"];
    show::rows(output, &entries, &header, |one| {
        vec![
            one.seq.to_string(),
            show::time(one.at_ms),
            one.incident.clone().unwrap_or_default(),
            one.kind.clone(),
            show::harmless(&one.body.to_string()),
        ]
    });
    Ok(Code::Done)
}

async fn verify(client: &Client, output: Output) -> Result<Code, Failure> {
    let found: JournalVerification = client.get_patiently("/api/v1/journal/verification").await?;
    if output == Output::Table {
        show::line(&match &found.broken {
            None => format!("{} entries, all whole", found.entries),
            Some(broken) => format!("BROKEN: {broken}; the {} before it are whole", found.entries),
        });
    } else {
        show::json(&found);
    }
    Ok(if found.broken.is_none() { Code::Done } else { Code::No })
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
