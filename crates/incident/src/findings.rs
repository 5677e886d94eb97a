//! Owns what is found without running anything: in how a process ended, and in its last words.

use diagnosis::{Finding, Severity, kind, log_error};

use crate::record::{Alarm, ExitFacts};

/// Returns what an alarm says by itself about a server.
pub(crate) fn of_alarm(server: &str, alarm: &Alarm) -> Vec<Finding> {
    alarm.exit.as_ref().map(|exit| findings_of_exit(server, exit)).unwrap_or_default()
}

/// Returns what the end of a process says about its server.
pub fn findings_of_exit(server: &str, exit: &ExitFacts) -> Vec<Finding> {
    let mut found = Vec::new();
    let how = &exit.reason;
    let ending = how.strip_prefix("killed by ").or_else(|| how.strip_prefix("exited with "));
    if let Some(out_of_memory) = &exit.out_of_memory {
        let finding = Finding::new(kind::OOM_KILL, server).with_value(out_of_memory.kills);
        found.push(finding.with_severity(Severity::Critical).with_message(&out_of_memory.to_string()));
    }
    match ending.map(first) {
        Some(ending) => found.push(Finding::new(kind::PROCESS_EXIT, server).with_value(ending)),
        None => found.extend(of_failed_start(server, &exit.reason)),
    }
    // Nothing stands for what nobody has measured.
    let soon = exit.uptime_ms.filter(|uptime_ms| ending.is_some() && *uptime_ms > 0);
    if let Some(uptime_ms) = soon {
        found.push(Finding::new(kind::EXIT_SOON, server).with_value(uptime_ms as f64 / 1000.0));
    }
    if let Some((class, idx)) = log_error(&exit.stderr) {
        let finding = Finding::new(kind::LOG_ERROR, server).with_value(class);
        found.push(finding.with_message(&exit.stderr[idx]));
    }
    found
}

/// How it ended, without when and why.
fn first(ending: &str) -> &str {
    let ending = ending.split_once(" before ").map_or(ending, |(first, _)| first);
    ending.split_once(':').map_or(ending, |(first, _)| first)
}

fn of_failed_start(server: &str, reason: &str) -> Option<Finding> {
    let text = reason.to_lowercase();
    let class = [
        ("not_found", "no such file"),
        ("not_found", "not found"),
        ("permission", "permission denied"),
        ("address_in_use", "address already in use"),
    ];
    let (class, _) = class.into_iter().find(|(_, needle)| text.contains(needle))?;
    Some(Finding::new(kind::START_FAILED, server).with_value(class).with_message(reason))
}

#[cfg(test)]
mod tests {
    use process::control::OutOfMemory;

    use super::*;
    use crate::record::Source;

    #[track_caller]
    fn check(reason: &str, stderr: &[&str], expect: &[&str]) {
        let stderr = stderr.iter().map(|line| (*line).to_owned()).collect();
        let limit_bytes = Some(64 << 20);
        let out_of_memory = reason.contains("no memory").then_some(OutOfMemory { limit_bytes, kills: 1 });
        let reason = reason.to_owned();
        let exit = ExitFacts {
            pid: Some(1),
            reason: reason.clone(),
            at_ms: 0,
            uptime_ms: None,
            stderr,
            out_of_memory,
        };
        let alarm = Alarm { source: Source::Exit, summary: String::new(), alert: None, exit: Some(exit) };
        let found: Vec<String> = of_alarm("time", &alarm)
            .iter()
            .map(|finding| {
                format!("{}={}", finding.kind(), finding.value().map(ToString::to_string).unwrap_or_default())
            })
            .collect();
        assert_eq!(found, expect, "{reason}");
    }

    #[test]
    fn an_end_and_its_last_words_are_findings() {
        check("killed by SIGKILL", &[], &["process_exit=SIGKILL"]);
        check("exited with code 3 before it answered `initialize`", &[], &["process_exit=code 3"]);
        check(
            "killed by SIGKILL before it answered `initialize`: the kernel had no memory left for it",
            &[],
            &["oom_kill=1", "process_exit=SIGKILL"],
        );
        check(
            "exited with code 1",
            &["x", "Error: listen EADDRINUSE"],
            &["process_exit=code 1", "log_error=address_in_use"],
        );
        check(
            "exited with code 1",
            &["thread 'main' panicked at x"],
            &["process_exit=code 1", "log_error=unhandled"],
        );
        check("could not be started: No such file or directory", &[], &["start_failed=not_found"]);
        check("could not be started: it is odd", &[], &[]);
    }
}
