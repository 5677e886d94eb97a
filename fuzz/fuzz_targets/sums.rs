//! Owns throwing any bytes at the reader of lists of sums, `checksums.md5` and its like: it ends, and no line of it leads out of
//! the folder that it is about.
#![no_main]

use std::fs;
use std::path::{Component, PathBuf};
use std::sync::LazyLock;

use integrity::{Patterns, SumChange, check_sums};
use libfuzzer_sys::fuzz_target;

static PLACE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder of our own");
    fs::create_dir(folder.path().join("tree")).expect("the folder can be made");
    fs::write(folder.path().join("tree/a"), "a").expect("the file can be written");
    let list = folder.path().join("checksums.md5");
    (folder, list)
});

fuzz_target!(|list: &[u8]| {
    let (folder, path) = &*PLACE;
    fs::write(path, list).expect("the file can be written");
    let Ok((compared, differs)) = check_sums(&folder.path().join("tree"), &Patterns::none(), path) else { return };
    assert!(compared <= 1);
    let added = differs.iter().filter(|one| one.how == SumChange::Added).count() as u64;
    assert_eq!(compared + added, 1, "the one file is compared, or it is not in the list");
    for one in &differs {
        assert!(one.path.as_path().components().all(|part| matches!(part, Component::Normal(_))));
    }
});
