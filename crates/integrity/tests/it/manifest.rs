//! Owns that a manifest says what was written, and that one that was cut or changed is never used.

use std::fs;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};

use integrity::Expect;
use integrity::manifest::{ManifestError, Reader};
use proptest::prelude::{any, prop_assert, proptest};

use crate::tree::Tree;

fn read(tree: &Tree) -> Result<usize, ManifestError> {
    Reader::open(&tree.manifest())?.try_fold(0, |n, entry| entry.map(|_| n + 1))
}

#[test]
fn what_is_written_is_read_in_order() {
    let tree = Tree::new(Expect::Changes);
    tree.baseline();
    let paths: Vec<String> = Reader::open(&tree.manifest())
        .unwrap()
        .map(|entry| entry.unwrap().path.as_path().display().to_string())
        .collect();
    let expected =
        ["link", "notes", "notes/deep", "notes/deep/two.json", "notes/one.txt", "notes/three.jsonl"];
    assert_eq!(paths, [&expected[..], &["notes-2", "server.log"]].concat());
}

#[test]
fn a_manifest_that_was_cut_anywhere_is_not_used() {
    let tree = Tree::new(Expect::Changes);
    tree.baseline();
    let whole = fs::read(tree.manifest()).unwrap();
    for n in 0..whole.len() {
        fs::write(tree.manifest(), &whole[..n]).unwrap();
        read(&tree).expect_err("a cut manifest");
    }
    fs::write(tree.manifest(), [&whole[..], b"{}\n"].concat()).unwrap();
    assert!(matches!(read(&tree), Err(ManifestError::Changed { .. })));
}

proptest! {
    #[test]
    fn a_manifest_with_another_byte_is_not_used(at in any::<proptest::sample::Index>(), flip in 1u8..) {
        let tree = Tree::new(Expect::Changes);
        tree.baseline();
        let mut bytes = fs::read(tree.manifest()).unwrap();
        let at = at.index(bytes.len());
        bytes[at] ^= flip;
        fs::write(tree.manifest(), &bytes).unwrap();
        prop_assert!(read(&tree).is_err(), "byte {at}");
    }
}

/// What is written with what was kept is what a whole look writes; where all stays as it was, nothing is written.
#[test]
fn a_quick_check_writes_what_is_new_and_keeps_the_rest() {
    type Change = fn(&Tree);
    let rows: [(&str, Change); 7] = [
        ("nothing", |_| ()),
        ("the first of all", |tree| tree.write("a", "new")),
        ("one in the middle", |tree| tree.write("notes/deep/two.json", "[1, 2]")),
        ("one with the same bytes", |tree| tree.write("notes/one.txt", "one\n")),
        ("the last is gone", |tree| fs::remove_file(tree.path("server.log")).unwrap()),
        ("one after the last", |tree| tree.write("z", "new")),
        ("other permissions", |tree| {
            fs::set_permissions(tree.path("notes-2"), fs::Permissions::from_mode(0o600)).unwrap();
        }),
    ];
    for (name, change) in rows {
        let tree = Tree::new(Expect::Changes);
        tree.baseline();
        let inode = |tree: &Tree| fs::metadata(tree.manifest()).unwrap().ino();
        let before = inode(&tree);
        change(&tree);
        let report = tree.check(false);
        assert!(report.is_whole && report.is_kept, "{name}: {report:?}");
        assert_eq!(inode(&tree) == before, name == "nothing", "{name}");
        let kept = fs::read_to_string(tree.manifest()).unwrap();
        tree.check(true);
        assert_eq!(fs::read_to_string(tree.manifest()).unwrap(), kept, "{name}");
    }
}
