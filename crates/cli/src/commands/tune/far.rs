//! Owns `paramedic server tune` of a server of another machine, by the API of its `serve`.

use std::time::Duration;

use incident::change::Change;
use serde_json::Value;
use server::api::wire::{Tune, Tuned};
use server::client::Client;

use super::server::asks_for_something;
use crate::arguments::{Output, TuneArguments};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long it may take, with a restart.
const TUNE_MAX: Duration = Duration::from_secs(30 * 60);
/// How long the tuning may take to be read.
const READ_MAX: Duration = Duration::from_secs(90);

pub(super) fn run(client: &Client, arguments: &TuneArguments, output: Output) -> Result<Code, Failure> {
    let path = format!("/api/v1/servers/{}/tuning", arguments.name);
    let runtime = context::runtime()?;
    if !asks_for_something(arguments) && !arguments.undo {
        let now: Value = runtime.block_on(client.get_within(&path, READ_MAX))?;
        show::json(&now);
        return Ok(Code::Done);
    }
    let wanted = Tune {
        by: actor(),
        heap_bytes: arguments.heap,
        memory_limit_bytes: arguments.memory_limit,
        memory_high_bytes: arguments.memory_high,
        cpu_quota_percent: arguments.cpu_quota,
        tasks: arguments.tasks,
        open_files: arguments.open_files,
        environment: arguments.environment.iter().cloned().collect(),
        arguments: arguments.arguments.clone(),
        unset: arguments.unset.clone(),
        undo: arguments.undo,
        restart: arguments.restart,
    };
    let tuned: Tuned = runtime.block_on(client.post(&path, &wanted, TUNE_MAX))?;
    if output != Output::Table {
        show::json(&tuned);
        return Ok(Code::Done);
    }
    if let Some(change) = tuned.change.and_then(|change| serde_json::from_value::<Change>(change).ok()) {
        show::line(change.diff.trim_end());
    }
    if let Some(done) = &tuned.restarted {
        show::line(&format!("{}: restart done in {} ms", arguments.name, done.took_ms));
    }
    if !tuned.remarks.is_empty() {
        anstream::eprintln!("paramedic: {}", show::harmless(&tuned.remarks));
    }
    Ok(Code::Done)
}
