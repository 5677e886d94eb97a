//! Owns the rule that a file holds one idea: at most 400 lines without its tests.

use super::Problem;
use super::workspace::{File, Workspace};

/// What one reads in one go.
const LINES_MAX: usize = 400;

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let files = workspace.rust().filter(|file| file.name() != "tests.rs" && !file.is_below("tests"));
    files
        .filter_map(|file| {
            let lines = lines_without_tests(file);
            let message = format!(
                "{lines} lines without tests, {LINES_MAX} at most: find its second idea and give that a file"
            );
            (lines > LINES_MAX).then(|| Problem::new(&file.path, LINES_MAX + 1, message))
        })
        .collect()
}

/// Tests stand at the bottom, in a module of that name.
fn lines_without_tests(file: &File) -> usize {
    let lines: Vec<_> = file.text.lines().collect();
    let tests =
        lines.windows(2).position(|pair| pair[0] == "#[cfg(test)]" && pair[1].starts_with("mod tests {"));
    tests.unwrap_or(lines.len())
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    #[track_caller]
    fn fits(path: &str, text: &str, expect: bool) {
        assert_eq!(check(&Workspace::of_file(path, text)).is_empty(), expect, "{path}");
    }

    #[test]
    fn tests_do_not_count() {
        let code = "x\n".repeat(400);
        fits("crates/a/src/b.rs", &code, true);
        fits("crates/a/src/b.rs", &format!("{code}x\n"), false);
        fits("crates/a/src/b.rs", &format!("{code}#[cfg(test)]\nmod tests {{\n{code}}}\n"), true);
        fits("crates/a/src/b.rs", &format!("x\n{code}#[cfg(test)]\nmod tests {{\n}}\n"), false);
        fits("crates/a/src/b.rs", &format!("{code}#[cfg(test)]\nmod tests;\n"), false);
        for path in
            ["crates/a/src/b/tests.rs", "crates/a/tests/it/main.rs", "crates/a/src/tests/b.rs", "README.md"]
        {
            fits(path, &"x\n".repeat(999), true);
        }
    }
}
