//! Owns whether somebody is wanted: `(state, event) → state | refusal`, and nothing else.

use crate::state::Refusal;

/// Where calling people stands in one incident. All times are milliseconds since the Unix epoch.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Calling {
    /// Somebody is wanted, and nobody has answered.
    Unanswered {
        /// Since when.
        since_ms: i64,
        /// How many calls were made.
        calls: u32,
        /// When the last of them was made.
        last_ms: i64,
        /// Whose word is enough.
        wanted: Wanted,
    },
    /// Somebody is at it.
    Answered {
        /// Who.
        by: Answerer,
        /// When something was done last.
        active_ms: i64,
        /// How often they were reminded since.
        reminders: u32,
        /// When they were reminded last, or something was done.
        reminded_ms: i64,
    },
    /// Everybody was called as often as is allowed, and nobody answered.
    Exhausted,
    /// Nobody is wanted: it is over, or a person leads.
    Quiet,
}

/// Whose word is enough.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wanted {
    /// The runbook's own step may take notice.
    Anybody,
    /// Only a person can go on.
    Person,
}

/// Who answered.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Answerer {
    /// The runbook's own step: it counts until a person is needed.
    Machine(String),
    /// A person.
    Person(String),
}

/// What can happen to it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum CallingEvent {
    /// The trouble is there, or back, or the machine's again.
    Begin,
    /// Somebody answers.
    Answer(Answerer),
    /// Something is done.
    Work,
    /// The machine cannot go on without a person.
    Need,
    /// The call of this number is made.
    Call(u32),
    /// No call is left.
    GiveUp,
    /// Whoever answered has done nothing for too long.
    Lapse,
    /// Whoever answered is reminded for the how-manieth time.
    Remind(u32),
    /// It is over, or a person leads.
    End,
}

// === impl Calling ===

impl Calling {
    /// Returns the state after `event` at `at_ms`.
    ///
    /// # Errors
    /// A [`Refusal`] where the event does not fit: a call though somebody is at it, or the same call twice.
    pub fn after(&self, event: &CallingEvent, at_ms: i64) -> Result<Self, Refusal> {
        use CallingEvent::{Answer, Begin, Call, End, GiveUp, Lapse, Need, Remind, Work};
        let want = |wanted| Ok(Self::Unanswered { since_ms: at_ms, calls: 0, last_ms: at_ms, wanted });
        match (self, event) {
            (_, End) => Ok(Self::Quiet),
            (Self::Quiet, Begin) => want(Wanted::Anybody),
            (_, Begin) | (Self::Quiet, Work | Need | Answer(_)) => Ok(self.clone()),
            // The runbook's own step neither takes the word from a person nor stands for one.
            (Self::Answered { by: Answerer::Person(_), .. }, Answer(Answerer::Machine(_)) | Work) => {
                Ok(self.active(at_ms))
            }
            (
                Self::Unanswered { wanted: Wanted::Person, .. } | Self::Exhausted,
                Answer(Answerer::Machine(_)),
            ) => Ok(self.clone()),
            (_, Answer(by)) => {
                Ok(Self::Answered { by: by.clone(), active_ms: at_ms, reminders: 0, reminded_ms: at_ms })
            }
            (Self::Answered { .. }, Work) => Ok(self.active(at_ms)),
            (Self::Answered { by: Answerer::Machine(_), .. }, Need) => want(Wanted::Person),
            (Self::Unanswered { since_ms, calls, last_ms, .. }, Need) => {
                let (since_ms, calls, last_ms) = (*since_ms, *calls, *last_ms);
                Ok(Self::Unanswered { since_ms, calls, last_ms, wanted: Wanted::Person })
            }
            (_, Work | Need) => Ok(self.clone()),
            (Self::Unanswered { since_ms, calls, wanted, .. }, Call(number)) if *number == calls + 1 => {
                let (since_ms, wanted) = (*since_ms, *wanted);
                Ok(Self::Unanswered { since_ms, calls: *number, last_ms: at_ms, wanted })
            }
            (Self::Unanswered { calls, .. }, GiveUp) if *calls > 0 => Ok(Self::Exhausted),
            (Self::Answered { .. }, Lapse) => want(Wanted::Person),
            (Self::Answered { by, active_ms, reminders, .. }, Remind(number)) if *number == reminders + 1 => {
                let (by, active_ms) = (by.clone(), *active_ms);
                Ok(Self::Answered { by, active_ms, reminders: *number, reminded_ms: at_ms })
            }
            (_, Call(_) | GiveUp | Lapse | Remind(_)) => Err(self.refuse(event)),
        }
    }

    fn active(&self, at_ms: i64) -> Self {
        match self {
            Self::Answered { by, .. } => {
                Self::Answered { by: by.clone(), active_ms: at_ms, reminders: 0, reminded_ms: at_ms }
            }
            other => other.clone(),
        }
    }

    fn refuse(&self, event: &CallingEvent) -> Refusal {
        let reason = match self {
            Self::Unanswered { calls, .. } => format!("{calls} calls were made, and nobody answered"),
            Self::Answered { by: Answerer::Machine(by) | Answerer::Person(by), .. } => {
                format!("{by} is at it")
            }
            Self::Exhausted => "everybody was called as often as is allowed".to_owned(),
            Self::Quiet => "nobody is wanted".to_owned(),
        };
        Refusal { event: format!("`{event:?}`").to_lowercase(), reason }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn unanswered(since_ms: i64, wanted: Wanted) -> Calling {
        Calling::Unanswered { since_ms, calls: 0, last_ms: since_ms, wanted }
    }

    fn person() -> CallingEvent {
        CallingEvent::Answer(Answerer::Person("ann".to_owned()))
    }

    fn machine() -> CallingEvent {
        CallingEvent::Answer(Answerer::Machine("the runbook".to_owned()))
    }

    #[track_caller]
    fn walk(events: &[CallingEvent]) -> Calling {
        let walked = events
            .iter()
            .zip(1_i64..)
            .try_fold(unanswered(0, Wanted::Anybody), |state, (event, at_ms)| state.after(event, at_ms));
        walked.unwrap()
    }

    #[test]
    fn an_answer_ends_the_calls_until_it_lapses() {
        use CallingEvent::{Call, Lapse};
        let answered = walk(&[Call(1), Call(2), person()]);
        assert_eq!(
            answered.after(&Call(3), 9).unwrap_err().to_string(),
            "`call(3)` is not possible: ann is at it"
        );
        assert_eq!(walk(&[Call(1), person(), Lapse]), unanswered(3, Wanted::Person));
    }

    #[test]
    fn the_machines_word_counts_until_a_person_is_needed() {
        use CallingEvent::Need;
        assert_eq!(walk(&[machine(), Need]), unanswered(2, Wanted::Person));
        assert_eq!(walk(&[Need, machine()]), unanswered(0, Wanted::Person));
        assert!(matches!(walk(&[person(), Need]), Calling::Answered { .. }));
        let by_ann = |state: Calling| matches!(state, Calling::Answered { by: Answerer::Person(by), .. } if by == "ann");
        assert!(by_ann(walk(&[person(), machine()])) && by_ann(walk(&[machine(), person()])));
    }

    #[test]
    fn no_call_is_made_twice() {
        let state = walk(&[CallingEvent::Call(1)]);
        assert!(state.after(&CallingEvent::Call(1), 2).is_err());
        assert!(state.after(&CallingEvent::Call(3), 2).is_err());
        assert!(unanswered(0, Wanted::Anybody).after(&CallingEvent::GiveUp, 1).is_err());
    }

    fn event() -> impl Strategy<Value = CallingEvent> {
        use CallingEvent::{Begin, Call, End, GiveUp, Lapse, Need, Remind, Work};
        prop_oneof![
            Just(Begin),
            Just(person()),
            Just(machine()),
            Just(Work),
            Just(Need),
            (0..5_u32).prop_map(Call),
            Just(GiveUp),
            Just(Lapse),
            (0..4_u32).prop_map(Remind),
            Just(End),
        ]
    }

    proptest! {
        /// Whatever happens in whatever order: nobody is called while somebody is at it, it is over, or all were
        /// called; calls come one after the other; only what makes people wanted makes them wanted.
        #[test]
        fn calls_are_made_in_order_and_only_while_somebody_is_wanted(events in prop::collection::vec(event(), 0..60)) {
            let mut state = unanswered(0, Wanted::Anybody);
            for (event, at_ms) in events.iter().zip(1..) {
                let after = state.after(event, at_ms);
                match (&state, event, &after) {
                    (Calling::Unanswered { calls, .. }, CallingEvent::Call(number), _) => {
                        prop_assert_eq!(after.is_ok(), *number == calls + 1);
                    }
                    (_, CallingEvent::Call(_) | CallingEvent::GiveUp, Ok(_)) => {
                        prop_assert!(matches!(state, Calling::Unanswered { .. }), "{state:?}");
                    }
                    (_, CallingEvent::Lapse | CallingEvent::Remind(_), Ok(_)) => {
                        prop_assert!(matches!(state, Calling::Answered { .. }), "{state:?}");
                    }
                    (_, CallingEvent::End, after) => prop_assert_eq!(after, &Ok(Calling::Quiet)),
                    _ => {}
                }
                let Ok(after) = after else { continue };
                if matches!(after, Calling::Unanswered { calls: 0, .. }) && !matches!(state, Calling::Unanswered { .. }) {
                    prop_assert!(matches!(event, CallingEvent::Begin | CallingEvent::Need | CallingEvent::Lapse));
                }
                state = after;
            }
        }
    }
}
