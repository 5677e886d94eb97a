//! Owns what a unit needs before it can be run: its parameters, what is missing of them, and the shell state before it.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use checksum::Digest;
use runbook::{Effect, Fence, Procedure, Unit};

use super::ask::Question;
use super::changes::CHANGES_FILE;
use super::conclude::FINDINGS_FILE;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::fold::Incident;
use crate::record::UnitRef;
use crate::world::World;

/// The shell state that a unit leaves in its folder.
pub(super) const STATE_FILE: &str = "state";

/// A unit with what it needs to be run.
pub(super) struct Ready<'a> {
    pub(super) named: UnitRef,
    pub(super) unit: &'a Unit,
    pub(super) fence: &'a Fence,
    /// All parameters.
    pub(super) parameters: BTreeMap<String, String>,
    /// Those that it reads.
    pub(super) values: BTreeMap<String, String>,
    pub(super) missing: Vec<String>,
    pub(super) state_before: Option<PathBuf>,
}

impl<W: World> Engine<W> {
    /// Gathers what a unit needs; the error is a reason why it cannot be run at all.
    pub(super) async fn make_ready<'a>(
        &self,
        walk: &Walk<'_>,
        fence: &'a Fence,
        unit: &'a Unit,
        named: UnitRef,
    ) -> Result<Result<Ready<'a>, String>, EngineError> {
        let configured = self.inner.world.parameters(&walk.server);
        let declared: Vec<String> =
            walk.procedure.parameters().into_iter().map(|parameter| parameter.name).collect();
        let (parameters, before) = self
            .inner
            .ledger
            .with(walk.id, |incident| {
                (parameters(incident, configured, &declared, &named), state_before(walk, incident, &named))
            })
            .await?;
        let state_before = match before {
            Before::Fresh => None,
            Before::Carried(path) => Some(path),
            Before::Lost(unit) => {
                return Ok(Err(format!(
                    "unit {unit} left no shell state, and nothing goes on from a stale one"
                )));
            }
        };
        let missing = declared
            .iter()
            .filter(|name| unit.reads.contains(*name))
            .filter(|name| parameters.get(*name).is_none_or(String::is_empty))
            .cloned()
            .collect();
        let values = parameters
            .iter()
            .filter(|(name, _)| unit.reads.contains(*name))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect();
        Ok(Ok(Ready { named, unit, fence, parameters, values, missing, state_before }))
    }

    pub(super) fn shell_intent(
        &self,
        walk: &Walk<'_>,
        ready: &Ready<'_>,
        folder: &Path,
        key: &str,
        attempt: u32,
    ) -> runner::Intent {
        let mut environment = self.inner.world.environment();
        environment.extend(ready.parameters.clone());
        environment.insert("PARAMEDIC_INCIDENT".to_owned(), walk.id.to_string());
        environment.insert("PARAMEDIC_STEP".to_owned(), ready.named.unit.clone());
        environment.insert("PARAMEDIC_KEY".to_owned(), key.to_owned());
        let findings = folder.join(FINDINGS_FILE).to_string_lossy().into_owned();
        environment.insert("PARAMEDIC_FINDINGS".to_owned(), findings);
        let changes = folder.join(CHANGES_FILE).to_string_lossy().into_owned();
        environment.insert("PARAMEDIC_CHANGES".to_owned(), changes);
        runner::Intent {
            key: key.to_owned(),
            attempt,
            statement: ready.unit.source.clone(),
            shell: match ready.fence.language {
                runbook::Language::Sh => runner::Shell::Sh,
                _ => runner::Shell::Bash,
            },
            environment,
            directory: PathBuf::from("/"),
            timeout_ms: self.timeout(ready.fence).as_millis() as u64,
            output_bytes_max: self.inner.settings.output_bytes_max,
            background_ms: ready
                .unit
                .background
                .then_some(self.inner.settings.background_max.as_millis() as u64),
            writable: (ready.unit.effect == Effect::Observe)
                .then(|| self.inner.world.writable_for_looking())
                .flatten(),
            state_before: ready.state_before.clone(),
            state_after: folder.join(STATE_FILE),
        }
    }
}

// === impl Ready ===

impl Ready<'_> {
    /// Why the unit may do more than its text says: a value is not as harmless as its effect presumes.
    ///
    /// What an earlier statement computed is not known here, and so not harmless.
    pub(super) fn untrusted(
        &self,
        procedure: &Procedure,
        environment: &BTreeMap<String, String>,
    ) -> Option<String> {
        let before = procedure.units().take_while(|unit| unit.id != self.unit.id);
        let computed: BTreeSet<&str> = before.flat_map(|unit| &unit.sets).map(String::as_str).collect();
        self.unit.trusts.iter().find_map(|(name, trust)| {
            if self.missing.contains(name) {
                // Whoever supplies it sees it.
                return None;
            }
            if computed.contains(name.as_str()) {
                return Some(format!(
                    "${name}, which an earlier statement computed, may not be harmless in it"
                ));
            }
            let value = self.parameters.get(name).or_else(|| environment.get(name));
            match value {
                Some(value) if trust.accepts(value) => None,
                Some(value) => Some(format!("the value of ${name} (`{value}`) may not be harmless in it")),
                None => Some(format!("the value of ${name} is not known")),
            }
        })
    }

    /// The question whether it may be run; `interrupted` is the attempt that it would repeat, where there is one.
    pub(super) fn question<'a>(&'a self, reason: &'a str, interrupted: Option<u32>) -> Question<'a> {
        Question {
            unit: &self.named,
            statement: &self.unit.source,
            effect: self.unit.effect.name(),
            reason,
            missing: self.missing.clone(),
            values: &self.values,
            state: self.state_before.as_deref().and_then(file_digest),
            interrupted,
        }
    }
}

enum Before {
    Fresh,
    Carried(PathBuf),
    Lost(String),
}

/// The state from which a unit starts: that of the unit before it in the same run.
///
/// A unit of which every word is known and which sets nothing leaves the state as it found it, even where it was
/// cut short.
fn state_before(walk: &Walk<'_>, incident: &Incident, unit: &UnitRef) -> Before {
    let order: Vec<&Unit> = walk
        .procedure
        .phases
        .iter()
        .flat_map(|phase| &phase.steps)
        .flat_map(|step| &step.fences)
        .flat_map(|fence| &fence.units)
        .collect();
    let position = order.iter().position(|one| one.id == unit.unit).unwrap_or(0);
    for one in order[..position].iter().rev() {
        let named = UnitRef { run: walk.run, unit: one.id.clone() };
        let Some(view) = incident.unit(&named) else { continue };
        let (Some(intent), Some(_)) = (&view.intent, &view.outcome) else { continue };
        let state = PathBuf::from(&intent.folder).join(STATE_FILE);
        if state.exists() {
            return Before::Carried(state);
        }
        if one.effect == Effect::Unknown || !one.sets.is_empty() {
            return Before::Lost(one.id.clone());
        }
    }
    Before::Fresh
}

/// What the shell gets: the server's parameters, the alert's labels under the names that the procedure asks
/// for, and what people have supplied for other units. What they supply for this one comes with their yes.
fn parameters(
    incident: &Incident,
    mut known: BTreeMap<String, String>,
    declared: &[String],
    named: &UnitRef,
) -> BTreeMap<String, String> {
    known.insert("INCIDENT_ID".to_owned(), incident.id.to_string());
    if let Some(alert) = &incident.alarm.alert {
        for (label, value) in &alert.labels {
            let name = label.to_uppercase();
            let short = name.strip_suffix("_NAME").unwrap_or(&name).to_owned();
            for name in [name.clone(), short] {
                if declared.contains(&name) {
                    known.entry(name).or_insert_with(|| value.clone());
                }
            }
        }
    }
    for (unit, view) in &incident.units {
        if let Some(approved) = &view.approved
            && unit != named
        {
            known.extend(approved.values.clone());
        }
    }
    known
}

fn file_digest(path: &Path) -> Option<String> {
    Some(Digest::of(&std::fs::read(path).ok()?).to_string())
}
