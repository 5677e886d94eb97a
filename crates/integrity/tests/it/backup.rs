//! Owns that a backup is what the tree was, that a bad one is never put back, and that what stood there before is kept.

use std::fs;
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::path::{Path, PathBuf};

use expect_test::expect;
use integrity::Expect;
use integrity::backup::{Backup, ProveError, RestoreError, prove, restore};
use sha2::{Digest as _, Sha256};

use crate::check::database;
use crate::site::{Site, put_back};
use crate::tree::{Tree, lines};

fn site() -> Site {
    let site = Site::of(Tree::new(Expect::Nothing));
    site.tree.write("server.log.1", "left out");
    site.tree.write("holes", [vec![1; 100], vec![0; 300_000], vec![2; 100]].concat());
    site
}

impl Site {
    fn prove(&self, backup: &Backup) -> Result<(), ProveError> {
        let proven = prove(&self.catalogue, backup, &self.scratch, |_| Ok(()));
        assert_eq!(fs::read_dir(&self.scratch).unwrap().count(), 0, "nothing of a proof stays");
        proven
    }

    fn restore(&self, backup: &Backup) -> Result<PathBuf, RestoreError> {
        put_back(&self.restoring(backup, None))
    }

    /// What lies beside the tree.
    fn beside(&self) -> Vec<String> {
        let entries = fs::read_dir(self.tree.root().parent().unwrap()).unwrap();
        let mut names: Vec<String> =
            entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort_unstable();
        names
    }
}

/// All of a tree: path, permissions, time, and what it holds.
fn all(root: &Path) -> Vec<String> {
    let mut found = Vec::new();
    let mut folders = vec![root.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let metadata = path.symlink_metadata().unwrap();
            let holds = if metadata.is_dir() {
                folders.push(path.clone());
                "folder".to_owned()
            } else if metadata.is_symlink() {
                format!("{:?}", fs::read_link(&path).unwrap())
            } else {
                format!("{:?}", blake3(&fs::read(&path).unwrap()))
            };
            let mode = metadata.permissions().mode();
            let time = if metadata.is_symlink() { None } else { Some(metadata.modified().unwrap()) };
            found.push(format!("{:?} {mode:o} {time:?} {holds}", path.strip_prefix(root).unwrap()));
        }
    }
    found.sort_unstable();
    found
}

fn blake3(bytes: &[u8]) -> String {
    integrity::digest_of(bytes).to_string()
}

#[test]
fn what_is_put_back_is_what_was_there() {
    let site = site();
    let tree = &site.tree;
    let deep = format!("{}/{}", "d".repeat(120), "e".repeat(120));
    fs::create_dir_all(tree.path(&deep)).unwrap();
    tree.write(format!("{deep}/f"), "deep");
    tree.write(PathBuf::from(std::ffi::OsStr::from_bytes(b"odd\xff\n")), "odd");
    symlink("../".repeat(60) + "etc/passwd", tree.path("out")).unwrap();
    symlink(std::ffi::OsStr::from_bytes(b"./a//\xfe"), tree.path("odd link")).unwrap();
    fs::set_permissions(tree.path("notes"), fs::Permissions::from_mode(0o550)).unwrap();
    let backup = site.create();
    assert_eq!((backup.record.left_out, backup.record.moving.as_slice()), (2, [].as_slice()));
    fs::remove_file(tree.path("server.log")).unwrap();
    fs::remove_file(tree.path("server.log.1")).unwrap();
    let before = all(&tree.root());
    site.prove(&backup).unwrap();
    // Damage, and something that came later.
    tree.write("notes-2", "damaged");
    tree.write("later", "later");
    let damaged = all(&tree.root());
    let kept = site.restore(&backup).unwrap();
    assert_eq!(all(&tree.root()), before);
    assert_eq!(all(&kept), damaged);
    let kept = kept.file_name().unwrap().to_str().unwrap().to_owned();
    assert_eq!(site.beside(), ["backup", "data", kept.as_str(), "scratch"]);
    // A hole stays one.
    use std::os::unix::fs::MetadataExt as _;
    assert!(tree.path("holes").metadata().unwrap().blocks() * 512 < 300_000);
}

#[test]
fn a_database_in_use_is_backed_up_as_it_is_at_one_moment() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for mode in ["DELETE", "WAL"] {
        let site = site();
        let connection = runtime.block_on(database(&site.tree.path("notes.db"), mode));
        let backup = site.create();
        site.prove(&backup).unwrap();
        drop(connection);
        for suffix in ["", "-wal", "-shm"] {
            let _ = fs::remove_file(site.tree.path(format!("notes.db{suffix}")));
        }
        site.restore(&backup).unwrap();
        let count = runtime.block_on(crate::check::rows(&site.tree.path("notes.db")));
        assert_eq!(count, 2000, "{mode}");
    }
}

/// Does something to the files of a backup; it is found, and nothing is put back.
fn check(what: impl Fn(&Site, &Backup), expected: &str) {
    let site = site();
    let backup = site.create();
    site.prove(&backup).unwrap();
    what(&site, &backup);
    let error = match site.catalogue.find(&backup.id) {
        None => "there is no such backup".to_owned(),
        Some(backup) => {
            let error = site.prove(&backup).unwrap_err();
            assert!(error.is_verdict(), "{error}");
            let before = all(&site.tree.root());
            site.restore(&backup).unwrap_err();
            assert_eq!(all(&site.tree.root()), before);
            assert_eq!(site.beside(), ["backup", "data", "scratch"]);
            let folder = site.catalogue.folder().display().to_string();
            let bytes = backup.archive.bytes.to_string();
            error.to_string().replace(&folder, "FOLDER").replace(&format!("not {bytes}"), "not BYTES")
        }
    };
    assert_eq!(error, expected);
}

#[test]
fn a_backup_that_was_changed_is_not_put_back() {
    let edit = |path: &Path, edit: &dyn Fn(&mut Vec<u8>)| {
        let mut bytes = fs::read(path).unwrap();
        edit(&mut bytes);
        fs::write(path, bytes).unwrap();
    };
    check(
        |site, backup| edit(&site.catalogue.archive(&backup.id), &|bytes| bytes[200] ^= 1),
        "the archive FOLDER/20961002T070640Z.tar.zst is not the one that was written: its SHA-256 is another",
    );
    check(
        |site, backup| edit(&site.catalogue.archive(&backup.id), &|bytes| bytes.truncate(200)),
        "the archive FOLDER/20961002T070640Z.tar.zst is not the one that was written: it has 200 bytes, not BYTES",
    );
    check(
        |site, backup| {
            edit(&site.catalogue.manifest(&backup.id, 0), &|bytes| {
                let at = bytes.windows(9).position(|at| at == b"\"notes-2\"").unwrap();
                bytes[at + 7] = b'3';
            });
        },
        "the manifest FOLDER/20961002T070640Z.0.jsonl is not the one that was written",
    );
    check(
        |site, backup| fs::remove_file(site.catalogue.manifest(&backup.id, 0)).unwrap(),
        "the manifest FOLDER/20961002T070640Z.0.jsonl is not the one that was written",
    );
    check(
        |site, backup| fs::remove_file(site.catalogue.archive(&backup.id)).unwrap(),
        "there is no such backup",
    );
    check(
        |site, backup| {
            edit(&site.catalogue.folder().join(format!("{}.json", backup.id)), &|bytes| bytes.truncate(9))
        },
        "there is no such backup",
    );
}

#[test]
fn what_was_damaged_when_it_was_backed_up_is_no_good_backup() {
    let site = site();
    site.tree.write("notes/deep/two.json", "{");
    let backup = site.create();
    let error = site.prove(&backup).unwrap_err();
    expect!["it was made of data that were damaged already: notes/deep/two.json broken, 1 in all"]
        .assert_eq(&error.to_string());
}

/// Puts another archive in the place of the real one, with a record that is true of it, as whoever may write to the
/// folder could.
fn forge(site: &Site, backup: &Backup, edit: impl Fn(&mut tar::Builder<Vec<u8>>, &mut tar::Archive<&[u8]>)) {
    let path = site.catalogue.archive(&backup.id);
    let real = zstd::decode_all(fs::File::open(&path).unwrap()).unwrap();
    let mut forged = tar::Builder::new(Vec::new());
    edit(&mut forged, &mut tar::Archive::new(real.as_slice()));
    let packed = zstd::encode_all(forged.into_inner().unwrap().as_slice(), 1).unwrap();
    fs::write(&path, &packed).unwrap();
    let mut forged = backup.clone();
    forged.archive.bytes = packed.len() as u64;
    forged.archive.sha256 = integrity::Hex(Sha256::digest(&packed).into());
    let record_path = site.catalogue.record(&backup.id);
    fs::write(record_path, serde_json::to_vec(&forged).unwrap()).unwrap();
}

/// Copies all members, and lets one be another.
fn with_other(
    forged: &mut tar::Builder<Vec<u8>>,
    real: &mut tar::Archive<&[u8]>,
    name: &str,
    other: impl Fn(&mut tar::Builder<Vec<u8>>, tar::Header),
) {
    for member in real.entries().unwrap() {
        let member = member.unwrap();
        let header = member.header().clone();
        if member.path_bytes().as_ref() == name.as_bytes() {
            other(forged, header);
        } else {
            forged.append(&header, member).unwrap();
        }
    }
}

#[test]
fn a_forged_archive_writes_nothing_but_what_its_manifest_says() {
    let named = |name: &'static str| {
        move |forged: &mut tar::Builder<Vec<u8>>, mut header: tar::Header| {
            let place = &mut header.as_old_mut().name;
            place.fill(0);
            place[..name.len()].copy_from_slice(name.as_bytes());
            header.set_size(1);
            header.set_cksum();
            forged.append(&header, b"x".as_slice()).unwrap();
        }
    };
    for name in ["0/../../escaped", "/tmp/paramedic-test-escaped", "1/notes-2", "0/notes-3", "notes-2"] {
        check(
            |site, backup| {
                forge(site, backup, |forged, real| with_other(forged, real, "0/notes-2", named(name)))
            },
            &format!("the archive is not what its manifest says: notes-2 is missing, and {name} is there"),
        );
    }
    for (kind, size, expected) in [
        (tar::EntryType::Link, 0, "notes-2 is another kind of thing"),
        (tar::EntryType::Symlink, 0, "notes-2 is another kind of thing"),
        (tar::EntryType::Block, 0, "notes-2 is another kind of thing"),
        (tar::EntryType::Directory, 0, "notes-2 is another kind of thing"),
        (tar::EntryType::Regular, 1, "notes-2 has another content"),
        (tar::EntryType::Regular, 64 << 20, "notes-2 is longer"),
    ] {
        let other = move |forged: &mut tar::Builder<Vec<u8>>, mut header: tar::Header| {
            header.set_entry_type(kind);
            header.set_size(size);
            header.set_cksum();
            forged.append(&header, std::io::Read::take(std::io::repeat(0), size)).unwrap();
        };
        check(
            |site, backup| forge(site, backup, |forged, real| with_other(forged, real, "0/notes-2", other)),
            &format!("the archive is not what its manifest says: {expected}"),
        );
    }
    check(
        |site, backup| {
            forge(site, backup, |forged, real| {
                with_other(forged, real, "", |_, _| ());
                let mut more = tar::Header::new_gnu();
                more.set_path("0/zzz").unwrap();
                more.set_size(1);
                more.set_cksum();
                forged.append(&more, b"x".as_slice()).unwrap();
            });
        },
        "the archive is not what its manifest says: 0/zzz is too many",
    );
}

#[test]
fn what_did_not_come_to_its_end_is_no_backup_and_is_cleared_away() {
    let site = site();
    let first = site.create();
    let folder = site.catalogue.folder();
    for half in ["tar.zst.new", "0.jsonl", "1.jsonl.new", "seal.json"] {
        fs::write(folder.join(format!("20200102T000000Z.{half}")), "half").unwrap();
    }
    // Nobody has said that this is one; it may be one all the same.
    fs::write(folder.join("20200101T000000Z.tar.zst"), "brought here").unwrap();
    fs::write(folder.join("20200103T000000Z.tar.gz"), "foreign").unwrap();
    fs::write(folder.join("somebody's.tar.gz"), "foreign").unwrap();
    // What is there while something is done about them.
    fs::write(site.catalogue.lock(), "1\n").unwrap();
    fs::create_dir_all(site.catalogue.scratch()).unwrap();
    let second = site.create();
    assert_ne!(first.id, second.id);
    let (backups, others) = site.catalogue.list().unwrap();
    assert_eq!(backups.iter().map(|one| one.id.as_str()).collect::<Vec<_>>(), [second.id, first.id]);
    assert_eq!(others, ["20200101T000000Z.tar.zst", "20200103T000000Z.tar.gz", "somebody's.tar.gz"]);
    let loose = site.catalogue.loose(&others);
    assert_eq!(loose.len(), 3);
    assert!(loose.iter().any(|one| one.name == "somebody's.tar.gz" && one.archive_bytes == 7), "{loose:?}");
}

#[test]
fn a_restore_that_was_interrupted_loses_neither_tree() {
    let site = site();
    let backup = site.create();
    site.tree.write("notes-2", "damaged");
    // It was unpacking.
    let above = site.tree.root().parent().unwrap().to_owned();
    fs::create_dir_all(above.join(".data.restore/half")).unwrap();
    fs::write(above.join(".data.restoring"), "").unwrap();
    site.restore(&backup).unwrap();
    // It had exchanged the two, and not yet named what was there before.
    fs::create_dir_all(above.join(".data.restore/precious")).unwrap();
    site.restore(&backup).unwrap();
    let kept = site.beside().into_iter().find(|name| name.ends_with(".interrupted")).unwrap();
    assert!(above.join(kept).join("precious").is_dir());
    site.tree.baseline();
    assert_eq!(lines(&site.tree.check(true)), "");
}

#[test]
fn what_does_not_pass_in_its_place_is_taken_back() {
    let site = site();
    let backup = site.create();
    site.tree.write("notes-2", "damaged");
    let before = all(&site.tree.root());
    let what = site.restoring(&backup, None);
    let error = restore(&what, |_| Err("the server does not like it".to_owned())).unwrap_err();
    expect![
        "what was put back did not pass, so the data from before stand again: the server does not like it"
    ]
    .assert_eq(&error.to_string());
    assert_eq!(all(&site.tree.root()), before);
    assert_eq!(site.beside(), ["backup", "data", "scratch"]);
}
