//! Owns `paramedic incident`.

mod desk;

use std::path::PathBuf;

use incident::{Control, Incident, Word, describe};
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
        IncidentCommand::Open { server, procedure, reason } => {
            let opened = desk.begin(server, procedure, reason).await?;
            show::line(opened.id.as_str());
        }
        IncidentCommand::Resolve { id } => {
            desk.resolve(&id).await?;
            anstream::eprintln!("the server is ready; the incident is resolved when its alert is over");
        }
        IncidentCommand::Ack { id } => said(&desk, &id, Word::Acknowledge, "acknowledged").await?,
        IncidentCommand::Note { id, text } => said(&desk, &id, Word::Note { text }, "noted").await?,
        IncidentCommand::Hold { id, reason } => {
            said(&desk, &id, Word::Hold { reason }, "held: nothing is changed until `incident resume`")
                .await?;
        }
        IncidentCommand::Resume { id } => said(&desk, &id, Word::Resume, "handed back").await?,
        IncidentCommand::Abort { id, reason } => {
            said(&desk, &id, Word::Abort { reason }, "aborted: the rest is yours").await?;
        }
        IncidentCommand::Escalate { id, contact, reason } => {
            said(&desk, &id, Word::Escalate { to: contact, reason }, "written down").await?;
        }
        IncidentCommand::FollowUp { id, text, done } => {
            let word = match done {
                None => Word::FollowUp { text },
                Some(number) => Word::FollowUpDone { number, note: text },
            };
            said(&desk, &id, word, "written down").await?;
        }
        IncidentCommand::Close { id, reason } => said(&desk, &id, Word::Close { reason }, "closed").await?,
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

async fn said(desk: &Desk, id: &str, word: Word, done: &str) -> Result<(), Failure> {
    desk.say(id, word).await?;
    anstream::eprintln!("{done}");
    Ok(())
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
                _ if one.control == Control::Held => "whoever holds it".to_owned(),
                (_, [_, ..]) => format!("approval of {}", one.waiting.join(", ")),
                (Some(_), []) => "a person".to_owned(),
                (None, []) if one.follow_ups > 0 => format!("{} follow-ups", one.follow_ups),
                (None, []) => String::new(),
            };
            let opened = show::time(one.opened_ms);
            vec![
                one.id.to_string(),
                one.state.to_string(),
                std::iter::once(&one.server).chain(&one.members).cloned().collect::<Vec<_>>().join(", "),
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
    for one in incident.follow_ups.iter().filter(|one| one.done.is_none()) {
        show::line(&format!("\nfollow-up {} is open ({}): {}", one.number, one.by, one.text));
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
