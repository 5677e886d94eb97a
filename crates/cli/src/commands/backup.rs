//! Owns `paramedic backup`: making, listing, proving and putting back the data of a server.

use std::path::PathBuf;

use host::Roots;
use incident::error_chain;
use integrity::backup::Backup;
use serde::Serialize;
use server::backup::{BackupError, Backups, Choice};
use server::config::Config;
use server::data::DataError;
use server::now_ms;

use crate::arguments::{BackupCommand, Output, RestoreArguments, VerifyArguments};
use crate::fail::{Code, Failure};
use crate::{context, show};

/// What was put back, for programs.
#[derive(Debug, Serialize)]
struct Restored<'a> {
    backup: &'a str,
    created_ms: i64,
    trees: Vec<RestoredTree>,
}

#[derive(Debug, Serialize)]
struct RestoredTree {
    root: PathBuf,
    /// Where that is now what was there before.
    kept: Option<PathBuf>,
}

pub(super) fn run(command: &BackupCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let (config, _) = context::load(config)?;
    match command {
        BackupCommand::Create { server } => {
            let backup = of(&config, server)?.create(now_ms(), now_ms).map_err(failure)?;
            tell(&backup, output);
            Ok(Code::Done)
        }
        BackupCommand::List { server, verified, before } => {
            list(&of(&config, server)?, *verified, *before, output)
        }
        BackupCommand::Verify(arguments) => verify(arguments, &config, output),
        BackupCommand::Restore(arguments) => restore(arguments, &config, output),
    }
}

fn of(config: &Config, server: &str) -> Result<Backups, Failure> {
    Backups::of_server(config, server).map_err(failure)
}

fn list(backups: &Backups, verified: bool, before: Option<i64>, output: Output) -> Result<Code, Failure> {
    let (found, others) = backups.list().map_err(failure)?;
    let is_meant = |one: &Backup| {
        (!verified || one.is_proven()) && before.is_none_or(|before_ms| one.record.created_ms < before_ms)
    };
    let found: Vec<Backup> = found.into_iter().filter(is_meant).collect();
    show::rows(output, &found, &["backup", "begun", "files", "bytes", "archive", "proof"], |one| {
        let files: u64 = one.record.trees.iter().map(|tree| tree.manifest.files).sum();
        let bytes: u64 = one.record.trees.iter().map(|tree| tree.manifest.bytes).sum();
        vec![
            one.id.clone(),
            show::time(one.record.created_ms),
            files.to_string(),
            show::size(bytes),
            show::size(one.record.archive_bytes),
            proof(one),
        ]
    });
    if let (false, Output::Table) = (others.is_empty(), output) {
        let named: Vec<String> = others.iter().take(5).map(|name| show::harmless(name)).collect();
        anstream::eprintln!(
            "paramedic: {} other file(s) there belong to no backup: {}",
            others.len(),
            named.join(", ")
        );
    }
    Ok(if found.is_empty() { Code::No } else { Code::Done })
}

fn verify(arguments: &VerifyArguments, config: &Config, output: Output) -> Result<Code, Failure> {
    let backups = of(config, &arguments.server)?;
    let chosen = match (&arguments.id, arguments.all) {
        (None, true) => {
            let (all, _) = backups.list().map_err(failure)?;
            let is_meant =
                |one: &Backup| arguments.before.is_none_or(|before_ms| one.record.created_ms < before_ms);
            all.into_iter().filter(is_meant).collect()
        }
        (Some(id), _) => vec![backups.choose(&Choice::Named(id.clone())).map_err(failure)?],
        (None, false) => {
            let newest = Choice::Newest { before_ms: arguments.before, proven: false };
            vec![backups.choose(&newest).map_err(failure)?]
        }
    };
    let mut code = if chosen.is_empty() { Code::No } else { Code::Done };
    for backup in chosen {
        match backups.prove(backup, now_ms()) {
            Ok(backup) => tell(&backup, output),
            Err(error @ (BackupError::Bad { .. } | BackupError::NotKnown { .. })) => {
                anstream::eprintln!("paramedic: {}", error_chain(&error));
                code = Code::No;
            }
            Err(error) => return Err(failure(error)),
        }
    }
    Ok(code)
}

fn restore(arguments: &RestoreArguments, config: &Config, output: Output) -> Result<Code, Failure> {
    let backups = of(config, &arguments.server)?;
    let choice = match &arguments.id {
        Some(id) => Choice::Named(id.clone()),
        None => Choice::Newest { before_ms: arguments.before, proven: true },
    };
    let backup = backups.choose(&choice).map_err(failure)?;
    let placed = backups.restore(&backup, now_ms(), &Roots::default()).map_err(failure)?;
    let trees: Vec<RestoredTree> =
        placed.into_iter().map(|one| RestoredTree { root: one.root, kept: one.kept }).collect();
    match output {
        Output::Table => {
            show::line(&format!(
                "{} is back, as it was at {}",
                backup.id,
                show::time(backup.record.created_ms)
            ));
            for tree in &trees {
                let kept = tree.kept.as_ref().map_or("nothing was there before".to_owned(), |kept| {
                    format!("what was there before is {}", kept.display())
                });
                show::line(&format!("{}: {kept}", tree.root.display()));
            }
        }
        Output::Json | Output::Jsonl => {
            show::json_line(&Restored { backup: &backup.id, created_ms: backup.record.created_ms, trees });
        }
    }
    Ok(Code::Done)
}

fn tell(backup: &Backup, output: Output) {
    match output {
        Output::Table => show::line(&format!(
            "{} of {}: {}, {}",
            backup.id,
            backup.record.server,
            show::size(backup.record.archive_bytes),
            proof(backup)
        )),
        Output::Json | Output::Jsonl => show::json_line(backup),
    }
}

fn proof(backup: &Backup) -> String {
    match &backup.proof {
        None => "not read again yet".to_owned(),
        Some(proof) => match &proof.problem {
            None => format!("good at {}", show::time(proof.at_ms)),
            Some(problem) => format!("BAD: {}", show::harmless(problem)),
        },
    }
}

fn failure(error: BackupError) -> Failure {
    match error {
        BackupError::Data(DataError::NoServer { .. } | DataError::NoData { .. }) => Failure::usage(error),
        _ => Failure::no(error),
    }
}
