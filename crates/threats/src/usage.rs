//! Owns what is unusual in how much a client asks for: bursts, very large messages, sweeps, refusals again and again.
//!
//! Honest clients do each of these now and then, so no such sign is certain. What is remembered of a client is a minute, and
//! how many calls it usually makes in one; of all clients together it is bounded.

use std::collections::{HashMap, HashSet};
use std::hash::{DefaultHasher, Hash as _, Hasher as _};
use std::time::{Duration, Instant};

use serde::Deserialize;

use crate::sign::{Certainty, Class, Sign};

/// What is counted is counted for so long.
const WINDOW: Duration = Duration::from_secs(60);
/// The same is told of the same client this often, at most.
const TOLD_EVERY: Duration = Duration::from_secs(600);
/// Clients that are remembered; the one that was not seen for longest makes way.
const CLIENTS_MAX: usize = 512;
/// A burst is so many times what the client usually does.
const TIMES: f64 = 10.0;
/// How much a minute counts in what is usual.
const WEIGHT: f64 = 0.2;
/// The most tools or paths that can be counted of one client.
const DISTINCT_MAX: u32 = 1000;
/// Longer arguments are told apart by their beginning and their length.
const HASHED_BYTES: usize = 4 << 10;

/// From what on something is told. 0 turns it off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Usual {
    /// Calls of one client within a minute, where ten times as many as usual are fewer.
    pub calls_per_minute: u32,
    /// The arguments of one call, in bytes.
    pub argument_bytes: usize,
    /// The result of one request, in bytes.
    pub result_bytes: usize,
    /// Different tools that one client calls within a minute.
    pub tools_per_minute: u32,
    /// Different arguments with paths in them that one client sends within a minute.
    pub paths_per_minute: u32,
    /// Requests of one client that are refused within a minute.
    pub refusals_per_minute: u32,
}

/// One call of a tool.
#[derive(Clone, Copy, Debug)]
pub struct Asking<'a> {
    /// Its name.
    pub tool: &'a str,
    /// Its arguments, as JSON.
    pub arguments: &'a str,
}

/// What all clients have asked for lately.
#[derive(Debug, Default)]
pub struct Usage(HashMap<String, Client>);

#[derive(Debug)]
struct Client {
    /// Since when is counted.
    since: Instant,
    calls: u32,
    /// Calls within a minute, as a rule.
    usual: f64,
    tools: HashSet<u64>,
    paths: HashSet<u64>,
    refusals: u32,
    told: HashMap<&'static str, Instant>,
    seen: Instant,
}

// === impl Usual ===

impl Default for Usual {
    fn default() -> Self {
        Self {
            calls_per_minute: 600,
            argument_bytes: 1 << 20,
            result_bytes: 8 << 20,
            tools_per_minute: 50,
            paths_per_minute: 300,
            refusals_per_minute: 10,
        }
    }
}

impl Usual {
    /// Whether a result of so many bytes is told of.
    pub fn is_large(&self, bytes: usize) -> bool {
        self.result_bytes > 0 && bytes > self.result_bytes
    }

    /// Whether all of it can be counted.
    ///
    /// # Errors
    /// In words, where a number is more than is remembered.
    pub fn check(&self) -> Result<(), String> {
        let counted =
            [("tools_per_minute", self.tools_per_minute), ("paths_per_minute", self.paths_per_minute)];
        match counted.iter().find(|(_, most)| *most > DISTINCT_MAX) {
            Some((name, _)) => Err(format!("`{name}` must be no more than {DISTINCT_MAX}")),
            None => Ok(()),
        }
    }
}

// === impl Usage ===

impl Usage {
    /// A client calls a tool. Returns what is unusual about that.
    pub fn called(&mut self, usual: &Usual, client: &str, asking: Asking<'_>, now: Instant) -> Vec<Sign> {
        let one = self.of(client, now);
        one.calls = one.calls.saturating_add(1);
        let mut signs = Vec::new();
        let (calls, usually, bytes) = (one.calls, one.usual, asking.arguments.len());
        let is_burst = is_above(calls as usize, usual.calls_per_minute) && f64::from(calls) > usually * TIMES;
        if is_burst {
            let words = || format!("{calls} calls within a minute, and usually {usually:.0}");
            signs.extend(one.tell("call-burst", Class::ResourceAbuse, words, now));
        }
        if usual.argument_bytes > 0 && bytes > usual.argument_bytes {
            let words = || format!("{bytes} bytes of arguments");
            signs.extend(one.tell("large-arguments", Class::ResourceAbuse, words, now));
        }
        let most = usual.tools_per_minute;
        if is_swept(&mut one.tools, most, || mark(asking.tool, "")) {
            let words = || format!("more than {most} different tools within a minute");
            signs.extend(one.tell("tool-sweep", Class::Probing, words, now));
        }
        let most = usual.paths_per_minute;
        if names_path(asking.arguments)
            && is_swept(&mut one.paths, most, || mark(asking.tool, asking.arguments))
        {
            let words = || format!("more than {most} different paths within a minute");
            signs.extend(one.tell("path-sweep", Class::Probing, words, now));
        }
        signs
    }

    /// A client is answered with so many bytes.
    pub fn answered(&mut self, usual: &Usual, client: &str, bytes: usize, now: Instant) -> Option<Sign> {
        if !usual.is_large(bytes) {
            return None;
        }
        let words = || format!("an answer of {bytes} bytes");
        self.of(client, now).tell("large-result", Class::ResourceAbuse, words, now)
    }

    /// A request of a client is refused.
    pub fn refused(&mut self, usual: &Usual, client: &str, now: Instant) -> Option<Sign> {
        let one = self.of(client, now);
        one.refusals = one.refusals.saturating_add(1);
        let refusals = one.refusals;
        if !is_above(refusals as usize, usual.refusals_per_minute) {
            return None;
        }
        let words = || format!("{refusals} refusals within a minute");
        one.tell("refused-again", Class::Probing, words, now)
    }

    fn of(&mut self, client: &str, now: Instant) -> &mut Client {
        if !self.0.contains_key(client) {
            if self.0.len() >= CLIENTS_MAX {
                let oldest = self.0.iter().min_by_key(|(_, one)| one.seen).map(|(name, _)| name.clone());
                oldest.inspect(|name| drop(self.0.remove(name)));
            }
            self.0.insert(client.to_owned(), Client::new(now));
        }
        let one = self.0.get_mut(client).expect("it was put there");
        one.roll(now);
        one
    }
}

// === impl Client ===

impl Client {
    fn new(now: Instant) -> Self {
        let (tools, paths, told) = (HashSet::new(), HashSet::new(), HashMap::new());
        Self { since: now, calls: 0, usual: 0.0, tools, paths, refusals: 0, told, seen: now }
    }

    /// Begins another minute where one is over.
    fn roll(&mut self, now: Instant) {
        self.seen = now;
        let over = now.saturating_duration_since(self.since).as_secs() / WINDOW.as_secs();
        if over == 0 {
            return;
        }
        self.usual = self.usual * (1.0 - WEIGHT) + f64::from(self.calls) * WEIGHT;
        // The minutes since then were empty.
        self.usual *= (1.0 - WEIGHT).powi(i32::try_from(over - 1).unwrap_or(i32::MAX));
        (self.since, self.calls, self.refusals) = (now, 0, 0);
        (self.tools, self.paths) = (HashSet::new(), HashSet::new());
    }

    /// Says it, unless it was told of lately. Whoever is in a burst is asked this with every call, so nothing is put in
    /// words before.
    fn tell(
        &mut self,
        rule: &'static str,
        class: Class,
        words: impl FnOnce() -> String,
        now: Instant,
    ) -> Option<Sign> {
        let is_due = self.told.get(rule).is_none_or(|at| now.saturating_duration_since(*at) >= TOLD_EVERY);
        is_due.then(|| {
            self.told.insert(rule, now);
            Sign { rule, class, certainty: Certainty::Likely, at: String::new(), shown: words() }
        })
    }
}

/// Whether something is counted, and there is more of it.
fn is_above(count: usize, most: u32) -> bool {
    most > 0 && count > most as usize
}

/// Takes note of one more, as far as that is counted; whether there are too many.
fn is_swept(set: &mut HashSet<u64>, most: u32, mark: impl FnOnce() -> u64) -> bool {
    if most > 0 && set.len() <= most as usize {
        set.insert(mark());
    }
    is_above(set.len(), most)
}

/// Whether there is a parameter for a path: a look at the first bytes.
fn names_path(arguments: &str) -> bool {
    let bytes = &arguments.as_bytes()[..arguments.len().min(HASHED_BYTES)];
    ["path", "\"file", "\"dir", "\"uri", "\"folder"]
        .iter()
        .any(|word| memchr::memmem::find(bytes, word.as_bytes()).is_some())
}

fn mark(tool: &str, arguments: &str) -> u64 {
    let mut hasher = DefaultHasher::new();
    (tool, arguments.len()).hash(&mut hasher);
    hasher.write(&arguments.as_bytes()[..arguments.len().min(HASHED_BYTES)]);
    hasher.finish()
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{Asking, CLIENTS_MAX, Usage, Usual};
    use crate::{Certainty, Sign};

    struct Talk {
        usage: Usage,
        now: Instant,
    }

    impl Talk {
        fn new() -> Self {
            Self { usage: Usage::default(), now: Instant::now() }
        }

        fn calls(&mut self, count: u32, arguments: impl Fn(u32) -> (String, String)) -> Vec<Sign> {
            let mut signs = Vec::new();
            for number in 0..count {
                let (tool, arguments) = arguments(number);
                let asking = Asking { tool: &tool, arguments: &arguments };
                signs.extend(self.usage.called(&Usual::default(), "a", asking, self.now));
            }
            signs
        }

        fn same(&mut self, count: u32) -> Vec<Sign> {
            self.calls(count, |_| ("echo".to_owned(), "{}".to_owned()))
        }
    }

    fn rules(signs: &[Sign]) -> Vec<&str> {
        assert!(signs.iter().all(|sign| sign.certainty == Certainty::Likely));
        signs.iter().map(|sign| sign.rule).collect()
    }

    #[test]
    fn a_burst_is_far_above_what_a_client_does() {
        let mut talk = Talk::new();
        assert_eq!(rules(&talk.same(600)), [""; 0]);
        assert_eq!(rules(&talk.same(1000)), ["call-burst"], "once");
        // Whoever always does much is not told of for that.
        let mut talk = Talk::new();
        for _ in 0..30 {
            assert_eq!(rules(&talk.same(590)), [""; 0]);
            talk.now += Duration::from_secs(60);
        }
        assert_eq!(rules(&talk.same(5000)), [""; 0]);
        talk.now += Duration::from_secs(60);
        assert_eq!(rules(&talk.same(20_000)), ["call-burst"]);
        // After an hour of nothing it is as at first, and told again.
        talk.now += Duration::from_secs(3600);
        assert_eq!(rules(&talk.same(601)), ["call-burst"]);
    }

    #[test]
    fn sweeps_and_sizes() {
        let mut talk = Talk::new();
        let tools = |number: u32| (format!("tool-{number}"), "{}".to_owned());
        assert_eq!(rules(&talk.calls(50, tools)), [""; 0]);
        assert_eq!(rules(&talk.calls(60, tools)), ["tool-sweep"]);
        let mut talk = Talk::new();
        let paths = |number: u32| ("read".to_owned(), format!("{{\"path\":\"/srv/{number}\"}}"));
        assert_eq!(rules(&talk.calls(300, paths)), [""; 0]);
        assert_eq!(rules(&talk.calls(300, paths)), [""; 0], "the same again");
        talk.now += Duration::from_secs(60);
        assert_eq!(rules(&talk.calls(400, paths)), ["path-sweep"]);
        let mut talk = Talk::new();
        let long = |_| ("write".to_owned(), format!("{{\"content\":\"{}\"}}", "x".repeat(1 << 20)));
        assert_eq!(rules(&talk.calls(3, long)), ["large-arguments"]);
        let answered = |talk: &mut Talk, bytes| talk.usage.answered(&Usual::default(), "a", bytes, talk.now);
        assert!(answered(&mut talk, 8 << 20).is_none());
        assert_eq!(answered(&mut talk, (8 << 20) + 1).unwrap().rule, "large-result");
    }

    #[test]
    fn refusals_again_and_again_are_told_of_who_gets_them() {
        let mut talk = Talk::new();
        let usual = Usual::default();
        let refused = |talk: &mut Talk, client: &str| talk.usage.refused(&usual, client, talk.now);
        assert!((0..10).all(|_| refused(&mut talk, "a").is_none()));
        assert!(refused(&mut talk, "b").is_none());
        assert_eq!(
            refused(&mut talk, "a").unwrap().to_string(),
            "probing (refused-again) at ``: 11 refusals within a minute"
        );
        assert!(refused(&mut talk, "a").is_none());
        let off = Usual { refusals_per_minute: 0, ..usual };
        assert!((0..100).all(|_| talk.usage.refused(&off, "c", talk.now).is_none()));
    }

    #[test]
    fn what_is_remembered_is_bounded() {
        let mut talk = Talk::new();
        for number in 0..CLIENTS_MAX * 3 {
            talk.now += Duration::from_millis(1);
            talk.usage.refused(&Usual::default(), &number.to_string(), talk.now);
        }
        assert_eq!(talk.usage.0.len(), CLIENTS_MAX);
        talk.calls(5000, |number| (format!("t{number}"), format!("{{\"path\":\"{number}\"}}")));
        let client = &talk.usage.0["a"];
        assert_eq!((client.tools.len(), client.paths.len()), (51, 301));
        assert!(Usual { paths_per_minute: 1001, ..Usual::default() }.check().is_err());
    }
}
