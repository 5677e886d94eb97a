//! Owns the messages of everybody else: JSON in which the configuration says where what is.
//!
//! ```json
//! {"alerts": [{"name": "MCPServerDown", "server": "notes", "status": "firing", "severity": "critical",
//!   "id": "check-7", "summary": "no answer for a minute", "starts_at": "2026-01-01T00:00:00Z", "labels": {"team": "data"}}]}
//! ```
//!
//! Only `name` has to be there. Name, server and id tell alerts apart.

use std::collections::BTreeMap;

use incident::{Heard, HeardState};
use metrics::{ALERT_NAME, Fingerprint, Labels};
use serde_json::Value;

use super::{ALERTS_MAX, Message, NotMessage, check_labels, clipped, cut_texts, moment};
use crate::config::Fields;

/// From here on a number of time counts milliseconds: as seconds it would be the year 5138.
const MILLISECONDS_FROM: f64 = 1e11;

/// Reads a message, at `now_ms`.
///
/// # Errors
/// Where it is no JSON, or holds too many alerts.
pub(crate) fn read(body: &[u8], fields: &Fields, now_ms: i64) -> Result<Message, NotMessage> {
    let whole: Value =
        serde_json::from_slice(body).map_err(|error| NotMessage(format!("no JSON: {error}")))?;
    let alerts = match whole.pointer(&fields.list).filter(|_| !fields.list.is_empty()) {
        Some(Value::Array(list)) => list.as_slice(),
        Some(_) => return Err(NotMessage(format!("`{}` is no list", fields.list))),
        None => match &whole {
            Value::Array(list) => list.as_slice(),
            Value::Object(_) => std::slice::from_ref(&whole),
            _ => return Err(NotMessage("no alert, and no list of them".to_owned())),
        },
    };
    if alerts.len() > ALERTS_MAX {
        let count = alerts.len();
        return Err(NotMessage(format!("{count} alerts in one message; {ALERTS_MAX} are the most")));
    }
    let mut message = Message::default();
    for (number, alert) in (1..).zip(alerts) {
        match heard(alert, fields, now_ms) {
            Ok(heard) => message.alerts.push(heard),
            Err(reason) => message.refused.push(format!("alert {number}: {reason}")),
        }
    }
    Ok(message)
}

fn heard(alert: &Value, fields: &Fields, now_ms: i64) -> Result<Heard, String> {
    let name = text(alert, &fields.name)?.ok_or_else(|| format!("it has no name at `{}`", fields.name))?;
    let server = text(alert, &fields.server)?.unwrap_or_default();
    let id = text(alert, &fields.id)?;
    let status = text(alert, &fields.status)?.unwrap_or_default();
    let is_over = fields.resolved.iter().any(|word| word.eq_ignore_ascii_case(&status));
    let given_ms = time(alert, &fields.starts_at)?;
    let ended_ms = time(alert, &fields.ends_at)?.unwrap_or(now_ms).min(now_ms);
    let mut known = vec![(ALERT_NAME, name.clone()), ("server_name", server.clone())];
    known.extend(id.map(|id| ("id", id)));
    let identity: Labels = known.iter().map(|(name, value)| (*name, value.as_str())).collect();
    let mut labels: BTreeMap<String, String> = match alert.pointer(&fields.labels) {
        Some(Value::Object(more)) => {
            more.iter().filter_map(|(name, value)| Some((name.clone(), plain(value)?))).collect()
        }
        Some(Value::Null) | None => BTreeMap::new(),
        Some(_) => return Err(format!("`{}` is no object", fields.labels)),
    };
    labels.extend(text(alert, &fields.severity)?.map(|severity| ("severity".to_owned(), severity)));
    // What tells alerts apart is nobody else's to say.
    labels.extend(known.into_iter().map(|(name, value)| (name.to_owned(), value)));
    labels.retain(|_, value| !value.is_empty());
    check_labels(&labels)?;
    let summary = text(alert, &fields.summary)?.map(|text| ("summary".to_owned(), text));
    Ok(Heard {
        name,
        server,
        fingerprint: Fingerprint::of(&identity).to_string(),
        state: if is_over { HeardState::Resolved } else { HeardState::Firing },
        started_ms: given_ms.unwrap_or(now_ms).min(now_ms),
        start_guessed: given_ms.is_none(),
        ended_ms: is_over.then_some(ended_ms),
        labels,
        annotations: cut_texts(summary.into_iter().collect()),
    })
}

/// The text at a place; none where there is nothing, or an empty one.
fn text(alert: &Value, pointer: &str) -> Result<Option<String>, String> {
    match alert.pointer(pointer).filter(|_| !pointer.is_empty()) {
        None | Some(Value::Null) => Ok(None),
        Some(value) => match plain(value) {
            Some(text) => Ok(Some(text).filter(|text| !text.is_empty())),
            None => Err(format!("`{pointer}` is no text")),
        },
    }
}

/// A text, a number or a yes or no as text.
fn plain(value: &Value) -> Option<String> {
    match value {
        Value::String(text) => Some(text.clone()),
        Value::Number(number) => Some(number.to_string()),
        Value::Bool(is_so) => Some(is_so.to_string()),
        _ => None,
    }
}

fn time(alert: &Value, pointer: &str) -> Result<Option<i64>, String> {
    match alert.pointer(pointer).filter(|_| !pointer.is_empty()) {
        None | Some(Value::Null) => Ok(None),
        Some(Value::String(text)) if text.is_empty() => Ok(None),
        Some(Value::String(text)) => moment(text),
        Some(Value::Number(number)) => {
            let number = number.as_f64().filter(|number| *number > 0.0);
            let ms = |number: f64| if number < MILLISECONDS_FROM { number * 1_000.0 } else { number };
            Ok(number.map(|number| ms(number) as i64))
        }
        Some(other) => Err(format!("`{}` is no time", clipped(&other.to_string(), 40))),
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The moment of the tests: 2026-01-01T00:00:00Z.
    const NOW_MS: i64 = 1_767_225_600_000;

    #[track_caller]
    fn check(body: &str, fields: &Fields, expect: &Expect) {
        let shown = match read(body.as_bytes(), fields, NOW_MS) {
            Err(error) => format!("error: {error}"),
            Ok(message) => {
                let line = |one: &Heard| {
                    let labels: Labels = one.labels.iter().collect();
                    let ended = one.ended_ms.map(|at_ms| format!(" to {}", at_ms - NOW_MS));
                    let ended = ended.unwrap_or_default();
                    let start = one.started_ms - NOW_MS;
                    format!(
                        "{:?} {labels} {} from {start}{ended} {:?}",
                        one.state, one.fingerprint, one.annotations
                    )
                };
                message.alerts.iter().map(line).chain(message.refused).collect::<Vec<_>>().join("\n")
            }
        };
        expect.assert_eq(&shown);
    }

    #[test]
    fn one_several_and_none() {
        let fields = Fields::default();
        check(
            r#"{"name":"A","server":"a"}"#,
            &fields,
            &expect![[r#"Firing {alertname="A",server_name="a"} 4a6dcd0a16bcc447 from 0 {}"#]],
        );
        check(
            r#"{"alerts":[{"name":"A","server":"a","severity":"critical","id":7,"summary":"no\nanswer","starts_at":"2025-12-31T23:59:00Z","labels":{"team":"x","alertname":"forged","deep":{}}},
               {"name":"A","server":"a","id":"7","status":"OK","ends_at":1767225599}]}"#,
            &fields,
            &expect![[r#"
                Firing {alertname="A",id="7",server_name="a",severity="critical",team="x"} bdb164e5a92c888d from -60000 {"summary": "no answer"}
                Resolved {alertname="A",id="7",server_name="a"} bdb164e5a92c888d from 0 to -1000 {}"#]],
        );
        check(
            r#"[{"name":"A"},{"server":"a"},{"name":["A"]},{"name":"A","starts_at":"soon"},{"name":"A","labels":[]}]"#,
            &fields,
            &expect![[r#"
            Firing {alertname="A"} d2c6efc389df0927 from 0 {}
            alert 2: it has no name at `/name`
            alert 3: `/name` is no text
            alert 4: `soon` is no time
            alert 5: `/labels` is no object"#]],
        );
        check("[]", &fields, &expect![[r#""#]]);
        check("7", &fields, &expect!["error: no alert, and no list of them"]);
        check(
            "{\"name\":",
            &fields,
            &expect!["error: no JSON: EOF while parsing a value at line 1 column 8"],
        );
        check(r#"{"alerts":{}}"#, &fields, &expect!["error: `/alerts` is no list"]);
    }

    #[test]
    fn the_configuration_says_where_what_is() {
        let text = str::to_owned;
        let fields = Fields {
            list: text("/payload/events"),
            name: text("/rule/title"),
            server: text("/tags/host"),
            status: text("/state"),
            resolved: vec![text("recovery")],
            starts_at: text("/at"),
            ..Fields::default()
        };
        check(
            r#"{"payload":{"events":[
               {"rule":{"title":"A"},"tags":{"host":"a"},"state":"alarm","at":1767225540000},
               {"rule":{"title":"A"},"tags":{"host":"a"},"state":"Recovery"}]}}"#,
            &fields,
            &expect![[r#"
                Firing {alertname="A",server_name="a"} 4a6dcd0a16bcc447 from -60000 {}
                Resolved {alertname="A",server_name="a"} 4a6dcd0a16bcc447 from 0 to 0 {}"#]],
        );
    }
}
