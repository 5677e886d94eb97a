//! Owns taking the texts out of SQL, so that what is left are words: where a quote ends depends on whose SQL it is.

use super::sql::Dialect;

/// The statements without what stands in quotes and comments; `None` where it is not certain where those end.
pub(super) fn without_text(dialect: Dialect, text: &str) -> Option<String> {
    let mut bare = String::new();
    let mut rest = text;
    while let Some(c) = rest.chars().next() {
        let length = match c {
            '\'' => {
                let length = 2 + rest[1..].find('\'')?;
                let is_escaping = bare.ends_with(['e', 'E']);
                if !is_certain(dialect, &rest[1..length - 1], is_escaping) {
                    return None;
                }
                bare.push(' ');
                length
            }
            '"' | '`' => {
                if c == '`' && !matches!(dialect, Dialect::Mysql | Dialect::Sqlite | Dialect::Clickhouse) {
                    return None;
                }
                let length = 2 + rest[1..].find(c)?;
                if !is_certain(dialect, &rest[1..length - 1], false) {
                    return None;
                }
                // A quoted name may be that of a function.
                bare.push_str("quoted_name");
                length
            }
            '-' if rest.starts_with("--") => {
                // For MySQL, `--5` is no comment.
                if !rest[2..].is_empty() && !rest[2..].starts_with(char::is_whitespace) {
                    return None;
                }
                bare.push(' ');
                rest.find('\n').unwrap_or(rest.len())
            }
            '/' if rest.starts_with("/*") || rest.starts_with("//") => return None,
            '#' if dialect != Dialect::Postgres => return None,
            '[' if dialect == Dialect::Sqlite => return None,
            '$' if matches!(dialect, Dialect::Postgres | Dialect::Clickhouse | Dialect::Cassandra) => {
                return None;
            }
            // The end of a statement for the client of MySQL.
            '\\' if dialect == Dialect::Mysql && rest[1..].starts_with(['G', 'g']) => {
                bare.push(';');
                2
            }
            '\\' => return None,
            c => {
                bare.push(c);
                c.len_utf8()
            }
        };
        rest = &rest[length..];
    }
    Some(bare)
}

/// Whether the quote ends where it seems to: a backslash before it may say otherwise.
fn is_certain(dialect: Dialect, inside: &str, is_escaping: bool) -> bool {
    match dialect {
        Dialect::Postgres => !(inside.ends_with('\\') || (is_escaping && inside.contains('\\'))),
        Dialect::Sqlite | Dialect::Cassandra => true,
        Dialect::Mysql | Dialect::Clickhouse | Dialect::Influx => !inside.contains('\\'),
    }
}
