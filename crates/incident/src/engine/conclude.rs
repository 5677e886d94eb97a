//! Owns the way from findings to a cause: what units found is written down, and what it points to whenever that changes.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;

use diagnosis::{Finding, explain, named, rank, read};
use runbook::Unit;

use super::changes::is_ours;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::id::IncidentId;
use crate::record::{Record, UnitRef};
use crate::world::World;

/// The file in the folder of a unit to which it writes findings, a JSON object a line.
pub(super) const FINDINGS_FILE: &str = "findings";

/// How much of that file is read, in bytes: the findings of one unit have to fit into one record.
const FINDINGS_BYTES_MAX: u64 = 256 * 1024;

/// How many findings of one unit count: more is a log.
const FINDINGS_MAX: usize = 100;

/// How many lines of an explanation are kept.
const WHY_LINES_MAX: usize = 60;

impl<W: World> Engine<W> {
    /// Writes down what a unit found, before its outcome: whoever dies in between reads the file once more.
    pub(super) async fn note_findings(
        &self,
        walk: &Walk<'_>,
        named: &UnitRef,
        unit: &Unit,
        folder: &Path,
    ) -> Result<(), EngineError> {
        let findings = self.read_findings(walk, unit, folder);
        if findings.is_empty() {
            return Ok(());
        }
        self.record(walk.id, Record::Found { unit: Some(named.clone()), findings }).await
    }

    /// What a unit found.
    pub(super) fn read_findings(&self, walk: &Walk<'_>, unit: &Unit, folder: &Path) -> Vec<Finding> {
        let mut bytes = Vec::new();
        let Ok(file) = File::open(folder.join(FINDINGS_FILE)) else { return Vec::new() };
        if file.take(FINDINGS_BYTES_MAX).read_to_end(&mut bytes).is_err() {
            return Vec::new();
        }
        let (mut findings, problems) = read(&String::from_utf8_lossy(&bytes));
        for problem in problems {
            tracing::warn!(incident = %walk.id, unit = unit.id, %problem, "a finding is not understood");
        }
        // That an attack was blocked would keep a server from being contained: only our own commands say so.
        let is_ours = is_ours(unit);
        findings.retain(|finding| is_ours || finding.kind() != diagnosis::kind::SECURITY_EVENT.name);
        findings.truncate(FINDINGS_MAX);
        findings
    }

    /// Writes down what the findings point to, where that is something new.
    pub(super) async fn conclude(&self, id: &IncidentId) -> Result<(), EngineError> {
        let (findings, before) = self
            .inner
            .ledger
            .with(id, |incident| {
                (incident.findings.values().cloned().collect::<Vec<_>>(), incident.cause.clone())
            })
            .await?;
        let ranked = rank(&findings);
        let cause = named(&ranked).map(|best| best.cause.name().to_owned());
        if cause != before {
            let mut why = explain(&ranked);
            why.truncate(WHY_LINES_MAX);
            self.record(id, Record::CauseNamed { cause, why }).await?;
        }
        self.merge(id).await
    }
}
