//! Owns the other half of a refusal: what the policy would have done with a statement that it keeps from being run.

use std::collections::BTreeMap;

use super::{Decision, Kill, Mode, Policy, Request, Trouble};
use crate::record::{Keeper, Withheld};

// === impl Policy ===

impl Policy {
    /// Returns what keeps a change from being run, what would have been done with it otherwise, and what allows it;
    /// `None` where nothing does. `missing` is a question that comes before the policy's own, `doubt` one after it.
    pub(crate) fn withheld(
        &self,
        request: &Request<'_>,
        values: &BTreeMap<String, String>,
        missing: Option<String>,
        doubt: Option<&str>,
    ) -> Option<Withheld> {
        let mode = self.modes.get(request.alert).unwrap_or(&self.mode);
        let keeper = match (request.kill, request.trouble) {
            (Kill::On, _) => Keeper::KillSwitch,
            (_, Trouble::Resolved) => Keeper::Resolved,
            _ if *mode == Mode::Observe => Keeper::Observe,
            _ if self.dry_run => Keeper::DryRun,
            _ => return None,
        };
        // Where the mode only looks, the question is what the machine would do if it were let.
        let would = match mode {
            Mode::Observe => {
                let trusted = Self { mode: Mode::Auto, modes: BTreeMap::new(), ..self.clone() };
                trusted.decide_change(request)
            }
            _ => self.decide_change(request),
        };
        let decided = match would {
            Decision::Run => doubt.map(str::to_owned),
            Decision::Ask(reason) | Decision::Skip(reason) => Some(reason),
        };
        let asks = missing.or(decided);
        let effect_reason = request.effect_reason.to_owned();
        let (effect, values) = (request.effect.name().to_owned(), values.clone());
        let allow = self.allowance(keeper, asks.is_some());
        Some(Withheld { keeper, effect, effect_reason, values, asks, allow })
    }

    fn allowance(&self, keeper: Keeper, asks: bool) -> String {
        let allow = match (keeper, asks) {
            (Keeper::KillSwitch, _) => "`paramedic kill-switch off`",
            (Keeper::Resolved, _) => "nothing: the alert is over, and a change would come too late",
            (Keeper::Observe, false) => "mode `auto` (it runs) or `suggest` (it asks first)",
            (Keeper::Observe, true) => "mode `auto` or `suggest`, and a person's yes",
            (Keeper::DryRun, false) => "`dry_run = false`",
            (Keeper::DryRun, true) => "`dry_run = false`, and a person's yes",
        };
        match keeper {
            Keeper::Observe if self.dry_run => format!("`dry_run = false`, and {allow}"),
            _ => allow.to_owned(),
        }
    }
}

#[cfg(test)]
mod tests {
    use runbook::Effect;

    use super::*;

    #[track_caller]
    fn check(policy: &Policy, request: &Request<'_>, expect: Option<(Keeper, Option<&str>, &str)>) {
        let values = BTreeMap::from([("PORT".to_owned(), "80".to_owned())]);
        let withheld = policy.withheld(request, &values, None, None);
        let found = withheld.as_ref().map(|one| (one.keeper, one.asks.as_deref(), one.allow.as_str()));
        assert_eq!(found, expect);
        assert!(withheld.is_none_or(|one| one.values == values && one.effect == request.effect.name()));
    }

    fn policy(mode: Mode) -> Policy {
        Policy { mode, allow: [Effect::Disrupt].into(), ..Policy::default() }
    }

    #[test]
    fn what_only_looks_on_says_what_it_would_have_done() {
        let restart = Request::quiet(Effect::Disrupt, "it restarts");
        let delete = Request::quiet(Effect::Destroy, "it deletes");
        let run = "mode `auto` (it runs) or `suggest` (it asks first)";
        check(&policy(Mode::Observe), &restart, Some((Keeper::Observe, None, run)));
        let asks = Some("its effect is destroy (it deletes)");
        let yes = "mode `auto` or `suggest`, and a person's yes";
        check(&policy(Mode::Observe), &delete, Some((Keeper::Observe, asks, yes)));
        check(&policy(Mode::Auto), &delete, None);
        let trial = Policy { dry_run: true, ..policy(Mode::Auto) };
        check(&trial, &restart, Some((Keeper::DryRun, None, "`dry_run = false`")));
        let both = Policy { dry_run: true, ..policy(Mode::Observe) };
        let allow = format!("`dry_run = false`, and {run}");
        check(&both, &restart, Some((Keeper::Observe, None, &allow)));
        let missing = Some("it needs PORT".to_owned());
        let lacking =
            policy(Mode::Observe).withheld(&restart, &BTreeMap::new(), missing, Some("odd")).unwrap();
        assert_eq!((lacking.asks.as_deref(), lacking.allow.as_str()), (Some("it needs PORT"), yes));
    }

    #[test]
    fn what_stands_above_the_mode_is_named_first() {
        let quiet = Request::quiet(Effect::Disrupt, "it restarts");
        let off = "`paramedic kill-switch off`";
        let killed = Request { kill: Kill::On, ..quiet.clone() };
        check(&policy(Mode::Auto), &killed, Some((Keeper::KillSwitch, None, off)));
        check(&policy(Mode::Observe), &killed, Some((Keeper::KillSwitch, None, off)));
        let over = Request { trouble: Trouble::Resolved, ..quiet };
        let late = "nothing: the alert is over, and a change would come too late";
        check(&policy(Mode::Auto), &over, Some((Keeper::Resolved, None, late)));
    }
}
