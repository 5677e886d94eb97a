//! Owns `paramedic incident`.

mod desk;
mod report;
mod unwind;
mod verify;
mod watch;

use std::path::PathBuf;

use incident::{Asked, Control, Incident, Takeback, UnitRef, UnitView, Word, describe, plain};
use server::api::wire::{Approve, Detail, Happened, Reject, Summary};

use crate::arguments::{IncidentCommand, IncidentListArguments, Output};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;
use desk::Desk;
pub(super) use unwind::of_server;

pub(super) fn run(
    command: IncidentCommand,
    config: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    context::runtime()?.block_on(answer(command, config, output))
}

async fn answer(command: IncidentCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let command = match command {
        IncidentCommand::Verify => return verify::run(config, output).await,
        IncidentCommand::Watch { id } => return watch::run(config, id, output).await,
        other => other,
    };
    let desk = Desk::open(config).await?;
    match command {
        IncidentCommand::Verify | IncidentCommand::Watch { .. } => {}
        IncidentCommand::Report(arguments) => return report::run(&desk, &arguments, output).await,
        IncidentCommand::List(arguments) => {
            let found = desk.list(&arguments.question(server::now_ms())).await?;
            list(&found, &arguments, output);
        }
        IncidentCommand::Show { id } => show_one(&desk.detail(&id).await?, output),
        IncidentCommand::Open { server, procedure, reason } => {
            let opened = desk.begin(server, procedure, reason).await?;
            show::line(opened.id.as_str());
        }
        IncidentCommand::Resolve { id } => {
            desk.resolve(&id).await?;
            anstream::eprintln!("the server is ready; the incident is resolved when its alert is over");
        }
        IncidentCommand::Ack { id } => said(&desk, &id, Word::Acknowledge, "acknowledged").await?,
        IncidentCommand::Note { id, text, duty, follow_up } => {
            let word = match duty {
                None => Word::Note { text },
                Some(duty) => Word::DutyMet { duty, note: text, follow_up },
            };
            said(&desk, &id, word, "noted").await?;
        }
        IncidentCommand::Hold { id, reason } => {
            said(&desk, &id, Word::Hold { reason }, "held: nothing is changed until `incident resume`")
                .await?;
        }
        IncidentCommand::Resume { id } => said(&desk, &id, Word::Resume, "handed back").await?,
        IncidentCommand::Abort { id, reason } => {
            said(&desk, &id, Word::Abort { reason }, "aborted: the rest is yours").await?;
        }
        IncidentCommand::Escalate { id, contact, reason } => {
            said(
                &desk,
                &id,
                Word::Escalate { to: contact, reason },
                "called: `incident show` says who was told",
            )
            .await?;
        }
        IncidentCommand::FollowUp { id, text, done } => {
            let word = match done {
                None => Word::FollowUp { text },
                Some(number) => Word::FollowUpDone { number, note: text },
            };
            said(&desk, &id, word, "written down").await?;
        }
        IncidentCommand::Close { id, reason } => said(&desk, &id, Word::Close { reason }, "closed").await?,
        IncidentCommand::Approve { id, unit, question, parameters } => {
            approve(&desk, &id, unit, question, parameters).await?;
        }
        IncidentCommand::Undo { id, what: Some(what), .. } => return undo(&desk, &id, what, output).await,
        IncidentCommand::Undo { id, what: None, .. } => return unwind::all(&desk, &id, output).await,
        IncidentCommand::Reject { id, unit, reason } => {
            let word = Reject { unit, by: actor(), reason };
            drop(desk.word(&id, "reject", &word).await?);
            anstream::eprintln!("rejected: {}", word.unit);
        }
    }
    Ok(Code::Done)
}

/// What happened in an incident, in words, each with its time.
pub(super) fn timeline(config: Option<PathBuf>, id: &str) -> Result<Vec<(i64, String)>, Failure> {
    let detail = context::runtime()?.block_on(async { Desk::open(config).await?.detail(id).await })?;
    let line = |one: &Happened| Some((one.at_ms, describe(&one.record)?));
    Ok(detail.timeline.iter().filter_map(line).collect())
}

async fn undo(desk: &Desk, id: &str, what: String, output: Output) -> Result<Code, Failure> {
    let undone = desk.undo(id, what).await?;
    if output == Output::Table {
        show::line(format!("{}{}: {}", undone.printed, undone.unit, undone.outcome).trim_end());
    } else {
        show::json(&undone);
    }
    Ok(if undone.done { Code::Done } else { Code::No })
}

async fn said(desk: &Desk, id: &str, word: Word, done: &str) -> Result<(), Failure> {
    desk.say(id, word).await?;
    anstream::eprintln!("{done}");
    Ok(())
}

async fn approve(
    desk: &Desk,
    id: &str,
    unit: String,
    question: Option<String>,
    parameters: Vec<(String, String)>,
) -> Result<(), Failure> {
    if question.is_none() {
        show_unread(&desk.detail(id).await?, &unit)?;
    }
    let values = parameters.into_iter().collect();
    let yes = Approve { unit, by: actor(), question: question.unwrap_or_default(), values };
    let after = desk.word(id, "approve", &yes).await?;
    anstream::eprintln!("{}", approved(&after, &yes.unit));
    Ok(())
}

/// A yes is to a question that was read. Prints the one that is open; where none is, `serve` says so.
fn show_unread(detail: &Detail, unit: &str) -> Result<(), Failure> {
    let Some(incident) = detail.fold() else { return Ok(()) };
    let mut open = incident.open_questions().filter(|(named, ..)| named.unit == unit);
    let Some((unit, view, asked)) = open.next() else { return Ok(()) };
    let lines = question(&incident, unit, view, asked).join("\n");
    Err(Failure::usage(anyhow::anyhow!(
        "a yes is to a question that was read, so nothing was approved. {}",
        lines.trim_start()
    )))
}

/// What a yes has brought about: where two people have to say it, the first one alone brings about nothing.
fn approved(after: &Detail, unit: &str) -> String {
    let incident = after.fold();
    let waits = incident.as_ref().and_then(|incident| {
        let mut open = incident.open_questions().filter(|(named, ..)| named.unit == unit);
        open.find_map(|(_, _, asked)| asked.first.as_ref())
    });
    match waits {
        Some((first, _)) => format!(
            "{first} said yes to {unit}, and nothing is run yet: a second person has to approve it; `paramedic incident show {}` says how",
            after.id
        ),
        None => format!("approved: {unit}"),
    }
}

fn list(incidents: &[Summary], arguments: &IncidentListArguments, output: Output) {
    if incidents.is_empty() && output == Output::Table {
        let is_narrow = arguments.server.is_some()
            || arguments.state.is_some()
            || arguments.severity.is_some()
            || arguments.since.is_some();
        anstream::eprintln!(
            "{}",
            match (is_narrow, arguments.all) {
                (true, _) => "no such incidents; those that are over are shown with --all or --state",
                (false, true) => "no incidents",
                (false, false) => "no open incidents; --all shows those that are over",
            }
        );
        return;
    }
    show::rows(
        output,
        incidents,
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
    match output {
        Output::Json => return show::json(detail),
        Output::Jsonl => return detail.timeline.iter().for_each(show::json_line),
        Output::Table => {}
    }
    let Some(incident) = detail.fold() else { return };
    show::line(&format!("{}  {}  {}  {}", incident.id, incident.state, incident.server, incident.title));
    for (at_ms, record) in &incident.timeline {
        if let Some(what) = describe(record) {
            show::line(&format!("{}  {what}", show::time(*at_ms)));
        }
    }
    for one in incident.follow_ups.iter().filter(|one| one.done.is_none()) {
        show::line(&format!("\nfollow-up {} is open ({}): {}", one.number, one.by, plain(&one.text)));
    }
    for one in incident.takebacks() {
        let what = match &one {
            Takeback::Change(made) => {
                let change = made.change;
                format!("{} `{}`\n{}", change.what, change.target, change.diff.trim_end())
            }
            Takeback::Unit { unit, statement } => format!("unit {}, by `{statement}`", unit.unit),
        };
        show::line(&format!("\nwhat can be taken back: {what}"));
        match &one {
            Takeback::Change(made) if made.change.what.stays().is_some() => {
                show::line(&format!("  it stays: {}", made.change.what.stays().unwrap_or_default()));
            }
            _ => show::line(&format!("  paramedic incident undo {} {}", incident.id, one.name())),
        }
    }
    for line in
        incident.open_questions().flat_map(|(unit, view, asked)| question(&incident, unit, view, asked))
    {
        show::line(&line);
    }
}

/// A question, and how to answer it.
fn question(incident: &Incident, unit: &UnitRef, view: &UnitView, asked: &Asked) -> Vec<String> {
    let missing: String = asked.missing.iter().map(|name| format!(" -p {name}=VALUE")).collect();
    let (unit, effect) = (&unit.unit, &asked.effect);
    vec![
        format!(
            "\n{unit} waits for a person ({effect}): {}\n{}\n",
            plain(&asked.reason),
            plain(&view.statement)
        ),
        format!("  paramedic incident approve {} {unit} --question {}{missing}", incident.id, asked.mark()),
        format!("  paramedic incident reject {} {unit}", incident.id),
    ]
}
