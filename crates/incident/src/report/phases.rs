//! Owns how long each phase took against its window, in plain words.

use runbook::{Procedure, Window};

use super::model::PhaseTime;
use super::text::duration;
use crate::fold::{Incident, StepView};

/// The phases of each run, in order. Without the runbook only those that were begun are known, and no windows.
pub(super) fn phases(incident: &Incident, procedure: Option<&Procedure>, now_ms: i64) -> Vec<PhaseTime> {
    let mut phases = Vec::new();
    for run in 1..=incident.run.max(1) {
        match procedure {
            Some(procedure) => phases.extend(procedure.phases.iter().map(|phase| {
                let count = phase.steps.len();
                phase_time(incident, run, &phase.title, (phase.window, Some(count)), now_ms)
            })),
            None => {
                let mut titles: Vec<&str> = Vec::new();
                for view in of_run(incident, run) {
                    if !titles.contains(&view.step.phase.as_str()) {
                        titles.push(&view.step.phase);
                    }
                }
                let of = |title: &&str| phase_time(incident, run, title, (None, None), now_ms);
                phases.extend(titles.iter().map(of));
            }
        }
    }
    phases
}

fn of_run(incident: &Incident, run: u32) -> impl Iterator<Item = &StepView> {
    incident.steps.iter().filter(move |view| view.step.run == run)
}

fn phase_time(
    incident: &Incident,
    run: u32,
    title: &str,
    (window, steps): (Option<Window>, Option<usize>),
    now_ms: i64,
) -> PhaseTime {
    let mine: Vec<&StepView> = of_run(incident, run).filter(|view| view.step.phase == title).collect();
    let started_ms = mine.first().map(|view| view.started_ms);
    let is_over = mine.iter().all(|view| view.ended_ms.is_some())
        && (steps.is_none_or(|steps| mine.len() >= steps) || !incident.state.is_open());
    let ended_ms = mine.iter().filter_map(|view| view.ended_ms).max().filter(|_| is_over);
    let due_ms = window.and_then(|window| window.end_s).map(|end_s| end_s.saturating_mul(1_000));
    let reached_ms =
        if incident.state.is_open() { ended_ms.or(started_ms.map(|_| now_ms)) } else { ended_ms };
    let after_ms = reached_ms.and_then(|at_ms| u64::try_from(at_ms - incident.opened_ms).ok());
    let over_ms = due_ms.zip(after_ms).map(|(due_ms, after_ms)| after_ms.saturating_sub(due_ms));
    let took_ms = started_ms.zip(reached_ms).and_then(|(from, to)| u64::try_from(to - from).ok());
    let begun = steps.filter(|steps| mine.len() < *steps).map(|steps| (mine.len(), steps));
    let words = words(started_ms.is_some(), ended_ms.is_some(), took_ms, over_ms, begun);
    PhaseTime {
        run,
        title: title.to_owned(),
        window: window.map(|window| (window.start_s, window.end_s)),
        started_ms,
        ended_ms,
        over_ms,
        words,
    }
}

fn words(
    is_begun: bool,
    is_ended: bool,
    took_ms: Option<u64>,
    over_ms: Option<u64>,
    begun: Option<(usize, usize)>,
) -> String {
    if !is_begun {
        return "not reached".to_owned();
    }
    let took = match (is_ended, took_ms) {
        (true, Some(took_ms)) => format!("took {}", duration(took_ms)),
        (false, Some(took_ms)) => format!("goes on since {}", duration(took_ms)),
        (_, None) => "did not end".to_owned(),
    };
    let window = match over_ms {
        None => "no end is set for it".to_owned(),
        Some(0) => "within its window".to_owned(),
        Some(over_ms) => format!("over its window by {}", duration(over_ms)),
    };
    let part = begun.map(|(begun, steps)| format!("; {begun} of {steps} steps begun")).unwrap_or_default();
    format!("{took}, {window}{part}")
}
