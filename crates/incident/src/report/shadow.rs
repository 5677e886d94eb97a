//! Owns the shadow: what would have been done, incident by incident, while the machine only looked on.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::model::NotRun;
use super::steps;
use crate::fold::Incident;
use crate::id::IncidentId;
use crate::record::Withheld;
use crate::state::State;

/// What would have been done in one incident.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Shadow {
    #[schemars(with = "String")]
    pub id: IncidentId,
    pub server: String,
    pub title: String,
    pub state: State,
    pub opened_ms: i64,
    /// In order; empty where the machine did what it would do.
    pub would: Vec<Withholding>,
}

/// One statement that would have been run, or asked about.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[expect(missing_docs, reason = "each field is what its name says")]
pub struct Withholding {
    pub at_ms: i64,
    pub run: u32,
    pub unit: String,
    pub statement: String,
    #[serde(flatten)]
    pub withheld: Withheld,
}

// === impl Shadow ===

impl Shadow {
    /// Reads it from the records of an incident.
    pub fn of(incident: &Incident) -> Self {
        let shadow = |one: NotRun| {
            let withheld = one.withheld.filter(Withheld::is_shadow)?;
            let NotRun { at_ms, run, unit, statement, .. } = one;
            Some(Withholding { at_ms, run, unit, statement, withheld })
        };
        Self {
            id: incident.id.clone(),
            server: incident.server.clone(),
            title: incident.title.clone(),
            state: incident.state,
            opened_ms: incident.opened_ms,
            would: steps::not_run(incident).into_iter().filter_map(shadow).collect(),
        }
    }

    /// How many statements of each effect would have been run by themselves, and how many asked about.
    pub fn counts(&self) -> BTreeMap<&str, (usize, usize)> {
        let mut counts: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
        for one in &self.would {
            let (runs, asks) = counts.entry(&one.withheld.effect).or_default();
            match one.withheld.asks {
                None => *runs += 1,
                Some(_) => *asks += 1,
            }
        }
        counts
    }
}
