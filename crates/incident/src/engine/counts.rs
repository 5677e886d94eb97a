//! Owns what the journal says for the policy to decide by: restarts, changes, the last change, servers in trouble.
//!
//! Nothing here is kept in memory only, so a restart of `serve` gives nobody a new budget.

use crate::fold::{Incident, UnitView};
use crate::id::IncidentId;
use crate::record::{Alarm, Record, Source, UnitEnd};

/// The unit that is asked about.
pub(super) struct Place<'a> {
    pub(super) incident: &'a IncidentId,
    pub(super) run: u32,
    pub(super) server: &'a str,
    /// The procedure's id.
    pub(super) procedure: &'a str,
}

/// How often a server was restarted since a moment, in one incident, whichever server that is about.
pub(super) fn restarts_since(incident: &Incident, name: &str, since_ms: i64) -> u32 {
    let is_one = |record: &Record| matches!(record, Record::Restarted { server, .. } if server == name);
    count(incident, since_ms, is_one)
}

/// How many changes were begun since a moment, in one incident.
pub(super) fn changes_since(incident: &Incident, since_ms: i64) -> u32 {
    count(incident, since_ms, |record| matches!(record, Record::Intent { effect, .. } if effect != "observe"))
}

/// When the procedure last changed the server in another run; none where something was seen since then that no
/// change can have undone.
pub(super) fn last_change_ms<'a>(
    all: impl IntoIterator<Item = &'a Incident>,
    place: &Place<'_>,
) -> Option<i64> {
    let (mut last_ms, mut fresh_ms) = (None, None);
    let same = |one: &&Incident| one.server == place.server && one.procedure == place.procedure;
    for incident in all.into_iter().filter(same) {
        let is_this = incident.id == *place.incident;
        let others = incident.units.iter().filter(|(unit, _)| !(is_this && unit.run == place.run));
        last_ms = last_ms.max(others.filter_map(|(_, view)| changed_ms(view)).max());
        if is_this {
            fresh_ms = fresh_evidence_ms(incident);
        }
    }
    last_ms.filter(|last_ms| fresh_ms.is_none_or(|fresh_ms| fresh_ms < *last_ms))
}

/// Which servers got into trouble that is not over, and when last. Each one that joined an incident is in trouble itself.
pub(super) fn troubles<'a>(
    all: impl IntoIterator<Item = &'a Incident>,
) -> impl Iterator<Item = (&'a str, i64)> {
    all.into_iter()
        .filter(|incident| incident.state.is_open() && incident.alarm.source != Source::Person)
        .flat_map(|incident| {
            let again = incident.timeline.iter().rev().find_map(|(at_ms, record)| {
                matches!(record, Record::SeenAgain { .. } | Record::Reopened { .. }).then_some(*at_ms)
            });
            let own = (incident.server.as_str(), again.unwrap_or(incident.opened_ms));
            let standing =
                |name: &str| incident.alerts.values().any(|alert| alert.server == name && !alert.is_over);
            let joined = incident.timeline.iter().filter_map(move |(at_ms, record)| match record {
                Record::Joined { server, .. } if standing(server) => Some((server.as_str(), *at_ms)),
                _ => None,
            });
            std::iter::once(own).chain(joined)
        })
}

fn count(incident: &Incident, since_ms: i64, is_one: impl Fn(&Record) -> bool) -> u32 {
    // The clock may have been set back since: the last record need not be the latest.
    let found = incident.timeline.iter().filter(|(at_ms, record)| *at_ms >= since_ms && is_one(record));
    u32::try_from(found.count()).unwrap_or(u32::MAX)
}

/// When a unit last changed something, as far as is known.
fn changed_ms(view: &UnitView) -> Option<i64> {
    let intent = view.intent.as_ref().filter(|intent| intent.effect != "observe")?;
    let Some(ended) = &view.outcome else { return Some(intent.at_ms) };
    if matches!(ended.end, UnitEnd::NotStarted { .. }) {
        return None;
    }
    Some(ended.finished_ms.map_or(intent.at_ms, |finished_ms| finished_ms.max(intent.at_ms)))
}

/// When something was last seen that is about this very moment, and not about a stretch of time: the end of a
/// process, a server that does not answer after a run of the procedure, the word of a person.
fn fresh_evidence_ms(incident: &Incident) -> Option<i64> {
    let exit_ms = |alarm: &Alarm| alarm.exit.as_ref().map(|exit| exit.at_ms);
    let seen = incident.timeline.iter().filter_map(|(at_ms, record)| match record {
        Record::Opened { alarm, .. } | Record::SeenAgain { alarm } | Record::Reopened { alarm, .. } => {
            match alarm.source {
                Source::Exit | Source::Rule | Source::Inbound => exit_ms(alarm),
                _ => Some(*at_ms),
            }
        }
        Record::NotVerified { .. } => Some(*at_ms),
        _ => None,
    });
    seen.max()
}
