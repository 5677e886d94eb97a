//! Owns the rule that each test which the threat model names is there.

use std::collections::BTreeSet;

use super::Problem;
use super::workspace::Workspace;

/// The document whose tables name tests in their last column.
const DOCUMENT: &str = "docs/threat-model.md";

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let Some(document) = workspace.files.iter().find(|file| file.path == DOCUMENT) else { return Vec::new() };
    let there: BTreeSet<&str> = workspace.rust().flat_map(|file| names(&file.text)).collect();
    let mut problems = Vec::new();
    let mut is_of_tests = false;
    for (at, line) in document.text.lines().enumerate() {
        let Some(cells) = line.strip_prefix('|') else {
            is_of_tests = false;
            continue;
        };
        let last = cells.trim_end_matches('|').rsplit('|').next().unwrap_or_default();
        if last.trim().starts_with("test") {
            is_of_tests = true;
        }
        let words = last.split('`').skip(1).step_by(2).filter(|word| is_name(word));
        for word in words.filter(|word| is_of_tests && !there.contains(word)) {
            let message = format!("there is no test `{word}`: name the one that shows this row, or write it");
            problems.push(Problem::new(DOCUMENT, at + 1, message));
        }
    }
    problems
}

/// A test by its whole name, and not a command, a file or a module of tests.
fn is_name(word: &str) -> bool {
    word.contains('_')
        && word.bytes().all(|byte| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_')
}

/// What may be the name of a test: of a function, or where tests are listed by hand a text.
fn names(text: &str) -> impl Iterator<Item = &str> {
    let functions = text
        .split("fn ")
        .skip(1)
        .map(|rest| rest.split(|c: char| !c.is_ascii_alphanumeric() && c != '_').next().unwrap_or_default());
    let listed = text.split("(\"").skip(1).map(|rest| rest.split('"').next().unwrap_or_default());
    functions.chain(listed)
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    #[test]
    fn a_test_that_is_named_is_there() {
        let mut workspace =
            Workspace::of_file("crates/a/tests/it/main.rs", "(\"one_is\", f); fn two_is() {}");
        let rows = "| a | b | test |\n|---|---|---|\n| x | `not_one` | `one_is`, `two_is` (a) |\n| y | z | `three_is` |\n\
                    \n| part | without it |\n|---|---|\n| a | `no_test` |\n";
        workspace.files.extend(Workspace::of_file("docs/threat-model.md", rows).files);
        let lines: Vec<_> = check(&workspace).iter().map(|problem| problem.line).collect();
        assert_eq!(lines, [4]);
    }
}
