//! Owns the messages of Alertmanager: its webhook in version 4, and the alerts of its API in version 2.
//!
//! Source: <https://prometheus.io/docs/alerting/latest/configuration/#webhook_config>.

use std::collections::BTreeMap;

use incident::{Heard, HeardState};
use metrics::{ALERT_NAME, Fingerprint, Labels};
use serde::Deserialize;
use serde_json::Value;

use super::{ALERTS_MAX, Message, NotMessage, check_labels, clipped, cut_texts, moment};

/// The version that is understood. A template of one's own in the place of the message has none.
const VERSION: &str = "4";

/// The label that names a server.
const SERVER_LABEL: &str = "server_name";

/// What a webhook of Alertmanager is sent.
#[derive(Debug, Clone, Deserialize)]
pub(crate) struct Payload {
    version: String,
    /// How many alerts it left out.
    #[serde(rename = "truncatedAlerts", default)]
    pub(crate) left_out: u64,
    #[serde(default)]
    pub(crate) receiver: String,
    #[serde(rename = "groupLabels", default)]
    pub(crate) group_labels: BTreeMap<String, String>,
    alerts: Vec<Value>,
}

/// An alert of a message. Those of the API have no `status` that is a text.
#[derive(Deserialize)]
struct Alert {
    #[serde(default)]
    status: Value,
    labels: BTreeMap<String, String>,
    #[serde(default)]
    annotations: BTreeMap<String, String>,
    #[serde(rename = "startsAt")]
    starts_at: String,
    #[serde(rename = "endsAt", default)]
    ends_at: Option<String>,
}

// === impl Payload ===

impl Payload {
    /// Reads a message.
    ///
    /// # Errors
    /// Where it is no JSON, or not of version 4.
    pub(crate) fn read(body: &[u8]) -> Result<Self, NotMessage> {
        let wrong = |error: serde_json::Error| NotMessage(format!("no message of Alertmanager: {error}"));
        let payload: Self = serde_json::from_slice(body).map_err(wrong)?;
        if payload.version != VERSION {
            let version = clipped(&payload.version, 20);
            return Err(NotMessage(format!("a message of version `{version}`; `{VERSION}` is understood")));
        }
        if payload.alerts.len() > ALERTS_MAX {
            let count = payload.alerts.len();
            return Err(NotMessage(format!("{count} alerts in one message; {ALERTS_MAX} are the most")));
        }
        Ok(payload)
    }

    /// What it says of its alerts, at `now_ms`.
    pub(crate) fn message(self, now_ms: i64) -> Message {
        message(self.alerts, now_ms)
    }
}

/// What the API says of alerts that fire.
///
/// # Errors
/// Where it is no list.
pub(crate) fn of_api(body: &[u8], now_ms: i64) -> Result<Message, NotMessage> {
    let alerts: Vec<Value> =
        serde_json::from_slice(body).map_err(|error| NotMessage(format!("no list of alerts: {error}")))?;
    Ok(message(alerts, now_ms))
}

fn message(alerts: Vec<Value>, now_ms: i64) -> Message {
    let mut message = Message::default();
    for (number, alert) in (1..).zip(alerts) {
        match heard(alert, now_ms) {
            Ok(heard) => message.alerts.push(heard),
            Err(reason) => message.refused.push(format!("alert {number}: {reason}")),
        }
    }
    message
}

fn heard(alert: Value, now_ms: i64) -> Result<Heard, String> {
    let alert: Alert = serde_json::from_value(alert).map_err(|error| error.to_string())?;
    check_labels(&alert.labels)?;
    let label = |name: &str| alert.labels.get(name).filter(|value| !value.is_empty());
    let name = label(ALERT_NAME).ok_or_else(|| format!("it has no label `{ALERT_NAME}`"))?.clone();
    let server = label(SERVER_LABEL).cloned().unwrap_or_default();
    let given_ms = moment(&alert.starts_at)?;
    let (started_ms, start_guessed) = (given_ms.unwrap_or(now_ms).min(now_ms), given_ms.is_none());
    let ended_ms = alert.ends_at.as_deref().map(moment).transpose()?.flatten();
    let state = match alert.status.as_str() {
        Some("resolved") => HeardState::Resolved,
        Some("firing") => HeardState::Firing,
        Some(other) => return Err(format!("`{}` is no status", clipped(other, 20))),
        // That of the API says who silences it.
        None => HeardState::Firing,
    };
    let ended_ms = (state == HeardState::Resolved).then(|| ended_ms.unwrap_or(now_ms).min(now_ms));
    // Its own is the same, and nobody has to believe it.
    let fingerprint = Fingerprint::of(&alert.labels.iter().collect::<Labels>()).to_string();
    let annotations = cut_texts(alert.annotations);
    let labels = alert.labels;
    Ok(Heard { name, server, fingerprint, state, started_ms, start_guessed, ended_ms, labels, annotations })
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    use super::*;

    /// The moment of the tests: 2026-01-01T00:00:00Z.
    const NOW_MS: i64 = 1_767_225_600_000;

    #[track_caller]
    fn check(body: &str, expect: &Expect) {
        let shown = match Payload::read(body.as_bytes()) {
            Err(error) => format!("error: {error}"),
            Ok(payload) => {
                let left_out = payload.left_out;
                let message = payload.message(NOW_MS);
                let line = |one: &Heard| {
                    let Heard { name, server, fingerprint, state, started_ms, ended_ms, .. } = one;
                    let ended = ended_ms.map(|at_ms| (at_ms - NOW_MS).to_string()).unwrap_or_default();
                    format!("{state:?} {name} {server} {fingerprint} {} {ended}", started_ms - NOW_MS)
                };
                let lines = message.alerts.iter().map(line).chain(message.refused);
                let lines = lines.map(|line| line.trim_end().to_owned());
                format!("{left_out} left out\n{}", lines.collect::<Vec<_>>().join("\n"))
            }
        };
        expect.assert_eq(&shown);
    }

    #[test]
    fn what_alertmanager_sends() {
        check(
            r#"{"version":"4","groupKey":"{}:{}","truncatedAlerts":2,"status":"firing","receiver":"paramedic",
                "groupLabels":{"alertname":"MCPServerDown"},"externalURL":"http://am:9093","alerts":[
                {"status":"firing","labels":{"alertname":"MCPServerDown","server_name":"mem"},"annotations":{},
                 "startsAt":"2025-12-31T23:59:00.5Z","endsAt":"0001-01-01T00:00:00Z","generatorURL":"","fingerprint":"d0387d3da083d109"},
                {"status":"resolved","labels":{"alertname":"B"},"startsAt":"2025-12-31T23:00:00Z","endsAt":"2025-12-31T23:59:59Z"}]}"#,
            &expect![[r#"
                2 left out
                Firing MCPServerDown mem d0387d3da083d109 -59500
                Resolved B  d2c2efc389db2050 -3600000 -1000"#]],
        );
    }

    #[test]
    fn what_is_wrong_is_named_and_harms_no_other() {
        let of = |alerts: &str| format!(r#"{{"version":"4","alerts":[{alerts}]}}"#);
        let fine = r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2025-12-31T23:59:00Z"}"#;
        check(
            &format!(r#"{{"version":"5","alerts":[{fine}]}}"#),
            &expect!["error: a message of version `5`; `4` is understood"],
        );
        check(
            r#"{"version":"4","alerts":[{"status":"fi"#,
            &expect!["error: no message of Alertmanager: EOF while parsing a string at line 1 column 38"],
        );
        check(
            "[]",
            &expect![
                "error: no message of Alertmanager: invalid length 0, expected struct Payload with 5 elements at line 1 column 2"
            ],
        );
        let long = "x".repeat(3_000);
        let bad = [
            r#"{"status":"firing","labels":{"severity":"x"},"startsAt":"2025-12-31T23:59:00Z"}"#.to_owned(),
            r#"{"status":"firing","labels":{"alertname":""},"startsAt":"2025-12-31T23:59:00Z"}"#.to_owned(),
            r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"yesterday"}"#.to_owned(),
            r#"{"status":"perhaps","labels":{"alertname":"A"},"startsAt":"2025-12-31T23:59:00Z"}"#.to_owned(),
            r#"{"status":"firing","labels":{"alertname":1},"startsAt":"2025-12-31T23:59:00Z"}"#.to_owned(),
            r#"{"status":"firing","labels":{"alertname":"A","":"x"},"startsAt":"2025-12-31T23:59:00Z"}"#.to_owned(),
            r#"{"status":"firing","labels":{"alertname":"A","b":"\u0000"},"startsAt":"2025-12-31T23:59:00Z"}"#.to_owned(),
            format!(r#"{{"status":"firing","labels":{{"alertname":"{long}"}},"startsAt":"2025-12-31T23:59:00Z"}}"#),
            "7".to_owned(),
            fine.to_owned(),
        ];
        check(
            &of(&bad.join(",")),
            &expect![[r#"
                0 left out
                Firing A  d2c6efc389df0927 -60000
                alert 1: it has no label `alertname`
                alert 2: it has no label `alertname`
                alert 3: `yesterday` is no time
                alert 4: `perhaps` is no status
                alert 5: invalid type: integer `1`, expected a string
                alert 6: `` is no name of a label
                alert 7: the label `b` holds a NUL
                alert 8: the label `alertname` has 3000 bytes, and 2048 are the most
                alert 9: invalid type: integer `7`, expected struct Alert"#]],
        );
        // A clock that is ahead keeps nobody out later.
        check(
            &of(r#"{"status":"firing","labels":{"alertname":"A"},"startsAt":"2999-12-31T23:59:00Z"}"#),
            &expect![[r#"
                0 left out
                Firing A  d2c6efc389df0927 0"#]],
        );
    }
}
