//! Owns throwing made-up archives at their readers: names, links, kinds, sizes and PAX records as nobody honest writes them.
//! Reading ends, and whatever is unpacked is below the folder that it was to be in.
#![no_main]

use std::fs;
use std::io::{Read as _, Write as _};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use integrity::backup::{open_foreign, remove_tree, told};
use libfuzzer_sys::fuzz_target;

/// One member: its kind, name, link, records before it, content, and the size that it says it has.
type Member = (u8, Vec<u8>, Vec<u8>, Option<Vec<u8>>, Vec<u8>, Option<u32>);

const KINDS: &[u8] = b"0123456789gxXLKSVDA\0";

static PLACE: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder of our own");
    let path = folder.path().join("x.tar");
    (folder, path)
});

fn pack(members: &[Member]) -> Vec<u8> {
    let mut tar = Vec::new();
    let mut add = |kind: u8, name: &[u8], link: &[u8], content: &[u8], size: u64| {
        let mut header = tar::Header::new_gnu();
        let place = header.as_old_mut();
        let (name, link) = (&name[..name.len().min(100)], &link[..link.len().min(100)]);
        place.name[..name.len()].copy_from_slice(name);
        place.linkname[..link.len()].copy_from_slice(link);
        header.set_entry_type(tar::EntryType::new(kind));
        header.set_size(size);
        header.set_mode(0o644);
        header.set_uid(0);
        header.set_gid(0);
        header.set_mtime(0);
        header.set_cksum();
        tar.extend_from_slice(header.as_bytes());
        tar.extend_from_slice(content);
        tar.resize(tar.len().div_ceil(512) * 512, 0);
    };
    for (kind, name, link, records, content, size) in members {
        if let Some(records) = records {
            add(b'x', b"pax", b"", records, records.len() as u64);
        }
        let size = size.map_or(content.len() as u64, u64::from);
        add(KINDS[usize::from(*kind) % KINDS.len()], name, link, content, size);
    }
    tar.resize(tar.len() + 1024, 0);
    tar
}

fuzz_target!(|input: (bool, Vec<Member>, Option<u16>)| {
    let (is_gzip, members, end) = input;
    let tar = pack(&members);
    let mut bytes = Vec::new();
    if is_gzip {
        let mut packed = flate2::write::GzEncoder::new(&mut bytes, flate2::Compression::fast());
        packed.write_all(&tar).and_then(|()| packed.try_finish()).expect("it is memory");
    } else {
        bytes = zstd::encode_all(tar.as_slice(), 1).expect("it is memory");
    }
    bytes.truncate(end.map_or(bytes.len(), usize::from));
    let (folder, path) = &*PLACE;
    fs::write(path, bytes).expect("the file can be written");
    for into in ["told", "foreign"] {
        let into = folder.path().join(into);
        remove_tree(&into).expect("it is ours");
        if into.ends_with("told") {
            let _ = told(path, &into);
        } else {
            let _ = open_foreign(path, &[Path::new("/srv/notes")], &into);
        }
    }
    let mut names: Vec<_> = fs::read_dir(folder.path()).expect("it is ours").map(|one| one.expect("it is ours").file_name()).collect();
    names.sort_unstable();
    assert!(names.iter().all(|name| ["x.tar", "told", "foreign"].iter().any(|known| name == known)), "{names:?}");
    // Every link stays below.
    let mut open = vec![folder.path().join("foreign")];
    while let Some(one) = open.pop() {
        for entry in fs::read_dir(&one).into_iter().flatten().flatten() {
            let is = entry.file_type().expect("it is there");
            assert!(is.is_dir() || is.is_file() || is.is_symlink());
            if is.is_dir() {
                open.push(entry.path());
            } else if is.is_symlink() && let Ok(target) = entry.path().canonicalize() {
                assert!(target.starts_with(folder.path().canonicalize().expect("it is ours").join("foreign")));
            } else if is.is_file() {
                let _ = fs::File::open(entry.path()).map(|mut file| file.read(&mut [0; 1]));
            }
        }
    }
});
