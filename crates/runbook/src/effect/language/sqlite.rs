//! Owns `sqlite3`: a database, then statements and commands of the client itself.

use super::sql::{Dialect, sql};
use crate::bash::Word;
use crate::effect::assess::Judge;
use crate::effect::feed::Feed;
use crate::effect::word::Position;

const FLAGS: [&str; 13] = [
    "batch", "bail", "box", "column", "csv", "header", "json", "line", "list", "markdown", "noheader",
    "readonly", "table",
];
/// Commands of the client that show something or say how it is shown.
const COMMANDS: [&str; 16] = [
    ".databases",
    ".dbinfo",
    ".dump",
    ".fullschema",
    ".headers",
    ".indexes",
    ".indices",
    ".mode",
    ".nullvalue",
    ".schema",
    ".show",
    ".tables",
    ".timeout",
    ".timer",
    ".version",
    ".width",
];

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("sqlite3");
    let mut operands = Vec::new();
    for word in arguments {
        let (text, _) = word.literal_prefix();
        if matches!(text.as_ref(), "-version" | "--version") && arguments.len() == 1 {
            return;
        }
        judge.guard("sqlite3", word, Position::Open);
        let name = text.strip_prefix("--").or_else(|| text.strip_prefix('-'));
        match name {
            Some(name) if word.literal().is_some() && FLAGS.contains(&name) => {}
            Some(_) => return judge.unknown(format!("`sqlite3 {text}` is not known")),
            None => operands.push(word),
        }
    }
    match operands.as_slice() {
        [_, statements @ ..] if !statements.is_empty() => {
            for word in statements {
                match word.literal() {
                    Some(text) => statement(judge, &text),
                    None => judge.unknown("the statement for `sqlite3` is computed"),
                }
            }
        }
        [_] => match judge.feed(arguments) {
            Feed::Text(text) => fed(judge, &text),
            _ => judge.unknown("what is fed to `sqlite3` nobody knows"),
        },
        _ => judge.unknown("what is fed to `sqlite3` nobody knows"),
    }
}

fn statement(judge: &mut Judge<'_>, text: &str) {
    let text = text.trim();
    if !text.starts_with('.') {
        return sql(judge, Dialect::Sqlite, "sqlite3", text);
    }
    let name = text.split_whitespace().next().unwrap_or_default();
    let is_plain = text.bytes().all(|b| b.is_ascii_alphanumeric() || b"._%* -".contains(&b));
    if !is_plain || !COMMANDS.contains(&name) {
        judge.unknown(format!("what `sqlite3` does with `{name}` nobody knows"));
    }
}

/// Commands of the client are lines that begin with a dot; what ends the statement before them is not only a `;`.
fn fed(judge: &mut Judge<'_>, text: &str) {
    let mut pending = String::new();
    for line in text.lines() {
        if line.starts_with('.') {
            statement(judge, line);
        } else {
            pending.push_str(line);
            pending.push('\n');
        }
    }
    sql(judge, Dialect::Sqlite, "sqlite3", &pending);
}
