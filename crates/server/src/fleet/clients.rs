//! Owns the servers that clients have started: found by the sockets of their guards, and absent when those are gone.
//!
//! A client's guard keeps `NAME.sock` in the folder `clients` of the runtime directory for as long as its client is
//! there. Nobody else can start it again, so a server without a guard is absent, which is neither up nor down; it is
//! remembered, and is the same server when a guard of its name comes back.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use probe::{Endpoint, Target};
use process::control::{Phase, Status, clients_folder};
use tokio::sync::{mpsc, watch};
use tokio::task::JoinSet;

use super::{Fleet, Member, Source, Supervised};
use crate::client::{Client, ClientError};
use crate::config::{Config, Server};

/// The time between two looks into the folder.
const LOOK_EVERY: Duration = Duration::from_secs(1);
/// A guard tells its status from memory; one that does not is stopped.
const STATUS_MAX: Duration = Duration::from_secs(2);
/// More servers of clients than these are not looked at: each costs two loops.
const SERVERS_MAX: usize = 256;

/// What is told of servers of clients.
pub(crate) enum Found {
    /// There is one that was not known.
    New(Arc<Member>),
    /// The one of this name is gone with its client.
    Gone(String),
}

/// What a guard said of itself, if it is there.
enum Said {
    Status(Box<Status>),
    /// Somebody is there, and does not answer.
    Nothing,
    /// Nobody is there.
    Absent,
}

/// Looks again and again, and tells of each server that comes and goes.
pub(super) async fn watch(fleet: &Fleet, config: &Config, found: mpsc::Sender<Found>) {
    let folder = clients_folder(&config.run_dir);
    let mut known: BTreeMap<String, watch::Sender<Supervised>> = BTreeMap::new();
    let mut ticks = tokio::time::interval(LOOK_EVERY);
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let mut said = ask_all(&folder, known.keys()).await;
        // A name of the configuration is a server of ours, whoever else uses it.
        said.retain(|name, _| known.contains_key(name) || fleet.get(name).is_none());
        for (name, said) in said {
            let news = match (known.get(&name), said) {
                (Some(report), said) => update(report, &name, said),
                (None, Said::Status(status)) if known.len() < SERVERS_MAX => {
                    let (report, status) = watch::channel(present(*status));
                    let member = Arc::new(member(config, &folder, &name, status));
                    tracing::info!(server = name, "a client has started a server under a guard");
                    known.insert(name, report);
                    fleet.add(&member);
                    Some(Found::New(member))
                }
                (None, _) => None,
            };
            if let Some(news) = news
                && found.send(news).await.is_err()
            {
                return;
            }
        }
    }
}

/// Asks everybody who has a socket there, and those that had one.
async fn ask_all<'k>(folder: &Path, known: impl Iterator<Item = &'k String>) -> BTreeMap<String, Said> {
    let mut names: BTreeSet<String> = known.cloned().collect();
    // Where there is no folder, no client has started anything yet.
    let entries = std::fs::read_dir(folder).into_iter().flatten().flatten();
    let sockets =
        entries.filter_map(|entry| Some(entry.file_name().to_str()?.strip_suffix(".sock")?.to_owned()));
    names.extend(sockets.take(2 * SERVERS_MAX));
    let mut asked = JoinSet::new();
    for name in names {
        let socket = socket(folder, &name);
        asked.spawn(async move { (name, ask(&socket).await) });
    }
    asked.join_all().await.into_iter().collect()
}

async fn ask(socket: &Path) -> Said {
    let Ok(client) = Client::new(socket) else { return Said::Nothing };
    match client.get_within::<Status>("/admin/status", STATUS_MAX).await {
        Ok(status) => Said::Status(Box::new(status)),
        Err(ClientError::NotReachable { source, .. }) if source.is_connect() => Said::Absent,
        Err(_) => Said::Nothing,
    }
}

fn update(report: &watch::Sender<Supervised>, name: &str, said: Said) -> Option<Found> {
    let now = match said {
        Said::Status(status) => present(*status),
        // The client is there, and what was known last is the best that is known; the probe says the rest.
        Said::Nothing => return None,
        Said::Absent => {
            let problem = Some("its client has closed it".to_owned());
            Supervised { problem, ..Supervised::default() }
        }
    };
    let (was_there, is_there) = (report.borrow().status.is_some(), now.status.is_some());
    if was_there != is_there {
        let what = if was_there { "is gone with its client" } else { "is there again" };
        tracing::info!(server = name, "a server of a client {what}");
    }
    report.send_replace(now);
    (was_there && !is_there).then(|| Found::Gone(name.to_owned()))
}

fn present(status: Status) -> Supervised {
    let problem = (status.phase == Phase::Stopped).then(|| "its client is leaving".to_owned());
    Supervised { status: Some(status), problem, ..Supervised::default() }
}

fn socket(folder: &Path, name: &str) -> PathBuf {
    folder.join(format!("{name}.sock"))
}

fn member(config: &Config, folder: &Path, name: &str, status: watch::Receiver<Supervised>) -> Member {
    let socket = socket(folder, name);
    Member {
        config: Server::of_client(name, config.policy.mode_upstream),
        target: target(&socket, name),
        log: config.log_dir.join(format!("{name}.log")),
        status,
        orders: None,
        source: Source::Client(socket),
    }
}

fn target(socket: &Path, name: &str) -> Target {
    let endpoint = Endpoint::Local { socket: socket.to_owned() };
    Target { name: name.to_owned(), endpoint, dependencies: Vec::new() }
}

/// How a server of a client is asked; none where no guard has a socket of this name.
pub fn client_target(config: &Config, name: &str) -> Option<Target> {
    let socket = socket(&clients_folder(&config.run_dir), name);
    // A name with a separator would lead elsewhere.
    (!name.contains('/') && socket.exists()).then(|| target(&socket, name))
}
