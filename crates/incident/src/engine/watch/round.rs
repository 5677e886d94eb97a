//! Owns one round of a watch: each statement once, in the folder of the round that is going on, and what is new in it.

use std::path::{Path, PathBuf};

use diagnosis::Finding;
use runbook::Watch;

use super::{Going, key};
use crate::engine::output::{end_of, meaning};
use crate::engine::ready::{Ready, STATE_FILE};
use crate::engine::unit::{UnitEnding, ending, private_folder};
use crate::engine::walk::Walk;
use crate::engine::{Engine, EngineError};
use crate::fold::{Ended, Incident};
use crate::record::{Record, UnitEnd, UnitRef};
use crate::world::World;

/// How many changes between two rounds are journaled in one watch: something that is another each time is a series
/// of samples, and belongs into a query.
const CHANGES_MAX: usize = 100;

/// A round that is going on has this behind the name of its folder.
const NOW: &str = ".now";

impl<W: World> Engine<W> {
    /// One look with each statement; one that ends unexpectedly ends the round, and says why.
    pub(super) async fn round(
        &self,
        walk: &Walk<'_>,
        going: &mut Going<'_>,
    ) -> Result<Option<String>, EngineError> {
        going.round += 1;
        for idx in 0..going.ready.len() {
            let state = going.state.clone().filter(|path| path.exists()).or_else(|| going.before.clone());
            going.ready[idx].state_before = state;
            let (ready, folder) = (&going.ready[idx], self.folder(walk, &going.ready[idx].named, 1));
            let (end, outcome) = self.look_once(walk, ready, going.watch, &folder).await?;
            let (unit, named) = (ready.unit, ready.named.clone());
            going.state = Some(folder.join(STATE_FILE));
            let meaning = meaning(unit, &end);
            let findings = self.read_findings(walk, unit, &folder);
            going.outcomes.insert(unit.id.clone(), (end.clone(), outcome.clone()));
            let is_new = going.seen.insert(unit.id.clone(), (end.clone(), meaning.clone()))
                != Some((end.clone(), meaning.clone()));
            if is_new && going.changes < CHANGES_MAX {
                going.changes += 1;
                let stdout = outcome.and_then(|outcome| {
                    self.keep(&folder.join(runner::STDOUT), outcome.stdout_bytes, outcome.truncated)
                });
                let (unit, end, meaning) = (named.clone(), end.clone(), meaning.clone());
                let record = Record::WatchChanged { unit, round: going.round, end, meaning, stdout };
                self.record(walk.id, record).await?;
            }
            self.note_new_findings(walk, going, &named, findings).await?;
            let ended =
                Ended { end, meaning, started_ms: None, finished_ms: None, stdout: None, stderr: None };
            if let UnitEnding::Unexpected(reason) | UnitEnding::Rejected(reason) = ending(unit, &ended) {
                return Ok(Some(format!("{}: {reason}", unit.id)));
            }
        }
        Ok(None)
    }

    /// Runs a statement once more. Its folder is the last one that came to an end.
    async fn look_once(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        watch: &Watch,
        folder: &Path,
    ) -> Result<(UnitEnd, Option<runner::Outcome>), EngineError> {
        let mut now = folder.as_os_str().to_owned();
        now.push(NOW);
        let now = PathBuf::from(now);
        let world = &self.inner.world;
        if now.exists() {
            // An earlier life of the engine was at it: whatever it finds out, it is looked at once more.
            world.recover(&now).await?;
        }
        let failed = |error: std::io::Error| {
            (UnitEnd::NotStarted { reason: format!("no folder for it: {error}") }, None)
        };
        if let Err(error) = private_folder(folder.parent()).and_then(|()| remove(&now)) {
            return Ok(failed(error));
        }
        let mut intent = self.shell_intent(walk, ready, &now, &key(walk, &ready.named), 1);
        // Each round has a folder, and nothing of it is left for the next.
        intent.background_ms = None;
        let most = self.inner.settings.unit_timeout.min(watch.limit);
        intent.timeout_ms = watch.statement.unwrap_or(most).as_millis() as u64;
        let end = match world.run(&now, &intent).await {
            Ok(runner::Recovery::Finished(outcome)) => {
                if let Err(error) = remove(folder).and_then(|()| std::fs::rename(&now, folder)) {
                    return Ok(failed(error));
                }
                return Ok((end_of(&outcome), Some(outcome)));
            }
            Ok(runner::Recovery::NeverStarted) => {
                UnitEnd::NotStarted { reason: "its runner did not start".to_owned() }
            }
            Ok(_) => UnitEnd::Interrupted {},
            Err(error) => UnitEnd::NotStarted { reason: crate::error_chain(&error) },
        };
        Ok((end, None))
    }

    /// Keeps what was found, and writes down what is another than before.
    async fn note_new_findings(
        &self,
        walk: &Walk<'_>,
        going: &mut Going<'_>,
        named: &UnitRef,
        findings: Vec<Finding>,
    ) -> Result<(), EngineError> {
        let of = |finding: &Finding| (finding.kind().to_owned(), finding.subject().to_owned());
        let is_new = |incident: &Incident, finding: &Finding| {
            // The message tells of this very moment, and is never the same.
            incident.findings.get(&of(finding)).is_none_or(|known| {
                (known.value(), known.severity()) != (finding.value(), finding.severity())
            })
        };
        going.found.extend(findings.iter().map(|finding| (of(finding), finding.clone())));
        let new: Vec<Finding> = self
            .inner
            .ledger
            .with(walk.id, |incident| findings.into_iter().filter(|one| is_new(incident, one)).collect())
            .await?;
        if new.is_empty() || going.changes >= CHANGES_MAX {
            return Ok(());
        }
        going.changes += 1;
        self.record(walk.id, Record::Found { unit: Some(named.clone()), findings: new }).await?;
        self.conclude(walk.id).await
    }
}

fn remove(folder: &Path) -> std::io::Result<()> {
    match std::fs::remove_dir_all(folder) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
