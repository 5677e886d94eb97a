//! Tests that what is known to be wrong with the original runbook is reported, row by row of the list of its defects.

use std::fmt::Write as _;

use runbook::lint::{Config, Finding, lint, rule};

/// One row: the lines that it names, as the list has them, and `CODE@LINE` of what reports it.
struct Row<'a> {
    lines: &'a str,
    reports: Vec<(&'a str, usize)>,
    excuse: Option<&'a str>,
}

fn rows(table: &str) -> Vec<Row<'_>> {
    let lines = table.lines().filter(|line| !line.starts_with('#'));
    let row = |line| {
        let (lines, behind): (&str, &str) = split(line, " | ");
        let excuse = behind.strip_prefix("- ");
        let reports = match excuse {
            Some(_) => Vec::new(),
            None => behind.split_whitespace().map(|one| split(one, "@")).collect(),
        };
        let number = |(code, line): (_, &str)| (code, line.parse().expect("a line is a number"));
        Row { lines, reports: reports.into_iter().map(number).collect(), excuse }
    };
    lines.map(row).collect()
}

fn split<'a>(text: &'a str, at: &str) -> (&'a str, &'a str) {
    text.split_once(at).unwrap_or_else(|| panic!("`{text}` has no `{at}`"))
}

/// The first cells of the rows of the list, up to its suggestions.
fn listed(list: &str) -> Vec<&str> {
    let tables = list.split("\n## 7 ").next().unwrap_or_default();
    let cells = tables.lines().filter_map(|line| line.strip_prefix("| ")?.split(" | ").next());
    cells.filter(|cell| *cell != "line").collect()
}

fn is_there(found: &[Finding], code: &str, line: usize) -> bool {
    found.iter().any(|one| one.code == code && one.line <= line && line <= one.end_line)
}

#[test]
fn every_defect_of_the_original_is_reported_or_has_its_reason() {
    let rows = rows(include_str!("defects.txt"));
    let (Some(original), Some(list)) =
        (crate::shared::read("seed/incident_response_runbooks.md"), crate::shared::read("seed/DEFECTS.md"))
    else {
        return;
    };
    let list = String::from_utf8(list).expect("the list is text");
    assert_eq!(listed(&list), rows.iter().map(|row| row.lines).collect::<Vec<_>>());

    let found = lint("original.md", &original, &Config::default(), None);
    let mut missing = String::new();
    for row in &rows {
        for (code, line) in &row.reports {
            assert!(rule(code).is_some(), "{code} is no rule");
            if !is_there(&found, code, *line) {
                let _ = writeln!(missing, "{}: {code} is missing at line {line}", row.lines);
            }
        }
    }
    assert!(missing.is_empty(), "{missing}");
    let n_reported = rows.iter().filter(|row| row.excuse.is_none()).count();
    println!("{n_reported} of {} rows are reported by {} findings", rows.len(), found.len());
    assert!(n_reported * 10 > rows.len() * 9);
}

#[test]
fn the_original_is_told_what_is_wrong_with_it() {
    let Some(bytes) = crate::shared::read("seed/incident_response_runbooks.md") else { return };
    let found = lint("original.md", &bytes, &Config::default(), None);
    let lines: std::collections::BTreeSet<usize> = found.iter().map(|finding| finding.line).collect();
    assert!(found.len() > 250 && lines.len() > 150, "{} findings on {} lines", found.len(), lines.len());
    // The lines that kill or lose what can not be had again: each with the rule that says so.
    for (line, code) in [
        (92, "RB030"),
        (93, "RB030"),
        (97, "RB032"),
        (190, "RB033"),
        (232, "RB040"),
        (277, "RB060"),
        (341, "RB040"),
        (380, "RB030"),
        (412, "RB080"),
        (467, "RB033"),
        (486, "RB033"),
        (532, "RB033"),
        (550, "RB030"),
        (556, "RB011"),
        (614, "RB036"),
        (738, "RB042"),
        (752, "RB030"),
        (796, "RB030"),
    ] {
        let on_line: Vec<_> =
            found.iter().filter(|f| f.line <= line && line <= f.end_line).map(|f| f.code).collect();
        assert!(is_there(&found, code, line), "{code} is missing at {line}: {on_line:?}");
    }
}
