//! Owns whether a statement starts a job in the background.

use crate::bash::{Ending, Item, Node, Part, Script, Visit, walk};

/// Whether there is a `&` in some items of a script. In a substitution it is none: what is started there is a part of
/// the value.
pub(super) fn has_job(script: &Script, items: &[Item]) -> bool {
    let (mut found, mut substitutions) = (false, 0_usize);
    walk(script, items, |node, visit| match (node, visit) {
        (Node::Part(Part::Substitution { .. } | Part::Process { .. }), Visit::Enter) => substitutions += 1,
        (Node::Part(Part::Substitution { .. } | Part::Process { .. }), Visit::Leave) => substitutions -= 1,
        (Node::Item(item), Visit::Enter) => {
            found |= substitutions == 0 && item.ending == Ending::Background;
        }
        _ => {}
    });
    found
}

#[cfg(test)]
mod tests {
    use super::has_job;

    #[track_caller]
    fn check(source: &str, expect: bool) {
        let script = crate::bash::parse(source).expect("it parses");
        assert_eq!(has_job(&script, &script.items), expect, "{source}");
    }

    #[test]
    fn jobs() {
        check("sleep 1 &", true);
        check("sleep 1 & echo $!", true);
        check("a && b &", true);
        check("a | b > c &", true);
        check("{ a & }", true);
        check("(a &)", true);
        check("if a; then b & fi", true);
        check("while a; do b & done", true);
        check("f() { a & }", true);
        check("nohup a >b 2>&1 &", true);
    }

    #[test]
    fn none() {
        check("sleep 1", false);
        check("a && b", false);
        check("a >b 2>&1", false);
        check("a &>b", false);
        check("echo 'a &' \"b &\" # c &", false);
        check("setsid -f a", false);
        check("x=$(a & echo $!)", false);
        check("a <(b &)", false);
        check("cat <<E\na &\nE\n", false);
    }
}
