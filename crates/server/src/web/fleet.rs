//! Owns what the page of the fleet is made of: servers, what fires, and what waits for a person.

use std::collections::{BTreeMap, BTreeSet};

use incident::Incident;
use metrics::AlertState;
use serde::Deserialize;
use web::Place;
use web::fleet::{Asked, Firing, Fleet, Health, Ordering, Query, Server};

use super::Web;
use super::asking::Last;
use super::pages::{Eye, View, typed};
use crate::api::{Failure, server_status};
use crate::clock;
use crate::flow::Flow;

/// The query of the page's address; what is not understood is the usual.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asking {
    sort: String,
    q: String,
    page: String,
}

/// The page.
pub(super) async fn page(web: &Web, query: &str, eye: &Eye) -> Result<View, Failure> {
    let asking: Asking = serde_urlencoded::from_str(query).unwrap_or_default();
    let query = Query {
        ordering: Ordering::of(&asking.sort),
        text: typed(&asking.q),
        page: asking.page.parse().unwrap_or(1),
    };
    let (flow, now_ms) = (&web.flow, clock::now_ms());
    let Last { hour, again } = web.hours.last(flow, now_ms).await;
    let look = flow.engine.look(|all| {
        let mut open: Vec<&Incident> = all.filter(|one| one.state.is_open() && eye.may_see(one)).collect();
        open.sort_by_key(|one| one.opened_ms);
        let mut of_servers: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for one in &open {
            for server in std::iter::once(one.server.as_str()).chain(one.members()) {
                of_servers.entry(server.to_owned()).or_default().push(one.id.to_string());
            }
        }
        (open.iter().filter_map(|one| asked(one)).collect::<Vec<Asked>>(), of_servers, open.len())
    });
    let (asked, mut incidents, n_open) = look.await?;
    let alerts = firing(flow, |server| eye.is_for(server));
    let fires: BTreeSet<&str> = alerts.iter().map(|alert| alert.server.as_str()).collect();
    let servers = flow.fleet.members().filter(|member| eye.is_for(&member.config.name)).map(|member| {
        let status = server_status(flow, &member);
        let name = status.name;
        Server {
            health: health(&status.health),
            phase: status.phase,
            reason: status.reason,
            incidents: incidents.remove(&name).unwrap_or_default(),
            fires: fires.contains(name.as_str()),
            latency: hour.latency(&name),
            errors: hour.errors(&name),
            memory: hour.memory(&name),
            restarted_ms: hour.started_ms(&name),
            name,
        }
    });
    let servers = servers.collect();
    let fleet = Fleet { asked, alerts, servers, stretch: hour.stretch, gap_ms: hour.gap_ms };
    let title = if n_open == 0 { "Fleet".to_owned() } else { format!("({n_open}) Fleet") };
    let (body, parts) = (fleet.body(&query), fleet.parts(&query));
    Ok(View { title, place: Place::Fleet, body, parts, again })
}

/// What an open incident wants of a person; none where it goes on by itself.
fn asked(incident: &Incident) -> Option<Asked> {
    let units: Vec<&str> = incident.open_questions().map(|(unit, ..)| unit.unit.as_str()).collect();
    let what = match (units.as_slice(), &incident.person_needed) {
        ([], None) => return None,
        ([], Some(why)) => format!("a person is needed: {}", incident::plain(why)),
        ([one], _) => format!("a yes or a no to {one}"),
        (several, _) => format!("a yes or a no to each of {}", several.join(", ")),
    };
    let (id, server, title) = (incident.id.to_string(), incident.server.clone(), incident.title.clone());
    Some(Asked { incident: id, server, title, what })
}

/// The alerts of ours that fire about these servers, the oldest first.
pub(super) fn firing(flow: &Flow, is_for: impl Fn(&str) -> bool) -> Vec<Firing> {
    let of = |alert: &&metrics::Alert| is_for(alert.labels.get("server_name").unwrap_or_default());
    let fires = |alert: &&metrics::Alert| alert.state == AlertState::Firing;
    let active = flow.watch.active();
    let mut alerts: Vec<metrics::Alert> = active.iter().filter(fires).filter(of).cloned().collect();
    alerts.sort_by_key(|alert| alert.fired_ms);
    let labels: Vec<metrics::Labels> = alerts.iter().map(|alert| alert.labels.clone()).collect();
    let quiet = flow.engine.suppressed(&labels).into_iter().map(|one| {
        if !one.silenced_by.is_empty() {
            return Some("silenced".to_owned());
        }
        one.inhibited_by.map(|idx| format!("says nothing new beside {}", alerts[idx].rule))
    });
    let quiet: Vec<Option<String>> = quiet.collect();
    let shown = alerts.iter().zip(quiet).map(|(alert, quiet)| Firing {
        name: alert.rule.clone(),
        server: alert.labels.get("server_name").unwrap_or_default().to_owned(),
        severity: alert.labels.get("severity").unwrap_or("warning").to_owned(),
        since_ms: alert.fired_ms.unwrap_or(alert.started_ms),
        quiet,
    });
    shown.collect()
}

/// The health of a word of ours.
pub(super) fn health(word: &str) -> Health {
    [Health::Healthy, Health::Degraded, Health::Unhealthy]
        .into_iter()
        .find(|health| health.word() == word)
        .unwrap_or(Health::Unknown)
}
