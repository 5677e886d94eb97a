//! Owns `paramedic kill-switch`: a file, with and without a running `serve`, which looks for it before every change.

use std::path::PathBuf;

use incident::Kill;
use serde::Serialize;
use server::{
    Thrown, kill_switch, kill_switch_note, kill_switch_path, now_ms, release_kill_switch, throw_kill_switch,
};

use crate::arguments::{KillSwitchCommand, Output};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How the switch stands.
#[derive(Debug, Serialize)]
struct Status {
    on: bool,
    path: PathBuf,
    /// Who has thrown it, when and why, where the file says so.
    note: Option<String>,
}

pub(super) fn run(
    command: KillSwitchCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (config, _) = context::load_or_default(config)?;
    match command {
        KillSwitchCommand::On { reason } => {
            let note = format!("{} UTC, {}: {reason}", show::time(now_ms()), actor());
            let told = match throw_kill_switch(&config, &note).map_err(Failure::usage)? {
                Thrown::Now => "on: nothing is changed from now on; what runs already goes on",
                Thrown::Before => "it was on already",
            };
            anstream::eprintln!("{told}");
        }
        KillSwitchCommand::Off => {
            let told = match release_kill_switch(&config).map_err(Failure::usage)? {
                Thrown::Now => "off: changes happen again, as the policy says",
                Thrown::Before => "it was off already",
            };
            anstream::eprintln!("{told}");
        }
        KillSwitchCommand::Status => {
            let (on, note) = (kill_switch(&config) == Kill::On, kill_switch_note(&config));
            let status = Status { on, path: kill_switch_path(&config), note };
            if output == Output::Table {
                let note = status.note.map(|note| format!(" ({note})")).unwrap_or_default();
                show::line(&format!("{}{note}", if on { "on" } else { "off" }));
            } else {
                show::json(&status);
            }
        }
    }
    Ok(Code::Done)
}
