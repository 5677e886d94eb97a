//! Owns that a manifest says what was written, and that one that was cut or changed is never used.

use std::fs;

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
