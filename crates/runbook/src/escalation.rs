//! Owns escalation criteria: lines of prose as predicates that can be decided, and what is not understood as such.
//!
//! A line is read by the words in it and by the numbers beside them. What no reading fits stays [`Criterion::Unread`]:
//! people are shown it, and nothing ever decides it for them.

use serde::ser::SerializeSeq as _;
use serde::{Serialize, Serializer};

use crate::duration::parse_duration;
use crate::procedure::Procedure;

/// When to call for more people.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(tag = "reads_as", rename_all = "snake_case")]
pub enum Criterion {
    /// So many attempts to restart the server did not help.
    RestartsFailed {
        /// So many, at least.
        attempts: u32,
    },
    /// So many servers are in trouble at the same time.
    ServersAffected {
        /// So many, at least.
        at_least: u32,
        /// In which trouble.
        among: Among,
    },
    /// What was found points to something.
    PointsTo {
        /// To what.
        subject: Subject,
    },
    /// The trouble is not over after so long.
    Lasts {
        /// So long, in milliseconds.
        after_ms: u64,
    },
    /// Nobody has taken notice after so long.
    Unacknowledged {
        /// So long, in milliseconds.
        after_ms: u64,
    },
    /// The trouble is back so soon after a restart.
    Returns {
        /// So soon, in milliseconds.
        within_ms: u64,
    },
    /// It is not understood, and people decide.
    Unread,
}

/// Which servers are counted.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Among {
    /// Those with the same trouble.
    Alike,
    /// Those with any trouble.
    All,
}

/// What findings may point to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Subject {
    /// Somebody got in.
    Compromise,
    /// Data are not what they were.
    Damage,
    /// The kernel ended a process for want of memory.
    OutOfMemory,
    /// Something that the server needs is down.
    Dependency,
    /// A disk fails.
    Disk,
}

// === impl Procedure ===

impl Procedure {
    /// Returns the escalation criteria, each as written and as it is read.
    pub fn criteria(&self) -> impl Iterator<Item = (&str, Criterion)> {
        self.escalation.iter().map(|text| (text.as_str(), Criterion::read(text)))
    }
}

// === impl Criterion ===

impl Criterion {
    /// Reads one line.
    pub fn read(text: &str) -> Self {
        let line = Line::new(text);
        let readings = [restarts, servers, unacknowledged, points, returns, lasts];
        readings.iter().find_map(|reading| reading(&line)).unwrap_or(Self::Unread)
    }
}

/// A line as words in lower case.
struct Line {
    words: Vec<String>,
}

// === impl Line ===

impl Line {
    fn new(text: &str) -> Self {
        let letters = text.to_lowercase();
        let words = letters.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty());
        Self { words: words.map(str::to_owned).collect() }
    }

    /// Whether one of the words begins like that.
    fn has(&self, starts: &[&str]) -> bool {
        self.at(starts).is_some()
    }

    fn at(&self, starts: &[&str]) -> Option<usize> {
        self.words.iter().rposition(|word| starts.iter().any(|start| word.starts_with(start)))
    }

    /// Whether one of the words is just that.
    fn says(&self, words: &[&str]) -> bool {
        self.words.iter().any(|word| words.contains(&word.as_str()))
    }

    /// The number before the last word that begins like that, as the least that counts: "more than 3" are 4.
    fn least(&self, starts: &[&str]) -> Option<u32> {
        let at = self.at(starts)?;
        let before = &self.words[..at];
        let (idx, number) =
            before.iter().enumerate().rev().find_map(|(idx, word)| Some((idx, number(word)?)))?;
        let more = before[..idx].ends_with(&["more".to_owned(), "than".to_owned()]);
        Some(number.saturating_add(u32::from(more)))
    }

    /// The first duration: "15 minutes", "1 hour", "90s".
    fn duration_ms(&self) -> Option<u64> {
        let pairs = self.words.windows(2).map(|pair| format!("{} {}", digits(&pair[0]), pair[1]));
        let mut all = self.words.iter().cloned().chain(pairs).filter_map(|text| parse_duration(&text));
        all.next().and_then(|duration| u64::try_from(duration.as_millis()).ok())
    }
}

/// "Service fails to restart after 2 attempts", "the server is still down after 2 restarts".
fn restarts(line: &Line) -> Option<Criterion> {
    if !line.has(&["restart"]) {
        return None;
    }
    let failed = line.has(&["fail", "still", "unsuccessful"]);
    let attempts = line.least(&["attempt", "tries", "restart", "time"]).filter(|attempts| *attempts > 0)?;
    failed.then_some(Criterion::RestartsFailed { attempts })
}

/// "Multiple servers affected simultaneously", "2 or more servers are down at the same time".
fn servers(line: &Line) -> Option<Criterion> {
    let at_least = match line.least(&["server", "service", "host"]) {
        Some(number) if number > 1 => number,
        None if line.has(&["multiple", "several", "many"]) && line.has(&["server", "service", "host"]) => 2,
        _ => return None,
    };
    let among = if line.has(&["affected", "trouble", "involved"]) { Among::All } else { Among::Alike };
    Some(Criterion::ServersAffected { at_least, among })
}

/// "Not acknowledged within 15 minutes", "nobody answers for 10 minutes".
fn unacknowledged(line: &Line) -> Option<Criterion> {
    let nobody = line.has(&["nobody", "unacknowledged"])
        || (line.has(&["acknowledg", "respon"]) && line.says(&["not", "no"]));
    let after_ms = line.duration_ms().filter(|_| nobody)?;
    Some(Criterion::Unacknowledged { after_ms })
}

fn points(line: &Line) -> Option<Criterion> {
    // "No sign of an intruder" and "not verified" say the opposite, or something else.
    let unblocked = line.says(&["not"]) && line.says(&["blocked"]);
    let denied = line.says(&["no", "not", "cannot"]) && !unblocked;
    let subject = if line.has(&["intru", "attacker", "breach"])
        || (line.has(&["security"]) && line.has(&["compromis", "evidence", "incident"]))
        || unblocked
    {
        Subject::Compromise
    } else if line.has(&["data"]) && line.has(&["corrupt", "damage", "loss", "lost"]) {
        Subject::Damage
    } else if line.has(&["memory"]) && line.has(&["kernel", "oom"]) {
        Subject::OutOfMemory
    } else if line.has(&["dependenc"]) && line.has(&["reason", "cause"]) {
        Subject::Dependency
    } else if line.has(&["disk"]) && line.has(&["error", "fail"]) {
        Subject::Disk
    } else {
        return None;
    };
    (!denied).then_some(Criterion::PointsTo { subject })
}

/// "The memory is above the limit again within 1 hour of a restart".
fn returns(line: &Line) -> Option<Criterion> {
    let again = line.has(&["again", "return", "back", "recur"]) && line.has(&["restart", "recover"]);
    Some(Criterion::Returns { within_ms: line.duration_ms().filter(|_| again)? })
}

/// "Recovery takes longer than 30 minutes", "still down after 20 minutes", "can not be contained within 5 minutes".
fn lasts(line: &Line) -> Option<Criterion> {
    let long = line.has(&["longer", "still", "exceed", "more"])
        || (line.says(&["not", "cannot", "no"]) && line.says(&["within", "after"]));
    Some(Criterion::Lasts { after_ms: line.duration_ms().filter(|_| long)? })
}

fn number(word: &str) -> Option<u32> {
    const NAMES: [&str; 11] =
        ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten"];
    let named = NAMES.iter().position(|name| *name == word).and_then(|number| u32::try_from(number).ok());
    named.or_else(|| word.parse().ok())
}

/// A number in digits, whatever it was written in.
fn digits(word: &str) -> String {
    number(word).map_or_else(|| word.to_owned(), |number| number.to_string())
}

/// Writes criteria as they are written and as they are read.
pub(crate) fn serialize<S: Serializer>(lines: &[String], serializer: S) -> Result<S::Ok, S::Error> {
    #[derive(Serialize)]
    struct Shown<'a> {
        text: &'a str,
        #[serde(flatten)]
        criterion: Criterion,
    }
    let mut list = serializer.serialize_seq(Some(lines.len()))?;
    for text in lines {
        list.serialize_element(&Shown { text, criterion: Criterion::read(text) })?;
    }
    list.end()
}

#[cfg(test)]
mod tests {
    use std::fmt::Write as _;
    use std::path::Path;

    use expect_test::{Expect, expect};

    use super::*;

    #[track_caller]
    fn check(lines: &[&str], expect: &Expect) {
        let mut out = String::new();
        for line in lines {
            let read = serde_json::to_string(&Criterion::read(line)).unwrap();
            let read = read.replace(['"', '{', '}'], "").replace("reads_as:", "").replace(',', ", ");
            writeln!(out, "{line}: {read}").unwrap();
        }
        expect.assert_eq(&out);
    }

    #[test]
    fn the_criteria_of_the_original_runbook() {
        check(
            &[
                "Service fails to restart after 2 attempts",
                "Multiple servers affected simultaneously",
                "Evidence of security compromise",
                "Data corruption suspected",
            ],
            &expect![[r#"
                Service fails to restart after 2 attempts: restarts_failed, attempts:2
                Multiple servers affected simultaneously: servers_affected, at_least:2, among:all
                Evidence of security compromise: points_to, subject:compromise
                Data corruption suspected: points_to, subject:damage
            "#]],
        );
    }

    #[test]
    fn the_criteria_of_the_shipped_runbooks() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../runbooks");
        let mut paths: Vec<_> =
            std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
        paths.sort();
        let texts: Vec<_> = paths.iter().map(|path| std::fs::read(path).unwrap()).collect();
        let books: Vec<_> = texts.iter().map(|text| crate::parse("x", text).0).collect();
        let lines: Vec<&str> = books
            .iter()
            .flat_map(|book| &book.procedures)
            .flat_map(|procedure| procedure.criteria().map(|(text, _)| text))
            .collect();
        check(
            &lines,
            &expect![[r#"
            There is no verified backup from before the damage: unread
            The restored data do not pass the check: unread
            The data of 2 or more servers are damaged at the same time: servers_affected, at_least:2, among:alike
            The disk reports errors: points_to, subject:disk
            The server is still down after 2 restarts: restarts_failed, attempts:2
            Anything points to an intruder: points_to, subject:compromise
            The dependency is still down after 20 minutes: lasts, after_ms:1200000
            2 or more servers miss the same dependency: servers_affected, at_least:2, among:alike
            The server is still down after 2 restarts: restarts_failed, attempts:2
            The database or the network has to be changed: unread
            Anything points to an intruder: points_to, subject:compromise
            Data may be damaged: points_to, subject:damage
            The memory is above the limit again within 1 hour of a restart: returns, within_ms:3600000
            The server is still down after 2 restarts: restarts_failed, attempts:2
            The kernel has ended a process for want of memory: points_to, subject:out_of_memory
            2 or more servers grow at the same time: servers_affected, at_least:2, among:alike
            Anything points to an intruder: points_to, subject:compromise
            Data may be damaged: points_to, subject:damage
            The server is still slow after 1 restart: restarts_failed, attempts:1
            The server is still slow after 60 minutes: lasts, after_ms:3600000
            2 or more servers are slow at the same time: servers_affected, at_least:2, among:alike
            A dependency is the reason, and others own it: points_to, subject:dependency
            Anything points to an intruder: points_to, subject:compromise
            Data may be damaged: points_to, subject:damage
            Anything came through that was not blocked: points_to, subject:compromise
            The server can not be contained within 5 minutes: lasts, after_ms:300000
            2 or more servers are attacked at the same time: servers_affected, at_least:2, among:alike
            The evidence can not be verified: unread
            Data may be damaged, or may have left: points_to, subject:damage
            The server is still down after 2 restarts: restarts_failed, attempts:2
            2 or more servers are down at the same time: servers_affected, at_least:2, among:alike
            Anything points to an intruder: points_to, subject:compromise
            Data may be damaged: points_to, subject:damage
        "#]],
        );
    }

    #[test]
    fn numbers_are_read_from_the_prose() {
        check(
            &[
                "More than 3 servers are down",
                "at least three servers are slow",
                "Several hosts are in trouble",
                "1 server is down",
                "Restart unsuccessful three times",
                "Restart fails",
                "Recovery takes longer than 1 hour",
                "Not resolved within 90s",
                "Not acknowledged within 15 minutes",
                "Nobody answers for ten minutes",
                "The alert is back within two hours of a restart",
                "An intruder was seen",
                "There is no sign of an intruder",
                "The boss wants to know",
                "",
            ],
            &expect![[r#"
                More than 3 servers are down: servers_affected, at_least:4, among:alike
                at least three servers are slow: servers_affected, at_least:3, among:alike
                Several hosts are in trouble: servers_affected, at_least:2, among:all
                1 server is down: unread
                Restart unsuccessful three times: restarts_failed, attempts:3
                Restart fails: unread
                Recovery takes longer than 1 hour: lasts, after_ms:3600000
                Not resolved within 90s: lasts, after_ms:90000
                Not acknowledged within 15 minutes: unacknowledged, after_ms:900000
                Nobody answers for ten minutes: unacknowledged, after_ms:600000
                The alert is back within two hours of a restart: returns, within_ms:7200000
                An intruder was seen: points_to, subject:compromise
                There is no sign of an intruder: unread
                The boss wants to know: unread
                : unread
            "#]],
        );
    }
}
