//! Owns looks at the data, the backups and the machine of a server of another place, by the API of its `serve`: what is printed is
//! what the same command prints there.

use std::time::Duration;

use anyhow::anyhow;
use serde::Serialize;
use server::api::wire::{CheckData, Look, LookForm, LookQuestion, MakeBackup};
use server::client::Client;

use crate::arguments::{BackupCommand, IntegrityCommand, LookArguments, Output, TimelineArguments};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long all data may take to be read, or copied and proven.
const LONG_MAX: Duration = Duration::from_secs(2 * 60 * 60 + 60);

/// `paramedic integrity` of a server elsewhere.
pub(super) fn integrity(
    client: &Client,
    command: &IntegrityCommand,
    output: Output,
) -> Result<Code, Failure> {
    match command {
        IntegrityCommand::Check(arguments) => {
            let [server] = arguments.subjects.as_slice() else {
                return Err(here("name one server: over the network data are checked of one at a time"));
            };
            let wanted = CheckData { by: actor(), deep: arguments.deep, form: form(output) };
            order(client, &path(server, "data/check")?, &wanted, output)
        }
        IntegrityCommand::History { subject } => {
            ask(client, &path(subject, "data")?, &LookQuestion::default(), output)
        }
        IntegrityCommand::Scope { server } => {
            ask(client, &path(server, "data/scope")?, &LookQuestion::default(), output)
        }
        _ => Err(here("over the network data are checked, and their history and scope shown")),
    }
}

/// `paramedic backup` of a server elsewhere.
pub(super) fn backup(client: &Client, command: &BackupCommand, output: Output) -> Result<Code, Failure> {
    match command {
        BackupCommand::Create(arguments) if arguments.read_at.is_empty() => {
            let wanted = MakeBackup { by: actor(), read_only: arguments.read_only, form: form(output) };
            order(client, &path(&arguments.server, "backups")?, &wanted, output)
        }
        BackupCommand::List { server, verified, target: false, before }
            if before.before.is_none() && !before.before_damage =>
        {
            let asked = LookQuestion { verified: *verified, ..LookQuestion::default() };
            ask(client, &path(server, "backups")?, &asked, output)
        }
        _ => Err(here(
            "over the network backups are made and listed, without `--read-at`, `--target` and `--before`",
        )),
    }
}

/// `paramedic security check` of a server elsewhere.
pub(super) fn intruders(client: &Client, arguments: &LookArguments, output: Output) -> Result<Code, Failure> {
    ask(client, &path(&arguments.name, "intruders")?, &LookQuestion::default(), output)
}

/// `paramedic security timeline` of a server elsewhere.
pub(super) fn timeline(
    client: &Client,
    arguments: &TimelineArguments,
    output: Output,
) -> Result<Code, Failure> {
    let since_ms = arguments.since.at_ms(server::now_ms());
    let since = chrono::DateTime::from_timestamp_millis(since_ms).unwrap_or_default();
    let since = Some(since.to_rfc3339_opts(chrono::SecondsFormat::Millis, true));
    let asked = LookQuestion { since, incident: arguments.incident.clone(), ..LookQuestion::default() };
    ask(client, &path(&arguments.name, "intruders/timeline")?, &asked, output)
}

fn path(server: &str, what: &str) -> Result<String, Failure> {
    if server.contains(['/', '?', '#', '%']) {
        return Err(here(&format!(
            "`{server}` is no name of a server, and folders are looked at on their machine"
        )));
    }
    Ok(format!("/api/v1/servers/{server}/{what}"))
}

fn form(output: Output) -> LookForm {
    if output == Output::Table { LookForm::Table } else { LookForm::Json }
}

fn ask(client: &Client, path: &str, asked: &LookQuestion, output: Output) -> Result<Code, Failure> {
    let asked = LookQuestion { form: form(output), ..asked.clone() };
    let look = context::runtime()?.block_on(client.question_within(path, &asked, LONG_MAX))?;
    Ok(tell(look, output))
}

fn order(client: &Client, path: &str, wanted: &impl Serialize, output: Output) -> Result<Code, Failure> {
    let look = context::runtime()?.block_on(client.post(path, wanted, LONG_MAX))?;
    Ok(tell(look, output))
}

fn tell(look: Look, output: Output) -> Code {
    if let Some(text) = look.text {
        text.lines().for_each(show::line);
    }
    match (output, look.found) {
        (Output::Jsonl, Some(serde_json::Value::Array(all))) => all.iter().for_each(show::json_line),
        (_, Some(found)) => show::json(&found),
        (_, None) => {}
    }
    if !look.remarks.is_empty() {
        anstream::eprintln!("paramedic: {}", show::harmless(&look.remarks));
    }
    if look.is_fine { Code::Done } else { Code::No }
}

fn here(words: &str) -> Failure {
    Failure::usage(anyhow!("{words}; for the rest leave `--server-url` out there"))
}
