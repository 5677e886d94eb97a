//! Owns the history of the checks of one server's data: a line for each, and since when there is damage.

use std::fs::{File, OpenOptions};
use std::io::{self, BufRead as _, BufReader, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::check::Report;
use crate::compare::Change;

/// So many damaged paths of one tree are remembered.
const NAMED_MAX: usize = 50;
/// A history of this size loses its older half.
const BYTES_MAX: u64 = 4 << 20;

/// One check of all trees of a server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Past {
    /// When it began: milliseconds since 1970.
    pub at_ms: i64,
    /// Whether every file was read.
    pub reads_all: bool,
    /// Its trees.
    pub trees: Vec<PastTree>,
}

/// What one check found in one tree.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PastTree {
    /// The tree.
    pub root: PathBuf,
    /// Whether it was whole; nothing where it could not be looked at.
    pub is_whole: Option<bool>,
    /// How many of its things were damaged.
    #[serde(default)]
    pub damaged: u64,
    /// The first of them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub named: Vec<String>,
    /// Whether one of them was rotten: only a check that reads everything says anything against that.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub is_rotten: bool,
    /// Why it could not be looked at.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// Between which two checks the damage of now began.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Since {
    /// The last check that found nothing of this damage and would have, if there was one: milliseconds since 1970.
    pub last_whole_ms: Option<i64>,
    /// The first that found it.
    pub first_damaged_ms: i64,
}

/// The file of a history.
#[derive(Clone, Debug)]
pub struct History(PathBuf);

// === impl Past ===

impl Past {
    /// Whether all trees were whole: `None` if none was damaged and one could not be looked at.
    pub fn is_whole(&self) -> Option<bool> {
        let answers = || self.trees.iter().map(|tree| tree.is_whole);
        match (answers().any(|one| one == Some(false)), answers().all(|one| one == Some(true))) {
            (true, _) => Some(false),
            (false, true) => Some(true),
            (false, false) => None,
        }
    }
}

// === impl PastTree ===

impl PastTree {
    /// What is remembered of a report.
    pub fn of(report: &Report) -> Self {
        let damaged = report.differences.iter().filter(|one| one.is_damage);
        Self {
            root: report.root.clone(),
            is_whole: Some(report.is_whole),
            damaged: report.damaged,
            named: damaged.take(NAMED_MAX).map(|one| one.path.as_path().display().to_string()).collect(),
            is_rotten: report.counts.contains_key(&Change::Rotten),
            problem: report.is_empty.then(|| "everything is gone: is its disk mounted?".to_owned()),
        }
    }
}

// === impl History ===

impl History {
    /// The history in this file; it need not be there yet.
    pub fn at(path: PathBuf) -> Self {
        Self(path)
    }

    /// Adds a check, on disk before this returns.
    ///
    /// # Errors
    /// If the disk does not take it.
    pub fn add(&self, past: &Past) -> io::Result<()> {
        if self.0.metadata().is_ok_and(|file| file.len() > BYTES_MAX) {
            self.halve()?;
        }
        let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(&self.0)?;
        let mut line = serde_json::to_vec(past)?;
        line.push(b'\n');
        file.write_all(&line)?;
        file.sync_data()
    }

    /// All checks, oldest first. A line that was cut by a crash is passed over.
    ///
    /// # Errors
    /// If the file is there and cannot be read.
    pub fn read(&self) -> io::Result<Vec<Past>> {
        let file = match File::open(&self.0) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            opened => opened?,
        };
        let lines = BufReader::new(file.take(2 * BYTES_MAX)).split(b'\n');
        let pasts = lines.map(|line| Ok(serde_json::from_slice(&line?).ok()));
        pasts.filter_map(Result::transpose).collect()
    }

    /// Gives up the older half, in one stroke.
    fn halve(&self) -> io::Result<()> {
        let pasts = self.read()?;
        let beside = self.0.with_extension("new");
        let mut file =
            OpenOptions::new().create(true).write(true).truncate(true).mode(0o600).open(&beside)?;
        for past in &pasts[pasts.len() / 2..] {
            serde_json::to_writer(&mut file, past)?;
            file.write_all(b"\n")?;
        }
        file.sync_all()?;
        std::fs::rename(&beside, &self.0)
    }
}

/// Since when there is the damage that the last check found; nothing if it found none.
///
/// A check that does not read every file says nothing against damage that a full one found before, nor for a file that
/// is rotten now.
pub fn damaged_since(pasts: &[Past]) -> Option<Since> {
    let mut since: Option<Since> = None;
    let (mut last_whole_ms, mut last_full_ms) = (None, None);
    for past in pasts {
        let is_rotten = past.trees.iter().any(|tree| tree.is_rotten);
        let whole_ms = if is_rotten { last_full_ms } else { last_whole_ms };
        match (past.is_whole(), &mut since) {
            (Some(false), None) => {
                since = Some(Since { last_whole_ms: whole_ms, first_damaged_ms: past.at_ms });
            }
            (Some(false), Some(since)) if is_rotten => since.last_whole_ms = last_full_ms,
            (Some(true), open) if open.is_none() || past.reads_all => {
                last_whole_ms = Some(past.at_ms);
                last_full_ms = if past.reads_all { last_whole_ms } else { last_full_ms };
                since = None;
            }
            _ => {}
        }
    }
    since
}

#[cfg(test)]
mod tests {
    use super::*;

    fn past(at_ms: i64, is_whole: Option<bool>) -> Past {
        let tree = |is_whole| PastTree {
            root: "/srv".into(),
            is_whole,
            damaged: 0,
            named: vec![],
            is_rotten: false,
            problem: None,
        };
        Past { at_ms, reads_all: true, trees: vec![tree(Some(true)), tree(is_whole)] }
    }

    #[test]
    fn since_when() {
        let check = |answers: &[Option<bool>], expected: Option<(Option<i64>, i64)>| {
            let pasts: Vec<Past> = (1..).zip(answers).map(|(at_ms, one)| past(at_ms, *one)).collect();
            let since = damaged_since(&pasts).map(|since| (since.last_whole_ms, since.first_damaged_ms));
            assert_eq!(since, expected, "{answers:?}");
        };
        let (good, bad, unknown) = (Some(true), Some(false), None);
        check(&[], None);
        check(&[good], None);
        check(&[bad], Some((None, 1)));
        check(&[good, good, bad, bad], Some((Some(2), 3)));
        check(&[good, unknown, bad, unknown], Some((Some(1), 3)));
        check(&[good, bad, good], None);
        check(&[good, bad, good, bad], Some((Some(3), 4)));
        check(&[unknown], None);
    }

    #[test]
    fn a_check_that_does_not_read_everything_takes_nothing_back() {
        let quick = |at_ms, is_whole| Past { reads_all: false, ..past(at_ms, Some(is_whole)) };
        let since = damaged_since(&[quick(1, true), past(2, Some(false)), quick(3, true)]).unwrap();
        assert_eq!(since, Since { last_whole_ms: Some(1), first_damaged_ms: 2 });
        assert_eq!(damaged_since(&[past(2, Some(false)), quick(3, true), past(4, Some(true))]), None);
    }

    #[test]
    fn what_is_rotten_was_last_whole_when_it_was_last_read() {
        let quick = |at_ms| Past { reads_all: false, ..past(at_ms, Some(true)) };
        let rotten = |at_ms| {
            let mut one = past(at_ms, Some(false));
            one.trees[1].is_rotten = true;
            one
        };
        let check = |pasts: &[Past], last_whole_ms: Option<i64>, first_damaged_ms: i64| {
            assert_eq!(damaged_since(pasts), Some(Since { last_whole_ms, first_damaged_ms }), "{pasts:?}");
        };
        check(&[past(1, Some(true)), quick(2), rotten(3)], Some(1), 3);
        check(&[quick(2), rotten(3)], None, 3);
        // Another damage was found before, and this one is older.
        check(&[past(1, Some(true)), quick(2), past(3, Some(false)), rotten(4)], Some(1), 3);
    }

    #[test]
    fn a_history_outlives_a_cut_and_stays_small() {
        let folder = tempfile::tempdir().unwrap();
        let history = History::at(folder.path().join("checks.jsonl"));
        assert_eq!(history.read().unwrap(), []);
        history.add(&past(1, Some(true))).unwrap();
        OpenOptions::new().append(true).open(&history.0).unwrap().write_all(b"{\"at_ms\":2,\n").unwrap();
        history.add(&past(3, None)).unwrap();
        assert_eq!(history.read().unwrap(), [past(1, Some(true)), past(3, None)]);
        let long = Past {
            trees: vec![PastTree { problem: Some("x".repeat(1 << 20)), ..past(4, None).trees.remove(0) }],
            ..past(4, None)
        };
        for _ in 0..20 {
            history.add(&long).unwrap();
        }
        assert!(history.0.metadata().unwrap().len() <= BYTES_MAX + 3 * (1 << 20));
        assert_eq!(history.read().unwrap().last(), Some(&long));
    }
}
