//! Owns taking the alerts of runbooks to other systems: rule files of Prometheus, configurations of Alertmanager.

mod alertmanager;
mod prometheus;
#[cfg(test)]
mod tests;
mod yaml;

use std::collections::BTreeMap;

use crate::procedure::{AlertSpec, Procedure, Runbook};
pub use alertmanager::alertmanager;
pub use prometheus::prometheus;

/// Why alerts can not be exported.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ExportError {
    /// Two procedures answer one alert.
    #[error("alert `{name}` stands twice: {first} and {second}")]
    Twice {
        /// The alert.
        name: String,
        /// `FILE:LINE` of the first.
        first: String,
        /// `FILE:LINE` of the second.
        second: String,
    },
    /// A query is no PromQL.
    #[error("the query of alert `{name}` ({place}) can not be evaluated: {reason}")]
    Query {
        /// The alert.
        name: String,
        /// `FILE:LINE` of its procedure.
        place: String,
        /// What is wrong with it.
        reason: String,
    },
    /// No runbook holds an alert that something can fire.
    #[error("no alert with a query is in these runbooks")]
    Nothing,
}

/// An alert with the procedure that answers it.
struct Answered<'a> {
    runbook: &'a Runbook,
    procedure: &'a Procedure,
    alert: &'a AlertSpec,
    query: metrics::Query,
}

/// Gathers the alerts that something can fire.
fn answered(runbooks: &[Runbook]) -> Result<Vec<Answered<'_>>, ExportError> {
    let mut seen: BTreeMap<&str, String> = BTreeMap::new();
    let mut found = Vec::new();
    for runbook in runbooks {
        for procedure in &runbook.procedures {
            let Some(alert) = &procedure.alert else { continue };
            let Some(query) = &alert.query else { continue };
            let place = format!("{}:{}", runbook.name, procedure.line);
            if let Some(first) = seen.insert(&alert.name, place.clone()) {
                return Err(ExportError::Twice { name: alert.name.clone(), first, second: place });
            }
            let query = metrics::Query::parse(query).map_err(|error| ExportError::Query {
                name: alert.name.clone(),
                place,
                reason: error.to_string(),
            })?;
            found.push(Answered { runbook, procedure, alert, query });
        }
    }
    if found.is_empty() { Err(ExportError::Nothing) } else { Ok(found) }
}
