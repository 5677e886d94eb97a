//! Owns what an approval is bound to: when any of it changes, the yes was to another question.

use std::collections::BTreeMap;

use checksum::Digest;
use sha2::{Digest as _, Sha256};

use crate::id::IncidentId;
use crate::record::UnitRef;

/// Everything that a yes is a yes to.
#[derive(Debug, Clone)]
pub struct Binding<'a> {
    /// The incident.
    pub incident: &'a IncidentId,
    /// The unit, in its run.
    pub unit: &'a UnitRef,
    /// The hash of the runbook.
    pub runbook: &'a str,
    /// The statement, verbatim.
    pub statement: &'a str,
    /// The server it acts on.
    pub target: &'a str,
    /// The values of the parameters that it reads.
    pub values: &'a BTreeMap<String, String>,
    /// The hash of the shell state that it starts from, where earlier units left one.
    pub state: Option<&'a str>,
    /// The attempt that was cut off and would be repeated: a yes to the first is none to the second.
    pub interrupted: Option<u32>,
    /// How many people have to say yes.
    pub people: u32,
    /// When the question expires, in milliseconds since the Unix epoch.
    pub expires_ms: i64,
}

// === impl Binding ===

impl Binding<'_> {
    /// The SHA-256 over all of it, each part with its length before it, in hexadecimal.
    pub fn digest(&self) -> String {
        let mut hasher = Sha256::new();
        let mut part = |text: &str| {
            hasher.update((text.len() as u64).to_be_bytes());
            hasher.update(text.as_bytes());
        };
        part(self.incident.as_str());
        part(&self.unit.run.to_string());
        part(&self.unit.unit);
        part(self.runbook);
        part(self.statement);
        part(self.target);
        for (name, value) in self.values {
            part(name);
            part(value);
        }
        part(self.state.unwrap_or(""));
        part(&self.interrupted.map(|attempt| attempt.to_string()).unwrap_or_default());
        part(&self.expires_ms.to_string());
        // What one person was asked about before there was a second one is bound to the same as ever.
        if self.people > 1 {
            part(&self.people.to_string());
        }
        Digest::from(hasher).to_string()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_part_counts() {
        let incident = IncidentId::new(0, 1);
        let other = IncidentId::new(0, 2);
        let unit = UnitRef { run: 1, unit: "6.1".to_owned() };
        let again = UnitRef { run: 2, unit: "6.1".to_owned() };
        let values = BTreeMap::from([("PORT".to_owned(), "80".to_owned())]);
        let moved = BTreeMap::from([("PORT".to_owned(), "8080".to_owned())]);
        let base = Binding {
            incident: &incident,
            unit: &unit,
            runbook: "r",
            statement: "s",
            target: "t",
            values: &values,
            state: None,
            interrupted: None,
            people: 1,
            expires_ms: 5,
        };
        let all = [
            base.clone(),
            Binding { incident: &other, ..base.clone() },
            Binding { unit: &again, ..base.clone() },
            Binding { runbook: "rs", statement: "", ..base.clone() },
            Binding { statement: "S", ..base.clone() },
            Binding { target: "T", ..base.clone() },
            Binding { values: &moved, ..base.clone() },
            Binding { state: Some("x"), ..base.clone() },
            Binding { interrupted: Some(1), ..base.clone() },
            Binding { people: 2, ..base.clone() },
            Binding { expires_ms: 6, ..base },
        ];
        let digests: std::collections::BTreeSet<_> = all.iter().map(Binding::digest).collect();
        assert_eq!(digests.len(), all.len());
    }
}
