//! Owns taking back all that was done in an incident, by one command: what came last first, and what stays is said.

use std::path::PathBuf;

use incident::{Fate, Takeback};
use serde::Serialize;
use server::api::wire::IncidentQuestion;

use super::desk::Desk;
use crate::arguments::Output;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// What became of one of them.
#[derive(Serialize)]
struct Came {
    /// The unit or the change.
    what: String,
    /// In words, what it is.
    is: String,
    /// `taken_back`, `made_up_for`, `stays` or `failed`.
    outcome: &'static str,
    /// What was printed, or why it stays.
    words: String,
}

/// Takes all back that was done in an incident. Exit code 1 where something of it could not be.
pub(super) async fn all(desk: &Desk, id: &str, output: Output) -> Result<Code, Failure> {
    let detail = desk.detail(id).await?;
    let Some(incident) = detail.fold() else {
        return Err(Failure::no(anyhow::anyhow!("nothing is written down of `{id}`")));
    };
    let mut came = Vec::new();
    for (one, fate) in incident.unwinding() {
        let (what, is) = (one.name(), words(&one));
        let (outcome, words) = match fate {
            Fate::MadeUpFor => ("made_up_for", "what came later has put it back".to_owned()),
            Fate::Stays(why) => ("stays", why.to_owned()),
            Fate::TakenBack => match desk.undo(incident.id.as_str(), what.clone()).await {
                Ok(undone) if undone.done => ("taken_back", undone.printed.trim_end().to_owned()),
                Ok(undone) => ("failed", format!("{}{}", undone.printed, undone.outcome)),
                // The others are tried all the same.
                Err(failure) => ("failed", failure.to_string()),
            },
        };
        let one = Came { what, is, outcome, words };
        if output == Output::Table {
            show::line(&line(&one));
        }
        came.push(one);
    }
    match output {
        Output::Table if came.is_empty() => show::line(&format!("{}: nothing to take back", incident.id)),
        Output::Table => {}
        _ => show::json(&came),
    }
    let failed = came.iter().any(|one| one.outcome == "failed");
    Ok(if failed { Code::No } else { Code::Done })
}

/// The same of the incident of a server: that which is named, or the newest that is open. None where there is none.
pub(in crate::commands) fn of_server(
    config: Option<PathBuf>,
    server: &str,
    id: Option<&str>,
    output: Output,
) -> Result<Option<Code>, Failure> {
    context::runtime()?.block_on(async {
        let desk = Desk::open(config).await?;
        let id = match id {
            Some(id) => id.to_owned(),
            None => {
                let question = IncidentQuestion {
                    server: Some(server.to_owned()),
                    open: Some(true),
                    ..IncidentQuestion::default()
                };
                // The oldest come first.
                match desk.list(&question).await?.pop() {
                    Some(newest) => newest.id.to_string(),
                    None => return Ok(None),
                }
            }
        };
        all(&desk, &id, output).await.map(Some)
    })
}

fn words(one: &Takeback<'_>) -> String {
    match one {
        Takeback::Change(made) => {
            let kind = made.change.what.to_string();
            format!("{kind} `{}`, by {}", incident::plain(&made.change.target), incident::plain(made.by))
        }
        Takeback::Unit { statement, .. } => format!("by `{}`", incident::plain(statement)),
    }
}

fn line(one: &Came) -> String {
    let Came { what, is, outcome, words } = one;
    match *outcome {
        "taken_back" => format!("{what}: {is}: taken back"),
        "failed" => format!("{what}: {is}: NOT taken back: {}", show::harmless(words)),
        _ => format!("{what}: {is}: stays: {words}"),
    }
}
