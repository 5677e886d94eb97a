//! Owns who leads an incident, the machine or a person: `(control, event) → control | refusal`, and nothing else.

use std::fmt;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::state::Refusal;

/// Who leads an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum Control {
    /// The machine goes on as the policy allows.
    #[default]
    Machine,
    /// A person has taken over: the machine looks, and changes nothing.
    Held,
    /// A person has ended the machine's part: it does nothing more but see whether the trouble is over.
    Aborted,
}

/// What can happen to it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum ControlEvent {
    /// A person takes over.
    Hold,
    /// A person hands back.
    HandBack,
    /// A person ends the machine's part.
    Abort,
}

// === impl Control ===

impl Control {
    /// Returns the control after `event`.
    ///
    /// # Errors
    /// A [`Refusal`] where nothing would change.
    pub fn after(self, event: ControlEvent) -> Result<Self, Refusal> {
        match (self, event) {
            (Self::Machine, ControlEvent::Hold) => Ok(Self::Held),
            (Self::Machine | Self::Held, ControlEvent::Abort) => Ok(Self::Aborted),
            (Self::Held | Self::Aborted, ControlEvent::HandBack) => Ok(Self::Machine),
            (control, event) => {
                Err(Refusal { event: format!("`{event}`"), reason: format!("it is {control}") })
            }
        }
    }
}

impl fmt::Display for Control {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Machine => "led by the machine",
            Self::Held => "held by a person already",
            Self::Aborted => "aborted already",
        })
    }
}

impl fmt::Display for ControlEvent {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hold => "hold",
            Self::HandBack => "resume",
            Self::Abort => "abort",
        })
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_refusal_names_both() {
        let refused = |control: Control, event| control.after(event).unwrap_err().to_string();
        assert_eq!(
            refused(Control::Held, ControlEvent::Hold),
            "`hold` is not possible: it is held by a person already"
        );
        assert_eq!(
            refused(Control::Machine, ControlEvent::HandBack),
            "`resume` is not possible: it is led by the machine"
        );
    }

    proptest! {
        /// Only a person's word brings the machine back.
        #[test]
        fn the_machine_leads_only_where_nobody_took_over_or_somebody_handed_back(picks in prop::collection::vec(0..3_usize, 0..20)) {
            let events = [ControlEvent::Hold, ControlEvent::HandBack, ControlEvent::Abort];
            let (mut control, mut taken) = (Control::Machine, false);
            for pick in picks {
                if let Ok(next) = control.after(events[pick]) {
                    taken = events[pick] != ControlEvent::HandBack;
                    control = next;
                }
                prop_assert_eq!(control != Control::Machine, taken);
            }
        }
    }
}
