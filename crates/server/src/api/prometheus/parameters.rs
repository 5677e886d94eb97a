//! Owns the parameters of Prometheus' API: read from a query string or a form, each checked and named in its refusal.

use std::time::Duration;

use metrics::{Query, SeriesSelector, Steps};

use super::Refusal;

/// The parameters of one request.
pub(super) struct Parameters(Vec<(String, String)>);

// === impl Parameters ===

impl Parameters {
    /// Reads the form, of which the query string is one.
    pub(super) fn read(form: &[u8]) -> Result<Self, Refusal> {
        serde_urlencoded::from_bytes(form).map(Self).map_err(|error| Refusal::bad_data(&error))
    }

    fn get(&self, name: &str) -> Option<&str> {
        let found = self.0.iter().find(|(known, value)| known == name && !value.is_empty());
        found.map(|(_, value)| value.as_str())
    }

    fn required(&self, name: &str) -> Result<&str, Refusal> {
        self.get(name).ok_or_else(|| invalid(name, "is missing"))
    }

    /// The query.
    pub(super) fn query(&self) -> Result<Query, Refusal> {
        Query::parse(self.required("query")?).map_err(|error| invalid("query", error))
    }

    /// The one metric that is asked about, if only one is.
    pub(super) fn metric(&self) -> Option<&str> {
        self.get("metric")
    }

    /// The selectors of `match[]`.
    pub(super) fn selectors(&self) -> Result<Vec<SeriesSelector>, Refusal> {
        let all = self.0.iter().filter(|(name, _)| name == "match[]");
        all.map(|(_, text)| SeriesSelector::parse(text).map_err(|error| invalid("match[]", error))).collect()
    }

    /// A moment in milliseconds since the Unix epoch, if it is named.
    pub(super) fn moment(&self, name: &str) -> Result<Option<i64>, Refusal> {
        let read = |text| {
            moment(text).ok_or_else(|| {
                invalid(
                    name,
                    format!("`{text}` is neither seconds since 1970 nor a time such as 2026-01-31T12:00:00Z"),
                )
            })
        };
        self.get(name).map(read).transpose()
    }

    /// The moments of a range query.
    pub(super) fn steps(&self) -> Result<Steps, Refusal> {
        let required = |name| self.moment(name)?.ok_or_else(|| invalid(name, "is missing"));
        let (start_ms, end_ms) = (required("start")?, required("end")?);
        if end_ms < start_ms {
            return Err(invalid("end", "is before `start`"));
        }
        let step = self.required("step")?;
        let step_ms = metrics::duration_ms(step).filter(|step_ms| *step_ms > 0).ok_or_else(|| {
            invalid("step", format!("`{step}` is no length of time above zero, such as 15s"))
        })?;
        Ok(Steps { start_ms, end_ms, step_ms })
    }

    /// How long the evaluation may take: as long as is asked for, and not longer than `most`.
    pub(super) fn timeout(&self, most: Duration) -> Result<Duration, Refusal> {
        let Some(text) = self.get("timeout") else { return Ok(most) };
        let ms = metrics::duration_ms(text).and_then(|ms| u64::try_from(ms).ok());
        let wanted =
            ms.ok_or_else(|| invalid("timeout", format!("`{text}` is no length of time, such as 5s")))?;
        Ok(most.min(Duration::from_millis(wanted)))
    }

    /// How many entries are wanted; 0 is as many as there are, up to `most`.
    pub(super) fn limit(&self, most: usize) -> Result<usize, Refusal> {
        let Some(text) = self.get("limit") else { return Ok(most) };
        let limit: usize = text.parse().map_err(|_| invalid("limit", "is not a number of entries"))?;
        Ok(if limit == 0 { most } else { limit.min(most) })
    }
}

fn moment(text: &str) -> Option<i64> {
    if let Ok(seconds) = text.parse::<f64>() {
        let ms = (seconds * 1e3).round();
        // Beyond that a float has no milliseconds any more.
        return (ms.abs() < 9e15).then_some(ms as i64);
    }
    chrono::DateTime::parse_from_rfc3339(text).ok().map(|time| time.timestamp_millis())
}

fn invalid(name: &str, reason: impl std::fmt::Display) -> Refusal {
    Refusal::bad_data(&format!("invalid parameter `{name}`: {reason}"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments() {
        let check = |text, expect| assert_eq!(moment(text), expect, "{text}");
        check("0", Some(0));
        check("1.5", Some(1_500));
        check("1764158400.123", Some(1_764_158_400_123));
        check("-62135596800", Some(-62_135_596_800_000));
        check("2025-11-26T12:00:00Z", Some(1_764_158_400_000));
        check("2025-11-26T13:00:00.123+01:00", Some(1_764_158_400_123));
        check("1e300", None);
        check("NaN", None);
        check("yesterday", None);
    }

    #[test]
    fn what_is_wrong_is_named() {
        let check = |form: &str, expect: &str| {
            let parameters =
                Parameters::read(form.as_bytes()).unwrap_or_else(|refusal| panic!("{}", refusal.error));
            let steps = parameters.query().and_then(|_| parameters.steps());
            let refusal = steps.err().unwrap_or_else(|| panic!("`{form}` is taken"));
            assert!(refusal.error.contains(expect), "{form}: {}", refusal.error);
        };
        check("", "invalid parameter `query`: is missing");
        check("query=up%20%2B", "invalid parameter `query`: query is not valid at 1:");
        check("query=up&start=1", "invalid parameter `end`: is missing");
        check("query=up&start=1&end=now", "invalid parameter `end`: `now` is neither");
        check("query=up&start=2&end=1&step=1", "invalid parameter `end`: is before `start`");
        check("query=up&start=1&end=2&step=0", "invalid parameter `step`");
        check("query=up&start=1&end=2&step=-1", "invalid parameter `step`");
        check("query=up&start=1&end=2&step=inf", "invalid parameter `step`");
    }
}
