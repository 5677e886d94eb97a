//! Owns inhibition: which alerts say nothing new while another one fires.
//!
//! As in Alertmanager a rule lets sources inhibit targets with the same values of some labels, and what is source and
//! target at once is not inhibited by its like, itself included. Beyond that, whatever inhibits is not inhibited
//! itself: a chain leads to its first link, and a circle is cut open, so that no trouble goes unsaid.

use std::collections::{HashMap, VecDeque};

use crate::labels::Labels;
use crate::matcher::{Matcher, all_match};

/// When one alert inhibits another.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct InhibitRule {
    /// Which alerts inhibit.
    pub sources: Vec<Matcher>,
    /// Which alerts are inhibited.
    pub targets: Vec<Matcher>,
    /// The labels in which both have the same value; a missing one is an empty one.
    pub equal: Vec<String>,
}

/// The alerts of one rule that have the same values in its labels.
#[derive(Debug, Default)]
struct Group {
    sources: Vec<Side>,
    targets: Vec<Side>,
    /// Whether a source has spoken to the targets that are no sources, and to all of them.
    spoke: bool,
    spoke_to_all: bool,
}

/// An alert on one side of a rule.
#[derive(Debug, Clone, Copy)]
struct Side {
    alert: usize,
    is_other: bool,
}

/// Returns for each of the alerts that fire which of them inhibits it, by position. What inhibits is not inhibited; of
/// a circle the first is not.
pub fn inhibitors(rules: &[InhibitRule], firing: &[Labels]) -> Vec<Option<usize>> {
    let mut groups: Vec<Group> = rules.iter().flat_map(|rule| rule.groups(firing)).collect();
    let mut as_source: Vec<Vec<(usize, Side)>> = vec![Vec::new(); firing.len()];
    let mut has_source = vec![false; firing.len()];
    for (idx, group) in groups.iter().enumerate() {
        group.sources.iter().for_each(|side| as_source[side.alert].push((idx, *side)));
        let any = !group.sources.is_empty();
        let any_pure = group.sources.iter().any(|source| !source.is_other);
        for target in &group.targets {
            has_source[target.alert] |= if target.is_other { any_pure } else { any };
        }
    }
    let mut first: Vec<Option<usize>> = vec![None; firing.len()];
    let free = (0..firing.len()).filter(|alert| !has_source[*alert]);
    // What is left after those that nothing inhibits stands in circles, or behind them.
    for root in free.chain(0..firing.len()) {
        if first[root].is_some() {
            continue;
        }
        first[root] = Some(root);
        let mut queue = VecDeque::from([root]);
        while let Some(alert) = queue.pop_front() {
            for (idx, source) in &as_source[alert] {
                for target in groups[*idx].hear(source.is_other) {
                    if first[target].is_none() {
                        first[target] = Some(root);
                        queue.push_back(target);
                    }
                }
            }
        }
    }
    first.into_iter().enumerate().map(|(alert, first)| first.filter(|first| *first != alert)).collect()
}

// === impl InhibitRule ===

impl InhibitRule {
    fn groups(&self, firing: &[Labels]) -> Vec<Group> {
        let mut groups: HashMap<Vec<&str>, Group> = HashMap::new();
        for (alert, labels) in firing.iter().enumerate() {
            let (is_source, is_target) = (all_match(&self.sources, labels), all_match(&self.targets, labels));
            if !is_source && !is_target {
                continue;
            }
            let values = self.equal.iter().map(|name| labels.get(name).unwrap_or_default()).collect();
            let group = groups.entry(values).or_default();
            if is_source {
                group.sources.push(Side { alert, is_other: is_target });
            }
            if is_target {
                group.targets.push(Side { alert, is_other: is_source });
            }
        }
        groups.into_values().collect()
    }
}

// === impl Group ===

impl Group {
    /// The targets that a source speaks to, and that no source of its kind has spoken to before.
    fn hear(&mut self, source_is_target: bool) -> Vec<usize> {
        if self.spoke_to_all || (source_is_target && self.spoke) {
            return Vec::new();
        }
        self.spoke = true;
        self.spoke_to_all |= !source_is_target;
        let hears = |target: &&Side| !(source_is_target && target.is_other);
        self.targets.iter().filter(hears).map(|target| target.alert).collect()
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;
    use crate::matcher::parse_matchers;

    fn rule(sources: &str, targets: &str, equal: &[&str]) -> InhibitRule {
        InhibitRule {
            sources: parse_matchers(sources).unwrap(),
            targets: parse_matchers(targets).unwrap(),
            equal: equal.iter().map(|name| (*name).to_owned()).collect(),
        }
    }

    fn alert(name: &str, server: &str) -> Labels {
        Labels::from_iter([("alertname", name), ("server_name", server)])
    }

    #[track_caller]
    fn check(rules: &[InhibitRule], firing: &[(&str, &str)], expect: &[Option<usize>]) {
        let firing: Vec<Labels> = firing.iter().map(|(name, server)| alert(name, server)).collect();
        assert_eq!(inhibitors(rules, &firing), expect);
    }

    #[test]
    fn a_source_inhibits_the_targets_with_the_same_values() {
        let down = rule("alertname=Down", "alertname=~Slow|Full", &["server_name"]);
        let rules = [down];
        check(
            &rules,
            &[("Slow", "a"), ("Down", "a"), ("Slow", "b"), ("Full", "a")],
            &[Some(1), None, None, Some(1)],
        );
        check(&rules, &[("Slow", "a"), ("Full", "a")], &[None, None]);
        // A label that neither has is the same in both.
        check(
            &[rule("alertname=Down", "alertname=Slow", &["zone"])],
            &[("Down", "a"), ("Slow", "b")],
            &[None, Some(0)],
        );
    }

    #[test]
    fn nothing_inhibits_itself_or_its_like() {
        let rules = [rule("alertname=~Down|Slow", "alertname=~Slow|Full", &["server_name"])];
        check(&rules, &[("Slow", "a"), ("Slow", "a"), ("Full", "a")], &[None, None, Some(0)]);
        check(&rules, &[("Slow", "a"), ("Down", "a"), ("Full", "a")], &[Some(1), None, Some(1)]);
    }

    #[test]
    fn a_chain_leads_to_its_first_link_and_a_circle_is_cut() {
        let chain = [rule("alertname=A", "alertname=B", &[]), rule("alertname=B", "alertname=C", &[])];
        check(&chain, &[("C", ""), ("B", ""), ("A", "")], &[Some(2), Some(2), None]);
        let circle = [rule("alertname=A", "alertname=B", &[]), rule("alertname=B", "alertname=A", &[])];
        check(&circle, &[("B", ""), ("A", "")], &[None, Some(0)]);
    }

    /// Whether a rule lets one alert inhibit another, as Alertmanager's documentation says it.
    fn inhibits(rule: &InhibitRule, source: &Labels, target: &Labels) -> bool {
        let both = |labels: &Labels| all_match(&rule.sources, labels) && all_match(&rule.targets, labels);
        all_match(&rule.sources, source)
            && all_match(&rule.targets, target)
            && rule.equal.iter().all(|name| source.get(name).unwrap_or("") == target.get(name).unwrap_or(""))
            && !(both(source) && both(target))
    }

    proptest! {
        #[test]
        fn what_inhibits_is_not_inhibited_and_no_trouble_goes_unsaid(
            rules in prop::collection::vec((0..4_usize, 0..4_usize, any::<bool>()), 0..5),
            firing in prop::collection::vec((0..4_usize, 0..3_usize), 0..12),
        ) {
            const NAMES: [&str; 4] = ["A", "B", "C", "A|B"];
            let rules: Vec<InhibitRule> = rules
                .iter()
                .map(|(source, target, equal)| rule(
                    &format!("alertname=~\"{}\"", NAMES[*source]),
                    &format!("alertname=~\"{}\"", NAMES[*target]),
                    if *equal { &["server_name"] } else { &[] },
                ))
                .collect();
            let firing: Vec<Labels> = firing
                .iter()
                .map(|(name, server)| alert(["A", "B", "C", "D"][*name], ["x", "y", "z"][*server]))
                .collect();
            let found = inhibitors(&rules, &firing);
            for (target, inhibitor) in found.iter().enumerate() {
                let has_source = rules.iter().any(|rule| firing.iter().any(|source| inhibits(rule, source, &firing[target])));
                match inhibitor {
                    Some(root) => prop_assert!(has_source && *root != target && found[*root].is_none()),
                    // Nothing inhibits it, or a circle was cut; one rule alone makes no circle.
                    None => prop_assert!(!has_source || rules.len() > 1),
                }
                // Whatever a free alert inhibits directly is inhibited.
                let by_free = rules.iter().any(|rule| firing.iter().enumerate().any(|(source, labels)| {
                    let is_free = !rules.iter().any(|rule| firing.iter().any(|one| inhibits(rule, one, labels)));
                    is_free && source != target && inhibits(rule, labels, &firing[target])
                }));
                prop_assert!(!by_free || inhibitor.is_some());
            }
        }
    }
}
