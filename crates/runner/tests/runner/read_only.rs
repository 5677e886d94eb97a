//! Owns the tests of units that only look: the kernel lets nothing of them write but where it may.

use std::fs;

use runner::End;
use tempfile::TempDir;

use crate::session::Session;

/// A folder in which nothing may be written, and one in which everything may.
struct Places {
    session: Session,
    others: TempDir,
    mine: TempDir,
}

impl Places {
    fn new() -> Self {
        let places = Self {
            session: Session::new(),
            others: tempfile::tempdir().unwrap(),
            mine: tempfile::tempdir().unwrap(),
        };
        fs::write(places.others.path().join("kept"), "kept").unwrap();
        places
    }

    fn run(&mut self, statement: &str) -> (End, String) {
        let text = |folder: &TempDir| folder.path().to_str().unwrap().to_owned();
        let (others, mine) = (text(&self.others), text(&self.mine));
        let done = self.session.run_as(statement, |intent| {
            intent.writable = Some(vec![mine.clone().into()]);
            intent.environment.extend([("OTHERS".to_owned(), others), ("MINE".to_owned(), mine)]);
            intent.environment.remove("TMPDIR");
        });
        (done.outcome.end, done.stderr)
    }

    fn is_enforced(&mut self) -> bool {
        let (end, _) = self.run("touch \"$OTHERS/probe\"");
        if end == End::Exited(0) {
            println!("SKIPPED: this kernel has no Landlock");
        }
        end != End::Exited(0)
    }

    fn is_kept(&self) -> bool {
        let is_alone = fs::read_dir(&self.others).unwrap().count() == 1;
        is_alone && fs::read_to_string(self.others.path().join("kept")).unwrap() == "kept"
    }
}

#[test]
fn nothing_is_written_where_it_may_not_be() {
    let mut places = Places::new();
    if !places.is_enforced() {
        return;
    }
    for statement in [
        "echo x > \"$OTHERS/new\"",
        "echo x >> \"$OTHERS/kept\"",
        ": > \"$OTHERS/kept\"",
        "rm -f \"$OTHERS/kept\"",
        "mkdir \"$OTHERS/folder\"",
        "ln -s /etc/passwd \"$OTHERS/link\"",
        "mv \"$OTHERS/kept\" \"$OTHERS/moved\"",
        "mv \"$OTHERS/kept\" \"$MINE/kept\"",
        "truncate -s 0 \"$OTHERS/kept\"",
        // Whatever it starts is held to it as well.
        "bash -c 'exec setsid --wait sh -c \"rm -f $OTHERS/kept\"'",
    ] {
        let (end, stderr) = places.run(statement);
        assert_ne!(end, End::Exited(0), "{statement}: {stderr}");
        assert!(places.is_kept(), "{statement}: {stderr}");
    }
}

#[test]
fn looking_works_as_ever() {
    let mut places = Places::new();
    for statement in [
        "cat \"$OTHERS/kept\" > /dev/null",
        "cat <<'END' | grep -q line\nline\nEND",
        "found=$(mktemp) && echo x > \"$found\" && rm \"$found\"",
        "echo x | tee /dev/stderr | grep -q x",
        "diff <(echo a) <(echo a)",
        "carried=yes",
        "[ \"$carried\" = yes ]",
        "echo x > \"$MINE/new\"",
    ] {
        let (end, stderr) = places.run(statement);
        assert_eq!(end, End::Exited(0), "{statement}: {stderr}");
    }
    assert!(places.is_kept());
    assert_eq!(fs::read_to_string(places.mine.path().join("new")).unwrap(), "x\n");
}
