//! Owns what a database says about its work, as findings: how long its longest query runs, which statement takes most of its
//! time, how much it answers from memory, and how many of its connections are taken.
//!
//! Of a query only its shape is kept: what stands between quotes, and every number, is left out, because it may be data of
//! people. All that is asked changes nothing, and the session is told to be read-only.

use diagnosis::{Finding, Severity, kind};

/// Before anything is asked: no question takes longer than this, and none may write.
pub(super) const QUIET: &str =
    "SET default_transaction_read_only = on; SET statement_timeout = '2s'; SET lock_timeout = '1s'";

/// The client's query that has run longest: backend, seconds, what it waits for, text.
pub(super) const LONGEST: &str = "SELECT pid, extract(epoch FROM clock_timestamp() - query_start)::int, \
    coalesce(wait_event_type || '/' || wait_event, 'nothing'), left(query, 2000) FROM pg_stat_activity \
    WHERE state = 'active' AND backend_type = 'client backend' AND pid <> pg_backend_pid() \
    ORDER BY query_start LIMIT 1";

/// Hits in memory in percent, and how many blocks were asked for, since the statistics began.
pub(super) const HITS: &str = "SELECT round(100.0 * sum(blks_hit) / nullif(sum(blks_hit + blks_read), 0), 1), \
    sum(blks_hit + blks_read) FROM pg_stat_database";

/// How many connections clients have, and how many there may be for them.
pub(super) const CONNECTIONS: &str = "SELECT count(*), current_setting('max_connections')::int \
    - current_setting('superuser_reserved_connections')::int FROM pg_stat_activity WHERE backend_type = 'client backend'";

/// The statement on which most time was spent: milliseconds each on average, how often, text. An error where the extension is
/// not there.
pub(super) const STATEMENTS: &str = "SELECT round(mean_exec_time)::int, calls, left(query, 2000) FROM pg_stat_statements \
    WHERE calls > 0 ORDER BY total_exec_time DESC LIMIT 1";

/// A query that a caller waits for ends within seconds.
const SLOW_SECONDS: f64 = 5.0;
/// Fewer blocks are those of the start.
const BLOCKS_MIN: f64 = 100_000.0;
const HITS_LOW_PERCENT: f64 = 90.0;
const CONNECTIONS_HIGH_PERCENT: f64 = 90.0;
const SHAPE_CHARS_MAX: usize = 160;

type Row = Vec<Option<String>>;

/// What was answered; an empty row where it was not.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Activity {
    pub(super) longest: Row,
    pub(super) hits: Row,
    pub(super) connections: Row,
    pub(super) statement: Row,
}

// === impl Activity ===

impl Activity {
    pub(crate) fn findings(&self, dependency: &str) -> Vec<Finding> {
        let about = |kind| Finding::new(kind, dependency);
        let mut found = Vec::new();
        if let [Some(backend), Some(seconds), Some(waits), Some(text)] = self.longest.as_slice()
            && let Ok(seconds) = seconds.parse::<f64>()
        {
            let message = format!("backend {backend}, waiting for {waits}: {}", shape(text));
            let finding = about(kind::QUERY_SECONDS).with_value(seconds).with_message(&message);
            found.push(finding.with_severity(warning_if(seconds >= SLOW_SECONDS)));
        }
        if let Some([percent, blocks]) = numbers(&self.hits) {
            let message = format!("of {blocks} blocks that were asked for since its statistics began");
            let is_low = percent < HITS_LOW_PERCENT && blocks >= BLOCKS_MIN;
            let finding = about(kind::CACHE_HIT_PERCENT).with_value(percent).with_message(&message);
            found.push(finding.with_severity(warning_if(is_low)));
        }
        if let Some([taken, most]) = numbers(&self.connections).filter(|[_, most]| *most > 0.0) {
            let percent = (taken * 1000.0 / most).round() / 10.0;
            let message = format!("{taken} of {most} connections for clients are taken");
            let finding = about(kind::CONNECTIONS_USED_PERCENT).with_value(percent).with_message(&message);
            found.push(finding.with_severity(warning_if(percent >= CONNECTIONS_HIGH_PERCENT)));
        }
        if let [Some(mean_ms), Some(calls), Some(text)] = self.statement.as_slice() {
            let value = mean_ms.parse::<f64>().unwrap_or_default() / 1e3;
            let message = format!("{calls} times, {mean_ms} ms each: {}", shape(text));
            found.push(about(kind::STATEMENT_SECONDS).with_value(value).with_message(&message));
        }
        found
    }
}

fn warning_if(is: bool) -> Severity {
    if is { Severity::Warning } else { Severity::Info }
}

fn numbers(row: &Row) -> Option<[f64; 2]> {
    let [Some(one), Some(other)] = row.as_slice() else { return None };
    Some([one.parse().ok()?, other.parse().ok()?])
}

/// A query without what stands between quotes, without numbers and comments, in one line.
fn shape(text: &str) -> String {
    // Whether that quote ends a text depends on the kind of text; nothing behind it is read, so that nothing is shown.
    let readable = if text.contains("\\'") { text.split('\'').next().unwrap_or_default() } else { text };
    let letters: Vec<char> = readable.chars().collect();
    let mut shape = String::new();
    let mut at = 0;
    while at < letters.len() && shape.chars().count() < SHAPE_CHARS_MAX {
        let letter = letters[at];
        let is_inside_a_word = shape.chars().last().is_some_and(|last| last.is_alphanumeric() || last == '_');
        at = match letter {
            '\'' => {
                shape.push('?');
                behind(&letters, at + 1, &['\''])
            }
            '$' if dollar_quote(&letters, at).is_some() => {
                shape.push('?');
                let quote = dollar_quote(&letters, at).unwrap_or_default();
                behind(&letters, at + quote.len(), &quote)
            }
            '-' if letters.get(at + 1) == Some(&'-') => behind(&letters, at, &['\n']),
            '/' if letters.get(at + 1) == Some(&'*') => behind(&letters, at, &['*', '/']),
            '0'..='9' if !is_inside_a_word => {
                shape.push('?');
                let rest = &letters[at..];
                at + rest.iter().position(|one| !one.is_alphanumeric() && *one != '.').unwrap_or(rest.len())
            }
            white if white.is_whitespace() => {
                if !shape.ends_with(' ') {
                    shape.push(' ');
                }
                at + 1
            }
            other => {
                shape.push(other);
                at + 1
            }
        };
    }
    if at < letters.len() || readable.len() < text.len() {
        shape.push('…');
    }
    shape.trim().to_owned()
}

/// `$TAG$` at this place.
fn dollar_quote(letters: &[char], at: usize) -> Option<Vec<char>> {
    let length = letters.get(at + 1..)?.iter().position(|one| !one.is_alphanumeric() && *one != '_')?;
    let quote = letters.get(at..at + length + 2)?;
    let is_parameter = quote.get(1).is_some_and(char::is_ascii_digit);
    (quote.ends_with(&['$']) && !is_parameter).then(|| quote.to_vec())
}

/// The place behind the next `end`; the end of the text where there is none.
fn behind(letters: &[char], from: usize, end: &[char]) -> usize {
    let rest = letters.get(from..).unwrap_or_default();
    rest.windows(end.len()).position(|part| part == end).map_or(letters.len(), |at| from + at + end.len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_shape_has_no_data() {
        for (text, expect) in [
            (
                "SELECT * FROM users WHERE mail = 'ann@example.org' AND id = 42",
                "SELECT * FROM users WHERE mail = ? AND id = ?",
            ),
            (
                "SELECT  col1,\n  t2.x FROM t2 -- secret\n WHERE a=1.5e9",
                "SELECT col1, t2.x FROM t2 WHERE a=?",
            ),
            ("SELECT 'it''s' /* x */, $1, $$a'b$$, $q$z$q$", "SELECT ?? , $?, ?, ?"),
            ("SELECT 'no end", "SELECT ?"),
            (r"SELECT E'a\'b secret', 1", "SELECT E…"),
            ("", ""),
        ] {
            assert_eq!(shape(text), expect, "{text}");
        }
        assert!(shape(&"x, ".repeat(500)).chars().count() <= SHAPE_CHARS_MAX + 1);
    }

    #[test]
    fn what_is_not_answered_is_not_said() {
        assert!(Activity::default().findings("db").is_empty());
        let some = |words: &[&str]| words.iter().map(|word| Some((*word).to_owned())).collect::<Row>();
        let activity = Activity {
            longest: some(&["7", "12", "Lock/tuple", "SELECT 1"]),
            hits: some(&["50.0", "1000"]),
            connections: some(&["9", "10"]),
            statement: vec![None, None, None],
        };
        let found: Vec<String> = activity.findings("db").iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "query_seconds of `db` is 12.0 (backend 7, waiting for Lock/tuple: SELECT ?)",
                "cache_hit_percent of `db` is 50.0 (of 1000 blocks that were asked for since its statistics began)",
                "connections_used_percent of `db` is 90.0 (9 of 10 connections for clients are taken)",
            ]
        );
        let severities: Vec<Severity> = activity.findings("db").iter().map(Finding::severity).collect();
        assert_eq!(severities, [Severity::Warning, Severity::Info, Severity::Warning]);
    }
}
