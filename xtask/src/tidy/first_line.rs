//! Owns the rule that the first line of every Rust file says what the file owns.

use super::Problem;
use super::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let without = workspace.rust().filter(|file| {
        let sentence = file.text.lines().next().and_then(|line| line.strip_prefix("//! "));
        sentence.is_none_or(|sentence| sentence.trim().is_empty())
    });
    let message = "the first line is not `//! ` and a sentence: say what this file owns";
    without.map(|file| Problem::new(&file.path, 1, message)).collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    #[track_caller]
    fn passes(path: &str, text: &str, expect: bool) {
        assert_eq!(check(&Workspace::of_file(path, text)).is_empty(), expect, "{text:?}");
    }

    #[test]
    fn the_first_line() {
        passes("a.rs", "//! Owns a.\nfn a() {}\n", true);
        for text in ["", "fn a() {}\n", "//!\n", "//! \n", "\n//! Owns a.\n", "/// Owns a.\n"] {
            passes("a.rs", text, false);
        }
        passes("a.md", "", true);
    }
}
