//! Owns `paramedic server tune` for a server that lives in a unit of systemd: what is tuned is a drop-in of ours, which
//! holds until the next boot.

use std::collections::BTreeMap;

use ::server::client::Client;
use ::server::config::{Config, Server};
use helper::{Setting, Topic};
use incident::change::{Change, What, read_place};
use process::tuning::{Heap, Runtime, Tuning};
use systemd::{Environment, UnitName};

use super::hand::{self, Hand};
use super::server::{asks_for_something, check, facts_of, next};
use super::{Subject, failure, nonsense};
use crate::arguments::{Output, TuneArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// What is tuned at a unit.
#[derive(Clone, Default)]
struct State {
    /// What any server has.
    tuning: Tuning,
    /// What only a unit has.
    memory_high: Option<u64>,
    cpu_quota: Option<u32>,
    tasks_max: Option<u32>,
}

/// From when on a change holds.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Holds {
    /// systemd gives it to what runs.
    AtOnce,
    /// A process gets it when it is started.
    FromNextStart,
}

pub(super) fn run(
    config: &Config,
    client: &Client,
    server: &Server,
    unit: &UnitName,
    arguments: &TuneArguments,
    output: Output,
) -> Result<Code, Failure> {
    let name = server.name.as_str();
    let places = vec![hand::desk().path(unit, Topic::Tuning)];
    let subject =
        Subject { config, client, server: Some(name), name, places, hand: Hand::Unit(unit, Topic::Tuning) };
    let runtime = context::runtime()?;
    let Some(change) = runtime.block_on(tune(&subject, unit, arguments, output))? else {
        return Ok(Code::Done);
    };
    if arguments.restart {
        return runtime.block_on(crate::commands::server::order(client, name, "restart", output));
    }
    match holds(unit, &change)? {
        Holds::AtOnce => anstream::eprintln!("it holds at once, and until the next boot"),
        Holds::FromNextStart => anstream::eprintln!(
            "limits of memory, processors and tasks hold at once, and the rest from the next start on: \
             `paramedic server restart {name}`; until the next boot"
        ),
    }
    Ok(Code::Done)
}

/// Returns what was changed.
async fn tune(
    subject: &Subject<'_>,
    unit: &UnitName,
    arguments: &TuneArguments,
    output: Output,
) -> Result<Option<Change>, Failure> {
    if arguments.undo {
        return subject.undo(output).await;
    }
    let path = hand::desk().path(unit, Topic::Tuning);
    let text = read_place(&path).map_err(failure)?;
    let settings = hand::settings(unit, Topic::Tuning, text.as_deref())?.unwrap_or_default();
    if !asks_for_something(arguments) {
        match output {
            Output::Table => show::line(text.as_deref().unwrap_or("nothing is tuned").trim_end()),
            _ => show::json(&settings),
        }
        return Ok(None);
    }
    let systemd = hand::systemd();
    let is_now = systemd.unit(unit).await.map_err(Failure::no)?;
    let environment = systemd.environment(unit).await.map_err(Failure::no)?;
    let facts = facts_of(is_now.main_pid);
    let state = State::of(&settings).with(arguments)?;
    let tuning = next(state.tuning.clone(), &without_own(arguments), &facts)?;
    check(&tuning, arguments, &facts, subject.name)?;
    let state = State { tuning, ..state };
    let new = state.text(unit, &environment)?;
    match Change::plan(What::ServerTuning, subject.name, [(path, new)]).map_err(failure)? {
        None => {
            show::line(&format!("{}: nothing to do, it is tuned so already", subject.name));
            Ok(None)
        }
        Some(change) => subject.carry_out(&change, output).await.map(|()| Some(change)),
    }
}

/// The words that every server knows.
fn without_own(arguments: &TuneArguments) -> TuneArguments {
    let own = ["memory-high", "cpu-quota", "tasks"];
    let unset = arguments.unset.iter().filter(|what| !own.contains(&what.as_str())).cloned().collect();
    TuneArguments { unset, ..arguments.clone() }
}

fn holds(unit: &UnitName, change: &Change) -> Result<Holds, Failure> {
    let mut at_start = Vec::new();
    for place in &change.places {
        for text in [&place.old, &place.new] {
            let state =
                State::of(&hand::settings(unit, Topic::Tuning, text.as_deref())?.unwrap_or_default()).tuning;
            at_start.push((state.heap, state.open_files, state.environment));
        }
    }
    Ok(if at_start.windows(2).all(|pair| pair[0] == pair[1]) { Holds::AtOnce } else { Holds::FromNextStart })
}

// === impl State ===

impl State {
    fn of(settings: &[Setting]) -> Self {
        let mut state = Self::default();
        for setting in settings {
            match setting {
                Setting::MemoryMax(bytes) => state.tuning.memory_limit_bytes = Some(*bytes),
                Setting::MemoryHigh(bytes) => state.memory_high = Some(*bytes),
                Setting::CpuQuota(percent) => state.cpu_quota = Some(*percent),
                Setting::TasksMax(count) => state.tasks_max = Some(*count),
                Setting::OpenFiles(count) => state.tuning.open_files = Some(*count),
                Setting::Environment(variables) => state.tuning.environment.clone_from(variables),
                // No tuning sets what shuts something off: that is a drop-in of its own.
                _ => {}
            }
        }
        for runtime in [Runtime::Node, Runtime::Jvm] {
            let options = state.tuning.environment.remove(runtime.variable());
            let bytes = options.and_then(|options| runtime.heap_bytes(&options));
            state.tuning.heap = state.tuning.heap.or(bytes.map(|bytes| Heap { runtime, bytes }));
        }
        state
    }

    /// With what is asked for of that which only a unit has.
    fn with(mut self, arguments: &TuneArguments) -> Result<Self, Failure> {
        if !arguments.arguments.is_empty() {
            let message = "the command of a unit stands in its file, and is changed there: `systemctl edit`";
            return Err(Failure::new(Code::Refused, anyhow::anyhow!(message)));
        }
        for what in &arguments.unset {
            match what.as_str() {
                "memory-high" => self.memory_high = None,
                "cpu-quota" => self.cpu_quota = None,
                "tasks" => self.tasks_max = None,
                _ => {}
            }
        }
        self.memory_high = arguments.memory_high.or(self.memory_high);
        self.cpu_quota = arguments.cpu_quota.or(self.cpu_quota);
        self.tasks_max = arguments.tasks.or(self.tasks_max);
        Ok(self)
    }

    /// The text of the drop-in; none where nothing is tuned.
    fn text(&self, unit: &UnitName, environment: &Environment) -> Result<Option<String>, Failure> {
        // What the unit has of such a variable stays, but for the heap in it.
        let variables = self.tuning.variables(|name| environment.set.get(name).cloned());
        let variables: BTreeMap<String, String> = variables.into_iter().collect();
        let settings: Vec<Setting> = [
            self.tuning.memory_limit_bytes.map(Setting::MemoryMax),
            self.memory_high.map(Setting::MemoryHigh),
            self.cpu_quota.map(Setting::CpuQuota),
            self.tasks_max.map(Setting::TasksMax),
            self.tuning.open_files.map(Setting::OpenFiles),
            (!variables.is_empty()).then_some(Setting::Environment(variables)),
        ]
        .into_iter()
        .flatten()
        .collect();
        if settings.is_empty() {
            return Ok(None);
        }
        let drop_in = helper::drop_in(unit, Topic::Tuning, &settings);
        let drop_in = drop_in.map_err(|error| nonsense(format!("`{unit}`: {error}")))?;
        Ok(Some(drop_in.text()))
    }
}
