//! Owns what an answer says, as findings.

use diagnosis::{Finding, Severity, kind};

use crate::report::{CheckType, Report, Request};
use crate::target::{Check, Criticality, Target};

/// How a dependency answered, by what stands in the reason; the first that fits counts.
const ANSWERS: [(&str, &[&str]); 11] = [
    ("no_connections", &["no connection left"]),
    ("locked", &["transactions wait for"]),
    ("dns", &["the name `"]),
    ("certificate", &["certificate"]),
    ("unauthorized", &["http 401", "http 403"]),
    ("rate_limited", &["http 429"]),
    ("server_error", &["http 5", "the database refuses", "the database broke off"]),
    ("refused", &["refused"]),
    ("timeout", &["no answer within", "timed out"]),
    ("dns", &["name", "resolve", "lookup"]),
    ("unreachable", &["unreachable", "no route"]),
];

/// What a guard says of a server that runs and answers nothing, whatever the status code beside it, and the state of its
/// process then.
const SILENT: [(&str, &str); 2] =
    [("is stopped (SIGSTOP)", "stopped"), ("the server does not answer", "running")];

/// Returns what a report says about a server and what it needs.
pub fn findings(target: &Target, report: &Report) -> Vec<Finding> {
    let mut found = Vec::new();
    if report.check == CheckType::Liveness {
        let (value, state) = if report.health.is_well() { ("ok", None) } else { silence(&report.reason) };
        let about = |kind| Finding::new(kind, &report.target).with_message(&report.reason);
        found.push(about(kind::LIVENESS).with_value(value));
        found.extend(state.map(|state| about(kind::PROCESS_STATE).with_value(state)));
        found.extend(asked(report));
    }
    for one in &report.dependencies {
        let severity = match one.critical {
            Criticality::Critical => Severity::Critical,
            Criticality::Optional => Severity::Info,
        };
        let check = target.dependencies.iter().find(|known| known.name == one.name).map(|known| &known.check);
        let value = match (one.health.is_well(), check) {
            (true, _) => "ok",
            (false, Some(Check::File { .. } | Check::Process { .. } | Check::Env { .. })) => "missing",
            (false, _) => answer(&one.reason),
        };
        let finding = Finding::new(kind::DEPENDENCY, &one.name).with_value(value).with_severity(severity);
        found.push(finding.with_message(&one.reason));
        if let Some(check) = check {
            found.push(Finding::new(kind::DEPENDENCY_KIND, &one.name).with_value(kind_of(check)));
        }
    }
    found
}

/// How long the requests took that were made to find out.
fn asked(report: &Report) -> Option<Finding> {
    let last = report.requests.last().filter(|request| request.succeeded)?;
    let took = |request: &Request| format!("{} {:.1} ms", request.method, request.duration_ms);
    let message = report.requests.iter().map(took).collect::<Vec<_>>().join(", ");
    let seconds = (last.duration_ms * 10.0).round() / 1e4;
    Some(Finding::new(kind::FIRST_BYTE_SECONDS, &report.target).with_value(seconds).with_message(&message))
}

/// How a server does not answer, and the state of its process where its guard has looked.
fn silence(reason: &str) -> (&str, Option<&'static str>) {
    let looked = SILENT.iter().find(|(words, _)| reason.contains(words));
    looked.map_or_else(|| (answer(reason), None), |(_, state)| ("timeout", Some(*state)))
}

/// A word of the catalogue, or the reason itself.
fn answer(reason: &str) -> &str {
    let text = reason.to_lowercase();
    let fits = |needles: &[&str]| needles.iter().any(|needle| text.contains(needle));
    ANSWERS.iter().find(|(_, needles)| fits(needles)).map_or(reason, |(word, _)| word)
}

fn kind_of(check: &Check) -> &'static str {
    match check {
        Check::Http { .. } => "http",
        Check::Tcp { .. } => "tcp",
        Check::Postgres { .. } => "postgres",
        Check::Process { .. } => "process",
        Check::File { .. } => "file",
        Check::Env { .. } => "env",
        Check::Nagios { .. } => "nagios",
    }
}

#[cfg(test)]
mod tests {
    #[test]
    fn reasons_become_words_of_the_catalogue() {
        for (reason, expect) in [
            ("connection refused", "refused"),
            ("no answer within 5000 ms", "timeout"),
            ("HTTP 401", "unauthorized"),
            ("HTTP 429", "rate_limited"),
            ("HTTP 503", "server_error"),
            ("HTTP 404", "HTTP 404"),
            ("invalid peer certificate: expired", "certificate"),
            ("the name `a.b` was not resolved: no answer within 3000 ms", "dns"),
        ] {
            assert_eq!(super::silence(reason), (expect, None));
        }
    }

    #[test]
    fn what_a_guard_has_seen_counts_for_more_than_its_status_code() {
        for (reason, state) in [
            ("process 7 is stopped (SIGSTOP): alive, and answering nothing (HTTP 503)", "stopped"),
            ("the server does not answer `ping` within 2 s (HTTP 503)", "running"),
            ("the server does not answer within 2 s (HTTP 503)", "running"),
        ] {
            assert_eq!(super::silence(reason), ("timeout", Some(state)));
        }
    }
}
