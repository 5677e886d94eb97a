//! Owns tidy: one rule per file, all of them run over what the workspace holds.

mod file_size;
mod first_line;
mod floors;
mod guard_links;
mod manifest;
mod named_tests;
mod rust_code;
mod unfinished;
mod white_space;
mod workspace;

use std::fmt;
use std::path::Path;

use workspace::Workspace;

/// A place that breaks a rule, and what to do about it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Problem {
    path: String,
    line: usize,
    message: String,
}

// === impl Problem ===

impl Problem {
    fn new(path: &str, line: usize, message: impl Into<String>) -> Self {
        Self { path: path.to_owned(), line, message: message.into() }
    }
}

impl fmt::Display for Problem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}: {}", self.path, self.line, self.message)
    }
}

/// Runs every rule over the workspace at `root`.
pub(crate) fn check(root: &Path) -> anyhow::Result<Vec<Problem>> {
    let workspace = Workspace::read(root)?;
    let rules = [
        floors::check,
        guard_links::check,
        file_size::check,
        first_line::check,
        unfinished::check,
        white_space::check,
        named_tests::check,
        manifest::check_lints,
        manifest::check_test_binaries,
    ];
    let mut problems: Vec<_> = rules.iter().flat_map(|rule| rule(&workspace)).collect();
    problems.sort_by(|a, b| (&a.path, a.line).cmp(&(&b.path, b.line)));
    Ok(problems)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    #[test]
    fn this_workspace_is_tidy() {
        let root = Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap();
        let problems: Vec<_> = super::check(root).unwrap().iter().map(ToString::to_string).collect();
        assert!(problems.is_empty(), "\n{}\n", problems.join("\n"));
    }
}
