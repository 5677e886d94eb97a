//! Tests a disk without room: a typed answer, nothing half written, and all well once there is room again.

use std::fs;
use std::process::Command;

use journal::{Blobs, Draft, Error, Journal};
use serde_json::json;

use crate::open;

/// A file system of one MiB in memory, as long as it lives.
struct SmallDisk(tempfile::TempDir);

impl SmallDisk {
    /// Mounts one, which only root may; says why not.
    fn mount() -> Result<Self, String> {
        let disk = Self(tempfile::tempdir().unwrap());
        let mut mount = Command::new("mount");
        mount.args(["-t", "tmpfs", "-o", "size=1m", "tmpfs"]).arg(disk.0.path());
        match mount.output() {
            Ok(output) if output.status.success() => Ok(disk),
            Ok(output) => Err(String::from_utf8_lossy(&output.stderr).into_owned()),
            Err(error) => Err(error.to_string()),
        }
    }
}

impl Drop for SmallDisk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("--lazy").arg(self.0.path()).output();
    }
}

fn large(number: i64) -> Draft {
    let body = json!({"number": number, "excerpt": "x".repeat(3000)});
    Draft { at_ms: number, incident: Some("inc".to_owned()), kind: "outcome".to_owned(), version: 1, body }
}

/// Appends, eight at a time, until there is no room; returns how many were acknowledged.
async fn fill(journal: &Journal) -> u64 {
    let mut acknowledged = 0;
    for _ in 0..100 {
        let appends = (0..8).map(|number| {
            let journal = journal.clone();
            tokio::spawn(async move { journal.append(large(number)).await })
        });
        let mut full = 0;
        for append in appends.collect::<Vec<_>>() {
            match append.await.unwrap() {
                Ok(_) => acknowledged += 1,
                Err(Error::Full { .. }) => full += 1,
                Err(error) => panic!("{error:?}"),
            }
        }
        if full == 8 {
            return acknowledged;
        }
    }
    panic!("more fits on the disk than it has room for");
}

#[tokio::test]
async fn a_journal_on_a_full_disk_says_so_and_goes_on_once_there_is_room() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: a small file system cannot be mounted: {why}"),
    };
    let ballast = disk.0.path().join("ballast");
    fs::write(&ballast, vec![1; 400 << 10]).unwrap();
    let path = disk.0.path().join("journal.db");
    let journal = open(&path).await;
    let mut acknowledged = fill(&journal).await;
    let check = async |journal: &Journal, entries: u64| {
        let found = journal.verify().await.unwrap();
        assert_eq!((found.entries, found.broken), (entries, None));
    };
    check(&journal, acknowledged).await;
    let error = journal.append(large(0)).await.unwrap_err();
    assert_eq!(error.to_string(), format!("no room on the disk for the journal `{}`", path.display()));

    fs::write(&ballast, vec![1; 300 << 10]).unwrap();
    acknowledged += fill(&journal).await;
    fs::remove_file(&ballast).unwrap();
    for number in 0..5 {
        journal.append(large(number)).await.unwrap();
    }
    check(&journal, acknowledged + 5).await;
    drop(journal);
    check(&open(&path).await, acknowledged + 5).await;
    println!("{acknowledged} entries before the end of the room");
}

#[test]
fn a_blob_on_a_full_disk_leaves_nothing() {
    let disk = match SmallDisk::mount() {
        Ok(disk) => disk,
        Err(why) => return println!("SKIPPED: a small file system cannot be mounted: {why}"),
    };
    let blobs = Blobs::open(disk.0.path().join("blobs")).unwrap();
    // Nothing that shrinks.
    let mut state: u64 = 1;
    let mut noise = || {
        state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        (state >> 33) as u8
    };
    let bytes: Vec<u8> = (0..2 << 20).map(|_| noise()).collect();
    let error = blobs.put(&bytes).unwrap_err();
    let journal::BlobError::Write { source, .. } = error else { panic!("{error:?}") };
    assert_eq!(source.kind(), std::io::ErrorKind::StorageFull);
    assert_eq!(fs::read_dir(disk.0.path().join("blobs")).unwrap().count(), 0);
    blobs.put(&bytes[..100_000]).unwrap();
}
