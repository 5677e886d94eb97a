//! Owns statements of SQL: which of them only ask.

use super::sql_text::without_text;
use crate::effect::Effect;
use crate::effect::assess::Judge;

/// Whose SQL it is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Dialect {
    Postgres,
    Mysql,
    Sqlite,
    Clickhouse,
    Cassandra,
    Influx,
}

/// Functions by dialect.
const FUNCTIONS: &str = include_str!("sql_functions.txt");
/// Words that open a parenthesis without being a function.
const KEYWORDS: &str = "all and any array as between by case distinct else except exists explain filter from full \
    group having in inner intersect is join lateral left like limit materialized not offset on or outer over partition \
    right select some then union using values when where with within";
/// Settings of a session that decide how long it waits and what answers look like.
const SETTINGS: [&str; 8] = [
    "application_name",
    "idle_in_transaction_session_timeout",
    "lock_timeout",
    "max_execution_time",
    "names",
    "statement_timeout",
    "timezone",
    "work_mem",
];
/// What `PRAGMA NAME` only shows, and what it only shows with an argument in parentheses.
const PRAGMAS: &str = "auto_vacuum cache_size collation_list compile_options database_list encoding foreign_key_check \
    foreign_key_list foreign_keys freelist_count function_list index_info index_list index_xinfo integrity_check \
    journal_mode max_page_count mmap_size page_count page_size pragma_list quick_check schema_version synchronous \
    table_info table_list table_xinfo user_version";
const PRAGMAS_ASKED: &str = "foreign_key_check foreign_key_list index_info index_list index_xinfo integrity_check \
    quick_check table_info table_list table_xinfo";

/// Judges a text of SQL statements.
pub(super) fn sql(judge: &mut Judge<'_>, dialect: Dialect, client: &str, text: &str) {
    if dialect == Dialect::Cassandra && text.trim().contains('\n') {
        return judge.unknown(format!("what a line of its own is to `{client}` nobody knows"));
    }
    let Some(bare) = without_text(dialect, text) else {
        return judge.unknown(format!("the statement for `{client}` can not be read"));
    };
    for one in bare.split(';') {
        statement(judge, dialect, client, one);
    }
}

fn is_one_of(names: &str, name: &str) -> bool {
    names.split_whitespace().any(|known| known == name)
}

fn words_of(text: &str) -> Vec<String> {
    let words = text.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
    words.filter(|word| !word.is_empty()).map(str::to_ascii_lowercase).collect()
}

/// Judges one statement, of which texts are gone.
fn statement(judge: &mut Judge<'_>, dialect: Dialect, client: &str, text: &str) {
    let words = words_of(text);
    let Some(first) = words.first() else { return };
    match first.as_str() {
        "select" | "table" | "values" | "with" | "explain" | "show" | "describe" | "desc" => {
            question(judge, dialect, client, text, &words);
        }
        "pragma" => {
            let name = words.get(1).map_or("", String::as_str);
            let shows = !text.contains('=')
                && is_one_of(if text.contains('(') { PRAGMAS_ASKED } else { PRAGMAS }, name);
            if !shows {
                judge.unknown(format!("`{client}` may set a pragma"));
            }
        }
        "copy" if dialect == Dialect::Postgres => copy(judge, client, text),
        "set" if is_harmless_setting(&words) => {}
        "use" if dialect == Dialect::Mysql && words.len() == 2 => {}
        "consistency" | "expand" | "paging" | "tracing" if dialect == Dialect::Cassandra => {}
        "delete" | "drop" | "truncate" => {
            judge.raise(Effect::Destroy, format!("`{client}` deletes data (`{first}`)"));
        }
        "insert" | "create" | "grant" | "revoke" | "set" | "comment" | "analyze" | "vacuum" | "reindex" => {
            judge.raise(Effect::Change, format!("`{client}` changes data (`{first}`)"));
        }
        "update" | "alter" | "replace" => {
            judge.raise(Effect::Destroy, format!("`{client}` overwrites data (`{first}`)"));
        }
        "kill" => judge.raise(Effect::Disrupt, format!("`{client}` ends a connection")),
        "begin" | "commit" | "rollback" | "end" | "start" => {}
        other => judge.unknown(format!("what `{client}` does with `{other}` nobody knows")),
    }
}

/// `SELECT` and its like: they ask, unless a word or a function in them does more.
fn question(judge: &mut Judge<'_>, dialect: Dialect, client: &str, text: &str, words: &[String]) {
    const WRITES: [&str; 9] = ["insert", "update", "delete", "merge", "into", "for", "call", "do", "lock"];
    const RUN: [&str; 4] = ["create", "declare", "execute", "refresh"];
    let first = words[0].as_str();
    let has = |word: &str| words.iter().any(|known| known == word);
    let explains = matches!(first, "explain" | "describe" | "desc");
    // Without `ANALYZE`, what is explained is not run.
    let runs = !explains || has("analyze") || has("analyse");
    let writes = WRITES.iter().find(|word| has(word) && runs && !(first == "show" && **word == "for"));
    let writes = writes.or_else(|| RUN.iter().find(|word| explains && runs && has(word)));
    if let Some(word) = writes {
        return judge.unknown(format!("`{client}` may change data (`{word}`)"));
    }
    if explains && runs && !has("select") {
        return judge.unknown(format!("`{client}` may change data (`analyze`)"));
    }
    if let Some(function) = unknown_function(dialect, text) {
        let kills = matches!(function.as_str(), "pg_terminate_backend" | "pg_cancel_backend");
        let effect = if kills { Effect::Disrupt } else { Effect::Unknown };
        judge.raise(effect, format!("`{client}` calls the function `{function}`"));
    }
}

/// `SET statement_timeout = '5s'`
fn is_harmless_setting(words: &[String]) -> bool {
    let words = match words {
        [_, scope, rest @ ..] if matches!(scope.as_str(), "session" | "local") => rest,
        [_, rest @ ..] => rest,
        [] => return false,
    };
    words.first().is_some_and(|name| SETTINGS.contains(&name.as_str()))
        && !words.iter().any(|word| matches!(word.as_str(), "global" | "persist" | "password"))
}

/// `COPY (SELECT ...) TO STDOUT`, `COPY TABLE TO STDOUT`
fn copy(judge: &mut Judge<'_>, client: &str, text: &str) {
    const OPTIONS: &str =
        "binary csv delimiter encoding escape false force_quote format header null quote text true with";
    let lower = text.to_ascii_lowercase();
    let body = lower.trim_start().strip_prefix("copy").unwrap_or_default();
    let Some((source, options)) = body.rsplit_once("to stdout") else {
        return judge.unknown(format!("`{client}` copies data to or from somewhere"));
    };
    let source = source.trim();
    let is_table = source.bytes().all(|b| b.is_ascii_alphanumeric() || b"_., ()".contains(&b))
        && !words_of(source).iter().any(|word| matches!(word.as_str(), "from" | "to" | "program"));
    match source.strip_prefix('(').and_then(|source| source.strip_suffix(')')) {
        _ if !words_of(options).iter().all(|word| is_one_of(OPTIONS, word)) => {
            judge.unknown(format!("`{client}` copies data with an option that is not known"));
        }
        Some(inner) if matches!(words_of(inner).first().map(String::as_str), Some("select" | "with")) => {
            question(judge, Dialect::Postgres, client, inner, &words_of(inner));
        }
        None if is_table => {}
        _ => judge.unknown(format!("`{client}` copies data to or from somewhere")),
    }
}

/// The first name before a parenthesis that is not known to be harmless.
fn unknown_function(dialect: Dialect, statement: &str) -> Option<String> {
    for (at, _) in statement.match_indices('(') {
        let before = statement[..at].trim_end();
        let inside = |c: char| c.is_alphanumeric() || c == '_' || c == '$';
        let start = before
            .rfind(|c| !inside(c))
            .map_or(0, |at| at + before[at..].chars().next().map_or(1, char::len_utf8));
        let name = before[start..].to_ascii_lowercase();
        let schema = before[..start].trim_end().strip_suffix('.').map(str::trim_end);
        let is_own = schema.is_some_and(|schema| !schema.to_ascii_lowercase().ends_with("pg_catalog"));
        let is_known = name.is_empty() || is_one_of(KEYWORDS, &name) || is_function(dialect, &name);
        if !is_known || (is_own && !name.is_empty()) {
            return Some(name);
        }
    }
    None
}

fn is_function(dialect: Dialect, name: &str) -> bool {
    let own = match dialect {
        Dialect::Postgres => "postgres",
        Dialect::Mysql => "mysql",
        Dialect::Sqlite => "sqlite",
        Dialect::Clickhouse => "clickhouse",
        Dialect::Cassandra => "cassandra",
        Dialect::Influx => "influx",
    };
    let has_common = !matches!(dialect, Dialect::Cassandra | Dialect::Influx);
    FUNCTIONS.lines().any(|line| {
        let mut words = line.split_whitespace();
        let whose = words.next().unwrap_or_default();
        (whose == own || (whose == "common" && has_common))
            && words.any(|known| known.eq_ignore_ascii_case(name))
    })
}
