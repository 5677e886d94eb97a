//! Owns showing the journal of a server's unit: what its processes have said, and what systemd has said of them.

use std::time::Duration;

use server::unit_log::{document, level};
use systemd::journal::{Line, Wanted};
use systemd::{Journal, UnitName};

use super::{cut_note, text};
use crate::arguments::{LogsArguments, Output};
use crate::fail::{Code, Failure};
use crate::show;

/// The time between two readings of a journal that is followed: each starts a `journalctl`.
const READ_AGAIN: Duration = Duration::from_secs(1);

/// Lines of one reading while following; what is more comes with the next one.
const LINES_MAX: u32 = 10_000;

/// Shows the journal of a unit.
pub(super) async fn show(
    arguments: &LogsArguments,
    unit: &UnitName,
    since_ms: Option<i64>,
    output: Output,
) -> Result<Code, Failure> {
    let journal = Journal::default();
    let mut wanted = Wanted { lines_max: arguments.lines, since_ms, ..Wanted::default() };
    let mut read = journal.read(unit, &wanted).await.map_err(Failure::no)?;
    if let Some(remark) = &read.remark {
        anstream::eprintln!("paramedic: journalctl says: {remark}");
    }
    cut_note(read.is_cut, arguments);
    if output == Output::Json {
        show::json(&read.lines.iter().map(|line| document(&arguments.name, line)).collect::<Vec<_>>());
    }
    loop {
        for line in read.lines.iter().filter(|_| output != Output::Json) {
            print(&arguments.name, line, output);
        }
        if !arguments.follow {
            return Ok(Code::Done);
        }
        match read.lines.iter().rev().find_map(|line| line.cursor.clone()) {
            Some(cursor) => {
                wanted = Wanted { lines_max: LINES_MAX, after: Some(cursor), ..Wanted::default() }
            }
            // Nothing was said yet: all from now on is new.
            None if wanted.after.is_none() => {
                wanted.since_ms.get_or_insert_with(server::now_ms);
                wanted.lines_max = LINES_MAX;
            }
            None => {}
        }
        if !read.is_cut || wanted.after.is_none() {
            tokio::time::sleep(READ_AGAIN).await;
        }
        read = journal.read(unit, &wanted).await.map_err(Failure::no)?;
    }
}

/// The newest lines of a unit's journal, as lines of JSON; also whether there are older ones.
pub(in crate::commands) async fn documents(
    server: &str,
    unit: &UnitName,
    since_ms: Option<i64>,
    lines_max: u32,
) -> Result<(Vec<u8>, bool), Failure> {
    let wanted = Wanted { lines_max, since_ms, ..Wanted::default() };
    let read = Journal::default().read(unit, &wanted).await.map_err(Failure::no)?;
    if let Some(remark) = &read.remark {
        anstream::eprintln!("paramedic: journalctl says: {remark}");
    }
    let lines = read.lines.iter().map(|line| document(server, line).to_string() + "\n");
    Ok((lines.collect::<String>().into_bytes(), read.is_cut))
}

fn print(server: &str, line: &Line, output: Output) {
    match output {
        Output::Table => {
            let from = line.identifier.as_deref().unwrap_or_default();
            show::line(&text::of(Some(line.at_ms), level(line), from, &line.message));
        }
        Output::Json | Output::Jsonl => show::json_line(&document(server, line)),
    }
}
