//! Owns `paramedic uninstall`: what Paramedic has changed on this machine, shown, and with `--yes` taken back.
//!
//! What it has written down stays: the journal, evidence, reports, logs and the configuration.

use std::fs;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::server::config::Config;
use anyhow::Context as _;
use incident::change::{Change, Place, What, read_place};
use process::lock::{Lock, LockError};
use serde::Serialize;
use systemd::{SYSTEM_BUS, Systemd, UnitName, drop_in};

use super::tune;
use crate::arguments::{Output, UninstallArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// How long systemd may take to read its units anew.
const RELOAD_MAX: Duration = Duration::from_secs(60);

/// How long it may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(5);

/// Where root has put the units of the helper, below the root.
const UNITS: &str = "etc/systemd/system";

/// The units of the helper, and what is in no other unit of these names.
const HELPER: [(&str, &str); 4] = [
    ("paramedic-contain.socket", "/run/paramedic-contain.sock"),
    ("paramedic-contain.service", "/paramedic helper\n"),
    ("paramedic-helper.socket", "/run/paramedic-helper.sock"),
    ("paramedic-helper.service", "/paramedic helper\n"),
];

/// Something that Paramedic made.
enum Made {
    /// Settings of a unit until the next boot.
    DropIn(drop_in::Change),
    /// How a server is started.
    Tuning(Change),
    /// A parameter of the kernel, and the file that keeps how it was.
    Parameter(Change, PathBuf),
    /// Settings of the kernel for the next boot of which nobody kept how it was.
    Settings(Change),
    /// A unit of the helper.
    Unit(Change),
    /// A file of no use to anybody: a socket at which nobody listens, a link, a note of a change.
    File(PathBuf, &'static str),
}

/// A line of what is shown.
#[derive(Serialize)]
struct Row {
    what: &'static str,
    place: String,
    /// `to be taken back`, `taken back`, or why it was not.
    state: String,
}

pub(super) fn run(
    arguments: &UninstallArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (config, path) = context::load_or_default(named)?;
    let _lock = alone(&config)?;
    let (made, mut rows) = find(&config, &arguments.root)?;
    let mut all = true;
    if arguments.yes {
        may_change(&config)?;
        let back = take_back(made, &arguments.root);
        rows.extend(back.rows);
        all = back.is_whole;
        note(&config, back.changes);
    } else {
        rows.extend(made.iter().map(|one| one.row("to be taken back".to_owned())));
    }
    show::rows(output, &rows, &["what", "place", "state"], |row| {
        vec![row.what.to_owned(), row.place.clone(), row.state.clone()]
    });
    let kept = [&config.data_dir, &config.log_dir, &path].map(|path| path.display().to_string());
    let [data, logs, configuration] = kept;
    anstream::eprintln!(
        "kept: the journal, evidence and reports in {data}, logs in {logs}, the configuration {configuration}"
    );
    if !arguments.yes && !rows.is_empty() {
        anstream::eprintln!("nothing was done yet; `paramedic uninstall --yes` does it");
    }
    Ok(if all { Code::Done } else { Code::No })
}

/// Holds the lock of `serve`, so that it does not start meanwhile.
fn alone(config: &Config) -> Result<Option<Lock>, Failure> {
    let path = config.data_dir.join("serve.lock");
    if !path.exists() {
        return Ok(None);
    }
    match Lock::acquire(&path) {
        Ok(lock) => Ok(Some(lock)),
        Err(error @ LockError::Held { .. }) => {
            let message =
                "`serve` runs; stop it first (`systemctl stop paramedic`, or SIGTERM to its process)";
            Err(Failure::new(Code::Refused, anyhow::Error::new(error).context(message)))
        }
        Err(error) => Err(Failure::no(error)),
    }
}

fn may_change(config: &Config) -> Result<(), Failure> {
    match ::server::kill_switch(config) {
        incident::Kill::Off => Ok(()),
        incident::Kill::On => {
            let message = "the kill switch is on: nothing is changed until `paramedic kill-switch off`";
            Err(Failure::new(Code::Refused, anyhow::anyhow!(message)))
        }
    }
}

/// Writes what was taken back into the journal, if there is one.
fn note(config: &Config, changes: Vec<Change>) {
    let noted = context::runtime().and_then(|runtime| {
        let by = context::actor();
        let noting = ::server::note_changes(config, &by, ::server::now_ms(), changes);
        runtime.block_on(noting).map_err(Failure::no)
    });
    match noted {
        Ok(0) => {}
        Ok(count) => anstream::eprintln!("{count} change(s) are in the journal"),
        Err(error) => anstream::eprintln!("paramedic: what was taken back is not in the journal: {error}"),
    }
}

/// What was made, in the order of taking it back; and rows for what has to stay.
fn find(config: &Config, root: &Path) -> Result<(Vec<Made>, Vec<Row>), Failure> {
    let runtime = root.join(drop_in::RUNTIME_ROOT.trim_start_matches('/'));
    let drop_ins = drop_in::removals(&runtime).map_err(Failure::no)?;
    let mut made: Vec<Made> = drop_ins.into_iter().map(Made::DropIn).collect();
    let mut rows = Vec::new();
    let tuning = config.data_dir.join("tuning");
    for path in files(&tuning, ".json") {
        let name = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
        let change = Change::plan(What::ServerTuning, &name, [(path, None)]).map_err(Failure::no)?;
        made.extend(change.map(Made::Tuning));
    }
    for path in files(&tuning.join("last"), ".json") {
        match kept_parameter(&path, root) {
            Ok(Some(change)) => made.push(Made::Parameter(change, path)),
            Ok(None) => made.push(Made::File(path, "note of a change")),
            Err(why) => rows.push(row("kernel parameter", &path, format!("left: {why:#}"))),
        }
    }
    made.extend(tune::leftover(root)?.map(Made::Settings));
    for folder in [config.run_dir.clone(), config.run_dir.join("guards"), config.run_dir.join("clients")] {
        for socket in files(&folder, ".sock") {
            match UnixStream::connect(&socket) {
                Ok(_) => rows.push(row("socket", &socket, "left: its process still runs".to_owned())),
                Err(error) if error.kind() == std::io::ErrorKind::ConnectionRefused => {
                    made.push(Made::File(socket, "stale socket"));
                }
                Err(error) => rows.push(row("socket", &socket, format!("left: {error}"))),
            }
        }
    }
    // A person's word about what clients may do: without a guard it stops nobody.
    for path in files(&config.controls_dir, ".json") {
        rows.push(row("controls of clients", &path, "left: it is what a person has laid down".to_owned()));
    }
    made.extend(helper_units(root)?);
    let link = config.run_dir.join("bin/paramedic");
    if link.is_symlink() {
        made.push(Made::File(link, "stand-in"));
    }
    Ok((made, rows))
}

/// The units of the helper, the link that starts its socket first.
fn helper_units(root: &Path) -> Result<Vec<Made>, Failure> {
    let folder = root.join(UNITS);
    let mut made = Vec::new();
    for (name, mark) in HELPER {
        let link = folder.join("sockets.target.wants").join(name);
        if link.is_symlink() {
            made.push(Made::File(link, "link to a unit"));
        }
        let path = folder.join(name);
        let text = read_place(&path).map_err(Failure::no)?;
        if text.is_some_and(|text| text.contains(mark)) {
            let change = Change::plan(What::UnitFile, name, [(path, None)]).map_err(Failure::no)?;
            made.extend(change.map(Made::Unit));
        }
    }
    Ok(made)
}

/// The change of a parameter that is kept in a file; none where the file is about something else.
fn kept_parameter(path: &Path, root: &Path) -> anyhow::Result<Option<Change>> {
    let text = fs::read_to_string(path)?;
    let change = Change::parse(&text).context("what is kept there is not understood")?;
    if change.what != What::KernelParameter {
        return Ok(None);
    }
    let places = tune::places(root, &change.target).map_err(|failure| anyhow::anyhow!("{failure}"))?;
    change.check_places(&places)?;
    Ok(Some(change))
}

/// The files of a folder with this end, by name; none where there is no folder.
fn files(folder: &Path, end: &str) -> Vec<PathBuf> {
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let is_wanted = |path: &PathBuf| path.to_str().is_some_and(|path| path.ends_with(end)) && !path.is_dir();
    let mut found: Vec<PathBuf> = entries.map(|entry| entry.path()).filter(is_wanted).collect();
    found.sort();
    found
}

/// What came of taking it back.
struct Back {
    rows: Vec<Row>,
    /// What was changed by that, for the journal.
    changes: Vec<Change>,
    /// Whether nothing is left.
    is_whole: bool,
}

/// Takes all of it back.
fn take_back(made: Vec<Made>, root: &Path) -> Back {
    let (parameters, others): (Vec<_>, Vec<_>) =
        made.into_iter().partition(|one| matches!(one, Made::Parameter(..)));
    let mut back = undo_parameters(parameters);
    // The same file: it is looked at only now, and not touched where somebody has been at it.
    let others = others.into_iter().filter(|one| !matches!(one, Made::Settings(_)));
    match tune::leftover(root) {
        Ok(Some(change)) if back.is_whole => {
            let held = change.places.iter().filter_map(|place| place.old.as_deref()).flat_map(str::lines);
            let held: Vec<&str> = held.filter(|line| !line.starts_with('#')).collect();
            let state = match change.make() {
                Ok(()) => {
                    back.changes.push(change.clone());
                    format!("taken back; it held {}", held.join(", "))
                }
                Err(error) => told(Err(error.into())),
            };
            back.rows.push(Made::Settings(change).row(state));
        }
        Ok(_) => {}
        Err(error) => anstream::eprintln!("paramedic: {error}"),
    }
    let others: Vec<Made> = others.collect();
    if root == Path::new("/") {
        close_sockets(&others);
    }
    let mut is_reload_due = false;
    for one in others {
        let result = one.undo();
        is_reload_due |= result.is_ok() && matches!(one, Made::DropIn(_) | Made::Unit(_));
        back.is_whole &= result.is_ok();
        back.changes.extend(one.change().filter(|_| result.is_ok()));
        back.rows.push(one.row(told(result)));
    }
    if is_reload_due && root == Path::new("/") {
        let reloaded = ask_systemd(async |systemd: Systemd| systemd.reload(RELOAD_MAX).await);
        if let Err(error) = reloaded {
            back.is_whole = false;
            anstream::eprintln!(
                "paramedic: systemd has not read that yet ({error}): `systemctl daemon-reload`"
            );
        }
    }
    back
}

/// Has systemd no longer listen for the helpers whose units are taken back: without their files it would go on.
fn close_sockets(made: &[Made]) {
    let is_made =
        |name: &str| made.iter().any(|one| matches!(one, Made::Unit(change) if change.target == name));
    for (name, _) in HELPER.iter().filter(|(name, _)| name.ends_with(".service") && is_made(name)) {
        let unit: Result<UnitName, _> = name.parse();
        let closed = unit
            .map_err(|error| error.to_string())
            .and_then(|unit| ask_systemd(async |systemd: Systemd| systemd.close_socket_of(&unit).await));
        if let Err(error) = closed {
            anstream::eprintln!("paramedic: the socket of {name} is still open ({error})");
        }
    }
}

/// Has the systemd of this machine do something; an error is told in words.
fn ask_systemd(what: impl AsyncFnOnce(Systemd) -> Result<(), systemd::Error>) -> Result<(), String> {
    let runtime = context::runtime().map_err(|failure| failure.to_string())?;
    runtime
        .block_on(what(Systemd::new(SYSTEM_BUS, ANSWER_MAX)))
        .map_err(|error| incident::error_chain(&error))
}

/// Parameters share one file, and each is taken back only where that is as its change left it: so the last one first,
/// whichever that is.
fn undo_parameters(mut left: Vec<Made>) -> Back {
    let (mut rows, mut changes) = (Vec::new(), Vec::new());
    loop {
        let before = left.len();
        let mut failed = Vec::new();
        let mut reasons = Vec::new();
        for one in left {
            match one.undo() {
                Ok(()) => {
                    changes.extend(one.change());
                    rows.push(one.row(told(Ok(()))));
                }
                Err(error) => {
                    reasons.push(error);
                    failed.push(one);
                }
            }
        }
        left = failed;
        if left.len() == before || left.is_empty() {
            let is_whole = left.is_empty();
            rows.extend(left.iter().zip(reasons).map(|(one, error)| one.row(told(Err(error)))));
            return Back { rows, changes, is_whole };
        }
    }
}

fn told(result: anyhow::Result<()>) -> String {
    match result {
        Ok(()) => "taken back".to_owned(),
        Err(error) => format!("left: {error:#}"),
    }
}

fn row(what: &'static str, place: &Path, state: String) -> Row {
    Row { what, place: place.display().to_string(), state }
}

// === impl Made ===

impl Made {
    fn undo(&self) -> anyhow::Result<()> {
        match self {
            Self::DropIn(change) => change.write()?,
            Self::Tuning(change) | Self::Settings(change) | Self::Unit(change) => change.make()?,
            Self::Parameter(change, kept) => {
                if !change.is_taken_back()? {
                    change.reversed(None).make()?;
                }
                fs::remove_file(kept)?;
            }
            Self::File(path, _) => fs::remove_file(path)?,
        }
        Ok(())
    }

    /// What taking it back changes, for the journal.
    fn change(&self) -> Option<Change> {
        match self {
            Self::DropIn(change) => {
                let (path, old, new) = (change.path.clone(), change.old.clone(), change.new.clone());
                let (target, diff) = (change.unit.to_string(), change.diff());
                let places = vec![Place { path, old, new }];
                Some(Change { what: What::ServerTuning, target, places, diff, undoes: None })
            }
            Self::Tuning(change) | Self::Settings(change) | Self::Unit(change) => Some(change.clone()),
            Self::Parameter(change, _) => Some(change.reversed(None)),
            Self::File(..) => None,
        }
    }

    fn row(&self, state: String) -> Row {
        match self {
            Self::DropIn(change) => row("drop-in of a unit", &change.path, state),
            Self::Tuning(change) => Row { what: "tuning of a server", place: places(change), state },
            Self::Parameter(change, _) => Row {
                what: "kernel parameter",
                place: format!("{}: {}", change.target, places(change)),
                state,
            },
            Self::Settings(change) => {
                Row { what: "kernel settings of the next boot", place: places(change), state }
            }
            Self::Unit(change) => Row { what: "unit of the helper", place: places(change), state },
            Self::File(path, what) => row(what, path, state),
        }
    }
}

fn places(change: &Change) -> String {
    let places: Vec<String> = change.places.iter().map(|place| place.path.display().to_string()).collect();
    places.join(", ")
}
