//! Owns the guard in a client's configuration: `paramedic guard --stdio -- COMMAND…`, one prefix before a command.
//!
//! The client speaks to its server over standard input and output, and every byte goes through as it is; the guard only
//! reads along (`frames`, `ledger`, `handshake`). When the server ends, who waits is answered with an error, another one
//! is started (`backoff`), met with the client's own words, and the client goes on (`relay`, `keeper`). When the client
//! ends, all of it does. How the server is can be asked at a local socket (`surface`, `claim`), where `serve` finds it.

mod backoff;
mod batch;
mod claim;
mod frames;
mod gate;
mod governed;
mod handshake;
mod health;
mod keeper;
mod ledger;
mod name;
mod pumps;
mod record;
mod relay;
mod shared;
mod streams;
mod surface;
mod terms;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::mpsc;

pub(crate) use batch::messages;
pub use name::name_of;

use crate::controls::Kept;
use crate::log::Log;
use crate::own::Own;
use crate::restarts::Restarts;
use crate::spans::{self, Spans};
use crate::{Error, clock};
use claim::Claim;
use gate::Gate;
use keeper::Keeper;
use pumps::Streams;
use record::Record;
use relay::Relay;
use shared::Shared;
use streams::Outlet;
use terms::Terms;

/// Clients give up on a request after a minute, as a rule; they should hear of the trouble before.
const HOLD_MAX: Duration = Duration::from_secs(30);

/// The least and the most between two looks whose time is up.
const TIME_OUT_LOOKS: [Duration; 2] = [Duration::from_millis(10), Duration::from_millis(500)];

/// What a client's guard is told at its start.
#[derive(Clone, Debug)]
pub struct StdioSettings {
    /// What the server is called; a number is added where that is taken.
    pub kind: String,
    /// Names that belong to other servers.
    pub reserved: Vec<String>,
    /// Where the socket is to be: `NAME.sock` in this folder.
    pub sockets: PathBuf,
    /// Where the log is to be: `NAME.log` in this folder.
    pub logs: PathBuf,
    /// What to run, and its arguments.
    pub command: Vec<String>,
    /// How long the server may take until it answers `initialize`, in which nothing is installed.
    pub start_timeout: Duration,
    /// How long a package manager may work for it; [`crate::INSTALL_TIMEOUT`].
    pub install_timeout: Duration,
    /// What belongs to this one server.
    pub own: Own,
    /// Where what operators lay down is to be: `NAME.json` in this folder. None where it is forgotten with the guard.
    pub controls: Option<PathBuf>,
    /// The program that has the role `lifeline`.
    pub paramedic_exe: PathBuf,
}

/// Stands between a client, at this process's standard input and output, and its server, until the client is gone, or
/// until SIGTERM or SIGINT. Then the server has ended too. It changes the whole process, which should do nothing else: it
/// becomes a subreaper, and threads that wait for the client stay behind until the process ends.
///
/// # Errors
/// When it cannot start; nothing is left running then. What only keeps others from looking is no reason.
pub async fn run_stdio(settings: StdioSettings) -> Result<(), Error> {
    if settings.command.is_empty() {
        return Err(Error::NoCommand(settings.kind));
    }
    settings.own.fits_stdio()?;
    let fail = |what| move |source: io::Error| Error::System(what, source);
    process::become_subreaper().map_err(fail("become a subreaper"))?;
    let streams = Streams::standard().map_err(fail("use the standard streams"))?;
    let mut word = [0; 16];
    getrandom::fill(&mut word).map_err(|error| Error::System("get random bytes", io::Error::other(error)))?;
    let terminate = signal(SignalKind::terminate()).map_err(fail("listen to signals"))?;
    let interrupt = signal(SignalKind::interrupt()).map_err(fail("listen to signals"))?;

    let claim = Claim::take(&settings.sockets, &settings.kind, &settings.reserved);
    let path = settings.logs.join(format!("{}.log", claim.name));
    let failed = |error: &io::Error| tracing::warn!(%error, path = %path.display(), "there will be no log");
    let log = Log::open(&path, &claim.name).inspect_err(failed).ok();
    let (signals, signalled) = mpsc::unbounded_channel();
    let outlet = Outlet::new(streams.stdout.try_clone().map_err(fail("use standard output"))?.into());
    let reason = format!("server `{}` has not been started yet", claim.name);
    let hold = HOLD_MAX.min(settings.start_timeout);
    let spans = Arc::new(Spans::new(&claim.name, &settings.own.traces, clock::seed()));
    let record = Record::new(&claim.name, log, Arc::clone(&spans), clock::now_ms());
    let kept = settings.controls.as_ref().map(|folder| folder.join(format!("{}.json", claim.name)));
    let (restarts, problem) = Restarts::beside(kept.as_deref(), clock::now_ms());
    problem.iter().for_each(|problem| tracing::warn!("{problem}"));
    let kept = Arc::new(Kept::open(kept, clock::now_ms()));
    let word = u128::from_ne_bytes(word);
    let gate = Gate::new(Arc::clone(&kept), &settings.own, word, clock::now_ms);
    let terms = Terms::new(&settings.own, Arc::clone(&spans));
    let shortest = terms.shortest_timeout();
    let relay = Arc::new(Relay::new(outlet, record, word, (gate, terms), (hold, &reason), signals));
    if let Some(shortest) = shortest {
        tokio::spawn(time_out(Arc::clone(&relay), shortest));
    }
    let sending = tokio::spawn(spans::send(Arc::clone(&spans)));
    pumps::listen_to_client(&relay, streams.stdin, streams.stdout).map_err(fail("start a thread"))?;

    let shared = Arc::new(Shared::new(settings, Arc::clone(&relay), kept, restarts));
    let keeper = Keeper::new(Arc::clone(&shared), signalled, (terminate, interrupt), streams.stderr);
    match &claim.socket {
        Some(socket) => tokio::select! {
            () = keeper.run() => {}
            () = surface::serve(shared, socket) => {}
        },
        None => keeper.run().await,
    }
    sending.abort();
    spans::send_last(&spans).await;
    relay.record.flush();
    Ok(())
}

/// Looks again and again whose time is up, for as long as the process lives.
async fn time_out(relay: Arc<Relay>, shortest: Duration) {
    let mut ticks = tokio::time::interval((shortest / 10).clamp(TIME_OUT_LOOKS[0], TIME_OUT_LOOKS[1]));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    loop {
        ticks.tick().await;
        let relay = Arc::clone(&relay);
        // A client that does not read holds up nobody else.
        let _ = tokio::task::spawn_blocking(move || relay.time_out()).await;
    }
}
