//! Owns `paramedic host reclaim`: what may be deleted or compressed where a disk is full, and doing it where a person says so.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::time::Duration;

use host::Roots;
use host::reclaim::{Opened, Places, plan};
use serde::Serialize;
use server::api::wire::{Detail, Summary};
use server::client::{Client, ClientError};
use server::now_ms;

use crate::arguments::{Output, ReclaimArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show::{self, size};

/// How many files are shown one by one.
const SHOWN_MAX: usize = 20;

/// What came of it.
#[derive(Debug, Serialize)]
struct Reclaimed {
    files: usize,
    freed_bytes: u64,
    /// What stayed, and why.
    problems: Vec<String>,
}

pub(super) fn run(
    arguments: &ReclaimArguments,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let client = context::client(config.clone())?;
    let (config, _) = context::load_or_default(config)?;
    let log_dir = if arguments.root == Path::new("/") { config.log_dir } else { arguments.root.join("log") };
    let places = Places::of_machine(&arguments.root, &log_dir);
    let opened = Opened::take(&Roots::default());
    let age_min = arguments.older_than.unwrap_or(Duration::ZERO);
    let mut found = plan(&places, &opened, now_ms() / 1000, age_min);
    if arguments.compress {
        found.files.retain(|file| file.is_log);
        found.bytes = found.files.iter().map(|file| file.bytes).sum();
    }
    if !arguments.apply && !arguments.compress {
        match output {
            Output::Table => for_people(&found),
            Output::Json | Output::Jsonl => show::json_line(&found),
        }
        return Ok(Code::Done);
    }
    context::runtime()?.block_on(refuse_where_attacked(&client))?;
    let mut done = Reclaimed { files: 0, freed_bytes: 0, problems: Vec::new() };
    // Who has opened one of them since is seen by a second look.
    let opened = Opened::take(&Roots::default());
    for file in &found.files {
        let freed = if arguments.compress {
            let compressed = logs::compress(&file.path, |now| file.is_still(now, &opened));
            compressed.map_err(|error| format!("`{}` was not compressed: {error}", file.path.display()))
        } else {
            file.remove(&opened).map_err(|error| incident::error_chain(&error))
        };
        match freed {
            // It was compressed already.
            Ok(0) if arguments.compress => {}
            Ok(bytes) => {
                done.files += 1;
                done.freed_bytes += bytes;
            }
            Err(problem) => done.problems.push(problem),
        }
    }
    match output {
        Output::Table => {
            show::line(&format!(
                "{} file(s) are {}, {} are free again",
                done.files,
                if arguments.compress { "compressed" } else { "gone" },
                size(done.freed_bytes)
            ));
            done.problems.iter().for_each(|problem| anstream::eprintln!("paramedic: {problem}"));
        }
        Output::Json | Output::Jsonl => show::json_line(&done),
    }
    Ok(if done.problems.is_empty() { Code::Done } else { Code::No })
}

/// Nothing is deleted where somebody may have broken in: it may be what tells how.
async fn refuse_where_attacked(client: &Client) -> Result<(), Failure> {
    let open: Vec<Summary> = match client.list("/api/v1/incidents", usize::MAX).await {
        Ok(all) => all,
        // Without `serve` there is no incident that would be spoiled.
        Err(ClientError::NotReachable { .. }) => return Ok(()),
        Err(error) => return Err(error.into()),
    };
    for one in open.iter().filter(|one| one.state.is_open()) {
        let detail: Detail = client.incident(one.id.as_str()).await?;
        if detail.fold().is_some_and(|incident| incident::is_security(&incident)) {
            let reason = anyhow::anyhow!(
                "incident {} of {} may be an attack: nothing is deleted before it is over",
                one.id,
                one.server
            );
            return Err(Failure::new(Code::Refused, reason));
        }
    }
    Ok(())
}

fn for_people(found: &host::reclaim::Plan) {
    let mut sums: BTreeMap<&str, (usize, u64)> = BTreeMap::new();
    for file in &found.files {
        let sum = sums.entry(file.what).or_default();
        *sum = (sum.0 + 1, sum.1 + file.bytes);
    }
    let sums: Vec<_> = sums.into_iter().collect();
    show::rows(Output::Table, &sums, &["what", "files", "takes"], |(what, (files, bytes))| {
        vec![(*what).to_owned(), files.to_string(), size(*bytes)]
    });
    let largest: Vec<_> = found.files.iter().take(SHOWN_MAX).collect();
    if !largest.is_empty() {
        show::line("");
        show::rows(Output::Table, &largest, &["path", "user", "days old", "takes"], |file| {
            let days = (file.age_seconds / 86_400).to_string();
            vec![file.path.display().to_string(), file.uid.to_string(), days, size(file.bytes)]
        });
    }
    let kept = &found.kept;
    show::line(&format!(
        "\n{} file(s) with {} may go; nothing was deleted, that takes --apply\nof the same places stay: {} too young, {} \
         open, {} of somebody else, {} that are no plain files",
        found.files.len(),
        size(found.bytes),
        kept.young,
        kept.open,
        kept.foreign,
        kept.odd
    ));
    if found.is_cut {
        show::line("there is more than is looked at at once");
    }
}
