//! Owns the clients' sessions: who is there, since when idle, and where to send them what the server announces.
//!
//! A session belongs to one generation of the child: when that child ends, all its sessions do, and their clients get
//! 404 and initialize again. Clients seldom say goodbye, so idle sessions are reclaimed and their number is bounded.

pub(crate) mod streams;
pub(crate) mod subscriptions;

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use serde::Serialize;

use crate::private::Leash;
use crate::questions::Offers;
use crate::revision::Revision;
use crate::sse::queue::Receiver;
use crate::state::Guard;
use crate::taken::Taker;
use streams::{NotResumed, OWN, Pushed, StreamTaken, Streams};
use subscriptions::Subscriptions;

/// How often idle sessions are looked for, at most and at least.
const RECLAIM_EVERY: [Duration; 2] = [Duration::from_millis(100), Duration::from_secs(60)];

/// The sessions of all clients.
#[derive(Debug)]
pub(crate) struct Sessions {
    most: usize,
    idle_max: Duration,
    inner: Mutex<Inner>,
    /// How many were ever opened.
    opened: AtomicU64,
    subscribing: Mutex<()>,
}

#[derive(Debug)]
struct Inner {
    by_id: HashMap<String, Arc<Session>>,
    reclaimed: Instant,
}

/// Who opens a session.
#[derive(Debug, Default)]
pub(crate) struct Newcomer {
    /// What it calls itself.
    pub(crate) name: Arc<str>,
    pub(crate) address: Option<IpAddr>,
    /// What it can be asked.
    pub(crate) offers: Offers,
    /// What it speaks.
    pub(crate) revision: Revision,
    /// The child that is started for it alone.
    pub(crate) child: Option<Arc<Leash>>,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Random, and all that a client needs to show.
    pub(crate) id: String,
    /// Which child it talks to.
    pub(crate) generation: u64,
    /// What its client calls itself.
    pub(crate) client: Arc<str>,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
    /// Whose it is, where clients have to show who they are.
    pub(crate) user: OnceLock<Arc<str>>,
    /// Its place in a ramp of writes, 0 to 99.
    pub(crate) place: u8,
    /// What its client can be asked.
    pub(crate) offers: Offers,
    /// What its client speaks.
    pub(crate) revision: Revision,
    pub(crate) streams: Streams,
    pub(crate) subscriptions: Subscriptions,
    /// The child that is this session's alone.
    pub(crate) child: Option<Arc<Leash>>,
    used: Mutex<Instant>,
    running: AtomicUsize,
}

/// Counts as one running request, or open stream, of a session while it lives.
#[derive(Debug)]
pub(crate) struct Running(Arc<Session>);

/// One session, as it is shown to operators.
#[derive(Clone, Debug, Serialize)]
pub(crate) struct Present {
    session: String,
    client: String,
    address: Option<IpAddr>,
    running: usize,
    idle_seconds: u64,
}

// === impl Sessions ===

impl Sessions {
    /// So many at once, each idle for so long at most.
    pub(crate) fn bounded(most: usize, idle_max: Duration, now: Instant) -> Self {
        let inner = Mutex::new(Inner { by_id: HashMap::new(), reclaimed: now });
        Self { most, idle_max, inner, opened: AtomicU64::new(0), subscribing: Mutex::default() }
    }

    #[cfg(test)]
    pub(crate) fn new(now: Instant) -> Self {
        let settings = crate::own::SessionSettings::default();
        Self::bounded(settings.most, settings.idle, now)
    }

    /// Opens a session with the child of this generation. If there are too many, the one that has been idle longest
    /// ends.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn open(
        &self,
        generation: u64,
        newcomer: Newcomer,
        now: Instant,
    ) -> Result<Arc<Session>, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let number = u128::from_ne_bytes(bytes);
        let session = Arc::new(Session {
            id: format!("{number:032x}"),
            generation,
            client: newcomer.name,
            address: newcomer.address,
            user: OnceLock::new(),
            place: place(number),
            offers: newcomer.offers,
            revision: newcomer.revision,
            streams: Streams::default(),
            subscriptions: Subscriptions::default(),
            child: newcomer.child,
            used: Mutex::new(now),
            running: AtomicUsize::new(0),
        });
        let mut inner = lock(&self.inner);
        if now.duration_since(inner.reclaimed) >= RECLAIM_EVERY[1] || inner.by_id.len() >= self.most {
            inner.reclaim(self.idle_max, now);
        }
        if inner.by_id.len() >= self.most {
            let oldest = inner.by_id.values().max_by_key(|session| session.idle(now));
            if let Some(id) = oldest.map(|session| session.id.clone()) {
                inner.end(&id, "its session made way for another");
            }
        }
        inner.by_id.insert(session.id.clone(), session.clone());
        self.opened.fetch_add(1, Ordering::Relaxed);
        Ok(session)
    }

    /// How many were ever opened.
    pub(crate) fn opened(&self) -> u64 {
        self.opened.load(Ordering::Relaxed)
    }

    /// Finds a session and marks it as used.
    pub(crate) fn find(&self, id: &str, now: Instant) -> Option<Arc<Session>> {
        let mut inner = lock(&self.inner);
        let session = inner.by_id.get(id)?;
        if session.idle(now) >= self.idle_max {
            inner.end(id, IDLE);
            return None;
        }
        *lock(&session.used) = now;
        Some(session.clone())
    }

    /// Ends one session.
    pub(crate) fn end(&self, session: &Session) {
        lock(&self.inner).end(&session.id, "its client has ended the session");
    }

    /// Ends the session that has been idle longest; false if none is.
    pub(crate) fn make_room(&self, now: Instant) -> bool {
        let mut inner = lock(&self.inner);
        let idle = inner.by_id.values().filter(|session| !session.is_busy());
        let oldest = idle.max_by_key(|session| session.idle(now)).map(|session| session.id.clone());
        oldest.inspect(|id| inner.end(id, "its session made way for another")).is_some()
    }

    /// Ends what has been idle for too long.
    fn reclaim(&self, now: Instant) {
        lock(&self.inner).reclaim(self.idle_max, now);
    }

    /// Ends every session of this generation.
    pub(crate) fn end_generation(&self, generation: u64) {
        lock(&self.inner).by_id.retain(|_, session| {
            let ends = session.generation == generation;
            if ends {
                session.close("its child has ended");
            }
            !ends
        });
    }

    /// The only session with the child of this generation, if there is just one.
    pub(crate) fn only(&self, generation: u64) -> Option<Arc<Session>> {
        let inner = lock(&self.inner);
        let mut clients = inner.by_id.values().filter(|session| session.generation == generation);
        clients.next().filter(|_| clients.next().is_none()).cloned()
    }

    /// Held while a subscription begins or ends, by one at a time.
    pub(crate) fn subscribing(&self, method: &str) -> Option<MutexGuard<'_, ()>> {
        let is_one = matches!(method, "resources/subscribe" | "resources/unsubscribe");
        is_one.then(|| lock(&self.subscribing))
    }

    /// Whether another session with the same child has subscribed to this resource.
    pub(crate) fn others_subscribe(&self, session: &Session, uri: &str) -> bool {
        let inner = lock(&self.inner);
        let mut clients = inner.by_id.values().filter(|other| other.generation == session.generation);
        clients.any(|other| other.id != session.id && other.subscriptions.contain(uri))
    }

    /// Tells whoever has subscribed to it that a resource was updated. Returns how many missed it.
    pub(crate) fn updated(&self, generation: u64, uri: &str, message: &[u8]) -> usize {
        let inner = lock(&self.inner);
        let clients = inner.by_id.values().filter(|session| session.generation == generation);
        let clients = clients.filter(|session| session.subscriptions.concern(uri));
        clients.filter(|session| session.streams.push(OWN, message) == Pushed::Full).count()
    }

    /// Sends an announcement of the server to the stream of every client that has opened one. Returns how many missed
    /// it because they read too slowly.
    pub(crate) fn announce(&self, generation: u64, message: &[u8]) -> usize {
        let inner = lock(&self.inner);
        let clients = inner.by_id.values().filter(|session| session.generation == generation);
        clients.filter(|session| session.streams.push(OWN, message) == Pushed::Full).count()
    }

    /// Sends an announcement of the guard itself to everybody. Returns how many missed it.
    pub(crate) fn announce_to_all(&self, message: &[u8]) -> usize {
        let inner = lock(&self.inner);
        inner.by_id.values().filter(|session| session.streams.push(OWN, message) == Pushed::Full).count()
    }

    pub(crate) fn len(&self) -> usize {
        lock(&self.inner).by_id.len()
    }

    /// Who is there, the most recently used first, so many at most.
    pub(crate) fn present(&self, most: usize, now: Instant) -> Vec<Present> {
        let sessions: Vec<Arc<Session>> = lock(&self.inner).by_id.values().cloned().collect();
        let mut present: Vec<Present> = sessions.iter().map(|session| session.present(now)).collect();
        present.sort_by_key(|one| one.idle_seconds);
        present.truncate(most);
        present
    }
}

/// Why a session ended that nobody used.
const IDLE: &str = "its session was idle for too long";

// === impl Inner ===

impl Inner {
    fn end(&mut self, id: &str, why: &str) {
        if let Some(session) = self.by_id.remove(id) {
            session.close(why);
        }
    }

    fn reclaim(&mut self, idle_max: Duration, now: Instant) {
        self.reclaimed = now;
        self.by_id.retain(|_, session| {
            let stays = session.idle(now) < idle_max;
            if !stays {
                session.close(IDLE);
            }
            stays
        });
    }
}

/// Ends idle sessions for as long as the guard runs: their children are not to wait for the next client.
pub(crate) async fn reclaim(guard: Arc<Guard>) {
    let [least, most] = RECLAIM_EVERY;
    let mut every = tokio::time::interval((guard.sessions.idle_max / 4).clamp(least, most));
    loop {
        every.tick().await;
        guard.sessions.reclaim(Instant::now());
    }
}

/// The place in a ramp of a session, or of what else has this random number: 0 to 99.
pub(crate) fn place(number: u128) -> u8 {
    u8::try_from(number % 100).unwrap_or_default()
}

// === impl Session, Running ===

impl Session {
    /// Enough of the id to tell sessions apart in a log, and not enough to take one over.
    pub(crate) fn shown(&self) -> &str {
        self.id.get(..8).unwrap_or_default()
    }

    /// Who asks in it, for limits and the log.
    pub(crate) fn taker(&self) -> Taker<'_> {
        let user = self.user.get();
        Taker { user, address: self.address, client: &self.client, session: self.shown() }
    }

    fn present(&self, now: Instant) -> Present {
        Present {
            session: self.shown().to_owned(),
            client: self.client.to_string(),
            address: self.address,
            running: self.running.load(Ordering::Relaxed),
            idle_seconds: self.idle(now).as_secs(),
        }
    }

    /// Nothing is sent to it any more, and a child of its own ends.
    fn close(&self, why: &str) {
        self.streams.close();
        if let Some(child) = &self.child {
            child.let_go(why);
        }
    }

    fn is_busy(&self) -> bool {
        self.running.load(Ordering::Relaxed) > 0
    }

    /// How long nothing has run here; a session with a request or an open stream is not idle.
    fn idle(&self, now: Instant) -> Duration {
        if self.is_busy() { Duration::ZERO } else { now.saturating_duration_since(*lock(&self.used)) }
    }

    pub(crate) fn run(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// Opens the stream of announcements. The session counts as busy for as long as the
    /// second value lives.
    pub(crate) fn stream(self: &Arc<Self>) -> Result<(Receiver, Running), StreamTaken> {
        self.streams.open_own(self.revision.is_primed()).map(|events| (events, self.run()))
    }

    /// Goes on with a stream after this event.
    pub(crate) fn resume(self: &Arc<Self>, last_event_id: &str) -> Result<(Receiver, Running), NotResumed> {
        self.streams.resume(last_event_id).map(|events| (events, self.run()))
    }
}

impl Running {
    pub(crate) fn session(&self) -> &Arc<Session> {
        &self.0
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let mut used = lock(&self.0.used);
        *used = Instant::now().max(*used);
        self.0.running.fetch_sub(1, Ordering::Relaxed);
    }
}

/// Nothing here is left half done by a panic.
fn lock<T>(mutex: &Mutex<T>) -> MutexGuard<'_, T> {
    mutex.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::streams::StreamTaken;
    use super::{Newcomer, Revision, Sessions};
    use crate::own::SessionSettings;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn idle_sessions_are_reclaimed_and_busy_ones_kept() {
        let start = Instant::now();
        let sessions = Sessions::new(start);
        let idle = sessions.open(1, Newcomer::default(), start).unwrap();
        let busy = sessions.open(1, Newcomer::default(), start).unwrap();
        let streaming = sessions.open(1, Newcomer::default(), start).unwrap();
        let running = busy.run();
        let (stream, open) = streaming.stream().unwrap();
        assert_ne!(idle.id, busy.id);
        assert!(idle.id.len() == 32 && idle.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let idle_max = SessionSettings::default().idle;
        let later = start + idle_max;
        sessions.open(1, Newcomer::default(), later).unwrap();
        assert_eq!(sessions.len(), 3);
        assert!(sessions.find(&idle.id, later).is_none());
        assert!(sessions.find(&busy.id, later).is_some());
        drop((running, stream, open));
        assert!(sessions.find(&busy.id, later + idle_max - SECOND).is_some(), "it was used meanwhile");
        assert!(sessions.find(&streaming.id, later + idle_max).is_none());
    }

    #[test]
    fn the_longest_idle_one_makes_way() {
        let start = Instant::now();
        let sessions = Sessions::new(start);
        let first = sessions.open(1, Newcomer::default(), start).unwrap();
        let second = sessions.open(1, Newcomer::default(), start).unwrap();
        let most = SessionSettings::default().most;
        for _ in 2..most {
            sessions.open(1, Newcomer::default(), start + SECOND).unwrap();
        }
        sessions.find(&first.id, start + 2 * SECOND).unwrap();
        sessions.open(1, Newcomer::default(), start + 3 * SECOND).unwrap();
        assert_eq!(sessions.len(), most);
        assert!(sessions.find(&first.id, start + 3 * SECOND).is_some());
        assert!(sessions.find(&second.id, start + 3 * SECOND).is_none());
    }

    #[test]
    fn announcements_reach_the_streams_of_their_generation() {
        let now = Instant::now();
        let sessions = Sessions::new(now);
        let unprimed = || Newcomer { revision: Revision::V2025_06_18, ..Newcomer::default() };
        let (old, new) =
            (sessions.open(1, unprimed(), now).unwrap(), sessions.open(2, unprimed(), now).unwrap());
        let (mut old_stream, mut new_stream) = (old.stream().unwrap().0, new.stream().unwrap().0);
        assert!(matches!(new.stream(), Err(StreamTaken)));
        assert_eq!(sessions.announce(2, b"x"), 0);
        assert!(old_stream.try_recv().is_err());
        assert_eq!(new_stream.try_recv().unwrap(), "event: message\nid: 0-1\ndata: x\n\n");
        let missed: usize = (0..300).map(|_| sessions.announce(2, b"x")).sum();
        assert_eq!(missed, 44);
        assert!(sessions.only(1).is_some_and(|only| only.id == old.id));
        sessions.end_generation(1);
        assert!(sessions.find(&old.id, now).is_none());
        assert_eq!(old_stream.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Disconnected));
        drop(new_stream);
        new.stream().unwrap();
        sessions.end(&new);
        assert_eq!(sessions.len(), 0);
    }
}
