//! Owns walking through one place: its files, each by what it is, whose, how old, and whether somebody has it open.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::Duration;

use super::places::Place;
use super::{Opened, Plan, RECLAIM_AGE_MIN, Reclaimable};

/// More is not listed; the next time goes on.
const FILES_MAX: usize = 100_000;
/// No cache is deeper.
const DEPTH_MAX: usize = 16;

/// Takes the files of a place into the plan.
pub(super) fn walk(place: &Place, opened: &Opened, now_seconds: i64, age_min: Duration, plan: &mut Plan) {
    // A place that is itself a link leads elsewhere.
    let Ok(of) = fs::symlink_metadata(&place.folder) else { return };
    if !of.is_dir() {
        return;
    }
    let age_min = place.age_min.max(age_min).max(RECLAIM_AGE_MIN);
    let walk = Walk { place, opened, now_seconds, age_min, device: of.dev() };
    let Ok(entries) = fs::read_dir(&place.folder) else { return };
    for entry in entries.flatten() {
        let Some(name) = entry.file_name().to_str().map(str::to_owned) else { continue };
        if (place.counts)(&name) {
            // In a folder that is everybody's each entry has its own owner.
            let Ok(entry) = fs::symlink_metadata(place.folder.join(&name)) else { continue };
            let owner = if of.mode() & 0o1000 != 0 { entry.uid() } else { of.uid() };
            walk.enter(Path::new(&name), owner, 0, plan);
        }
    }
}

struct Walk<'w> {
    place: &'w Place,
    opened: &'w Opened,
    now_seconds: i64,
    age_min: Duration,
    device: u64,
}

impl Walk<'_> {
    fn enter(&self, within: &Path, owner: u32, depth: usize, plan: &mut Plan) {
        let path = self.place.folder.join(within);
        let Ok(of) = fs::symlink_metadata(&path) else { return };
        if of.is_dir() {
            if !self.place.is_deep || of.dev() != self.device || depth >= DEPTH_MAX {
                return;
            }
            let Ok(entries) = fs::read_dir(&path) else { return };
            for entry in entries.flatten() {
                self.enter(&within.join(entry.file_name()), owner, depth + 1, plan);
            }
            return;
        }
        if plan.files.len() >= FILES_MAX {
            plan.is_cut = true;
            return;
        }
        plan.files.extend(self.judge(path, within, &of, owner, &mut plan.kept));
    }

    fn judge(
        &self,
        path: PathBuf,
        within: &Path,
        of: &Metadata,
        owner: u32,
        kept: &mut super::Kept,
    ) -> Option<Reclaimable> {
        // Whatever was done to it last, it was in use then.
        let last = of.mtime().max(of.ctime());
        let age_seconds = u64::try_from(self.now_seconds - last).unwrap_or(0);
        let why = if !of.is_file() || of.nlink() != 1 || of.dev() != self.device {
            &mut kept.odd
        } else if of.uid() != owner {
            &mut kept.foreign
        } else if age_seconds < self.age_min.as_secs() {
            &mut kept.young
        } else if self.opened.has(of.dev(), of.ino()) {
            &mut kept.open
        } else {
            return Some(Reclaimable {
                path,
                what: self.place.what,
                is_log: self.place.is_log,
                uid: of.uid(),
                age_seconds,
                bytes: of.blocks() * 512,
                place: self.place.folder.clone(),
                within: within.to_owned(),
                is: (of.dev(), of.ino(), of.mtime()),
            });
        };
        *why += 1;
        None
    }
}
