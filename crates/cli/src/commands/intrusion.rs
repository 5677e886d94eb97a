//! Owns `paramedic security check|timeline`, and what `baseline` learns of a server and its machine: looking for an intruder.

use std::collections::{BTreeSet, VecDeque};
use std::path::{Path, PathBuf};

use ::logs::{Entry, Filter, Search, redact, time_of_machine};
use diagnosis::{Finding, Severity, kind};
use intrusion::{Assessment, Baseline, Certainty, Picture, Row, Sign, Traffic};
use server::config::{Config, Server};
use server::data::Subject;
use server::intrusion::{
    Look, Looked, SignIns, baseline_path, keep_baseline, process_of, signs_log, undo_baseline,
};
use server::now_ms;

use crate::arguments::{LookArguments, Output, TimelineArguments};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::{findings, show};

/// So many lines of each log, the newest.
const LINES_MAX: usize = 5000;

/// Compares a server and its machine with its baseline: 0 is as it should be, 1 is not.
pub(super) fn check(
    arguments: &LookArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return super::looks::intruders(&client, arguments, output);
    }
    let (config, _) = context::load_or_default(named)?;
    let server = context::server(&config, &arguments.name)?;
    let (_, Look { signs, gaps }) = look(&config, server)?;
    show::rows(output, &signs, &["time", "certainty", "attack", "what", "shown by"], |sign| {
        vec![
            show::time(sign.at_ms),
            sign.certainty.to_string(),
            sign.attack.to_string(),
            show::harmless(&sign.what),
            show::harmless(&sign.raw),
        ]
    });
    if output == Output::Table {
        say_gaps(&gaps);
    }
    findings::note(&signs.iter().map(|sign| finding(&server.name, sign)).collect::<Vec<_>>());
    Ok(if signs.is_empty() { Code::Done } else { Code::No })
}

/// Shows what all sources tell of an intrusion, in the order of time, and what that comes to.
pub(super) fn timeline(
    arguments: &TimelineArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return super::looks::timeline(&client, arguments, output);
    }
    let (config, _) = context::load_or_default(named.clone())?;
    let server = context::server(&config, &arguments.name)?;
    let since_ms = arguments.since.at_ms(now_ms());
    let (baseline, Look { signs, mut gaps }) = look(&config, server)?;
    let mut rows: Vec<Row> = signs.iter().map(Row::from).collect();
    let known: BTreeSet<(String, String)> =
        rows.iter().map(|row| (row.source.clone(), row.what.clone())).collect();
    let before = of_serve(&config, &server.name, since_ms, &mut gaps);
    rows.extend(before.into_iter().filter(|row| !known.contains(&(row.source.clone(), row.what.clone()))));
    rows.extend(of_guard(&config, &server.name, since_ms, &mut gaps));
    rows.extend(of_data(&config, &server.name, since_ms, &mut gaps));
    if let Some(id) = &arguments.incident {
        rows.extend(super::incident::timeline(named, id)?.into_iter().map(|(at_ms, what)| Row {
            at_ms,
            source: "incident".to_owned(),
            who: Vec::new(),
            what,
            attack: None,
            is_certain: false,
            bytes: None,
            reference: format!("incident {id}"),
        }));
    }
    rows.retain(|row| row.at_ms >= since_ms);
    gaps.push(format!("what happened before {} UTC is not in it", show::time(since_ms)));
    gaps.push("what a connection sent between two looks before its end is not counted".to_owned());
    if let Some(baseline) = &baseline {
        let learned = show::time(baseline.learned_ms);
        gaps.push(format!("what was there on {learned} UTC, when the baseline was learned, counts as right"));
    }
    let picture = Picture::new(rows, gaps);
    match output {
        Output::Table => for_people(&picture),
        _ => show::json(&picture),
    }
    // It is no question, so there is no answer that is no.
    Ok(Code::Done)
}

/// Whether a server of the configuration has none that stands between it and its clients, and says so.
pub(super) fn is_without_guard(name: &str, named: Option<PathBuf>) -> Result<bool, Failure> {
    let (config, _) = context::load_or_default(named)?;
    let is_without = context::server(&config, name).is_ok_and(|server| !server.has_guard());
    if is_without {
        anstream::eprintln!(
            "paramedic: `{name}` has no guard, so its tools are not approved, only what is on its machine"
        );
    }
    Ok(is_without)
}

/// Learns what belongs to a server and its machine, or puts the baseline before back.
pub(super) fn learn(name: &str, undo: bool, named: Option<PathBuf>, output: Output) -> Result<(), Failure> {
    let (config, _) = context::load_or_default(named)?;
    let Ok(server) = context::server(&config, name) else { return Ok(()) };
    let path = baseline_path(&config, name);
    if undo {
        let was_undone = undo_baseline(&path).map_err(Failure::no)?;
        if was_undone && output == Output::Table {
            show::line(&format!("{name}: the baseline of its machine is the one before"));
        }
        return Ok(());
    }
    let pid = context::runtime()?.block_on(process_of(&config, name));
    let looked = Looked { config: &config, server, pid, root: Path::new("/"), now_ms: now_ms() };
    let (baseline, gaps) = looked.learn(&actor());
    keep_baseline(&path, &baseline).map_err(Failure::no)?;
    if output == Output::Table {
        let belonging = baseline.belonging.clone().unwrap_or_default();
        show::line(&format!(
            "{name}: {} programs, {} places where it listens, {} peers, {} files, {} ways in",
            belonging.executables.len(),
            belonging.listeners.len(),
            belonging.peers.len(),
            baseline.files.known.len(),
            baseline.access.sources.len() + baseline.access.keys.len() + baseline.access.elevations.len(),
        ));
        say_gaps(&gaps);
    }
    Ok(())
}

/// The signs of now. Without a baseline there are none, and that is said.
fn look(config: &Config, server: &Server) -> Result<(Option<Baseline>, Look), Failure> {
    let Some(baseline) = Baseline::read(&baseline_path(config, &server.name)).map_err(Failure::usage)? else {
        let gap = format!(
            "nobody has said what belongs to `{0}` (`paramedic security baseline {0}`), so its machine was not looked at",
            server.name
        );
        return Ok((None, Look { signs: Vec::new(), gaps: vec![gap] }));
    };
    let pid = context::runtime()?.block_on(process_of(config, &server.name));
    let looked = Looked { config, server, pid, root: Path::new("/"), now_ms: now_ms() };
    let mut sign_ins = SignIns::default();
    sign_ins.refresh(looked.root, looked.now_ms);
    let look = looked.judge(&baseline, &mut Traffic::default(), &sign_ins);
    Ok((Some(baseline), look))
}

/// What the guard has written down as security.
fn of_guard(config: &Config, name: &str, since_ms: i64, gaps: &mut Vec<String>) -> Vec<Row> {
    let path = config.log_dir.join(format!("{name}.log"));
    security_of(&path, since_ms, gaps, |_| true).iter().map(|entry| row(entry, &path)).collect()
}

/// What `serve` has seen on the machine, which may be over by now.
fn of_serve(config: &Config, name: &str, since_ms: i64, gaps: &mut Vec<String>) -> Vec<Row> {
    let path = signs_log(config);
    if !path.exists() {
        return Vec::new();
    }
    let of_server = |entry: &Entry| entry.text("server") == Some(name);
    security_of(&path, since_ms, gaps, of_server).iter().map(row_of_serve).collect()
}

/// The newest lines about security of a log.
fn security_of(
    path: &Path,
    since_ms: i64,
    gaps: &mut Vec<String>,
    wanted: impl Fn(&Entry) -> bool,
) -> VecDeque<Entry> {
    let filter = Filter { since_ms: Some(since_ms), ..Filter::default() };
    let mut search = Search::log(path, &filter, time_of_machine, now_ms());
    let mut found = VecDeque::new();
    for mut entry in search.by_ref().filter(|entry| entry.event == "security" && wanted(entry)) {
        redact::entry(&mut entry);
        if found.len() == LINES_MAX {
            found.pop_front();
        }
        found.push_back(entry);
    }
    gaps.extend(search.take_notes());
    found
}

fn row_of_serve(entry: &Entry) -> Row {
    let text = |name: &str| entry.text(name).unwrap_or_default().to_owned();
    let who = [
        entry.text("peer").map(str::to_owned),
        entry.text("user").map(|user| format!("user {user}")),
        entry.number("pid").map(|pid| format!("process {pid}")),
    ];
    Row {
        at_ms: entry.at_ms.unwrap_or_default(),
        source: text("source"),
        who: who.into_iter().flatten().collect(),
        what: entry.message.clone(),
        attack: Some(text("attack")),
        is_certain: entry.text("certainty") == Some("certain"),
        bytes: entry.number("bytes").map(|bytes| bytes as u64),
        reference: text("raw"),
    }
}

fn row(entry: &Entry, path: &Path) -> Row {
    let attack = entry.text("class").map(str::to_owned).or_else(|| refused_as(&entry.message));
    let who = ["client", "address", "session"].into_iter().filter_map(|name| {
        let text = entry.text(name)?;
        let host =
            text.parse::<std::net::SocketAddr>().map(|address| address.ip().to_canonical().to_string());
        Some(host.unwrap_or_else(|_| format!("{name} {text}")))
    });
    Row {
        at_ms: entry.at_ms.unwrap_or_default(),
        source: "guard".to_owned(),
        who: who.collect(),
        what: entry.message.clone(),
        // What the guard refuses as an attack is a sure sign.
        is_certain: entry.text("class").is_some() && entry.message.starts_with("refused: "),
        attack,
        bytes: None,
        reference: path.display().to_string(),
    }
}

/// What a refusal at the door is one of.
fn refused_as(message: &str) -> Option<String> {
    let lower = message.to_lowercase();
    let is_of_page = ["origin ", "host "].iter().any(|begin| lower.starts_with(begin));
    let attack = if is_of_page && lower.contains(" is not allowed") {
        "dns_rebinding"
    } else if lower.contains("token") || lower.contains("authoriz") {
        "guessing"
    } else if lower.contains("read-only") || lower.contains("read_only") {
        "write_in_read_only"
    } else {
        return None;
    };
    Some(attack.to_owned())
}

/// What checks of its data have found damaged.
fn of_data(config: &Config, name: &str, since_ms: i64, gaps: &mut Vec<String>) -> Vec<Row> {
    let subject = Subject::of_server(config, name).ok();
    let pasts = subject.map(|subject| subject.history().read().unwrap_or_default()).unwrap_or_default();
    match pasts.iter().rev().find(|past| past.is_whole() == Some(true)) {
        Some(whole) => gaps.push(format!(
            "what was changed of its data after {} UTC, when they were last found whole, is known only from the next check",
            show::time(whole.at_ms)
        )),
        None => gaps.push("its data were never found whole, so nobody can say whether they were changed".to_owned()),
    }
    let damaged = pasts.iter().filter(|past| past.at_ms >= since_ms && past.is_whole() == Some(false));
    let row = |past: &integrity::Past| Row {
        at_ms: past.at_ms,
        source: "data".to_owned(),
        who: Vec::new(),
        what: format!(
            "its data were damaged: {}",
            past.trees.iter().flat_map(|tree| &tree.named).take(5).cloned().collect::<Vec<_>>().join(", ")
        ),
        attack: None,
        is_certain: false,
        bytes: None,
        reference: format!("paramedic integrity history {name}"),
    };
    damaged.map(row).collect()
}

fn for_people(picture: &Picture) {
    show::rows(Output::Table, &picture.timeline, &["time", "source", "who", "what", "shown by"], |row| {
        let mark = if row.is_certain { "! " } else { "" };
        vec![
            show::time(row.at_ms),
            row.source.clone(),
            show::harmless(&row.who.join(", ")),
            show::harmless(&format!("{mark}{}", row.what)),
            show::harmless(&row.reference),
        ]
    });
    show::line("");
    if picture.attacks.is_empty() {
        show::line("no sign of an attack");
    } else {
        show::rows(
            Output::Table,
            &picture.attacks,
            &["attack", "confidence", "signs", "first", "who", "because"],
            |one: &Assessment| {
                vec![
                    one.attack.clone(),
                    one.confidence.to_string(),
                    one.signs.to_string(),
                    show::time(one.first_ms),
                    show::harmless(&one.who.join(", ")),
                    show::harmless(&one.because),
                ]
            },
        );
    }
    show::line("");
    show::rows(Output::Table, &picture.impact, &["reached", "signs", "certain", "bytes", "which"], |one| {
        vec![
            one.what.to_owned(),
            one.signs.to_string(),
            if one.is_certain { "yes" } else { "" }.to_owned(),
            one.bytes.map_or_else(String::new, |bytes| bytes.to_string()),
            show::harmless(&one.shown.join("; ")),
        ]
    });
    show::line("\nnot known:");
    picture.not_known.iter().for_each(|gap| show::line(&format!("  {}", show::harmless(gap))));
}

fn say_gaps(gaps: &[String]) {
    gaps.iter().for_each(|gap| anstream::eprintln!("paramedic: not known: {}", show::harmless(gap)));
}

fn finding(server: &str, sign: &Sign) -> Finding {
    let message = format!("{}: {} ({})", sign.attack, sign.what, sign.raw);
    match sign.certainty {
        Certainty::Certain => Finding::new(kind::SECURITY_EVENT, server)
            .with_value("confirmed")
            .with_severity(Severity::Critical)
            .with_message(&message),
        Certainty::Likely => Finding::new(kind::INTRUSION_SIGN, server)
            .with_value(sign.attack.name())
            .with_severity(Severity::Warning)
            .with_message(&message),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_at_the_door_have_a_name() {
        for (message, expect) in [
            ("origin \"http://evil.example:8101\" is not allowed", Some("dns_rebinding")),
            ("host \"evil.example\" is not allowed on a loopback address", Some("dns_rebinding")),
            ("refused: the token is unknown", Some("guessing")),
            ("refused: the server is in read-only mode", Some("write_in_read_only")),
            ("seen, and let through", None),
        ] {
            assert_eq!(refused_as(message).as_deref(), expect, "{message}");
        }
    }
}
