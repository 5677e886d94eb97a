//! Owns RB006: the language of bash in a fence for `sh`.

use crate::Level;
use crate::bash::{For, Kind, Node, Operator, Part, Visit, walk};
use crate::lint::Rule;
use crate::lint::document::Document;
use crate::lint::report::Report;
use crate::step::Language;

pub(super) static RULE: Rule = Rule {
    code: "RB006",
    name: "bash-in-sh",
    level: Level::Error,
    why: "Where `sh` is no bash, `[[` is a command that is not there and `{1..5}` is one word: the statement does something else, and often ends with 0.",
    bad: "uptime\n```\n\n   ```sh\n[[ -n \"$SERVER_NAME\" ]]",
    good: "[[ -n \"$SERVER_NAME\" ]]",
    blocks: true,
    check,
};

fn check(document: &Document<'_>, report: &mut Report<'_>) {
    for scope in document.scopes.iter().filter(|scope| scope.fence.language == Language::Sh) {
        let mut found = Vec::new();
        walk(scope.script, &scope.script.items, |node, visit| {
            if visit == Visit::Enter
                && let Some((what, span)) = bash_only(node)
            {
                found.push((what, span));
            }
        });
        for (what, span) in found {
            report.statement(scope, &span, format!("`sh` does not know {what}"), "tag the fence with `bash`");
        }
    }
}

fn bash_only<'t>(node: Node<'t>) -> Option<(&'static str, std::ops::Range<usize>)> {
    match node {
        Node::Command(command) => {
            let what = match &command.kind {
                Kind::Test(_) => "`[[`",
                Kind::Arithmetic(_) | Kind::ArithmeticFor { .. } => "`((`",
                Kind::Coproc(_) => "`coproc`",
                Kind::For { kind: For::Select, .. } => "`select`",
                Kind::For { words: Some(words), .. } | Kind::Simple { words, .. }
                    if words.iter().any(|word| word.has_braces()) =>
                {
                    "braces that make words"
                }
                Kind::Simple { words, .. }
                    if words.first().and_then(|word| word.plain()).is_some_and(|name| {
                        matches!(name, "source" | "declare" | "mapfile" | "readarray" | "shopt" | "pushd")
                    }) =>
                {
                    "this command"
                }
                _ => return None,
            };
            Some((what, command.span.clone()))
        }
        Node::Assignment(assignment)
            if assignment.appends
                || assignment.subscript.is_some()
                || assignment.value.parts.iter().any(|part| matches!(part, Part::Array(_))) =>
        {
            Some(("arrays and `+=`", assignment.span.clone()))
        }
        Node::Redirect(redirect)
            if matches!(
                redirect.operator,
                Operator::WriteBoth | Operator::AppendBoth | Operator::HereString
            ) =>
        {
            Some(("this redirection", redirect.span.clone()))
        }
        _ => None,
    }
}
