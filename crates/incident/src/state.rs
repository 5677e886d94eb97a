//! Owns the state machines of incidents and steps: `(state, event) → state | refusal`, and nothing else.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::record::StepEnd;

/// Where an incident stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum State {
    /// Opened, and nobody has taken notice.
    Triggered,
    /// Somebody, or the runbook's own step, has taken notice.
    Acknowledged,
    /// Service is back and verified; the alert may still fire.
    Mitigated,
    /// Mitigated, and the alert no longer fires.
    Resolved,
    /// Nothing is left to do.
    Closed,
}

/// What can happen to an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Event {
    /// Somebody takes notice.
    Acknowledge,
    /// Recovery is verified.
    Mitigate,
    /// The same trouble again.
    SeenAgain,
    /// The alert no longer fires and recovery is verified.
    Resolve,
    /// A person ends it.
    Close,
    /// Whoever took notice has done nothing since.
    Lapse,
    /// The trouble is back shortly after the end.
    Reopen,
}

/// Where a step stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum StepState {
    /// Not begun.
    Pending,
    /// Being carried out.
    Running,
    /// Waits for a yes or no to a statement.
    AwaitingApproval,
    /// Waits for a person to do or to supply something.
    AwaitingPerson,
    /// Paramedic died in it and what it did is not known.
    Interrupted,
    /// Everything in it ran as expected.
    Succeeded,
    /// Something in it did not.
    Failed,
    /// Nothing in it was run.
    Skipped,
}

/// What can happen to a step.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum StepEvent {
    /// It begins, or goes on.
    Run,
    /// A statement in it needs approval.
    AskApproval,
    /// Something in it needs a person.
    AskPerson,
    /// What a unit of it did is not known.
    Interrupt,
    /// It ends.
    End(StepEnd),
}

/// An event that the state does not allow.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{event} is not possible: {reason}")]
pub struct Refusal {
    /// What was tried.
    pub event: String,
    /// What stands in the way.
    pub reason: String,
}

// === impl Refusal ===

impl Refusal {
    fn already(event: impl fmt::Debug, state: impl fmt::Display) -> Self {
        Self { event: format!("`{event:?}`").to_lowercase(), reason: format!("it is already {state}") }
    }
}

// === impl State ===

impl State {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// A [`Refusal`] where the event does not fit the state.
    pub fn after(self, event: Event) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Triggered | Self::Acknowledged, Event::Acknowledge) => Ok(Self::Acknowledged),
            // Notice taken of something that is over already is worth a line, and moves nothing.
            (Self::Mitigated, Event::Acknowledge) => Ok(Self::Mitigated),
            (Self::Triggered | Self::Acknowledged, Event::Mitigate) => Ok(Self::Mitigated),
            (Self::Triggered | Self::Acknowledged, Event::SeenAgain) => Ok(self),
            (Self::Mitigated, Event::SeenAgain) => Ok(Self::Triggered),
            (Self::Mitigated, Event::Resolve) => Ok(Self::Resolved),
            (Self::Triggered | Self::Acknowledged, Event::Lapse) => Ok(Self::Triggered),
            (Self::Resolved, Event::Reopen) => Ok(Self::Triggered),
            (Self::Closed, _)
            | (
                _,
                Event::Acknowledge
                | Event::Mitigate
                | Event::SeenAgain
                | Event::Resolve
                | Event::Lapse
                | Event::Reopen,
            ) => Err(Refusal::already(event, self)),
            (_, Event::Close) => Ok(Self::Closed),
        }
    }

    /// Whether somebody, a machine or a person, still has to do something.
    pub fn is_open(self) -> bool {
        !matches!(self, Self::Resolved | Self::Closed)
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Triggered => "triggered",
            Self::Acknowledged => "acknowledged",
            Self::Mitigated => "mitigated",
            Self::Resolved => "resolved",
            Self::Closed => "closed",
        })
    }
}

// === impl StepState ===

impl StepState {
    /// Returns the state after `event`.
    ///
    /// # Errors
    /// A [`Refusal`] where the step has ended, or ends without having begun (other than by being skipped).
    pub fn after(self, event: StepEvent) -> Result<Self, Refusal> {
        let refusal = || Refusal::already(event, self);
        if self.has_ended() {
            return Err(refusal());
        }
        match (self, event) {
            (Self::Pending, StepEvent::Run) => Ok(Self::Running),
            (Self::Pending, StepEvent::End(StepEnd::Skipped)) => Ok(Self::Skipped),
            (Self::Pending, _) => Err(refusal()),
            (_, StepEvent::Run) => Ok(Self::Running),
            (_, StepEvent::AskApproval) => Ok(Self::AwaitingApproval),
            (_, StepEvent::AskPerson) => Ok(Self::AwaitingPerson),
            (_, StepEvent::Interrupt) => Ok(Self::Interrupted),
            (_, StepEvent::End(StepEnd::Succeeded)) => Ok(Self::Succeeded),
            (_, StepEvent::End(StepEnd::Failed)) => Ok(Self::Failed),
            (_, StepEvent::End(StepEnd::Skipped)) => Ok(Self::Skipped),
        }
    }

    /// Whether the step is over.
    pub fn has_ended(self) -> bool {
        matches!(self, Self::Succeeded | Self::Failed | Self::Skipped)
    }
}

impl fmt::Display for StepState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Pending => "pending",
            Self::Running => "running",
            Self::AwaitingApproval => "awaiting approval",
            Self::AwaitingPerson => "awaiting a person",
            Self::Interrupted => "interrupted",
            Self::Succeeded => "succeeded",
            Self::Failed => "failed",
            Self::Skipped => "skipped",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const EVENTS: [Event; 7] = [
        Event::Acknowledge,
        Event::Mitigate,
        Event::SeenAgain,
        Event::Resolve,
        Event::Close,
        Event::Lapse,
        Event::Reopen,
    ];

    fn walk(events: &[Event]) -> Vec<State> {
        let mut states = vec![State::Triggered];
        for event in events {
            let now = states[states.len() - 1];
            states.push(now.after(*event).unwrap_or(now));
        }
        states
    }

    #[test]
    fn the_usual_way() {
        use Event::{Acknowledge, Mitigate, Resolve};
        assert_eq!(
            walk(&[Acknowledge, Mitigate, Resolve]),
            [State::Triggered, State::Acknowledged, State::Mitigated, State::Resolved]
        );
    }

    #[test]
    fn a_refusal_names_both() {
        let refusal = State::Resolved.after(Event::Acknowledge).unwrap_err();
        assert_eq!(refusal.to_string(), "`acknowledge` is not possible: it is already resolved");
    }

    proptest! {
        #[test]
        fn resolved_only_out_of_mitigated_and_closed_is_the_end(picks in prop::collection::vec(0..6_usize, 0..30)) {
            let events: Vec<_> = picks.iter().map(|&pick| EVENTS[pick]).collect();
            for (pair, event) in walk(&events).windows(2).zip(&events) {
                prop_assert!(pair[1] != State::Resolved || matches!(pair[0], State::Mitigated | State::Resolved));
                prop_assert!(pair[0] != State::Closed || pair[1] == State::Closed);
                // What is over is open again only by being opened again.
                prop_assert!(pair[0].is_open() || !pair[1].is_open() || *event == Event::Reopen);
            }
        }

        #[test]
        fn an_ended_step_stays_ended(picks in prop::collection::vec(0..7_usize, 0..30)) {
            let events = [
                StepEvent::Run, StepEvent::AskApproval, StepEvent::AskPerson, StepEvent::Interrupt,
                StepEvent::End(StepEnd::Succeeded), StepEvent::End(StepEnd::Failed), StepEvent::End(StepEnd::Skipped),
            ];
            let mut state = StepState::Pending;
            for pick in picks {
                match state.after(events[pick]) {
                    Ok(next) => {
                        prop_assert!(!state.has_ended());
                        state = next;
                    }
                    Err(_) => prop_assert!(state.has_ended() || state == StepState::Pending),
                }
            }
        }
    }
}
