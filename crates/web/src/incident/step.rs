//! Owns what stands beside the line of a step: where it stands, how long it took, and why it ended so.

use ::incident::{StepState, duration, plain};
use maud::{Markup, html};
use runbook::Step;

use super::IncidentPage;
use super::procedure::of_run;
use crate::moment::{clock, since};

/// What stands beside a step.
pub(super) fn beside(page: &IncidentPage<'_>, step: &Step) -> Markup {
    let come = of_run(page).find(|one| one.number == step.number);
    let Some(one) = come else { return html! { div.step #(format!("step-{}", step.number)) {} } };
    html! {
        div.step.(tone(one.state)) #(format!("step-{}", step.number)) {
            (state(one.state)) " "
            @match one.ended_ms {
                Some(ended_ms) => {
                    (clock(one.started_ms)) ", took " (duration(u64::try_from(ended_ms - one.started_ms).unwrap_or(0)))
                }
                None => { "for " (since(one.started_ms)) }
            }
            @if !one.reason.is_empty() { " · " (plain(&one.reason)) }
        }
    }
}

/// Where a step stands, as a word.
pub(super) fn state(state: StepState) -> Markup {
    let word = match state {
        StepState::Pending => "not begun",
        StepState::Running => "running",
        StepState::AwaitingApproval => "waits for a yes",
        StepState::AwaitingPerson => "waits for a person",
        StepState::Interrupted => "interrupted",
        StepState::Succeeded => "done",
        StepState::Failed => "failed",
        StepState::Skipped => "skipped",
    };
    html! { span.state.(tone(state)) { (word) } }
}

fn tone(state: StepState) -> &'static str {
    match state {
        StepState::Pending | StepState::Skipped => "soft",
        StepState::Running => "run",
        StepState::AwaitingApproval | StepState::AwaitingPerson | StepState::Interrupted => "warn",
        StepState::Succeeded => "good",
        StepState::Failed => "bad",
    }
}
