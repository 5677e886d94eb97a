//! Owns `paramedic evidence`: bundles of evidence, with and without a running `serve`; those of another machine by its API.

mod far;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::server::api::wire::NoteCheck;
use ::server::client::ClientError;
use ::server::config::Config;
use ::server::{
    Collection, bundles, collect_evidence, evidence_key, evidence_public_key, now_ms, send_evidence,
};
use evidence::{Deep, End, ExportError, Filter, PACKETS_MAX, PublicKey, State, Tier, Verdict, verify};
use serde::Serialize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::watch;

use crate::arguments::{DeepArguments, Depth, EvidenceCommand, Output};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::progress::{self, Reading, archive_bytes};
use crate::show;

/// How long `serve` may take to write a check down.
const NOTE_MAX: Duration = Duration::from_secs(10);
/// How often an archive is read when it is checked: item by item, and as a whole.
const READS_OF_CHECK: u64 = 2;
/// The same where it is exported: checked, copied, the copy checked, and unpacked.
const READS_OF_EXPORT: u64 = 2 * READS_OF_CHECK + 2;

/// A bundle in a list.
#[derive(Debug, Serialize)]
struct Row {
    bundle: String,
    server: Option<String>,
    incident: Option<String>,
    /// When its collection began, in milliseconds since the Unix epoch.
    collected_ms: Option<i64>,
    state: Option<State>,
    items: usize,
    missing: usize,
    sha256: Option<String>,
    folder: PathBuf,
    problems: Vec<String>,
    remarks: Vec<String>,
}

pub(super) fn run(command: EvidenceCommand, named: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return far::run(&client, command, output);
    }
    let (config, _) = context::load_or_default(named.clone())?;
    match command {
        EvidenceCommand::Collect { server, incident, depth, since, deep } => {
            let tier = match depth {
                Depth::T0 => Tier::T0,
                Depth::T1 => Tier::T1,
                Depth::T2 => Tier::T2,
            };
            let deep = deep_of(&deep)?;
            let wanted = Collection {
                server,
                pid: None,
                incident,
                by: actor(),
                tier,
                since_ms: since.map(|since| since.at_ms(now_ms())),
                deep,
                now_ms: now_ms(),
                root: PathBuf::from("/"),
                exe: context::program()?,
            };
            collect(config, wanted, output)
        }
        EvidenceCommand::List { incident, server, since } => {
            let since_ms = since.map(|since| since.at_ms(now_ms()));
            list(&config, &Wanted { incident, server, since_ms }, output)
        }
        EvidenceCommand::Verify { bundle, key } => {
            let rows = check(&config, bundle.as_deref(), key.as_deref(), output)?;
            if key.is_none() {
                note(named, &config, &rows)?;
            }
            Ok(if rows.iter().all(|row| row.problems.is_empty()) { Code::Done } else { Code::No })
        }
        EvidenceCommand::Export { bundle, to } => export(&config, &bundle, to, output),
        EvidenceCommand::Send { bundle } => send(&config, &bundle),
        EvidenceCommand::Key => {
            let key = evidence_key(&config).map_err(Failure::no)?;
            show::line(key.public().to_pem().trim_end());
            Ok(Code::Done)
        }
    }
}

fn deep_of(deep: &DeepArguments) -> Result<Deep, Failure> {
    if deep.packets > PACKETS_MAX {
        return Err(Failure::usage(anyhow::anyhow!("packets are captured for at most {PACKETS_MAX:?}")));
    }
    let filter = Filter { peer: deep.peer, port: deep.port };
    Ok(Deep { memory_bytes_max: deep.memory_max.0, packets: deep.packets, filter })
}

fn collect(config: Config, wanted: Collection, output: Output) -> Result<Code, Failure> {
    let named = wanted.server.as_ref();
    if let Some(name) = named.filter(|name| config.server.iter().all(|one| one.name != **name)) {
        let guarded = ::server::control_socket(&config, name).exists();
        if !guarded {
            let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
            let message =
                format!("`{name}` is no server of the configuration; there are: {}", known.join(", "));
            return Err(Failure::usage(anyhow::anyhow!(message)));
        }
    }
    let kept = context::runtime()?.block_on(async {
        let mut stopping = stopping()?;
        let stop = stopping.clone();
        let stop = Arc::new(move || stop.borrow().clone());
        let mut kept = collect_evidence(Arc::new(config), wanted, stop, progress::of_collection())
            .await
            .map_err(Failure::no)?;
        progress::clear();
        let sent = match kept.on_its_way.take() {
            Some(on_its_way) => {
                let _reading = Reading::of("sending", archive_bytes(&kept.sealed.folder, 1));
                Some(on_its_way.arrived(stopped(&mut stopping)).await)
            }
            None => None,
        };
        Ok::<_, Failure>((kept, sent))
    });
    let (kept, sent) = kept.inspect_err(|_| progress::clear())?;
    let sealed = &kept.sealed;
    let mut code = Code::Done;
    show::rows(
        output,
        std::slice::from_ref(sealed),
        &["folder", "sha256", "bytes", "items", "missing"],
        |one| {
            let numbers = [one.bytes.to_string(), one.items.to_string(), one.missing.to_string()];
            [vec![one.folder.display().to_string(), one.sha256.to_string()], numbers.to_vec()].concat()
        },
    );
    match &sent {
        Some(Ok(sent)) => anstream::eprintln!("paramedic: {sent}"),
        Some(Err(problem)) => {
            anstream::eprintln!("paramedic: {problem}");
            code = Code::No;
        }
        None => {}
    }
    match kept.copy {
        Some(Ok(copy)) => anstream::eprintln!("paramedic: copied to `{}`", copy.display()),
        Some(Err(error)) => {
            anstream::eprintln!("paramedic: no copy was made: {error}");
            code = Code::No;
        }
        None => {}
    }
    match kept.end {
        End::Complete => Ok(code),
        End::Interrupted(reason) => {
            anstream::eprintln!("paramedic: cut short: {reason}; what was collected before is sealed");
            Ok(Code::No)
        }
    }
}

/// Says why this has to end, once somebody wants that.
fn stopping() -> Result<watch::Receiver<Option<String>>, Failure> {
    let (mut interrupt, mut terminate) = (
        signal(SignalKind::interrupt()).map_err(Failure::no)?,
        signal(SignalKind::terminate()).map_err(Failure::no)?,
    );
    let (teller, stopping) = watch::channel(None);
    tokio::spawn(async move {
        let signal = tokio::select! {
            _ = interrupt.recv() => "SIGINT",
            _ = terminate.recv() => "SIGTERM",
        };
        let _ = teller.send(Some(format!("stopped by {signal}")));
        // Whoever waits sees it as long as this is here.
        teller.closed().await;
    });
    Ok(stopping)
}

/// Ends once somebody wants this to end, and says why.
async fn stopped(stopping: &mut watch::Receiver<Option<String>>) -> String {
    let why = stopping.wait_for(Option::is_some).await.ok().and_then(|why| why.clone());
    match why {
        Some(why) => why,
        None => std::future::pending().await,
    }
}

fn send(config: &Config, bundle: &str) -> Result<Code, Failure> {
    let folders = named(config, bundle)?;
    let exe = context::program()?;
    context::runtime()?.block_on(async {
        let (mut stopping, mut code) = (stopping()?, Code::Done);
        for folder in folders {
            // It is checked before it is sent.
            let reading = Reading::of("sending", archive_bytes(&folder, READS_OF_CHECK + 1));
            let sent = send_evidence(config, &folder, &exe, &actor(), now_ms(), stopped(&mut stopping)).await;
            drop(reading);
            match sent {
                Ok(sent) => anstream::eprintln!("paramedic: `{}`: {sent}", folder.display()),
                Err(problem) => {
                    anstream::eprintln!("paramedic: `{}`: {problem}", folder.display());
                    code = Code::No;
                }
            }
        }
        Ok(code)
    })
}

/// Which bundles are wanted.
struct Wanted {
    incident: Option<String>,
    server: Option<String>,
    since_ms: Option<i64>,
}

fn list(config: &Config, wanted: &Wanted, output: Output) -> Result<Code, Failure> {
    let folders = bundles(config);
    if folders.is_empty() {
        return Ok(empty(output));
    }
    let key = evidence_public_key(config).map_err(Failure::no)?;
    let bytes = folders.iter().map(|folder| archive_bytes(folder, READS_OF_CHECK)).sum();
    let reading = Reading::of("checking", bytes);
    let mut rows: Vec<Row> = folders.iter().map(|folder| row(folder, verify(folder, key))).collect();
    drop(reading);
    rows.retain(|row| {
        (wanted.incident.is_none() || row.incident == wanted.incident)
            && (wanted.server.is_none() || row.server == wanted.server)
            && wanted.since_ms.is_none_or(|since_ms| row.collected_ms >= Some(since_ms))
    });
    print(&rows, output);
    Ok(Code::Done)
}

fn empty(output: Output) -> Code {
    print(&[], output);
    anstream::eprintln!("paramedic: no evidence was kept");
    Code::Done
}

fn check(
    config: &Config,
    bundle: Option<&str>,
    key: Option<&Path>,
    output: Output,
) -> Result<Vec<Row>, Failure> {
    let folders = match bundle {
        None => bundles(config),
        Some(name) => named(config, name)?,
    };
    if folders.is_empty() {
        return Err(Failure::no(anyhow::anyhow!("there is no evidence to check")));
    }
    let key = match key {
        Some(path) => PublicKey::read(path),
        None => evidence_public_key(config),
    };
    let key = key.map_err(Failure::no)?;
    let bytes = folders.iter().map(|folder| archive_bytes(folder, READS_OF_CHECK)).sum();
    let reading = Reading::of("checking", bytes);
    let rows: Vec<Row> = folders.iter().map(|folder| row(folder, verify(folder, key))).collect();
    drop(reading);
    print(&rows, output);
    for row in &rows {
        row.remarks.iter().for_each(|remark| anstream::eprintln!("paramedic: {}: {remark}", row.bundle));
        row.problems.iter().for_each(|problem| anstream::eprintln!("paramedic: {}: {problem}", row.bundle));
    }
    Ok(rows)
}

/// Lets `serve` write down what was found of its own bundles. Where none runs, the check is no less true.
fn note(named: Option<PathBuf>, config: &Config, rows: &[Row]) -> Result<(), Failure> {
    let (client, own) = (context::client(named)?, bundles(config));
    let note = async {
        for row in rows.iter().filter(|row| own.contains(&row.folder)) {
            let path = format!("/api/v1/evidence/{}/checks", row.bundle);
            let check = NoteCheck { by: actor(), sha256: row.sha256.clone(), problems: row.problems.clone() };
            match client.post::<serde_json::Value>(&path, &check, NOTE_MAX).await {
                Ok(_) => {}
                Err(ClientError::NotReachable { .. }) => return,
                Err(error) => {
                    anstream::eprintln!("paramedic: {}: the check was not written down: {error}", row.bundle);
                }
            }
        }
    };
    context::runtime()?.block_on(note);
    Ok(())
}

fn export(config: &Config, bundle: &str, to: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let to = to.unwrap_or_else(|| config.evidence.export_dir.clone());
    let folders = named(config, bundle)?;
    let key = evidence_key(config).map_err(Failure::no)?;
    let (mut done, mut code) = (Vec::new(), Code::Done);
    for folder in folders {
        let reading = Reading::of("exporting", archive_bytes(&folder, READS_OF_EXPORT));
        let exported = evidence::export(&folder, &to, &key, &actor(), now_ms());
        drop(reading);
        match exported {
            Ok(path) => done.push(path),
            // So a step that is run again ends as it did.
            Err(ExportError::Failed(evidence::Error::Exists { path }))
                if verify(&path, key.public()).is_sound() =>
            {
                anstream::eprintln!("paramedic: `{}` is there already, and sound", path.display());
                done.push(path);
            }
            Err(error) => {
                if let ExportError::Unsound { verdict, .. } | ExportError::BadCopy { verdict, .. } = &error {
                    verdict.problems.iter().for_each(|problem| anstream::eprintln!("paramedic: {problem}"));
                }
                anstream::eprintln!("paramedic: {}", incident::error_chain(&error));
                code = Code::No;
            }
        }
    }
    show::rows(output, &done, &["folder"], |path| vec![path.display().to_string()]);
    Ok(code)
}

/// The bundles that somebody means: by the name of one, its folder, or their incident.
fn named(config: &Config, name: &str) -> Result<Vec<PathBuf>, Failure> {
    let folders = bundles(config);
    let one = folders.iter().find(|folder| folder.file_name().is_some_and(|known| known == name)).cloned();
    if let Some(folder) = one.or_else(|| Some(PathBuf::from(name)).filter(|folder| folder.is_dir())) {
        return Ok(vec![folder]);
    }
    let key = evidence_public_key(config).map_err(Failure::no)?;
    // Whose head was altered says nothing of its incident: it is named by the check of all.
    let of_incident = folders
        .into_iter()
        .filter(|folder| verify(folder, key).head.and_then(|head| head.incident).as_deref() == Some(name));
    let found: Vec<PathBuf> = of_incident.collect();
    if found.is_empty() {
        let message = format!("`{name}` is no bundle, no folder of one, and no incident with evidence");
        return Err(Failure::no(anyhow::anyhow!(message)));
    }
    Ok(found)
}

fn row(folder: &Path, verdict: Verdict) -> Row {
    // What was not sent was perhaps sent later.
    let sending = |entry: &&evidence::custody::Entry| {
        entry.action.starts_with("sent to ") || entry.action.starts_with("not sent to ")
    };
    let last = verdict.custody.iter().rev().find(sending).map(|entry| entry.action.clone());
    let not_sent = last.filter(|action| action.starts_with("not sent to "));
    let collected_ms = verdict.head.as_ref().map(|head| head.at_ms);
    let (server, incident) = verdict.head.map_or((None, None), |head| (head.server, head.incident));
    Row {
        bundle: folder.file_name().unwrap_or_default().to_string_lossy().into_owned(),
        server,
        incident,
        collected_ms,
        state: verdict.state,
        items: verdict.items.len(),
        missing: verdict.missing.len(),
        sha256: verdict.sha256.map(|sha256| sha256.to_string()),
        folder: folder.to_owned(),
        problems: verdict.problems.iter().map(ToString::to_string).collect(),
        remarks: verdict.reason.into_iter().chain(verdict.remarks).chain(not_sent).collect(),
    }
}

fn print(rows: &[Row], output: Output) {
    let header = ["bundle", "server", "incident", "state", "items", "missing", "sealed"];
    show::rows(output, rows, &header, |row| {
        let text = |value: &Option<String>| value.clone().unwrap_or_else(|| "-".to_owned());
        let state = row.state.map_or("-", |state| match state {
            State::Complete => "complete",
            State::Interrupted => "in part",
            State::Collecting => "not finished",
        });
        let sealed = if row.problems.is_empty() { "as it was" } else { "NO" };
        let numbers = [row.items.to_string(), row.missing.to_string()];
        let names = vec![row.bundle.clone(), text(&row.server), text(&row.incident), state.to_owned()];
        [names, numbers.to_vec(), vec![sealed.to_owned()]].concat()
    });
}
