//! Owns what may run by itself: one decision per unit, from its effect, the mode, the budget and the kill switch.

use std::collections::BTreeSet;
use std::time::Duration;

use runbook::Effect;
use serde::{Deserialize, Serialize};

/// How much Paramedic does by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Mode {
    /// Looks, and writes down what it would have done.
    Observe,
    /// Looks, and asks before every change.
    Suggest,
    /// Looks, and does what the policy allows; asks for the rest.
    Auto,
}

/// The policy for one server.
#[derive(Debug, Clone)]
pub struct Policy {
    /// How much is done without asking.
    pub mode: Mode,
    /// The effects that need no approval in mode `auto`.
    pub allow: BTreeSet<Effect>,
    /// How many restarts of this server in an hour need no approval.
    pub restarts_per_hour: u32,
    /// How long a question stays open.
    pub approval_expiry: Duration,
    /// How often the procedure is walked through before a person is asked.
    pub runs_max: u32,
}

/// Whether the kill switch is thrown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kill {
    /// Nothing is changed by anybody through Paramedic.
    On,
    /// Business as usual.
    Off,
}

/// What a decision is asked about.
#[derive(Debug, Clone)]
pub struct Request<'a> {
    /// The effect of the unit.
    pub effect: Effect,
    /// Why it has that effect.
    pub effect_reason: &'a str,
    /// Whether the author wants a person's word always.
    pub approve: Approve,
    /// The kill switch, read a moment ago.
    pub kill: Kill,
    /// Whether what the incident was opened for still stands.
    pub trouble: Trouble,
    /// Restarts of this server in the last hour, from the journal.
    pub restarts_last_hour: u32,
}

/// When a unit needs a person's word.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Approve {
    /// As the policy says.
    Policy,
    /// Always.
    Always,
}

/// Whether what the incident was opened for still stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Trouble {
    /// It does.
    Stands,
    /// The alert is resolved: a change would come too late.
    Resolved,
}

/// What to do with a unit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decision {
    /// Run it.
    Run,
    /// Ask a person; the reason is for them.
    Ask(String),
    /// Do not run it; the reason says what would allow it.
    Skip(String),
}

// === impl Policy ===

impl Policy {
    /// Decides on one unit that nobody has been asked about.
    pub fn decide(&self, request: &Request<'_>) -> Decision {
        if request.effect == Effect::Observe {
            return match request.approve {
                Approve::Policy => Decision::Run,
                Approve::Always => Decision::Ask("its author wants a person's word".to_owned()),
            };
        }
        if let Some(refusal) = Self::refuse(request) {
            return refusal;
        }
        match self.mode {
            Mode::Observe => Decision::Skip(format!(
                "the mode is `observe`: a statement of effect {} would have been run or asked about; set mode `suggest` or `auto` to allow it",
                name(request.effect)
            )),
            Mode::Suggest => Decision::Ask(format!(
                "the mode is `suggest`, and its effect is {} ({})",
                name(request.effect),
                request.effect_reason
            )),
            Mode::Auto => self.decide_auto(request),
        }
    }

    /// What forbids a change even where a person has approved it.
    pub fn refuse(request: &Request<'_>) -> Option<Decision> {
        if request.effect == Effect::Observe {
            return None;
        }
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

    fn decide_auto(&self, request: &Request<'_>) -> Decision {
        if request.approve == Approve::Always {
            return Decision::Ask("its author wants a person's word".to_owned());
        }
        if !self.allow.contains(&request.effect) {
            return Decision::Ask(format!(
                "its effect is {} ({})",
                name(request.effect),
                request.effect_reason
            ));
        }
        if request.effect == Effect::Disrupt && request.restarts_last_hour >= self.restarts_per_hour {
            return Decision::Ask(format!(
                "the server was restarted {} times in the last hour, and the budget is {}",
                request.restarts_last_hour, self.restarts_per_hour
            ));
        }
        Decision::Run
    }
}

/// The name of an effect as it stands in documents and records.
pub(crate) fn name(effect: Effect) -> &'static str {
    match effect {
        Effect::Observe => "observe",
        Effect::Change => "change",
        Effect::Disrupt => "disrupt",
        Effect::Destroy => "destroy",
        Effect::Unknown => "unknown",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn policy(mode: Mode) -> Policy {
        Policy {
            mode,
            allow: [Effect::Observe, Effect::Change, Effect::Disrupt].into(),
            restarts_per_hour: 3,
            approval_expiry: Duration::from_secs(1800),
            runs_max: 2,
        }
    }

    fn request(effect: Effect) -> Request<'static> {
        Request {
            effect,
            effect_reason: "because",
            approve: Approve::Policy,
            kill: Kill::Off,
            trouble: Trouble::Stands,
            restarts_last_hour: 0,
        }
    }

    #[track_caller]
    fn check(mode: Mode, request: &Request<'_>, expect: &str) {
        let decided = match policy(mode).decide(request) {
            Decision::Run => "run".to_owned(),
            Decision::Ask(reason) => format!("ask: {reason}"),
            Decision::Skip(reason) => format!("skip: {reason}"),
        };
        assert!(decided.starts_with(expect), "{decided}");
    }

    #[test]
    fn looking_is_automatic_in_every_mode() {
        for mode in [Mode::Observe, Mode::Suggest, Mode::Auto] {
            check(mode, &request(Effect::Observe), "run");
            check(
                mode,
                &Request { kill: Kill::On, trouble: Trouble::Resolved, ..request(Effect::Observe) },
                "run",
            );
        }
    }

    #[test]
    fn changing_is_governed() {
        check(Mode::Auto, &request(Effect::Change), "run");
        check(Mode::Auto, &request(Effect::Disrupt), "run");
        check(Mode::Auto, &request(Effect::Destroy), "ask: its effect is destroy");
        check(Mode::Auto, &request(Effect::Unknown), "ask: its effect is unknown");
        check(Mode::Suggest, &request(Effect::Change), "ask: the mode is `suggest`");
        check(Mode::Observe, &request(Effect::Change), "skip: the mode is `observe`");
    }

    #[test]
    fn what_stands_above_the_mode() {
        let disrupt = request(Effect::Disrupt);
        check(Mode::Auto, &Request { kill: Kill::On, ..disrupt.clone() }, "skip: the kill switch");
        check(
            Mode::Auto,
            &Request { trouble: Trouble::Resolved, ..disrupt.clone() },
            "skip: the alert is resolved",
        );
        check(
            Mode::Auto,
            &Request { restarts_last_hour: 3, ..disrupt.clone() },
            "ask: the server was restarted 3 times",
        );
        check(Mode::Auto, &Request { approve: Approve::Always, ..disrupt }, "ask: its author");
    }
}
