//! Owns which tools of a server an operator has approved, as part of the controls.

use serde::{Deserialize, Serialize};
use threats::Pins;

use super::{Controls, ControlsError, Set, block};

/// So many tools, and a mark of each, fit into the file beside the rest.
const APPROVED_MAX: usize = 250;

/// The tools that an operator has approved as they are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Approved {
    /// Their names, and marks of what they are.
    pub tools: Pins,
    /// Who has said so.
    pub set: Set,
}

// === impl Approved, Controls ===

impl Approved {
    pub(super) fn check(&self) -> Result<(), ControlsError> {
        if self.tools.len() > APPROVED_MAX {
            return Err(ControlsError::TooMany { what: "approved tools", most: APPROVED_MAX });
        }
        self.tools.names().try_for_each(block::check_name)
    }
}

impl Controls {
    /// Approves these tools as they are, and no others. What is so already stays as it was said first.
    ///
    /// # Errors
    /// When they are too many, or a name is too long.
    pub fn approve(&mut self, tools: Pins, set: Set) -> Result<(), ControlsError> {
        if self.approved.as_ref().is_none_or(|approved| approved.tools != tools) {
            let next = Self { approved: Some(Approved { tools, set }), ..self.clone() };
            next.check()?;
            *self = next;
        }
        Ok(())
    }
}
