//! Owns `paramedic logs`: logs searched, summed up, followed; secrets in them are hidden.

mod far;
mod follow;
mod report;

use std::io::Cursor;
use std::path::{Path, PathBuf};

use ::logs::{Entry, Filter, Merged, Pattern, Search, redact, time_of_machine};
use anyhow::{Context as _, anyhow};
use serde_json::{Map, Value};
use server::config::Config;

use super::server::logs::{Keeper, documents, keeper, may_follow, text};
use crate::arguments::{Output, SearchArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// Lines that are read of the journal of a unit at most: they are held at once.
const JOURNAL_LINES_MAX: u32 = 200_000;

/// A log that is to be read.
enum Source {
    /// A file with what was rotated away from it.
    Log(PathBuf),
    File(PathBuf),
    Stdin,
    /// Lines of JSON from the journal of a unit.
    Journal(String, Vec<u8>),
}

pub(super) fn run(
    arguments: &SearchArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    may_follow(arguments.follow, output)?;
    let now_ms = server::now_ms();
    if let Some(client) = context::far() {
        return far::run(&client, arguments, now_ms, output);
    }
    let pattern = match arguments.search.as_deref() {
        Some(text) if arguments.regex => Some(Pattern::regex(text).map_err(Failure::usage)?),
        text => text.map(Pattern::literal),
    };
    let filter = Filter {
        pattern,
        level: arguments.level,
        since_ms: arguments.since.map(|since| since.at_ms(now_ms)),
        until_ms: arguments.until.map(|until| until.at_ms(now_ms)),
        server: arguments.server.clone().filter(|_| !arguments.files.is_empty()),
    };
    let sources = sources(arguments, config, filter.since_ms)?;
    if arguments.follow {
        return follow::run(&sources, &filter, output);
    }
    let n_sources = sources.len();
    let search = |source| match source {
        Source::Log(path) => Search::log(&path, &filter, time_of_machine, now_ms),
        Source::File(path) => Search::file(&path, &filter, time_of_machine, now_ms),
        Source::Stdin => {
            Search::stream(Box::new(std::io::stdin()), "standard input", &filter, time_of_machine, now_ms)
        }
        Source::Journal(name, lines) => {
            Search::stream(Box::new(Cursor::new(lines)), &name, &filter, time_of_machine, now_ms)
        }
    };
    let mut merged = Merged::new(sources.into_iter().map(search).collect());
    let entries = merged.by_ref().map(|mut entry| {
        redact::entry(&mut entry);
        entry
    });
    if arguments.summary || arguments.analyze {
        report::run(entries, arguments, output);
    } else {
        print_all(entries, output, n_sources > 1);
    }
    let mut n_failed = 0;
    for log in merged.logs() {
        log.take_notes().iter().for_each(|note| anstream::eprintln!("paramedic: {note}"));
        n_failed += log.n_failed();
    }
    // That there is no such line is an answer, and mostly the one that is hoped for.
    Ok(if n_failed > 0 { Code::No } else { Code::Done })
}

/// Finds out what is to be read.
fn sources(
    arguments: &SearchArguments,
    config: Option<PathBuf>,
    since_ms: Option<i64>,
) -> Result<Vec<Source>, Failure> {
    if !arguments.files.is_empty() {
        let is_stdin = |path: &PathBuf| path == Path::new("-");
        if arguments.files.iter().filter(|path| is_stdin(path)).count() > 1 {
            return Err(Failure::usage(anyhow!("standard input (`-`) is there once, and named twice")));
        }
        let source = |path: &PathBuf| if is_stdin(path) { Source::Stdin } else { Source::File(path.clone()) };
        return Ok(arguments.files.iter().map(source).collect());
    }
    let (config, path) = context::load_or_default(config)?;
    let Some(name) = &arguments.server else { return all_logs(&config) };
    match keeper(&config, &path, name)? {
        Keeper::Guard(log) if log.exists() || arguments.follow => Ok(vec![Source::Log(log)]),
        Keeper::Guard(log) => Err(Failure::no(anyhow!(
            "`{name}` has said nothing yet: there is no log `{}`; `paramedic server status {name}` says how it is",
            log.display()
        ))),
        Keeper::Unit(unit) if arguments.follow => Err(Failure::no(anyhow!(
            "`{name}` speaks to the journal of {unit}; `paramedic server logs {name} --follow` follows that"
        ))),
        Keeper::Unit(unit) => {
            let read = documents(name, &unit, since_ms, JOURNAL_LINES_MAX);
            let (lines, is_cut) = context::runtime()?.block_on(read)?;
            if is_cut {
                anstream::eprintln!(
                    "paramedic: the journal has more; read were the newest {JOURNAL_LINES_MAX} lines"
                );
            }
            Ok(vec![Source::Journal(unit.to_string(), lines)])
        }
    }
}

/// The logs of all servers that have one.
fn all_logs(config: &Config) -> Result<Vec<Source>, Failure> {
    let folder = &config.log_dir;
    let named = || format!("cannot list the logs in `{}`; name files instead", folder.display());
    let entries = folder.read_dir().with_context(named).map_err(Failure::no)?;
    let paths = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut logs: Vec<_> = paths.filter(|path| path.extension().is_some_and(|end| end == "log")).collect();
    if logs.is_empty() {
        return Err(Failure::no(anyhow!("there is no log in `{}`; name files instead", folder.display())));
    }
    logs.sort();
    Ok(logs.into_iter().map(Source::Log).collect())
}

/// Prints lines as they are found; never more than one is held.
fn print_all(entries: impl Iterator<Item = Entry>, output: Output, names_servers: bool) {
    if output != Output::Json {
        entries.for_each(|entry| print(&entry, output, names_servers));
        return;
    }
    let mut before = "[";
    for entry in entries {
        let document = Value::Object(document(&entry));
        show::line(&format!("{before}{document}"));
        before = ",";
    }
    show::line(if before == "[" { "[]" } else { "]" });
}

fn print(entry: &Entry, output: Output, names_servers: bool) {
    if output != Output::Table {
        show::json_line(&document(entry));
        return;
    }
    let level = entry.level.map_or("", ::logs::Level::name);
    let message = match &entry.server {
        Some(server) if names_servers => format!("{server}: {}", said(entry)),
        _ => said(entry),
    };
    let line = text::of(entry.at_ms, level, &entry.event, &message);
    let colour = match entry.level {
        Some(::logs::Level::Error | ::logs::Level::Critical) => "\u{1b}[31m",
        Some(::logs::Level::Warning) => "\u{1b}[33m",
        _ => return show::line(&line),
    };
    // Taken away where nobody sees it.
    show::line(&format!("{colour}{line}\u{1b}[0m"));
}

/// The message, or all fields of a line of JSON that has none.
fn said(entry: &Entry) -> String {
    match &entry.fields {
        Some(fields) if entry.message.is_empty() => Value::Object(fields.clone()).to_string(),
        _ => entry.message.clone(),
    }
}

/// A line as a document: its own fields, or in the names of the guard's log what a text says.
fn document(entry: &Entry) -> Map<String, Value> {
    if let Some(fields) = &entry.fields {
        return fields.clone();
    }
    let time = entry.at_ms.and_then(chrono::DateTime::from_timestamp_millis);
    let time = time.map(|time| time.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let fields = [
        ("ts", time.map(Value::from)),
        ("level", entry.level.map(|level| level.name().into())),
        ("message", Some(entry.message.as_str().into())),
    ];
    fields.into_iter().filter_map(|(name, value)| Some((name.to_owned(), value?))).collect()
}
