//! Owns how the child is started: its command, and what its tuning makes another, read anew for each start.
//!
//! A tuning that cannot be used keeps no server down: it is started without, and the log says so.

use std::path::Path;

use process::tuning::{MemoryGroup, Tuning};
use process::{Bounds, Launch, ProcessId};

use crate::log::{About, Level};
use crate::state::Guard;

/// What is to be started now, and the control group that was made for it.
pub(crate) fn launch(guard: &Guard) -> (Launch, Option<MemoryGroup>) {
    let settings = &guard.settings;
    let tuning = settings.tuning.as_deref().map_or_else(Tuning::default, |path| read(guard, path));
    let mut command = settings.command.iter().chain(&tuning.arguments).cloned();
    let mut env = settings.environment.clone();
    // What is set here and does not stand in the guard's own environment comes first.
    let given = |name: &str| {
        let set = env.iter().rev().find(|(known, _)| known == name).map(|(_, value)| value.clone());
        set.or_else(|| std::env::var(name).ok())
    };
    let variables = tuning.variables(given);
    env.extend(variables);
    let group = group(guard, tuning.memory_limit_bytes);
    let launch = Launch {
        paramedic_exe: settings.paramedic_exe.clone(),
        program: command.next().unwrap_or_default(),
        args: command.collect(),
        env,
        cwd: settings.directory.clone(),
        bounds: Bounds { open_files: tuning.open_files, group: group.as_ref().map(MemoryGroup::procs) },
    };
    (launch, group)
}

fn read(guard: &Guard, path: &Path) -> Tuning {
    Tuning::read(path).unwrap_or_else(|error| {
        complain(guard, &format!("started without its tuning, `{}`", path.display()), &error);
        Tuning::default()
    })
}

fn group(guard: &Guard, limit_bytes: Option<u64>) -> Option<MemoryGroup> {
    let limit_bytes = limit_bytes?;
    let found = MemoryGroup::find(Path::new("/"), &guard.settings.name, ProcessId::current().pid);
    let made = found.and_then(|group| group.set(limit_bytes).map(|()| group));
    made.inspect_err(|error| complain(guard, "started without its memory limit", error)).ok()
}

fn complain(guard: &Guard, what: &str, error: &dyn std::error::Error) {
    let source = error.source().map(|source| format!(": {source}")).unwrap_or_default();
    guard.note(Level::Error, About::System, &format!("{what}: {error}{source}"), []);
}
