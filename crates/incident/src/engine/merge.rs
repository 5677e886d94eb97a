//! Owns merging two open incidents of one server whose causes are the same trouble.

use super::{Engine, EngineError};
use crate::fold::{Incident, Place};
use crate::id::IncidentId;
use crate::inhibition::metric_names;
use crate::merging::{self, Symptom};
use crate::record::Record;
use crate::world::World;

/// The metric of an alert that is about memory.
const MEMORY: &str = "mcp_server_memory_usage_bytes";

/// Two incidents, and why they are one.
struct Pair {
    into: IncidentId,
    from: IncidentId,
    reason: String,
}

impl<W: World> Engine<W> {
    /// Merges an incident into an earlier one of its server, or later ones into it, where the causes say so. What an
    /// earlier life of the engine has begun of this is brought to its end.
    pub(super) async fn merge(&self, id: &IncidentId) -> Result<(), EngineError> {
        let server = self.inner.ledger.with(id, |incident| incident.server.clone()).await?;
        let symptom = |incident: &Incident| self.symptom(incident);
        for pair in self.inner.ledger.with_server(&server, |open| pairs(id, open, &symptom)).await {
            let absorbed = self.inner.ledger.with(&pair.from, |from| absorbed(from, &pair.reason)).await?;
            let known = |into: &Incident| into.absorbed.iter().any(|(from, _)| *from == pair.from);
            if !self.inner.ledger.with(&pair.into, known).await?
                && let Err(error) = self.record(&pair.into, absorbed).await
            {
                let refused = matches!(error, EngineError::Refused(_));
                if !refused {
                    return Err(error);
                }
                // The walker of the other one was quicker, or this one ended just now.
                if !self.inner.ledger.with(&pair.into, known).await? {
                    continue;
                }
            }
            let merged = Record::Merged { into: pair.into.to_string(), reason: pair.reason };
            match self.record(&pair.from, merged).await {
                // A change of it is under way, or a person has taken it over: looked at again at its next step.
                Err(EngineError::Refused(_)) => {}
                other => other?,
            }
        }
        Ok(())
    }

    /// What the alert is about that the procedure of an incident answers, by its query.
    fn symptom(&self, incident: &Incident) -> Symptom {
        let book = self.book(&incident.runbook);
        let procedure = book.as_ref().and_then(|book| book.procedure(&incident.procedure));
        let alert = procedure.and_then(|procedure| procedure.alert.as_ref());
        let names = alert.map(metric_names).unwrap_or_default();
        if names.contains(MEMORY) { Symptom::Memory } else { Symptom::Other }
    }
}

/// What is to be merged now, of the open incidents of one server.
fn pairs(
    id: &IncidentId,
    open: &mut dyn Iterator<Item = &Incident>,
    symptom: &dyn Fn(&Incident) -> Symptom,
) -> Vec<Pair> {
    let open: Vec<&Incident> = open.collect();
    let Some(one) = open.iter().find(|incident| incident.id == *id) else { return Vec::new() };
    let mut pairs = Vec::new();
    for other in open.iter().filter(|other| other.id != *id) {
        for (into, from) in [(one, other), (other, one)] {
            // Half done, it is brought to its end, whatever else was found since.
            let begun = into.absorbed.iter().any(|(known, _)| *known == from.id);
            let reason = if begun {
                Some("both were found to be the same trouble".to_owned())
            } else {
                merging::reason(into, from, symptom(from)).filter(|_| !from.is_changing())
            };
            if let Some(reason) = reason {
                pairs.push(Pair { into: into.id.clone(), from: from.id.clone(), reason });
            }
        }
    }
    // An incident is merged once: into the earliest.
    pairs.sort_by(|left, right| left.into.cmp(&right.into));
    let mut gone = Vec::new();
    pairs.retain(|pair| {
        let fits = !gone.contains(&pair.from) && !gone.contains(&pair.into);
        gone.push(pair.from.clone());
        fits
    });
    pairs
}

fn absorbed(from: &Incident, reason: &str) -> Record {
    let place = Place::of(&from.server, &from.procedure, from.dependency.as_deref());
    let dependency = match place {
        Place::Dependency { dependency, .. } => Some(dependency),
        Place::Server { .. } => None,
    };
    Record::Absorbed {
        from: from.id.to_string(),
        procedure: from.procedure.clone(),
        dependency,
        alerts: from.standing_alerts(),
        reason: reason.to_owned(),
    }
}
