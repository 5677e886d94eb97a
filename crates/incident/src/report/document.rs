//! Owns what a reader gets to see of a report, in order: headings, tables, lists and blocks, whatever they are rendered as.

use std::collections::BTreeMap;

use super::model::{Change, Command, NotRun, Question, Report, StepReport};
use super::text::{clock, duration, one_line, sentence, span, time};
use crate::record::{Output, Withheld};
use crate::state::State;

/// One piece of a document. Texts may come from outside: whoever renders them escapes them. In a text, `…` between
/// backticks is a word of the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Block {
    /// A heading of level 1 to 3.
    Heading(u8, String),
    /// A paragraph.
    Text(String),
    /// A table; without a header it holds facts.
    Table(Vec<&'static str>, Vec<Vec<String>>),
    /// A list.
    List(Vec<String>),
    /// Verbatim text with a word for what it is.
    Verbatim(Language, String),
}

/// What verbatim text is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Language {
    /// A statement.
    Bash,
    /// What was printed.
    Output,
    /// Lines with a `-` were there before, lines with a `+` are there now.
    Diff,
}

/// Lays a report out.
pub(super) fn document(report: &Report) -> Vec<Block> {
    let mut out = vec![Block::Heading(1, format!("Incident {}: {}", report.id, report.title))];
    out.push(facts(report));
    out.extend([Block::Heading(2, "Summary".to_owned()), Block::Text(report.summary.clone())]);
    clocks(&mut out, report);
    phases(&mut out, report);
    servers(&mut out, report);
    timeline(&mut out, report);
    cause(&mut out, report);
    super::recovery::data(&mut out, report);
    steps(&mut out, report);
    not_run(&mut out, &report.not_run);
    errors(&mut out, report);
    changes(&mut out, &report.changes);
    approvals(&mut out, &report.questions);
    people(&mut out, report);
    evidence(&mut out, report);
    duties(&mut out, report);
    section(&mut out, "Gaps", &report.gaps, |gap| sentence(gap));
    section(&mut out, "Open ends", &report.open_ends, |end| sentence(end));
    out
}

/// A heading with a list; nothing where there is nothing in it.
fn section<T>(out: &mut Vec<Block>, title: &str, all: &[T], line: impl Fn(&T) -> String) {
    if !all.is_empty() {
        out.push(Block::Heading(2, title.to_owned()));
        out.push(Block::List(all.iter().map(line).collect()));
    }
}

fn facts(report: &Report) -> Block {
    let resolved = match (report.resolved_ms, report.state, report.as_of_ms) {
        (Some(at_ms), ..) => time(at_ms),
        (None, State::Closed, _) => "no: closed without a verified recovery".to_owned(),
        (None, _, as_of_ms) => format!("not by {}", time(as_of_ms.unwrap_or(report.opened_ms))),
    };
    let server = if report.server.is_empty() { "not named by the alert" } else { &report.server };
    let alert = report.alert.as_ref();
    let alert = alert.map_or_else(|| "none".to_owned(), |one| format!("{} ({})", one.name, one.severity));
    let rows = [
        ("State", report.state.to_string()),
        ("Server", server.to_owned()),
        ("Alert", alert),
        ("Opened", time(report.opened_ms)),
        ("Resolved", resolved),
        ("Runbook", format!("{} (SHA-256 {})", report.runbook.name, report.runbook.sha256)),
    ];
    Block::Table(Vec::new(), rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect())
}

fn clocks(out: &mut Vec<Block>, report: &Report) {
    out.push(Block::Heading(2, "Impact and clocks".to_owned()));
    let mitigated = report.clocks.iter().find(|one| one.name == "mitigated").and_then(|one| one.after_ms);
    let impact = match mitigated {
        Some(after_ms) => format!("The trouble lasted {}, until recovery was verified.", span(after_ms)),
        None => "Recovery has not been verified: how long the trouble lasted is not known.".to_owned(),
    };
    let from = format!("Clocks count from the first sign of trouble, {}.", time(report.began_ms));
    out.push(Block::Text(format!("{impact} {from}")));
    let not = if report.as_of_ms.is_some() { "not yet" } else { "never" };
    let row = |clock: &super::model::Clock| {
        let after = clock.after_ms.map_or_else(|| not.to_owned(), span);
        let by = clock.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
        vec![clock.name.clone(), format!("{after}{by}")]
    };
    let mut rows: Vec<_> = report.clocks.iter().map(row).collect();
    if let Some(allowed) = report.response_time_ms {
        rows.push(vec!["response time allowed by the runbook".to_owned(), duration(allowed)]);
    }
    out.push(Block::Table(vec!["clock", "time"], rows));
}

fn phases(out: &mut Vec<Block>, report: &Report) {
    if report.phases.is_empty() {
        return;
    }
    out.push(Block::Heading(2, "Phases".to_owned()));
    let rows = report.phases.iter().map(|phase| {
        let window = match phase.window {
            None => "none".to_owned(),
            Some((start_s, Some(end_s))) => format!("{} to {}", minutes(start_s), minutes(end_s)),
            Some((start_s, None)) => format!("from {} on", minutes(start_s)),
        };
        let run = if phase.run > 1 { format!(" (run {})", phase.run) } else { String::new() };
        vec![format!("{}{run}", phase.title), window, phase.words.clone()]
    });
    out.push(Block::Table(vec!["phase", "window after the opening", "time"], rows.collect()));
}

fn minutes(seconds: u64) -> String {
    match seconds {
        0 => "0".to_owned(),
        _ if seconds.is_multiple_of(60) => format!("{} min", seconds / 60),
        _ => format!("{seconds} s"),
    }
}

/// Which servers it is about, where it is about several, and how each stands.
fn servers(out: &mut Vec<Block>, report: &Report) {
    if report.troubles.is_empty() {
        return;
    }
    out.push(Block::Heading(2, "Servers".to_owned()));
    if let Some(dependency) = &report.dependency {
        out.push(Block::Text(format!(
            "All of them need {dependency}. The procedure was followed for {}.",
            report.server
        )));
    }
    let stands = |over: bool| if over { "over" } else { "fires" }.to_owned();
    let rows =
        report.troubles.iter().map(|one| vec![one.server.clone(), one.alert.clone(), stands(one.over)]);
    out.push(Block::Table(vec!["server", "alert", "now"], rows.collect()));
}

fn timeline(out: &mut Vec<Block>, report: &Report) {
    out.push(Block::Heading(2, "Timeline".to_owned()));
    let row = |one: &super::model::Moment| vec![clock(one.at_ms), span(one.after_ms), one.what.clone()];
    let rows = report.timeline.iter().map(row).collect();
    out.push(Block::Table(vec!["time (UTC)", "after", "what"], rows));
}

fn cause(out: &mut Vec<Block>, report: &Report) {
    let Some(cause) = &report.cause else { return };
    out.push(Block::Heading(2, "Cause".to_owned()));
    out.push(Block::Text(match &cause.name {
        Some(name) => format!("`{name}`, by rules over what was found:"),
        None => "No cause stands out in what was found:".to_owned(),
    }));
    match cause.why.as_slice() {
        [] => out.push(Block::List(cause.findings.clone())),
        why => out.push(Block::Verbatim(Language::Output, why.join("\n"))),
    }
}

fn steps(out: &mut Vec<Block>, report: &Report) {
    out.push(Block::Heading(2, "Steps".to_owned()));
    if report.steps.is_empty() {
        out.push(Block::Text("None was begun.".to_owned()));
    }
    report.steps.iter().for_each(|step| one_step(out, step));
}

fn one_step(out: &mut Vec<Block>, step: &StepReport) {
    let run = if step.run > 1 { format!(" (run {})", step.run) } else { String::new() };
    let took = step.ended_ms.map_or_else(|| "not ended".to_owned(), |end| span(end - step.started_ms));
    out.push(Block::Heading(3, format!("{}. {}{run}: {}, {took}", step.number, step.title, step.state)));
    if !step.reason.is_empty() {
        out.push(Block::Text(sentence(&step.reason)));
    }
    for command in &step.commands {
        out.push(Block::Text(command_line(command)));
        out.push(Block::Verbatim(Language::Bash, command.statement.clone()));
        if let Some(stdout) = &command.stdout {
            out.push(Block::Text(output_line("Output", stdout)));
            out.push(Block::Verbatim(Language::Output, stdout.excerpt.clone()));
        }
        if let Some(stderr) = &command.stderr {
            out.push(Block::Text(format!(
                "{}; it is among the error messages below",
                output_line("Standard error", stderr)
            )));
        }
    }
}

fn command_line(command: &Command) -> String {
    let again = if command.attempt > 1 { format!(", attempt {}", command.attempt) } else { String::new() };
    let end = command.end.as_deref().unwrap_or("no outcome is known");
    let read = if command.values.is_empty() {
        String::new()
    } else {
        format!("; it read {}", values(&command.values))
    };
    let jobs = command.background.as_ref().map(|what| format!("; {what}")).unwrap_or_default();
    format!("`{}` at {} ({}{again}): {end}{jobs}{read}", command.unit, clock(command.at_ms), command.effect)
}

fn output_line(name: &str, output: &Output) -> String {
    let cut = if output.truncated { ", cut at its limit" } else { "" };
    format!("{name} of {} bytes{cut}, SHA-256 {}", output.bytes, output.sha256)
}

fn values(values: &BTreeMap<String, String>) -> String {
    values.iter().map(|(name, value)| format!("{name}={value}")).collect::<Vec<_>>().join(", ")
}

fn not_run(out: &mut Vec<Block>, all: &[NotRun]) {
    if all.is_empty() {
        return;
    }
    out.push(Block::Heading(2, "Not run".to_owned()));
    for one in all {
        let run = if one.run > 1 { format!(" (run {})", one.run) } else { String::new() };
        out.push(Block::Text(format!("`{}`{run} at {}: {}", one.unit, clock(one.at_ms), one.reason)));
        out.push(Block::Verbatim(Language::Bash, one.statement.clone()));
        if let Some(withheld) = &one.withheld {
            out.push(Block::Text(would(withheld)));
        }
    }
}

/// What would have been done, and what allows it.
fn would(withheld: &Withheld) -> String {
    let would = match &withheld.asks {
        None => "Otherwise it would have been run".to_owned(),
        Some(reason) => format!("Otherwise a person would have been asked, because {reason}"),
    };
    let read = if withheld.values.is_empty() {
        String::new()
    } else {
        format!(", with {}", values(&withheld.values))
    };
    format!(
        "{would}{read}. Its effect is {} ({}). What allows it: {}.",
        withheld.effect, withheld.effect_reason, withheld.allow
    )
}

fn errors(out: &mut Vec<Block>, report: &Report) {
    if report.errors.is_empty() {
        return;
    }
    out.push(Block::Heading(2, "Error messages".to_owned()));
    for error in &report.errors {
        out.push(Block::Text(format!("At {}, {}:", clock(error.at_ms), error.source)));
        out.push(Block::Verbatim(Language::Output, error.text.clone()));
    }
}

fn changes(out: &mut Vec<Block>, all: &[Change]) {
    if all.is_empty() {
        return;
    }
    out.push(Block::Heading(2, "Changes".to_owned()));
    for change in all {
        let undone = change.undone_ms.map(|at_ms| format!(", undone at {}", clock(at_ms)));
        let old = if change.values.is_none() { "; the value before it is not recorded" } else { "" };
        let undone = undone.unwrap_or_default();
        out.push(Block::Text(format!("At {} by {}{undone}{old}", clock(change.at_ms), change.by)));
        out.push(match &change.values {
            None => Block::Verbatim(Language::Bash, change.what.clone()),
            Some(values) => Block::Verbatim(Language::Diff, diff(&change.what, &values.old, &values.new)),
        });
    }
}

/// The lines before and after, without those that both begin or end with.
fn diff(what: &str, old: &Option<String>, new: &Option<String>) -> String {
    let lines = |text: &Option<String>| -> Vec<String> {
        text.as_deref().unwrap_or_default().lines().map(str::to_owned).collect()
    };
    let (old, new) = (lines(old), lines(new));
    let head = old.iter().zip(&new).take_while(|(one, other)| one == other).count();
    let rest = old.len().min(new.len()) - head;
    let tail =
        old.iter().rev().zip(new.iter().rev()).take(rest).take_while(|(one, other)| one == other).count();
    let mut out = vec![format!("@@ {} @@", one_line(what))];
    out.extend(old[head..old.len() - tail].iter().map(|line| format!("- {line}")));
    out.extend(new[head..new.len() - tail].iter().map(|line| format!("+ {line}")));
    out.join("\n")
}

fn approvals(out: &mut Vec<Block>, all: &[Question]) {
    if all.is_empty() {
        return;
    }
    out.push(Block::Heading(2, "Approvals".to_owned()));
    for question in all {
        let people = if question.people > 1 { ", of two people" } else { "" };
        out.push(Block::Text(format!(
            "`{}` was asked about at {} ({}{people}): {}",
            question.unit,
            clock(question.at_ms),
            question.effect,
            question.reason
        )));
        out.push(Block::Verbatim(Language::Bash, question.statement.clone()));
        let answers = question.answers.iter().map(|answer| {
            let by = answer.by.as_ref().map(|by| format!(" by {by}")).unwrap_or_default();
            let with = if answer.values.is_empty() {
                String::new()
            } else {
                format!(" with {}", values(&answer.values))
            };
            let why = if answer.reason.is_empty() { String::new() } else { format!(": {}", answer.reason) };
            format!("{}{by} at {}{with}{why}", answer.answer, clock(answer.at_ms))
        });
        let answers: Vec<String> = answers.collect();
        out.push(if answers.is_empty() {
            Block::Text("Nobody has answered.".to_owned())
        } else {
            Block::List(answers)
        });
    }
}

fn people(out: &mut Vec<Block>, report: &Report) {
    section(out, "Notes", &report.notes, |note| {
        let duty = note.duty.map(|duty| format!(", for duty {duty}")).unwrap_or_default();
        format!("{} at {}{duty}: {}", note.by, clock(note.at_ms), note.text)
    });
    section(out, "Follow-ups", &report.follow_ups, |one| {
        let done = match (one.done_ms, &one.done_by) {
            (Some(at_ms), Some(by)) => {
                format!("done by {by} at {}: {}", time(at_ms), one.note.as_deref().unwrap_or_default())
            }
            _ => "open".to_owned(),
        };
        format!("{} ({}): {}; {done}", one.number, one.by, one.text)
    });
}

fn evidence(out: &mut Vec<Block>, report: &Report) {
    out.push(Block::Heading(2, "Evidence".to_owned()));
    if report.evidence.is_empty() {
        out.push(Block::Text("None was kept.".to_owned()));
        return;
    }
    let lines = report.evidence.iter().map(|captured| {
        let kept = match (&captured.sha256, &captured.problem) {
            (Some(sha256), None) => format!("{} bytes, SHA-256 {sha256}", captured.bytes),
            (_, Some(problem)) => format!("missing or incomplete: {problem}"),
            (None, None) => "missing".to_owned(),
        };
        format!("{}: {} ({kept}), taken in {}", captured.what, captured.summary, duration(captured.took_ms))
    });
    out.push(Block::List(lines.collect()));
}

fn duties(out: &mut Vec<Block>, report: &Report) {
    let Some(duties) = report.duties.as_ref().filter(|duties| !duties.is_empty()) else { return };
    out.push(Block::Heading(2, "Documentation duties".to_owned()));
    let rows = duties.iter().map(|duty| {
        let met = if duty.met { "met" } else { "NOT met" };
        vec![duty.number.to_string(), duty.text.clone(), format!("{met}: {}", duty.why)]
    });
    out.push(Block::Table(vec!["", "duty", "how it stands"], rows.collect()));
}
