//! Owns taking back, by a person's word: a unit as its author says, a change to the value before.
//!
//! It goes the way of every unit: yes, intent, runner, outcome. The yes is that of whoever calls it. What may not be
//! changed at all (kill switch, dry run) is not taken back either; that the alert is resolved, or that a person leads,
//! is no obstacle. An undo that was cut off by the end of the engine is settled at its next start, and never repeated.

use std::collections::BTreeMap;
use std::path::PathBuf;

use runbook::{Effect, Fence, Language, Procedure, Table, Unit};

use super::ready::STATE_FILE;
use super::unit::private_folder;
use super::walk::Walk;
use super::{Engine, EngineError};
use crate::approval::Binding;
use crate::change::{Change, What};
use crate::fold::{Incident, Job, UnitView, is_undo, undo_of_change, undo_of_unit};
use crate::id::IncidentId;
use crate::policy::{Decision, Request};
use crate::record::{Record, UnitEnd, UnitRef};
use crate::report;
use crate::world::World;

/// The variable in which a command finds the change that it is to take back.
const CHANGE: &str = "PARAMEDIC_CHANGE";

/// The variable that names whose change it is.
const TARGET: &str = "TARGET";

/// What came of an undo.
#[derive(Debug, Clone)]
pub struct Undone {
    /// The unit that carried it out.
    pub unit: UnitRef,
    /// How that ended.
    pub end: UnitEnd,
    /// The same in words.
    pub outcome: String,
    /// The beginning and end of what it printed, to standard output and then to standard error.
    pub printed: String,
}

/// What is to be carried out.
struct Plan {
    unit: UnitRef,
    statement: String,
    effect: Effect,
    reason: String,
    sh: bool,
    values: BTreeMap<String, String>,
    environment: BTreeMap<String, String>,
    state_before: Option<PathBuf>,
}

impl<W: World> Engine<W> {
    /// Takes back what a unit (`6.1`) or a change (`c1`) did, by the word of a person, and waits for its end.
    ///
    /// # Errors
    /// Where there is nothing of that name to take back, it was taken back already, or policy forbids all changes.
    pub async fn undo(&self, id: &IncidentId, what: &str, by: &str) -> Result<Undone, EngineError> {
        let plan = self.plan_undo(id, what).await?;
        // From the decision to the intent nobody else decides about a change.
        let turn = self.inner.turn.lock().await;
        let attempt = self.inner.ledger.with(id, |incident| attempt(incident, &plan.unit)).await?;
        let attempt = attempt.map_err(|reason| cannot(what, reason))?;
        self.check_undo(id, what, &plan).await?;
        let incident = self.inner.ledger.with(id, Incident::clone).await?;
        let binding = Binding {
            incident: id,
            unit: &plan.unit,
            runbook: &incident.runbook.sha256,
            statement: &plan.statement,
            target: &incident.server,
            values: &plan.values,
            state: None,
            interrupted: (attempt > 1).then_some(attempt - 1),
            people: 1,
            expires_ms: self.inner.world.now_ms(),
        };
        let (unit, by) = (plan.unit.clone(), by.to_owned());
        let approved = Record::Approved { unit, by, binding: binding.digest(), values: BTreeMap::new() };
        self.record(id, approved).await?;
        let folder = format!("{}-{}-{attempt}", plan.unit.run, plan.unit.unit);
        let folder = self.inner.settings.runs.join(id.as_str()).join(folder);
        let intent = self.undo_intent(id, &plan, attempt, &folder);
        let record = Record::Intent {
            unit: plan.unit.clone(),
            attempt,
            statement: plan.statement.clone(),
            effect: plan.effect.name().to_owned(),
            key: intent.key.clone(),
            folder: folder.to_string_lossy().into_owned(),
            values: plan.values.clone(),
        };
        self.record(id, record).await?;
        drop(turn);
        let is_undone = |job: &Job| undo_of_unit(&job.unit) == plan.unit;
        self.end_jobs(id, |_, job| is_undone(job).then(|| "it is taken back".to_owned())).await?;
        if let Err(error) = private_folder(folder.parent()) {
            let end = UnitEnd::NotStarted { reason: format!("no folder for it: {error}") };
            return self.settle_undo(id, &plan.unit, Some(end)).await;
        }
        let end = match self.inner.world.run(&folder, &intent).await {
            Ok(_) => None,
            Err(error) => match self.inner.world.recover(&folder).await? {
                runner::Recovery::NeverStarted => {
                    Some(UnitEnd::NotStarted { reason: crate::error_chain(&error) })
                }
                _ => None,
            },
        };
        self.settle_undo(id, &plan.unit, end).await
    }

    /// Settles the undos that an earlier life of the engine has begun.
    pub(super) async fn resume_undos(&self) {
        let open = |incident: &Incident| {
            let begun = incident.units.iter().filter(|(unit, view)| is_undo(unit) && is_open(view));
            begun.map(|(unit, _)| (incident.id.clone(), unit.clone())).collect::<Vec<_>>()
        };
        let open: Vec<_> = self.inner.ledger.with_all(|all| all.flat_map(open).collect()).await;
        for (id, unit) in open {
            let engine = self.clone();
            tokio::spawn(async move {
                if let Err(error) = engine.settle_undo(&id, &unit, None).await {
                    let error = crate::error_chain(&error);
                    tracing::error!(incident = %id, unit = unit.unit, error, "what became of an undo is not known");
                }
            });
        }
    }

    /// Finds out what became of an undo, unless that is known, and writes it down.
    async fn settle_undo(
        &self,
        id: &IncidentId,
        unit: &UnitRef,
        end: Option<UnitEnd>,
    ) -> Result<Undone, EngineError> {
        let view = self.inner.ledger.with(id, |incident| incident.unit(unit).cloned()).await?;
        let Some(UnitView { statement, intent: Some(intent), .. }) = view else {
            return Err(cannot(&unit.unit, "it has no intent".to_owned()));
        };
        let folder = PathBuf::from(&intent.folder);
        let book = self.pinned(id).await?;
        let (server, procedure) =
            self.inner.ledger.with(id, |one| (one.server.clone(), one.procedure.clone())).await?;
        let Some(procedure) = book.procedure(&procedure) else {
            return Err(EngineError::Runbook(id.clone()));
        };
        let walk = Walk { id, server, book: &book, procedure, run: unit.run };
        let (effect, reason) = effect_of(&statement);
        let made = made_unit(unit, statement, effect, reason);
        let ended = match end {
            Some(end) => self.note_end(&walk, unit, intent.attempt, end).await?,
            None => match self.inner.world.recover(&folder).await? {
                runner::Recovery::Finished(outcome) => {
                    self.note_outcome(&walk, unit, &made, intent.attempt, &folder, &outcome).await?
                }
                runner::Recovery::NeverStarted => {
                    let end = UnitEnd::NotStarted { reason: "its runner did not start".to_owned() };
                    self.note_end(&walk, unit, intent.attempt, end).await?
                }
                runner::Recovery::Running(_) | runner::Recovery::Interrupted => {
                    self.note_changes(id, unit, &made, &folder).await?;
                    self.note_end(&walk, unit, intent.attempt, UnitEnd::Interrupted {}).await?
                }
            },
        };
        let outputs = [&ended.stdout, &ended.stderr].into_iter().flatten();
        let printed = outputs.map(|output| output.excerpt.as_str()).collect();
        Ok(Undone { unit: unit.clone(), outcome: report::outcome(&ended), end: ended.end, printed })
    }

    /// What is carried out for what a person named.
    async fn plan_undo(&self, id: &IncidentId, what: &str) -> Result<Plan, EngineError> {
        let incident = self.inner.ledger.with(id, Incident::clone).await?;
        if let Some(number) = what.strip_prefix('c').and_then(|number| number.parse::<u32>().ok()) {
            let made = incident.changes().find(|made| made.number == number);
            let made = made.ok_or_else(|| cannot(what, unknown(&incident)))?;
            return plan_of_change(what, made.number, made.change);
        }
        let named = incident
            .units
            .iter()
            .rev()
            .find(|(unit, view)| unit.unit == what && !is_undo(unit) && view.intent.is_some());
        let Some((unit, view)) = named else { return Err(cannot(what, unknown(&incident))) };
        let Some(ended) = &view.outcome else {
            return Err(cannot(what, "it has not ended".to_owned()));
        };
        if let UnitEnd::NotStarted { .. } = ended.end {
            return Err(cannot(what, "it was not started, so nothing is to be taken back".to_owned()));
        }
        let made: Vec<_> = incident.changes().filter(|made| made.unit == Some(unit)).collect();
        match (&view.undo, made.as_slice()) {
            (Some(statement), _) => self.plan_of_unit(&incident, unit, statement).await,
            (None, [made]) => plan_of_change(what, made.number, made.change),
            (None, []) => {
                let reason = "its author does not say how (`undo`), and it made no change of which the value before is kept";
                Err(cannot(what, reason.to_owned()))
            }
            (None, several) => {
                let names: Vec<_> = several.iter().map(|made| format!("c{}", made.number)).collect();
                Err(cannot(what, format!("it made several changes; name one: {}", names.join(", "))))
            }
        }
    }

    async fn plan_of_unit(
        &self,
        incident: &Incident,
        unit: &UnitRef,
        statement: &str,
    ) -> Result<Plan, EngineError> {
        let id = &incident.id;
        let book = self.pinned(id).await?;
        let procedure =
            book.procedure(&incident.procedure).ok_or_else(|| EngineError::Runbook(id.clone()))?;
        let walk = Walk { id, server: incident.server.clone(), book: &book, procedure, run: unit.run };
        let Some((fence, one)) = place(procedure, &unit.unit) else {
            return Err(EngineError::Runbook(id.clone()));
        };
        let mut ready = self
            .make_ready(&walk, fence, one, unit.clone())
            .await?
            .map_err(|reason| cannot(&unit.unit, reason))?;
        let view = incident.unit(unit);
        // What the unit was given and what it has computed, its undo finds again.
        let given = view.and_then(|view| view.approved.as_ref()).map(|approved| approved.values.clone());
        ready.parameters.extend(given.unwrap_or_default());
        let left = view.and_then(|view| view.intent.as_ref());
        let left = left.map(|intent| PathBuf::from(&intent.folder).join(STATE_FILE));
        let (effect, reason) = effect_of(statement);
        Ok(Plan {
            unit: undo_of_unit(unit),
            statement: statement.to_owned(),
            effect,
            reason,
            sh: fence.language == Language::Sh,
            values: ready.values,
            environment: ready.parameters,
            state_before: left.filter(|path| path.exists()).or(ready.state_before),
        })
    }

    /// Refuses what no yes allows.
    async fn check_undo(&self, id: &IncidentId, what: &str, plan: &Plan) -> Result<(), EngineError> {
        let server = self.inner.ledger.with(id, |incident| incident.server.clone()).await?;
        let policy = self.inner.world.policy(&server);
        let request = Request { kill: self.inner.world.kill(), ..Request::quiet(plan.effect, &plan.reason) };
        let forbidden = |reason| EngineError::UndoForbidden { what: what.to_owned(), reason };
        if let Some(Decision::Skip(reason)) = policy.refuse(&request) {
            return Err(forbidden(reason));
        }
        if policy.people_needed(plan.effect.name()) > 1 {
            let reason = format!(
                "its effect is {} ({}), and two people have to approve that",
                plan.effect, plan.reason
            );
            return Err(forbidden(reason));
        }
        Ok(())
    }

    fn undo_intent(
        &self,
        id: &IncidentId,
        plan: &Plan,
        attempt: u32,
        folder: &std::path::Path,
    ) -> runner::Intent {
        let key = format!("{id}/{}/{}/{attempt}", plan.unit.run, plan.unit.unit);
        let file = |name: &str| folder.join(name).to_string_lossy().into_owned();
        let mut environment = self.inner.world.environment();
        environment.extend(plan.environment.clone());
        environment.extend([
            ("PARAMEDIC_INCIDENT".to_owned(), id.to_string()),
            ("PARAMEDIC_STEP".to_owned(), plan.unit.unit.clone()),
            ("PARAMEDIC_KEY".to_owned(), key.clone()),
            ("PARAMEDIC_CHANGES".to_owned(), file(super::changes::CHANGES_FILE)),
        ]);
        runner::Intent {
            key,
            attempt,
            statement: plan.statement.clone(),
            shell: if plan.sh { runner::Shell::Sh } else { runner::Shell::Bash },
            environment,
            directory: PathBuf::from("/"),
            timeout_ms: self.inner.settings.unit_timeout.as_millis() as u64,
            output_bytes_max: self.inner.settings.output_bytes_max,
            background_ms: None,
            writable: None,
            state_before: plan.state_before.clone(),
            state_after: folder.join(STATE_FILE),
        }
    }
}

/// The number of the attempt; an error is why there is none.
fn attempt(incident: &Incident, undo: &UnitRef) -> Result<u32, String> {
    if let Some((at_ms, by)) = incident.undone(undo) {
        return Err(format!("{by} took it back already, at {}", report::time(at_ms)));
    }
    match incident.unit(undo) {
        Some(view) if is_open(view) => Err("it is being taken back at this moment".to_owned()),
        view => Ok(view.and_then(|view| view.intent.as_ref()).map_or(1, |intent| intent.attempt + 1)),
    }
}

fn is_open(view: &UnitView) -> bool {
    view.intent.is_some() && view.outcome.is_none()
}

/// A unit with its fence.
fn place<'a>(procedure: &'a Procedure, id: &str) -> Option<(&'a Fence, &'a Unit)> {
    let mut fences = procedure.steps().flat_map(|step| &step.fences);
    fences.find_map(|fence| Some((fence, fence.units.iter().find(|unit| unit.id == id)?)))
}

fn plan_of_change(named: &str, number: u32, change: &Change) -> Result<Plan, EngineError> {
    let statement = match change.what {
        What::ServerTuning => "paramedic server tune \"$TARGET\" --undo",
        What::ServerControls => "paramedic server writes \"$TARGET\" --undo",
        What::ServerSandbox => "paramedic security harden \"$TARGET\" --undo",
        What::Containment => "paramedic security release \"$TARGET\" --undo",
        What::KernelParameter => "paramedic host tune \"$TARGET\" --undo",
        What::ServerTokens | What::UnitFile => {
            return Err(cannot(named, change.what.stays().unwrap_or_default().to_owned()));
        }
    };
    let (effect, reason) = effect_of(statement);
    let values = BTreeMap::from([(TARGET.to_owned(), change.target.clone())]);
    let mut environment = values.clone();
    let numbered = Change { undoes: Some(number), ..change.clone() };
    environment.insert(CHANGE.to_owned(), numbered.to_line());
    let (unit, statement) = (undo_of_change(number), statement.to_owned());
    Ok(Plan { unit, statement, effect, reason, sh: false, values, environment, state_before: None })
}

/// What a statement does at worst, and why.
fn effect_of(statement: &str) -> (Effect, String) {
    let stated = runbook::statements(statement, Table::builtin());
    let worst = stated.into_iter().max_by_key(|one| one.effect);
    worst.map_or((Effect::Unknown, "it is empty".to_owned()), |one| (one.effect, one.reason))
}

/// The undo as a unit. Whose command it is, is known where it is one command alone.
fn made_unit(unit: &UnitRef, source: String, effect: Effect, reason: String) -> Unit {
    let is_alone = !source.contains([';', '&', '|', '<', '>', '(', ')', '`', '\n', '\\']);
    let program = source.split_whitespace().next().filter(|_| is_alone).map(str::to_owned);
    Unit {
        id: unit.unit.clone(),
        program,
        source,
        comment: None,
        line: 0,
        effect,
        reason,
        trusts: BTreeMap::new(),
        background: false,
        reads: std::collections::BTreeSet::new(),
        sets: std::collections::BTreeSet::new(),
        needs: std::collections::BTreeSet::new(),
    }
}

fn cannot(what: &str, reason: String) -> EngineError {
    EngineError::CannotUndo { what: what.to_owned(), reason }
}

/// Why a name means nothing, and which would.
fn unknown(incident: &Incident) -> String {
    let known: Vec<_> = incident.takebacks().iter().map(crate::fold::Takeback::name).collect();
    match known.as_slice() {
        [] => "nothing that was done here can be".to_owned(),
        known => format!("there is no such change or unit that was run; there are: {}", known.join(", ")),
    }
}
