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

/// Puts an incident last; the first that is over makes room for it.
fn remember(meant: &mut Vec<IncidentId>, id: &IncidentId, open: &BTreeSet<IncidentId>) {
    meant.retain(|known| known != id);
    if meant.len() >= MEANT_MAX
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
