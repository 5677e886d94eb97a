//! Owns reading an incident: what its journal says happened, in the words that tests ask in.

use std::fmt;

use incident::{Alarm, Record, UnitEnd, describe};
use server::api::wire::{Detail, Happened};

/// An incident's timeline.
#[derive(Debug)]
pub(crate) struct Story {
    detail: Detail,
}

impl Story {
    pub(crate) fn new(detail: Detail) -> Self {
        Self { detail }
    }

    pub(crate) fn id(&self) -> &str {
        self.detail.id.as_str()
    }

    pub(crate) fn timeline(&self) -> &[Happened] {
        &self.detail.timeline
    }

    pub(crate) fn has(&self, is: impl Fn(&Record) -> bool) -> bool {
        self.count(is) > 0
    }

    pub(crate) fn count(&self, is: impl Fn(&Record) -> bool) -> usize {
        self.timeline().iter().filter(|happened| is(&happened.record)).count()
    }

    /// When the only such thing happened.
    #[track_caller]
    pub(crate) fn when(&self, is: impl Fn(&Record) -> bool) -> i64 {
        let times: Vec<i64> =
            self.timeline().iter().filter(|happened| is(&happened.record)).map(|one| one.at_ms).collect();
        assert_eq!(times.len(), 1, "{self}");
        times[0]
    }

    /// Why it was opened.
    #[track_caller]
    pub(crate) fn alarm(&self) -> &Alarm {
        match &self.timeline()[0].record {
            Record::Opened { alarm, .. } => alarm,
            other => panic!("it does not begin with its opening but with {other:?}"),
        }
    }

    /// How often its server was restarted.
    pub(crate) fn restarts(&self) -> usize {
        self.count(|record| matches!(record, Record::Restarted { problem: None, .. }))
    }

    /// Whether its report was written since it was opened, the last time.
    pub(crate) fn is_reported(&self) -> bool {
        let records = self.timeline().iter().rev().map(|happened| &happened.record);
        let mut since = records.take_while(|record| !matches!(record, Record::Reopened { .. }));
        since.any(|record| matches!(record, Record::Reported { .. }))
    }

    pub(crate) fn person_needed(&self) -> Option<&str> {
        self.timeline().iter().find_map(|happened| match &happened.record {
            Record::PersonNeeded { reason } => Some(reason.as_str()),
            _ => None,
        })
    }

    /// Why the unit was not run, each time that it was not.
    pub(crate) fn skipped<'a>(&'a self, name: &str) -> Vec<&'a str> {
        let reason = |happened: &'a Happened| match &happened.record {
            Record::UnitSkipped { unit, reason, .. } if unit.unit == name => Some(reason.as_str()),
            _ => None,
        };
        self.timeline().iter().filter_map(reason).collect()
    }
}

impl fmt::Display for Story {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut lines = self.timeline().iter().filter_map(|one| Some((one.at_ms, describe(&one.record)?)));
        lines.try_for_each(|(at_ms, line)| writeln!(f, "{at_ms} {line}"))
    }
}

/// Whether a record is the intent to run this unit.
pub(crate) fn is_intent(record: &Record, name: &str) -> bool {
    matches!(record, Record::Intent { unit, .. } if unit.unit == name)
}

/// Whether a record says that this unit did what it was to do.
pub(crate) fn is_success(record: &Record, name: &str) -> bool {
    matches!(
        record,
        Record::Outcome { unit, end: UnitEnd::Exited { code: 0 } | UnitEnd::DoneByEvidence { .. }, .. }
            if unit.unit == name
    )
}
