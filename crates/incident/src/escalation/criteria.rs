//! Owns whether a criterion holds, and why: from the records of the incident, the other servers and the time.

use std::collections::{BTreeMap, BTreeSet};

use diagnosis::{Cause, Finding, kind};
use runbook::{Among, Criterion, Subject};

use crate::fold::Incident;
use crate::record::{Record, Source, UnitEnd};
use crate::report::duration;
use crate::state::State;

/// The procedure under which it is remembered that a criterion was told of at all.
const ANY: &str = "";

/// What the other incidents say.
#[derive(Debug, Default)]
pub(crate) struct Fleet {
    /// The servers in trouble that is not over, by procedure.
    alike: BTreeMap<String, BTreeSet<String>>,
    /// The criteria on many servers that an open incident has told of, with its procedure.
    told: BTreeSet<(String, String)>,
    /// When each server was restarted, in milliseconds since the Unix epoch.
    restarts: BTreeMap<String, Vec<i64>>,
}

/// What there is to say of a criterion.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Verdict {
    /// It holds, and why.
    Holds(String),
    /// It may hold at this time, in milliseconds since the Unix epoch, by the mere passing of time.
    At(i64),
    /// It does not hold.
    No,
}

// === impl Fleet ===

impl Fleet {
    /// Takes in one incident.
    pub(crate) fn add(&mut self, incident: &Incident) {
        if incident.alarm.source == Source::Person || !incident.state.is_open() {
            return;
        }
        incident.escalation.met.iter().for_each(|criterion| self.tell(incident, criterion));
        if is_standing(incident) {
            self.alike.entry(incident.procedure.clone()).or_default().insert(incident.server.clone());
        }
    }

    /// Takes in the restarts of one incident, for criteria that ask for them.
    pub(crate) fn add_restarts(&mut self, incident: &Incident) {
        for (at_ms, record) in &incident.timeline {
            if let Record::Restarted { server, problem: None, .. } = record {
                self.restarts.entry(server.clone()).or_default().push(*at_ms);
            }
        }
    }

    /// Remembers that a criterion on many servers is told of by now: one call is enough for all of them.
    pub(crate) fn tell(&mut self, incident: &Incident, criterion: &str) {
        for procedure in [incident.procedure.as_str(), ANY] {
            self.told.insert((procedure.to_owned(), criterion.to_owned()));
        }
    }

    fn servers(&self, incident: &Incident, among: Among) -> BTreeSet<&str> {
        let of = |(procedure, _): &(&String, &BTreeSet<String>)| {
            among == Among::All || **procedure == incident.procedure
        };
        self.alike.iter().filter(of).flat_map(|(_, servers)| servers).map(String::as_str).collect()
    }
}

/// Whether the trouble is there and not over.
pub(super) fn is_standing(incident: &Incident) -> bool {
    matches!(incident.state, State::Triggered | State::Acknowledged)
}

/// Says whether a criterion holds of an incident whose trouble stands.
pub(super) fn judge(
    text: &str,
    criterion: Criterion,
    incident: &Incident,
    fleet: &Fleet,
    now_ms: i64,
) -> Verdict {
    match criterion {
        Criterion::RestartsFailed { attempts } => restarts_failed(incident, attempts),
        Criterion::ServersAffected { at_least, among } => {
            let servers = fleet.servers(incident, among);
            let procedure = if among == Among::All { ANY } else { incident.procedure.as_str() };
            let told = fleet.told.contains(&(procedure.to_owned(), text.to_owned()));
            if told || servers.len() < at_least as usize {
                return Verdict::No;
            }
            let names: Vec<&str> = servers.into_iter().collect();
            Verdict::Holds(format!("{} servers are in trouble: {}", names.len(), names.join(", ")))
        }
        Criterion::PointsTo { subject } => points(incident, subject),
        Criterion::Lasts { after_ms } => match passed(incident, after_ms, now_ms) {
            None => Verdict::Holds(format!("it is not over {} after the opening", words(after_ms))),
            Some(at_ms) => Verdict::At(at_ms),
        },
        Criterion::Unacknowledged { .. } if incident.acknowledged.is_some() => Verdict::No,
        Criterion::Unacknowledged { after_ms } => match passed(incident, after_ms, now_ms) {
            None => Verdict::Holds(format!("nobody has taken notice for {}", words(after_ms))),
            Some(at_ms) => Verdict::At(at_ms),
        },
        Criterion::Returns { within_ms } => returns(incident, fleet, within_ms),
        Criterion::Unread => Verdict::No,
    }
}

/// When a time after the opening will have passed; none if it has.
fn passed(incident: &Incident, after_ms: u64, now_ms: i64) -> Option<i64> {
    let at_ms = incident.opened_ms.saturating_add_unsigned(after_ms);
    (now_ms < at_ms).then_some(at_ms)
}

/// An attempt has failed where it says so itself, or where the trouble was there again or still afterwards.
fn restarts_failed(incident: &Incident, attempts: u32) -> Verdict {
    let (mut begun, mut failed) = (0_u32, 0_u32);
    let mut keys = BTreeSet::new();
    for (_, record) in &incident.timeline {
        match record {
            Record::Intent { effect, statement, key, .. }
                if effect == "disrupt" && statement.contains("restart") =>
            {
                begun += u32::from(keys.insert(key.as_str()));
            }
            Record::Restarted { key, problem, .. } => {
                begun += u32::from(keys.insert(key.as_str()));
                if problem.is_some() {
                    failed = begun;
                }
            }
            Record::NotVerified { .. } | Record::SeenAgain { .. } => failed = begun,
            Record::Outcome { end, unit, .. } if is_failed(end) && restarts(incident, unit) => {
                failed = begun;
            }
            _ => {}
        }
    }
    if failed < attempts {
        return Verdict::No;
    }
    Verdict::Holds(format!("the server was restarted {failed} times, and the trouble is still there"))
}

fn restarts(incident: &Incident, unit: &crate::record::UnitRef) -> bool {
    incident.unit(unit).is_some_and(|view| {
        let disrupts = view.intent.as_ref().is_some_and(|intent| intent.effect == "disrupt");
        disrupts && view.statement.contains("restart")
    })
}

fn is_failed(end: &UnitEnd) -> bool {
    !matches!(end, UnitEnd::Exited { code: 0 } | UnitEnd::DoneByEvidence { .. } | UnitEnd::NotStarted { .. })
}

/// A look that found nothing says so.
fn is_denied(finding: &Finding) -> bool {
    finding.value().is_some_and(|value| matches!(value.to_string().as_str(), "false" | "0"))
}

fn points(incident: &Incident, subject: Subject) -> Verdict {
    let causes: &[Cause] = match subject {
        Subject::Compromise => &[Cause::Intrusion],
        Subject::Damage => &[Cause::DataDamaged],
        Subject::OutOfMemory => &[Cause::OutOfMemory],
        Subject::Dependency => &[
            Cause::DependencyDown,
            Cause::DatabaseDown,
            Cause::DatabaseFull,
            Cause::DatabaseLocked,
            Cause::CertificateInvalid,
            Cause::NameService,
            Cause::AddressFamily,
            Cause::RateLimited,
            Cause::NetworkDown,
        ],
        Subject::Disk => &[],
    };
    let named = incident.cause.as_deref().and_then(Cause::of_name);
    if let Some(cause) = named.filter(|cause| causes.contains(cause)) {
        return Verdict::Holds(format!("the findings point to `{cause}`"));
    }
    let value =
        |finding: &Finding, word: &str| finding.value().is_some_and(|value| value.to_string() == word);
    let speaks = |finding: &&Finding| match subject {
        Subject::Compromise => finding.kind() == kind::SECURITY_EVENT.name && value(finding, "confirmed"),
        Subject::Damage => finding.kind() == kind::INTEGRITY.name && value(finding, "failed"),
        Subject::OutOfMemory => finding.kind() == kind::OOM_KILL.name && !is_denied(finding),
        Subject::Disk => finding.kind() == kind::READ_ONLY_MOUNT.name && !is_denied(finding),
        Subject::Dependency => false,
    };
    match incident.findings.values().find(speaks) {
        Some(finding) => Verdict::Holds(format!("found: {finding}")),
        None => Verdict::No,
    }
}

/// The trouble was seen so soon after a restart of this server, in this incident or one before.
fn returns(incident: &Incident, fleet: &Fleet, within_ms: u64) -> Verdict {
    let Some(restarts) = fleet.restarts.get(&incident.server) else { return Verdict::No };
    let seen = incident.timeline.iter().filter_map(|(at_ms, record)| {
        matches!(record, Record::Opened { .. } | Record::SeenAgain { .. }).then_some(*at_ms)
    });
    for at_ms in seen {
        let before = restarts.iter().filter(|restart_ms| **restart_ms < at_ms).max();
        if let Some(after_ms) = before.and_then(|restart_ms| u64::try_from(at_ms - restart_ms).ok())
            && after_ms <= within_ms
        {
            return Verdict::Holds(format!("it was back {} after a restart", duration(after_ms)));
        }
    }
    Verdict::No
}

/// A round time as a runbook writes it.
fn words(ms: u64) -> String {
    match ms / 1_000 {
        s if s >= 60 && s.is_multiple_of(60) => format!("{} min", s / 60),
        _ => duration(ms),
    }
}

#[cfg(test)]
mod tests;
