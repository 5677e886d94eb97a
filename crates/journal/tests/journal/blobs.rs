//! Tests what blobs are on disk: any content comes back, and nothing else; whenever a writer is killed.

use std::collections::BTreeSet;
use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use journal::{BlobError, BlobRef, Blobs, Digest};
use proptest::prelude::*;

/// Names the folder in the environment of the process that only puts blobs.
const PUT_INTO: &str = "JOURNAL_TEST_PUT_INTO";

/// Content of any length about the limits, from all alike to all different.
fn contents() -> impl Strategy<Value = Vec<u8>> {
    (1..=256_u64, any::<u64>(), prop_oneof![0..10_usize, 4000..4200_usize, 100_000..300_000_usize]).prop_map(
        |(values, seed, bytes)| {
            let mut state = seed;
            let mut next = || {
                state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                ((state >> 33) % values) as u8
            };
            (0..bytes).map(|_| next()).collect()
        },
    )
}

fn names(folder: &std::path::Path) -> Vec<String> {
    let names = fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().file_name().into_string().unwrap());
    names.collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 48, ..ProptestConfig::default() })]

    #[test]
    fn any_content_comes_back_and_a_changed_one_does_not(
        content in contents(),
        at in any::<prop::sample::Index>(),
        flip in 1..=255_u8,
        cut in any::<bool>(),
    ) {
        let folder = tempfile::tempdir().unwrap();
        let blobs = Blobs::open(folder.path().join("blobs")).unwrap();
        fs::write(folder.path().join("source"), &content).unwrap();
        let blob = blobs.put(&content).unwrap();
        prop_assert_eq!(blob, BlobRef { sha256: Digest::of(&content), bytes: content.len() as u64 });
        prop_assert_eq!(blobs.put_file(&folder.path().join("source")).unwrap(), blob);
        let suffix = if content.len() > 4096 { ".zst" } else { "" };
        prop_assert_eq!(names(&folder.path().join("blobs")), [format!("{}{suffix}", blob.sha256)]);

        prop_assert_eq!(&blobs.read(blob.sha256, blob.bytes).unwrap(), &content);
        if blob.bytes > 0 {
            let short = blobs.read(blob.sha256, blob.bytes - 1);
            prop_assert!(matches!(short, Err(BlobError::TooLong { .. })), "{short:?}");

            let path = folder.path().join(format!("blobs/{}{suffix}", blob.sha256));
            let mut stored = fs::read(&path).unwrap();
            let at = at.index(stored.len());
            stored[at] ^= flip;
            stored.truncate(if cut { at } else { stored.len() });
            fs::write(&path, stored).unwrap();
            match blobs.read(blob.sha256, blob.bytes) {
                // A bit that says nothing about the content.
                Ok(read) => prop_assert_eq!(&read, &content),
                Err(BlobError::Changed { .. } | BlobError::TooLong { .. }) => {}
                Err(error) => panic!("{error:?}"),
            }
            blobs.put(&content).unwrap();
            prop_assert_eq!(&blobs.read(blob.sha256, blob.bytes).unwrap(), &content);
        }
    }
}

#[test]
fn what_unpacks_to_more_than_asked_for_is_not_unpacked() {
    let folder = tempfile::tempdir().unwrap();
    let blobs = Blobs::open(folder.path()).unwrap();
    // 16 GiB of zeros would take seconds and all memory.
    let piece = zstd::encode_all(&vec![0; 16 << 20][..], 1).unwrap();
    let mut file = fs::File::create(folder.path().join(format!("{}.zst", Digest::ZERO))).unwrap();
    for _ in 0..1024 {
        file.write_all(&piece).unwrap();
    }
    let error = blobs.read(Digest::ZERO, 1 << 20).unwrap_err();
    assert!(matches!(error, BlobError::TooLong { bytes_max: 1_048_576, .. }), "{error:?}");

    // A window that asks for 128 MiB of memory.
    let mut encoder = zstd::Encoder::new(Vec::new(), 1).unwrap();
    encoder.window_log(27).unwrap();
    encoder.write_all(&vec![0; 256 << 20]).unwrap();
    fs::write(folder.path().join(format!("{}.zst", Digest::ZERO)), encoder.finish().unwrap()).unwrap();
    let error = blobs.read(Digest::ZERO, 1 << 30).unwrap_err();
    assert!(matches!(error, BlobError::Changed { .. }), "{error:?}");
}

#[test]
fn several_writers_may_put_the_same() {
    let folder = tempfile::tempdir().unwrap();
    let content = vec![7; 50_000];
    let writers = (0..8).map(|_| {
        let (blobs, content) = (Blobs::open(folder.path()).unwrap(), content.clone());
        std::thread::spawn(move || {
            for _ in 0..10 {
                let blob = blobs.put(&content).unwrap();
                assert_eq!(blobs.read(blob.sha256, 50_000).unwrap(), content);
            }
        })
    });
    writers.collect::<Vec<_>>().into_iter().for_each(|writer| writer.join().unwrap());
    assert_eq!(names(folder.path()), [format!("{}.zst", Digest::of(&content))]);
}

/// Is nothing as a test; `a_killed_writer_leaves_whole_blobs` runs it in a process of its own.
#[test]
fn puts_when_asked_to() {
    let Some(folder) = std::env::var_os(PUT_INTO) else { return };
    let blobs = Blobs::open(folder).unwrap();
    for number in 0..u64::MAX {
        let bytes = [1000, 100_000, 1_000_000][number as usize % 3];
        let content: Vec<u8> = number.to_be_bytes().into_iter().cycle().take(bytes).collect();
        println!("\nput={}", blobs.put(&content).unwrap().sha256);
    }
}

#[test]
fn a_killed_writer_leaves_whole_blobs() {
    let folder = tempfile::tempdir().unwrap();
    let mut acknowledged = BTreeSet::new();
    for round in 1..=8 {
        let mut process = Command::new(std::env::current_exe().unwrap())
            .args(["--exact", "blobs::puts_when_asked_to", "--nocapture"])
            .env(PUT_INTO, folder.path())
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let lines = BufReader::new(process.stdout.take().unwrap()).lines();
        let puts = lines.map_while(Result::ok).filter_map(|line| Some(line.strip_prefix("put=")?.to_owned()));
        acknowledged.extend(puts.take(round));
        process.kill().unwrap();
        process.wait().unwrap();
    }
    let blobs = Blobs::open(folder.path()).unwrap();
    let names = names(folder.path());
    for name in names.iter().filter(|name| !name.starts_with(".new-")) {
        let sha256 = name.trim_end_matches(".zst").parse().unwrap();
        blobs.read(sha256, 1 << 20).unwrap();
        acknowledged.remove(&sha256.to_string());
    }
    assert!(acknowledged.is_empty(), "{acknowledged:?}");
}
