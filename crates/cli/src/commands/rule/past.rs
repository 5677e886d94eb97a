//! Owns `paramedic rule test --history` and `--from-file`: what rules would have fired in the past.

use std::fs::File;
use std::io::Read as _;
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Context as _;
use metrics::{Backtest, History, PastAlert, RuleGroup, RuleSettings, backtest, read_recorded};
use server::{PastSource, fetch_past, now_ms};

use super::source;
use crate::arguments::{Output, RuleTestArguments, millis};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// The largest file of recorded series, in bytes.
const RECORDED_BYTES_MAX: u64 = 1 << 30;
/// How far back a Prometheus is asked where nobody says.
const SINCE_MS: i64 = 24 * 60 * 60_000;
/// So many firings are listed for people; programs get all.
const LISTED_MAX: usize = 50;

pub(super) fn run(arguments: &RuleTestArguments, output: Output) -> Result<Code, Failure> {
    let until = Instant::now() + arguments.timeout;
    let mut groups = Vec::new();
    for file in &arguments.files {
        let (read, problems) = source::read(file)?;
        if let Some(problem) = problems.iter().find(|problem| problem.is_error()) {
            return Err(Failure::usage(anyhow::anyhow!("{}:{problem}", file.display())));
        }
        groups.extend(read);
    }
    for group in &groups {
        let asks_elsewhen = |rule: &&metrics::Rule| rule.query().needs().has_moment;
        for rule in group.rules.iter().filter(asks_elsewhen) {
            anstream::eprintln!(
                "paramedic: the rule `{}` looks at a moment of its own (`@`), of which samples may be missing",
                rule.name()
            );
        }
    }
    let (history, span) = match &arguments.from_file {
        Some(file) => recorded(file, arguments)?,
        None => asked(arguments, &groups)?,
    };
    let (n_series, n_samples) = history.size();
    anstream::eprintln!(
        "{n_series} series, {n_samples} samples, from {} until {} (UTC)",
        show::time(span.0),
        show::time(span.1)
    );
    let settings = RuleSettings::default();
    let found = backtest(history, groups, settings, span, &|| Instant::now() > until).map_err(Failure::no)?;
    print(&found, output);
    Ok(if found.failures.is_empty() { Code::Done } else { Code::No })
}

/// Series of a file, and the stretch of time that is tested.
fn recorded(file: &Path, arguments: &RuleTestArguments) -> Result<(History, (i64, i64)), Failure> {
    let named = || format!("cannot read the series `{}`", file.display());
    let opened = File::open(file).with_context(named).map_err(Failure::usage)?;
    let mut bytes = Vec::new();
    opened
        .take(RECORDED_BYTES_MAX + 1)
        .read_to_end(&mut bytes)
        .with_context(named)
        .map_err(Failure::usage)?;
    if bytes.len() as u64 > RECORDED_BYTES_MAX {
        let reason = anyhow::anyhow!("it has more than {RECORDED_BYTES_MAX} bytes, the most that is read");
        return Err(Failure::usage(reason.context(named())));
    }
    let (history, diagnostics) = read_recorded(&String::from_utf8_lossy(&bytes)).map_err(Failure::no)?;
    for diagnostic in diagnostics {
        anstream::eprintln!("{}:{}: {}", file.display(), diagnostic.line, diagnostic.message);
    }
    let Some((first_ms, last_ms)) = history.span_ms() else {
        let reason = "no sample with a time is in it: write `up{job=\"a\"} 1 1700000000000`";
        return Err(Failure::usage(anyhow::anyhow!(reason).context(named())));
    };
    let until_ms = arguments.until.unwrap_or(last_ms);
    let from_ms = arguments.since.map_or(first_ms, |since| until_ms.saturating_sub(millis(since)));
    Ok((history, (from_ms, until_ms)))
}

/// Series of a Prometheus, and the stretch of time that is tested.
fn asked(arguments: &RuleTestArguments, groups: &[RuleGroup]) -> Result<(History, (i64, i64)), Failure> {
    let until_ms = arguments.until.unwrap_or_else(now_ms);
    let from_ms = until_ms.saturating_sub(arguments.since.map_or(SINCE_MS, millis));
    let authorization = match &arguments.authorization_file {
        Some(file) => {
            let text = std::fs::read_to_string(file)
                .with_context(|| format!("cannot read `{}`", file.display()))
                .map_err(Failure::usage)?;
            Some(text.trim().to_owned())
        }
        None => None,
    };
    let (selectors, reach_ms) = History::needs(groups);
    let source = PastSource {
        url: arguments.history.clone().unwrap_or_default(),
        authorization,
        tenant: arguments.tenant.clone(),
        timeout: arguments.timeout,
    };
    let span = (from_ms.saturating_sub(reach_ms), until_ms);
    let fetched = context::runtime()?.block_on(fetch_past(&source, &selectors, span));
    let history = fetched.map_err(|error| match error {
        server::PastError::Usage(..) => Failure::usage(error),
        server::PastError::Ask { .. } | server::PastError::Late(_) => Failure::new(Code::Unreachable, error),
        _ => Failure::no(error),
    })?;
    Ok((history, (from_ms, until_ms)))
}

fn print(found: &Backtest, output: Output) {
    match output {
        Output::Table => {}
        Output::Json => return show::json(found),
        Output::Jsonl => return found.alerts.iter().for_each(show::json_line),
    }
    for failure in &found.failures {
        anstream::eprintln!(
            "paramedic: the rule `{}` failed {} time(s), first at {} (UTC): {}",
            failure.rule,
            failure.n_times,
            show::time(failure.first_ms),
            failure.message
        );
    }
    if found.alerts.is_empty() {
        anstream::eprintln!("no alert fires");
    } else {
        let header = ["alert", "labels", "fires", "for", "longest", "flaps", "in vain"];
        show::rows(output, &found.alerts, &header, |alert| summary(alert, found.until_ms));
        listed(found);
    }
    if !found.quiet.is_empty() {
        anstream::eprintln!("never: {}", found.quiet.join(", "));
    }
}

fn summary(alert: &PastAlert, until_ms: i64) -> Vec<String> {
    let lengths = alert.firings.iter().map(|firing| firing.until_ms.unwrap_or(until_ms) - firing.from_ms);
    vec![
        alert.rule.clone(),
        alert.labels.without(metrics::ALERT_NAME).to_string(),
        alert.firings.len().to_string(),
        length(alert.firing_ms),
        lengths.max().map(length).unwrap_or_default(),
        alert.n_flaps.to_string(),
        alert.n_false_starts.to_string(),
    ]
}

/// Prints when the alerts fired, in the order of time.
fn listed(found: &Backtest) {
    let mut firings: Vec<_> = found
        .alerts
        .iter()
        .flat_map(|alert| alert.firings.iter().map(move |firing| (firing, alert)))
        .collect();
    firings.sort_by_key(|(firing, _)| firing.from_ms);
    show::line("");
    let n_all = firings.len();
    firings.truncate(LISTED_MAX);
    for (firing, alert) in firings {
        let (until, for_) = match firing.until_ms {
            Some(until_ms) => (show::time(until_ms), length(until_ms - firing.from_ms)),
            None => ("still".to_owned(), length(found.until_ms - firing.from_ms)),
        };
        show::line(&format!("{} – {until:<19}  {for_:>10}  {}", show::time(firing.from_ms), alert.labels));
    }
    if n_all > LISTED_MAX {
        anstream::eprintln!("{} more; `-o json` has all", n_all - LISTED_MAX);
    }
}

/// A length of time for people, in whole seconds.
fn length(length_ms: i64) -> String {
    let seconds = Duration::from_millis(length_ms.max(0).unsigned_abs()).as_secs();
    let (hours, minutes, seconds) = (seconds / 3_600, seconds / 60 % 60, seconds % 60);
    match (hours, minutes) {
        (0, 0) => format!("{seconds}s"),
        (0, _) => format!("{minutes}m{seconds:02}s"),
        _ => format!("{hours}h{minutes:02}m{seconds:02}s"),
    }
}
