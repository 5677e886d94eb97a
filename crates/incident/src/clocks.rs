//! Owns the clocks of an incident: how long it took to detect, acknowledge, diagnose, mitigate and resolve it.

use crate::fold::Incident;
use crate::record::Record;

/// The clocks of one incident. All run from the first sign of trouble; one that has not stopped yet is `None`.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Clocks {
    /// The first sign of trouble, in milliseconds since the Unix epoch.
    pub began_ms: i64,
    /// Until the incident was opened.
    pub detect_ms: u64,
    /// Until somebody, or the runbook's own step, took notice.
    pub acknowledge_ms: Option<u64>,
    /// Until a cause was named first; where none was, until the procedure was begun.
    pub diagnose_ms: Option<u64>,
    /// Until service was back and verified; it runs on where the trouble comes back.
    pub mitigate_ms: Option<u64>,
    /// Until the alert was over as well.
    pub resolve_ms: Option<u64>,
}

// === impl Clocks ===

impl Clocks {
    /// Reads the clocks off the records.
    pub fn of(incident: &Incident) -> Self {
        let began_ms = began_ms(incident);
        // A clock that was set back meanwhile makes no negative time.
        let since = |at_ms: i64| u64::try_from(at_ms - began_ms).unwrap_or(0);
        let first = |is: fn(&Record) -> bool| {
            incident.timeline.iter().find(|(_, record)| is(record)).map(|(at_ms, _)| *at_ms)
        };
        let named = first(|record| matches!(record, Record::CauseNamed { cause: Some(_), .. }));
        let begun = || first(|record| matches!(record, Record::RunStarted { .. }));
        Self {
            began_ms,
            detect_ms: since(incident.opened_ms),
            acknowledge_ms: incident.acknowledged.as_ref().map(|(at_ms, _)| since(*at_ms)),
            diagnose_ms: named.or_else(begun).map(since),
            mitigate_ms: incident.mitigated_ms.map(since),
            resolve_ms: incident.resolved_ms.map(since),
        }
    }
}

/// When the trouble began, as far as is known: the end of the process, or the first bad sample.
pub(crate) fn began_ms(incident: &Incident) -> i64 {
    let exit = incident.alarm.exit.as_ref().map(|exit| exit.at_ms);
    let alert = incident.alarm.alert.as_ref().map(|alert| alert.started_ms);
    exit.into_iter().chain(alert).min().unwrap_or(incident.opened_ms).min(incident.opened_ms)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::id::IncidentId;
    use crate::record::{Alarm, ExitFacts, RunbookPin, Source};

    fn opened(exit_ms: Option<i64>) -> Record {
        let exit = |at_ms| ExitFacts { pid: None, reason: "code 1".to_owned(), at_ms, stderr: Vec::new() };
        Record::Opened {
            server: "time".to_owned(),
            procedure: "down".to_owned(),
            title: "Down".to_owned(),
            alarm: Alarm {
                source: Source::Exit,
                summary: "down".to_owned(),
                alert: None,
                exit: exit_ms.map(exit),
            },
            runbook: RunbookPin { name: "down.md".to_owned(), sha256: "0".repeat(64) },
            response_time_ms: None,
        }
    }

    fn clocks(records: &[(i64, Record)]) -> [Option<u64>; 5] {
        let records = records.iter().map(|(at_ms, record)| (*at_ms, record));
        let incident = Incident::fold(&IncidentId::from_text("i"), records).unwrap();
        let clocks = Clocks::of(&incident);
        [
            Some(clocks.detect_ms),
            clocks.acknowledge_ms,
            clocks.diagnose_ms,
            clocks.mitigate_ms,
            clocks.resolve_ms,
        ]
    }

    #[test]
    fn from_the_first_sign_to_the_end() {
        let cause =
            |cause: Option<&str>| Record::CauseNamed { cause: cause.map(str::to_owned), why: Vec::new() };
        let mut records = vec![(1_000, opened(Some(900)))];
        assert_eq!(clocks(&records), [Some(100), None, None, None, None]);
        records.extend([
            (1_010, cause(None)),
            (1_020, Record::RunStarted { run: 1 }),
            (1_100, Record::Acknowledged { by: "ann".to_owned() }),
        ]);
        assert_eq!(clocks(&records), [Some(100), Some(200), Some(120), None, None]);
        records.extend([(1_200, cause(Some("disk_full"))), (1_300, Record::Mitigated {})]);
        assert_eq!(clocks(&records), [Some(100), Some(200), Some(300), Some(400), None]);
        // It comes back, and is mitigated anew.
        let alarm = Alarm { source: Source::Rule, summary: "again".to_owned(), alert: None, exit: None };
        records.extend([(1_400, Record::SeenAgain { alarm })]);
        assert_eq!(clocks(&records)[3], None);
        records.extend([(1_500, Record::Mitigated {}), (1_600, Record::Resolved {})]);
        assert_eq!(clocks(&records), [Some(100), Some(200), Some(300), Some(600), Some(700)]);
    }

    #[test]
    fn a_clock_that_was_set_back_makes_no_negative_time() {
        let records = [(1_000, opened(None)), (400, Record::Acknowledged { by: "ann".to_owned() })];
        assert_eq!(clocks(&records), [Some(0), Some(0), None, None, None]);
    }
}
