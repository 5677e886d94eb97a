//! Owns what a report says of steps: what was executed in each, how it ended, and what was not run and why.

use super::line;
use super::model::{Command, NotRun, StepReport};
use super::text::duration;
use crate::fold::Incident;
use crate::record::{Record, UnitEnd, UnitRef};

/// The steps in the order in which they began, with every execution in them.
pub(super) fn steps(incident: &Incident) -> Vec<StepReport> {
    let executed = executions(incident);
    let mine = |run: u32, number: u32| {
        let is_mine = |unit: &UnitRef| unit.run == run && step_number(&unit.unit) == Some(number);
        executed.iter().filter(|(unit, _)| is_mine(unit)).map(|(_, command)| command.clone()).collect()
    };
    let steps = incident.steps.iter().map(|view| StepReport {
        run: view.step.run,
        number: view.step.number,
        title: view.step.title.clone(),
        phase: view.step.phase.clone(),
        state: view.state,
        reason: view.reason.clone(),
        started_ms: view.started_ms,
        ended_ms: view.ended_ms,
        commands: mine(view.step.run, view.step.number),
    });
    steps.collect()
}

/// Every execution in order: an intent, with the outcome that the journal has of it.
fn executions(incident: &Incident) -> Vec<(UnitRef, Command)> {
    let mut all: Vec<(UnitRef, Command)> = Vec::new();
    for (at_ms, record) in &incident.timeline {
        match record {
            Record::Intent { unit, attempt, statement, effect, values, .. } => {
                let command = Command {
                    unit: unit.unit.clone(),
                    attempt: *attempt,
                    statement: statement.clone(),
                    values: values.clone(),
                    effect: effect.clone(),
                    at_ms: *at_ms,
                    end: None,
                    exit_code: None,
                    took_ms: None,
                    stdout: None,
                    stderr: None,
                    background: None,
                };
                all.push((unit.clone(), command));
            }
            Record::Outcome {
                unit,
                attempt,
                end,
                meaning,
                started_ms,
                finished_ms,
                stdout,
                stderr,
                background_ms,
            } => {
                let Some(command) = find(&mut all, unit, *attempt) else { continue };
                command.background = background_ms.map(|_| "runs on in the background".to_owned());
                command.end = Some(line::ending(end, meaning, *started_ms, *finished_ms));
                command.exit_code = if let UnitEnd::Exited { code } = end { Some(*code) } else { None };
                let took_ms = started_ms.zip(*finished_ms).map(|(started, finished)| finished - started);
                command.took_ms = took_ms.and_then(|took_ms| u64::try_from(took_ms).ok());
                command.stdout.clone_from(stdout);
                command.stderr.clone_from(stderr);
            }
            Record::BackgroundEnded { unit, attempt, reason, took_ms, stdout, stderr } => {
                let Some(command) = find(&mut all, unit, *attempt) else { continue };
                let took = duration(*took_ms);
                command.background = Some(format!("ran on in the background for {took}: {reason}"));
                command.stdout.clone_from(stdout);
                command.stderr.clone_from(stderr);
            }
            _ => {}
        }
    }
    all
}

fn find<'a>(all: &'a mut [(UnitRef, Command)], unit: &UnitRef, attempt: u32) -> Option<&'a mut Command> {
    let is_it = |(one, command): &&mut (UnitRef, Command)| one == unit && command.attempt == attempt;
    all.iter_mut().rev().find(is_it).map(|(_, command)| command)
}

/// What was not run, in order.
pub(super) fn not_run(incident: &Incident) -> Vec<NotRun> {
    let not_run = incident.timeline.iter().filter_map(|(at_ms, record)| match record {
        Record::UnitSkipped { unit, statement, reason, withheld } => Some(NotRun {
            at_ms: *at_ms,
            run: unit.run,
            unit: unit.unit.clone(),
            statement: statement.clone(),
            reason: reason.clone(),
            withheld: withheld.clone(),
        }),
        _ => None,
    });
    not_run.collect()
}

/// The step that a unit belongs to: `6` of `6.1`; a manual task has the number of its step.
fn step_number(unit: &str) -> Option<u32> {
    unit.split('.').next()?.parse().ok()
}
