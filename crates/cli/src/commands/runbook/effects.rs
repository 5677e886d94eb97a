//! Owns `paramedic runbook effects`: what each statement of a script does, for the author who wants to know.

use std::path::Path;

use anyhow::Context as _;
use runbook::{Stated, Table, statements};
use serde_json::json;

use crate::arguments::Output;
use crate::commands::text;
use crate::fail::{Code, Failure};
use crate::show;

/// How much of a statement a line of the table shows, in characters.
const STATEMENT_CHARS_MAX: usize = 60;

pub(super) fn run(file: &Path, table: Option<&Path>, output: Output) -> Result<Code, Failure> {
    let bytes = text::read(file, "the script")?;
    let source = String::from_utf8_lossy(&bytes);
    let own = match table {
        Some(path) => {
            let bytes = text::read(path, "the table of commands")?;
            let named = || format!("cannot use the table of commands `{}`", path.display());
            let table = Table::builtin().extended(&String::from_utf8_lossy(&bytes));
            Some(table.with_context(named).map_err(Failure::usage)?)
        }
        None => None,
    };
    let found = statements(&source, own.as_ref().unwrap_or(Table::builtin()));
    if output == Output::Table {
        show::rows(output, &found, &["line", "effect", "statement", "reason"], cells);
    } else {
        let rows: Vec<_> = found
            .iter()
            .map(|one| json!({"statement": one.statement, "effect": one.effect, "reason": one.reason, "line": one.line}))
            .collect();
        show::rows(output, &rows, &[], |_| Vec::new());
    }
    Ok(Code::Done)
}

fn cells(one: &Stated) -> Vec<String> {
    let mut lines = one.statement.lines();
    let first = lines.next().unwrap_or_default();
    let mut statement: String = first.chars().take(STATEMENT_CHARS_MAX).collect();
    if statement.len() < first.len() || lines.next().is_some() {
        statement.push('…');
    }
    vec![one.line.to_string(), one.effect.to_string(), statement, one.reason.clone()]
}
