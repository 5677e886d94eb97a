//! Owns `paramedic runbook run`: one procedure, shown, asked about, run and recorded, with a person at the keyboard.

use std::collections::BTreeMap;
use std::io::{BufRead as _, IsTerminal as _, Write as _};
use std::path::{Path, PathBuf};

use incident::{Book, Engine, Happening, IncidentId, Output, Record, Shelf, State, UnitEnd, describe};
use runbook::Procedure;
use server::{Trust, TrustError};
use tokio::sync::broadcast;

use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::hand::{self, HandWorld};
use crate::show;

/// Whether a person is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Consent {
    /// Yes, each time.
    Ask,
    /// The person has said yes to everything.
    Always,
}

pub(super) fn run(
    book: &Book,
    wanted: &str,
    parameters: BTreeMap<String, String>,
    consent: Consent,
    config: Option<PathBuf>,
) -> Result<Code, Failure> {
    let procedure = find(book, wanted)?;
    require(book, procedure, &parameters)?;
    let (config, config_path) = context::load_or_default(config)?;
    // Whoever follows it by hand has read it; what `serve` would do is theirs to know.
    if let Err(error @ (TrustError::Owner { .. } | TrustError::Writable { .. })) =
        Trust::of(&config).read(Path::new(&book.runbook.name))
    {
        anstream::eprintln!("paramedic: warning: {error}; `serve` would not use it");
    }
    let name = parameters.get("SERVER_NAME").cloned().unwrap_or_default();
    let runtime = context::threaded_runtime()?;
    let followed = runtime.block_on(async {
        let shelf = Shelf::new(vec![book.clone()]);
        let engine = hand::open(config, config_path, parameters, shelf).await?;
        let mut feed = engine.feed();
        let id = engine.open_by_hand(&name, book, &procedure.id, &actor()).await.map_err(Failure::no)?;
        tokio::select! {
            followed = follow(&engine, &id, &mut feed, consent) => followed,
            _ = tokio::signal::ctrl_c() => {
                engine.end_background(&id, "it was interrupted at the keyboard").await.map_err(Failure::no)?;
                Err(Failure::no(anyhow::anyhow!("interrupted; incident {id} stays open")))
            }
        }
    });
    // Somebody may still be waiting for a word from the keyboard.
    runtime.shutdown_background();
    followed
}

fn find<'a>(book: &'a Book, wanted: &str) -> Result<&'a Procedure, Failure> {
    book.runbook.procedure(wanted).ok_or_else(|| {
        let known: Vec<_> = book.runbook.procedures.iter().map(|one| one.id.as_str()).collect();
        let known = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
        Failure::usage(anyhow::anyhow!(
            "`{}` has no procedure `{wanted}`; it has: {known}",
            book.runbook.name
        ))
    })
}

/// A procedure with a parameter missing stops before anything ran.
fn require(book: &Book, procedure: &Procedure, given: &BTreeMap<String, String>) -> Result<(), Failure> {
    let missing: Vec<String> = procedure
        .parameters()
        .into_iter()
        .filter(|one| !given.contains_key(&one.name) && one.name != "INCIDENT_ID")
        .map(|one| format!("{} (line {})", one.name, one.first_line))
        .collect();
    if missing.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(anyhow::anyhow!(
        "nothing was run: the procedure `{}` of `{}` needs {}; give each with -p NAME=VALUE",
        procedure.id,
        book.runbook.name,
        missing.join(", ")
    )))
}

/// Shows what happens, and asks, until the procedure has ended.
async fn follow(
    engine: &Engine<HandWorld>,
    id: &IncidentId,
    feed: &mut broadcast::Receiver<Happening>,
    consent: Consent,
) -> Result<Code, Failure> {
    show::live(&format!("incident {id}, followed by hand by {}\n", actor()));
    let mut code = Code::Done;
    loop {
        let record = match feed.recv().await {
            Ok(happening) if happening.incident == *id => happening.record,
            Ok(_) | Err(broadcast::error::RecvError::Lagged(_)) => continue,
            Err(broadcast::error::RecvError::Closed) => return Ok(Code::No),
        };
        narrate(&record);
        match &record {
            Record::ApprovalAsked { unit, binding, .. } => {
                let asked = ask(&record, consent).await;
                let word = match asked {
                    Word::Yes => engine.approve(id, &unit.unit, &actor(), binding, BTreeMap::new()).await,
                    Word::No => {
                        code = Code::Refused;
                        engine.reject(id, &unit.unit, &actor(), "the person at the keyboard said no").await
                    }
                    Word::Nobody => {
                        code = Code::Refused;
                        let reason = "nobody is at the keyboard; --yes says yes to everything";
                        engine.reject(id, &unit.unit, &actor(), reason).await
                    }
                };
                word.map_err(Failure::no)?;
            }
            Record::StepEnded { end: incident::StepEnd::Failed, .. } if code == Code::Done => code = Code::No,
            Record::Reported { .. } => {
                let incident = engine.incident(id).await.map_err(Failure::no)?;
                debug_assert_eq!(incident.state, State::Closed, "a report by hand comes after the end");
                return Ok(code);
            }
            _ => {}
        }
    }
}

/// Shows one record: statements as they would be typed, outputs as they came.
fn narrate(record: &Record) {
    match record {
        Record::StepStarted { step } => show::live(&format!("\n{}. {}", step.number, step.title)),
        Record::Intent { statement, effect, .. } => {
            show::live(&format!("  $ {}    [{effect}]", statement.trim().replace('\n', "\n    ")));
        }
        Record::Outcome { end, meaning, stdout, stderr, background_ms, .. } => {
            show_printed(stdout.as_ref(), stderr.as_ref());
            if *end != (UnitEnd::Exited { code: 0 }) || !meaning.is_empty() || background_ms.is_some() {
                show_described(record);
            }
        }
        Record::BackgroundEnded { stdout, stderr, .. } => {
            show_described(record);
            show_printed(stdout.as_ref(), stderr.as_ref());
        }
        Record::ApprovalAsked { .. } | Record::Opened { .. } => {}
        _ => show_described(record),
    }
}

fn show_printed(stdout: Option<&Output>, stderr: Option<&Output>) {
    for output in [stdout, stderr].into_iter().flatten() {
        for line in output.excerpt.lines() {
            show::live(&format!("    {line}"));
        }
    }
}

fn show_described(record: &Record) {
    if let Some(line) = describe(record) {
        show::live(&format!("  ({line})"));
    }
}

enum Word {
    Yes,
    No,
    Nobody,
}

async fn ask(record: &Record, consent: Consent) -> Word {
    let Record::ApprovalAsked { unit, statement, effect, reason, .. } = record else { return Word::Nobody };
    show::live(&format!("  {} {}", unit.unit, statement.trim().replace('\n', "\n    ")));
    show::live(&format!("    effect {effect}: {reason}"));
    if consent == Consent::Always {
        return Word::Yes;
    }
    if !std::io::stdin().is_terminal() {
        return Word::Nobody;
    }
    let question = if effect == "manual" { "    Is it done? [y/n] " } else { "    Run it? [y/n] " };
    tokio::task::spawn_blocking(move || read_word(question)).await.unwrap_or(Word::Nobody)
}

fn read_word(question: &str) -> Word {
    loop {
        let mut stdout = anstream::stdout();
        if write!(stdout, "{question}").and_then(|()| stdout.flush()).is_err() {
            // Who cannot see the question cannot answer it.
            return Word::Nobody;
        }
        let mut line = String::new();
        match std::io::stdin().lock().read_line(&mut line) {
            Ok(0) | Err(_) => return Word::Nobody,
            Ok(_) => match line.trim().to_lowercase().as_str() {
                "y" | "yes" => return Word::Yes,
                "n" | "no" => return Word::No,
                _ => {}
            },
        }
    }
}
