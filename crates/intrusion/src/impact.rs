//! Owns what an attack may have reached, by the lines of a picture: what was changed, what left, who is in.

use serde::Serialize;

use crate::picture::Row;

/// Examples of each.
const SHOWN_MAX: usize = 5;

/// One thing that may have been reached.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Impact {
    /// What: `files`, `data`, `data_left`, `access`, `processes`, `tools`, `secrets`.
    pub what: &'static str,
    /// How many lines show it; 0 is that none does, not that nothing happened.
    pub signs: usize,
    /// Whether one of them is a sign that nobody gives whose work it is.
    pub is_certain: bool,
    /// How much it was, where that is known, in bytes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bytes: Option<u64>,
    /// The newest ones, with what shows them.
    pub shown: Vec<String>,
}

/// Whether a line answers a question.
type Answers = fn(&Row) -> bool;

/// What is asked of every attack, and which lines answer it.
const QUESTIONS: [(&str, Answers); 7] = [
    ("files", |row| is(row, &["persistence", "software_changed"])),
    ("data", |row| row.source == "data"),
    ("data_left", |row| is(row, &["data_leaving"])),
    ("access", |row| is(row, &["stolen_access", "privilege_escalation"])),
    ("processes", |row| is(row, &["foreign_process", "foreign_connection"])),
    ("tools", |row| is(row, &["rug_pull", "tool_poisoning"])),
    ("secrets", |row| is(row, &["secret_exposure"])),
];

fn is(row: &Row, attacks: &[&str]) -> bool {
    row.attack.as_deref().is_some_and(|attack| attacks.contains(&attack))
}

/// The answers, in the order in which they are asked.
pub(crate) fn of(rows: &[Row]) -> Vec<Impact> {
    let answer = |(what, shows): &(&'static str, Answers)| {
        let own: Vec<&Row> = rows.iter().filter(|row| shows(row)).collect();
        let words = |row: &&&Row| format!("{} ({})", row.what, row.reference);
        let bytes = largest_of_each(&own);
        Impact {
            what,
            signs: own.len(),
            is_certain: own.iter().any(|row| row.is_certain),
            bytes: (bytes > 0).then_some(bytes),
            shown: own.iter().rev().take(SHOWN_MAX).map(|row| words(&row)).collect(),
        }
    };
    QUESTIONS.iter().map(answer).collect()
}

/// What leaves is told again whenever it has doubled: the last word of each peer counts.
fn largest_of_each(rows: &[&Row]) -> u64 {
    let mut by_peer = std::collections::BTreeMap::new();
    for row in rows {
        let most: &mut u64 = by_peer.entry(&row.who).or_default();
        *most = (*most).max(row.bytes.unwrap_or(0));
    }
    by_peer.into_values().sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row(source: &str, who: &str, attack: &str, is_certain: bool, bytes: Option<u64>) -> Row {
        Row {
            at_ms: 0,
            source: source.to_owned(),
            who: vec![who.to_owned()],
            what: format!("{attack} by {who}"),
            attack: (!attack.is_empty()).then(|| attack.to_owned()),
            is_certain,
            bytes,
            reference: "line".to_owned(),
        }
    }

    #[test]
    fn what_was_reached_and_what_nothing_shows() {
        let rows = [
            row("traffic", "198.51.100.9", "data_leaving", false, Some(50)),
            row("traffic", "198.51.100.9", "data_leaving", false, Some(100)),
            row("traffic", "198.51.100.8", "data_leaving", false, Some(7)),
            row("files", "", "persistence", true, None),
            row("data", "", "", false, None),
            row("guard", "10.0.0.1", "path_traversal", true, None),
        ];
        let found: Vec<_> =
            of(&rows).into_iter().map(|one| (one.what, one.signs, one.is_certain, one.bytes)).collect();
        let expected = [
            ("files", 1, true, None),
            ("data", 1, false, None),
            ("data_left", 3, false, Some(107)),
            ("access", 0, false, None),
            ("processes", 0, false, None),
            ("tools", 0, false, None),
            ("secrets", 0, false, None),
        ];
        assert_eq!(found, expected);
        assert_eq!(of(&rows)[0].shown, ["persistence by  (line)"]);
    }
}
