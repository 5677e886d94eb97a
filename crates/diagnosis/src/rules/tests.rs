//! Tests of the table: its order, and the page that shows all of it.

use std::collections::BTreeSet;

use expect_test::expect_file;

use super::*;
use crate::kind::{KINDS, Kind};
use crate::{MARGIN, SCORE_MIN};

fn patterns(rule: &Rule) -> impl Iterator<Item = &Pattern> {
    let strengthening = rule.strengthened_by.iter().map(|(pattern, _)| pattern);
    rule.needs.iter().chain(strengthening).chain(rule.ruled_out_by)
}

fn points_max(rule: &Rule) -> u32 {
    rule.weight + rule.strengthened_by.iter().map(|(_, points)| points).sum::<u32>()
}

#[test]
fn every_cause_has_a_rule_that_can_name_it() {
    for cause in Cause::ALL {
        assert!(RULES.iter().any(|rule| rule.cause == *cause && rule.weight >= SCORE_MIN), "{cause}");
    }
    assert!(RULES.windows(2).all(|pair| pair[0].cause <= pair[1].cause), "not in the order of the catalogue");
    assert!(RULES.iter().flat_map(patterns).all(|pattern| !pattern.tests.is_empty()));
}

#[test]
fn points_are_of_100_and_people_come_first() {
    for rule in RULES {
        let by_somebody = matches!(rule.cause, Cause::StoppedByOperator | Cause::Intrusion);
        let most = if by_somebody { 100 } else { 95 - MARGIN };
        assert!(points_max(rule) <= most, "{}: {} points", rule.cause, points_max(rule));
    }
    let most_of_a_loop = RULES.iter().filter(|rule| rule.cause == Cause::CrashLoop).map(points_max).max();
    let least = RULES.iter().filter(|rule| rule.cause == Cause::DependencyDown && rule.weight >= SCORE_MIN);
    assert!(least.map(|rule| rule.weight).min() >= most_of_a_loop.map(|points| points + MARGIN));
}

/// The causes whose rules read a kind.
fn readers(kind: &Kind) -> String {
    let reads =
        |rule: &&Rule| patterns(rule).flat_map(|pattern| pattern.tests).any(|test| test.kind == *kind);
    let causes: BTreeSet<Cause> = RULES.iter().filter(reads).map(|rule| rule.cause).collect();
    match causes.len() {
        0 => "none".to_owned(),
        _ => causes.iter().map(|cause| format!("`{cause}`")).collect::<Vec<_>>().join(", "),
    }
}

fn sentence(rule: &Rule) -> String {
    let says = |patterns: &[Pattern], between: &str| {
        patterns.iter().map(|pattern| pattern.says).collect::<Vec<_>>().join(between)
    };
    let mut text = format!("- **{}** if {}", rule.weight, says(rule.needs, ", and "));
    for (pattern, points) in rule.strengthened_by {
        text += &format!("; {points} more if {}", pattern.says);
    }
    if !rule.ruled_out_by.is_empty() {
        text += &format!("; nothing if {}", says(rule.ruled_out_by, ", or "));
    }
    text + ".\n"
}

/// What each fragment of the sentences stands for.
fn fragments() -> String {
    let mut lines = BTreeSet::new();
    for pattern in RULES.iter().flat_map(patterns) {
        let tests = pattern.tests.iter().map(|test| test.to_string().replace('|', "\\|")).collect::<Vec<_>>();
        let subjects = match (pattern.subjects_min, pattern.tests.len()) {
            (1, 1) => String::new(),
            (1, _) => ", of one subject".to_owned(),
            (n, _) => format!(", of each of {n} subjects"),
        };
        lines.insert(format!("| {} | {}{subjects} |\n", pattern.says, tests.join(" and ")));
    }
    lines.into_iter().collect()
}

/// `UPDATE_EXPECT=1 cargo test -p diagnosis` writes it anew.
#[test]
fn the_documentation_shows_all_of_it() {
    let mut text = format!(
        "# Causes\n\n\
         Written from the tables of the crate `diagnosis`. Commands and scripts write findings; rules look at all of them and\n\
         give points to causes. The best cause becomes `cause` in the conditions of a runbook if it has at least {SCORE_MIN} of 100\n\
         points and the next one has at least {MARGIN} less. Otherwise `cause` is null, and the runbook goes the way that is right\n\
         for all causes. Of several rules for one cause the best counts; the others are shown.\n\n\
         ## The catalogue\n"
    );
    for cause in Cause::ALL {
        let (means, helps) = (cause.means(), cause.helps());
        text += &format!("\n### {cause}\n\n{means}\n\n**What usually helps**: {helps}\n\n");
        text.extend(RULES.iter().filter(|rule| rule.cause == *cause).map(sentence));
    }
    text += "\n## What the rules look for\n\n| it says | findings |\n|---|---|\n";
    text += &fragments();
    text += "\n## Kinds of findings\n\n\
             A finding is one line of JSON, written to the file that `$PARAMEDIC_FINDINGS` names:\n\n\
             ```json\n\
             {\"kind\":\"dependency\",\"subject\":\"db\",\"value\":\"refused\",\"severity\":\"critical\",\"message\":\"connection refused\"}\n\
             ```\n\n\
             Only `kind` has to be there. A kind that is not in this table is kept, and conditions can read it.\n\n\
             | kind | subject | value | it says | read for |\n|---|---|---|---|---|\n";
    for kind in KINDS {
        let Kind { name, subject, value, means } = kind;
        text += &format!("| `{name}` | {subject} | {value} | {means} | {} |\n", readers(kind));
    }
    expect_file!["../../../../docs/causes.md"].assert_eq(&text);
}
