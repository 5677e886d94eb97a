//! Tests of what goes and what stays, in a tree of their own.

use std::fs;
use std::os::unix::fs::symlink;

use super::*;
use crate::Roots;

const DAY: i64 = 24 * 3600;

fn put(root: &Path, name: &str, bytes: usize) -> PathBuf {
    let path = root.join(name);
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(&path, vec![b'x'; bytes]).unwrap();
    path
}

/// What files say of themselves is of now, so the clock goes on instead.
fn after(days: i64) -> i64 {
    use std::os::unix::fs::MetadataExt as _;
    fs::metadata("/proc/self").unwrap().ctime() + days * DAY + 60
}

fn paths(root: &Path, days: i64, age_min: u64) -> (Vec<String>, Kept) {
    let places = Places::of_machine(root, &root.join("log"));
    let plan = plan(&places, &Opened::take(&Roots::default()), after(days), Duration::from_secs(age_min));
    let mut names: Vec<String> =
        plan.files.iter().map(|file| file.path.strip_prefix(root).unwrap().display().to_string()).collect();
    names.sort_unstable();
    (names, plan.kept)
}

#[test]
fn only_what_is_listed_and_old_and_closed_may_go() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    put(root, "etc/passwd", 0);
    fs::write(root.join("etc/passwd"), "ann:x:0:0::/home/ann:/bin/sh\nroot:x:0:0::/:\n").unwrap();
    for name in [
        "log/notes.log",
        "log/notes.log.1",
        "log/notes.log.2",
        "log/security-incidents/notes.log.1",
        "var/cache/apt/archives/a.deb",
        "var/cache/apt/archives/lock",
        "var/cache/apt/archives/partial/b.deb",
        "var/log/journal/0123456789abcdef0123456789abcdef/system@1-2.journal",
        "var/log/journal/0123456789abcdef0123456789abcdef/system.journal",
        "var/log/journal/remote/system@1-2.journal",
        "tmp/heapdump.hprof",
        "tmp/npm-12/x/y",
        "home/ann/.npm/_cacache/content/a",
        "home/ann/.npmrc",
        "home/ann/notes",
    ] {
        put(root, name, 5000);
    }
    symlink("/etc/passwd", root.join("home/ann/.npm/_cacache/link")).unwrap();
    symlink(root.join("home/ann"), root.join("tmp/npm-evil")).unwrap();
    fs::hard_link(root.join("log/notes.log.2"), root.join("log/kept-by-somebody")).unwrap();
    let open = put(root, "home/ann/.npm/_cacache/content/open", 10);
    let _open = fs::File::open(&open).unwrap();

    let (names, kept) = paths(root, 30, 0);
    let expect = [
        "home/ann/.npm/_cacache/content/a",
        "log/notes.log.1",
        "tmp/npm-12/x/y",
        "var/cache/apt/archives/a.deb",
        "var/log/journal/0123456789abcdef0123456789abcdef/system@1-2.journal",
    ];
    assert_eq!(names, expect);
    assert_eq!(kept, Kept { young: 0, open: 1, foreign: 0, odd: 3 });
    // Each place has its age, a person may want a higher one, and a day is the least.
    assert_eq!(paths(root, 3, 0).0, ["tmp/npm-12/x/y", "var/cache/apt/archives/a.deb"]);
    assert!(paths(root, 0, 0).0.is_empty());
    assert!(paths(root, 30, 40 * 24 * 3600).0.is_empty());
}

#[test]
fn what_has_changed_meanwhile_stays() {
    let folder = tempfile::tempdir().unwrap();
    let root = folder.path();
    let names = ["log/a.log.1", "log/b.log.1", "log/c.log.1"].map(|name| put(root, name, 5000));
    let places = Places::of_machine(root, &root.join("log"));
    let none = Opened::default();
    let mut files = plan(&places, &none, after(30), Duration::ZERO).files;
    files.sort_by(|one, other| one.path.cmp(&other.path));
    // Another file of the same name, and one that leads elsewhere.
    fs::rename(&names[0], root.join("moved")).unwrap();
    put(root, "log/a.log.1", 9);
    fs::remove_file(&names[1]).unwrap();
    symlink(root.join("moved"), &names[1]).unwrap();
    let removed: Vec<bool> = files.iter().map(|file| file.remove(&none).is_ok()).collect();
    assert_eq!(removed, [false, false, true]);
    assert!(names[0].exists() && root.join("moved").exists() && !names[2].exists());
    // The folder itself has become a link.
    put(root, "log/d.log.1", 5000);
    let files = plan(&places, &none, after(30), Duration::ZERO).files;
    let file = files.iter().find(|file| file.path.ends_with("d.log.1")).unwrap();
    let opened = Opened::take(&Roots::default());
    let held = fs::File::open(&file.path).unwrap();
    let again = Opened::take(&Roots::default());
    assert!(matches!(file.remove(&again), Err(RemoveError::Open(_))));
    drop(held);
    assert!(file.remove(&opened).unwrap() >= 4096);
}
