//! Owns how what many lines say together is shown, and the findings in it.

use std::collections::BTreeMap;

use ::logs::{Analysis, Cluster, Entry, Level, Report, SLOW_MS};
use diagnosis::{Finding, Severity, kind};

use crate::arguments::{Output, SearchArguments};
use crate::findings;
use crate::show::{self, harmless};

/// So many messages a summary shows, and an analysis.
const MESSAGES_SUMMARY: usize = 10;
const MESSAGES_ANALYSIS: usize = 30;

/// More errors among the lines are worth a word, as are calls that take longer than `SLOW_MS` on average.
const ERROR_RATIO: f64 = 0.1;

pub(super) fn run(entries: impl Iterator<Item = Entry>, arguments: &SearchArguments, output: Output) {
    let mut analysis = Analysis::default();
    entries.for_each(|entry| analysis.take(&entry));
    let report = analysis.report();
    if arguments.analyze
        && let Some(server) = &arguments.server
    {
        findings::note(&found(&report, server));
    }
    match output {
        Output::Json => show::json(&report),
        Output::Jsonl => show::json_line(&report),
        Output::Table => table(&report, arguments.analyze),
    }
}

/// What a log says of its server, in the kinds that the rules read.
fn found(report: &Report, server: &str) -> Vec<Finding> {
    let mut found: Vec<_> = report
        .errors
        .iter()
        .map(|errors| {
            Finding::new(kind::LOG_ERROR, server)
                .with_value(errors.kind)
                .with_severity(Severity::Warning)
                .with_message(&format!("{} times, the last: {}", errors.count, errors.message))
        })
        .collect();
    let p95_ms = report.calls.by_name.iter().map(|call| call.p95_ms).fold(0.0, f64::max);
    if p95_ms >= SLOW_MS
        && let Some(seconds) = serde_json::Number::from_f64((p95_ms / 100.0).round() / 10.0)
    {
        let slowest = report.calls.by_name.iter().max_by(|a, b| a.p95_ms.total_cmp(&b.p95_ms));
        let mut message = slowest.map_or_else(String::new, |call| format!("of {}, by its log", call.name));
        let trace = report.calls.slow.iter().find_map(|slow| slow.trace_id.as_deref());
        if let Some(trace) = trace.filter(|trace| trace.bytes().all(|byte| byte.is_ascii_hexdigit())) {
            message.push_str(&format!("; `paramedic trace show {trace}` shows where the time of one went"));
        }
        found.push(
            Finding::new(kind::P95_SECONDS, server)
                .with_value(diagnosis::Scalar::Number(seconds))
                .with_severity(Severity::Warning)
                .with_message(&message),
        );
    }
    found
}

fn table(report: &Report, is_analysis: bool) {
    let time = |at_ms: Option<i64>| at_ms.map_or_else(|| "-".to_owned(), show::time);
    show::line(&format!("{} lines from {} to {}", report.lines, time(report.first_ms), time(report.last_ms)));
    let levels = Level::ALL.iter().rev().map(|level| level.name()).chain(["none"]);
    let levels = levels.filter_map(|name| Some(format!("{name} {}", report.levels.get(name)?)));
    counted("levels", &levels.collect::<Vec<_>>());
    counted("events", &words(&report.events));
    counted("servers", &words(&report.servers));
    if report.undated > 0 {
        show::line(&format!("undated  {}", report.undated));
    }
    if is_analysis {
        notable(report).iter().for_each(|word| show::line(&format!("!        {word}")));
        errors(report);
        calls(report);
    }
    messages(report, if is_analysis { MESSAGES_ANALYSIS } else { MESSAGES_SUMMARY });
}

fn words(counts: &BTreeMap<String, u64>) -> Vec<String> {
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(_, count)| std::cmp::Reverse(**count));
    counts.iter().map(|(name, count)| format!("{} {count}", harmless(name))).collect()
}

fn counted(what: &str, counts: &[String]) {
    if !counts.is_empty() {
        show::line(&format!("{what:<8} {}", counts.join(", ")));
    }
}

/// What a reader should look at first.
fn notable(report: &Report) -> Vec<String> {
    let mut notable = Vec::new();
    if report.error_ratio > ERROR_RATIO {
        notable.push(format!("{:.0} % of the lines are errors", report.error_ratio * 100.0));
    }
    for call in report.calls.by_name.iter().filter(|call| call.mean_ms > SLOW_MS) {
        notable.push(format!("{} takes {} on average", harmless(&call.name), duration(call.mean_ms)));
    }
    if report.calls.n_slow > 0 {
        notable.push(format!("{} calls took longer than {}", report.calls.n_slow, duration(SLOW_MS)));
    }
    if report.calls.n_unanswered > 0 {
        notable.push(format!("{} requests have no answer", report.calls.n_unanswered));
    }
    let serious = |cluster: &&Cluster| cluster.level >= Some(Level::Warning);
    for cluster in report.messages.iter().filter(serious) {
        if let Some(change) = cluster.change.filter(|change| change.is_rise()) {
            let (now, before) = (change.now_per_minute, change.before_per_minute);
            let message = harmless(&cluster.message);
            notable.push(format!("{now:.1} a minute, {before:.1} before: {message}"));
        }
    }
    notable
}

fn errors(report: &Report) {
    if report.errors.is_empty() {
        return;
    }
    show::line("");
    show::rows(Output::Table, &report.errors, &["error", "count", "first", "last", "message"], |errors| {
        vec![
            errors.kind.to_owned(),
            errors.count.to_string(),
            errors.first_ms.map_or_else(String::new, show::time),
            errors.last_ms.map_or_else(String::new, show::time),
            harmless(&errors.message),
        ]
    });
}

fn calls(report: &Report) {
    let calls = &report.calls;
    if !calls.by_name.is_empty() {
        show::line("");
        let header = ["call", "count", "errors", "mean", "p95", "max"];
        show::rows(Output::Table, &calls.by_name, &header, |call| {
            let times = [call.mean_ms, call.p95_ms, call.max_ms].map(duration);
            let counts = [harmless(&call.name), call.count.to_string(), call.errors.to_string()];
            counts.into_iter().chain(times).collect()
        });
    }
    let time = |at_ms: Option<i64>| at_ms.map_or_else(String::new, show::time);
    if !calls.slow.is_empty() {
        show::line("");
        show::rows(Output::Table, &calls.slow, &["slow", "answered", "took", "trace"], |slow| {
            let trace = slow.trace_id.as_deref().map(harmless).unwrap_or_default();
            vec![harmless(&slow.name), time(slow.at_ms), duration(slow.duration_ms), trace]
        });
    }
    if !calls.unanswered.is_empty() {
        show::line("");
        show::rows(Output::Table, &calls.unanswered, &["unanswered", "asked", "by"], |request| {
            vec![harmless(&request.name), time(request.at_ms), harmless(&request.whose)]
        });
    }
}

fn messages(report: &Report, max: usize) {
    if report.messages.is_empty() {
        return;
    }
    show::line("");
    let shown = &report.messages[..report.messages.len().min(max)];
    show::rows(
        Output::Table,
        shown,
        &["count", "level", "first", "last", "a minute", "message"],
        |cluster| {
            let change = cluster.change.map_or_else(String::new, |change| {
                format!("{:.1} → {:.1}", change.before_per_minute, change.now_per_minute)
            });
            vec![
                cluster.count.to_string(),
                cluster.level.map_or("", Level::name).to_owned(),
                cluster.first_ms.map_or_else(String::new, show::time),
                cluster.last_ms.map_or_else(String::new, show::time),
                change,
                harmless(&cluster.message),
            ]
        },
    );
    let rest = report.messages.len() - shown.len();
    if rest > 0 || report.other_messages > 0 {
        anstream::eprintln!(
            "{rest} more messages are not shown (`-o json` has them), and {} lines of others were only counted",
            report.other_messages
        );
    }
}

fn duration(ms: f64) -> String {
    if ms >= 1000.0 { format!("{:.1} s", ms / 1000.0) } else { format!("{ms:.1} ms") }
}

#[cfg(test)]
mod tests {
    use ::logs::{Analysis, Clock, Entry};

    use super::{found, notable};

    #[test]
    fn what_stands_out() {
        let clock = Clock { local: |time| time.and_utc().timestamp_millis(), written_ms: 0 };
        let mut analysis = Analysis::default();
        for line in [
            r#"{"ts":"2026-01-01T00:00:00Z","level":"info","event":"request","method":"tools/call","tool":"a","message":"tools/call"}"#,
            r#"{"ts":"2026-01-01T00:00:09Z","level":"warning","event":"performance","method":"tools/call","tool":"b","duration_ms":9000,"message":"tools/call answered"}"#,
            r#"{"ts":"2026-01-01T00:01:30Z","level":"error","event":"system","message":"OSError: No space left on device"}"#,
        ] {
            analysis.take(&Entry::read(line.as_bytes(), clock));
        }
        let report = analysis.report();
        let lines: Vec<_> = found(&report, "x").iter().map(diagnosis::Finding::to_line).collect();
        assert_eq!(lines.len(), 2, "{lines:?}");
        assert!(
            lines[0].contains(r#""value":"no_space""#) && lines[1].contains(r#""value":9.0"#),
            "{lines:?}"
        );
        assert_eq!(
            notable(&report),
            [
                "33 % of the lines are errors",
                "tools/call b takes 9.0 s on average",
                "1 calls took longer than 5.0 s",
                "1 requests have no answer"
            ]
        );
    }
}
