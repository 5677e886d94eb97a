//! Owns the servers that one `serve` watches: what is known of each, and who may restart it.

mod accompany;
mod clients;
mod kept;
mod launch;
mod link;
mod supervised;
mod supervisor;
mod target;
mod unit;

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::Duration;

use probe::{Endpoint, Target};
use process::ProcessId;
use process::control::{DependencyStatus, Exit, Phase};
use systemd::{Systemd, UnitName};
use tokio::sync::{mpsc, oneshot, watch};

pub(crate) use clients::Found;
pub use clients::client_target;
pub use supervised::Supervised;
pub use target::target;
pub(crate) use target::upstream_address;
pub use unit::UnitStatus;

use crate::config::{Config, Server};

/// How long a restart may take on top of the server's own start time-out: ending the old process.
const ENDING_GRACE: Duration = Duration::from_secs(15);

/// How many orders may wait at one supervisor.
const ORDERS_MAX: usize = 16;

/// What happened to a server.
#[derive(Debug, Clone)]
pub struct Event {
    /// The server.
    pub server: String,
    /// What.
    pub what: What,
}

/// What happened.
#[derive(Debug, Clone)]
pub enum What {
    /// Its process ended, could not be started, or its guard is gone.
    Exited(Exit),
    /// It answers.
    Ready,
    /// It was started anew by nobody's order to us.
    Restarted {
        /// Who did it.
        by: String,
        /// What no other restart has.
        key: String,
    },
    /// A person has stopped it by another way than ours.
    Stopped {
        /// Who did it.
        by: String,
        /// What no other stop has.
        key: String,
    },
}

/// What the fleet needs to know of the world.
#[derive(Debug, Clone)]
pub struct Surroundings {
    /// The `paramedic` program.
    pub exe: PathBuf,
    /// The process with which guards end; none for guards that outlive everybody.
    pub tie: Option<ProcessId>,
}

/// The servers.
pub struct Fleet {
    /// Those of the configuration, from the start, and those of clients, as they come.
    members: RwLock<BTreeMap<String, Arc<Member>>>,
}

/// One server.
pub struct Member {
    /// Its configuration.
    pub config: Server,
    /// How it is asked.
    pub target: Target,
    /// Where its guard writes its log.
    pub log: PathBuf,
    status: watch::Receiver<Supervised>,
    orders: Option<mpsc::Sender<Order>>,
    source: Source,
}

/// Where a server comes from, which says who restarts it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The configuration has it with a command: `serve` has started its guard.
    Configuration,
    /// The configuration has it with the address of somebody else's server.
    Upstream,
    /// The configuration has it with its unit of systemd.
    Unit(UnitName),
    /// A client has started it with `paramedic guard --stdio`, whose socket this is.
    Client(PathBuf),
}

/// What a supervisor is told.
pub(crate) enum Order {
    /// To do something.
    Do(Deed),
    /// How the server's dependencies are.
    Tell(Vec<DependencyStatus>),
}

/// Something to be done, and where to say what came of it.
pub(crate) struct Deed {
    pub(crate) verb: Verb,
    pub(crate) asked: Asked,
    pub(crate) reply: oneshot::Sender<Result<Carried, String>>,
}

/// Who wants something done, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asked {
    /// What is done once for one key, however often it is asked.
    pub key: String,
    /// Who wants it.
    pub by: String,
    /// For a restart: a process that was started since this moment, in milliseconds since the Unix epoch, is as good,
    /// where another owner starts it by itself.
    pub since_ms: Option<i64>,
}

/// What came of an order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Carried {
    /// The process afterwards, while one runs.
    pub child: Option<ProcessId>,
    /// Whether anything was done: it may have been so already.
    pub anew: bool,
}

/// What to do with a server.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verb {
    /// End its process and start another.
    Restart,
    /// Start it if it does not run.
    Start,
    /// End it and leave it so.
    Stop,
    /// End it and its guard.
    ShutDown,
}

/// Why an order was not carried out.
#[derive(Debug, thiserror::Error)]
pub enum OrderError {
    /// There is no such server.
    #[error("there is no server `{0}`; `paramedic server list` shows them")]
    NoServer(String),
    /// The server belongs to a client.
    #[error("`{0}` was started by its client: nobody else restarts it")]
    OfClient(String),
    /// The server belongs to somebody else.
    #[error("`{0}` is an upstream: whoever started it restarts it")]
    NotOurs(String),
    /// It was tried, and did not work.
    #[error("{0}")]
    Failed(String),
    /// It was tried, and did not end in time.
    #[error("`{0}` did not become ready within {1:?}")]
    TimedOut(String, Duration),
}

// === impl Fleet ===

impl Fleet {
    /// Takes charge of the configured servers: guards that run already are taken over, others are started.
    pub fn start(config: &Config, surroundings: &Surroundings, events: &mpsc::Sender<Event>) -> Self {
        let systemd = Systemd::new(systemd::SYSTEM_BUS, systemd::CALL_TIMEOUT);
        let members = config.server.iter().map(|server| {
            let (report, status) = watch::channel(Supervised::default());
            let (orders, inbox) = mpsc::channel(ORDERS_MAX);
            let source = match (&server.unit, &server.upstream) {
                (Some(unit), _) => Source::Unit(unit.clone()),
                (None, Some(_)) => Source::Upstream,
                (None, None) => Source::Configuration,
            };
            let takes_orders = match &source {
                Source::Configuration => {
                    let launch = launch::Launch::new(config, server, surroundings);
                    tokio::spawn(supervisor::supervise(launch, inbox, report, events.clone()));
                    true
                }
                Source::Unit(unit) => {
                    let care = unit::Care {
                        server: server.name.clone(),
                        unit: unit.clone(),
                        systemd: systemd.clone(),
                        control: server
                            .upstream
                            .is_none()
                            .then(|| crate::control_socket(config, &server.name)),
                        orders: unit::Orders::new(&config.run_dir.join("units"), &server.name),
                        timeout: server.start_timeout.get(),
                    };
                    tokio::spawn(unit::supervise(care, inbox, report, events.clone()));
                    true
                }
                Source::Upstream if server.guarded => {
                    let launch = launch::Launch::new(config, server, surroundings);
                    tokio::spawn(accompany::accompany(launch, inbox, report));
                    true
                }
                Source::Upstream | Source::Client(_) => false,
            };
            let member = Member {
                config: server.clone(),
                target: target(config, server),
                log: config.log_dir.join(format!("{}.log", server.name)),
                status,
                source,
                orders: takes_orders.then_some(orders),
            };
            (server.name.clone(), Arc::new(member))
        });
        Self { members: RwLock::new(members.collect()) }
    }

    /// Finds the servers that clients start, and tells of each that comes and goes, until nobody listens any more.
    pub(crate) async fn find_clients(&self, config: &Config, found: mpsc::Sender<Found>) {
        clients::watch(self, config, found).await;
    }

    fn add(&self, member: &Arc<Member>) {
        let mut members = self.members.write().unwrap_or_else(PoisonError::into_inner);
        members.insert(member.config.name.clone(), Arc::clone(member));
    }

    /// One server.
    pub fn get(&self, name: &str) -> Option<Arc<Member>> {
        self.members.read().unwrap_or_else(PoisonError::into_inner).get(name).cloned()
    }

    /// All servers, by name.
    pub fn members(&self) -> impl Iterator<Item = Arc<Member>> {
        let members: Vec<_> =
            self.members.read().unwrap_or_else(PoisonError::into_inner).values().cloned().collect();
        members.into_iter()
    }

    /// Ends all guards with their servers. One that does not go is told of.
    pub async fn shut_down(&self) {
        let asked = Asked { key: String::new(), by: "serve".to_owned(), since_ms: None };
        // What somebody else has started goes on, without the guard that was ours.
        let ours = |member: &Arc<Member>| {
            let started = member.source == Source::Configuration || member.config.guarded;
            started && member.phase().is_some()
        };
        for member in self.members().filter(ours) {
            if let Err(error) = give(&member, Verb::ShutDown, asked.clone()).await {
                tracing::warn!(server = member.config.name, %error, "a guard did not shut down");
            }
        }
    }

    /// Carries out an order on one server, to its end.
    ///
    /// # Errors
    /// Where there is no such server, it is not ours, or the order fails.
    pub async fn order(&self, name: &str, verb: Verb, asked: Asked) -> Result<Carried, OrderError> {
        let member = self.get(name).ok_or_else(|| OrderError::NoServer(name.to_owned()))?;
        match member.source {
            Source::Client(_) => Err(OrderError::OfClient(name.to_owned())),
            Source::Upstream => Err(OrderError::NotOurs(name.to_owned())),
            Source::Configuration | Source::Unit(_) => give(&member, verb, asked).await,
        }
    }
}

/// Gives an order to whoever looks after a server, and waits for what comes of it.
async fn give(member: &Member, verb: Verb, asked: Asked) -> Result<Carried, OrderError> {
    let name = &member.config.name;
    let orders = member.orders.as_ref().ok_or_else(|| OrderError::NotOurs(name.clone()))?;
    let (reply, answer) = oneshot::channel();
    let order = Order::Do(Deed { verb, asked, reply });
    let gone = || OrderError::Failed(format!("the supervisor of `{name}` is gone"));
    let allowed = member.config.start_timeout.get() + ENDING_GRACE;
    let all = async {
        orders.send(order).await.map_err(|_| gone())?;
        answer.await.map_err(|_| gone())?.map_err(OrderError::Failed)
    };
    tokio::pin!(all);
    loop {
        match tokio::time::timeout(allowed, &mut all).await {
            Ok(result) => return result,
            // Its guard ends an installation that takes too long.
            Err(_) if member.phase() == Some(Phase::Installing) => {}
            Err(_) => return Err(OrderError::TimedOut(name.clone(), allowed)),
        }
    }
}

// === impl Member ===

impl Member {
    /// What its supervisor knows.
    pub fn supervised(&self) -> Supervised {
        self.status.borrow().clone()
    }

    /// Its child, while one runs.
    pub fn child(&self) -> Option<ProcessId> {
        self.status.borrow().child()
    }

    /// What is another whenever a process of it has begun or ended: its child, its starts, and its last end.
    pub(crate) fn life(&self) -> Option<(Option<ProcessId>, u64, Option<i64>)> {
        let supervised = self.status.borrow();
        supervised.phase()?;
        Some((supervised.child(), supervised.starts()?, supervised.last_exit().map(|exit| exit.at_ms)))
    }

    /// Its phase, for those that have a guard or a unit.
    pub fn phase(&self) -> Option<Phase> {
        self.status.borrow().phase()
    }

    /// Whether it is neither being started nor, by its supervisor, still being looked for.
    pub(crate) fn is_settled(&self) -> bool {
        let supervised = self.status.borrow();
        match supervised.phase() {
            Some(phase) => !matches!(phase, Phase::Starting | Phase::Installing),
            None => !self.is_supervised() || supervised.problem.is_some(),
        }
    }

    /// Where it comes from.
    pub fn source(&self) -> &Source {
        &self.source
    }

    /// Whether it belongs to a client that is gone: then it is not down, it is not there.
    pub fn is_absent(&self) -> bool {
        matches!(self.source, Source::Client(_)) && self.status.borrow().status.is_none()
    }

    /// Where the server itself listens on this machine: not its guard, where that stands in front of an upstream.
    pub(crate) fn address(&self) -> Option<SocketAddr> {
        match &self.config.upstream {
            Some(url) => upstream_address(url),
            None => self.target.local_address(),
        }
    }

    /// Whether it stands behind a guard on a port, which has metrics.
    pub fn has_guard(&self) -> bool {
        matches!(self.target.endpoint, Endpoint::Guard { .. })
    }

    /// Whether somebody here looks after it, or after its guard.
    pub fn is_supervised(&self) -> bool {
        self.orders.is_some()
    }

    /// Tells its guard what `/health` shall say of its dependencies. A guard that is busy or gone is told next time.
    pub(crate) fn tell_dependencies(&self, dependencies: Vec<DependencyStatus>) {
        if let Some(orders) = &self.orders {
            let _ = orders.try_send(Order::Tell(dependencies));
        }
    }
}
