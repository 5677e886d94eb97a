//! Owns throwing changed words and ends at a journal that systemd has written: reading it ends, bounded, and what it hands on can be
//! written down.
#![no_main]

use std::cell::Cell;
use std::fs;
use std::ops::ControlFlow;
use std::path::PathBuf;
use std::sync::LazyLock;

use libfuzzer_sys::fuzz_target;
use logs::journal::{Wanted, read};

const SAMPLES: [&[u8]; 2] = [
    include_bytes!("../../crates/logs/src/journal/samples/regular.journal.zst"),
    include_bytes!("../../crates/logs/src/journal/samples/compact.journal.zst"),
];
/// Both are 8 MiB, with nothing behind this.
const USED_BYTES: usize = 600_000;

static FILES: LazyLock<[Vec<u8>; 2]> = LazyLock::new(|| {
    SAMPLES.map(|sample| {
        let mut bytes = zstd::decode_all(sample).expect("it is packed so");
        bytes.truncate(USED_BYTES);
        bytes
    })
});

static PATH: LazyLock<(tempfile::TempDir, PathBuf)> = LazyLock::new(|| {
    let folder = tempfile::tempdir_in("/dev/shm").expect("a folder of our own");
    let path = folder.path().join("x.journal");
    (folder, path)
});

fuzz_target!(|input: (bool, bool, Option<u32>, Vec<(u32, u8, u64)>)| {
    let (is_compact, is_of_unit, end, changes) = input;
    let mut bytes = FILES[usize::from(is_compact)].clone();
    for (at, kind, word) in changes {
        let at = at as usize % (USED_BYTES - 8);
        match kind % 3 {
            0 => bytes[at] = word as u8,
            1 => bytes[at / 8 * 8..at / 8 * 8 + 8].copy_from_slice(&word.to_le_bytes()),
            // A place in the file, as chains have it.
            _ => bytes[at / 8 * 8..at / 8 * 8 + 8]
                .copy_from_slice(&(word % USED_BYTES as u64 / 8 * 8).to_le_bytes()),
        }
    }
    bytes.truncate(end.map_or(USED_BYTES, |end| end as usize % USED_BYTES));
    fs::write(&PATH.1, bytes).expect("the file can be written");
    let unit = is_of_unit.then_some("mcp-server-mem.service");
    let wanted = Wanted { unit, entries_max: 500, ..Wanted::default() };
    let steps = Cell::new(0_u32);
    let go_on = || {
        steps.set(steps.get() + 1);
        steps.get() < 1_000_000
    };
    let mut line = String::new();
    let _ = read(std::slice::from_ref(&PATH.1), &wanted, go_on, |entry| {
        line.clear();
        entry.write_json(&mut line);
        serde_json::from_str::<serde_json::Value>(&line).expect("it is JSON");
        ControlFlow::Continue(())
    });
    assert!(steps.get() < 1_000_000, "it goes round in circles");
});
