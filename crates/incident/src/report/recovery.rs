//! Owns the part of a report about data that were damaged and put back: what the original runbook left to be filled in.

use diagnosis::{Finding, kind};

use super::document::Block;
use super::model::{DataRecovery, Report};
use super::text::{duration, time};
use crate::clocks::Clocks;
use crate::fold::Incident;
use crate::record::Record;

/// So many damaged files are named.
const NAMED_MAX: usize = 20;

/// What was found of damaged data and of their restore; nothing where there is none of that.
pub(super) fn of(incident: &Incident, clocks: &Clocks) -> Option<DataRecovery> {
    let of_kind =
        |kind: diagnosis::Kind| incident.findings.values().filter(move |one| one.kind() == kind.name);
    let words = |kind| of_kind(kind).next().map(|one: &Finding| one.message().to_owned());
    let value = |kind| of_kind(kind).next().and_then(Finding::value).map(ToString::to_string);
    let damaged: Vec<String> =
        of_kind(kind::DATA_DAMAGED).map(|one| format!("{}: {}", one.subject(), one.message())).collect();
    let backup = value(kind::DATA_RESTORED);
    if damaged.is_empty() && backup.is_none() && words(kind::DATA_SINCE).is_none() {
        return None;
    }
    let restored_ms = incident.timeline.iter().rev().find_map(|(at_ms, record)| match record {
        Record::Found { findings, .. } => {
            findings.iter().any(|one| one.kind() == kind::DATA_RESTORED.name).then_some(*at_ms)
        }
        _ => None,
    });
    Some(DataRecovery {
        detected_ms: clocks.detected_ms,
        since: words(kind::DATA_SINCE),
        more_damaged: damaged.len().saturating_sub(NAMED_MAX) as u64,
        damaged: damaged.into_iter().take(NAMED_MAX).collect(),
        backup,
        restored: words(kind::DATA_RESTORED),
        loss: words(kind::DATA_LOSS),
        restored_ms,
        recovered_ms: clocks.mitigated_ms.filter(|_| restored_ms.is_some()),
    })
}

/// What the recovery report of the original runbook asks for.
pub(super) fn data(out: &mut Vec<Block>, report: &Report) {
    let Some(data) = &report.data else { return };
    let unknown = || "not found out".to_owned();
    let after = |at_ms: i64| {
        let took = u64::try_from(at_ms.saturating_sub(data.detected_ms)).unwrap_or(0);
        format!("{} after it was detected, at {}", duration(took), time(at_ms))
    };
    let recovery = match (data.recovered_ms, data.restored_ms) {
        (Some(at_ms), _) => after(at_ms),
        (None, Some(at_ms)) => format!("not verified yet; the data were back {}", after(at_ms)),
        (None, None) => "nothing was put back yet".to_owned(),
    };
    out.push(Block::Heading(2, "Data recovery".to_owned()));
    let rows = [
        ("Detected", time(data.detected_ms)),
        ("Damaged", data.since.clone().unwrap_or_else(unknown)),
        ("Backup used", data.backup.clone().unwrap_or_else(|| "none".to_owned())),
        ("What was put back", data.restored.clone().unwrap_or_else(|| "nothing".to_owned())),
        ("Data loss", data.loss.clone().unwrap_or_else(unknown)),
        ("Recovery time", recovery),
    ];
    out.push(Block::Table(
        Vec::new(),
        rows.into_iter().map(|(name, value)| vec![name.to_owned(), value]).collect(),
    ));
    if !data.damaged.is_empty() {
        let mut files = data.damaged.clone();
        if data.more_damaged > 0 {
            files.push(format!("and {} more", data.more_damaged));
        }
        out.push(Block::List(files));
    }
}
