//! Owns looking at a server and its machine for an intruder, beside the baseline that a person has approved.

use std::cell::LazyCell;
use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};

use ::intrusion::{
    Baseline, BaselineError, Belonging, Event, Events, Files, Known, Scene, Sign, Traffic, events,
};
use checksum::Digest;
use host::{Roots, Snapshot, connections, snapshot};
use incident::change::Change;
use process::ProcessId;
use process::control::{Client, Message};
use tokio::time::timeout;

use crate::config::{Config, Server};
use crate::subject::subject;
use crate::tuning::{control_socket, last_changes};

/// How long a guard may take to say which process its server is.
const HELLO_MAX: std::time::Duration = std::time::Duration::from_secs(2);
/// Sign-ins that are learned from, and those that are looked at, are at most this old.
const DAY_MS: i64 = 24 * 60 * 60 * 1000;
const LEARNED_DAYS: i64 = 30;
/// A change of eight places of 64 KiB before and after, as JSON, and so many of them.
const CHANGE_BYTES_MAX: u64 = 4 << 20;
const CHANGES_MAX: usize = 10_000;
/// What is written down late is read again.
const OVERLAP_MS: i64 = 10_000;

/// What a look came to.
#[derive(Debug)]
pub struct Look {
    /// Signs, oldest first.
    pub signs: Vec<Sign>,
    /// What could not be looked at, a sentence each.
    pub gaps: Vec<String>,
}

/// Of whom a look is, and when.
#[derive(Clone, Copy, Debug)]
pub struct Looked<'a> {
    /// The configuration.
    pub config: &'a Config,
    /// The server.
    pub server: &'a Server,
    /// Its process, where that is known; otherwise it is looked for.
    pub pid: Option<i32>,
    /// Where the machine is; `/` but in tests.
    pub root: &'a Path,
    /// The time, in milliseconds since 1970.
    pub now_ms: i64,
}

/// The sign-ins of the last day, which are the machine's: read once for all servers, and from look to look only what is new.
#[derive(Debug, Default)]
pub struct SignIns {
    known: Events,
    until_ms: Option<i64>,
}

/// Where the baseline of a server is.
pub fn baseline_path(config: &Config, server: &str) -> PathBuf {
    config.data_dir.join("security").join(format!("{server}.json"))
}

/// The log of security incidents, in which `serve` writes down each sign once: beside the folder of exported bundles.
pub fn signs_log(config: &Config) -> PathBuf {
    config.evidence.export_dir.with_extension("log")
}

/// The process of a server, as its guard says; none where there is no guard, or no process.
pub async fn process_of(config: &Config, server: &str) -> Option<i32> {
    let connected = timeout(HELLO_MAX, async {
        let (_client, mut messages) = Client::connect(&control_socket(config, server)).await.ok()?;
        match messages.recv().await? {
            Message::Hello { status } => status.child.map(|child| child.pid),
            _ => None,
        }
    });
    connected.await.ok().flatten()
}

// === impl SignIns ===

impl SignIns {
    /// Reads what has come since the last time, from a moment before it on. Blocks.
    pub fn refresh(&mut self, root: &Path, now_ms: i64) {
        let since_ms = self.until_ms.unwrap_or(now_ms - DAY_MS);
        let fresh = events(root, since_ms, now_ms, logs::time_of_machine);
        self.known.found.retain(|event| event.at_ms >= now_ms - DAY_MS && event.at_ms < since_ms);
        self.known.found.extend(fresh.found);
        self.known.gaps = fresh.gaps;
        self.until_ms = Some(now_ms - OVERLAP_MS);
    }

    fn since(&self, since_ms: i64) -> Vec<Event> {
        self.known.found.iter().filter(|event| event.at_ms >= since_ms).cloned().collect()
    }
}

// === impl Looked ===

impl Looked<'_> {
    /// Learns what belongs to the server and its machine as they are now. Blocks.
    pub fn learn(&self, by: &str) -> (Baseline, Vec<String>) {
        let snapshot = self.process().map(|pid| self.snapshot(pid));
        let belonging = snapshot.as_ref().and_then(Scene::of).map(|scene| scene.belonging());
        let executables = belonging.iter().flat_map(|belonging| &belonging.executables);
        let own = self.own(executables.map(PathBuf::from));
        let files = Files::look(self.root, &own, None);
        let since_ms = self.now_ms - LEARNED_DAYS * DAY_MS;
        let events = events(self.root, since_ms, self.now_ms, logs::time_of_machine);
        let access = Known::of(&events.found);
        let gaps = [files.gaps.clone(), events.gaps, self.gap(belonging.is_some())].concat();
        (Baseline::new(&self.server.name, by, self.now_ms, belonging, files, access), gaps)
    }

    /// Compares them with the baseline. `traffic` is what was seen to leave so far. Blocks.
    pub fn judge(&self, baseline: &Baseline, traffic: &mut Traffic, sign_ins: &SignIns) -> Look {
        let (mut signs, mut gaps) = (Vec::new(), Vec::new());
        let process = self.process();
        let snapshot = process.map(|pid| self.snapshot(pid));
        let scene = snapshot.as_ref().and_then(Scene::of);
        gaps.extend(self.gap(scene.is_some()));
        match (&baseline.belonging, process.zip(scene.as_ref())) {
            (Some(belonging), Some((pid, scene))) => {
                signs.extend(belonging.judge(scene));
                signs.extend(self.traffic(pid, scene, belonging, traffic, &mut gaps));
            }
            (None, Some(_)) => gaps.push("the server did not run when its baseline was learned".to_owned()),
            (_, None) => {}
        }
        let executables = baseline.belonging.iter().flat_map(|belonging| &belonging.executables);
        let own = self.own(executables.map(PathBuf::from));
        let files = Files::look(self.root, &own, Some(&baseline.files));
        // Nearly every look finds the files as they were, and reads no changes.
        let changes = LazyCell::new(|| written(self.config));
        let written_at = |path: &str| changes.get(path).copied();
        signs.extend(baseline.files.judge(&files, &own, written_at, self.now_ms));
        gaps.extend(files.gaps);
        signs.extend(baseline.access.judge(&sign_ins.since(baseline.learned_ms)));
        gaps.extend(sign_ins.known.gaps.clone());
        signs.sort_by_key(|sign| sign.at_ms);
        Look { signs, gaps }
    }

    fn traffic(
        &self,
        pid: i32,
        scene: &Scene<'_>,
        belonging: &Belonging,
        traffic: &mut Traffic,
        gaps: &mut Vec<String>,
    ) -> Vec<Sign> {
        match connections(&Roots::below(self.root), pid, &scene.sockets()) {
            Some(connections) => traffic.take(&connections, &scene.ports()),
            None => gaps.push("the kernel does not say how much left over which connection".to_owned()),
        }
        traffic.judge(&belonging.peers, self.config.intrusion.leaving_max.0, self.now_ms)
    }

    /// Its process: the one that is known, if it has not ended since, or whoever is found to be it.
    fn process(&self) -> Option<i32> {
        let known = self.pid.filter(|pid| ProcessId::of(*pid).is_some());
        known.or_else(|| Some(subject(self.config, self.server).process_now(&Roots::below(self.root))?.pid))
    }

    fn snapshot(&self, pid: i32) -> Snapshot {
        snapshot(&Roots::below(self.root), Some(pid), self.now_ms)
    }

    /// The files that are the server's: what its processes run, what its command names, what the configuration says.
    fn own(&self, executables: impl Iterator<Item = PathBuf>) -> Vec<PathBuf> {
        let named =
            self.server.stdio.iter().map(PathBuf::from).filter(|path| path.is_absolute() && path.is_file());
        let mut own: Vec<PathBuf> =
            executables.chain(named).chain(self.config.intrusion.own.clone()).collect();
        own.sort_unstable();
        own.dedup();
        own
    }

    fn gap(&self, is_seen: bool) -> Vec<String> {
        let gap = || format!("`{}` has no process that could be looked at", self.server.name);
        if is_seen { Vec::new() } else { vec![gap()] }
    }
}

/// What tuning and hardening have written last, which is known: they are journaled, and their files say no more than they do.
fn written(config: &Config) -> BTreeMap<String, Digest> {
    let entries = fs::read_dir(last_changes(config)).into_iter().flatten().flatten();
    let read = |entry: fs::DirEntry| {
        entry.metadata().ok().filter(|of| of.len() <= CHANGE_BYTES_MAX)?;
        Change::parse(&fs::read_to_string(entry.path()).ok()?)
    };
    let changes = entries.take(CHANGES_MAX).filter_map(read);
    let places = changes.flat_map(|change| change.places);
    places
        .filter_map(|place| Some((place.path.display().to_string(), Digest::of(place.new?.as_bytes()))))
        .collect()
}

/// Keeps a baseline; the one before it stays beside it, for whoever takes this back.
///
/// # Errors
/// If it cannot be written.
pub fn keep_baseline(path: &Path, baseline: &Baseline) -> Result<(), BaselineError> {
    if let Some(before) = Baseline::read(path).ok().flatten() {
        before.keep(&before_of(path))?;
    }
    baseline.keep(path)
}

/// Puts the baseline back that was there before the last one; says whether there was any.
///
/// # Errors
/// If it cannot be read or written.
pub fn undo_baseline(path: &Path) -> Result<bool, BaselineError> {
    let before = before_of(path);
    let Some(old) = Baseline::read(&before)? else { return Ok(false) };
    old.keep(path)?;
    // What cannot be removed is put back once more, which changes nothing.
    let _ = fs::remove_file(before);
    Ok(true)
}

fn before_of(path: &Path) -> PathBuf {
    path.with_extension("before.json")
}

#[cfg(test)]
mod tests {
    use incident::change::{Place, What};

    use super::*;
    use crate::config::parse;
    use crate::tuning::last_change_path;

    #[test]
    fn what_was_tuned_last_is_known_and_what_is_no_change_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = parse("").unwrap();
        config.data_dir = folder.path().to_owned();
        assert!(written(&config).is_empty());
        let path = "/run/systemd/system/a.service.d/50-paramedic-sandbox.conf";
        let place = Place { path: path.into(), old: None, new: Some("[Service]\n".to_owned()) };
        let gone = Place { path: "/gone".into(), old: Some("x".to_owned()), new: None };
        let change = Change {
            what: What::ServerSandbox,
            target: "a".to_owned(),
            places: vec![place, gone],
            diff: String::new(),
            undoes: None,
        };
        let last = last_change_path(&config, "sandbox", "a");
        fs::create_dir_all(last.parent().unwrap()).unwrap();
        fs::write(&last, change.to_line()).unwrap();
        fs::write(last_change_path(&config, "server", "b"), "{\"what\":").unwrap();
        assert_eq!(written(&config), BTreeMap::from([(path.to_owned(), Digest::of(b"[Service]\n"))]));
    }
}
