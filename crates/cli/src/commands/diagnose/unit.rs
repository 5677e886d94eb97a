//! Owns what systemd says of the unit of a server: how its last run ended.

use std::time::Duration;

use diagnosis::{Finding, Severity, kind};
use host::Subject;
use systemd::{SYSTEM_BUS, ServiceResult, Systemd, UnitName};

/// systemd answers in milliseconds, also while units hang; without it the look goes on.
const WITHIN: Duration = Duration::from_millis(500);

/// How the last run ended; nothing of a server without a unit, and where systemd says nothing.
pub(super) async fn result(subject: &Subject) -> Option<Finding> {
    let name: UnitName = subject.unit.as_deref()?.parse().ok()?;
    let systemd = Systemd::new(SYSTEM_BUS, WITHIN);
    let unit = tokio::time::timeout(WITHIN, systemd.unit(&name)).await.ok()?.ok()?;
    Some(finding(&subject.name, &name, &unit.result?))
}

fn finding(server: &str, name: &UnitName, result: &ServiceResult) -> Finding {
    let word = result.as_str();
    let severity = if *result == ServiceResult::Success { Severity::Info } else { Severity::Warning };
    let message = format!("so systemd says of the last run of {name}");
    Finding::new(kind::UNIT_RESULT, server).with_value(word).with_severity(severity).with_message(&message)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_was_no_success_is_a_warning_and_its_word_a_cause() {
        let name: UnitName = "mcp-server-notes.service".parse().unwrap();
        let of = |result| finding("notes", &name, &result);
        let killed = of(ServiceResult::OomKill);
        assert_eq!(killed.severity(), Severity::Warning);
        let ranked = diagnosis::rank(&[killed]);
        assert_eq!(diagnosis::named(&ranked).unwrap().cause.name(), "out_of_memory");
        let well = of(ServiceResult::Success);
        assert_eq!(well.severity(), Severity::Info);
        assert!(diagnosis::named(&diagnosis::rank(&[well])).is_none());
    }
}
