//! Owns the rules that hold whatever happens, checked at each record, each run, each effect, each restart and in the end.

use std::collections::{BTreeMap, HashMap};
use std::path::Path;

use incident::{
    Binding, Control, Engine, Incident, IncidentId, Kill, Record, Report, Shelf, Source, UnitEnd, UnitRef,
};
use journal::{Digest, Draft};
use runbook::Effect;
use sha2::{Digest as _, Sha256};

use super::calls::Calls;
use super::plan::MINUTE_MS;
use super::runners::Job;
use super::scene::{Sim, SimWorld, State};

/// The most entries of one world: more is an engine that runs wild.
const ENTRIES_MAX: usize = 4_000;

/// An attempt at a unit, as its key names it.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Place {
    pub(crate) incident: String,
    pub(crate) run: u32,
    pub(crate) unit: String,
    pub(crate) attempt: u32,
}

/// How long an approval may be looked at before its intent is written, in milliseconds: others write as well.
const MOMENT_MS: i64 = 5_000;

/// What the judge remembers.
#[derive(Default)]
pub(crate) struct Judge {
    pub(crate) broken: Vec<String>,
    /// What each task read last of the kill switch, when, and how long the journal had been busy by then.
    reads: HashMap<tokio::task::Id, (i64, Kill, i64)>,
    /// The fold of what is on the disk.
    folds: BTreeMap<String, Incident>,
    /// The word on which each intent stands, by its key.
    words: BTreeMap<String, Yes>,
    /// When the alert of an incident was last written down to be over.
    resolved: BTreeMap<String, i64>,
    /// What was really done, by unit.
    executed: BTreeMap<(String, u32, String), Vec<u32>>,
    checked: usize,
    calls: Calls,
}

/// A word that an intent stands on.
#[derive(Debug, Clone)]
struct Yes {
    binding: String,
    expires_ms: i64,
    once_more: bool,
    given: BTreeMap<String, String>,
    people: u32,
    /// The attempts that it was used for.
    used: Vec<u32>,
}

/// What the runbook says of a unit.
struct Author {
    effect: Effect,
    idempotent: bool,
    retry: bool,
    asks: bool,
}

// === impl Place ===

impl Place {
    /// Reads `INCIDENT/RUN/UNIT/ATTEMPT`.
    pub(crate) fn of(key: &str) -> Self {
        let parts: Vec<&str> = key.split('/').collect();
        let [incident, run, unit, attempt] = parts[..] else { panic!("`{key}` is no key of a unit") };
        let (incident, unit) = (incident.to_owned(), unit.to_owned());
        Self { incident, run: run.parse().unwrap(), unit, attempt: attempt.parse().unwrap() }
    }

    fn unit(&self) -> UnitRef {
        UnitRef { run: self.run, unit: self.unit.clone() }
    }

    fn all_attempts(&self) -> (String, u32, String) {
        (self.incident.clone(), self.run, self.unit.clone())
    }
}

// === impl Author ===

impl Author {
    fn may_repeat(&self) -> bool {
        self.retry || self.idempotent
    }
}

// === impl Judge ===

impl Judge {
    pub(crate) fn kill_was_read(&mut self, now_ms: i64, kill: Kill, busy_ms: i64) {
        if let Some(task) = tokio::task::try_id() {
            self.reads.insert(task, (now_ms, kill, busy_ms));
        }
    }

    pub(crate) fn effects(&self) -> usize {
        self.executed.values().map(Vec::len).sum()
    }

    /// The word that stands for a unit, by the records so far.
    fn word(&self, incident: &Incident, unit: &UnitRef) -> Option<Yes> {
        let mut asked: Option<Yes> = None;
        let mut yes: Option<Yes> = None;
        let mut voices = Vec::new();
        let own = incident.id.as_str();
        for (_, record) in &incident.timeline {
            match record {
                Record::ApprovalAsked { unit: of, binding, expires_ms, reason, people, .. } if of == unit => {
                    let (binding, once_more) = (binding.clone(), reason.contains("once more"));
                    let (given, people) = (BTreeMap::new(), people.unwrap_or(1));
                    let expires_ms = *expires_ms;
                    asked = Some(Yes { binding, expires_ms, once_more, given, people, used: Vec::new() });
                    yes = None;
                    voices.clear();
                }
                Record::Approved { unit: of, by, values, .. } if of == unit => {
                    voices.push(by);
                    if let Some(asked) = &asked
                        && voices.len() >= asked.people as usize
                        && (voices.len() < 2 || voices[0] != voices[1])
                    {
                        yes = Some(Yes { given: values.clone(), ..asked.clone() });
                    }
                }
                Record::ApprovalEnded { unit: of, .. } if of == unit => (asked, yes) = (None, None),
                Record::Held { .. } | Record::Aborted { .. } | Record::Stopped { .. } => {
                    (asked, yes) = (None, None);
                }
                Record::Restarted { key, .. } if !key.starts_with(own) => (asked, yes) = (None, None),
                Record::Intent { unit: of, attempt, .. } if of == unit => {
                    if let Some(yes) = &mut yes {
                        yes.used.push(*attempt);
                    }
                }
                _ => {}
            }
        }
        yes
    }
}

// === impl Sim ===

impl Sim {
    fn author(&self, procedure: &str, unit: &str) -> Author {
        let procedure = self.book.procedure(procedure).unwrap();
        let mut fences = procedure.phases.iter().flat_map(|phase| &phase.steps).flat_map(|step| &step.fences);
        let (fence, found) = fences
            .find_map(|fence| fence.units.iter().find(|one| one.id == unit).map(|found| (fence, found)))
            .unwrap();
        Author {
            effect: found.effect,
            idempotent: fence.attributes.idempotent,
            retry: fence.attributes.retry.is_some() && fence.last_mutating() == Some(found),
            asks: fence.attributes.approve == runbook::Approve::Always,
        }
    }

    /// Whether a person has to be asked, whatever the moment.
    fn needs_word(&self, author: &Author) -> bool {
        author.asks
            || self.policy.mode == incident::Mode::Suggest
            || !self.policy.allow.contains(&author.effect)
    }

    /// A record is on its way. Whoever intends a change has read the kill switch since nothing but the journal was waited for.
    pub(crate) fn judge_append(&self, draft: &Draft) {
        if draft.kind != "intent" || draft.body["effect"] == "observe" {
            return;
        }
        let now_ms = self.clock.now_ms();
        let problem = {
            let state = self.state();
            let read = tokio::task::try_id().and_then(|task| state.judge.reads.get(&task));
            match read {
                None => Some("without reading it"),
                Some((_, Kill::On, _)) => Some("though it was on"),
                Some((at_ms, Kill::Off, busy_ms))
                    if now_ms - at_ms > state.disk.busy_ms(now_ms) - busy_ms =>
                {
                    Some("read too long ago")
                }
                Some(_) => None,
            }
        };
        if let Some(problem) = problem {
            self.broken(format!("kill switch: intent {} {problem}", draft.body["key"]));
        }
    }

    /// A record is on the disk.
    pub(crate) fn judge_record(&self, name: &str, at_ms: i64, record: &Record) {
        let mut broken = Vec::new();
        {
            let mut state = self.state();
            if let Some(incident) = state.judge.folds.get(name) {
                if let Record::Intent { unit, attempt, effect, key, .. } = record
                    && effect != "observe"
                {
                    let word = state.judge.word(incident, unit);
                    broken = self.judge_intent(&state, incident, unit, *attempt, at_ms, word.as_ref());
                    match word {
                        Some(word) => drop(state.judge.words.insert(key.clone(), word)),
                        // An intent of the same key, on a word, was lost with the end of the journal.
                        None => drop(state.judge.words.remove(key)),
                    }
                }
            } else if let Record::Opened { server, procedure, alarm, dependency, .. } = record {
                let other = state.judge.folds.values().find(|one| {
                    let same =
                        one.server == *server || (dependency.is_some() && one.dependency == *dependency);
                    one.state.is_open() && same && one.procedure == *procedure
                });
                if let Some(other) = other
                    && alarm.source != Source::Person
                {
                    broken.push(format!("one incident: {name} is opened beside {}", other.id));
                }
            }
            state.judge.take(name, at_ms, record);
            broken.extend(state.judge.calls.take(name, at_ms, record));
            if matches!(record, Record::Reopened { .. }) {
                state.judge.resolved.remove(name);
            }
            if matches!(record, Record::AlertResolved {}) {
                let now_ms = self.clock.now_ms();
                state.judge.resolved.insert(name.to_owned(), now_ms);
            }
            if state.disk.entries.len() == ENTRIES_MAX {
                broken.push(format!("bounds: {ENTRIES_MAX} entries"));
            }
        }
        if self.is_told {
            let what = incident::describe(record).unwrap_or_else(|| record.kind().to_owned());
            self.log(format_args!("{name} {what}"));
        }
        broken.into_iter().for_each(|rule| self.broken(rule));
    }

    fn judge_intent(
        &self,
        state: &State,
        incident: &Incident,
        unit: &UnitRef,
        attempt: u32,
        at_ms: i64,
        word: Option<&Yes>,
    ) -> Vec<String> {
        let mut broken = Vec::new();
        let what = format!("{} {}/{} attempt {attempt}", incident.id, unit.run, unit.unit);
        if !incident.state.is_open() {
            broken.push(format!("over: {what} is intended though the incident is {}", incident.state));
        }
        if incident.control != Control::Machine {
            broken.push(format!("hold: {what} is intended while a person leads"));
        }
        let read = tokio::task::try_id().and_then(|task| state.judge.reads.get(&task));
        let resolved_ms = state.judge.resolved.get(incident.id.as_str()).copied();
        // What became known after the decision came too late for it.
        if incident.alert_resolved_ms.is_some() && read.map(|(at_ms, ..)| *at_ms) > resolved_ms {
            broken.push(format!("too late: {what} is intended though the alert is resolved"));
        }
        let done = state.judge.executed.get(&(incident.id.to_string(), unit.run, unit.unit.clone()));
        match word {
            Some(word) if at_ms >= word.expires_ms + MOMENT_MS => {
                broken.push(format!(
                    "expired: {what} is intended {} ms after its approval expired",
                    at_ms - word.expires_ms
                ));
            }
            // Whoever says yes to a statement with `retry` or `idempotent` says yes to that as well.
            Some(word)
                if !self.author(&incident.procedure, &unit.unit).may_repeat()
                    && word.used.iter().any(|used| done.is_some_and(|done| done.contains(used))) =>
            {
                broken.push(format!("used up: {what} stands on an approval that was carried out already"));
            }
            Some(_) => {}
            None if self.needs_word(&self.author(&incident.procedure, &unit.unit)) => {
                broken.push(format!("approval: {what} is intended without one"));
            }
            None => broken.extend(self.unasked(state, incident, at_ms).map(|why| format!("{why}: {what}"))),
        }
        broken
    }

    /// Why nothing may be changed now without a word, as far as that has been known for a moment.
    fn unasked(&self, state: &State, incident: &Incident, at_ms: i64) -> Option<&'static str> {
        let known = |one_ms: i64| one_ms <= at_ms - MOMENT_MS;
        let all = || state.judge.folds.values();
        let changes = all().flat_map(|one| &one.timeline).filter(|(one_ms, record)| {
            let changes = matches!(record, Record::Intent { effect, .. } if effect != "observe");
            changes && known(*one_ms) && *one_ms > at_ms - 60 * MINUTE_MS + MOMENT_MS
        });
        if changes.count() >= self.policy.changes_per_hour as usize {
            return Some("budget");
        }
        if incident.flapping.is_some() {
            return Some("flapping");
        }
        let now_ms = self.clock.now_ms();
        if now_ms < state.maintenance_until_ms && state.maintenance_since_ms < now_ms - MOMENT_MS {
            return Some("maintenance");
        }
        let open = all().filter(|one| one.state.is_open() && one.alarm.source != Source::Person);
        let troubled: BTreeMap<&str, i64> =
            open.filter_map(|one| Some((one.server.as_str(), trouble_ms(one)?))).collect();
        let times: Vec<i64> = troubled.into_values().collect();
        let window_ms = self.policy.storm.window.as_millis() as i64;
        let at_once = times.len() > 1 && times.iter().max()? - times.iter().min()? <= window_ms - MOMENT_MS;
        let braked = at_once && self.policy.storm.brakes(2) && times.into_iter().all(known);
        braked.then_some("storm")
    }

    /// A runner is about to be started.
    pub(crate) fn judge_run(&self, idx: usize) {
        let problem = {
            let state = self.state();
            let runner = &state.runners[idx];
            let place = &runner.place;
            let view = state.judge.folds.get(&place.incident).and_then(|one| one.unit(&place.unit()));
            let intent = view.and_then(|view| view.intent.as_ref());
            let word = state.judge.words.get(&runner.intent.key);
            match intent {
                Some(intent) if intent.attempt == place.attempt => word
                    .and_then(|word| self.unbound(&state, place, &runner.intent, word))
                    .map(|problem| format!("binding: {} {problem}", runner.intent.key)),
                _ => Some(format!("intent first: {} is run without a durable intent", runner.intent.key)),
            }
        };
        if let Some(problem) = problem {
            self.broken(problem);
        }
    }

    /// What is not as it was approved.
    fn unbound(&self, state: &State, place: &Place, intent: &runner::Intent, word: &Yes) -> Option<String> {
        let incident = state.judge.folds.get(&place.incident)?;
        let unit = place.unit();
        let record = incident.timeline.iter().rev().map(|(_, record)| record);
        let mut values = record
            .filter_map(|record| match record {
                Record::Intent { key, values, .. } if *key == intent.key => Some(values.clone()),
                _ => None,
            })
            .next()?;
        values.retain(|name, _| !word.given.contains_key(name));
        let digest = |path: &Path| {
            let digest = Sha256::digest(std::fs::read(path).ok()?);
            Some(digest.iter().map(|byte| format!("{byte:02x}")).collect::<String>())
        };
        let state_digest = intent.state_before.as_deref().and_then(digest);
        let binding = Binding {
            incident: &incident.id,
            unit: &unit,
            runbook: &self.book.runbook.sha256,
            statement: &intent.statement,
            target: &incident.server,
            values: &values,
            state: state_digest.as_deref(),
            interrupted: word.once_more.then(|| place.attempt - 1),
            people: word.people,
            expires_ms: word.expires_ms,
        };
        (binding.digest() != word.binding)
            .then(|| format!("is run as something else than was approved: {binding:?}, for {word:?}"))
    }

    /// A statement takes effect.
    pub(crate) fn judge_effect(&self, idx: usize) {
        let problem = {
            let mut state = self.state();
            let place = state.runners[idx].place.clone();
            let procedure = state.judge.folds[&place.incident].procedure.clone();
            let author = self.author(&procedure, &place.unit);
            let key = state.runners[idx].intent.key.clone();
            let once_more = state.judge.words.get(&key).is_some_and(|word| word.once_more);
            let earlier = state.judge.executed.get(&place.all_attempts()).cloned().unwrap_or_default();
            let ended = |one: &u32| {
                state.judge.folds.get(&place.incident).is_some_and(|incident| {
                    incident.timeline.iter().any(|(_, record)| matches!(record, Record::Outcome { unit, attempt, .. } if *unit == place.unit() && attempt == one))
                })
            };
            let failed = earlier.iter().all(ended);
            let done = state.judge.executed.entry(place.all_attempts()).or_default();
            let again = !done.is_empty();
            let same = done.contains(&place.attempt);
            done.push(place.attempt);
            let may = author.idempotent || once_more || (author.retry && failed);
            if author.effect == Effect::Observe {
                None
            } else if same {
                Some(format!("once: {key} takes effect twice"))
            } else if again && !may {
                Some(format!("once: {key} takes effect after an earlier attempt did"))
            } else {
                None
            }
        };
        if let Some(problem) = problem {
            self.broken(problem);
        }
    }

    /// Entries are gone that were acknowledged: what is left is the truth.
    pub(crate) fn judge_loss(&self) {
        let mut state = self.state();
        state.judge.folds = BTreeMap::new();
        state.judge.checked = 0;
        state.judge.calls = Calls::default();
        let State { disk, judge, .. } = &mut *state;
        for entry in &disk.entries {
            if let Some(name) = &entry.incident {
                let record = serde_json::from_value(entry.body.clone()).unwrap();
                judge.take(name, entry.at_ms, &record);
                judge.calls.take(name, entry.at_ms, &record);
            }
        }
    }

    /// The chain is whole, and the engine knows what the journal says.
    pub(crate) async fn judge_knowledge(&self, engine: &Engine<SimWorld>) {
        let known = engine.incidents().await.unwrap();
        let mut broken = Vec::new();
        {
            let mut state = self.state();
            let checked = state.judge.checked;
            let mut before =
                checked.checked_sub(1).map_or(Digest::ZERO, |idx| state.disk.entries[idx].digest);
            for entry in &state.disk.entries[checked..] {
                if entry.previous != before || entry.computed_digest() != Some(entry.digest) {
                    broken.push(format!("chain: entry {} does not follow", entry.seq));
                }
                before = entry.digest;
            }
            state.judge.checked = state.disk.entries.len();
            if known.len() != state.judge.folds.len() {
                broken.push(format!("fold: {} incidents of {}", known.len(), state.judge.folds.len()));
            }
            for incident in &known {
                let fold = state.judge.folds.get(incident.id.as_str());
                if fold.map(|fold| format!("{fold:?}")) != Some(format!("{incident:?}")) {
                    broken.push(format!("fold: the engine knows something else of {}", incident.id));
                }
            }
        }
        broken.into_iter().for_each(|rule| self.broken(rule));
    }

    /// What must be so when all is over.
    pub(crate) async fn judge_end(&self, engine: &Engine<SimWorld>) {
        self.judge_knowledge(engine).await;
        let known = engine.incidents().await.unwrap();
        let mut broken = Vec::new();
        {
            let state = self.state();
            for incident in &known {
                self.judge_incident(&state, engine.shelf(), incident, &mut broken);
                judge_jobs(&state, incident, &mut broken);
            }
            let untold = state.judge.calls.untold();
            broken.extend(
                untold.map(|(name, about, who)| format!("calls: {who} never hears of {about} of {name}")),
            );
        }
        broken.into_iter().for_each(|rule| self.broken(rule));
    }

    fn judge_incident(&self, state: &State, shelf: &Shelf, incident: &Incident, broken: &mut Vec<String>) {
        let id = incident.id.as_str();
        let entries = state.disk.entries.iter().filter(|entry| entry.incident.as_deref() == Some(id));
        let records: Vec<(i64, Record)> =
            entries.map(|entry| (entry.at_ms, serde_json::from_value(entry.body.clone()).unwrap())).collect();
        let fold = |count: usize| {
            Incident::fold(
                &IncidentId::from_text(id),
                records[..count].iter().map(|(at_ms, one)| (*at_ms, one)),
            )
        };
        let whole = fold(records.len()).unwrap();
        if format!("{whole:?}") != format!("{incident:?}") {
            broken.push(format!("fold: {id} is not what its records say"));
        }
        // What is opened again is reported anew.
        let reported = records.iter().rposition(|(_, record)| matches!(record, Record::Reported { .. }));
        if let Some(place) = reported.filter(|_| incident.is_reported()) {
            let (at_ms, Record::Reported { path }) = &records[place] else { return };
            let text = std::fs::read_to_string(path).unwrap_or_default();
            // Something may have been said and told while it was written down that the report is written.
            let procedure = shelf.procedures().map(|(_, one)| one).find(|one| one.id == incident.procedure);
            let same = |count: usize| told(&fold(count).unwrap(), procedure, *at_ms) == text;
            if !(1..=place).rev().take(12).any(same) {
                broken.push(format!("report: that of {id} is not the fold of its records"));
            }
        }
        let waits = incident.open_questions().next().is_some();
        for step in incident.steps.iter().filter(|step| !step.state.has_ended()) {
            if !waits {
                let (run, number) = (step.step.run, step.step.number);
                broken.push(format!("steps: step {number} of run {run} of {id} is {} for ever", step.state));
            }
        }
        for (unit, view) in &incident.units {
            // What never began needs no end.
            let began = view.intent.as_ref().is_some_and(|intent| state.has_begun(Path::new(&intent.folder)));
            if began && view.outcome.is_none() && view.asked.is_none() {
                broken.push(format!("lost: {id} {}/{} has an intent and no outcome", unit.run, unit.unit));
            }
            let claims =
                matches!(view.outcome.as_ref().map(|ended| &ended.end), Some(UnitEnd::Exited { .. }));
            let done = state.judge.executed.get(&(id.to_owned(), unit.run, unit.unit.clone()));
            if claims && done.is_none() {
                broken.push(format!("untrue: {id} {}/{} has an outcome and no effect", unit.run, unit.unit));
            }
        }
    }
}

// === impl Judge ===

impl Judge {
    fn take(&mut self, name: &str, at_ms: i64, record: &Record) {
        match self.folds.get_mut(name) {
            Some(incident) => incident.apply(at_ms, record),
            None => {
                let id = IncidentId::from_text(name);
                self.folds.extend(Incident::fold(&id, [(at_ms, record)]).map(|one| (name.to_owned(), one)));
            }
        }
    }
}

/// A background job runs only where the journal says so, and only as long as it may.
fn judge_jobs(state: &State, incident: &Incident, broken: &mut Vec<String>) {
    let id = &incident.id;
    let looks = |effect: &str| effect == "observe";
    for job in incident.open_jobs() {
        let (run, unit) = (job.unit.run, &job.unit.unit);
        let leads = incident.control == Control::Machine || looks(&job.effect);
        let intent = incident.unit(&job.unit).and_then(|view| view.intent.as_ref());
        let again = run < incident.run || intent.is_none_or(|intent| intent.attempt > job.attempt);
        if incident.is_reported() || incident.control == Control::Aborted || !leads || again {
            broken.push(format!("jobs: that of {id} {run}/{unit} is not known to have ended"));
        }
    }
    for runner in state.runners.iter().filter(|runner| runner.place.incident == id.as_str()) {
        let open = incident.open_jobs().any(|job| Path::new(&job.folder) == runner.folder);
        if matches!(runner.job, Some(Job::Runs | Job::Orphaned)) && !open {
            broken.push(format!("jobs: that of {} runs, and nobody knows of it", runner.intent.key));
        }
    }
}

/// When trouble was last seen.
fn trouble_ms(incident: &Incident) -> Option<i64> {
    incident.timeline.iter().rev().find_map(|(at_ms, record)| {
        let seen =
            matches!(record, Record::Opened { .. } | Record::SeenAgain { .. } | Record::Reopened { .. });
        seen.then_some(*at_ms)
    })
}

/// The report of an incident, as it is told to people.
fn told(incident: &Incident, procedure: Option<&runbook::Procedure>, now_ms: i64) -> String {
    Report::of(incident, procedure, &[], now_ms).markdown()
}
