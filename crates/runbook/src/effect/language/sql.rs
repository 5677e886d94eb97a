//! Owns clients of databases: which of their statements only ask.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

/// Functions that only compute or only report.
const FUNCTIONS: [&str; 66] = [
    "abs",
    "age",
    "array_agg",
    "avg",
    "bool_and",
    "bool_or",
    "cast",
    "char_length",
    "coalesce",
    "concat",
    "count",
    "current_database",
    "current_setting",
    "current_user",
    "date_part",
    "date_trunc",
    "exists",
    "extract",
    "format",
    "greatest",
    "has_database_privilege",
    "has_table_privilege",
    "in",
    "interval",
    "least",
    "left",
    "length",
    "lower",
    "make_interval",
    "max",
    "min",
    "now",
    "nullif",
    "numeric",
    "over",
    "pg_backend_pid",
    "pg_blocking_pids",
    "pg_current_wal_lsn",
    "pg_database_size",
    "pg_get_indexdef",
    "pg_indexes_size",
    "pg_is_in_recovery",
    "pg_last_wal_receive_lsn",
    "pg_last_wal_replay_lsn",
    "pg_last_xact_replay_timestamp",
    "pg_postmaster_start_time",
    "pg_relation_size",
    "pg_size_pretty",
    "pg_stat_get_activity",
    "pg_table_size",
    "pg_tablespace_size",
    "pg_total_relation_size",
    "pg_wal_lsn_diff",
    "regclass",
    "replace",
    "right",
    "round",
    "row_number",
    "string_agg",
    "substr",
    "substring",
    "sum",
    "to_char",
    "trim",
    "upper",
    "version",
];
/// Words that open a parenthesis without being a function.
const KEYWORDS: [&str; 21] = [
    "and", "as", "by", "case", "distinct", "else", "filter", "from", "having", "join", "not", "on", "or",
    "select", "then", "union", "using", "values", "when", "where", "all",
];

/// Judges a text of SQL statements.
fn sql(judge: &mut Judge<'_>, client: &str, text: &str) {
    let Some(bare) = without_text(text) else {
        return judge.unknown(format!("the statement for `{client}` can not be read"));
    };
    for statement in bare.split(';') {
        let words: Vec<String> = statement
            .split(|c: char| !c.is_ascii_alphanumeric() && c != '_')
            .filter(|word| !word.is_empty())
            .map(str::to_ascii_lowercase)
            .collect();
        let Some(first) = words.first() else { continue };
        let has = |word: &str| words.iter().any(|known| known == word);
        match first.as_str() {
            "select" | "table" | "values" | "with" | "explain" | "show" | "describe" | "desc" | "pragma" => {
                let writes = ["insert", "update", "delete", "merge", "into", "for", "call", "do"];
                let analyzes = first == "explain" && has("analyze") && !has("select");
                if first == "pragma"
                    && (statement.contains('=') || statement.contains('('))
                    && !harmless_pragma(&words)
                {
                    return judge.unknown(format!("`{client}` sets a pragma"));
                }
                let writes = writes.iter().find(|word| {
                    has(word)
                        && !(first == "show" && **word == "for")
                        && (first != "explain" || has("analyze"))
                });
                if analyzes || writes.is_some() {
                    return judge
                        .unknown(format!("`{client}` may change data (`{}`)", writes.unwrap_or(&"analyze")));
                }
                if let Some(function) = unknown_function(statement) {
                    let kills = matches!(function.as_str(), "pg_terminate_backend" | "pg_cancel_backend");
                    let effect = if kills { Effect::Disrupt } else { Effect::Unknown };
                    return judge.raise(effect, format!("`{client}` calls the function `{function}`"));
                }
            }
            "delete" | "drop" | "truncate" => {
                judge.raise(Effect::Destroy, format!("`{client}` deletes data (`{first}`)"))
            }
            "insert" | "create" | "grant" | "revoke" | "set" | "comment" | "analyze" | "vacuum"
            | "reindex" => {
                judge.raise(Effect::Change, format!("`{client}` changes data (`{first}`)"));
            }
            "update" | "alter" | "replace" => {
                judge.raise(Effect::Destroy, format!("`{client}` overwrites data (`{first}`)"))
            }
            "kill" => judge.raise(Effect::Disrupt, format!("`{client}` ends a connection")),
            "begin" | "commit" | "rollback" | "end" => {}
            other => judge.unknown(format!("what `{client}` does with `{other}` nobody knows")),
        }
    }
}

fn harmless_pragma(words: &[String]) -> bool {
    matches!(
        words.get(1).map(String::as_str),
        Some("integrity_check" | "quick_check" | "table_info" | "index_list")
    )
}

/// The statement without what stands in quotes and comments; `None` where a quote does not close.
fn without_text(text: &str) -> Option<String> {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\'' => 2 + rest[1..].find('\'')?,
            '"' => {
                // A quoted name may be that of a function.
                bare.push_str("quoted_name");
                2 + rest[1..].find('"')?
            }
            // Dollar quotes, backslashes and comments hide what a server may read otherwise.
            '$' | '\\' | '`' => return None,
            '-' if rest.starts_with("--") => return None,
            '/' if rest.starts_with("/*") => return None,
            c => {
                bare.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Some(bare)
}

/// The first name before a parenthesis that is not known to be harmless.
fn unknown_function(statement: &str) -> Option<String> {
    for (at, _) in statement.match_indices('(') {
        let before = statement[..at].trim_end();
        let start = before.rfind(|c: char| !c.is_ascii_alphanumeric() && c != '_').map_or(0, |at| at + 1);
        let name = before[start..].to_ascii_lowercase();
        let known =
            name.is_empty() || FUNCTIONS.contains(&name.as_str()) || KEYWORDS.contains(&name.as_str());
        if !known || before.ends_with('.') {
            return Some(name);
        }
    }
    None
}

/// One statement from the command line, or a command of the client itself.
fn statement(judge: &mut Judge<'_>, client: &str, word: Option<&Word>) {
    match word.map(Word::literal) {
        Some(Some(text)) if text.trim_start().starts_with('\\') => {
            let name =
                text.trim_start_matches([' ', '\\']).split([' ', '+']).next().unwrap_or_default().to_owned();
            let looks = name.starts_with('d') && name.bytes().all(|b| b.is_ascii_alphabetic());
            if !(looks || matches!(name.as_str(), "l" | "conninfo" | "timing" | "encoding" | "q" | "x"))
                || text.contains(['|', '`', '\n'])
            {
                judge.unknown(format!("what `{client}` does with `\\{name}` nobody knows"));
            }
        }
        Some(Some(text)) => sql(judge, client, &text),
        _ => judge.unknown(format!("the statement for `{client}` is computed")),
    }
}

pub(super) fn psql(judge: &mut Judge<'_>, arguments: &[Word]) {
    client(
        judge,
        "psql",
        arguments,
        "c",
        "hpUdFRPTvz",
        "AtqwWXxlaeEnS1",
        &[
            "--command",
            "--tuples-only",
            "--no-psqlrc",
            "--no-align",
            "--quiet",
            "--no-password",
            "--csv",
            "--list",
            "--expanded",
            "--host",
            "--port",
            "--username",
            "--dbname",
            "--set",
            "--pset",
        ],
    );
}

pub(super) fn mysql(judge: &mut Judge<'_>, name: &str, arguments: &[Word]) {
    client(
        judge,
        name,
        arguments,
        "e",
        "hPuDSp",
        "NBstrEvC",
        &[
            "--execute",
            "--batch",
            "--skip-column-names",
            "--host",
            "--port",
            "--user",
            "--database",
            "--table",
            "--connect-timeout",
            "--password",
            "--silent",
        ],
    );
}

fn client(
    judge: &mut Judge<'_>,
    name: &str,
    arguments: &[Word],
    statement_letter: &str,
    valued: &str,
    flags: &str,
    long: &[&str],
) {
    judge.looks(name);
    let (mut asked, mut listed) = (false, false);
    let mut words = arguments.iter();
    while let Some(word) = words.next() {
        let (text, expansions) = word.literal_prefix();
        judge.guard(name, word, Position::Open);
        if !text.starts_with('-') {
            continue;
        }
        if matches!(text.as_str(), "--help" | "--version" | "-V" | "-?") {
            return;
        }
        if let Some(body) = text.strip_prefix("--") {
            let (option, value) =
                text.split_once('=').map_or((text.as_str(), None), |(option, value)| (option, Some(value)));
            if option == long[0] {
                asked = true;
                match value {
                    Some(value) if expansions.is_empty() => sql(judge, name, value),
                    Some(_) => judge.unknown(format!("the statement for `{name}` is computed")),
                    None => statement(judge, name, words.next()),
                }
            } else if !long.contains(&option) {
                judge.unknown(format!("`{name} --{body}` is not known"));
            } else if value.is_none()
                && matches!(
                    option,
                    "--host"
                        | "--port"
                        | "--username"
                        | "--user"
                        | "--dbname"
                        | "--database"
                        | "--set"
                        | "--pset"
                )
            {
                words.next();
            }
            listed |= option == "--list";
            continue;
        }
        let letters = &text[1..];
        for (at, letter) in letters.char_indices() {
            let is_last = at + 1 == letters.len() && expansions.is_empty();
            if statement_letter.contains(letter) {
                asked = true;
                if is_last {
                    statement(judge, name, words.next());
                } else {
                    judge.unknown(format!("the statement for `{name}` can not be read"));
                }
                break;
            }
            if valued.contains(letter) {
                // The password of mysql is always attached.
                if is_last && !(letter == 'p' && name != "psql") {
                    words.next();
                }
                break;
            }
            if !flags.contains(letter) {
                judge.unknown(format!("`{name} -{letter}` is not known"));
            }
            listed |= letter == 'l' && name == "psql";
        }
    }
    if !asked && !listed {
        judge.unknown(format!("what is fed to `{name}` nobody knows"));
    }
}

pub(super) fn sqlite(judge: &mut Judge<'_>, arguments: &[Word]) {
    const FLAGS: [&str; 9] =
        ["-readonly", "-json", "-csv", "-header", "-column", "-line", "-list", "-noheader", "-batch"];
    judge.looks("sqlite3");
    let mut operands = Vec::new();
    for word in arguments {
        let (text, _) = word.literal_prefix();
        if text == "-version" || text == "--version" {
            return;
        }
        if FLAGS.contains(&text.trim_start_matches('-').to_owned().as_str()) || FLAGS.contains(&text.as_str())
        {
            continue;
        }
        judge.guard("sqlite3", word, Position::Open);
        if text.starts_with('-') {
            return judge.unknown(format!("`sqlite3 {text}` is not known"));
        }
        operands.push(word);
    }
    match operands.as_slice() {
        [_, statements @ ..] if !statements.is_empty() => {
            for word in statements {
                match word.literal() {
                    Some(text)
                        if matches!(
                            text.trim(),
                            ".tables" | ".schema" | ".databases" | ".indexes" | ".dbinfo"
                        ) => {}
                    Some(text) if text.trim_start().starts_with('.') => {
                        judge.unknown(format!("what `sqlite3` does with `{text}` nobody knows"))
                    }
                    Some(text) => sql(judge, "sqlite3", &text),
                    None => judge.unknown("the statement for `sqlite3` is computed"),
                }
            }
        }
        _ => judge.unknown("what is fed to `sqlite3` nobody knows"),
    }
}
