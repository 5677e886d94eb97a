//! Owns the parameters of an `/admin` call: read from the query string and a form, and held against what its verb takes.

use std::time::Duration;

use serde::Deserialize;

use super::Verb;
use crate::controls::BlockKind;

/// The letters of a duration, and how many milliseconds each is.
const UNITS: [(&str, u64); 5] = [("ms", 1), ("s", 1000), ("m", 60_000), ("h", 3_600_000), ("d", 86_400_000)];

/// The parameters.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Parameters {
    pub(super) by: Option<String>,
    pub(super) reason: Option<String>,
    pub(super) wait: Option<Duration>,
    pub(super) percent: Option<u8>,
    pub(super) client: Option<String>,
    pub(super) address: Option<String>,
    pub(super) tool: Option<String>,
    pub(super) duration: Option<Duration>,
    pub(super) per_second: Option<u32>,
    pub(super) at_once: Option<u32>,
    pub(super) off: bool,
    /// Which were given.
    names: Vec<&'static str>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Form {
    by: Option<String>,
    reason: Option<String>,
    wait: Option<String>,
    percent: Option<String>,
    client: Option<String>,
    address: Option<String>,
    tool: Option<String>,
    r#for: Option<String>,
    per_second: Option<String>,
    at_once: Option<String>,
    off: Option<String>,
}

// === impl Parameters ===

impl Parameters {
    /// Reads both places. What is in both, or unknown, is an error.
    pub(super) fn read(query: Option<&str>, body: &[u8]) -> Result<Self, String> {
        let body = std::str::from_utf8(body).map_err(|_| "the body is not text".to_owned())?;
        let form = form(query.unwrap_or_default(), body.trim())?;
        let names = [
            ("percent", form.percent.is_some()),
            ("client", form.client.is_some()),
            ("address", form.address.is_some()),
            ("tool", form.tool.is_some()),
            ("for", form.r#for.is_some()),
            ("per_second", form.per_second.is_some()),
            ("at_once", form.at_once.is_some()),
            ("off", form.off.is_some()),
            ("wait", form.wait.is_some()),
        ];
        let percent = form.percent.as_deref().map(percentage).transpose()?;
        Ok(Self {
            by: form.by,
            reason: form.reason,
            wait: form.wait.as_deref().map(duration).transpose()?,
            percent,
            client: form.client,
            address: form.address,
            tool: form.tool,
            duration: form.r#for.as_deref().map(duration).transpose()?,
            per_second: form.per_second.as_deref().map(number).transpose()?,
            at_once: form.at_once.as_deref().map(number).transpose()?,
            off: form.off.as_deref().map(flag).transpose()?.unwrap_or(false),
            names: names.iter().filter(|(_, given)| *given).map(|(name, _)| *name).collect(),
        })
    }

    /// Refuses what the verb does not take: whoever gave it meant something.
    pub(super) fn check(&self, verb: Verb) -> Result<(), String> {
        let known: &[&str] = match verb {
            Verb::ReadOnlyMode => &["wait"],
            Verb::EnableWrites => &["percent", "client"],
            Verb::Drain => &["wait", "off"],
            Verb::Block => &["address", "client", "tool", "for"],
            Verb::Unblock => &["address", "client", "tool"],
            Verb::Limits => &["per_second", "at_once", "off"],
            Verb::Watch => &["for", "off"],
            Verb::ClearCache
            | Verb::Settings
            | Verb::Status
            | Verb::Tools
            | Verb::Resources
            | Verb::Templates
            | Verb::Prompts
            | Verb::Controls => &[],
        };
        match self.names.iter().find(|name| !known.contains(name)) {
            Some(name) => {
                let known = [known, ["by", "reason"].as_slice()].concat().join("`, `");
                Err(format!("`{}` has no parameter `{name}`, only `{known}`", verb.name()))
            }
            None => Ok(()),
        }
    }

    /// The one thing that is to be blocked or unblocked.
    pub(super) fn what(&self) -> Result<(BlockKind, String), String> {
        let all = [
            (BlockKind::Address, &self.address),
            (BlockKind::Client, &self.client),
            (BlockKind::Tool, &self.tool),
        ];
        let mut named = all.into_iter().filter_map(|(kind, name)| Some((kind, name.clone()?)));
        match (named.next(), named.next()) {
            (Some(one), None) => Ok(one),
            _ => Err("name one of `address`, `client` and `tool`".to_owned()),
        }
    }
}

/// Both are forms, or the body is an object of texts, and then all there is.
fn form(query: &str, body: &str) -> Result<Form, String> {
    if body.starts_with('{') && query.is_empty() {
        return serde_json::from_str(body).map_err(|error| error.to_string());
    }
    let text: Vec<&str> = [query, body].into_iter().filter(|part| !part.is_empty()).collect();
    serde_urlencoded::from_str(&text.join("&")).map_err(|error| error.to_string())
}

fn percentage(text: &str) -> Result<u8, String> {
    let number = text.strip_suffix('%').unwrap_or(text).parse::<u8>().ok().filter(|number| *number <= 100);
    number.ok_or_else(|| format!("`{text}` is no percentage: 0 to 100"))
}

fn number(text: &str) -> Result<u32, String> {
    text.parse().map_err(|_| format!("`{text}` is no number of requests"))
}

fn flag(text: &str) -> Result<bool, String> {
    match text {
        "" | "1" | "true" | "yes" => Ok(true),
        "0" | "false" | "no" => Ok(false),
        _ => Err(format!("`{text}` is neither true nor false")),
    }
}

/// A length of time: `500ms`, `30s`, `1h30m`.
fn duration(text: &str) -> Result<Duration, String> {
    let wrong = || format!("`{text}` is no duration; write it as 500ms, 30s or 1h30m");
    let (mut rest, mut millis) = (text, 0_u64);
    while !rest.is_empty() {
        let end = rest.find(|letter: char| !letter.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, more) = rest.split_at(end);
        let end = more.find(|letter: char| letter.is_ascii_digit()).unwrap_or(more.len());
        let (unit, more) = more.split_at(end);
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let factor = UNITS.iter().find(|(name, _)| *name == unit).ok_or_else(wrong)?.1;
        millis = number.checked_mul(factor).and_then(|part| millis.checked_add(part)).ok_or_else(wrong)?;
        rest = more;
    }
    if text.is_empty() { Err(wrong()) } else { Ok(Duration::from_millis(millis)) }
}

#[cfg(test)]
mod tests {
    use super::{Parameters, duration};
    use crate::admin::Verb;
    use crate::controls::BlockKind;

    #[test]
    fn parameters_come_from_both_places_and_are_all_meant() {
        let read = |query, body: &str| Parameters::read(query, body.as_bytes());
        let both = read(Some("percent=25%25"), "client=a+b&by=ann\n").unwrap();
        assert_eq!(
            (both.percent, both.client.as_deref(), both.by.as_deref()),
            (Some(25), Some("a b"), Some("ann"))
        );
        assert!(both.check(Verb::EnableWrites).is_ok());
        assert_eq!(
            both.check(Verb::ReadOnlyMode).unwrap_err(),
            "`readonly-mode` has no parameter `percent`, only `wait`, `by`, `reason`"
        );
        assert_eq!(read(None, "{\"percent\": \"7\"}").unwrap().percent, Some(7));
        assert!(read(Some("percent=7"), "{}").is_err());
        assert_eq!(read(Some("tool=x"), "").unwrap().what().unwrap(), (BlockKind::Tool, "x".to_owned()));
        for wrong in ["tool=x&client=y", "for=1h"] {
            assert!(read(Some(wrong), "").unwrap().what().is_err(), "{wrong}");
        }
        for wrong in ["percent=101", "percent=-1", "percent=", "x=1", "tool=a&tool=b", "off=maybe", "wait=5"]
        {
            assert!(read(Some(wrong), "").is_err(), "{wrong}");
        }
        assert!(Parameters::read(None, b"\xff").is_err());
    }

    #[test]
    fn durations() {
        for (text, millis) in
            [("500ms", 500), ("30s", 30_000), ("1h30m", 5_400_000), ("1d", 86_400_000), ("0s", 0)]
        {
            assert_eq!(duration(text).unwrap().as_millis(), millis, "{text}");
        }
        for wrong in ["", "5", "s", "5 s", "-5s", "1y", "99999999999999999999s", "9999999999999999d"] {
            assert!(duration(wrong).is_err(), "{wrong}");
        }
    }
}
