//! Owns what is shown of bundles of evidence: what each says of itself, and what came of its last check; and checking one.

use std::collections::HashMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use ::evidence::manifest::Head;
use ::evidence::{Deep, End, Filter, PACKETS_MAX, State as Sealed, Tier, Verdict, verify};
use axum::http::StatusCode;
use incident::{World as _, error_chain};
use tokio::sync::Semaphore;

use crate::api::wire::{
    BundleCheck, BundleQuestion, BundleSummary, BundleVerification, Collect, Collected, Depth,
};
use crate::api::{Failure, blocking};
use crate::clock;
use crate::config::Config;
use crate::evidence::{
    self, CollectError, Collection, Kept, bundles, checks, evidence_public_key, note_check,
};
use crate::fleet::OrderError;
use crate::flow::Flow;

/// Heads that are remembered; with more of them all are read anew.
const HEADS_MAX: usize = 20_000;

/// What is kept with `t2` where nobody says how much: of memory in bytes, and of packets in seconds.
const MEMORY_BYTES_MAX: u64 = 256 << 20;
const PACKETS_S: u32 = 10;
/// The longest name of an incident, in bytes.
const NAME_BYTES_MAX: usize = 100;

/// A collection reads the whole machine: one at a time for people far away.
static COLLECTIONS: Semaphore = Semaphore::const_new(1);
/// A check reads the whole bundle: one at a time.
static CHECKS: Semaphore = Semaphore::const_new(1);

/// What bundles say of themselves, by their folders. That never changes; who has forged it is found by a check.
#[derive(Debug, Default)]
pub(crate) struct Heads(Mutex<HashMap<PathBuf, Head>>);

// === impl Heads ===

impl Heads {
    fn of(&self, folder: &Path) -> Option<Head> {
        let known = self.0.lock().unwrap_or_else(PoisonError::into_inner).get(folder).cloned();
        if known.is_some() {
            return known;
        }
        let head = Head::of_folder(folder)?;
        let mut heads = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if heads.len() >= HEADS_MAX {
            heads.clear();
        }
        heads.insert(folder.to_owned(), head.clone());
        Some(head)
    }
}

/// The bundles that are wanted, the oldest first.
pub(crate) async fn list(flow: &Arc<Flow>, question: BundleQuestion) -> Result<Vec<BundleSummary>, Failure> {
    let flow = Arc::clone(flow);
    blocking(move || {
        let config = &flow.world.config;
        let mut checked = checks(config).unwrap_or_else(|error| {
            tracing::warn!(error = error_chain(&error), "nobody knows when evidence was checked");
            Default::default()
        });
        let of = |folder: PathBuf| {
            let bundle = name_of(&folder);
            let head = flow.heads.of(&folder);
            let checked = checked.remove(&bundle);
            summary(&folder, bundle, head, checked)
        };
        bundles(config).into_iter().map(of).filter(|one| question.is_about(one)).collect()
    })
    .await
}

fn name_of(folder: &Path) -> String {
    folder.file_name().unwrap_or_default().to_string_lossy().into_owned()
}

fn summary(folder: &Path, bundle: String, head: Option<Head>, checked: Option<BundleCheck>) -> BundleSummary {
    let sizes = files(folder).into_iter().filter_map(|path| Some(path.symlink_metadata().ok()?.len()));
    let (server, incident) =
        head.as_ref().map_or((None, None), |head| (head.server.clone(), head.incident.clone()));
    BundleSummary {
        bundle,
        bytes: sizes.sum(),
        server,
        incident,
        collected_ms: head.as_ref().map(|head| head.at_ms),
        collected_by: head.map(|head| head.by),
        checked,
    }
}

/// Checks a bundle with the key of this host, and writes down what came of it.
pub(crate) async fn check(flow: &Arc<Flow>, name: &str, by: &str) -> Result<BundleVerification, Failure> {
    let (flow, name, by) = (Arc::clone(flow), name.to_owned(), by.to_owned());
    // It is never closed.
    let _turn = CHECKS.acquire().await.ok();
    let checked = blocking(move || {
        let config = &flow.world.config;
        let folder = folder(config, &name)?;
        let key = evidence_public_key(config);
        let key = key.map_err(|error| Failure::new(StatusCode::CONFLICT, error_chain(&error)))?;
        let mut found = of_verdict(name, verify(&folder, key));
        if let Err(failure) = note(config, &found.bundle, &by, found.sha256.clone(), &found.problems) {
            found.remarks.push(failure.words);
        }
        Ok::<_, Failure>(found)
    });
    checked.await?
}

/// Collects what somebody wants, and seals it.
pub(crate) async fn collect(flow: &Arc<Flow>, wanted: Collect) -> Result<Collected, Failure> {
    let bad = |words: String| Failure::new(StatusCode::BAD_REQUEST, words);
    let Ok(_turn) = COLLECTIONS.try_acquire() else {
        let words = "evidence is being collected for somebody else: try again when that has ended";
        return Err(Failure::new(StatusCode::CONFLICT, words));
    };
    if let Some(name) = wanted.server.as_ref().filter(|name| flow.fleet.get(name).is_none()) {
        return Err(OrderError::NoServer(name.clone()).into());
    }
    if let Some(incident) = wanted.incident.as_ref().filter(|name| !is_plain(name)) {
        return Err(bad(format!("{incident:?} is no name of an incident")));
    }
    let packets = Duration::from_secs(wanted.packets_s.unwrap_or(PACKETS_S).into());
    if packets > PACKETS_MAX {
        return Err(bad(format!("packets are captured for at most {} s", PACKETS_MAX.as_secs())));
    }
    let deep = Deep {
        memory_bytes_max: wanted.memory_bytes_max.unwrap_or(MEMORY_BYTES_MAX),
        packets,
        filter: Filter { peer: wanted.peer, port: wanted.port },
    };
    let world = &flow.world;
    let collection = Collection {
        pid: wanted.server.as_deref().and_then(|server| world.process(server)),
        server: wanted.server,
        incident: wanted.incident,
        by: wanted.by,
        tier: match wanted.depth {
            Depth::T0 => Tier::T0,
            Depth::T1 => Tier::T1,
            Depth::T2 => Tier::T2,
        },
        since_ms: wanted.since_ms,
        deep,
        now_ms: clock::now_ms(),
        root: PathBuf::from("/"),
        exe: world.exe.clone(),
    };
    let stop = Arc::new(|| None);
    let kept = evidence::collect(Arc::clone(&world.config), collection, stop, Box::new(|_| {})).await;
    let Kept { sealed, end, copy, on_its_way } = kept.map_err(|error| {
        let status = match &error {
            CollectError::OverBudget { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Failure::new(status, error_chain(&error))
    })?;
    if let Some(on_its_way) = on_its_way {
        // Its custody log says whether it has arrived.
        tokio::spawn(async move {
            if let Err(problem) = on_its_way.arrived(std::future::pending()).await {
                tracing::warn!(problem, "evidence is only on this machine");
            }
        });
    }
    Ok(Collected {
        bundle: name_of(&sealed.folder),
        sha256: sealed.sha256.to_string(),
        bytes: sealed.bytes,
        items: sealed.items as u64,
        missing: sealed.missing as u64,
        interrupted: match end {
            End::Complete => None,
            End::Interrupted(reason) => Some(reason),
        },
        not_copied: copy.and_then(Result::err),
    })
}

/// Whether a text can be the name of an incident.
fn is_plain(name: &str) -> bool {
    (1..=NAME_BYTES_MAX).contains(&name.len())
        && name.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_.".contains(&byte))
}

/// Writes down what a check has found.
pub(crate) fn note(
    config: &Config,
    bundle: &str,
    by: &str,
    sha256: Option<String>,
    problems: &[String],
) -> Result<(), Failure> {
    let check = BundleCheck {
        at_ms: clock::now_ms(),
        by: by.to_owned(),
        sound: problems.is_empty(),
        sha256,
        problems: problems.to_vec(),
    };
    note_check(config, bundle, check).map_err(|error| {
        let words = format!("that it was checked could not be written down: {}", error_chain(&error));
        Failure::new(StatusCode::INTERNAL_SERVER_ERROR, words)
    })
}

fn of_verdict(bundle: String, verdict: Verdict) -> BundleVerification {
    let state = verdict.state.map(|state| match state {
        Sealed::Complete => "complete",
        Sealed::Interrupted => "interrupted",
        Sealed::Collecting => "collecting",
    });
    let (server, incident) = verdict.head.map_or((None, None), |head| (head.server, head.incident));
    BundleVerification {
        bundle,
        server,
        incident,
        state: state.map(str::to_owned),
        items: verdict.items.len(),
        missing: verdict.missing.len(),
        sha256: verdict.sha256.map(|sha256| sha256.to_string()),
        problems: verdict.problems.iter().map(ToString::to_string).collect(),
        remarks: verdict.reason.into_iter().chain(verdict.remarks).collect(),
    }
}

/// The folder of a bundle, by its name.
pub(crate) fn folder(config: &Config, name: &str) -> Result<PathBuf, Failure> {
    let is_it = |folder: &PathBuf| folder.file_name().is_some_and(|known| known == name);
    let missing = || Failure::new(StatusCode::NOT_FOUND, format!("there is no bundle `{name}`"));
    bundles(config).into_iter().find(is_it).ok_or_else(missing)
}

/// The files of a bundle: no links, and nothing in folders below.
pub(crate) fn files(folder: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut files: Vec<PathBuf> = entries
        .filter(|entry| entry.file_type().is_ok_and(|kind| kind.is_file()))
        .map(|entry| entry.path())
        .collect();
    files.sort();
    files
}
