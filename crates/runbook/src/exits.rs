//! Owns what exit codes mean: the programs whose non-zero exit is an answer and no failure.

use serde::Serialize;

/// What an exit code says.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case", tag = "meaning", content = "answer")]
pub enum Meaning {
    /// Zero: it went well.
    Fine,
    /// A known answer, such as "none found".
    Answer(&'static str),
    /// Anything else.
    Failure,
}

/// Program (with subcommands), exit code, what it answers.
const ANSWERS: [(&str, i32, &str); 21] = [
    ("[", 1, "not so"),
    ("[[", 1, "not so"),
    ("cmp", 1, "they differ"),
    ("diff", 1, "they differ"),
    ("egrep", 1, "none found"),
    ("false", 1, "not so"),
    ("fgrep", 1, "none found"),
    ("grep", 1, "none found"),
    ("paramedic check", 1, "not healthy"),
    ("paramedic query", 1, "no such series"),
    ("paramedic server status", 1, "not ready"),
    ("pg_isready", 1, "it rejects connections"),
    ("pg_isready", 2, "no answer"),
    ("pgrep", 1, "no such process"),
    ("pidof", 1, "no such process"),
    ("systemctl is-active", 3, "not active"),
    ("systemctl is-enabled", 1, "not enabled"),
    ("systemctl is-failed", 1, "not failed"),
    ("systemctl status", 3, "not running"),
    ("systemctl status", 4, "no such unit"),
    ("test", 1, "not so"),
];

/// Returns what an exit code of a program says.
///
/// `program` is what [`Unit::program`](crate::Unit::program) holds: a name, with its subcommands where it has
/// some; words after a known entry do not matter (`paramedic check mem` is `paramedic check`).
pub fn meaning(program: &str, exit_code: i32) -> Meaning {
    if exit_code == 0 {
        return Meaning::Fine;
    }
    let known =
        |name: &str| program.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with(' '));
    let answer = ANSWERS.iter().find(|(name, code, _)| *code == exit_code && known(name));
    answer.map_or(Meaning::Failure, |(_, _, answer)| Meaning::Answer(answer))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn known_answers() {
        for (program, code, expect) in [
            ("grep", 0, Meaning::Fine),
            ("grep", 1, Meaning::Answer("none found")),
            ("grep", 2, Meaning::Failure),
            ("zgrep", 1, Meaning::Failure),
            ("systemctl status", 3, Meaning::Answer("not running")),
            ("systemctl restart", 3, Meaning::Failure),
            ("paramedic check", 1, Meaning::Answer("not healthy")),
            ("paramedic check mem", 1, Meaning::Answer("not healthy")),
            ("paramedic query", 1, Meaning::Answer("no such series")),
            ("paramedic check", 3, Meaning::Failure),
            ("paramedic checks", 1, Meaning::Failure),
            ("paramedic server status mem", 1, Meaning::Answer("not ready")),
            ("paramedic server restart", 1, Meaning::Failure),
            ("", 1, Meaning::Failure),
        ] {
            assert_eq!(meaning(program, code), expect, "{program} {code}");
        }
    }

    #[test]
    fn table_is_sorted_and_free_of_doubles() {
        assert!(ANSWERS.windows(2).all(|pair| (pair[0].0, pair[0].1) < (pair[1].0, pair[1].1)));
    }
}
