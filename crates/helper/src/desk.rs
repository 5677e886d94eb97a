//! Owns carrying an order out: held against the list, compared with what is there, done whole or not at all.

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use systemd::drop_in::{self, RUNTIME_ROOT};
use systemd::{DropIn, Systemd, UnitName};

use crate::allowed::Allowed;
use crate::clock;
use crate::contain::Containing;
use crate::parameter::ParameterState;
use crate::request::{Answer, Before, Order, Topic};
use crate::variable;

/// How long systemd may take to read its units anew.
const RELOAD_MAX: Duration = Duration::from_secs(30);

/// The longest `EnvironmentFile=` that is looked into, in bytes.
const FILE_BYTES_MAX: u64 = 1024 * 1024;

/// Whoever carries orders out. It has to be root, or everything below `root` has to be its own.
#[derive(Debug)]
pub struct Desk {
    root: PathBuf,
    systemd: Systemd,
}

/// Why something is not done.
#[derive(Debug)]
enum Trouble {
    /// It may not be.
    Refused(String),
    /// It could not be.
    Failed(String),
}

// === impl Desk ===

impl Desk {
    /// `root` is `/`, but for tests.
    pub fn new(root: &Path, systemd: Systemd) -> Self {
        Self { root: root.to_owned(), systemd }
    }

    /// Carries an order out. Every answer says what was there, where that was looked at.
    pub async fn carry_out(&self, order: &Order, allowed: &Allowed) -> Answer {
        match order {
            Order::DropIn { unit, topic, new, over } => {
                if !allowed.has_unit(unit) {
                    let reason = format!("the unit `{unit}` is not on the list");
                    return Answer::Refused { reason, before: None };
                }
                self.drop_in(unit, *topic, new.as_ref(), over.as_ref(), allowed).await
            }
            Order::Parameter { key, to, over } => {
                if !allowed.has_parameter(key) {
                    let reason = format!("the parameter `{key}` is not on the list");
                    return Answer::Refused { reason, before: None };
                }
                self.parameter(key, to, over)
            }
            Order::Contain { server, own, to, over } => {
                let (to, over) = (to.as_deref(), over.as_deref());
                let containing = Containing { server, own, to, over };
                // The kernel is done in some milliseconds; what is to stop is waited for.
                containing.carry_out(allowed, clock::now_ms())
            }
        }
    }

    /// The drop-in of a unit as it is now; none where there is no file.
    ///
    /// # Errors
    /// Where the file cannot be read, or is not of ours.
    pub fn drop_in_now(&self, unit: &UnitName, topic: Topic) -> io::Result<Option<DropIn>> {
        let path = self.path(unit, topic);
        let text = match std::fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(error),
        };
        let foreign = || io::Error::other(format!("`{}` was written by somebody else", path.display()));
        DropIn::parse(unit.clone(), topic.as_str(), &text).map(Some).ok_or_else(foreign)
    }

    /// Where the drop-in of a unit is.
    pub fn path(&self, unit: &UnitName, topic: Topic) -> PathBuf {
        drop_in::path(&self.runtime(), unit, topic.as_str())
    }

    fn runtime(&self) -> PathBuf {
        self.root.join(RUNTIME_ROOT.trim_start_matches('/'))
    }

    async fn drop_in(
        &self,
        unit: &UnitName,
        topic: Topic,
        new: Option<&DropIn>,
        over: Option<&DropIn>,
        allowed: &Allowed,
    ) -> Answer {
        let now = match self.drop_in_now(unit, topic) {
            Ok(now) => now,
            Err(error) => return Answer::Refused { reason: error.to_string(), before: None },
        };
        let before = Before::of_drop_in(now.as_ref());
        if new == now.as_ref() {
            return Answer::Done { before };
        }
        if over != now.as_ref() {
            let reason = format!("the drop-in of `{unit}` was changed since; nothing was done");
            return Answer::Refused { reason, before: Some(before) };
        }
        match self.write(unit, topic, new, now.as_ref(), allowed).await {
            Ok(()) => Answer::Done { before },
            Err(Trouble::Refused(reason)) => Answer::Refused { reason, before: Some(before) },
            Err(Trouble::Failed(reason)) => Answer::Failed { reason, before: Some(before) },
        }
    }

    async fn write(
        &self,
        unit: &UnitName,
        topic: Topic,
        new: Option<&DropIn>,
        now: Option<&DropIn>,
        allowed: &Allowed,
    ) -> Result<(), Trouble> {
        let failed = |error: systemd::Error| match error {
            systemd::Error::NoSuchUnit { .. } | systemd::Error::Moved { .. } => {
                Trouble::Refused(chain(&error))
            }
            error => Trouble::Failed(chain(&error)),
        };
        // A drop-in of an alias is one of the unit that it stands for.
        let id = self.systemd.unit(unit).await.map_err(failed)?.id;
        if !allowed.has_unit(&id) {
            return Err(Trouble::Refused(format!(
                "`{unit}` is another name of `{id}`, which is not on the list"
            )));
        }
        if let Some(new) = new {
            self.check_variables(unit, new, allowed).await?;
            self.check_addresses(unit, new, now).await?;
        }
        let root = self.runtime();
        let change = match new {
            Some(new) => new.plan(&root),
            None => drop_in::removal(&root, unit, topic.as_str()),
        };
        let Some(change) = change.map_err(failed)? else { return Ok(()) };
        self.systemd.apply(&change, RELOAD_MAX).await.map_err(failed)?;
        let settings = new.map(DropIn::settings).unwrap_or_default();
        let without = match self.systemd.without_effect(unit, settings).await {
            Ok(without) if without.is_empty() => return Ok(()),
            without => without,
        };
        self.systemd.apply(&change.reversed(), RELOAD_MAX).await.map_err(failed)?;
        Err(match without {
            Ok(names) => Trouble::Refused(format!(
                "it would have no effect on {}: a drop-in of `{unit}` that is read later sets that too",
                names.join(", ")
            )),
            Err(error) => failed(error),
        })
    }

    /// Refuses addresses that would be added to those of the unit's own file: no unit gets more by it than it has.
    async fn check_addresses(
        &self,
        unit: &UnitName,
        new: &DropIn,
        now: Option<&DropIn>,
    ) -> Result<(), Trouble> {
        let Some(wanted) = addresses(new) else { return Ok(()) };
        let denies = |drop_in: &DropIn| {
            drop_in.settings().iter().any(|one| matches!(one, drop_in::Setting::IpAddressDeny(_)))
        };
        if !denies(new) {
            return Err(Trouble::Refused(
                "addresses are only allowed where all others are denied".to_owned(),
            ));
        }
        if let Some(now) = now.filter(|now| denies(now)) {
            let known = addresses(now).unwrap_or_default();
            if wanted.iter().all(|one| known.contains(one)) {
                return Ok(());
            }
            let reason = format!("`{unit}` may talk to fewer already: take that back first (--undo)");
            return Err(Trouble::Refused(reason));
        }
        match self.systemd.limits_addresses(unit).await {
            Ok(false) => Ok(()),
            Ok(true) => {
                let reason =
                    format!("`{unit}` says in its own file with whom it talks, and would get more by this");
                Err(Trouble::Refused(reason))
            }
            Err(error) => Err(Trouble::Failed(chain(&error))),
        }
    }

    /// Refuses variables that could make a server run something else, and those that would have no effect.
    async fn check_variables(&self, unit: &UnitName, new: &DropIn, allowed: &Allowed) -> Result<(), Trouble> {
        let variables = new.settings().iter().find_map(|setting| match setting {
            drop_in::Setting::Environment(variables) => Some(variables),
            _ => None,
        });
        let Some(variables) = variables else { return Ok(()) };
        let environment = self.systemd.environment(unit).await;
        let environment = environment.map_err(|error| Trouble::Failed(chain(&error)))?;
        let has: BTreeMap<String, String> = environment.set;
        if let Some(problem) = variable::problem(variables, &has, allowed.variables()) {
            return Err(Trouble::Refused(problem));
        }
        for path in &environment.files {
            let text = match read(&self.root.join(path.strip_prefix("/").unwrap_or(path))) {
                Ok(text) => text,
                // A file that may be missing, or a pattern.
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                Err(error) => {
                    return Err(Trouble::Failed(format!("`{}` cannot be read: {error}", path.display())));
                }
            };
            if let Some(name) = variables.keys().find(|name| variable::sets(&text, name)) {
                let path = path.display();
                let reason =
                    format!("`{path}`, a file of the unit, sets `{name}`, and would win: change it there");
                return Err(Trouble::Refused(reason));
            }
        }
        Ok(())
    }

    fn parameter(&self, key: &str, to: &ParameterState, over: &ParameterState) -> Answer {
        let now = match ParameterState::read(&self.root, key) {
            Ok(Some(now)) => now,
            Ok(None) => {
                let reason = format!("`{key}` is no parameter of this kernel");
                return Answer::Refused { reason, before: None };
            }
            Err(error) => return Answer::Failed { reason: error.to_string(), before: None },
        };
        let before = Before::Parameter(now.clone());
        if to.is(&now) {
            return Answer::Done { before };
        }
        if !over.is(&now) {
            let reason = format!("`{key}` was changed since; nothing was done");
            return Answer::Refused { reason, before: Some(before) };
        }
        match to.write(&self.root, key) {
            Ok(()) => Answer::Done { before },
            Err(error) => {
                let reason = format!("`{key}` could not be set, and is as it was: {error}");
                Answer::Failed { reason, before: Some(before) }
            }
        }
    }
}

/// With whom a unit may talk by a drop-in; none where it does not say.
fn addresses(drop_in: &DropIn) -> Option<&[drop_in::Network]> {
    drop_in.settings().iter().find_map(|one| match one {
        drop_in::Setting::IpAddressAllow(networks) => Some(networks.as_slice()),
        _ => None,
    })
}

fn read(path: &Path) -> io::Result<String> {
    use std::io::Read as _;
    let mut bytes = Vec::new();
    std::fs::File::open(path)?.take(FILE_BYTES_MAX).read_to_end(&mut bytes)?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

/// An error and its causes, in one line.
fn chain(error: &dyn std::error::Error) -> String {
    let mut words = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}
