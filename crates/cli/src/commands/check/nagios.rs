//! Owns the answer of `check` to Nagios, Icinga and others: one line with words and numbers, and their exit codes.
//!
//! 0 is OK, 1 WARNING, 2 CRITICAL, 3 UNKNOWN; whatever else happens is UNKNOWN as well, on standard output.

use probe::{Health, Perfdata, Report};

use crate::fail::{Code, Failure};
use crate::show;

/// How many servers are named in the words: the line is read on small screens.
const NAMED_MAX: usize = 5;

/// How they say that something is so; the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum State {
    Ok,
    Warning,
    Unknown,
    Critical,
}

// === impl State ===

impl State {
    fn of(health: Health) -> Self {
        match health {
            Health::Healthy => Self::Ok,
            Health::Degraded => Self::Warning,
            Health::Unhealthy => Self::Critical,
            Health::Unknown => Self::Unknown,
        }
    }

    fn name(self) -> &'static str {
        match self {
            Self::Ok => "OK",
            Self::Warning => "WARNING",
            Self::Unknown => "UNKNOWN",
            Self::Critical => "CRITICAL",
        }
    }

    /// Our codes have other names for these numbers.
    fn code(self) -> Code {
        match self {
            Self::Ok => Code::Done,
            Self::Warning => Code::No,
            Self::Critical => Code::Usage,
            Self::Unknown => Code::Unreachable,
        }
    }
}

/// Prints the line for what was found, or why nothing was.
pub(super) fn answer(found: Result<&[Report], &Failure>, timeout_ms: i64) -> Code {
    let (state, line) = match found {
        Ok(reports) => line(reports, timeout_ms),
        Err(failure) => (State::Unknown, format!("MCP UNKNOWN - {}", words(&failure.to_string()))),
    };
    show::line(&line);
    state.code()
}

fn line(reports: &[Report], timeout_ms: i64) -> (State, String) {
    let Some(worst) = reports.iter().map(|report| State::of(report.health)).max() else {
        return (State::Unknown, "MCP UNKNOWN - no server is configured".to_owned());
    };
    let troubled = reports.iter().filter(|report| State::of(report.health) != State::Ok);
    let mut troubled: Vec<&Report> = troubled.collect();
    troubled.sort_by_key(|report| std::cmp::Reverse(State::of(report.health)));
    let names: Vec<String> = troubled
        .iter()
        .take(NAMED_MAX)
        .map(|one| format!("{} {}: {}", one.target, one.check, words(&one.reason)))
        .collect();
    let rest = troubled.len().saturating_sub(NAMED_MAX);
    let rest = if rest > 0 { format!(", and {rest} more") } else { String::new() };
    let well = reports.len() - troubled.len();
    let said = if names.is_empty() {
        format!("{well} of {} well", reports.len())
    } else {
        format!("{well} of {} well; {}{rest}", reports.len(), names.join(", "))
    };
    let times = reports.iter().map(|report| {
        let label = quoted(&format!("{} {}", report.target, report.check));
        format!("{label}={:.6}s;;{:.3};0", report.duration_ms / 1e3, timeout_ms as f64 / 1e3)
    });
    let measured = reports.iter().flat_map(|report| {
        report.dependencies.iter().flat_map(move |one| {
            one.perfdata.iter().map(move |number| measured(&report.target, &one.name, number))
        })
    });
    let numbers: Vec<String> = times.chain(measured).collect();
    (worst, format!("MCP {} - {said} | {}", worst.name(), numbers.join(" ")))
}

fn measured(server: &str, check: &str, number: &Perfdata) -> String {
    let unit = match number.unit.as_str() {
        "seconds" => "s",
        "bytes" => "B",
        "percent" => "%",
        "count" => "c",
        _ => "",
    };
    format!("{}={}{unit}", quoted(&format!("{server} {check} {}", number.label)), number.value)
}

/// Words of a line: a `|` would begin the numbers.
fn words(text: &str) -> String {
    text.chars().map(|letter| if letter == '|' || letter.is_control() { ' ' } else { letter }).collect()
}

/// A label: no `=`, and a quote is two.
fn quoted(label: &str) -> String {
    format!("'{}'", words(label).replace('=', "_").replace('\'', "''"))
}

#[cfg(test)]
mod tests {
    use probe::CheckType;

    use super::*;

    fn report(target: &str, health: Health, reason: &str) -> Report {
        Report {
            target: target.to_owned(),
            check: CheckType::Liveness,
            health,
            reason: reason.to_owned(),
            duration_ms: 12.5,
            dependencies: Vec::new(),
            requests: Vec::new(),
        }
    }

    #[track_caller]
    fn check(reports: &[Report], code: u8, expect: &str) {
        let (state, line) = line(reports, 3_000);
        assert_eq!((state.code() as u8, line.as_str()), (code, expect));
    }

    #[test]
    fn the_line_and_its_code() {
        let well = report("a", Health::Healthy, "it answers");
        check(std::slice::from_ref(&well), 0, "MCP OK - 1 of 1 well | 'a liveness'=0.012500s;;3.000;0");
        check(
            &[
                well.clone(),
                report("b", Health::Degraded, "slow"),
                report("c'=|", Health::Unhealthy, "no\nanswer | x"),
            ],
            2,
            "MCP CRITICAL - 1 of 3 well; c'=| liveness: no answer   x, b liveness: slow | 'a liveness'=0.012500s;;3.000;0 'b liveness'=0.012500s;;3.000;0 'c''_  liveness'=0.012500s;;3.000;0",
        );
        check(
            &[report("b", Health::Degraded, "slow")],
            1,
            "MCP WARNING - 0 of 1 well; b liveness: slow | 'b liveness'=0.012500s;;3.000;0",
        );
        check(
            &[well, report("d", Health::Unknown, "no address")],
            3,
            "MCP UNKNOWN - 1 of 2 well; d liveness: no address | 'a liveness'=0.012500s;;3.000;0 'd liveness'=0.012500s;;3.000;0",
        );
        check(&[], 3, "MCP UNKNOWN - no server is configured");
    }
}
