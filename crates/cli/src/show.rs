//! Owns how data is printed: tables for people, JSON for programs, and never a panic on a closed pipe.

use std::io::Write as _;

use chrono::DateTime;
use comfy_table::Table;
use comfy_table::presets::NOTHING;
use serde::Serialize;

use crate::arguments::Output;

/// Prints rows, as a table or as JSON.
pub(crate) fn rows<T: Serialize>(
    output: Output,
    rows: &[T],
    header: &[&str],
    cells: impl Fn(&T) -> Vec<String>,
) {
    match output {
        Output::Json => json(&rows),
        Output::Jsonl => rows.iter().for_each(json_line),
        Output::Table => {
            let mut table = Table::new();
            table.load_style(NOTHING).set_header(header.iter().map(|name| name.to_uppercase()));
            table.add_rows(rows.iter().map(&cells));
            line(&table.trim_fmt());
        }
    }
}

/// Prints one document.
pub(crate) fn json(document: &impl Serialize) {
    match serde_json::to_string_pretty(document) {
        Ok(text) => line(&text),
        Err(error) => anstream::eprintln!("paramedic: cannot print this as JSON: {error}"),
    }
}

/// Prints one document on one line.
pub(crate) fn json_line(document: &impl Serialize) {
    match serde_json::to_string(document) {
        Ok(text) => line(&text),
        Err(error) => anstream::eprintln!("paramedic: cannot print this as JSON: {error}"),
    }
}

/// Prints one line. A reader that has gone away (`| head`) ends the program quietly.
pub(crate) fn line(text: &str) {
    if writeln!(anstream::stdout(), "{text}").is_err() {
        std::process::exit(0);
    }
}

/// Prints one line of bytes as they are, whatever they are.
pub(crate) fn bytes(line: &[u8]) {
    let mut stdout = std::io::stdout().lock();
    if stdout.write_all(line).and_then(|()| stdout.write_all(b"\n")).is_err() {
        std::process::exit(0);
    }
}

/// Prints one line of something that goes on. It goes on without its reader: it has to be brought to its end.
pub(crate) fn live(text: &str) {
    let _ = writeln!(anstream::stdout(), "{text}");
}

/// A time for people, in UTC.
pub(crate) fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S").to_string()
}

/// A number of bytes for people.
pub(crate) fn size(bytes: u64) -> String {
    if bytes >= 1 << 20 {
        format!("{:.1} MiB", bytes as f64 / f64::from(1 << 20))
    } else {
        format!("{} KiB", bytes >> 10)
    }
}

/// What a server says must not move the cursor of whoever reads it, or change what stands there.
pub(crate) fn harmless(text: &str) -> String {
    let is_trick = |c: char| {
        c.is_control() && c != '\t' || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}')
    };
    text.chars()
        .flat_map(|c| {
            let (plain, escaped) =
                if is_trick(c) { (None, Some(c.escape_default())) } else { (Some(c), None) };
            plain.into_iter().chain(escaped.into_iter().flatten())
        })
        .collect()
}
