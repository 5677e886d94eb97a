//! Owns in which order all that was done in an incident is taken back at once: what came last goes first. What was made up for
//! already is passed over, and what stays is named with the reason.

use super::Incident;
use super::undo::Takeback;
use crate::change::Change;

/// What becomes of something when all is taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    /// It is taken back.
    TakenBack,
    /// Later changes have put its place back to what it was before: a release after a containment.
    MadeUpFor,
    /// It stays, for this reason.
    Stays(&'static str),
}

// === impl Incident ===

impl Incident {
    /// What there is to take back, the last first, and what becomes of each when all of it is.
    pub fn unwinding(&self) -> Vec<(Takeback<'_>, Fate)> {
        let all = self.takebacks();
        let change = |one: &Takeback<'_>| match one {
            Takeback::Change(made) => Some(made.change.clone()),
            Takeback::Unit { .. } => None,
        };
        let changes: Vec<Change> = all.iter().filter_map(change).collect();
        let mut fates = fates(&changes).into_iter();
        let mut unwinding: Vec<(i64, Takeback<'_>, Fate)> = Vec::new();
        for one in all {
            let (at_ms, fate) = match &one {
                Takeback::Change(made) => (made.at_ms, fates.next().unwrap_or(Fate::TakenBack)),
                Takeback::Unit { unit, .. } => {
                    let ended = self.unit(unit).and_then(|view| view.outcome.as_ref()?.finished_ms);
                    (ended.unwrap_or_default(), Fate::TakenBack)
                }
            };
            unwinding.push((at_ms, one, fate));
        }
        // What was done in the same moment was done in this order.
        unwinding.reverse();
        unwinding.sort_by_key(|(at_ms, ..)| std::cmp::Reverse(*at_ms));
        unwinding.into_iter().map(|(_, one, fate)| (one, fate)).collect()
    }
}

/// What becomes of changes, which are in the order in which they were made.
fn fates(changes: &[Change]) -> Vec<Fate> {
    let mut fates: Vec<Option<Fate>> =
        changes.iter().map(|change| change.what.stays().map(Fate::Stays)).collect();
    for last in (0..changes.len()).rev() {
        if fates[last].is_some() {
            continue;
        }
        let newest = &changes[last];
        let is_same_place = |one: &Change| {
            one.what == newest.what
                && one.target == newest.target
                && one.places.len() == newest.places.len()
                && one.places.iter().zip(&newest.places).all(|(one, newest)| one.path == newest.path)
        };
        let is_before_it = |one: &Change| {
            is_same_place(one)
                && one.places.iter().zip(&newest.places).all(|(one, newest)| one.old == newest.new)
        };
        let Some(first) = changes[..=last].iter().position(is_before_it) else {
            fates[last] = Some(Fate::TakenBack);
            continue;
        };
        for (change, fate) in changes[first..=last].iter().zip(&mut fates[first..=last]) {
            if is_same_place(change) {
                *fate = Some(Fate::MadeUpFor);
            }
        }
    }
    fates.into_iter().map(|fate| fate.unwrap_or(Fate::TakenBack)).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::change::{Place, What};

    fn change(what: What, path: &str, old: Option<&str>, new: Option<&str>) -> Change {
        let (old, new) = (old.map(str::to_owned), new.map(str::to_owned));
        let places = vec![Place { path: path.into(), old, new }];
        Change { what, target: "mem".to_owned(), places, diff: String::new(), undoes: None }
    }

    #[test]
    fn what_was_made_up_for_is_passed_over() {
        use Fate::{MadeUpFor, Stays, TakenBack};
        let controls = |old, new| change(What::ServerControls, "/c", old, new);
        let contained = |old, new| change(What::Containment, "/k", old, new);
        let check = |changes: &[Change], expect: &[Fate]| assert_eq!(fates(changes), expect, "{changes:?}");
        check(&[], &[]);
        check(&[controls(None, Some("a"))], &[TakenBack]);
        check(&[controls(None, Some("a")), controls(Some("a"), Some("b"))], &[TakenBack, TakenBack]);
        // Contained and released: nothing of it is done once more on the way back.
        check(&[contained(None, Some("s")), contained(Some("s"), None)], &[MadeUpFor, MadeUpFor]);
        check(
            &[
                controls(None, Some("a")),
                contained(None, Some("s")),
                contained(Some("s"), Some("t")),
                contained(Some("t"), None),
                controls(Some("a"), Some("b")),
            ],
            &[TakenBack, MadeUpFor, MadeUpFor, MadeUpFor, TakenBack],
        );
        // And once more contained afterwards.
        check(
            &[contained(None, Some("s")), contained(Some("s"), None), contained(None, Some("u"))],
            &[MadeUpFor, MadeUpFor, TakenBack],
        );
        let tokens = change(What::ServerTokens, "/t", None, Some("x"));
        let fate = fates(&[tokens, controls(None, Some("a"))]);
        assert!(
            matches!(fate[..], [Stays(why), TakenBack] if why.contains("does not come back")),
            "{fate:?}"
        );
    }
}
