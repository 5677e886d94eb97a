//! Owns RB071: files and folders that are told apart by the time alone.

use std::ops::Range;

use crate::Level;
use crate::bash::{Kind, Node, Part, Target, Visit, Word, walk};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;

pub(super) static RULE: Rule = Rule {
    code: "RB071",
    name: "named-by-time",
    level: Level::Info,
    why: "Two incidents of one second share the name, and the second overwrites the first; a clock that is set back finds old names again.",
    bad: "D=\"/srv/incidents/$(date +%s)\"",
    good: "D=$(mktemp -d /srv/incidents/XXXXXXXX)",
    blocks: false,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in document.scopes.iter().filter(|scope| may_substitute(&scope.fence.source)) {
        let mut found: Vec<Range<usize>> = Vec::new();
        walk(scope.script, &scope.script.items, |node, visit| {
            if visit == Visit::Leave {
                return;
            }
            match node {
                Node::Assignment(one) if is_path_of_time(&one.value) => found.push(one.span.clone()),
                Node::Redirect(one) => match &one.target {
                    Target::Word(word) if is_path_of_time(word) => found.push(one.span.clone()),
                    _ => {}
                },
                Node::Command(one) => {
                    if let Kind::Simple { words, .. } = &one.kind {
                        let words = words.iter().filter(|word| is_path_of_time(word));
                        found.extend(words.map(|word| word.span.clone()));
                    }
                }
                _ => {}
            }
        });
        for span in found {
            report.statement(
                scope,
                &span,
                "two of one second get one name",
                "`mktemp -d`, or the number of the incident in the name",
            );
        }
    }
}

/// A word with a `/` or a `.` in it and the output of `date`.
fn is_path_of_time(word: &Word) -> bool {
    let is_date = |part: &Part| match part {
        Part::Substitution { items, .. } => items.first().is_some_and(|item| {
            matches!(&item.first.stages[0].kind, Kind::Simple { words, .. }
                if words.first().and_then(Word::plain) == Some("date"))
        }),
        _ => false,
    };
    let is_path = |part: &Part| matches!(part, Part::Literal { text, .. } if text.contains(['/', '.']) && !text.contains(' '));
    word.parts.iter().any(is_date) && word.parts.iter().any(is_path)
}

/// Whether there may be the output of a command in a text.
fn may_substitute(source: &str) -> bool {
    source.contains("$(") || source.contains('`')
}
