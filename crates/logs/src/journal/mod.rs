//! Owns reading journals of systemd from their files: what one unit has said and what was said of it, or everything, by time
//! and by place, over all files as one.
//!
//! It needs no `journalctl`, which may be missing or hang on a machine in trouble, and reads the files of a machine that is not
//! running. Files with a feature that is not known here are an error, for `journalctl` to read.

mod entry;
mod file;

use std::cmp::Ordering;
use std::fs;
use std::io;
use std::ops::ControlFlow;
use std::path::{Path, PathBuf};

use thiserror::Error;

use file::{EntryList, Head, JournalFile};

pub use entry::{Cursor, Entry};

/// A machine keeps a hundred of them at most.
const FILES_MAX: usize = 1000;
/// Places of entries that are held while they are put in order: 100 bytes each.
const PLACES_MAX: usize = 2_000_000;
/// A message of systemd that tells of a core dump.
const COREDUMP: &[u8] = b"MESSAGE_ID=fc2e22bc6ee647b6b90729ab34a250b1";

/// What a failed reading says.
#[derive(Debug, Error)]
pub enum Error {
    /// A file could not be opened.
    #[error("opening `{}`", path.display())]
    Open {
        /// The file.
        path: PathBuf,
        /// Why not.
        source: io::Error,
    },
    /// It is of a form that is not known here.
    #[error("`{}` can not be read here: {what}", path.display())]
    Unknown {
        /// The file.
        path: PathBuf,
        /// What is not known about it.
        what: &'static str,
    },
}

/// What is wanted.
#[derive(Clone, Debug, Default)]
pub struct Wanted<'w> {
    /// What this unit has said, and what was said of it by those who may; without it, everything.
    pub unit: Option<&'w str>,
    /// From this moment on, in microseconds since the Unix epoch.
    pub since_us: Option<u64>,
    /// Until this moment.
    pub until_us: Option<u64>,
    /// Only what comes after this place.
    pub after: Option<&'w Cursor>,
    /// So many at most: the newest, or after a place the next ones.
    pub entries_max: usize,
    /// Whether the newest come first.
    pub newest_first: bool,
}

/// How a reading ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Read {
    /// How many entries were handed on.
    pub entries: usize,
    /// Whether there was more than that.
    pub is_cut: bool,
}

/// The journals below `root` (`/` for this machine), persistent and volatile, by name: those of its own machine-id, where that
/// is known.
pub fn files(root: &Path) -> Vec<PathBuf> {
    let id = fs::read_to_string(root.join("etc/machine-id")).unwrap_or_default();
    let id = id.trim();
    let folders = ["var/log/journal", "run/log/journal"].map(|folder| root.join(folder));
    let mut found = Vec::new();
    for folder in folders {
        let own = folder.join(id);
        found.extend(if !id.is_empty() && own.is_dir() { files_in(&own) } else { files_in(&folder) });
    }
    found
}

/// The journals in a folder and in the folders right below it, by name.
pub fn files_in(folder: &Path) -> Vec<PathBuf> {
    let list = |folder: &Path| -> Vec<PathBuf> {
        let entries = fs::read_dir(folder).into_iter().flatten().flatten();
        let mut paths: Vec<PathBuf> = entries.take(FILES_MAX).map(|entry| entry.path()).collect();
        paths.sort();
        paths
    };
    let is_journal = |path: &PathBuf| {
        path.extension().is_some_and(|extension| extension == "journal" || extension == "journal~")
    };
    let (folders, files): (Vec<_>, Vec<_>) = list(folder).into_iter().partition(|path| path.is_dir());
    let below = folders.iter().flat_map(|folder| list(folder));
    files.into_iter().chain(below).filter(is_journal).take(FILES_MAX).collect()
}

/// Hands on what is wanted of these files until `take` says that it is enough.
///
/// Blocks. What of a file is damaged is left out. Between two entries `take` is called, and while the places of many are
/// looked for, `go_on`: where that says no, what was found until then is all.
///
/// # Errors
/// When a file cannot be opened, or has a form that is not known here. Then nothing was handed on.
pub fn read(
    paths: &[PathBuf],
    wanted: &Wanted<'_>,
    go_on: impl Fn() -> bool,
    mut take: impl FnMut(&Entry) -> ControlFlow<()>,
) -> Result<Read, Error> {
    let mut files = Vec::new();
    for path in paths {
        let mut file = match JournalFile::open(path) {
            // It was thrown away since its folder was read.
            Err(Error::Open { source, .. }) if source.kind() == io::ErrorKind::NotFound => continue,
            opened => opened?,
        };
        let (first_us, last_us) = file.times_us();
        // The header of a file that is written to may be a moment behind.
        let is_over = file_is_over(last_us, wanted.since_us);
        if is_over || wanted.until_us.is_some_and(|until| first_us > until) {
            continue;
        }
        let lists = lists(&mut file, wanted.unit);
        files.push(Walk { file, lists, current: None });
    }
    let (mut places, is_cut) = places(&mut files, wanted, go_on);
    if wanted.newest_first {
        places.reverse();
    }
    let mut read = Read { entries: 0, is_cut };
    let mut data = Vec::new();
    for (number, head) in places {
        let file = &mut files[number].file;
        if file.data_of(head.offset, &mut data).is_none() {
            continue;
        }
        let entry = Entry { head, fields: data.iter().filter_map(|at| file.field(*at)).collect() };
        read.entries += 1;
        if take(&entry).is_break() {
            read.is_cut = true;
            break;
        }
    }
    Ok(read)
}

fn file_is_over(last_us: u64, since_us: Option<u64>) -> bool {
    since_us.is_some_and(|since| last_us != 0 && last_us < since)
}

/// The entries of one file, from the last one back.
struct Walk {
    file: JournalFile,
    lists: Vec<Part>,
    /// The next one that is not taken yet.
    current: Option<Head>,
}

/// A list of entries, of which only those count that have all of this too.
struct Part {
    list: EntryList,
    /// From where on they may be wanted, how many are left from the beginning, and the one at the end of those.
    begin: u64,
    left: u64,
    next: Option<Head>,
    needs: Vec<u64>,
}

/// What journalctl takes for what a unit has said, and what was said of it.
fn lists(file: &mut JournalFile, unit: Option<&str>) -> Vec<Part> {
    let Some(unit) = unit else {
        let list = file.entries();
        return vec![Part { begin: 0, left: list.len, list, next: None, needs: Vec::new() }];
    };
    let wanted: [(&str, &[&[u8]]); 4] = [
        ("_SYSTEMD_UNIT", &[]),
        ("UNIT", &[b"_PID=1"]),
        ("COREDUMP_UNIT", &[b"_UID=0", COREDUMP]),
        ("OBJECT_SYSTEMD_UNIT", &[b"_UID=0"]),
    ];
    let mut parts = Vec::new();
    for (name, needs) in wanted {
        let list = file.entries_with(format!("{name}={unit}").as_bytes());
        let needs: Option<Vec<u64>> =
            if list.len == 0 { None } else { needs.iter().map(|data| file.find(data)).collect() };
        parts.extend(needs.map(|needs| Part { begin: 0, left: list.len, list, next: None, needs }));
    }
    parts
}

/// Where the entries are that are wanted, oldest first, and whether there are more.
fn places(files: &mut [Walk], wanted: &Wanted<'_>, go_on: impl Fn() -> bool) -> (Vec<(usize, Head)>, bool) {
    let after = wanted.after.map(|cursor| cursor.head);
    let most = if after.is_some() { PLACES_MAX } else { wanted.entries_max.min(PLACES_MAX) };
    for walk in &mut *files {
        walk.begin(wanted);
    }
    let mut places: Vec<(usize, Head)> = Vec::new();
    let mut is_cut = false;
    loop {
        let newest = files.iter().enumerate().filter_map(|(number, walk)| Some((number, walk.current?)));
        let Some((number, head)) = newest.max_by(|one, other| order(&one.1, &other.1)) else { break };
        files[number].step();
        let is_too_new = wanted.until_us.is_some_and(|until| head.realtime_us > until);
        let is_too_old = wanted.since_us.is_some_and(|since| head.realtime_us < since);
        if after.is_some_and(|after| order(&head, &after) != Ordering::Greater) {
            break;
        }
        // Clocks are set back at times: what is too old may have something newer before it.
        let is_twice = places.last().is_some_and(|(_, last)| is_same(last, &head));
        if is_too_new || is_too_old || is_twice {
            if !go_on() {
                break;
            }
            continue;
        }
        if places.len() == most || !go_on() {
            is_cut = true;
            break;
        }
        places.push((number, head));
    }
    places.reverse();
    if after.is_some() && places.len() > wanted.entries_max {
        places.truncate(wanted.entries_max);
        is_cut = true;
    }
    (places, is_cut)
}

/// The order of sd-journal: by number where one journald has counted, by its clock within one start of the machine, or else
/// by the time of day.
fn order(one: &Head, other: &Head) -> Ordering {
    if one.seqnum_id == other.seqnum_id && one.seqnum != other.seqnum {
        return one.seqnum.cmp(&other.seqnum);
    }
    if one.boot_id == other.boot_id && one.monotonic_us != other.monotonic_us {
        return one.monotonic_us.cmp(&other.monotonic_us);
    }
    let by = |head: &Head| (head.realtime_us, head.xor_hash);
    by(one).cmp(&by(other))
}

/// The same entry in two files, as journald leaves it when it begins a new one.
fn is_same(one: &Head, other: &Head) -> bool {
    let by = |head: &Head| (head.boot_id, head.monotonic_us, head.realtime_us, head.xor_hash);
    by(one) == by(other) && (one.seqnum_id != other.seqnum_id || one.seqnum == other.seqnum)
}

// === impl Walk ===

impl Walk {
    /// Goes to the last entry that may be wanted.
    fn begin(&mut self, wanted: &Wanted<'_>) {
        for part in &mut self.lists {
            if let Some(before) = wanted.since_us.and_then(|since| since.checked_sub(1)) {
                part.begin = part.count_until(&mut self.file, before);
            }
            if let Some(until) = wanted.until_us {
                part.left = part.count_until(&mut self.file, until);
            }
            part.step(&mut self.file);
        }
        self.step();
    }

    /// Goes one back.
    fn step(&mut self) {
        self.current = None;
        let nexts = self.lists.iter().filter_map(|part| part.next.map(|head| head.offset));
        let Some(last) = nexts.max() else { return };
        for part in &mut self.lists {
            if let Some(head) = part.next.filter(|head| head.offset == last) {
                self.current = Some(head);
                part.step(&mut self.file);
            }
        }
    }
}

// === impl Part ===

impl Part {
    /// Goes to the one before that has all that it needs.
    fn step(&mut self, file: &mut JournalFile) {
        self.next = None;
        let mut data = Vec::new();
        while self.left > self.begin && self.next.is_none() {
            self.left -= 1;
            let Some(head) = file.entry(&self.list, self.left) else { continue };
            let has_all = self.needs.is_empty()
                || file.data_of(head.offset, &mut data).is_some()
                    && self.needs.iter().all(|needed| data.contains(needed));
            self.next = has_all.then_some(head);
        }
    }

    /// How many were written until then, by halves: times go up within a file, but for a clock that was set.
    fn count_until(&self, file: &mut JournalFile, until_us: u64) -> u64 {
        let (mut low, mut high) = (0, self.left);
        while low < high {
            let middle = low + (high - low) / 2;
            let is_before = file.entry(&self.list, middle).is_some_and(|head| head.realtime_us <= until_us);
            if is_before { low = middle + 1 } else { high = middle }
        }
        low
    }
}

#[cfg(test)]
mod tests;
