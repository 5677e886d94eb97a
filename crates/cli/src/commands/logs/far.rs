//! Owns `paramedic logs --server` of another machine, by the API of its `serve`.

use anyhow::anyhow;
use logs::{Entry, Level};
use server::api::wire::{LIMIT_MAX, LogLine, LogLines, LogQuestion};
use server::client::Client;

use super::print_all;
use crate::arguments::{Output, SearchArguments};
use crate::context;
use crate::fail::{Code, Failure};

pub(super) fn run(
    client: &Client,
    arguments: &SearchArguments,
    now_ms: i64,
    output: Output,
) -> Result<Code, Failure> {
    let is_here = !arguments.files.is_empty() || arguments.follow || arguments.summary || arguments.analyze;
    let Some(server) = arguments.server.as_ref().filter(|_| !is_here) else {
        let words = "over the network the lines of one server are searched: `paramedic logs --server NAME`";
        return Err(Failure::usage(anyhow!(words)));
    };
    let question = LogQuestion {
        search: arguments.search.clone(),
        regex: arguments.regex,
        level: arguments.level.map(|level| level.name().to_owned()),
        since_ms: arguments.since.map(|since| since.at_ms(now_ms)),
        until_ms: arguments.until.map(|until| until.at_ms(now_ms)),
        limit: Some(LIMIT_MAX),
    };
    let path = format!("/api/v1/servers/{server}/logs");
    let found: LogLines = context::runtime()?.block_on(client.question(&path, &question))?;
    found.notes.iter().for_each(|note| anstream::eprintln!("paramedic: {note}"));
    if found.is_cut {
        anstream::eprintln!("paramedic: there are more; these are the newest {LIMIT_MAX} lines");
    }
    let entry = |line: LogLine| Entry {
        at_ms: line.at_ms,
        level: line.level.as_deref().and_then(Level::of_name),
        server: None,
        event: line.event,
        message: line.message,
        fields: line.fields,
    };
    print_all(found.lines.into_iter().map(entry), output, false);
    Ok(Code::Done)
}
