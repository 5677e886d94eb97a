//! Owns which servers are contained: a file for each in `contained`, what it means for what is done to them, and the dead
//! man's switch, which takes back what nobody has confirmed in time.
//!
//! The guard and the kernel keep their own timeouts, so what they hold back ends although nobody is there. The rest
//! (processes that are stopped, the file) is taken back by `serve`, also by one that was started only later.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::{self, Read as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use ::containment::{Scene, State, StateError};
use helper::{Answer, Before, Request};
use incident::change::{Change, ChangeError, What};
use incident::{Hold, Kill, error_chain};
use process::ProcessId;

use crate::clock::now_ms;
use crate::config::Config;
use crate::flow::Flow;
use crate::kill_switch::kill_switch;

/// The time between two looks of the dead man's switch.
const INTERVAL: Duration = Duration::from_secs(1);

/// The largest file, in bytes: it is a place of a change, and those are no larger.
const BYTES_MAX: u64 = 64 << 10;

/// Who takes back what nobody has confirmed.
const BY: &str = "serve: nobody has confirmed it in time";

/// Why it is not known whether a server is contained.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum ContainmentError {
    #[error("`{}` cannot be read", path.display())]
    Io { path: PathBuf, source: io::Error },
    #[error("`{}` cannot be used", path.display())]
    Content { path: PathBuf, source: StateError },
}

/// Why the kernel does not do its part.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum KernelError {
    #[error(transparent)]
    Kernel(#[from] ::containment::Error),
    #[error(
        "that takes root, and who does it for others is not there (`{}`): install `paramedic-contain.socket`, \
         `paramedic-contain.service`, and `contain` in `helper.toml` (deploy/README.md); or do it as root",
        helper::CONTAIN_SOCKET
    )]
    NoHelper,
    #[error("the helper is not asked")]
    Unasked(#[source] helper::ClientError),
    #[error("the helper refuses: {0}")]
    Refused(String),
    #[error("the helper does not do it: {0}")]
    Failed(String),
    #[error("it broke off")]
    Broken,
}

/// Why a server is not released.
#[derive(Debug, thiserror::Error)]
enum ReleaseError {
    #[error("the kernel does not do it")]
    Kernel(#[from] KernelError),
    #[error("its file stays")]
    File(#[from] ChangeError),
    #[error("it is done, and could not be written down")]
    Note(#[from] incident::EngineError),
}

/// Where it stands how a server is contained.
pub fn containment_path(config: &Config, server: &str) -> PathBuf {
    folder(config).join(format!("{server}.json"))
}

fn folder(config: &Config) -> PathBuf {
    config.data_dir.join("contained")
}

/// How a server is contained; none where it is not.
///
/// # Errors
/// Where its file cannot be read or is not understood: it may be contained.
pub fn read_containment(config: &Config, server: &str) -> Result<Option<State>, ContainmentError> {
    read(&containment_path(config, server))
}

fn read(path: &Path) -> Result<Option<State>, ContainmentError> {
    let failed = |source| ContainmentError::Io { path: path.to_owned(), source };
    let mut text = String::new();
    match File::open(path) {
        Ok(file) => file.take(BYTES_MAX).read_to_string(&mut text).map_err(failed)?,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(error)),
    };
    State::parse(Some(&text)).map_err(|source| ContainmentError::Content { path: path.to_owned(), source })
}

/// Has the kernel contain a server as `new` says, in place of `old`: by this process where it is root, else by the helper.
/// Says what is worth knowing.
///
/// # Errors
/// Where the kernel refuses, or there is no helper for whoever is not root.
pub async fn contain(
    config: &Config,
    server: &str,
    old: Option<&State>,
    new: Option<&State>,
) -> Result<Vec<String>, KernelError> {
    let reaches_kernel = [old, new].into_iter().flatten().any(State::reaches_kernel);
    if rustix::process::geteuid().is_root() || !reaches_kernel {
        let (config, server) = (config.clone(), server.to_owned());
        let (old, new) = (old.cloned(), new.cloned());
        let carried = tokio::task::spawn_blocking(move || {
            let scene = Scene { server: &server, own: &config.containment.responders, now_ms: now_ms() };
            ::containment::carry_out(scene, old.as_ref(), new.as_ref())
        });
        return Ok(carried.await.map_err(|_| KernelError::Broken)??);
    }
    let boxed = |state: Option<&State>| state.cloned().map(Box::new);
    let (server, own) = (server.to_owned(), config.containment.responders.clone());
    let request = Request::Contain { server, own, to: boxed(new), over: boxed(old) };
    match helper::ask(Path::new(helper::CONTAIN_SOCKET), helper::OWNER, &request).await {
        Ok(Answer::Done { before: Before::Told(told) }) => Ok(told),
        Ok(Answer::Done { .. }) => Ok(Vec::new()),
        Ok(Answer::Refused { reason, .. }) => Err(KernelError::Refused(reason)),
        Ok(Answer::Failed { reason, .. }) => Err(KernelError::Failed(reason)),
        Err(helper::ClientError::Absent(_)) => Err(KernelError::NoHelper),
        Err(error) => Err(KernelError::Unasked(error)),
    }
}

/// In words, how a server is contained, for people; none where it is not.
pub(crate) fn contained(config: &Config, server: &str) -> Option<String> {
    match read_containment(config, server) {
        Ok(state) => {
            let state = state.filter(|state| !state.is_over(now_ms()))?;
            let until = match state.until_ms {
                Some(until_ms) => format!("until {}, unless somebody confirms it", utc(until_ms)),
                None => "until somebody releases it".to_owned(),
            };
            Some(format!("contained by {} {until}: {}", state.by, state.words()))
        }
        Err(error) => Some(error_chain(&error)),
    }
}

/// What holds the changes of a contained server back: it is evidence, and whoever contained it meant that. The incident
/// that it was contained for goes on as its policy says.
pub(crate) fn hold(config: &Config, server: &str, incident: &str) -> Option<Hold> {
    let of = read_containment(config, server).ok().flatten().and_then(|state| state.incident);
    if of.as_deref() == Some(incident) {
        return None;
    }
    let reason = contained(config, server)?;
    Some(Hold { reason: format!("the server is {reason}; a yes allows it"), until_ms: None })
}

/// Which of these servers are contained.
pub(crate) fn all<'a>(config: &Config, servers: impl Iterator<Item = &'a str>) -> BTreeMap<&'a str, bool> {
    servers.map(|server| (server, contained(config, server).is_some())).collect()
}

impl Flow {
    /// Looks after contained servers until the task is dropped: takes back what is over, and keeps what was started since
    /// where the rest is held.
    pub(crate) async fn keep_contained(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(INTERVAL);
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        let mut told: BTreeMap<String, String> = BTreeMap::new();
        loop {
            ticks.tick().await;
            for server in listed(&self.world.config) {
                match self.look_after(&server).await {
                    Some(problem) if told.get(&server) != Some(&problem) => {
                        tracing::error!(server, problem, "a contained server is not as it is to be");
                        told.insert(server, problem);
                    }
                    Some(_) => {}
                    None => drop(told.remove(&server)),
                }
            }
        }
    }

    /// Returns what is wrong.
    async fn look_after(&self, server: &str) -> Option<String> {
        let config = &self.world.config;
        let state = match read_containment(config, server) {
            Ok(state) => state?,
            Err(error) => return Some(error_chain(&error)),
        };
        if state.is_over(now_ms()) {
            // It is a change like others. What the guard and the kernel have timed out, they have timed out.
            if kill_switch(config) == Kill::On {
                return Some("it is over, and the kill switch is on".to_owned());
            }
            return self.release(server, state).await.err().map(|error| error_chain(&error));
        }
        // The guard says which it is: the main process of a unit is the guard itself.
        let child = self.fleet.get(server).and_then(|member| member.supervised().status?.child);
        let child = child.filter(ProcessId::is_alive)?;
        let Some(::containment::Hold::Group { group, .. }) = &state.hold else { return None };
        if group.has(Path::new("/"), child) {
            return None;
        }
        // It was started anew: where the rest is held it is as well, and the rest of the state goes on.
        let mut moved = state.clone();
        moved.process = Some(child);
        contain(config, server, Some(&state), Some(&moved)).await.err().map(|error| error_chain(&error))
    }

    async fn release(&self, server: &str, state: State) -> Result<(), ReleaseError> {
        let path = containment_path(&self.world.config, server);
        let Some(change) = Change::plan(What::Containment, server, [(path, None)])? else { return Ok(()) };
        for told in contain(&self.world.config, server, Some(&state), None).await? {
            tracing::info!(server, told, "released");
        }
        change.make()?;
        self.engine.note_change(Some(server), BY, change).await?;
        Ok(())
    }
}

fn utc(at_ms: i64) -> String {
    let at = chrono::DateTime::from_timestamp_millis(at_ms);
    at.map_or_else(|| format!("{at_ms} ms"), |at| at.format("%Y-%m-%d %H:%M:%S UTC").to_string())
}

/// The servers of which there is a file.
fn listed(config: &Config) -> Vec<String> {
    let entries = fs::read_dir(folder(config)).into_iter().flatten().flatten();
    let name = |entry: fs::DirEntry| entry.file_name().to_str()?.strip_suffix(".json").map(str::to_owned);
    entries.filter_map(name).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_contained_server_holds_its_changes_back() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = crate::config::parse("").unwrap();
        config.data_dir = folder.path().to_owned();
        assert_eq!(hold(&config, "notes", "2"), None);
        let mut state = State::new("ann", 0, "bundle 1".to_owned());
        state.ports = vec![8000];
        let path = containment_path(&config, "notes");
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, state.to_text()).unwrap();
        let reason = hold(&config, "notes", "2").unwrap().reason;
        assert_eq!(
            reason,
            "the server is contained by ann until somebody releases it: nobody elsewhere reaches port 8000; a yes allows it"
        );
        assert_eq!(listed(&config), ["notes"]);
        assert_eq!(hold(&config, "other", "2"), None);
        state.incident = Some("1".to_owned());
        fs::write(&path, state.to_text()).unwrap();
        assert_eq!(hold(&config, "notes", "1"), None, "the incident that it is contained for");
        assert!(hold(&config, "notes", "2").is_some());
        // What is over holds nothing back, although nobody was there to take it back.
        state.until_ms = Some(1);
        fs::write(&path, state.to_text()).unwrap();
        assert_eq!(hold(&config, "notes", "2"), None);
        fs::write(&path, "{").unwrap();
        assert!(hold(&config, "notes", "2").unwrap().reason.contains("cannot be used"));
    }
}
