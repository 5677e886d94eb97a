//! Owns what clients may take of a server: how often, how many at once, how much, and how long.
//!
//! ```toml
//! [limits]
//! requests_per_second = 20      # of each client; it may save up `burst` of them
//! burst = 40                    # as many as come in a second, and one at least
//! in_flight = 256               # requests that run at once, of all clients
//! in_flight_per_client = 32
//! request_bytes = 1048576       # the longest message of a client; 4 MiB
//! answer_bytes = 8388608        # the longest answer to one
//! timeout_seconds = 60          # how long a request may take; 600
//!
//! [limits.tools.search]         # of one tool, for all clients together
//! calls_per_second = 2
//! burst = 5
//! in_flight = 1
//! timeout_seconds = 120
//! ```
//!
//! A client is who shows a token (`[clients]`), or else an address: a name that anybody can choose limits nobody. What is
//! over a limit is refused at once, with an error that names the limit and says when to come again; nothing is queued.

mod held;

use std::collections::BTreeMap;
use std::time::Duration;

use serde::Deserialize;

pub(crate) use held::{Held, Reached, Slot, of_address};

/// A file as an argument, and no more: larger ones belong in resources.
pub(crate) const REQUEST_BYTES: u64 = 4 << 20;
/// The longest message that can be allowed.
const REQUEST_BYTES_MAX: u64 = 64 << 20;
/// More than a million a second is no limit.
const PER_SECOND_MAX: f64 = 1e6;

/// What clients may take.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Limits {
    /// Requests of each client.
    pub requests: Option<Rate>,
    /// Requests that run at once, of all clients together.
    pub in_flight: Option<usize>,
    /// The same of each client.
    pub in_flight_per_client: Option<usize>,
    /// The longest message of a client, in bytes, if not 4 MiB (`REQUEST_BYTES`).
    pub request_bytes: Option<u64>,
    /// The longest answer, in bytes of its result.
    pub answer_bytes: Option<usize>,
    /// How long a request may take, if not what the guard was told at its start.
    pub timeout: Option<Duration>,
    /// Of single tools, by name.
    pub tools: BTreeMap<String, ToolLimits>,
}

/// What all clients together may take of one tool.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct ToolLimits {
    /// Calls.
    pub calls: Option<Rate>,
    /// Calls that run at once.
    pub in_flight: Option<usize>,
    /// How long a call may take.
    pub timeout: Option<Duration>,
}

/// How often something may be done: a bucket of `burst` tokens, which is filled at `per_second`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Rate {
    /// Tokens that come in a second.
    pub per_second: f64,
    /// The most that it holds.
    pub burst: f64,
}

/// The table `[limits]`.
#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub(crate) struct Table {
    requests_per_second: Option<f64>,
    burst: Option<u32>,
    in_flight: Option<usize>,
    in_flight_per_client: Option<usize>,
    request_bytes: Option<u64>,
    answer_bytes: Option<usize>,
    timeout_seconds: Option<f64>,
    tools: BTreeMap<String, ToolTable>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct ToolTable {
    calls_per_second: Option<f64>,
    burst: Option<u32>,
    in_flight: Option<usize>,
    timeout_seconds: Option<f64>,
}

// === impl Limits, Rate ===

impl Limits {
    /// How long a call of this tool, or another request, may take; `otherwise` where nothing is said.
    pub(crate) fn timeout(&self, tool: Option<&str>, otherwise: Duration) -> Duration {
        self.said_timeout(tool).unwrap_or(otherwise)
    }

    /// The longest message of a client over HTTP, in bytes.
    pub(crate) fn request_bytes(&self) -> u64 {
        self.request_bytes.unwrap_or(REQUEST_BYTES)
    }

    /// How long a call of this tool, or another request, may take, where that is said.
    pub(crate) fn said_timeout(&self, tool: Option<&str>) -> Option<Duration> {
        let tool = tool.and_then(|tool| self.tools.get(tool)).and_then(|tool| tool.timeout);
        tool.or(self.timeout)
    }

    /// The shortest of all times that a request may take.
    pub(crate) fn shortest_timeout(&self, otherwise: Duration) -> Duration {
        let tools = self.tools.values().filter_map(|tool| tool.timeout);
        tools.chain(self.timeout).fold(otherwise, Duration::min)
    }

    /// Whether anything is counted at all.
    pub(crate) fn counts(&self) -> bool {
        self.requests.is_some()
            || self.in_flight.is_some()
            || self.in_flight_per_client.is_some()
            || !self.tools.is_empty()
    }
}

impl Rate {
    fn read(per_second: Option<f64>, burst: Option<u32>, name: &str) -> Result<Option<Self>, String> {
        match (per_second, burst) {
            (None, None) => Ok(None),
            (None, Some(_)) => Err(format!("`burst` needs `{name}`")),
            (Some(per_second), _) if !(per_second > 0.0 && per_second <= PER_SECOND_MAX) => {
                Err(format!("`{name}` must be more than 0 and no more than {PER_SECOND_MAX}"))
            }
            (Some(_), Some(0)) => Err("`burst` must not be 0".to_owned()),
            (Some(per_second), burst) => {
                let burst = burst.map_or_else(|| per_second.max(1.0), f64::from);
                Ok(Some(Self { per_second, burst }))
            }
        }
    }
}

// === impl Table ===

impl Table {
    /// What it says.
    ///
    /// # Errors
    /// When a number cannot be meant, in words.
    pub(crate) fn read(self) -> Result<Limits, String> {
        if self.request_bytes.is_some_and(|bytes| !(1..=REQUEST_BYTES_MAX).contains(&bytes)) {
            return Err(format!("`request_bytes` must be 1 to {REQUEST_BYTES_MAX}"));
        }
        not_zero(&[
            ("in_flight", self.in_flight),
            ("in_flight_per_client", self.in_flight_per_client),
            ("answer_bytes", self.answer_bytes),
        ])?;
        let mut tools = BTreeMap::new();
        for (name, table) in self.tools {
            let within = |reason: String| format!("tool `{name}`: {reason}");
            let limits = ToolLimits {
                calls: Rate::read(table.calls_per_second, table.burst, "calls_per_second").map_err(within)?,
                in_flight: table.in_flight,
                timeout: seconds(table.timeout_seconds).map_err(within)?,
            };
            not_zero(&[("in_flight", limits.in_flight)]).map_err(within)?;
            tools.insert(name, limits);
        }
        Ok(Limits {
            requests: Rate::read(self.requests_per_second, self.burst, "requests_per_second")?,
            in_flight: self.in_flight,
            in_flight_per_client: self.in_flight_per_client,
            request_bytes: self.request_bytes,
            answer_bytes: self.answer_bytes,
            timeout: seconds(self.timeout_seconds)?,
            tools,
        })
    }
}

fn not_zero(numbers: &[(&str, Option<usize>)]) -> Result<(), String> {
    match numbers.iter().find(|(_, number)| *number == Some(0)) {
        Some((name, _)) => Err(format!("`{name}` must not be 0: block what nobody may call")),
        None => Ok(()),
    }
}

fn seconds(seconds: Option<f64>) -> Result<Option<Duration>, String> {
    let read = |seconds: f64| match Duration::try_from_secs_f64(seconds) {
        Ok(time) if !time.is_zero() && seconds <= 86_400.0 => Ok(time),
        Ok(_) | Err(_) => Err("`timeout_seconds` must be more than 0 and no more than a day".to_owned()),
    };
    seconds.map(read).transpose()
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::{Limits, Rate, Table};

    fn read(text: &str) -> Result<Limits, String> {
        toml::from_str::<Table>(text).map_err(|error| error.to_string())?.read()
    }

    #[test]
    fn what_is_said_is_read() {
        assert_eq!(read("").unwrap(), Limits::default());
        let limits = read(
            "requests_per_second = 0.5\nin_flight = 3\ntimeout_seconds = 2\n[tools.a]\ncalls_per_second = 7\n\
             timeout_seconds = 0.5\n[tools.b]\nin_flight = 1",
        )
        .unwrap();
        assert_eq!(limits.requests, Some(Rate { per_second: 0.5, burst: 1.0 }));
        assert_eq!(limits.tools["a"].calls, Some(Rate { per_second: 7.0, burst: 7.0 }));
        let otherwise = Duration::from_secs(600);
        for (tool, millis) in [(Some("a"), 500), (Some("b"), 2000), (Some("c"), 2000), (None, 2000)] {
            assert_eq!(limits.timeout(tool, otherwise), Duration::from_millis(millis), "{tool:?}");
        }
        assert_eq!(limits.shortest_timeout(otherwise), Duration::from_millis(500));
        assert_eq!(Limits::default().timeout(Some("a"), otherwise), otherwise);
        for wrong in [
            "requests_per_second = 0",
            "requests_per_second = -1.0",
            "requests_per_second = nan",
            "burst = 3",
            "requests_per_second = 1\nburst = 0",
            "in_flight = 0",
            "request_bytes = 0",
            "request_bytes = 99999999999",
            "timeout_seconds = 0",
            "timeout_seconds = 1e9",
            "[tools.a]\nin_flight = 0",
            "[tools.a]\nburst = 1",
            "calls = 1",
        ] {
            assert!(read(wrong).is_err(), "{wrong}");
        }
    }
}
