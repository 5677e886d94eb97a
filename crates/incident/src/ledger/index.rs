//! Owns finding incidents by what they are about: an alert must not cost a look at each of ten thousand.

use std::collections::{BTreeSet, HashMap};

use crate::fold::{Incident, Place};
use crate::id::IncidentId;
use crate::record::Record;

/// How many incidents are remembered for one place: the newest; those before are never meant.
const MEANT_MAX: usize = 8;

/// Where incidents are found, all of it kept up with each record.
#[derive(Default)]
pub(super) struct Index {
    open: BTreeSet<IncidentId>,
    over: BTreeSet<IncidentId>,
    /// The open ones.
    servers: HashMap<String, BTreeSet<IncidentId>>,
    places: HashMap<Place, Vec<IncidentId>>,
    /// By the fingerprints of the alerts that they are about.
    alerts: HashMap<String, Vec<IncidentId>>,
}

// === impl Index ===

impl Index {
    /// Takes in what a record has changed in an incident.
    pub(super) fn note(&mut self, incident: &Incident, record: &Record) {
        let (id, server) = (&incident.id, &incident.server);
        if incident.state.is_open() {
            self.over.remove(id);
            if self.open.insert(id.clone()) {
                self.servers.entry(server.clone()).or_default().insert(id.clone());
            }
        } else if self.open.remove(id) || !self.over.contains(id) {
            self.over.insert(id.clone());
            self.leave_server(incident);
        }
        match record {
            Record::Opened { .. } | Record::Absorbed { .. } | Record::Reopened { .. } => {
                for place in incident.places() {
                    remember(self.places.entry(place).or_default(), id, &self.open);
                }
                self.note_alerts(incident);
            }
            Record::SeenAgain { .. } | Record::Joined { .. } => self.note_alerts(incident),
            _ => {}
        }
    }

    fn note_alerts(&mut self, incident: &Incident) {
        for fingerprint in incident.alerts.keys() {
            let meant = self.alerts.entry(fingerprint.clone()).or_default();
            if !meant.contains(&incident.id) {
                remember(meant, &incident.id, &self.open);
            }
        }
    }

    /// Forgets an incident that is no longer held.
    pub(super) fn forget(&mut self, incident: &Incident) {
        self.open.remove(&incident.id);
        self.over.remove(&incident.id);
        self.leave_server(incident);
        for place in incident.places() {
            drop_from(&mut self.places, &place, &incident.id);
        }
        for fingerprint in incident.alerts.keys() {
            drop_from(&mut self.alerts, fingerprint, &incident.id);
        }
    }

    fn leave_server(&mut self, incident: &Incident) {
        if let Some(ids) = self.servers.get_mut(&incident.server) {
            ids.remove(&incident.id);
            if ids.is_empty() {
                self.servers.remove(&incident.server);
            }
        }
    }

    /// Those that may be meant by an alert of this place and fingerprint.
    pub(super) fn meant(
        &self,
        place: &Place,
        fingerprint: Option<&str>,
    ) -> impl Iterator<Item = &IncidentId> {
        let of_place = self.places.get(place).into_iter().flatten();
        let of_alert = fingerprint.and_then(|fingerprint| self.alerts.get(fingerprint)).into_iter().flatten();
        of_place.chain(of_alert)
    }

    /// The open ones of a server, oldest first.
    pub(super) fn of_server(&self, server: &str) -> impl Iterator<Item = &IncidentId> {
        self.servers.get(server).into_iter().flatten()
    }

    /// The open ones, oldest first.
    pub(super) fn open(&self) -> impl Iterator<Item = &IncidentId> {
        self.open.iter()
    }

    /// The oldest of those that are over.
    pub(super) fn oldest_over(&self) -> Option<&IncidentId> {
        self.over.first()
    }
}

/// Puts an incident last; the first that are over make room for it.
fn remember(meant: &mut Vec<IncidentId>, id: &IncidentId, open: &BTreeSet<IncidentId>) {
    meant.retain(|known| known != id);
    while meant.len() >= MEANT_MAX
        && let Some(oldest) = meant.iter().position(|known| !open.contains(known))
    {
        meant.remove(oldest);
    }
    meant.push(id.clone());
}

fn drop_from<K: std::hash::Hash + Eq>(map: &mut HashMap<K, Vec<IncidentId>>, key: &K, id: &IncidentId) {
    if let Some(ids) = map.get_mut(key) {
        ids.retain(|known| known != id);
        if ids.is_empty() {
            map.remove(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use proptest::prelude::*;

    use super::*;
    use crate::record::{Alarm, AlertFacts, RunbookPin, Source};

    fn opened(server: &str, procedure: &str, started_ms: i64) -> Record {
        let labels = BTreeMap::from([("server_name".to_owned(), server.to_owned())]);
        let (name, fingerprint) = (procedure.to_owned(), format!("{server}-{procedure}"));
        let alert = AlertFacts { name, severity: "info".to_owned(), labels, fingerprint, started_ms };
        Record::Opened {
            server: server.to_owned(),
            procedure: procedure.to_owned(),
            title: String::new(),
            alarm: Alarm { source: Source::Rule, summary: String::new(), alert: Some(alert), exit: None },
            runbook: RunbookPin { name: String::new(), sha256: String::new() },
            response_time_ms: None,
            dependency: None,
            earlier: None,
        }
    }

    proptest! {
        /// What the index finds is what a look at each would find, less what ended too long ago to be meant.
        #[test]
        fn it_finds_what_a_look_at_each_would(steps in prop::collection::vec((0..4_u8, 0..3_usize, 0..2_usize, 0..30_usize), 1..120)) {
            let (mut index, mut all) = (Index::default(), Vec::<Incident>::new());
            for (at_ms, (what, server, procedure, pick)) in (1..).zip(steps) {
                let (server, procedure) = (["a", "b", "c"][server], ["down", "slow"][procedure]);
                let known = pick % all.len().max(1);
                match what {
                    0 => {
                        let id = IncidentId::new(at_ms * 1_000, 1);
                        let record = opened(server, procedure, at_ms);
                        let incident = Incident::fold(&id, [(at_ms, &record)]).unwrap();
                        index.note(&incident, &record);
                        all.push(incident);
                    }
                    1 if !all.is_empty() => index.forget(&all.remove(known)),
                    _ if !all.is_empty() => {
                        let record = Record::Closed { by: "ada".to_owned(), reason: "why".to_owned() };
                        all[known].apply(at_ms, &record);
                        index.note(&all[known], &record);
                    }
                    _ => {}
                }
                let ids = |keep: &dyn Fn(&Incident) -> bool| -> Vec<IncidentId> {
                    all.iter().filter(|one| keep(one)).map(|one| one.id.clone()).collect()
                };
                let is_open = |one: &Incident| one.state.is_open();
                prop_assert_eq!(index.open().cloned().collect::<Vec<_>>(), ids(&is_open));
                prop_assert_eq!(index.oldest_over().cloned(), ids(&|one| !is_open(one)).first().cloned());
                let here = ids(&|one| is_open(one) && one.server == server);
                prop_assert_eq!(index.of_server(server).cloned().collect::<Vec<_>>(), here);
                let place = Place::of(server, procedure, None);
                let fingerprint = format!("{server}-{procedure}");
                let meant: BTreeSet<_> = index.meant(&place, Some(&fingerprint)).cloned().collect();
                let of_place = |one: &Incident| one.places().contains(&place);
                for id in ids(&|one| is_open(one) && of_place(one)) {
                    prop_assert!(meant.contains(&id));
                }
                let known = ids(&of_place);
                prop_assert!(meant.iter().all(|id| known.contains(id)));
                prop_assert!(known.last().is_none_or(|newest| meant.contains(newest)));
                let n_open = ids(&|one| is_open(one) && of_place(one)).len();
                prop_assert!(what != 0 || meant.len() <= MEANT_MAX.max(n_open));
            }
        }
    }
}
