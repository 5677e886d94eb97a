//! Owns the words for what became of the trouble: who joined, what came back, what was merged, and what was kept quiet.

use super::model::TroubleReport;
use crate::fold::{Incident, Tracked};
use crate::record::Record;

/// One line on a record about it.
pub(super) fn line(record: &Record) -> Option<String> {
    Some(match record {
        Record::SeenAgain { alarm } => format!("seen again: {}", alarm.summary),
        Record::AlertResolved {} => "the alert no longer fires".to_owned(),
        Record::Joined { server, alarm, reason } => {
            format!("{server} joins: {reason} ({})", alarm.summary)
        }
        Record::AlertOver { server, alert, .. } => format!("{alert} no longer fires for {server}"),
        Record::Reopened { alarm, flapping: None } => format!("back, and opened again: {}", alarm.summary),
        Record::Reopened { alarm, flapping: Some(reason) } => {
            format!("back, and opened again: {}; {reason}", alarm.summary)
        }
        Record::FlappingEnded { reason } => format!("it no longer counts as flapping: {reason}"),
        Record::Merged { into, reason } => format!("merged into {into}, which goes on for both: {reason}"),
        Record::Absorbed { from, reason, .. } => format!("goes on for {from} too: {reason}"),
        Record::Inhibited { alert, by } => {
            let server =
                alert.labels.get("server_name").map(|name| format!(" of {name}")).unwrap_or_default();
            format!("{}{server} fires as well, and says nothing new beside {by}", alert.name)
        }
        _ => return None,
    })
}

/// Its alerts, where it is about several servers.
pub(super) fn troubles(incident: &Incident) -> Vec<TroubleReport> {
    if incident.members().next().is_none() {
        return Vec::new();
    }
    let trouble = |alert: &Tracked| TroubleReport {
        server: alert.server.clone(),
        alert: alert.name.clone(),
        over: alert.is_over,
    };
    incident.alerts.values().map(trouble).collect()
}

/// What a reader has to know of other incidents, as sentences.
pub(super) fn kin(incident: &Incident) -> Vec<String> {
    let mut sentences = Vec::new();
    if let Some(earlier) = &incident.earlier {
        sentences.push(format!("The same trouble was in incident {earlier} shortly before."));
    }
    let reopened =
        incident.timeline.iter().filter(|(_, record)| matches!(record, Record::Reopened { .. })).count();
    match reopened {
        0 => {}
        1 => sentences.push("It came back once after it was resolved.".to_owned()),
        n => sentences.push(format!("It came back {n} times after it was resolved.")),
    }
    if let Some(into) = &incident.merged_into {
        sentences.push(format!("It was merged into incident {into}, which goes on for both."));
    }
    sentences
        .extend(incident.absorbed.iter().map(|(from, _)| format!("Incident {from} was merged into it.")));
    sentences
}

#[cfg(test)]
mod tests {
    use crate::fold::Incident;
    use crate::id::IncidentId;
    use crate::record::{Alarm, AlertFacts, Record, RunbookPin, Source};
    use crate::report::Report;

    fn alarm(server: &str) -> Alarm {
        let alert = AlertFacts {
            name: "Needs".to_owned(),
            severity: "critical".to_owned(),
            labels: [("server_name".to_owned(), server.to_owned())].into(),
            fingerprint: format!("{server}-needs"),
            started_ms: 1,
        };
        let summary = format!("{server}: postgres does not answer");
        Alarm { source: Source::Rule, summary, alert: Some(alert), exit: None }
    }

    #[test]
    fn it_names_the_servers_and_the_other_incidents() {
        let over = |server: &str| Record::AlertOver {
            server: server.to_owned(),
            alert: "Needs".to_owned(),
            fingerprint: format!("{server}-needs"),
        };
        let records = [
            Record::Opened {
                server: "a".to_owned(),
                procedure: "needs".to_owned(),
                title: "Needs".to_owned(),
                alarm: alarm("a"),
                runbook: RunbookPin { name: "x.md".to_owned(), sha256: "ab".to_owned() },
                response_time_ms: None,
                dependency: Some("postgres (tcp 10.0.0.1:5432)".to_owned()),
                earlier: Some("20260101-000000-0001".to_owned()),
            },
            Record::Joined {
                server: "b".to_owned(),
                alarm: alarm("b"),
                reason: "it needs it too".to_owned(),
            },
            over("a"),
            Record::Absorbed {
                from: "20260101-000000-0002".to_owned(),
                procedure: "slow".to_owned(),
                dependency: None,
                alerts: Vec::new(),
                reason: "both have the cause `database_down`".to_owned(),
            },
        ];
        let records = records.iter().map(|record| (5, record));
        let incident = Incident::fold(&IncidentId::new(5, 1), records).unwrap();
        let report = Report::of(&incident, None, &[], 9).markdown();
        for part in [
            "The same trouble was in incident 20260101-000000-0001 shortly before.",
            "Incident 20260101-000000-0002 was merged into it.",
            "All of them need postgres (tcp 10.0.0.1:5432). The procedure was followed for a.",
            "| a | Needs | over |",
            "| b | Needs | fires |",
            "b joins: it needs it too (b: postgres does not answer)",
            "Needs no longer fires for a",
        ] {
            assert!(report.contains(part), "{part}\n{report}");
        }
    }
}
