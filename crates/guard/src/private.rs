//! Owns the children that belong to one session each, where a server is not shared.
//!
//! The guard's own child stays what health, the test read and the list of tools are about; clients never talk to it. Each
//! `initialize` starts another child, with what that client says of itself and can be asked. It ends with its session:
//! at DELETE, when that is idle for too long or makes way for another, and when the server is stopped or restarted; and
//! the session ends with it. A child has a generation that no other has, so that whatever is kept by generation is kept
//! by session here.

use std::collections::HashMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use process::{Ending, Lifeline, ProcessId};
use tokio::sync::{Notify, OwnedSemaphorePermit, Semaphore, oneshot, watch};

use crate::child::{self, DRAIN, Greeting};
use crate::log::{About, Level};
use crate::metrics::Failure;
use crate::pipe::Link;
use crate::state::Guard;
use crate::tuned;

/// Generations of the guard's own child are below.
const FIRST: u64 = 1 << 63;
/// How long a client waits for the place of a session that makes way: a child that is asked to end takes five seconds at
/// most.
const PLACE_PATIENCE: Duration = Duration::from_secs(10);

/// All children that belong to a session.
#[derive(Debug)]
pub(crate) struct Private {
    by_generation: Mutex<HashMap<u64, Arc<One>>>,
    places: Arc<Semaphore>,
    most: usize,
    last: AtomicU64,
    count: watch::Sender<usize>,
}

/// One of them.
#[derive(Debug)]
struct One {
    generation: u64,
    leash: Arc<Leash>,
    link: OnceLock<Arc<Link>>,
    process: OnceLock<ProcessId>,
}

/// By which a session holds its child.
#[derive(Debug, Default)]
pub(crate) struct Leash {
    let_go: Notify,
    why: OnceLock<String>,
}

/// A child that has answered `initialize`.
pub(crate) struct Started {
    pub(crate) link: Arc<Link>,
    pub(crate) leash: Arc<Leash>,
    /// What it has answered, as JSON.
    pub(crate) result: String,
}

/// Why a client gets no child.
#[derive(Debug)]
pub(crate) enum NotStarted {
    /// There are as many as may be.
    Full(usize),
    /// It did not come to answer `initialize`, for this reason.
    Failed(String),
}

/// What a child has come to.
enum Came {
    Ended(Ending),
    LetGo,
    Refused(String),
}

// === impl Leash ===

impl Leash {
    /// Ends the child. Only the first reason counts.
    pub(crate) fn let_go(&self, why: &str) {
        let _ = self.why.set(why.to_owned());
        self.let_go.notify_one();
    }

    fn why(&self) -> &str {
        self.why.get().map_or("its session is over", String::as_str)
    }
}

// === impl Private ===

impl Private {
    pub(crate) fn new(most: usize) -> Self {
        Self {
            by_generation: Mutex::default(),
            places: Arc::new(Semaphore::new(most)),
            most,
            last: AtomicU64::new(FIRST),
            count: watch::Sender::new(0),
        }
    }

    /// The pipe to the child of this generation, once it has answered and while it is there.
    pub(crate) fn link(&self, generation: u64) -> Option<Arc<Link>> {
        self.lock().get(&generation)?.link.get().cloned()
    }

    /// All pipes.
    pub(crate) fn links(&self) -> Vec<Arc<Link>> {
        self.lock().values().filter_map(|one| one.link.get().cloned()).collect()
    }

    /// All processes that were started; those below them are not here.
    pub(crate) fn processes(&self) -> Vec<ProcessId> {
        self.lock().values().filter_map(|one| one.process.get().copied()).collect()
    }

    /// Ends all of them, and returns when nothing of them is left.
    pub(crate) async fn end_all(&self, why: &str) {
        let all: Vec<Arc<One>> = self.lock().values().cloned().collect();
        all.iter().for_each(|one| one.leash.let_go(why));
        let mut count = self.count.subscribe();
        // The sender is here.
        let _ = count.wait_for(|count| *count == 0).await;
    }

    fn add(&self) -> Arc<One> {
        let one = Arc::new(One {
            generation: self.last.fetch_add(1, Ordering::Relaxed),
            leash: Arc::default(),
            link: OnceLock::new(),
            process: OnceLock::new(),
        });
        let mut all = self.lock();
        all.insert(one.generation, one.clone());
        self.count.send_replace(all.len());
        one
    }

    fn remove(&self, generation: u64) {
        let mut all = self.lock();
        all.remove(&generation);
        self.count.send_replace(all.len());
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Arc<One>>> {
        // Every change of it is one insertion or removal.
        self.by_generation.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Whether a child of this generation belongs to a session.
pub(crate) fn is_private(generation: u64) -> bool {
    generation >= FIRST
}

/// Starts a child for a client with these parameters of `initialize`.
pub(crate) async fn start(guard: &Arc<Guard>, params: String) -> Result<Started, NotStarted> {
    let private = &guard.private;
    let place = match private.places.clone().try_acquire_owned() {
        Ok(place) => place,
        // Whoever is idle makes way; its place is free when its child is gone, as is that of a session that has just ended.
        Err(_) if guard.sessions.make_room(Instant::now()) || guard.sessions.len() < private.most => {
            let place = private.places.clone().acquire_owned();
            let Ok(Ok(place)) = tokio::time::timeout(PLACE_PATIENCE, place).await else {
                return Err(NotStarted::Full(private.most));
            };
            place
        }
        Err(_) => return Err(NotStarted::Full(private.most)),
    };
    let (reply, started) = oneshot::channel();
    tokio::spawn(live(guard.clone(), private.add(), params, place, reply));
    started.await.unwrap_or_else(|_| Err(NotStarted::Failed("it was ended".to_owned())))
}

/// The life of one child.
async fn live(
    guard: Arc<Guard>,
    one: Arc<One>,
    params: String,
    place: OwnedSemaphorePermit,
    reply: oneshot::Sender<Result<Started, NotStarted>>,
) {
    let (launch, _) = tuned::launch(&guard);
    match Lifeline::spawn(launch).await {
        Ok((lifeline, pipes)) => {
            let _ = one.process.set(lifeline.child());
            serve(&guard, &one, &params, lifeline, pipes, reply).await;
        }
        Err(error) => {
            let _ = reply.send(Err(NotStarted::Failed(crate::http::chain(&error))));
        }
    }
    guard.private.remove(one.generation);
    drop(place);
}

async fn serve(
    guard: &Arc<Guard>,
    one: &One,
    params: &str,
    lifeline: Lifeline,
    pipes: process::Pipes,
    reply: oneshot::Sender<Result<Started, NotStarted>>,
) {
    let (link, readers) = Link::open(guard, one.generation, pipes);
    let (process, name) = (lifeline.child(), &guard.settings.name);
    let pid = ("pid", process.pid.into());
    guard.note(Level::Info, About::System, &format!("started process {process} for a session"), [pid]);
    let mut reply = Some(reply);
    let greeted = async {
        let result = match child::introduce(&link, params, guard.settings.start_timeout).await {
            Ok(result) => result,
            Err(Greeting::TimedOut) => {
                return Came::Refused("did not answer `initialize` in time".to_owned());
            }
            Err(Greeting::Refused(reason)) => return Came::Refused(reason),
        };
        link.set_initialized(result.clone());
        let _ = one.link.set(link.clone());
        let started = Started { link: link.clone(), leash: one.leash.clone(), result };
        match reply.take().map(|reply| reply.send(Ok(started))) {
            Some(Ok(())) => std::future::pending().await,
            // Its client has gone away meanwhile.
            Some(Err(_)) | None => Came::LetGo,
        }
    };
    let came = tokio::select! {
        biased;
        ending = lifeline.ended() => Came::Ended(ending),
        () = one.leash.let_go.notified() => Came::LetGo,
        came = greeted => came,
    };
    let reason = match came {
        Came::Ended(ending) => {
            readers.drain(DRAIN).await;
            guard.metrics.failed(Failure::ChildExit);
            ending.to_string()
        }
        Came::LetGo | Came::Refused(_) => {
            // What waits is not worth waiting for: nobody hears the answer.
            let why = if let Came::Refused(reason) = &came { reason } else { one.leash.why() };
            link.end(guard, &format!("server `{name}` is ended for this session: {why}"));
            let ending = child::wind_down(&lifeline, &link, process).await;
            format!("{ending}, because {why}")
        }
    };
    link.end(guard, &child::lost(name, &reason));
    guard.sessions.end_generation(one.generation);
    if let Some(reply) = reply {
        let stderr = link.tail().pop().map(|line| format!("; it said: {line}")).unwrap_or_default();
        let _ = reply.send(Err(NotStarted::Failed(format!("{reason}{stderr}"))));
    }
    let pid = ("pid", process.pid.into());
    guard.note(Level::Info, About::System, &format!("the child of a session has ended: {reason}"), [pid]);
}
