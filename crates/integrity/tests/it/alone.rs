//! Owns archives that are alone: ours prove themselves, those of others are taken for what they are, and bad ones refused.

use std::fs;
use std::io::Write as _;
use std::path::{Path, PathBuf};
use std::process::Command;

use flate2::Compression;
use flate2::write::GzEncoder;
use integrity::Expect;
use integrity::backup::{Foreign, Listed, UnpackError, open_foreign, prove, told};

use crate::site::Site;
use crate::tree::Tree;

fn site() -> Site {
    Site::of(Tree::new(Expect::Nothing))
}

/// The same tar in gzip, as somebody may have repacked it.
fn in_gzip(archive: &Path, to: &Path) {
    let tar = zstd::decode_all(fs::File::open(archive).unwrap()).unwrap();
    gzip(to, &tar);
}

fn gzip(to: &Path, tar: &[u8]) {
    let mut packed = GzEncoder::new(fs::File::create(to).unwrap(), Compression::fast());
    packed.write_all(tar).unwrap();
    packed.finish().unwrap();
}

#[test]
fn an_archive_alone_proves_itself_in_zstd_and_in_gzip() {
    let site = site();
    site.tree.write("notes-2", "unmistakable");
    let backup = site.create();
    let away = tempfile::tempdir().unwrap();
    let zstd = away.path().join("a.tar.zst");
    fs::copy(site.catalogue.archive(&backup.id), &zstd).unwrap();
    let gzip = away.path().join("b.tar.gz");
    in_gzip(&zstd, &gzip);
    for (n, archive) in [&zstd, &gzip].into_iter().enumerate() {
        let told = told(archive, &away.path().join(n.to_string())).unwrap().unwrap();
        assert_eq!(told.backup.record, backup.record);
        assert_eq!((told.backup.archive == backup.archive, told.seal), (n == 0, None));
        prove(&told.catalogue, &told.backup, &site.scratch, |_| Ok(())).unwrap();
    }
    // What is in it is another, and what it says of itself is not.
    let tar = zstd::decode_all(fs::File::open(&zstd).unwrap()).unwrap();
    let at = tar.windows(12).position(|at| at == b"unmistakable").unwrap();
    let mut other = tar;
    other[at] = b'U';
    self::gzip(&gzip, &other);
    let told_of = told(&gzip, &away.path().join("other")).unwrap().unwrap();
    let error = prove(&told_of.catalogue, &told_of.backup, &site.scratch, |_| Ok(())).unwrap_err();
    assert!(error.is_verdict() && error.to_string().contains("has another content"), "{error}");
    // Half of it says nothing at all.
    let bytes = fs::read(&zstd).unwrap();
    fs::write(&zstd, &bytes[..bytes.len() / 2]).unwrap();
    let error = told(&zstd, &away.path().join("half")).unwrap_err();
    assert!(matches!(error, UnpackError::Damaged { .. }), "{error}");
}

#[test]
fn a_frame_that_asks_for_too_much_memory_is_refused() {
    let away = tempfile::tempdir().unwrap();
    let archive = away.path().join("large.tar.zst");
    let mut encoder = zstd::stream::Encoder::new(fs::File::create(&archive).unwrap(), 1).unwrap();
    encoder.window_log(30).unwrap();
    encoder.include_contentsize(false).unwrap();
    encoder.write_all(&vec![7; 3 << 20]).unwrap();
    encoder.finish().unwrap();
    let error = told(&archive, &away.path().join("into")).unwrap_err();
    assert!(error.to_string().contains("too much memory"), "{error}");
}

/// A tree that GNU tar packs, and what comes of it.
struct Packed {
    folder: tempfile::TempDir,
}

impl Packed {
    fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let tree = folder.path().join("srv/notes");
        fs::create_dir_all(tree.join("below")).unwrap();
        fs::write(tree.join("one.txt"), "one").unwrap();
        fs::write(tree.join("below/two.json"), "[2]").unwrap();
        fs::write(tree.join(format!("below/{}", "n".repeat(200))), "long").unwrap();
        fs::hard_link(tree.join("one.txt"), tree.join("same.txt")).unwrap();
        std::os::unix::fs::symlink("../one.txt", tree.join("below/link")).unwrap();
        Self { folder }
    }

    fn tar(&self, arguments: &[&str]) -> PathBuf {
        let archive = self.folder.path().join("packed.tar.gz");
        let mut tar = Command::new("tar");
        tar.arg("-czf").arg(&archive).args(arguments).current_dir(self.folder.path());
        assert!(tar.status().unwrap().success());
        archive
    }

    fn open(&self, archive: &Path) -> Result<Foreign, UnpackError> {
        let into = self.folder.path().join("into");
        let _ = fs::remove_dir_all(&into);
        open_foreign(archive, &[Path::new("/srv/notes")], &into)
    }
}

#[test]
fn archives_of_others_are_found_under_each_usual_name() {
    let packed = Packed::new();
    let at = |below: &str| packed.folder.path().join("into").join(below);
    for (arguments, below) in [
        (&["srv/notes"][..], "srv/notes"),
        (&["--format=pax", "srv/notes"], "srv/notes"),
        (&["--format=ustar", "--exclude=nnn*", "srv/notes"], "srv/notes"),
        (&["-C", "srv", "notes"], "notes"),
        (&["-C", "srv/notes", "."], ""),
    ] {
        let foreign = packed.open(&packed.tar(arguments)).unwrap();
        assert_eq!(foreign.trees, [at(below)], "{arguments:?}");
        assert_eq!(foreign.listed, None);
        let tree = &foreign.trees[0];
        assert_eq!(fs::read(tree.join("below/link")).unwrap(), b"one");
        assert_eq!(fs::read(tree.join("same.txt")).unwrap(), b"one");
        let long = tree.join(format!("below/{}", "n".repeat(200)));
        assert_eq!(long.exists(), !arguments.contains(&"--format=ustar"), "{arguments:?}");
    }
}

#[test]
fn a_list_of_sums_in_an_archive_of_others_proves_it() {
    let packed = Packed::new();
    let tree = packed.folder.path().join("srv/notes");
    let list = "find . -type f ! -name checksums.md5 -exec md5sum {} + > checksums.md5";
    let made = Command::new("sh").args(["-c", list]).current_dir(&tree).status().unwrap();
    assert!(made.success());
    let listed = packed.open(&packed.tar(&["srv/notes"])).unwrap().listed;
    assert_eq!(listed, Some(Listed { named: 4, others: 0 }));
    fs::write(tree.join("later"), "").unwrap();
    let listed = packed.open(&packed.tar(&["srv/notes"])).unwrap().listed;
    assert_eq!(listed, Some(Listed { named: 4, others: 1 }));
    fs::write(tree.join("one.txt"), "another").unwrap();
    let error = packed.open(&packed.tar(&["srv/notes"])).unwrap_err();
    assert!(error.to_string().contains("one.txt is not what checksums.md5 in it says"), "{error}");
}

/// An archive with one member after a good one, and why it is refused.
#[track_caller]
fn check(member: impl Fn(&mut tar::Builder<Vec<u8>>), expected: &str) {
    let packed = Packed::new();
    let mut tar = tar::Builder::new(Vec::new());
    append(&mut tar, "a", tar::EntryType::Regular, 1, None);
    member(&mut tar);
    let archive = packed.folder.path().join("bad.tar.gz");
    gzip(&archive, &tar.into_inner().unwrap());
    let error = packed.open(&archive).unwrap_err().to_string();
    assert!(error.contains(expected), "{error}");
    let beside = fs::read_dir(packed.folder.path()).unwrap().count();
    assert_eq!(beside, 3, "nothing is written outside");
}

fn append(tar: &mut tar::Builder<Vec<u8>>, name: &str, kind: tar::EntryType, size: u64, link: Option<&str>) {
    let mut header = tar::Header::new_gnu();
    header.as_old_mut().name[..name.len()].copy_from_slice(name.as_bytes());
    header.set_entry_type(kind);
    header.set_size(size);
    header.set_mode(0o644);
    header.set_uid(0);
    header.set_gid(0);
    header.set_mtime(0);
    if let Some(link) = link {
        header.as_old_mut().linkname[..link.len()].copy_from_slice(link.as_bytes());
    }
    header.set_cksum();
    tar.append(&header, std::io::Read::take(std::io::repeat(b'x'), size.min(1 << 20))).unwrap();
}

#[test]
fn what_would_leave_an_archive_of_others_is_refused() {
    use tar::EntryType as Kind;
    for (name, kind, size, link, expected) in [
        ("../escaped", Kind::Regular, 1, None, "../escaped is no name below the archive"),
        ("/tmp/escaped", Kind::Regular, 1, None, "/tmp/escaped is no name below the archive"),
        ("b/../../escaped", Kind::Regular, 1, None, "is no name below the archive"),
        ("a", Kind::Regular, 1, None, "a is there twice"),
        ("b", Kind::Symlink, 0, Some("../../etc"), "b is a link that leaves the archive, to ../../etc"),
        ("b", Kind::Symlink, 0, Some("/etc/passwd"), "b is a link that leaves the archive, to /etc/passwd"),
        ("b", Kind::Link, 0, Some("/etc/passwd"), "b is a link to no file before it"),
        ("b", Kind::Link, 0, Some("../../../etc/passwd"), "b is a link to no file before it"),
        ("b", Kind::Block, 0, None, "b is a device or a pipe"),
        ("b", Kind::Fifo, 0, None, "b is a device or a pipe"),
        ("b", Kind::GNUSparse, 0, None, "b is kept with holes"),
        ("b", Kind::Regular, 1 << 60, None, "are larger than the room that is free"),
        ("b", Kind::Regular, 2 << 20, None, "b is cut"),
    ] {
        check(|tar| append(tar, name, kind, size, link), expected);
    }
    // A link to a folder, and a file through it.
    let through = |tar: &mut tar::Builder<Vec<u8>>| {
        append(tar, "d", Kind::Symlink, 0, Some("e"));
        append(tar, "d/f", Kind::Regular, 1, None);
    };
    check(through, "d is there twice");
}
