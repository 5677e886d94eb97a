//! Owns `paramedic integrity`: checks of data by a person or a step, and what all checks found.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use diagnosis::{Finding, Severity, kind};
use incident::error_chain;
use integrity::{Keep, Past, Report, Watcher, damaged_since};
use serde::Serialize;
use server::config::Config;
use server::data::{Answer, DataError, Manner, PATIENCE, Subject, is_full_due};
use server::now_ms;

use crate::arguments::{BaselineArguments, CheckDataArguments, IntegrityCommand, Output, Pace};
use crate::fail::{Code, Failure};
use crate::{context, findings, reading, show};

/// So many files are shown one by one.
const SHOWN_MAX: usize = 40;

/// How long nothing has to happen until a change counts as over, and when that is waited for no longer.
const SETTLE: Duration = Duration::from_millis(300);
const SETTLE_MAX: Duration = Duration::from_secs(5);

/// What came of one tree, for programs.
#[derive(Debug, Serialize)]
#[serde(untagged)]
enum Line<'a> {
    Report(&'a Report),
    Problem { root: &'a Path, problem: String },
}

pub(super) fn run(
    command: &IntegrityCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return super::looks::integrity(&client, command, output);
    }
    let (config, _) = context::load_or_default(config)?;
    match command {
        IntegrityCommand::Baseline(arguments) => baseline(arguments, &config, output),
        IntegrityCommand::Check(arguments) => check(arguments, &config, output),
        IntegrityCommand::Watch { subject, interval } => {
            watch(&find(&config, subject)?, *interval, config.integrity.full.ms(), output)
        }
        IntegrityCommand::Scope { server } => super::scope::run(server, &config, output),
        IntegrityCommand::Sums(arguments) => {
            super::sums::run(arguments, &find(&config, &arguments.subject)?, output)
        }
        IntegrityCommand::Filesystem { device } => super::sums::file_system(device, output),
        IntegrityCommand::History { subject } => history(&find(&config, subject)?, output),
    }
}

fn baseline(arguments: &BaselineArguments, config: &Config, output: Output) -> Result<Code, Failure> {
    let subject = reading::shown(find(config, &arguments.subject)?, true);
    let keep = Keep::Baseline { accepts_damage: arguments.force };
    let answers = subject.check(manner(true, keep, &arguments.pace), now_ms()).map_err(Failure::usage);
    reading::end(subject);
    let answers = answers?;
    tell(&answers, output);
    let refused = answers.iter().filter(|(_, answer)| !answer.as_ref().is_ok_and(|report| report.is_kept));
    for (root, answer) in refused.clone() {
        if answer.is_ok() {
            anstream::eprintln!(
                "paramedic: {} is no baseline: what is broken would pass for right (`--force` takes it)",
                root.display()
            );
        }
    }
    Ok(if refused.count() == 0 { Code::Done } else { Code::No })
}

fn check(arguments: &CheckDataArguments, config: &Config, output: Output) -> Result<Code, Failure> {
    let with_data = config.server.iter().filter(|server| server.has_data());
    let subjects: Vec<String> = match arguments.subjects.as_slice() {
        [] => with_data.map(|server| server.name.clone()).collect(),
        named => named.to_vec(),
    };
    if subjects.is_empty() {
        let words =
            "no server has data in the configuration; name them in `[[server.data]]`, or name a folder";
        return Err(Failure::usage(anyhow::anyhow!(words)));
    }
    let mut is_fine = true;
    for subject in &subjects {
        let subject = reading::shown(find(config, subject)?, arguments.deep);
        let manner = manner(arguments.deep, Keep::IfWhole, &arguments.pace);
        let answers = subject.check(manner, now_ms()).map_err(Failure::usage);
        reading::end(subject);
        let answers = answers?;
        tell(&answers, output);
        is_fine &= answers.iter().all(|(_, answer)| answer.as_ref().is_ok_and(|report| report.is_whole));
        findings::note(&answers.iter().map(finding).collect::<Vec<_>>());
    }
    Ok(if is_fine { Code::Done } else { Code::No })
}

/// Checks what was written to whenever something was, and after each interval; and everything when that was long ago. It ends
/// when a person says so.
fn watch(subject: &Subject, interval: Duration, full_ms: i64, output: Output) -> Result<Code, Failure> {
    let roots = subject.trees.iter().map(|tree| tree.path.clone()).collect();
    let watcher = Watcher::new(roots).map_err(Failure::usage)?;
    loop {
        let pasts = subject.history().read().unwrap_or_default();
        let reads_all = is_full_due(&pasts, now_ms(), full_ms);
        let manner = manner(reads_all, Keep::IfWhole, &Pace::default());
        match subject.check(Manner { patience: Duration::ZERO, ..manner }, now_ms()) {
            Ok(answers) => tell(&answers, output),
            // Whoever checks meanwhile finds the same.
            Err(DataError::Busy(_)) => {}
            Err(error) => return Err(Failure::usage(error)),
        }
        // A change seldom comes alone: what follows at once is part of it, for a while.
        if watcher.wait(interval).map_err(Failure::no)? {
            let settled = Instant::now() + SETTLE_MAX;
            while Instant::now() < settled && watcher.wait(SETTLE).map_err(Failure::no)? {}
        }
    }
}

fn history(subject: &Subject, output: Output) -> Result<Code, Failure> {
    let pasts = subject.history().read().map_err(|error| Failure::usage(anyhow::Error::from(error)))?;
    let since = damaged_since(&pasts);
    show::rows(output, &pasts, &["time", "read", "answer", "damaged"], |past: &Past| {
        let answer = match past.is_whole() {
            Some(true) => "whole",
            Some(false) => "damaged",
            None => "not known",
        };
        let words =
            past.trees.iter().flat_map(|tree| tree.named.iter().chain(&tree.problem).map(String::as_str));
        let damaged: Vec<&str> = words.take(3).collect();
        vec![
            show::time(past.at_ms),
            if past.reads_all { "all" } else { "changed" }.to_owned(),
            answer.to_owned(),
            show::harmless(&damaged.join(", ")),
        ]
    });
    if let (Some(since), Output::Table) = (since, output) {
        let from = since.last_whole_ms.map_or("an unknown time".to_owned(), show::time);
        show::line(&format!("\nthe damage began between {from} and {}", show::time(since.first_damaged_ms)));
    }
    Ok(if since.is_none() { Code::Done } else { Code::No })
}

/// A server of that name, or the folder.
fn find(config: &Config, subject: &str) -> Result<Subject, Failure> {
    if subject.contains('/') {
        let folder =
            std::path::absolute(subject).map_err(|error| Failure::usage(anyhow::Error::from(error)))?;
        return Ok(Subject::of_folder(config, &folder));
    }
    Subject::of_server(config, subject).map_err(Failure::usage)
}

fn manner(reads_all: bool, keep: Keep, pace: &Pace) -> Manner {
    Manner { reads_all, keep, rate: pace.rate.map(|rate| rate.0), threads: pace.threads, patience: PATIENCE }
}

fn tell(answers: &[(PathBuf, Answer)], output: Output) {
    for (root, answer) in answers {
        let line = match answer {
            Ok(report) => Line::Report(report),
            Err(error) => Line::Problem { root, problem: error_chain(error) },
        };
        match (output, &line) {
            (Output::Table, Line::Report(report)) => for_people(report),
            (Output::Table, Line::Problem { problem, .. }) => {
                anstream::eprintln!("paramedic: {} could not be looked at: {problem}", root.display());
            }
            (Output::Json | Output::Jsonl, line) => show::json_line(line),
        }
    }
}

fn for_people(report: &Report) {
    let answer = match report {
        Report { is_empty: true, .. } => "EMPTY; is its disk mounted?".to_owned(),
        Report { is_whole: false, damaged, .. } => format!("DAMAGED: {damaged}"),
        Report { has_baseline: false, .. } => "whole; there was nothing to compare with".to_owned(),
        _ => "whole".to_owned(),
    };
    show::line(&format!(
        "{}: {} file(s), {}, {} database(s): {answer}",
        report.root.display(),
        report.files,
        show::size(report.bytes),
        report.databases
    ));
    let shown = &report.differences[..report.differences.len().min(SHOWN_MAX)];
    if !shown.is_empty() {
        show::rows(Output::Table, shown, &["", "what", "path", ""], |one| {
            let mark = if one.is_damage { "!" } else { "" };
            let path = show::harmless(&one.path.as_path().display().to_string());
            vec![mark.to_owned(), one.change.word().to_owned(), path, show::harmless(&one.detail)]
        });
    }
    let all: u64 = report.counts.values().sum();
    if all > shown.len() as u64 {
        let counts: Vec<_> =
            report.counts.iter().map(|(change, n)| format!("{n} {}", change.word())).collect();
        show::line(&format!("… of {all}: {}", counts.join(", ")));
    }
}

fn finding((root, answer): &(PathBuf, Answer)) -> Finding {
    let finding = Finding::new(kind::INTEGRITY, &root.display().to_string());
    match answer {
        Ok(report) if report.is_whole => finding.with_value("ok"),
        Ok(report) => {
            let damaged = report.differences.iter().find(|one| one.is_damage);
            let first = damaged.map_or(String::new(), |one| {
                format!(": {} {}", one.change.word(), one.path.as_path().display())
            });
            let message = format!("{} of {} are damaged{first}", report.damaged, report.entries);
            finding.with_value("failed").with_severity(Severity::Critical).with_message(&message)
        }
        Err(error) => finding.with_severity(Severity::Warning).with_message(&error_chain(error)),
    }
}
