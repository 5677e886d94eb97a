//! Owns what all parts of a guard share: settings, sessions, metrics, log, and how the child is at this moment.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

use process::ProcessId;
use process::control::{DependencyStatus, Event, Exit, Package, Phase, Status};
use serde_json::Value;
use threats::Usage;
use tokio::sync::{broadcast, mpsc};

use crate::asked::Asked;
use crate::cache::Cache;
use crate::catalogue::Catalogue;
use crate::child::Order;
use crate::clock;
use crate::controls::Kept;
use crate::handover::Port;
use crate::health::Pinger;
use crate::http_sse::Connections;
use crate::limits::Held;
use crate::log::{About, Level, Log};
use crate::metrics::{Method, Metrics};
use crate::oom::Accounts;
use crate::own::Own;
use crate::pipe::Link;
use crate::private::Private;
use crate::restarts::Restarts;
use crate::security::Tools;
use crate::session::Sessions;
use crate::settings::Settings;
use crate::spans::Spans;
use crate::tls::Tls;
use crate::upstream::Upstream;

/// A control client that is behind by more events than this is told the whole status instead.
const EVENTS_MAX: usize = 64;

/// One guard.
pub(crate) struct Guard {
    pub(crate) settings: Settings,
    /// Where it really listens.
    pub(crate) listen: SocketAddr,
    pub(crate) sessions: Sessions,
    /// The streams of clients that speak HTTP+SSE.
    pub(crate) http_sse: Connections,
    /// The children of sessions that do not share one.
    pub(crate) private: Private,
    pub(crate) metrics: Metrics,
    pub(crate) log: Log,
    pub(crate) pinger: Pinger,
    pub(crate) spans: Arc<Spans>,
    pub(crate) orders: mpsc::Sender<Order>,
    pub(crate) controls: Kept,
    pub(crate) restarts: Restarts,
    pub(crate) catalogue: Catalogue,
    pub(crate) cache: Cache,
    /// What the tools of the server show of attacks.
    tools: Mutex<Tools>,
    /// What clients have asked for lately.
    clients_usage: Mutex<Usage>,
    /// What clients have taken.
    pub(crate) held: Arc<Held>,
    /// The settings of this one server, which may be read anew.
    own: RwLock<Arc<Own>>,
    /// Who takes the connections.
    pub(crate) port: Port,
    /// The server, where it is somebody else's.
    pub(crate) upstream: Option<Arc<Upstream>>,
    /// Whether no new requests are taken.
    draining: AtomicBool,
    process: ProcessId,
    events: broadcast::Sender<Told>,
    state: Mutex<State>,
    /// The pipe to a child that has answered `initialize`.
    link: RwLock<Option<Arc<Link>>>,
}

/// What control clients are told.
#[derive(Clone, Debug)]
pub(crate) enum Told {
    Event(Event),
    /// Something of the status is another, and that is no event.
    Status,
}

/// How things are.
pub(crate) struct State {
    pub(crate) phase: Phase,
    pub(crate) child: Option<Child>,
    pub(crate) accounts: Option<Arc<Accounts>>,
    pub(crate) starts: u64,
    pub(crate) last_exit: Option<Exit>,
    pub(crate) last_key: Option<String>,
    pub(crate) stopped_by: Option<String>,
    pub(crate) package: Option<Package>,
    /// How its start goes on, in words that follow its name, once that was looked at.
    pub(crate) starting: Option<String>,
    pub(crate) dependencies: Vec<DependencyStatus>,
    /// What is being done to the child, in words, while it is being ended.
    pub(crate) ending: Option<String>,
}

/// A running child.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Child {
    pub(crate) id: ProcessId,
    pub(crate) started: Instant,
    pub(crate) started_ms: i64,
}

// === impl Guard ===

impl Guard {
    pub(crate) fn new(
        settings: Settings,
        upstream: Option<Arc<Upstream>>,
        listen: SocketAddr,
        log: Log,
        orders: mpsc::Sender<Order>,
    ) -> Self {
        let state = State {
            phase: Phase::Starting,
            child: None,
            accounts: None,
            starts: 0,
            last_exit: None,
            last_key: None,
            stopped_by: None,
            package: None,
            starting: None,
            dependencies: Vec::new(),
            ending: None,
        };
        let now_ms = clock::now_ms();
        let (restarts, problem) = Restarts::beside(settings.controls.as_deref(), now_ms);
        if let Some(problem) = problem {
            log.write::<Value>(Level::Error, About::System, &problem, []);
        }
        Self {
            restarts,
            sessions: Sessions::bounded(
                settings.own.sessions.most,
                settings.own.sessions.idle,
                Instant::now(),
            ),
            http_sse: Connections::default(),
            private: Private::new(settings.own.sessions.most),
            metrics: Metrics::new(&settings.name, now_ms),
            pinger: Pinger::default(),
            spans: Arc::new(Spans::new(&settings.name, &settings.own.traces, clock::seed())),
            process: ProcessId::current(),
            events: broadcast::Sender::new(EVENTS_MAX),
            state: Mutex::new(state),
            link: RwLock::new(None),
            controls: Kept::open(settings.controls.clone(), now_ms),
            catalogue: Catalogue::default(),
            cache: Cache::default(),
            tools: Mutex::default(),
            clients_usage: Mutex::default(),
            held: Arc::default(),
            own: RwLock::new(Arc::new(settings.own.clone())),
            port: Port::new(),
            upstream,
            draining: AtomicBool::new(false),
            settings,
            listen,
            log,
            orders,
        }
    }

    /// The state, locked. Never held across an await.
    pub(crate) fn state(&self) -> MutexGuard<'_, State> {
        // Every change of it is a set of plain assignments.
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The settings of this one server as they are.
    pub(crate) fn own(&self) -> Arc<Own> {
        self.own.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// What the tools of the server show. Never held across an await.
    pub(crate) fn tools(&self) -> MutexGuard<'_, Tools> {
        self.tools.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What clients have asked for lately. Never held across an await.
    pub(crate) fn clients_usage(&self) -> MutexGuard<'_, Usage> {
        self.clients_usage.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether something may not come through, so that what cannot be read may not either.
    pub(crate) fn is_forbidding(&self) -> bool {
        self.controls.hold().is_restricting() || !self.own().security.block.is_empty()
    }

    /// Whether a list of tools may have to be changed before a client sees it.
    pub(crate) fn narrows_lists(&self) -> bool {
        self.controls.hold().is_restricting() || self.own().security.withholds()
    }

    pub(crate) fn set_own(&self, own: Own) {
        *self.own.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(own);
    }

    /// Shows this certificate from now on, where one is shown.
    pub(crate) fn set_tls(&self, tls: Tls) {
        let mut own = self.own.write().unwrap_or_else(PoisonError::into_inner);
        let mut next = (**own).clone();
        next.tls = Some(tls);
        *own = Arc::new(next);
    }

    /// The pipe to the child, if it is ready.
    pub(crate) fn link(&self) -> Option<Arc<Link>> {
        self.link.read().unwrap_or_else(PoisonError::into_inner).clone()
    }

    /// The pipes to all children: the guard's own, if it is ready, and those of sessions.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.link().into_iter().chain(self.private.links()).collect()
    }

    /// The server, if it can be asked something.
    pub(crate) fn asked(&self) -> Option<Asked> {
        match &self.upstream {
            Some(upstream) => Some(Asked::Upstream(Arc::clone(upstream))),
            None => self.link().map(Asked::Child),
        }
    }

    /// The methods of the requests that clients wait for.
    pub(crate) fn running(&self, now: Instant) -> Vec<(Method, Duration)> {
        match &self.upstream {
            Some(upstream) => upstream.running.running(now),
            None => self.links().iter().flat_map(|link| link.in_flight.running(now)).collect(),
        }
    }

    /// How many sessions clients have.
    pub(crate) fn n_sessions(&self) -> usize {
        self.upstream.as_ref().map_or_else(|| self.sessions.len(), |upstream| upstream.seen.len())
    }

    /// How many they have opened since the guard started.
    pub(crate) fn n_sessions_opened(&self) -> u64 {
        self.upstream.as_ref().map_or_else(|| self.sessions.opened(), |upstream| upstream.seen.n_opened())
    }

    pub(crate) fn set_link(&self, link: Option<Arc<Link>>) {
        *self.link.write().unwrap_or_else(PoisonError::into_inner) = link;
    }

    pub(crate) fn is_draining(&self) -> bool {
        self.draining.load(Ordering::Relaxed)
    }

    pub(crate) fn set_draining(&self, draining: bool) {
        self.draining.store(draining, Ordering::Relaxed);
    }

    pub(crate) fn tell(&self, event: Event) {
        // Nobody may be listening.
        let _ = self.events.send(Told::Event(event));
    }

    /// Tells whoever listens how things are now.
    pub(crate) fn tell_status(&self) {
        let _ = self.events.send(Told::Status);
    }

    pub(crate) fn listen_to_events(&self) -> broadcast::Receiver<Told> {
        self.events.subscribe()
    }

    /// Why the child ended by itself, or could not be started, where that is how things stand.
    pub(crate) fn down(&self) -> Option<String> {
        let state = self.state();
        let is_down = matches!(state.phase, Phase::Exited | Phase::Failed);
        state.last_exit.as_ref().filter(|_| is_down).map(|exit| exit.reason.clone())
    }

    pub(crate) fn status(&self) -> Status {
        let state = self.state();
        Status {
            name: self.settings.name.clone(),
            guard: self.process,
            listen: self.listen.to_string(),
            command: self.settings.command.clone(),
            phase: state.phase,
            child: state.child.map(|child| child.id),
            starts: state.starts,
            last_exit: state.last_exit.clone(),
            last_key: state.last_key.clone(),
            stopped_by: state.stopped_by.clone(),
            package: state.package.clone().map(Box::new),
            restriction: self.restriction().map(Box::new),
        }
    }

    /// What is laid down that clients notice, in words.
    pub(crate) fn restriction(&self) -> Option<String> {
        let draining =
            self.is_draining().then(|| "no new requests are taken: it is being drained".to_owned());
        let words = draining.into_iter().chain(self.controls.now().restriction(clock::now_ms()));
        let words: Vec<String> = words.collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Why no request can be served now, in words.
    pub(crate) fn unavailable(&self) -> String {
        let (name, state) = (&self.settings.name, self.state());
        if let Some(upstream) = &self.upstream {
            let url = upstream.url();
            let exit = state.last_exit.as_ref().map(|exit| exit.reason.clone());
            let reason = state.starting.clone().or(exit).unwrap_or_else(|| "it was not asked yet".to_owned());
            return format!("server `{name}` at {url} does not answer: {reason}");
        }
        let exit = || state.last_exit.as_ref().map_or("for an unknown reason", |exit| exit.reason.as_str());
        match (state.phase, &state.ending) {
            (_, Some(ending)) => format!("server `{name}` is {ending}"),
            (Phase::Installing, None) => {
                format!("server `{name}` {}", state.starting.as_deref().unwrap_or("is being installed"))
            }
            (Phase::Starting, None) => format!(
                "server `{name}` is starting: it has not yet answered `initialize`{}",
                state.child.map_or(String::new(), |child| format!(
                    ", {} s after its start (limit {} s)",
                    child.started.elapsed().as_secs(),
                    self.settings.start_timeout.as_secs()
                ))
            ),
            (Phase::Ready, None) => format!("server `{name}` does not take requests"),
            (Phase::Exited, None) => format!("server `{name}` has exited: {}", exit()),
            (Phase::Failed, None) => format!("server `{name}` has failed to start: {}", exit()),
            (Phase::Stopped, None) => format!(
                "server `{name}` was stopped by {}",
                state.stopped_by.as_deref().unwrap_or("an unknown client")
            ),
        }
    }

    /// Writes a line of the guard itself to the server's log.
    pub(crate) fn note<const N: usize>(
        &self,
        level: Level,
        about: About,
        message: &str,
        fields: [(&str, Value); N],
    ) {
        self.log.write(level, about, message, fields);
    }
}
