//! Owns the rule that nothing is left unfinished, and that no test is skipped or waits by sleeping.

use super::Problem;
use super::rust_code::code;
use super::workspace::{File, Workspace};

/// What may be nowhere.
const EVERYWHERE: [(&str, &str); 3] = [
    ("#[ignore", "a skipped test proves nothing: mend it, or have it say SKIPPED and why at run time"),
    ("todo!(", "finish it, or leave it out and say so in the documentation"),
    ("unimplemented!(", "finish it, or leave it out and say so in the documentation"),
];
/// What may not be in folders of tests.
const IN_TESTS: [(&str, &str); 2] = [
    (
        "thread::sleep(",
        "a sleep is too long or too short: wait for the thing itself, with a deadline, in `poll.rs`",
    ),
    (
        "time::sleep(",
        "a sleep is too long or too short: wait for the thing itself, with a deadline, in `poll.rs`",
    ),
];

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    workspace.rust().flat_map(check_file).collect()
}

fn check_file(file: &File) -> Vec<Problem> {
    // The one file of a folder of tests that may pause between two looks.
    let sleeps_allowed = !file.is_below("tests") || file.name() == "poll.rs";
    let mut problems = Vec::new();
    for (at, line) in code(&file.text).lines().enumerate() {
        let in_tests = IN_TESTS.iter().filter(|_| !sleeps_allowed);
        for (found, advice) in EVERYWHERE.iter().chain(in_tests).filter(|(word, _)| line.contains(word)) {
            problems.push(Problem::new(&file.path, at + 1, format!("`{found}`: {advice}")));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    #[track_caller]
    fn lines(path: &str, text: &str, expect: &[usize]) {
        let found: Vec<_> =
            check(&Workspace::of_file(path, text)).iter().map(|problem| problem.line).collect();
        assert_eq!(found, expect, "{path}: {text}");
    }

    #[test]
    fn unfinished_code_is_found_and_talk_of_it_is_not() {
        lines("crates/a/src/b.rs", "fn a() {\n    todo!()\n}\nfn b() { unimplemented!(\"x\") }\n", &[2, 4]);
        lines("crates/a/src/b.rs", "#[test]\n#[ignore = \"slow\"]\nfn a() {}\n", &[2]);
        lines("crates/a/src/b.rs", "// todo!()\nlet a = \"#[ignore]\";\nignore(a);\n", &[]);
    }

    #[test]
    fn only_folders_of_tests_may_not_sleep() {
        let sleep = "//! Owns a.\ntokio::time::sleep(a).await;\nstd::thread::sleep(b);\n";
        lines("crates/a/tests/it/main.rs", sleep, &[2, 3]);
        lines("tests/whole.rs", sleep, &[2, 3]);
        lines("crates/a/tests/it/poll.rs", sleep, &[]);
        lines("crates/a/src/b.rs", sleep, &[]);
    }
}
