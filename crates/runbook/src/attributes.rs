//! Owns what stands in braces behind the language of a fence: `bash {id=restart timeout=60s verify="ready"}`.

mod scan;
#[cfg(test)]
mod tests;

use std::time::Duration;

use serde::Serialize;

use crate::condition::Condition;
use crate::diagnostic::{Level, Remark};
use crate::duration::{parse_duration, serialize_ms};
use crate::effect::Effect;
use scan::Pair;

/// How a fence is to be carried out.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize)]
pub struct Attributes {
    /// A name for the fence, unique in the procedure; conditions may refer to it.
    pub id: Option<String>,
    /// An effect that its units have at least.
    pub effect: Option<Effect>,
    /// A CEL condition; the fence is skipped where it is false. Kept as written, even if it is not CEL.
    pub when: Option<String>,
    /// How long each unit may take.
    #[serde(rename = "timeout_ms", serialize_with = "serialize_ms")]
    pub timeout: Option<Duration>,
    /// How often the last mutating unit may be tried again.
    pub retry: Option<u32>,
    /// Whether the units may be run twice without harm.
    pub idempotent: bool,
    /// What has to hold after the last mutating unit: `ready`, `live`, or CEL. Kept as written.
    pub verify: Option<String>,
    /// Who has to agree.
    pub approve: Approve,
    /// A statement that takes the last mutating unit back.
    pub undo: Option<String>,
    /// When a supervised watch ends: a duration, `ready`, `live`, or CEL. Kept as written.
    pub until: Option<String>,
    /// How often a supervised watch looks.
    #[serde(rename = "every_ms", serialize_with = "serialize_ms")]
    pub every: Option<Duration>,
    /// The host to run on; there is no fleet yet, so a fence that names one is not run.
    pub on: Option<String>,
}

/// Who has to agree before a fence changes anything.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum Approve {
    /// Whoever the policy says.
    #[default]
    Policy,
    /// A person, whatever the policy says.
    Always,
}

/// More attempts than this are a loop.
const RETRY_MAX: u32 = 10;
/// A unit that takes longer than a day is a service.
const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 60 * 60);
/// Names are for people and for conditions.
const ID_BYTES_MAX: usize = 64;

/// Reads the info string of a fence; returns the language, the attributes, and remarks with offsets into `info`.
///
/// An error among the remarks means that something the author asked for is not understood.
pub(crate) fn read(info: &str) -> (&str, Attributes, Vec<Remark>) {
    let start = info.len() - info.trim_start().len();
    let end = info[start..].find(|c: char| c.is_whitespace() || c == '{').map_or(info.len(), |at| start + at);
    let (pairs, mut remarks) = scan::pairs(info, end);
    let mut attributes = Attributes::default();
    let mut seen: Vec<&str> = Vec::new();
    for pair in &pairs {
        let mut error = |message: String| {
            remarks.push(Remark { offset: pair.offset, message, level: Level::Error });
        };
        if seen.contains(&pair.key) {
            error(format!("attribute `{}` stands twice; the first one holds", pair.key));
            continue;
        }
        seen.push(pair.key);
        if let Err(message) = attributes.set(pair) {
            error(message);
        }
    }
    (&info[start..end], attributes, remarks)
}

impl Attributes {
    fn set(&mut self, pair: &Pair<'_>) -> Result<(), String> {
        let Pair { key, value, .. } = pair;
        let wants = |what: &str| format!("attribute `{key}` wants {what}, not `{value}`");
        match *key {
            "id" => self.id = Some(id(value).ok_or_else(|| wants("letters, digits, `-` and `_`"))?),
            "effect" => {
                let effect = Effect::from_name(value);
                self.effect =
                    Some(effect.ok_or_else(|| wants("observe, change, disrupt, destroy or unknown"))?);
            }
            "when" => {
                self.when = Some(value.clone());
                condition(value)?;
            }
            "timeout" => self.timeout = Some(time(value).ok_or_else(|| wants("a duration such as `90s`"))?),
            "retry" => self.retry = Some(retry(value).ok_or_else(|| wants("a number up to 10"))?),
            "idempotent" => self.idempotent = value.parse().map_err(|_| wants("true or false"))?,
            "verify" => {
                self.verify = Some(value.clone());
                if !matches!(value.as_str(), "ready" | "live") {
                    condition(value)?;
                }
            }
            "approve" => {
                // What is not understood asks a person.
                self.approve = if value == "policy" { Approve::Policy } else { Approve::Always };
                if !matches!(value.as_str(), "policy" | "always") {
                    return Err(wants("policy or always"));
                }
            }
            "undo" if value.trim().is_empty() => return Err(wants("a statement")),
            "undo" => self.undo = Some(value.clone()),
            "until" => {
                self.until = Some(value.clone());
                match parse_duration(value) {
                    Some(length) if length.is_zero() || length > TIMEOUT_MAX => {
                        return Err(wants("a duration up to a day, or a condition"));
                    }
                    None if !matches!(value.as_str(), "ready" | "live") => condition(value)?,
                    _ => {}
                }
            }
            "every" => self.every = Some(time(value).ok_or_else(|| wants("a duration such as `10s`"))?),
            "on" => {
                self.on = Some(value.clone());
                return Err("attribute `on` is refused: there is no fleet yet".to_owned());
            }
            _ => return Err(format!("attribute `{key}` is not known")),
        }
        Ok(())
    }
}

fn id(value: &str) -> Option<String> {
    let plain = |b: u8| b.is_ascii_alphanumeric() || b"_-".contains(&b);
    let fits = !value.is_empty() && value.len() <= ID_BYTES_MAX && value.bytes().all(plain);
    fits.then(|| value.to_owned())
}

fn condition(value: &str) -> Result<(), String> {
    Condition::parse(value).map(|_| ()).map_err(|error| error.to_string())
}

fn retry(value: &str) -> Option<u32> {
    value.parse().ok().filter(|retry| *retry <= RETRY_MAX)
}

fn time(value: &str) -> Option<Duration> {
    parse_duration(value).filter(|duration| !duration.is_zero() && *duration <= TIMEOUT_MAX)
}
