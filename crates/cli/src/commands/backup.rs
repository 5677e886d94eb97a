//! Owns `paramedic backup`: making, listing, proving and putting back the data of a server.

use std::fs::{self, DirBuilder};
use std::os::unix::fs::DirBuilderExt as _;
use std::path::PathBuf;

use diagnosis::{Finding, kind};
use host::Roots;
use incident::error_chain;
use integrity::backup::{Backup, LooseArchive, Placed, is_archive};
use serde::Serialize;
use server::backup::{BackupError, Backups, Choice, Word, verify_bundle};
use server::config::Config;
use server::data::DataError;
use server::now_ms;

use super::controls::Hold;
use crate::arguments::{BackupCommand, Before, CreateArguments, Output, RestoreArguments, VerifyArguments};
use crate::fail::{Code, Failure};
use crate::{context, findings, show};

/// What was put back, for programs.
#[derive(Debug, Serialize)]
struct Restored<'a> {
    backup: &'a str,
    created_ms: i64,
    trees: Vec<RestoredTree>,
    /// The files that were put back, where it was not everything.
    #[serde(skip_serializing_if = "Option::is_none")]
    only: Option<Vec<PathBuf>>,
}

#[derive(Debug, Serialize)]
struct RestoredTree {
    root: PathBuf,
    /// Where that is now what was there before.
    kept: Option<PathBuf>,
}

pub(super) fn run(command: &BackupCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    if let BackupCommand::Verify(VerifyArguments { bundle: Some(bundle), key: Some(key), .. }) = command {
        let scratch = std::env::temp_dir().join(format!("paramedic-verify-{}", std::process::id()));
        DirBuilder::new().mode(0o700).create(&scratch).map_err(Failure::no)?;
        let verified = verify_bundle(bundle, key, &scratch);
        fs::remove_dir_all(&scratch).map_err(Failure::no)?;
        let backup = verified.map_err(Failure::no)?;
        tell(&backup, output);
        show::line(
            "it is sealed by that key, and all that is in it is whole; dumps of databases were not restored",
        );
        return Ok(Code::Done);
    }
    if let Some(client) = context::far() {
        return super::looks::backup(&client, command, output);
    }
    let named = config.clone();
    let (config, _) = context::load(config)?;
    match command {
        BackupCommand::Create(arguments) => create(arguments, &config, named, output),
        BackupCommand::List { server, verified, target, before } => {
            let backups = of(&config, server)?;
            let before_ms = moment(*before, &backups)?;
            if *target {
                let there = backups.at_target().map_err(failure)?;
                return list(&there.backups, *verified, before_ms, output);
            }
            list(&backups, *verified, before_ms, output)
        }
        BackupCommand::Verify(arguments) => verify(arguments, &config, output),
        BackupCommand::Restore(arguments) => restore(arguments, &config, output),
    }
}

fn create(
    arguments: &CreateArguments,
    config: &Config,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let backups = of(config, &arguments.server)?;
    let hold = match arguments.read_only {
        true => Hold::begin(&arguments.server, named, arguments.read_only_most, output)?,
        false => None,
    };
    let mut ended = Ok(true);
    let created = backups.create(now_ms(), now_ms, &arguments.read_at, || {
        ended = hold.as_ref().map_or(Ok(true), Hold::end);
    });
    // Where copying did not even begin, nobody has ended it.
    let created = created.map_err(|error| {
        let _ = hold.as_ref().map(Hold::end);
        failure(error)
    });
    let was_held = ended?;
    let backup = created?;
    tell(&backup, output);
    if !was_held {
        let words =
            "others could write again before all was copied: give it more time with `--read-only-most`";
        return Err(Failure::no(anyhow::anyhow!(words)));
    }
    backups.send(now_ms()).map_err(|error| {
        let words = format!("{} is here and good, and was not sent: {}", backup.id, error_chain(&error));
        Failure::no(anyhow::anyhow!(words))
    })?;
    Ok(Code::Done)
}

fn of(config: &Config, server: &str) -> Result<Backups, Failure> {
    Backups::of_server(config, server).map_err(failure)
}

/// The moment before which a backup has to be begun.
fn moment(before: Before, backups: &Backups) -> Result<Option<i64>, Failure> {
    if before.before_damage { backups.before_damage().map(Some).map_err(failure) } else { Ok(before.before) }
}

/// A row of the list.
#[derive(Serialize)]
#[serde(untagged)]
enum Row {
    Backup(Box<Backup>),
    Loose(LooseArchive),
}

fn list(backups: &Backups, verified: bool, before: Option<i64>, output: Output) -> Result<Code, Failure> {
    let (found, others) = backups.list().map_err(failure)?;
    let is_before = |begun_ms: i64| before.is_none_or(|before_ms| begun_ms < before_ms);
    let is_meant = |one: &Backup| (!verified || one.is_proven()) && is_before(one.record.created_ms);
    let loose = backups.catalogue.loose(&others);
    let others: Vec<&String> =
        others.iter().filter(|name| loose.iter().all(|loose| loose.name != **name)).collect();
    let found = found.into_iter().filter(is_meant).map(|one| Row::Backup(Box::new(one)));
    let loose = loose.into_iter().filter(|one| !verified && is_before(one.modified_ms)).map(Row::Loose);
    let rows: Vec<Row> = found.chain(loose).collect();
    show::rows(output, &rows, &["backup", "begun", "files", "bytes", "archive", "proof"], |row| {
        row.cells(|one| backups.is_sealed(one))
    });
    if let (false, Output::Table) = (others.is_empty(), output) {
        let named: Vec<String> = others.iter().take(5).map(|name| show::harmless(name)).collect();
        anstream::eprintln!(
            "paramedic: {} other file(s) there belong to no backup: {}",
            others.len(),
            named.join(", ")
        );
    }
    Ok(if rows.is_empty() { Code::No } else { Code::Done })
}

// === impl Row ===

impl Row {
    fn cells(&self, is_sealed: impl Fn(&Backup) -> bool) -> Vec<String> {
        match self {
            Self::Backup(one) => vec![
                one.id.clone(),
                show::time(one.record.created_ms),
                one.record.trees.iter().map(|tree| tree.manifest.files).sum::<u64>().to_string(),
                show::size(one.record.trees.iter().map(|tree| tree.manifest.bytes).sum()),
                show::size(one.archive.bytes),
                if is_sealed(one) { proof(one) } else { format!("{}, NOT SEALED by this host", proof(one)) },
            ],
            // What is in it is only known when it is read.
            Self::Loose(one) => vec![
                show::harmless(&one.name),
                show::time(one.modified_ms),
                String::new(),
                String::new(),
                show::size(one.archive_bytes),
                "an archive alone: `backup verify` reads it".to_owned(),
            ],
        }
    }
}

/// Reads an archive that is alone, and tells what stands for it.
fn verify_alone(backups: &Backups, name: &str, output: Output) -> Result<Code, Failure> {
    let alone = backups.alone(name).map_err(failure)?;
    let backup = alone.backups.prove(alone.backup.clone(), now_ms()).map_err(failure)?;
    tell(&backup, output);
    let (is_good, words) = match &alone.word {
        Word::Sealed => (true, "it has what this host has sealed in it, and is that".to_owned()),
        Word::Unsealed(error) => (false, format!("it is what it says itself, and {}", error_chain(error))),
        Word::Foreign(None) => {
            (false, "it is not ours: nothing proves what is in it, and nothing in it is broken".to_owned())
        }
        Word::Foreign(Some(listed)) if listed.others > 0 => (
            false,
            format!(
                "it is not ours: {} file(s) are what its checksums.md5 says, and nothing proves {} others",
                listed.named, listed.others
            ),
        ),
        Word::Foreign(Some(listed)) => (
            true,
            format!(
                "it is not ours: all of its {} file(s) are what its checksums.md5 says, which finds accidents and no forgery",
                listed.named
            ),
        ),
    };
    anstream::eprintln!("paramedic: {}: {words}", show::harmless(name));
    Ok(if is_good { Code::Done } else { Code::No })
}

fn verify(arguments: &VerifyArguments, config: &Config, output: Output) -> Result<Code, Failure> {
    let here = of(config, arguments.server.as_deref().unwrap_or_default())?;
    let there = if arguments.target { Some(here.at_target().map_err(failure)?) } else { None };
    let backups = there.as_ref().map_or(&here, |there| &there.backups);
    if let Some(name) = arguments.id.as_deref().filter(|id| is_archive(id)) {
        return verify_alone(backups, name, output);
    }
    let before = moment(arguments.before, backups)?;
    let chosen = match (&arguments.id, arguments.all) {
        (None, true) => {
            let (all, _) = backups.list().map_err(failure)?;
            let is_meant = |one: &Backup| before.is_none_or(|before_ms| one.record.created_ms < before_ms);
            all.into_iter().filter(is_meant).collect()
        }
        (Some(id), _) => vec![backups.choose(&Choice::Named(id.clone())).map_err(failure)?],
        (None, false) => {
            let newest = Choice::Newest { before_ms: before, proven: false };
            vec![backups.choose(&newest).map_err(failure)?]
        }
    };
    let mut code = if chosen.is_empty() { Code::No } else { Code::Done };
    for backup in chosen {
        if let Some(there) = &there {
            there.fetch(&backup).map_err(failure)?;
        }
        let proven = backups.prove(backup.clone(), now_ms());
        if let Some(there) = &there {
            there.give_back(&backup).map_err(failure)?;
        }
        match proven {
            Ok(backup) => tell(&backup, output),
            Err(
                error @ (BackupError::Bad { .. } | BackupError::NotKnown { .. } | BackupError::Seal { .. }),
            ) => {
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
    let backups = if arguments.unsealed { backups.with_unsealed() } else { backups };
    if let Some(name) = arguments.id.as_deref().filter(|id| is_archive(id)) {
        let alone = backups.alone(name).map_err(failure)?;
        alone.check_word(name, arguments.unsealed).map_err(failure)?;
        return put_back(arguments, &alone.backups, &alone.backup, output);
    }
    let choice = match &arguments.id {
        Some(id) => Choice::Named(id.clone()),
        None => Choice::Newest { before_ms: moment(arguments.before, &backups)?, proven: true },
    };
    if arguments.target {
        let there = backups.at_target().map_err(failure)?;
        let backup = there.backups.choose(&choice).map_err(failure)?;
        there.fetch(&backup).map_err(failure)?;
        return put_back(arguments, &there.backups, &backup, output);
    }
    let backup = backups.choose(&choice).map_err(failure)?;
    put_back(arguments, &backups, &backup, output)
}

fn put_back(
    arguments: &RestoreArguments,
    backups: &Backups,
    backup: &Backup,
    output: Output,
) -> Result<Code, Failure> {
    let roots = Roots::default();
    let (placed, files) = if arguments.damaged {
        let (placed, files) = backups.restore_damaged(backup, now_ms(), &roots).map_err(failure)?;
        (placed, Some(files))
    } else {
        (backups.restore(backup, now_ms(), &roots).map_err(failure)?, None)
    };
    findings::note(&[restored(&arguments.server, backup, &placed, files.as_deref())]);
    let trees: Vec<RestoredTree> =
        placed.into_iter().map(|one| RestoredTree { root: one.root, kept: one.kept }).collect();
    match output {
        Output::Table => {
            show::line(&format!(
                "{} is back, as it was at {}",
                backup.id,
                show::time(backup.record.created_ms)
            ));
            for file in files.iter().flatten() {
                show::line(&format!("only {}", show::harmless(&file.display().to_string())));
            }
            for tree in &trees {
                let kept = tree.kept.as_ref().map_or("nothing was there before".to_owned(), |kept| {
                    format!("what was there before is {}", kept.display())
                });
                show::line(&format!("{}: {kept}", tree.root.display()));
            }
        }
        Output::Json | Output::Jsonl => {
            show::json_line(&Restored {
                backup: &backup.id,
                created_ms: backup.record.created_ms,
                trees,
                only: files,
            });
        }
    }
    Ok(Code::Done)
}

/// What the incident is told of it.
fn restored(server: &str, backup: &Backup, placed: &[Placed], files: Option<&[PathBuf]>) -> Finding {
    let what = files.map_or("all of it".to_owned(), |files| {
        let named: Vec<String> = files.iter().take(5).map(|file| file.display().to_string()).collect();
        format!("{} file(s) of it ({})", files.len(), named.join(", "))
    });
    let kept: Vec<String> =
        placed.iter().filter_map(|one| Some(one.kept.as_ref()?.display().to_string())).collect();
    let message = format!(
        "{what}, as it was at {} UTC; what was there before is {}",
        show::time(backup.record.created_ms),
        kept.join(", ")
    );
    Finding::new(kind::DATA_RESTORED, server).with_value(backup.id.as_str()).with_message(&message)
}

fn tell(backup: &Backup, output: Output) {
    match output {
        Output::Table => show::line(&format!(
            "{} of {}: {}, {}",
            backup.id,
            backup.record.server,
            show::size(backup.archive.bytes),
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
