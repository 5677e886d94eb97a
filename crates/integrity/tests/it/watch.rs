//! Owns that changes of trees are noticed, those in new folders too, and nothing else is.

use std::fs;
use std::time::Duration;

use integrity::{Expect, Watcher};

use crate::tree::Tree;

/// Nothing comes in this time where nothing happens; what happens is there at once.
const QUIET: Duration = Duration::from_millis(50);
const LONG: Duration = Duration::from_secs(60);

#[test]
fn what_changes_is_noticed() {
    let tree = Tree::new(Expect::Changes);
    let watcher = Watcher::new(vec![tree.root()]).unwrap();
    let check = |what: &dyn Fn()| {
        assert!(!watcher.wait(QUIET).unwrap(), "nothing has happened");
        what();
        assert!(watcher.wait(LONG).unwrap());
        while watcher.wait(QUIET).unwrap() {}
    };
    check(&|| tree.write("notes/deep/two.json", "[]"));
    check(&|| fs::remove_file(tree.path("notes-2")).unwrap());
    check(&|| fs::create_dir_all(tree.path("new/below")).unwrap());
    check(&|| tree.write("new/below/file", "x"));
    check(&|| fs::rename(tree.path("new"), tree.path("old")).unwrap());
    check(&|| tree.write("old/below/file", "y"));
}

#[test]
fn what_is_not_there_cannot_be_watched() {
    let error = Watcher::new(vec!["/nowhere/at/all".into()]).unwrap_err();
    assert_eq!(error.to_string(), "/nowhere/at/all cannot be watched");
}
