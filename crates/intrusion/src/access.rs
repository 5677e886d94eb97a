//! Owns what sign-ins come to when they are seen together: guessing, and who came in or became root and does not belong.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use crate::event::{Event, What};
use crate::sign::{Attack, Certainty, Sign};

/// So many refusals of one address, or of one name from anywhere, within [`GUESSING_MS`] are guessing.
const GUESSES: usize = 5;
const GUESSING_MS: i64 = 10 * 60 * 1000;
/// Who comes in so long after having been refused this often has guessed it.
const GUESSED_AFTER: usize = 3;
const GUESSED_MS: i64 = 60 * 60 * 1000;
/// What a user does that long after coming in like that is the intruder's doing.
const STAY_MS: i64 = 12 * 60 * 60 * 1000;
/// Addresses and names that are kept apart at once: one who makes up more than that is guessing anyway.
const TRACKED_MAX: usize = 10_000;

/// Who is known to come in, and to become whom.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Users and the addresses that they come from, `USER ADDRESS`.
    #[serde(default)]
    pub sources: BTreeSet<String>,
    /// Users and the fingerprints of their keys, `USER FINGERPRINT`.
    #[serde(default)]
    pub keys: BTreeSet<String>,
    /// Who becomes whom, `USER USER`.
    #[serde(default)]
    pub elevations: BTreeSet<String>,
}

/// Refusals of one address or of one name, oldest first.
#[derive(Default)]
struct Refusals {
    at_ms: VecDeque<i64>,
    is_told: bool,
}

// === impl Known ===

impl Known {
    /// What these events show, taken for right. An access after guessing is not.
    pub fn of(events: &[Event]) -> Self {
        let mut known = Self::default();
        let intruders = Judge::new(&known).all(events).1;
        for (_, event) in events.iter().enumerate().filter(|(n, _)| !intruders.contains(n)) {
            let user = event.user.as_deref().unwrap_or_default();
            match event.what {
                What::Accepted => {
                    known.sources.extend(event.peer.map(|peer| format!("{user} {peer}")));
                    known.keys.extend(event.key.iter().map(|key| format!("{user} {key}")));
                }
                What::Elevated => known.elevations.extend(event.by.iter().map(|by| format!("{by} {user}"))),
                What::Failed | What::ElevationFailed | What::AccountChanged => {}
            }
        }
        known
    }

    /// What does not belong of these events, oldest first.
    pub fn judge(&self, events: &[Event]) -> Vec<Sign> {
        Judge::new(self).all(events).0
    }
}

struct Judge<'a> {
    known: &'a Known,
    by_peer: HashMap<IpAddr, Refusals>,
    by_user: HashMap<String, Refusals>,
    refused_elevations: HashMap<String, Refusals>,
    /// Users as whom somebody is in who does not belong, and since when.
    taken: HashMap<String, i64>,
}

// === impl Judge ===

impl<'a> Judge<'a> {
    fn new(known: &'a Known) -> Self {
        Self {
            known,
            by_peer: HashMap::new(),
            by_user: HashMap::new(),
            refused_elevations: HashMap::new(),
            taken: HashMap::new(),
        }
    }

    /// The signs, and which of the events were an intruder's.
    fn all(mut self, events: &[Event]) -> (Vec<Sign>, BTreeSet<usize>) {
        let (mut signs, mut intruders) = (Vec::new(), BTreeSet::new());
        for (n, event) in events.iter().enumerate() {
            let user = event.user.as_deref().unwrap_or("somebody");
            let sign = match event.what {
                What::Failed => self.failed(event, user),
                What::Accepted => self.accepted(event, user),
                What::Elevated => self.elevated(event, user),
                What::ElevationFailed => self.elevation_failed(event, user),
                What::AccountChanged => self.account_changed(event, user),
            };
            let Some(sign) = sign else { continue };
            if sign.certainty == Certainty::Certain {
                intruders.insert(n);
            }
            let sign = sign.with_raw(event.raw.clone());
            signs.push(Sign { user: event.user.clone(), peer: event.peer, ..sign });
        }
        (signs, intruders)
    }

    fn failed(&mut self, event: &Event, user: &str) -> Option<Sign> {
        let of_peer = event.peer.and_then(|peer| refused(&mut self.by_peer, peer, event.at_ms, GUESSES));
        let of_user = refused(&mut self.by_user, user.to_owned(), event.at_ms, GUESSES);
        if let Some(n) = of_peer {
            let what = format!("{n} refusals{} within 10 minutes", from(event));
            return Some(sign(event, "refusals_of_an_address", Attack::Guessing, what));
        }
        // One address that tries one name is told once.
        let alone = event.peer.is_none_or(|peer| self.by_peer.get(&peer).is_none_or(|one| !one.is_told));
        let n = of_user.filter(|_| alone)?;
        let what = format!("{n} refusals of `{user}` within 10 minutes");
        Some(sign(event, "refusals_of_a_name", Attack::Guessing, what))
    }

    fn accepted(&mut self, event: &Event, user: &str) -> Option<Sign> {
        let of_peer = event.peer.and_then(|peer| self.by_peer.get(&peer));
        let n_refused = of_peer.map_or(0, |one| one.since(event.at_ms - GUESSED_MS));
        let n_of_name = self.by_user.get(user).map_or(0, |one| one.since(event.at_ms - GUESSING_MS));
        let is_new = event.peer.is_some_and(|peer| !self.known.sources.contains(&format!("{user} {peer}")));
        let from = from(event);
        if n_refused >= GUESSED_AFTER || n_of_name >= GUESSES && is_new {
            self.taken.insert(user.to_owned(), event.at_ms);
            let what = format!("`{user}` came in{from} after {} refusals", n_refused.max(n_of_name));
            return Some(sign(event, "guessed", Attack::StolenAccess, what).certain_if(true));
        }
        if let Some(key) =
            event.key.as_ref().filter(|key| !self.known.keys.contains(&format!("{user} {key}")))
        {
            let what = format!("`{user}` came in{from} with a key that is not known: {key}");
            return Some(sign(event, "new_key", Attack::StolenAccess, what));
        }
        let what = format!("`{user}` came in{from}, where they never came from before");
        is_new.then(|| sign(event, "new_source", Attack::StolenAccess, what))
    }

    fn elevated(&mut self, event: &Event, user: &str) -> Option<Sign> {
        let by = event.by.as_deref().unwrap_or("somebody");
        if self.taken.get(by).is_some_and(|since| event.at_ms - since <= STAY_MS) {
            self.taken.insert(user.to_owned(), event.at_ms);
            let what = format!("`{by}`, as whom an intruder came in, became `{user}`");
            return Some(
                sign(event, "intruder_elevated", Attack::PrivilegeEscalation, what).certain_if(true),
            );
        }
        let is_known = self.known.elevations.contains(&format!("{by} {user}"));
        let what = format!("`{by}` became `{user}`, which they never did before");
        (!is_known).then(|| sign(event, "new_elevation", Attack::PrivilegeEscalation, what))
    }

    fn elevation_failed(&mut self, event: &Event, user: &str) -> Option<Sign> {
        let by = event.by.as_deref().unwrap_or("somebody");
        let n = refused(&mut self.refused_elevations, by.to_owned(), event.at_ms, GUESSED_AFTER)?;
        let what = format!("`{by}` was refused {n} times to become `{user}`");
        Some(sign(event, "refused_elevations", Attack::PrivilegeEscalation, what))
    }

    fn account_changed(&self, event: &Event, user: &str) -> Option<Sign> {
        let by_intruder = self.taken.values().any(|since| event.at_ms - since <= STAY_MS);
        let what = format!("the account `{user}` was made or changed");
        Some(sign(event, "account_changed", Attack::Persistence, what).certain_if(by_intruder))
    }
}

fn sign(event: &Event, rule: &str, attack: Attack, what: String) -> Sign {
    Sign::new(event.at_ms, &event.source, rule, attack, what)
}

fn from(event: &Event) -> String {
    event.peer.map_or(String::new(), |peer| format!(" from {peer}"))
}

// === impl Refusals ===

impl Refusals {
    fn since(&self, since_ms: i64) -> usize {
        self.at_ms.iter().filter(|at_ms| **at_ms >= since_ms).count()
    }
}

/// Counts a refusal; how many there were, when that has just become as many as that.
fn refused<K: Eq + std::hash::Hash>(
    all: &mut HashMap<K, Refusals>,
    of: K,
    at_ms: i64,
    many: usize,
) -> Option<usize> {
    if all.len() >= TRACKED_MAX {
        all.retain(|_, one| one.at_ms.back().is_some_and(|last| at_ms - last <= GUESSED_MS));
        if all.len() >= TRACKED_MAX {
            all.clear();
        }
    }
    let one = all.entry(of).or_default();
    while one.at_ms.front().is_some_and(|first| at_ms - first > GUESSED_MS) || one.at_ms.len() > 1000 {
        one.at_ms.pop_front();
    }
    one.at_ms.push_back(at_ms);
    let n = one.since(at_ms - GUESSING_MS);
    if n < many {
        // The next wave is told again.
        one.is_told = false;
        return None;
    }
    (!std::mem::replace(&mut one.is_told, true)).then_some(n)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::event::classify;

    const MINUTE: i64 = 60_000;

    /// Reads `MINUTES PROGRAM MESSAGE` lines.
    fn events(text: &str) -> Vec<Event> {
        let one = |line: &str| {
            let mut parts = line.trim().splitn(3, ' ');
            let at_ms = (parts.next()?.parse::<f64>().ok()? * MINUTE as f64) as i64;
            let (program, message) = (parts.next()?, parts.next()?);
            Some(classify(at_ms, "journal", program, message).unwrap_or_else(|| panic!("{line}")))
        };
        text.lines().filter_map(one).collect()
    }

    fn check(known: &str, now: &str, expect: &[&str]) {
        let signs = Known::of(&events(known)).judge(&events(now));
        let got: Vec<String> =
            signs.iter().map(|sign| format!("{} {} {}", sign.certainty, sign.attack, sign.rule)).collect();
        assert_eq!(got, expect, "{signs:#?}");
    }

    const SIX: &str = "0 sshd Failed password for root from 203.0.113.7 port 1 ssh2
        0.1 sshd Failed password for root from 203.0.113.7 port 2 ssh2
        0.2 sshd Invalid user admin from 203.0.113.7 port 3
        0.3 sshd Failed password for root from 203.0.113.7 port 4 ssh2
        0.4 sshd Failed password for root from 203.0.113.7 port 5 ssh2
        0.5 sshd Failed password for root from 203.0.113.7 port 6 ssh2\n";
    const ALICE: &str = "0 sshd Accepted password for alice from 198.51.100.2 port 1 ssh2
        1 sudo alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls";

    #[test]
    fn guessing_and_what_comes_of_it() {
        check("", SIX, &["likely guessing refusals_of_an_address"]);
        let in_then_root = "1 sshd Accepted password for deploy from 203.0.113.7 port 7 ssh2
            2 sudo deploy : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/bash
            3 useradd new user: name=eve, UID=1, GID=1, home=/, shell=/bin/sh";
        check(
            "",
            &format!("{SIX}{in_then_root}"),
            &[
                "likely guessing refusals_of_an_address",
                "certain stolen_access guessed",
                "certain privilege_escalation intruder_elevated",
                "certain persistence account_changed",
            ],
        );
        // Learning from a time with an intruder in it does not make the intruder known.
        let learned = Known::of(&events(&format!("{SIX}{in_then_root}")));
        assert_eq!(learned, Known::default());
    }

    #[test]
    fn many_addresses_that_try_one_name() {
        let spread: String = (0..6)
            .map(|n| {
                format!(
                    "{} sshd Failed password for root from 203.0.113.{n} port 1 ssh2\n",
                    f64::from(n) / 10.0
                )
            })
            .collect();
        let after = "1 sshd Accepted password for root from 192.0.2.9 port 1 ssh2";
        check(
            "",
            &format!("{spread}{after}"),
            &["likely guessing refusals_of_a_name", "certain stolen_access guessed"],
        );
    }

    #[test]
    fn who_is_known_and_who_is_not() {
        check(ALICE, ALICE, &[]);
        check(
            ALICE,
            "0 sshd Accepted password for alice from 192.0.2.1 port 1 ssh2",
            &["likely stolen_access new_source"],
        );
        check(
            ALICE,
            "0 sudo bob : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls",
            &["likely privilege_escalation new_elevation"],
        );
        let keyed = "0 sshd Accepted publickey for alice from 198.51.100.2 port 1 ssh2: RSA SHA256:";
        check(
            &format!("{keyed}aaaaaaaaaaaaaaaaaaaaaaaa"),
            &format!("{keyed}bbbbbbbbbbbbbbbbbbbbbbbb"),
            &["likely stolen_access new_key"],
        );
    }

    #[test]
    fn people_who_mistype_are_no_attack() {
        let twice = "0 sshd Failed password for alice from 198.51.100.2 port 1 ssh2
            0.1 sshd Failed password for alice from 198.51.100.2 port 1 ssh2
            0.2 sshd Accepted password for alice from 198.51.100.2 port 1 ssh2
            0.3 su FAILED SU (to root) alice on pts/0
            0.4 sudo alice : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/bin/ls";
        check(ALICE, twice, &[]);
        // Slow ones are told apart from people by what they get to, not by their number.
        let slow: String = (0..20)
            .map(|n| format!("{} sshd Failed password for alice from 198.51.100.2 port 1 ssh2\n", n * 30))
            .collect();
        check(ALICE, &slow, &[]);
    }

    #[test]
    fn the_same_wave_is_told_once_and_the_next_again() {
        let wave = |from: i64| -> String {
            (0..50)
                .map(|n| {
                    format!(
                        "{} sshd Failed password for root from 203.0.113.7 port 1 ssh2\n",
                        from as f64 + f64::from(n) / 100.0
                    )
                })
                .collect()
        };
        let one = "likely guessing refusals_of_an_address";
        check("", &format!("{}{}", wave(0), wave(120)), &[one, one]);
    }
}
