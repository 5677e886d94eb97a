//! Owns what the headers of an answer say about time: how long to stay away, and which time it is there.

use std::time::{Duration, SystemTime};

use chrono::DateTime;
use reqwest::header::{AGE, DATE, HeaderMap, RETRY_AFTER};

/// Nobody means a longer time.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(30 * 24 * 3600);

/// The headers that are about time, in words, and when they came.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Headers {
    retry_after: Option<String>,
    date: Option<String>,
}

// === impl Headers ===

impl Headers {
    pub(super) fn of(headers: &HeaderMap, status: u16) -> Self {
        let text =
            |name| headers.get(name).and_then(|value| value.to_str().ok()).map(|text| text.trim().to_owned());
        let reset =
            || headers.get("ratelimit-reset").and_then(|value| value.to_str().ok()).map(str::to_owned);
        let is_limited = matches!(status, 429 | 503);
        Self {
            retry_after: is_limited.then(|| text(RETRY_AFTER).or_else(reset)).flatten(),
            // What a cache has kept says when it was made.
            date: if headers.contains_key(AGE) { None } else { text(DATE) },
        }
    }

    /// How long it wants to be left alone: a number of seconds, or until a moment.
    pub(super) fn retry_after(&self, now: SystemTime) -> Option<Duration> {
        let text = self.retry_after.as_deref()?;
        let after = match text.parse::<u64>() {
            Ok(seconds) => Duration::from_secs(seconds),
            Err(_) => moment(text)?.duration_since(now).unwrap_or_default(),
        };
        Some(after.min(RETRY_AFTER_MAX))
    }

    /// The clock there against the one here, in seconds; above 0 where ours is behind. A header says whole seconds.
    pub(super) fn clock_offset_seconds(&self, now: SystemTime) -> Option<f64> {
        let there = moment(self.date.as_deref()?)?;
        let offset = match there.duration_since(now) {
            Ok(ahead) => ahead.as_secs_f64(),
            Err(behind) => -behind.duration().as_secs_f64(),
        };
        Some(offset.round())
    }
}

fn moment(text: &str) -> Option<SystemTime> {
    let at = DateTime::parse_from_rfc2822(text).ok()?;
    let seconds = u64::try_from(at.timestamp()).ok()?;
    SystemTime::UNIX_EPOCH.checked_add(Duration::from_secs(seconds))
}

#[cfg(test)]
mod tests {
    use reqwest::header::{HeaderName, HeaderValue};

    use super::*;

    /// 21 October 2015, 07:28:00 UTC.
    const NOW: u64 = 1_445_412_480;

    fn check(status: u16, headers: &[(&'static str, &str)], retry: Option<u64>, offset: Option<f64>) {
        let map: HeaderMap = headers
            .iter()
            .map(|(name, value)| (HeaderName::from_static(name), HeaderValue::from_str(value).unwrap()))
            .collect();
        let (found, now) = (Headers::of(&map, status), SystemTime::UNIX_EPOCH + Duration::from_secs(NOW));
        assert_eq!(found.retry_after(now).map(|after| after.as_secs()), retry, "{headers:?}");
        assert_eq!(found.clock_offset_seconds(now), offset, "{headers:?}");
    }

    #[test]
    fn headers() {
        check(429, &[("retry-after", "30")], Some(30), None);
        check(429, &[("retry-after", "Wed, 21 Oct 2015 07:29:00 GMT")], Some(60), None);
        check(429, &[("retry-after", "Wed, 21 Oct 2015 07:00:00 GMT")], Some(0), None);
        check(429, &[("ratelimit-reset", "12")], Some(12), None);
        check(503, &[("retry-after", "5")], Some(5), None);
        check(200, &[("retry-after", "5")], None, None);
        check(429, &[("retry-after", "99999999999")], Some(30 * 24 * 3600), None);
        check(429, &[("retry-after", "soon")], None, None);
        check(200, &[("date", "Wed, 21 Oct 2015 07:30:00 GMT")], None, Some(120.0));
        check(200, &[("date", "Wed, 21 Oct 2015 07:27:00 GMT")], None, Some(-60.0));
        check(200, &[("date", "Wed, 21 Oct 2015 07:00:00 GMT"), ("age", "1")], None, None);
        check(200, &[("date", "today")], None, None);
    }
}
