//! Owns what may run by itself: one decision per unit, from what it does, what the policy says, and how things stand.

mod look_back;
mod maintenance;
mod request;
mod storm;
mod withheld;

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use chrono::DateTime;
use runbook::{Effect, Severity};
use serde::{Deserialize, Serialize};

pub(crate) use look_back::look_back;
pub use maintenance::{Hold, Maintenance, MaintenanceError, Window};
pub use request::{Approve, Decision, Kill, Request, Trouble};
pub use storm::Storm;

/// How much Paramedic does by itself; the more careful, the smaller.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Looks, and writes down what it would have done.
    Observe,
    /// Looks, and asks before every change.
    Suggest,
    /// Looks, and does what the policy allows; asks for the rest.
    Auto,
}

/// The policy for one server. The default only looks.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How much is done without asking.
    pub mode: Mode,
    /// The same for single procedures, by the name of the alert that they answer.
    pub modes: BTreeMap<String, Mode>,
    /// Whether all of this is only tried out: decided and written down, and nothing is changed.
    pub dry_run: bool,
    /// The effects that need no approval in mode `auto`.
    pub allow: BTreeSet<Effect>,
    /// The same for alerts of one severity, in place of the others.
    pub allow_by_severity: BTreeMap<Severity, BTreeSet<Effect>>,
    /// How many restarts of this server in an hour need no approval.
    pub restarts_per_hour: u32,
    /// How many changes of all servers together in an hour need no approval.
    pub changes_per_hour: u32,
    /// How long after a change the same procedure asks before it changes the same server again; longer where the
    /// query of its alert looks back further.
    pub cooldown: Duration,
    /// How many servers in trouble at once are too many.
    pub storm: Storm,
    /// Whether two people have to approve what destroys.
    pub second_person: bool,
    /// How long a question stays open.
    pub approval_expiry: Duration,
    /// How often the procedure is walked through before a person is asked.
    pub runs_max: u32,
}

// === impl Policy ===

impl Default for Policy {
    /// Nothing is changed, so there is nothing to limit.
    fn default() -> Self {
        Self {
            mode: Mode::Observe,
            modes: BTreeMap::new(),
            dry_run: false,
            allow: BTreeSet::new(),
            allow_by_severity: BTreeMap::new(),
            restarts_per_hour: u32::MAX,
            changes_per_hour: u32::MAX,
            cooldown: Duration::ZERO,
            storm: Storm::NEVER,
            second_person: false,
            approval_expiry: Duration::from_secs(30 * 60),
            runs_max: 1,
        }
    }
}

impl Policy {
    /// Decides on one unit that nobody has been asked about.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        if request.effect == Effect::Observe {
            return match request.approve {
                Approve::Policy => Decision::Run,
                Approve::Always => Decision::Ask("its author wants a person's word".to_owned()),
            };
        }
        match Self::forbid(request) {
            Some(refusal) => refusal,
            None if self.dry_run => Decision::Skip(self.rehearse(request)),
            None => self.decide_change(request),
        }
    }

    /// When what speaks against a unit will have passed by itself, in milliseconds since the Unix epoch.
    pub fn passes_ms(&self, request: &Request<'_>) -> Option<i64> {
        let cooldown = self.cooldown(request).map(|(_, until_ms)| until_ms);
        let maintenance = request.maintenance.as_ref().and_then(|hold| hold.until_ms);
        cooldown.max(maintenance).filter(|_| request.effect != Effect::Observe)
    }

    /// What forbids a change even where a person has approved it.
    pub fn refuse(&self, request: &Request<'_>) -> Option<Decision> {
        if request.effect == Effect::Observe {
            return None;
        }
        Self::forbid(request).or_else(|| self.dry_run.then(|| Decision::Skip(self.rehearse(request))))
    }

    /// How many people have to approve a statement of the effect of this name.
    pub fn people_needed(&self, effect: &str) -> u32 {
        if self.second_person && effect == Effect::Destroy.name() { 2 } else { 1 }
    }

    fn forbid(request: &Request<'_>) -> Option<Decision> {
        if request.kill == Kill::On {
            return Some(Decision::Skip(
                "the kill switch is on: nothing is changed until its file is removed".to_owned(),
            ));
        }
        if request.trouble == Trouble::Resolved {
            return Some(Decision::Skip("the alert is resolved: a change would come too late".to_owned()));
        }
        None
    }

    /// What would have been done.
    fn rehearse(&self, request: &Request<'_>) -> String {
        let would = match self.decide_change(request) {
            Decision::Run => "it would have been run".to_owned(),
            Decision::Ask(reason) => format!("a person would have been asked, because {reason}"),
            Decision::Skip(reason) => format!("it would not have been run, because {reason}"),
        };
        format!("this is a dry run: {would}; set `dry_run = false` to allow it")
    }

    fn decide_change(&self, request: &Request<'_>) -> Decision {
        match self.modes.get(request.alert).unwrap_or(&self.mode) {
            Mode::Observe => Decision::Skip(format!(
                "the mode is `observe`: a statement of effect {} would have been run or asked about; set mode `suggest` or `auto` to allow it",
                request.effect.name()
            )),
            Mode::Suggest => Decision::Ask(and(
                Some(format!(
                    "the mode is `suggest`, and its effect is {} ({})",
                    request.effect.name(),
                    request.effect_reason
                )),
                self.circumstances(request),
            )),
            Mode::Auto => match and(self.standing(request), self.circumstances(request)) {
                reason if reason.is_empty() => Decision::Run,
                reason => Decision::Ask(reason),
            },
        }
    }

    /// Why a person is asked, whatever the moment.
    fn standing(&self, request: &Request<'_>) -> Option<String> {
        if request.approve == Approve::Always {
            return Some("its author wants a person's word".to_owned());
        }
        let effect = format!("its effect is {} ({})", request.effect.name(), request.effect_reason);
        if matches!(request.effect, Effect::Destroy | Effect::Unknown) {
            return Some(effect);
        }
        let by_severity = request.severity.and_then(|severity| self.allow_by_severity.get(&severity));
        if by_severity.unwrap_or(&self.allow).contains(&request.effect) {
            return None;
        }
        let key = match (request.severity, by_severity) {
            (Some(severity), Some(_)) => format!("allow_{}", severity.name()),
            _ => "allow".to_owned(),
        };
        Some(format!("{effect}, which `{key}` does not name"))
    }

    /// What a person should know of the moment before they say yes.
    fn circumstances(&self, request: &Request<'_>) -> Option<String> {
        let mut reasons: Vec<String> = request.maintenance.iter().map(|hold| hold.reason.clone()).collect();
        reasons.extend(request.flapping.iter().map(|reason| {
            format!("{reason}: a yes allows it once, or `paramedic incident resume` from now on")
        }));
        if self.storm.brakes(request.servers_in_trouble) {
            reasons.push(format!(
                "{} servers got into trouble within {} s, which may have one cause: only a yes allows a change until fewer than {} of their incidents are open",
                request.servers_in_trouble,
                self.storm.window.as_secs(),
                self.storm.servers
            ));
        }
        if let Some((last_ms, until_ms)) = self.cooldown(request) {
            reasons.push(format!(
                "the same procedure changed this server at {}, and its alert may still be about the time before that: a yes allows it, or waiting until {}",
                time(last_ms),
                time(until_ms)
            ));
        }
        reasons.extend(self.spent(request));
        (!reasons.is_empty()).then(|| reasons.join("; "))
    }

    /// Until when the last change by the procedure speaks against another one, with the time of that change.
    fn cooldown(&self, request: &Request<'_>) -> Option<(i64, i64)> {
        let last_ms = request.last_change_ms?;
        let cooldown = self.cooldown.max(request.look_back);
        let cooldown_ms = i64::try_from(cooldown.as_millis()).unwrap_or(i64::MAX);
        let until_ms = last_ms.saturating_add(cooldown_ms);
        (request.now_ms < until_ms).then_some((last_ms, until_ms))
    }

    /// The budget that is used up.
    fn spent(&self, request: &Request<'_>) -> Option<String> {
        if request.effect == Effect::Disrupt && request.restarts_last_hour >= self.restarts_per_hour {
            return Some(format!(
                "the server was restarted {} times in the last hour, and the budget is {} (`restarts_per_hour`)",
                request.restarts_last_hour, self.restarts_per_hour
            ));
        }
        (request.changes_last_hour >= self.changes_per_hour).then(|| {
            format!(
                "{} changes were made to all servers together in the last hour, and the budget is {} (`changes_per_hour`)",
                request.changes_last_hour, self.changes_per_hour
            )
        })
    }
}

/// Both reasons, where there are two; empty where there is none.
fn and(first: Option<String>, second: Option<String>) -> String {
    [first, second].into_iter().flatten().collect::<Vec<_>>().join("; ")
}

/// A moment for people, in UTC.
fn time(at_ms: i64) -> String {
    DateTime::from_timestamp_millis(at_ms).unwrap_or_default().format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

#[cfg(test)]
mod tests;
