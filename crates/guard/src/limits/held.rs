//! Owns what clients have taken: their buckets of tokens, and what runs of them.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use super::{Limits, Rate};

/// Each takes some hundred bytes. Beyond it, whoever comes new shares one bucket with all others that do.
const CLIENTS_MAX: usize = 4096;
/// A refusal is written down at most so often.
const SAY_EVERY: Duration = Duration::from_secs(1);
/// Whoever is not known by then.
const OTHERS: &str = "others";

/// What clients have taken of one server.
#[derive(Debug, Default)]
pub(crate) struct Held {
    inner: Mutex<Inner>,
}

#[derive(Debug, Default)]
struct Inner {
    /// When a refusal was last written down, and how many were not since.
    said: Option<(Instant, u64)>,
    clients: HashMap<Box<str>, Taken>,
    tools: HashMap<Box<str>, Taken>,
    running: usize,
}

/// What was taken of one rate, and of one number of places.
#[derive(Debug, Default)]
struct Taken {
    /// Tokens that are there, and since when that is so; none before the first is taken.
    bucket: Option<(f64, Instant)>,
    running: usize,
}

/// One request that runs. Its place is free again when this is gone.
#[derive(Debug)]
pub(crate) struct Slot {
    held: Arc<Held>,
    client: Box<str>,
    tool: Option<Box<str>>,
}

/// A limit that was reached.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Reached {
    /// Its name in the settings.
    pub(crate) limit: &'static str,
    /// In words that follow the name of the server.
    pub(crate) words: String,
    /// When there is room again; none where that depends on others.
    pub(crate) again: Option<Duration>,
}

// === impl Held ===

impl Held {
    /// Takes what one request needs, or nothing. None where nothing is limited.
    ///
    /// # Errors
    /// When a limit is reached.
    pub(crate) fn take(
        self: &Arc<Self>,
        limits: &Limits,
        client: &str,
        tool: Option<&str>,
        now: Instant,
    ) -> Result<Option<Slot>, Reached> {
        if !limits.counts() {
            return Ok(None);
        }
        let of_tool = tool.and_then(|tool| Some((tool, limits.tools.get(tool)?)));
        let mut inner = self.lock();
        let client = inner.client(client, limits, now);
        inner.has_room(limits, &client, of_tool.map(|(tool, limits)| (tool, limits.in_flight)))?;
        // Both buckets are looked at before a token is taken of either.
        let of_client = limits
            .requests
            .map(|rate| (rate, inner.clients.entry(client.clone()).or_default().left(rate, now)));
        let calls = of_tool.and_then(|(tool, limits)| Some((tool, limits.calls?)));
        let of_calls = calls
            .map(|(tool, rate)| (tool, rate, inner.tools.entry(tool.into()).or_default().left(rate, now)));
        if let Some((rate, left)) = of_client
            && left < 1.0
        {
            let what = format!("client `{client}` may send {} requests per second", rate.per_second);
            return Err(Reached::rate("requests_per_second", &what, rate, left));
        }
        if let Some((tool, rate, left)) = of_calls
            && left < 1.0
        {
            let what = format!("tool `{tool}` may be called {} times per second", rate.per_second);
            return Err(Reached::rate("calls_per_second", &what, rate, left));
        }
        let of_client = of_client.map(|(_, left)| (left - 1.0, now));
        let of_calls = of_calls.map(|(_, _, left)| (left - 1.0, now));
        inner.running += 1;
        let taken = inner.clients.entry(client.clone()).or_default();
        taken.running += 1;
        taken.bucket = of_client.or(taken.bucket);
        if let Some((tool, _)) = of_tool {
            let taken = inner.tools.entry(tool.into()).or_default();
            taken.running += 1;
            taken.bucket = of_calls.or(taken.bucket);
        }
        let tool = of_tool.map(|(tool, _)| tool.into());
        Ok(Some(Slot { held: Arc::clone(self), client, tool }))
    }

    /// Whether a refusal is to be written down now: then how many were not since the last one that was.
    pub(crate) fn say(&self, now: Instant) -> Option<u64> {
        let mut inner = self.lock();
        match &mut inner.said {
            Some((last, unsaid)) if now.saturating_duration_since(*last) < SAY_EVERY => {
                *unsaid += 1;
                None
            }
            said => Some(said.replace((now, 0)).map_or(0, |(_, unsaid)| unsaid)),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing in it can panic between two changes that belong together.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Inner {
    /// Who is counted for a client: it, or all whose number is too great.
    fn client(&mut self, client: &str, limits: &Limits, now: Instant) -> Box<str> {
        if self.clients.contains_key(client) {
            return client.into();
        }
        if self.clients.len() >= CLIENTS_MAX {
            let full =
                |taken: &mut Taken| limits.requests.is_none_or(|rate| taken.left(rate, now) >= rate.burst);
            self.clients.retain(|_, taken| taken.running > 0 || !full(taken));
        }
        if self.clients.len() >= CLIENTS_MAX { OTHERS.into() } else { client.into() }
    }

    fn has_room(
        &self,
        limits: &Limits,
        client: &str,
        of_tool: Option<(&str, Option<usize>)>,
    ) -> Result<(), Reached> {
        let running =
            |all: &HashMap<Box<str>, Taken>, name: &str| all.get(name).map_or(0, |taken| taken.running);
        if let Some((tool, Some(most))) = of_tool
            && running(&self.tools, tool) >= most
        {
            let words = format!("{most} calls of tool `{tool}` run already, which is as many as may");
            return Err(Reached { limit: "tool_in_flight", words, again: None });
        }
        if let Some(most) = limits.in_flight_per_client
            && running(&self.clients, client) >= most
        {
            let words = format!("{most} requests of client `{client}` run already, which is as many as may");
            return Err(Reached { limit: "in_flight_per_client", words, again: None });
        }
        if let Some(most) = limits.in_flight
            && self.running >= most
        {
            let words = format!("{most} requests run already, which is as many as may");
            return Err(Reached { limit: "in_flight", words, again: None });
        }
        Ok(())
    }
}

// === impl Taken, Slot, Reached ===

impl Taken {
    /// How many tokens are there now.
    fn left(&self, rate: Rate, now: Instant) -> f64 {
        self.bucket.map_or(rate.burst, |(left, since)| {
            let came = now.saturating_duration_since(since).as_secs_f64() * rate.per_second;
            (left + came).min(rate.burst)
        })
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        let mut inner = self.held.lock();
        inner.running = inner.running.saturating_sub(1);
        if let Some(taken) = inner.clients.get_mut(&self.client) {
            taken.running = taken.running.saturating_sub(1);
        }
        if let Some(taken) = self.tool.as_ref().and_then(|tool| inner.tools.get_mut(tool)) {
            taken.running = taken.running.saturating_sub(1);
        }
    }
}

impl Reached {
    fn rate(limit: &'static str, what: &str, rate: Rate, left: f64) -> Self {
        let again = Duration::from_secs_f64(((1.0 - left) / rate.per_second).max(0.001));
        let words = format!("{what}; again in {:.3} s", again.as_secs_f64());
        Self { limit, words, again: Some(again) }
    }
}

/// How a client is counted that shows no token: by its address, and of IPv6 by its network, which one machine has
/// for itself.
pub(crate) fn of_address(address: IpAddr) -> String {
    match address.to_canonical() {
        IpAddr::V4(address) => address.to_string(),
        IpAddr::V6(address) if address.is_loopback() => address.to_string(),
        IpAddr::V6(address) => {
            let [a, b, c, d, ..] = address.segments();
            format!("{a:x}:{b:x}:{c:x}:{d:x}::/64")
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use super::{CLIENTS_MAX, Held, of_address};
    use crate::limits::{Limits, Rate, ToolLimits};

    #[test]
    fn tokens_come_back_and_nobody_takes_those_of_others() {
        let (held, start) = (Arc::new(Held::default()), Instant::now());
        let limits = Limits { requests: Some(Rate { per_second: 2.0, burst: 3.0 }), ..Limits::default() };
        let take = |client: &str, millis| {
            held.take(&limits, client, None, start + Duration::from_millis(millis)).map(drop)
        };
        for _ in 0..3 {
            take("a", 0).unwrap();
        }
        let reached = take("a", 0).unwrap_err();
        assert_eq!((reached.limit, reached.again), ("requests_per_second", Some(Duration::from_millis(500))));
        assert_eq!(reached.words, "client `a` may send 2 requests per second; again in 0.500 s");
        take("b", 0).unwrap();
        assert!(take("a", 499).is_err());
        take("a", 500).unwrap();
        assert!(take("a", 500).is_err());
        // No more than the burst is saved up.
        for _ in 0..3 {
            take("a", 60_000).unwrap();
        }
        assert!(take("a", 60_000).is_err());
    }

    #[test]
    fn places_are_free_again_and_a_refusal_takes_nothing() {
        let (held, now) = (Arc::new(Held::default()), Instant::now());
        let slow = ToolLimits {
            in_flight: Some(1),
            calls: Some(Rate { per_second: 1.0, burst: 2.0 }),
            timeout: None,
        };
        let limits = Limits {
            requests: Some(Rate { per_second: 1.0, burst: 5.0 }),
            in_flight: Some(3),
            in_flight_per_client: Some(2),
            tools: [("slow".to_owned(), slow)].into(),
            ..Limits::default()
        };
        let take = |client: &str, tool| held.take(&limits, client, tool, now);
        let limit = |client: &str, tool| take(client, tool).unwrap_err().limit;
        let first = take("a", Some("slow")).unwrap();
        assert_eq!(limit("b", Some("slow")), "tool_in_flight");
        let second = take("a", None).unwrap();
        assert_eq!(limit("a", None), "in_flight_per_client");
        let third = take("b", Some("quick")).unwrap();
        assert_eq!(limit("b", None), "in_flight");
        drop((first, second, third));
        // Of five tokens of `a` two are gone, of two of the tool one.
        drop(take("a", Some("slow")).unwrap());
        assert_eq!(limit("a", Some("slow")), "calls_per_second");
        assert!(take("a", None).is_ok() && take("a", None).is_ok());
        assert_eq!(limit("a", None), "requests_per_second");
        assert!(
            held.take(&Limits::default(), "a", Some("slow"), now).unwrap().is_none(),
            "nothing is limited"
        );
    }

    #[test]
    fn many_clients_take_no_memory_without_end() {
        let (held, start) = (Arc::new(Held::default()), Instant::now());
        let limits = Limits { requests: Some(Rate { per_second: 1.0, burst: 1.0 }), ..Limits::default() };
        for number in 0..CLIENTS_MAX {
            drop(held.take(&limits, &format!("c{number}"), None, start).unwrap());
        }
        assert!(held.take(&limits, "new", None, start).is_ok(), "the first of the others");
        assert!(held.take(&limits, "newer", None, start).is_err(), "they share one bucket");
        let later = start + Duration::from_secs(2);
        assert!(held.take(&limits, "newer", None, later).is_ok());
        assert!(held.lock().clients.len() < 3);
    }

    #[test]
    fn a_machine_is_one_client() {
        for (address, expect) in [
            ("192.0.2.7", "192.0.2.7"),
            ("::ffff:192.0.2.7", "192.0.2.7"),
            ("::1", "::1"),
            ("2001:db8:1:2:3:4:5:6", "2001:db8:1:2::/64"),
        ] {
            assert_eq!(of_address(address.parse().unwrap()), expect);
        }
    }
}
