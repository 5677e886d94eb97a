//! Owns `paramedic incident`.

mod desk;

use std::path::PathBuf;

use incident::{Incident, describe};
use server::api::wire::{Approve, Detail, Reject, Summary};

use crate::arguments::{IncidentCommand, Output};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;
use desk::Desk;

pub(super) fn run(
    command: IncidentCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    context::runtime()?.block_on(answer(command, config, output))
}

async fn answer(command: IncidentCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let desk = Desk::open(config).await?;
    match command {
        IncidentCommand::List { all } => list(desk.list().await?, all, output),
        IncidentCommand::Show { id } => show_one(&desk.detail(&id).await?, output),
        IncidentCommand::Report { id } => show::line(desk.report(&id).await?.trim_end()),
        IncidentCommand::Ack { id } => {
            desk.acknowledge(&id).await?;
            anstream::eprintln!("acknowledged");
        }
        IncidentCommand::Approve { id, unit, parameters } => {
            let values = parameters.into_iter().collect();
            let word = Approve { unit, by: actor(), values };
            desk.word(&id, "approve", &word).await?;
            anstream::eprintln!("approved: {}", word.unit);
        }
        IncidentCommand::Reject { id, unit, reason } => {
            let word = Reject { unit, by: actor(), reason };
            desk.word(&id, "reject", &word).await?;
            anstream::eprintln!("rejected: {}", word.unit);
        }
    }
    Ok(Code::Done)
}

fn list(mut incidents: Vec<Summary>, all: bool, output: Output) {
    incidents.retain(|incident| all || incident.state.is_open());
    if incidents.is_empty() && output == Output::Table {
        anstream::eprintln!(
            "{}",
            if all { "no incidents" } else { "no open incidents; --all shows those that are over" }
        );
        return;
    }
    show::rows(
        output,
        &incidents,
        &["incident", "state", "server", "opened (UTC)", "what", "waits for"],
        |one| {
            let waits = match (&one.person_needed, one.waiting.as_slice()) {
                (_, [_, ..]) => format!("approval of {}", one.waiting.join(", ")),
                (Some(_), []) => "a person".to_owned(),
                (None, []) => String::new(),
            };
            let opened = show::time(one.opened_ms);
            vec![
                one.id.to_string(),
                one.state.to_string(),
                one.server.clone(),
                opened,
                one.summary.clone(),
                waits,
            ]
        },
    );
}

fn show_one(detail: &Detail, output: Output) {
    if output != Output::Table {
        show::json(detail);
        return;
    }
    let records = detail.timeline.iter().map(|happened| (happened.at_ms, &happened.record));
    let Some(incident) = Incident::fold(&detail.id, records) else { return };
    show::line(&format!("{}  {}  {}  {}", incident.id, incident.state, incident.server, incident.title));
    for (at_ms, record) in &incident.timeline {
        if let Some(what) = describe(record) {
            show::line(&format!("{}  {what}", show::time(*at_ms)));
        }
    }
    for (unit, view, asked) in incident.open_questions() {
        show::line(&format!(
            "\n{} waits for a person ({}): {}\n{}",
            unit.unit, asked.effect, asked.reason, view.statement
        ));
        let missing: String = asked.missing.iter().map(|name| format!(" -p {name}=VALUE")).collect();
        show::line(&format!("\n  paramedic incident approve {} {}{missing}", incident.id, unit.unit));
        show::line(&format!("  paramedic incident reject {} {}", incident.id, unit.unit));
    }
}
