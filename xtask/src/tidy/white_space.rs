//! Owns the rule that no line ends with white space.

use super::Problem;
use super::workspace::Workspace;

pub(super) fn check(workspace: &Workspace) -> Vec<Problem> {
    let lines = workspace
        .files
        .iter()
        .flat_map(|file| file.text.split('\n').enumerate().map(move |line| (file, line)));
    let ending = lines.filter(|(_, (_, line))| line.ends_with(char::is_whitespace));
    ending
        .map(|(file, (at, _))| Problem::new(&file.path, at + 1, "white space at the end: remove it"))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::super::workspace::Workspace;
    use super::check;

    #[test]
    fn blanks_tabs_and_returns_are_found() {
        let text = "a\nb \n\nc\t\nd\r\n  e\n ";
        let found: Vec<_> =
            check(&Workspace::of_file("a.md", text)).iter().map(|problem| problem.line).collect();
        assert_eq!(found, [2, 4, 5, 7]);
    }
}
