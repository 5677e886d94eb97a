//! Owns `paramedic integrity scope`: what is damaged, since when, and what a restore would lose, for people and for the incident.

use diagnosis::{Finding, Severity, kind};
use integrity::Table;
use integrity::backup::Lost;
use server::config::Config;
use server::data::DataError;
use server::now_ms;
use server::scope::{DamagedFile, Scope, ScopeError, TreeScope, scope};

use crate::arguments::Output;
use crate::fail::{Code, Failure};
use crate::{findings, show};

/// So many files are shown one by one, and told to the incident.
const SHOWN_MAX: usize = 40;

pub(super) fn run(server: &str, config: &Config, output: Output) -> Result<Code, Failure> {
    let scope = scope(config, server, now_ms()).map_err(|error| match error {
        ScopeError::Data(DataError::NoServer { .. } | DataError::NoData { .. }) => Failure::usage(error),
        _ => Failure::no(error),
    })?;
    match output {
        Output::Table => for_people(&scope),
        _ => show::json_line(&scope),
    }
    findings::note(&found(&scope));
    Ok(if scope.is_damaged() { Code::No } else { Code::Done })
}

fn for_people(scope: &Scope) {
    for tree in &scope.trees {
        let problem = tree.problem.as_deref().map(|words| format!(": {words}")).unwrap_or_default();
        show::line(&format!(
            "{}: {} of {} are damaged{}",
            tree.root.display(),
            tree.damaged,
            tree.entries,
            show::harmless(&problem)
        ));
        for file in tree.files.iter().take(SHOWN_MAX) {
            show::line(&format!("  {}", show::harmless(&words(file))));
        }
        if tree.files.len() > SHOWN_MAX {
            show::line(&format!("  … and {} more", tree.files.len() - SHOWN_MAX));
        }
    }
    if !scope.is_damaged() {
        return;
    }
    show::line(&format!("since:  {}", since(scope)));
    match (&scope.backup, &scope.problem) {
        (Some(backup), _) => {
            show::line(&format!("backup: {}, of {} UTC", backup.id, show::time(backup.created_ms)));
            show::line(&format!("lost by it: {}", show::harmless(&scope.losses())));
            scope.lost.iter().for_each(lost);
        }
        (None, problem) => {
            show::line(&format!("backup: none ({})", problem.as_deref().unwrap_or("nobody has made one")));
        }
    }
}

fn lost(tree: &Lost) {
    for (change, path) in &tree.named {
        let path = tree.root.join(path.as_path());
        show::line(&format!("  {} {}", change.word(), show::harmless(&path.display().to_string())));
    }
    for database in &tree.databases {
        for table in &database.tables {
            let number = |n: Option<u64>| n.map_or("?".to_owned(), |n| n.to_string());
            show::line(&format!(
                "  {}, table {}: {} row(s) can be read now, the backup has {}, only now: {}",
                show::harmless(&database.path.as_path().display().to_string()),
                show::harmless(&table.name),
                number(table.rows_now),
                number(table.rows_before),
                number(table.rows_only_now)
            ));
        }
        if let Some(problem) = &database.problem {
            let path = database.path.as_path().display().to_string();
            show::line(&format!("  {}: not compared: {}", show::harmless(&path), show::harmless(problem)));
        }
    }
}

/// What is wrong with one file, in one line.
fn words(file: &DamagedFile) -> String {
    let detail = if file.detail.is_empty() { String::new() } else { format!(" ({})", file.detail) };
    let damaged: Vec<String> = file.tables.iter().filter(|table| !table.is_whole()).map(of_table).collect();
    let tables = match (file.tables.is_empty(), damaged.is_empty()) {
        (true, _) => String::new(),
        (false, true) => "; all its tables can be read".to_owned(),
        (false, false) => format!("; {}", damaged.join("; ")),
    };
    format!("{} {}{detail}{tables}", file.change.word(), file.path.as_path().display())
}

fn of_table(table: &Table) -> String {
    let rows = match table.unreadable {
        None => "all its rows can be read".to_owned(),
        Some((from, to)) => {
            let number = |n: Option<i64>| n.map_or("?".to_owned(), |n| n.to_string());
            format!("rows {} to {} cannot be read", number(from), number(to))
        }
    };
    format!("table {}: {rows}, {} row(s) can", table.name, table.rows)
}

fn since(scope: &Scope) -> String {
    match scope.since {
        None => "an unknown time".to_owned(),
        Some(since) => {
            let from = since.last_whole_ms.map_or("an unknown time".to_owned(), show::time);
            format!("between {from} and {} UTC", show::time(since.first_damaged_ms))
        }
    }
}

/// What the incident is told.
fn found(scope: &Scope) -> Vec<Finding> {
    let mut all = Vec::new();
    for tree in &scope.trees {
        all.extend(tree.files.iter().take(SHOWN_MAX).map(|file| of_file(tree, file)));
    }
    if scope.is_damaged() {
        let last = scope.since.and_then(|since| since.last_whole_ms);
        let value = last.map_or("unknown".to_owned(), |ms| format!("{}Z", show::time(ms).replace(' ', "T")));
        let message = format!("damaged {}", since(scope));
        all.push(
            Finding::new(kind::DATA_SINCE, &scope.server).with_value(value.as_str()).with_message(&message),
        );
        let (value, message) = match &scope.backup {
            Some(backup) => (backup.id.as_str(), scope.losses()),
            None => ("unknown", scope.problem.clone().unwrap_or_default()),
        };
        all.push(Finding::new(kind::DATA_LOSS, &scope.server).with_value(value).with_message(&message));
    }
    all
}

fn of_file(tree: &TreeScope, file: &DamagedFile) -> Finding {
    let path = tree.root.join(file.path.as_path());
    Finding::new(kind::DATA_DAMAGED, &path.display().to_string())
        .with_value(file.change.word())
        .with_severity(Severity::Critical)
        .with_message(&words(file))
}
