//! Owns throwing any records at the reader of the log and of checkpoints, the chunks in them included: what comes back has
//! to be a store that goes on, and that comes back once more as it is.
#![no_main]

use std::collections::BTreeMap;
use std::io::{self, Cursor, Read};
use std::sync::{Arc, Mutex};

use libfuzzer_sys::fuzz_target;
use metrics::{Disk, Files, Labels, Limits, Store};

const LIMITS: Limits = Limits { retention_ms: 1_000_000, series_max: 50, samples_per_series_max: 1_000 };
const NOW_MS: i64 = 500_000;

/// Files in memory.
#[derive(Clone, Default)]
struct Memory(Arc<Mutex<BTreeMap<String, Vec<u8>>>>);

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.0.lock().unwrap().keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn Read>> {
        Ok(Box::new(Cursor::new(self.0.lock().unwrap()[name].clone())))
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.entry(name.to_owned()).or_default();
        file.truncate(offset as usize);
        file.extend_from_slice(bytes);
        Ok(())
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.0.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.0.lock().unwrap().remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

/// CRC-32, so that records get as far as their payload.
fn crc(bytes: &[u8]) -> u32 {
    !bytes.iter().fold(u32::MAX, |crc, byte| {
        (0..8).fold(crc ^ u32::from(*byte), |crc, _| (crc >> 1) ^ (0xedb8_8320 & 0u32.wrapping_sub(crc & 1)))
    })
}

fn file(magic: &[u8; 8], records: &[&[u8]]) -> Vec<u8> {
    let mut file = [&magic[..], &1u32.to_le_bytes()].concat();
    for record in records.iter().filter(|record| !record.is_empty()) {
        file.extend((record.len() as u32).to_le_bytes());
        file.extend(crc(record).to_le_bytes());
        file.extend_from_slice(record);
    }
    file
}

fuzz_target!(|input: (Vec<&[u8]>, Vec<&[u8]>)| {
    let (checkpoint, log) = input;
    let memory = Memory::default();
    memory.0.lock().unwrap().insert("checkpoint-00000001".to_owned(), file(b"PMDC-CHK", &checkpoint));
    memory.0.lock().unwrap().insert("log-00000001".to_owned(), file(b"PMDC-LOG", &log));
    let open = || {
        let mut store = Store::new(LIMITS);
        let (disk, recovery) = Disk::open_in(Box::new(memory.clone()), 0, &mut store, NOW_MS).unwrap();
        (Mutex::new(store), disk, recovery)
    };
    let (store, mut disk, _) = open();
    let target = Labels::from_iter([("server_name", "fuzz")]);
    store.lock().unwrap().scrape(&target, "a_total 1\nb 2\n", NOW_MS);
    disk.checkpoint(&store).unwrap();
    let (again, _, recovery) = open();
    assert!(recovery.damage.is_empty(), "{recovery:?}");
    assert_eq!(again.lock().unwrap().size(), store.lock().unwrap().size());
});
