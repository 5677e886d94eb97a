//! Owns the guard: the sidecar that gives one MCP server its operational surface.
//!
//! It runs the server as a child behind a lifeline (`child`, `pipe`), lets any number of clients share it over Streamable
//! HTTP (`http`, `mcp`, `session`, `inflight`), tells the truth about its health (`health`) and its numbers (`metrics`), keeps
//! its log (`log`), and takes orders over a control socket (`control`). It restarts nothing by itself, and whatever
//! ends it, nothing that it has started is left behind.

mod admin;
mod asked;
mod audit;
mod cache;
mod catalogue;
mod child;
mod clients;
mod clock;
mod control;
mod controls;
mod counted;
mod endpoint;
mod envelope;
// With the tests as well, so that it goes on to fit.
#[cfg(any(test, feature = "fuzzing"))]
pub mod fuzz;
mod governed;
mod handover;
mod health;
mod http;
mod http_sse;
mod inflight;
mod install;
mod keepalive;
mod limits;
mod lines;
mod log;
mod mcp;
mod metrics;
mod oom;
mod origin;
mod outgoing;
mod own;
mod package;
mod parting;
mod pipe;
mod private;
mod questions;
mod reads;
mod reload;
mod restarts;
mod revision;
mod rotation;
mod secret;
mod security;
mod session;
mod settings;
mod spans;
mod sse;
mod start;
mod state;
mod stdio;
mod taken;
mod test_read;
mod tls;
mod tree;
mod tuned;
mod unusual;
mod upstream;
mod usage;

use std::io;
use std::net::SocketAddr;
use std::os::fd::AsFd as _;
use std::path::PathBuf;
use std::sync::Arc;

use process::control::lock_path;
use process::{Lock, LockError, ProcessId};
use tokio::net::TcpListener;
use tokio::signal::unix::{Signal, SignalKind, signal};
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;

pub use admin::Exchange;
pub use audit::Audit;
pub use cache::CacheSettings;
pub use controls::{
    Approved, Block, BlockKind, Controls, ControlsError, EVERYBODY, Pace, Set, Watched, Writes,
};
pub use handover::HandoverError;
pub use limits::{Limits, Rate, ToolLimits};
pub use own::{Own, OwnError, Read, SessionSettings, Sharing, TestRead};
pub use reads::Reads;
pub use rotation::{Made, Rotation, RotationError};
pub use security::SecuritySettings;
pub use settings::{INSTALL_TIMEOUT, REQUEST_TIMEOUT, START_TIMEOUT, Settings};
pub use spans::TraceSettings;
pub use stdio::{StdioSettings, name_of, run_stdio};

use child::{Keeper, Order};
use control::Socket;
use handover::{Predecessor, Stage};
use log::Log;
use state::Guard;
use upstream::Upstream;

/// Orders wait for the one before; nobody gives many.
const ORDERS_MAX: usize = 16;

/// Why a guard did not start. Nothing was started then.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// The address cannot be listened on.
    #[error("cannot listen on `{address}`")]
    Listen {
        /// The address.
        address: SocketAddr,
        /// What the system said.
        source: io::Error,
    },
    /// Another guard has this control socket, or its lock file cannot be made.
    #[error("cannot become the guard of this name")]
    Lock(#[from] LockError),
    /// The control socket cannot be made.
    #[error("cannot make the control socket `{}`", path.display())]
    Control {
        /// The socket.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The log cannot be written.
    #[error("cannot write the log `{}`", path.display())]
    Log {
        /// The log file.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// The upstream cannot be one.
    #[error("`{url}` cannot be guarded: {reason}")]
    Upstream {
        /// Its URL.
        url: String,
        /// Why.
        reason: String,
    },
    /// The settings are not for this guard.
    #[error("cannot use the settings")]
    Own(#[from] OwnError),
    /// There is nothing to run.
    #[error("no command is given for server `{0}`")]
    NoCommand(String),
    /// The process that the guard is tied to is gone.
    #[error("the process {0} that the guard shall end with is gone")]
    Untied(i32),
    /// The child ended by itself, and the guard is to end with it.
    #[error("the server has ended: {0}")]
    ServerEnded(String),
    /// The guard that runs was to be replaced, and was not.
    #[error("cannot take the port over")]
    Handover(#[from] HandoverError),
    /// The system refused something that a guard cannot do without.
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
}

// === impl Error ===

impl Error {
    /// The code to exit with: 2 if the configuration is to blame, 1 otherwise.
    pub fn exit_code(&self) -> u8 {
        match self {
            Self::Listen { .. }
            | Self::Lock(_)
            | Self::Control { .. }
            | Self::Log { .. }
            | Self::Upstream { .. }
            | Self::Own(_)
            | Self::NoCommand(_) => 2,
            Self::Untied(_) | Self::System(..) | Self::ServerEnded(_) | Self::Handover(_) => 1,
        }
    }
}

/// Runs a guard until it is told to end: by SIGTERM or SIGINT, over the control socket, or by the end of the process it is tied to. Then
/// the child has ended too; or, where it is to do so once, until the child ends. It changes the whole process, which should do nothing else: it becomes a subreaper.
///
/// # Errors
/// When it cannot start; nothing is left running then.
pub async fn run(settings: Settings) -> Result<(), Error> {
    let upstream = match &settings.upstream {
        None if settings.command.is_empty() => return Err(Error::NoCommand(settings.name)),
        None => None,
        Some(url) => {
            let fail = |reason| Error::Upstream { url: url.clone(), reason };
            Some(Arc::new(Upstream::new(url).map_err(fail)?))
        }
    };
    // An owner that is gone already has no identity any more: then there is nothing to guard for.
    let tied = settings.tie.map(|pid| ProcessId::of(pid).ok_or(Error::Untied(pid))).transpose()?;
    let mut predecessor = match settings.take_over {
        true => Predecessor::meet(&settings.control).await,
        false => None,
    };
    let (listener, listen) = match &mut predecessor {
        Some(predecessor) => taken_over(predecessor.listener().await?, settings.listen)?,
        None => match &settings.socket {
            Some(socket) => handed_over(socket, settings.listen)?,
            None => bind(settings.listen).await?,
        },
    };
    // With a predecessor not before the server is ready.
    let claimed = if predecessor.is_none() { Some(claim(&settings)?) } else { None };
    let fail = |source| Error::Log { path: settings.log.clone(), source };
    let log = Log::open(&settings.log, &settings.name).map_err(fail)?;
    process::become_subreaper().map_err(|source| Error::System("become a subreaper", source))?;
    let listen_to = |kind| signal(kind).map_err(|source| Error::System("listen to signals", source));
    let signals = (listen_to(SignalKind::terminate())?, listen_to(SignalKind::interrupt())?);

    let (orders, ordered) = mpsc::channel(ORDERS_MAX);
    let guard = Arc::new(Guard::new(settings, upstream.clone(), listen, log, orders.clone()));
    let keeping = keep(&guard, upstream, ordered);
    tokio::spawn(end_when_told(orders.clone(), signals, tied));
    tokio::spawn(reload::at_hangup(guard.clone()));
    tokio::spawn(reload::at_new_certificates(guard.clone()));
    tokio::spawn(session::reclaim(guard.clone()));
    let told = guard.clone();
    tokio::spawn(async move { admin::tell_of_ends(&*told).await });
    tokio::spawn(spans::send(Arc::clone(&guard.spans)));
    let claimed = match (claimed, predecessor) {
        (Some(claimed), _) => Ok(claimed),
        (None, Some(predecessor)) => succeed(&guard, predecessor).await,
        (None, None) => claim(&guard.settings),
    };
    let served = match claimed {
        Ok((lock, socket)) => {
            let port = listener.as_fd().try_clone_to_owned();
            let port = port.map_err(|source| Error::System("keep the listening socket", source))?;
            guard.port.keep(lock, port, &guard.settings.control);
            tracing::info!(server = guard.settings.name, %listen, "guarding");
            tokio::spawn(handover::finish(guard.clone(), orders));
            serve(&guard, listener, socket, keeping).await
        }
        Err(error) => {
            let (reply, _) = oneshot::channel();
            let _ = orders.send(Order::Shutdown { by: "itself".to_owned(), reply }).await;
            let _ = keeping.await;
            Err(error)
        }
    };
    spans::send_last(&guard.spans).await;
    guard.log.flush();
    served
}

/// Serves until the keeper says that everything has ended.
async fn serve(
    guard: &Arc<Guard>,
    listener: TcpListener,
    socket: Socket,
    keeping: JoinHandle<Option<String>>,
) -> Result<(), Error> {
    let (leave, leaving) = watch::channel(false);
    let serving = tokio::spawn(http::serve(guard.clone(), listener, leaving));
    let (leave_control, leaving) = watch::channel(false);
    let controlling = tokio::spawn(socket.serve(guard.clone(), leaving));
    // Whoever listens to this guard is to find its successor.
    let mut stage = guard.port.stage();
    let leave_control = Arc::new(leave_control);
    let left = Arc::clone(&leave_control);
    tokio::spawn(async move {
        if stage.wait_for(|stage| *stage == Stage::Succeeded).await.is_ok() {
            left.send_replace(true);
        }
    });

    // The keeper only returns after a shutdown. If it panicked, its lifeline has ended the child.
    let kept = keeping.await;
    guard.private.end_all("the guard ends").await;
    leave.send_replace(true);
    leave_control.send_replace(true);
    // Both return within a second, and a panic in either has no say in how the child was kept.
    let _ = serving.await;
    let _ = controlling.await;
    let ended = kept.map_err(|error| Error::System("keep the child", io::Error::other(error)))?;
    ended.map_or(Ok(()), |reason| Err(Error::ServerEnded(reason)))
}

/// Starts what looks after the server.
fn keep(
    guard: &Arc<Guard>,
    upstream: Option<Arc<Upstream>>,
    ordered: mpsc::Receiver<Order>,
) -> JoinHandle<Option<String>> {
    match upstream {
        None => tokio::spawn(Keeper::new(guard.clone(), ordered).run()),
        Some(upstream) => {
            let guard = guard.clone();
            tokio::spawn(async move {
                upstream::run(guard, upstream, ordered).await;
                None
            })
        }
    }
}

/// Becomes the guard of its name.
fn claim(settings: &Settings) -> Result<(Lock, Socket), Error> {
    let lock = Lock::acquire(&lock_path(&settings.control))?;
    let fail = |source| Error::Control { path: settings.control.clone(), source };
    Ok((lock, Socket::bind(&settings.control).map_err(fail)?))
}

/// Takes the place of another guard, once the server behind this one is ready.
async fn succeed(guard: &Guard, mut predecessor: Predecessor) -> Result<(Lock, Socket), Error> {
    handover::ready(guard).await?;
    predecessor.retire().await?;
    let claimed = claim(&guard.settings)?;
    guard.controls.reread();
    guard.restarts.reread();
    let message = format!("took the port over from the guard that was process {}", predecessor.pid);
    guard.note(log::Level::Info, log::About::Audit, &message, []);
    Ok(claimed)
}

fn taken_over(
    listener: std::net::TcpListener,
    wanted: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Error> {
    let fail = |source| Error::Listen { address: wanted, source };
    let listen = listener.local_addr().map_err(fail)?;
    if wanted.port() != 0 && wanted != listen {
        let reason = format!("it listens at {listen}, and not at {wanted}");
        return Err(HandoverError::Refused(reason).into());
    }
    Ok((TcpListener::from_std(listener).map_err(fail)?, listen))
}

/// The socket that systemd keeps open for whoever is the guard.
fn handed_over(
    socket: &std::net::TcpListener,
    address: SocketAddr,
) -> Result<(TcpListener, SocketAddr), Error> {
    let fail = |source| Error::Listen { address, source };
    let listen = socket.local_addr().map_err(fail)?;
    let listener = socket.try_clone().and_then(TcpListener::from_std).map_err(fail)?;
    Ok((listener, listen))
}

async fn bind(address: SocketAddr) -> Result<(TcpListener, SocketAddr), Error> {
    let fail = |source| Error::Listen { address, source };
    let listener = TcpListener::bind(address).await.map_err(fail)?;
    let listen = listener.local_addr().map_err(fail)?;
    Ok((listener, listen))
}

async fn end_when_told(
    orders: mpsc::Sender<Order>,
    (mut terminate, mut interrupt): (Signal, Signal),
    tied: Option<ProcessId>,
) {
    let by = tokio::select! {
        _ = terminate.recv() => "SIGTERM",
        _ = interrupt.recv() => "SIGINT",
        () = untied(tied) => "the end of its owner",
    };
    tracing::info!(by, "ending");
    let (reply, _) = oneshot::channel();
    // It fails only if a shutdown is being carried out already.
    let _ = orders.send(Order::Shutdown { by: by.to_owned(), reply }).await;
}

async fn untied(tied: Option<ProcessId>) {
    match tied {
        // Where its end cannot be watched, the guard ends rather than stay behind.
        Some(owner) => drop(process::ended(owner).await),
        None => std::future::pending().await,
    }
}
