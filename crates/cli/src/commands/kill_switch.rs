//! Owns `paramedic kill-switch`: a file, with and without a running `serve`, which looks for it before every change; that of
//! another machine by its API.

use std::path::PathBuf;

use std::time::Duration;

use incident::Kill;
use server::api::wire::{By, KillSwitchStatus, ThrowKillSwitch};
use server::client::Client;
use server::config::Config;
use server::{
    KillSwitchError, Thrown, kill_switch, kill_switch_note, kill_switch_path, now_ms, release_kill_switch,
    throw_kill_switch,
};

use crate::arguments::{KillSwitchCommand, Output};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long the API may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

pub(super) fn run(
    command: &KillSwitchCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let status = match context::far() {
        Some(client) => context::runtime()?.block_on(there(&client, command))?,
        None => here(&context::load_or_default(config)?.0, command).map_err(Failure::usage)?,
    };
    let told = match (command, status.anew) {
        (KillSwitchCommand::On { .. }, true) => {
            "on: nothing is changed from now on; what runs already goes on"
        }
        (KillSwitchCommand::On { .. }, false) => "it was on already",
        (KillSwitchCommand::Off, true) => "off: changes happen again, as the policy says",
        (KillSwitchCommand::Off, false) => "it was off already",
        (KillSwitchCommand::Status, _) => {
            tell(&status, output);
            return Ok(Code::Done);
        }
    };
    anstream::eprintln!("{told}");
    Ok(Code::Done)
}

fn here(config: &Config, command: &KillSwitchCommand) -> Result<KillSwitchStatus, KillSwitchError> {
    let thrown = match command {
        KillSwitchCommand::On { reason } => {
            let note = format!("{} UTC, {}: {reason}", show::time(now_ms()), actor());
            throw_kill_switch(config, &note)?
        }
        KillSwitchCommand::Off => release_kill_switch(config)?,
        KillSwitchCommand::Status => Thrown::Before,
    };
    let (on, note) = (kill_switch(config) == Kill::On, kill_switch_note(config));
    let path = kill_switch_path(config).display().to_string();
    Ok(KillSwitchStatus { on, path, note, anew: thrown == Thrown::Now })
}

async fn there(client: &Client, command: &KillSwitchCommand) -> Result<KillSwitchStatus, Failure> {
    Ok(match command {
        KillSwitchCommand::On { reason } => {
            let throw = ThrowKillSwitch { by: actor(), reason: reason.clone() };
            client.post("/api/v1/kill-switch/throw", &throw, ANSWER_MAX).await?
        }
        KillSwitchCommand::Off => {
            client.post("/api/v1/kill-switch/release", &By { by: actor() }, ANSWER_MAX).await?
        }
        KillSwitchCommand::Status => client.get("/api/v1/kill-switch").await?,
    })
}

fn tell(status: &KillSwitchStatus, output: Output) {
    if output == Output::Table {
        let note = status.note.as_ref().map(|note| format!(" ({})", show::harmless(note)));
        let on = if status.on { "on" } else { "off" };
        show::line(&format!("{on}{}", note.unwrap_or_default()));
    } else {
        show::json(&serde_json::json!({ "on": status.on, "path": status.path, "note": status.note }));
    }
}
