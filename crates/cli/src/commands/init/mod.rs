//! Owns `paramedic init`: what is there to be watched, shown, and written down as a configuration that only watches.
//!
//! Nothing is started, changed or restarted by it. Strangers are sent one `initialize`; files of clients are read.

mod address;
mod clients;
mod listeners;
mod names;
mod plan;
mod units;
mod write;

use std::path::{Path, PathBuf};

use ::server::config::{Place, default_config_path, empty};
use host::Roots;
use serde::Serialize;

use crate::arguments::{InitArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;
use plan::Row;

/// All that is printed.
#[derive(Serialize)]
struct Found<'a> {
    found: &'a [Row],
    /// What could not be looked at.
    notes: &'a [String],
    /// The file; none where the configuration goes to standard output, or nowhere.
    file: Option<&'a Path>,
}

/// Where the configuration goes.
enum To {
    Stdout,
    File(PathBuf),
    /// Nowhere, because of this file.
    Taken(PathBuf),
}

pub(super) fn run(
    arguments: &InitArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let place = Place::current();
    let to = target(arguments, named, &place);
    let (roots, own) = (Roots::default(), empty(&place).listen.port());
    let mut notes = Vec::new();
    let (units, asked) = context::runtime()?.block_on(async {
        let units = units::find(&mut notes).await;
        listeners::find(&roots, &arguments.ports, own, &mut notes).await.map(|asked| (units, asked))
    })?;
    let here = std::env::current_dir().unwrap_or_default();
    let named = clients::find(&place.home, &here, &mut notes);
    let mut rows = plan::plan(&units, &asked, &named, &roots.proc, own);
    let text = write::text(&rows)?;
    if arguments.verbose {
        rows.extend(asked.iter().filter(|one| one.answer.is_none()).map(plan::silent));
    }
    match to {
        To::Stdout => {
            notes.iter().for_each(|note| anstream::eprintln!("paramedic: {note}"));
            show::line(text.trim_end());
            Ok(Code::Done)
        }
        To::File(path) => {
            write::create(&path, &text)?;
            print(&Found { found: &rows, notes: &notes, file: Some(&path) }, output);
            anstream::eprintln!(
                "wrote {}: it watches, and changes nothing. Next: `paramedic serve --config {0}`",
                path.display()
            );
            Ok(Code::Done)
        }
        To::Taken(path) => {
            print(&Found { found: &rows, notes: &notes, file: None }, output);
            Err(Failure::usage(anyhow::anyhow!(
                "`{}` is there already, so nothing was written; `--force` writes beside a configuration, `--output-file FILE` elsewhere",
                path.display(),
            )))
        }
    }
}

fn target(arguments: &InitArguments, named: Option<PathBuf>, place: &Place) -> To {
    if arguments.output_file.as_deref() == Some(Path::new("-")) {
        return To::Stdout;
    }
    let path = configured(arguments, named, place);
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    match is_there(&path) {
        false => To::File(path),
        true if !arguments.force => To::Taken(path),
        // What somebody has edited since the last time is not overwritten either.
        true => match write::beside(&path) {
            beside if is_there(&beside) => To::Taken(beside),
            beside => To::File(beside),
        },
    }
}

fn configured(arguments: &InitArguments, named: Option<PathBuf>, place: &Place) -> PathBuf {
    let path = arguments.output_file.clone().or(named).unwrap_or_else(|| default_config_path(place));
    std::path::absolute(&path).unwrap_or(path)
}

fn print(found: &Found<'_>, output: Output) {
    if output != Output::Table {
        return match output {
            Output::Jsonl => found.found.iter().for_each(show::json_line),
            _ => show::json(found),
        };
    }
    let header = ["source", "name", "address", "restarted by", "written", "note"];
    show::rows(output, found.found, &header, |row| {
        let written = if row.written { "yes" } else { "no" };
        [&row.source, &row.name, &row.address, &row.restarts, written, &row.note]
            .map(ToString::to_string)
            .to_vec()
    });
    for row in found.found {
        if let Some(change) = &row.change {
            show::line(&format!("\nto have `{}` watched ({}):\n  {change}", row.name, row.source));
        }
    }
    found.notes.iter().for_each(|note| anstream::eprintln!("paramedic: {note}"));
}
