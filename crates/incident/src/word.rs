//! Owns what a person can say to an incident, and what is written down of it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::fold::Incident;
use crate::record::Record;
use crate::state::Refusal;

/// The longest text that a person says, in bytes: more is a document, and belongs elsewhere with its address here.
const TEXT_BYTES_MAX: usize = 16 * 1024;

/// What a person says.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "word", rename_all = "snake_case", deny_unknown_fields)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub enum Word {
    /// Takes notice.
    Acknowledge,
    /// Adds to the timeline what only people know.
    Note { text: String },
    /// Takes over: the machine looks, and changes nothing until it is handed back.
    Hold { reason: String },
    /// Hands back to the machine.
    Resume,
    /// Ends the machine's part.
    Abort { reason: String },
    /// Calls for more people.
    Escalate { to: String, reason: String },
    /// Says what has to be done when it is over.
    FollowUp { text: String },
    /// Says that it is done.
    FollowUpDone { number: u32, note: String },
    /// Ends the incident.
    Close { reason: String },
    /// Says that a documentation duty of the procedure is met; with a follow-up, once that is done.
    DutyMet { duty: u32, note: String, follow_up: Option<u32> },
}

// === impl Word ===

impl Word {
    /// Returns what is written down when `by` says this about `incident`.
    ///
    /// # Errors
    /// A [`Refusal`] where a text is empty or longer than 16 KiB, or the incident is not to be closed yet.
    pub fn record(self, by: &str, incident: &Incident) -> Result<Record, Refusal> {
        let by = by.to_owned();
        self.check_texts()?;
        Ok(match self {
            Self::Acknowledge => Record::Acknowledged { by },
            Self::Note { text } => Record::Noted { by, text },
            Self::Hold { reason } => Record::Held { by, reason },
            Self::Resume => Record::HandedBack { by },
            Self::Abort { reason } => Record::Aborted { by, reason },
            Self::Escalate { to, reason } => Record::Escalated { by, to, reason },
            Self::FollowUp { text } => {
                let number = incident.follow_ups.iter().map(|one| one.number).max().unwrap_or(0) + 1;
                Record::FollowUp { number, text, by }
            }
            Self::FollowUpDone { number, note } => Record::FollowUpDone { number, by, note },
            Self::Close { reason } => Record::Closed { by, reason },
            Self::DutyMet { duty, note, follow_up } => Record::DutyMet { duty, by, note, follow_up },
        })
    }

    fn check_texts(&self) -> Result<(), Refusal> {
        let texts: &[(&str, &str)] = match self {
            Self::Acknowledge | Self::Resume => &[],
            Self::Note { text } | Self::FollowUp { text } => &[("text", text)],
            Self::Hold { reason } | Self::Abort { reason } | Self::Close { reason } => &[("reason", reason)],
            Self::Escalate { to, reason } => &[("contact", to), ("reason", reason)],
            Self::FollowUpDone { note, .. } | Self::DutyMet { note, .. } => &[("note", note)],
        };
        let refuse = |name: &str, problem: &str| {
            Err(Refusal { event: "this".to_owned(), reason: format!("its {name} {problem}") })
        };
        for (name, text) in texts {
            if text.trim().is_empty() {
                return refuse(name, "is empty");
            }
            if text.len() > TEXT_BYTES_MAX {
                return refuse(name, &format!("is longer than {TEXT_BYTES_MAX} bytes"));
            }
        }
        Ok(())
    }
}
