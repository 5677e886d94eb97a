//! Owns `paramedic server tune` and `paramedic host tune`: how a change is written down, made, shown and taken back.
//!
//! In a step of a runbook the change goes into the file that `PARAMEDIC_CHANGES` names, before it is made; a person's
//! goes to `serve`, where one answers. The last change of everything that is tuned is kept beside, for `--undo`.

mod far;
mod hand;
mod harden;
mod host;
mod reach;
mod server;
mod unit;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::server::api::wire::Made;
use ::server::client::Client;
use ::server::config::Config;
use anyhow::Context as _;
use incident::Kill;
use incident::change::{Change, ChangeError};

use crate::arguments::Output;
use crate::context::actor;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) use hand::Hand;
pub(super) use harden::harden;
pub(super) use host::{host, leftover, places};
pub(super) use server::server;

/// How long `serve` may take to write a change down.
const NOTE_MAX: Duration = Duration::from_secs(10);

/// The variable with the file of changes of a step.
const CHANGES: &str = "PARAMEDIC_CHANGES";

/// The variable with the change that a step takes back.
const CHANGE: &str = "PARAMEDIC_CHANGE";

/// What is tuned: a server or a parameter, and the files that a change of it may be about.
pub(super) struct Subject<'a> {
    pub(super) config: &'a Config,
    /// `serve`, which may not be there.
    pub(super) client: &'a Client,
    /// The server, where it is one.
    pub(super) server: Option<&'a str>,
    pub(super) name: &'a str,
    pub(super) places: Vec<PathBuf>,
    pub(super) hand: Hand<'a>,
}

impl Subject<'_> {
    /// Where the last change of it is kept.
    fn last(&self) -> PathBuf {
        let kind = match (&self.hand, self.server) {
            (Hand::Guard(_), _) => "controls",
            (Hand::Kernel(_), _) => "contained",
            (Hand::Tokens(_), _) => "tokens",
            (Hand::Unit(_, helper::Topic::Sandbox), _) => "sandbox",
            (_, Some(_)) => "server",
            (_, None) => "host",
        };
        ::server::last_change_path(self.config, kind, self.name)
    }

    /// Makes a change and shows it.
    pub(super) async fn carry_out(&self, change: &Change, output: Output) -> Result<(), Failure> {
        may_change(self.config)?;
        let last = self.last();
        let before = fs::read(&last).ok();
        let context = || format!("cannot keep the value before in `{}`", last.display());
        keep(&last, change.to_line().as_bytes(), &self.config.data_dir)
            .with_context(context)
            .map_err(Failure::no)?;
        if let Err(failure) = self.make(change).await {
            // It did not happen: what happened last is still the change before. The first failure is the one to tell of.
            let _ = match before {
                Some(before) => fs::write(&last, before),
                None => fs::remove_file(&last),
            };
            return Err(failure);
        }
        show_change(change, output);
        Ok(())
    }

    /// Takes the last change back, or the one that a step is about.
    /// Returns the change that did so; none where nothing was to be done.
    pub(super) async fn undo(&self, output: Output) -> Result<Option<Change>, Failure> {
        may_change(self.config)?;
        let (text, from_step) = match std::env::var(CHANGE) {
            Ok(text) if !text.is_empty() => (text, true),
            _ => match fs::read_to_string(self.last()) {
                Ok(text) => (text, false),
                Err(error) if error.kind() == io::ErrorKind::NotFound => {
                    let name = self.name;
                    return Err(Failure::no(anyhow::anyhow!(
                        "nothing was tuned at `{name}` that could be taken back"
                    )));
                }
                Err(error) => return Err(Failure::no(error)),
            },
        };
        let change = Change::parse(&text);
        let change = change
            .ok_or_else(|| Failure::no(anyhow::anyhow!("the change to take back is not understood")))?;
        if change.target != self.name {
            let message =
                format!("the change to take back is one of `{}`, not of `{}`", change.target, self.name);
            return Err(Failure::no(anyhow::anyhow!(message)));
        }
        change.check_places(&self.places).map_err(failure)?;
        if change.is_taken_back().map_err(failure)? {
            show::line(&format!("{}: nothing to do, it is as it was before", self.name));
            return Ok(None);
        }
        let back = change.reversed(change.undoes);
        self.make(&back).await?;
        if !from_step {
            // What is taken back is not taken back again; a file that stays is only refused later.
            let _ = fs::remove_file(self.last());
        }
        show_change(&back, output);
        Ok(Some(back))
    }

    async fn make(&self, change: &Change) -> Result<(), Failure> {
        if let Some(path) = std::env::var_os(CHANGES).filter(|path| !path.is_empty()) {
            let before = note_in_step(Path::new(&path), change).context("cannot write the change down");
            let before = before.map_err(Failure::no)?;
            return self.hand.make(change).await.inspect_err(|_| {
                // It was not made, and so it did not happen.
                let _ = OpenOptions::new().write(true).open(&path).and_then(|file| file.set_len(before));
            });
        }
        self.hand.make(change).await?;
        let made = Made { by: actor(), server: self.server.map(str::to_owned), change: change.clone() };
        if let Err(error) = self.client.post::<serde_json::Value>("/api/v1/changes", &made, NOTE_MAX).await {
            anstream::eprintln!("paramedic: the change is made, and not in the journal: {error}");
        }
        Ok(())
    }
}

/// Whether anything may be changed at all.
pub(super) fn may_change(config: &Config) -> Result<(), Failure> {
    match ::server::kill_switch(config) {
        Kill::Off => Ok(()),
        Kill::On => Err(Failure::new(
            Code::Refused,
            anyhow::anyhow!("the kill switch is on: nothing is changed until `paramedic kill-switch off`"),
        )),
    }
}

/// Keeps a change in a file of whoever owns the data directory: root tunes too, and must not lock them out.
fn keep(path: &Path, bytes: &[u8], data_dir: &Path) -> io::Result<()> {
    use std::os::unix::fs::{MetadataExt as _, chown};
    let folder = path.parent().unwrap_or(Path::new("/"));
    fs::create_dir_all(folder)?;
    fs::write(path, bytes)?;
    let owner = fs::metadata(data_dir)?;
    let made = [folder.parent(), Some(folder), Some(path)];
    for one in made.into_iter().flatten().filter(|_| rustix::process::geteuid().is_root()) {
        chown(one, Some(owner.uid()), Some(owner.gid()))?;
    }
    Ok(())
}

/// Writes a change down durably; returns how long the file was before.
fn note_in_step(path: &Path, change: &Change) -> io::Result<u64> {
    let mut file: File = OpenOptions::new().create(true).append(true).open(path)?;
    let before = file.metadata()?.len();
    file.write_all((change.to_line() + "\n").as_bytes())?;
    file.sync_all()?;
    Ok(before)
}

fn show_change(change: &Change, output: Output) {
    match output {
        Output::Table => show::line(change.diff.trim_end()),
        _ => show::json(change),
    }
}

/// What somebody else has changed is not overwritten: that is a refusal.
pub(super) fn failure(error: ChangeError) -> Failure {
    match error {
        ChangeError::Moved { .. } | ChangeError::Foreign { .. } => Failure::new(Code::Refused, error),
        other => Failure::no(other),
    }
}

/// A refusal of what makes no sense.
fn nonsense(message: String) -> Failure {
    Failure::no(anyhow::anyhow!(message))
}
