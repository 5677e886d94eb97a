//! Owns the tests of the files of a store: killed at every byte, on a full disk, and what is broken.

use std::collections::BTreeMap;
use std::io::Cursor;
use std::sync::Arc;

use proptest::prelude::*;

use super::*;
use crate::frame::HEADER_BYTES;
use crate::labels::Labels;
use crate::store::Limits;

const LIMITS: Limits = Limits { retention_ms: 1_000_000, series_max: 100, samples_per_series_max: 100_000 };

/// A disk in memory. When `room` is used up, a write stops in the middle and fails.
#[derive(Clone, Default)]
struct Memory {
    files: Arc<Mutex<BTreeMap<String, Vec<u8>>>>,
    room: Arc<Mutex<Option<usize>>>,
}

impl Files for Memory {
    fn list(&self) -> io::Result<Vec<String>> {
        Ok(self.files.lock().unwrap().keys().cloned().collect())
    }

    fn read(&self, name: &str) -> io::Result<Box<dyn io::Read>> {
        let files = self.files.lock().unwrap();
        Ok(Box::new(Cursor::new(files.get(name).ok_or(io::ErrorKind::NotFound)?.clone())))
    }

    fn write_at(&mut self, name: &str, offset: u64, bytes: &[u8]) -> io::Result<()> {
        let (mut room, mut files) = (self.room.lock().unwrap(), self.files.lock().unwrap());
        let file = files.entry(name.to_owned()).or_default();
        let offset = offset as usize;
        assert!(offset <= file.len(), "{name} has no byte {offset}");
        let fits = room.map_or(bytes.len(), |room| room.min(bytes.len()));
        let end = (offset + fits).max(file.len());
        file.resize(end, 0);
        file[offset..offset + fits].copy_from_slice(&bytes[..fits]);
        if let Some(room) = room.as_mut() {
            *room -= fits;
        }
        if fits < bytes.len() { Err(io::ErrorKind::StorageFull.into()) } else { Ok(()) }
    }

    fn sync(&mut self, _: &str) -> io::Result<()> {
        Ok(())
    }

    fn rename(&mut self, from: &str, to: &str) -> io::Result<()> {
        let mut files = self.files.lock().unwrap();
        let file = files.remove(from).ok_or(io::ErrorKind::NotFound)?;
        files.insert(to.to_owned(), file);
        Ok(())
    }

    fn remove(&mut self, name: &str) -> io::Result<()> {
        self.files.lock().unwrap().remove(name).map(|_| ()).ok_or_else(|| io::ErrorKind::NotFound.into())
    }
}

impl Memory {
    fn open(&self, now_ms: i64) -> (Mutex<Store>, Disk, Recovery) {
        let mut store = Store::new(LIMITS);
        let (disk, recovery) = Disk::open_in(Box::new(self.clone()), 0, &mut store, now_ms).unwrap();
        (Mutex::new(store), disk, recovery)
    }

    /// Another disk with the same files.
    fn copy(&self) -> Self {
        let files = self.files.lock().unwrap().clone();
        Self { files: Arc::new(Mutex::new(files)), room: Arc::default() }
    }

    fn cut(&self, name: &str, length: usize) {
        self.files.lock().unwrap().get_mut(name).unwrap().truncate(length);
    }

    fn only(&self) -> (String, usize) {
        let files = self.files.lock().unwrap();
        assert_eq!(files.len(), 1, "{:?}", files.keys());
        files.iter().map(|(name, file)| (name.clone(), file.len())).next().unwrap()
    }
}

fn target(name: &str) -> Labels {
    Labels::from_iter([("server_name", name)])
}

/// Everything that a store holds.
fn all(store: &Mutex<Store>) -> Vec<String> {
    let store = store.lock().unwrap();
    let shown = store.select(None).map(|(labels, series)| {
        let samples = series.all().map(|(at_ms, value)| format!(" {:x}@{at_ms}", value.to_bits()));
        labels.to_string() + &samples.collect::<String>()
    });
    shown.collect()
}

/// Lets something happen to a store, the same for the same number.
fn happen(store: &Mutex<Store>, step: i64) {
    let mut store = store.lock().unwrap();
    let now_ms = 1_000 + step * 100;
    let odd = if step % 3 == 0 { "odd 0.1\n" } else { "" };
    let page = format!("a_total {step}\nb{{l=\"é\"}} -{step}.5\n{odd}nan NaN\nstamped 1 {}\n", now_ms - 7);
    match step % 8 {
        0 | 4 => store.append(&Labels::metric("up", &[]), now_ms, 1.0).unwrap(),
        3 => {
            store.scrape_failed(&target("a"), now_ms);
        }
        7 => store.forget("server_name", "b"),
        5 => {
            let mut scrape = store.begin_scrape(&target("b"), crate::Format::Text, now_ms);
            page.as_bytes().chunks(9).for_each(|piece| scrape.feed(&mut store, piece));
            scrape.close(&mut store);
        }
        index => {
            store.scrape(&target(if index == 6 { "b" } else { "a" }), &page, now_ms);
        }
    }
}

#[test]
fn what_was_written_comes_back_and_goes_on() {
    let memory = Memory::default();
    let (never, mut plain) = (Mutex::new(Store::new(LIMITS)), 0);
    for run in 0..5 {
        let (store, mut disk, recovery) = memory.open(1_000);
        assert_eq!(recovery.damage, []);
        assert_eq!(all(&store), all(&never), "run {run}");
        for step in run * 10..run * 10 + 10 {
            happen(&store, step);
            happen(&never, step);
            disk.flush(&store, 0).unwrap();
            plain += 1;
        }
        if run % 2 == 1 {
            disk.checkpoint(&store).unwrap();
            memory.only();
        }
        assert_eq!(all(&store), all(&never), "run {run}: zeros and ends as if there had been no restart");
    }
    assert_eq!(plain, 50);
}

#[test]
fn cut_at_every_byte_what_was_whole_comes_back() {
    let memory = Memory::default();
    let (store, mut disk, _) = memory.open(1_000);
    let (mut states, mut in_pieces) = (vec![(0, all(&store))], Vec::new());
    for step in 0..20 {
        happen(&store, step);
        disk.flush(&store, 0).unwrap();
        let end = memory.only().1;
        if step % 8 == 5 {
            in_pieces.push(states[states.len() - 1].0..end);
        }
        states.push((end, all(&store)));
    }
    let (name, length) = memory.only();
    for cut in 0..length {
        let cut_disk = memory.copy();
        cut_disk.cut(&name, cut);
        let (store, mut disk, recovery) = cut_disk.open(1_000);
        let (whole, expected) = &states[states.partition_point(|(end, _)| *end <= cut) - 1];
        assert!(recovery.damage.len() <= 1, "cut at {cut}: {:?}", recovery.damage);
        if cut == *whole && cut >= HEADER_BYTES {
            assert_eq!(recovery.damage, [], "cut at {cut}");
        }
        // A scrape in pieces is several records, of which those that are whole count.
        let found = all(&store);
        if !in_pieces.iter().any(|range| range.contains(&cut)) {
            assert_eq!(&found, expected, "cut at {cut}");
        }
        // It goes on after that.
        happen(&store, 100);
        disk.flush(&store, 0).unwrap();
        let (again, _, _) = cut_disk.open(1_000);
        assert_eq!(all(&again), all(&store), "cut at {cut}");
    }
}

#[test]
fn a_checkpoint_that_was_cut_is_named_and_what_was_whole_is_used() {
    let memory = Memory::default();
    let (store, mut disk, _) = memory.open(1_000);
    (0..20).for_each(|step| happen(&store, step));
    disk.checkpoint(&store).unwrap();
    happen(&store, 24);
    disk.flush(&store, 0).unwrap();
    let (before, name) = (all(&store), "checkpoint-00000002");
    let (length, mut most) = (memory.files.lock().unwrap()[name].len(), 0);
    for cut in 0..length {
        let cut_disk = memory.copy();
        cut_disk.cut(name, cut);
        let (store, _, recovery) = cut_disk.open(1_000);
        let found = all(&store);
        // A cut between two records looks like an end; nothing tells how many series there were.
        assert!(recovery.damage.len() <= 1 && recovery.damage.iter().all(|damage| damage.file == name));
        assert!(found.len() >= most, "a longer checkpoint holds as much as a shorter one");
        most = found.len();
        // The log stands for itself.
        assert!(found.iter().any(|line| line.starts_with("up ") && line.ends_with("@3400")), "{found:?}");
        let is_known = |line: &String| before.contains(line) || line.starts_with("up ");
        assert!(found.iter().all(is_known), "cut at {cut}: {found:?}");
    }
    assert_eq!(most, before.len());
}

#[test]
fn what_is_corrupt_in_the_middle_costs_the_rest_of_its_segment_only() {
    let memory = Memory::default();
    for run in 0..3 {
        let (store, mut disk, _) = memory.open(1_000);
        for step in run * 10..run * 10 + 5 {
            happen(&store, step);
        }
        disk.flush(&store, 0).unwrap();
    }
    let middle = memory.files.lock().unwrap()["log-00000002"].len() / 2;
    memory.files.lock().unwrap().get_mut("log-00000002").unwrap()[middle] ^= 1;
    let (store, mut disk, recovery) = memory.open(1_000);
    assert_eq!(recovery.damage.len(), 1);
    assert_eq!(recovery.damage[0].file, "log-00000002");
    let found = all(&store).concat();
    assert!(found.contains("@1000") && found.contains("@3400"), "{found}");
    disk.checkpoint(&store).unwrap();
    assert_eq!(memory.open(1_000).2.damage, [], "a checkpoint makes what is broken superfluous");
}

#[test]
fn a_full_disk_loses_nothing_that_is_in_memory() {
    let whole = Memory::default();
    let (store, mut disk, _) = whole.open(1_000);
    (0..6).for_each(|step| happen(&store, step));
    disk.flush(&store, 0).unwrap();
    for room in 0..whole.only().1 {
        let memory = Memory::default();
        let (store, mut disk, _) = memory.open(1_000);
        *memory.room.lock().unwrap() = Some(room);
        for step in 0..6 {
            happen(&store, step);
            let _ = disk.flush(&store, 0);
        }
        let error = disk.flush(&store, 0).unwrap_err();
        assert!(error.to_string().ends_with("of the samples cannot be written"), "{error}");
        assert!(disk.checkpoint(&store).is_err());
        *memory.room.lock().unwrap() = None;
        disk.flush(&store, 0).unwrap();
        let (again, _, recovery) = memory.open(1_000);
        assert_eq!((all(&again), recovery.damage), (all(&store), vec![]), "with room for {room} bytes");
    }
}

#[test]
fn a_checkpoint_that_fails_changes_nothing() {
    let memory = Memory::default();
    let (store, mut disk, _) = memory.open(1_000);
    (0..8).for_each(|step| happen(&store, step));
    disk.checkpoint(&store).unwrap();
    (8..20).for_each(|step| happen(&store, step));
    disk.flush(&store, 0).unwrap();
    for room in 0..200 {
        *memory.room.lock().unwrap() = Some(room);
        assert!(disk.checkpoint(&store).is_err());
        let (again, _, recovery) = memory.copy().open(1_000);
        assert_eq!((all(&again), recovery.damage), (all(&store), vec![]), "with room for {room} bytes");
    }
}

#[test]
fn records_that_nobody_could_write_are_made_up_for_by_a_checkpoint() {
    let memory = Memory::default();
    let (store, mut disk, _) = memory.open(1_000);
    *memory.room.lock().unwrap() = Some(0);
    let labels = "x".repeat(60_000);
    for index in 0..400 {
        let series = Labels::metric("m", &[("l", &format!("{index}{labels}"))]);
        let mut store = store.lock().unwrap();
        store.append(&series, 1_000 + index, 0.5).unwrap();
        if index >= 50 {
            store.forget("l", &format!("{}{labels}", index - 50));
        }
    }
    assert!(disk.flush(&store, 0).is_err());
    assert!(store.lock().unwrap().take_records().2 > 0, "some were given up");
    *memory.room.lock().unwrap() = None;
    disk.flush(&store, 0).unwrap();
    let (again, _, recovery) = memory.open(1_000);
    assert_eq!((all(&again), recovery.damage), (all(&store), vec![]));
}

#[test]
fn what_is_of_a_later_version_is_refused_and_stays() {
    let memory = Memory::default();
    let file = frame::header(LOG, VERSION + 1).to_vec();
    memory.files.lock().unwrap().insert("log-00000001".to_owned(), file.clone());
    let mut store = Store::new(LIMITS);
    let error = Disk::open_in(Box::new(memory.clone()), 0, &mut store, 0).unwrap_err();
    assert!(error.to_string().starts_with("file `log-00000001` of the samples is in format 2"), "{error}");
    assert_eq!(memory.files.lock().unwrap()["log-00000001"], file);
}

#[test]
fn samples_from_the_future_are_dropped_at_a_start() {
    let memory = Memory::default();
    let (store, mut disk, _) = memory.open(1_000);
    store.lock().unwrap().append(&Labels::metric("late", &[]), 10_000_000, 1.0).unwrap();
    store.lock().unwrap().append(&Labels::metric("up", &[]), 1_000, 1.0).unwrap();
    disk.flush(&store, 0).unwrap();
    let (store, _, recovery) = memory.open(1_000);
    assert_eq!(all(&store).len(), 1);
    assert_eq!(recovery.damage[0].message, "1 series have samples from the future, and are dropped");
}

/// Frozen: a later version has to read what this one wrote.
#[test]
fn the_first_format_is_read() {
    let record = |payload: &[u8]| {
        let mut bytes = Vec::new();
        frame::put(&mut bytes, |record| record.extend_from_slice(payload));
        bytes
    };
    let log = [
        frame::header(LOG, 1).to_vec(),
        record(b"\x01\x00\x01\x00\x08__name__\x02up\x01\x02\x00\x08__name__\x01c\x00\x01s\x01a"),
        record(b"\x03\xd0\x0f\x01\x02"),
        record(b"\x02\x01\x01\x03\xd0\x0f\x16\xc7\x01\x00\x00\x00\x00\x00\x00\xe0\x3f"),
    ];
    let memory = Memory::default();
    memory.files.lock().unwrap().insert("log-00000001".to_owned(), log.concat());
    let (store, _, recovery) = memory.open(1_000);
    assert_eq!(recovery.damage, []);
    assert_eq!(all(&store), ["c{s=\"a\"} 3fe0000000000000@900", "up 3ff0000000000000@1000"]);
}

#[test]
fn a_folder_of_this_machine_is_as_good() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("metrics");
    let open = || {
        let mut store = Store::new(LIMITS);
        let (disk, recovery) = Disk::open(&path, 0, &mut store, 1_000).unwrap();
        assert_eq!(recovery.damage, []);
        (Mutex::new(store), disk)
    };
    let (store, mut disk) = open();
    std::fs::write(path.join(UNFINISHED), "x".repeat(100_000)).unwrap();
    for step in 0..20 {
        happen(&store, step);
        disk.flush(&store, step).unwrap();
        if step % 6 == 0 {
            disk.checkpoint(&store).unwrap();
        }
    }
    let before = all(&store);
    disk.close(&store, 100).unwrap();
    assert_eq!(all(&open().0), before);
    let unusable = folder.path().join("file");
    std::fs::write(&unusable, "").unwrap();
    let error = Disk::open(&unusable, 0, &mut Store::new(LIMITS), 0).unwrap_err();
    assert!(error.to_string().starts_with("samples cannot be kept in the folder"), "{error}");
}

proptest! {
    #[test]
    fn any_bytes_are_read_without_panic(
        log in prop::collection::vec(any::<u8>(), 0..60),
        checkpoint in prop::collection::vec(any::<u8>(), 0..60),
    ) {
        let memory = Memory::default();
        for (name, magic, payload) in [("log-00000001", LOG, &log), ("checkpoint-00000001", CHECKPOINT, &checkpoint)] {
            let mut file = frame::header(magic, 1).to_vec();
            for kind in 1..5 {
                frame::put(&mut file, |bytes| {
                    bytes.push(kind);
                    bytes.extend_from_slice(payload);
                });
            }
            memory.files.lock().unwrap().insert(name.to_owned(), file);
        }
        let (store, mut disk, _) = memory.open(1_000);
        happen(&store, 0);
        disk.checkpoint(&store).unwrap();
    }
}
