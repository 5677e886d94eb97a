//! Owns the decision what of a data directory goes when it has grown over its budget. Nothing is touched here.
//!
//! An incident goes as a whole: its entries, its runs, its reports, and the blobs that no other incident names.
//! Those that were closed longest ago go first, and no more than the budget asks for. What stays, whatever the
//! budget says:
//!
//! - everything of an incident that is open, was closed too short a time ago, or is not named by the caller;
//! - every blob that an incident that stays names, and every blob that was put within the last hour: the entry
//!   that names it may not be written yet;
//! - entries without an incident, but for those that the caller no longer needs ([`Stock::loose`]). They go before
//!   any incident does.
//!
//! Blobs that nobody names go first of all: a crash left them. If the caller does not name every incident of
//! the journal, they stay too.
//!
//! Measure first and ask which incidents are closed then: entries that are newer than the measurement make
//! the journal refuse the plan.

use std::collections::{BTreeMap, BTreeSet};

use serde::Serialize;

use crate::{BlobFile, Digest};

/// How long whoever wrote a blob may still need it although nothing shows that, in milliseconds: an hour between
/// the blob and the entry that names it, or between two pieces of an unfinished one, is more than any takes.
pub(crate) const GRACE_MS: i64 = 3_600_000;

/// How much may be kept, and what must be.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Retention {
    /// The budget for everything together, in bytes.
    pub bytes_max: u64,
    /// How long a closed incident stays at least, in milliseconds.
    pub keep_ms: i64,
}

/// What the caller knows of one incident.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Case {
    /// Its name.
    pub incident: String,
    /// When it was closed, in milliseconds since the Unix epoch; `None` while it is open.
    pub closed_ms: Option<i64>,
    /// The blobs that its entries name.
    pub blobs: Vec<Digest>,
}

/// What there is, as [`crate::DataDir::measure`] found it. All in bytes on the disk.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Stock {
    /// The newest entry's place, 0 if there is none.
    pub newest: i64,
    /// Each incident in the journal: its entries, runs and reports.
    pub incidents: BTreeMap<String, u64>,
    /// Each blob.
    pub blobs: BTreeMap<Digest, BlobFile>,
    /// Entries without an incident that whoever wrote them no longer needs, by their places: only the caller knows, and
    /// adds them. Their bytes are among the others.
    pub loose: BTreeMap<i64, u64>,
    /// All else: the rest of the journal, runs and reports of nobody.
    pub other_bytes: u64,
}

/// What goes.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Plan {
    /// The incidents, closed longest first.
    pub incidents: Vec<String>,
    /// The blobs.
    pub blobs: Vec<Digest>,
    /// The places of entries without an incident.
    pub loose: Vec<i64>,
    /// The newest entry when it was decided.
    pub newest: i64,
    /// What everything takes now, in bytes.
    pub bytes_before: u64,
    /// What it should take afterwards, in bytes: over the budget if too much of it must stay.
    pub bytes_after: u64,
}

// === impl Stock ===

impl Stock {
    /// Returns what everything takes, in bytes.
    pub fn bytes(&self) -> u64 {
        let blobs: u64 = self.blobs.values().map(|blob| blob.bytes).sum();
        self.incidents.values().sum::<u64>() + blobs + self.other_bytes
    }

    /// Decides what goes at `now_ms`. `cases` has each incident once.
    pub fn plan(&self, cases: &[Case], retention: Retention, now_ms: i64) -> Plan {
        let bytes_before = self.bytes();
        let mut plan = Plan {
            incidents: Vec::new(),
            blobs: Vec::new(),
            loose: Vec::new(),
            newest: self.newest,
            bytes_before,
            bytes_after: bytes_before,
        };
        let mut named: BTreeMap<Digest, usize> = BTreeMap::new();
        for sha256 in cases.iter().flat_map(Case::blobs) {
            *named.entry(sha256).or_default() += 1;
        }
        let known: BTreeSet<_> = cases.iter().map(|case| &case.incident).collect();
        if self.incidents.keys().all(|incident| known.contains(incident)) {
            let unnamed = self.blobs.keys().filter(|sha256| !named.contains_key(sha256));
            unnamed.for_each(|sha256| self.give_up(*sha256, now_ms, &mut plan));
        }
        if plan.bytes_after > retention.bytes_max {
            plan.loose = self.loose.keys().copied().collect();
            plan.bytes_after = plan.bytes_after.saturating_sub(self.loose.values().sum());
        }
        for case in closed_longest_first(cases, now_ms.saturating_sub(retention.keep_ms)) {
            if plan.bytes_after <= retention.bytes_max {
                break;
            }
            plan.incidents.push(case.incident.clone());
            let bytes = self.incidents.get(&case.incident).copied().unwrap_or(0);
            plan.bytes_after = plan.bytes_after.saturating_sub(bytes);
            for sha256 in case.blobs() {
                let others = named.entry(sha256).and_modify(|count| *count -= 1).or_default();
                if *others == 0 {
                    self.give_up(sha256, now_ms, &mut plan);
                }
            }
        }
        plan
    }

    /// Adds a blob to the plan, if it is there and old enough.
    fn give_up(&self, sha256: Digest, now_ms: i64, plan: &mut Plan) {
        let Some(blob) = self.blobs.get(&sha256) else { return };
        if blob.modified_ms < now_ms.saturating_sub(GRACE_MS) {
            plan.blobs.push(sha256);
            plan.bytes_after -= blob.bytes;
        }
    }
}

// === impl Case ===

impl Case {
    /// Returns each blob once.
    fn blobs(&self) -> impl Iterator<Item = Digest> {
        self.blobs.iter().copied().collect::<BTreeSet<_>>().into_iter()
    }
}

fn closed_longest_first(cases: &[Case], until_ms: i64) -> Vec<&Case> {
    let closed_ms = |case: &Case| case.closed_ms.filter(|closed_ms| *closed_ms <= until_ms);
    let mut closed: Vec<_> = cases.iter().filter(|case| closed_ms(case).is_some()).collect();
    closed.sort_by_key(|case| (case.closed_ms, &case.incident));
    closed
}
