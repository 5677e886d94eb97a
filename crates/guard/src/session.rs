//! Owns the clients' sessions: who is there, since when idle, and where to send them what the server announces.
//!
//! A session belongs to one generation of the child: when that child ends, all its sessions do, and their clients get
//! 404 and initialize again. Clients seldom say goodbye, so idle sessions are reclaimed and their number is bounded.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde::Serialize;
use tokio::sync::mpsc;

/// Ten thousand sessions take a few megabytes.
const SESSIONS_MAX: usize = 10_000;
/// A client that comes back later than this initializes again.
const IDLE_MAX: Duration = Duration::from_secs(30 * 60);
/// Looking through all sessions takes a millisecond at most; once a minute is enough.
const RECLAIM_EVERY: Duration = Duration::from_secs(60);
/// What a client that reads slowly may be behind with; after that it misses announcements.
const ANNOUNCEMENTS_MAX: usize = 256;

/// The sessions of all clients.
#[derive(Debug)]
pub(crate) struct Sessions {
    inner: Mutex<Inner>,
}

#[derive(Debug)]
struct Inner {
    by_id: HashMap<String, Arc<Session>>,
    reclaimed: Instant,
}

/// One client's session.
#[derive(Debug)]
pub(crate) struct Session {
    /// Random, and all that a client needs to show.
    pub(crate) id: String,
    /// Which child it talks to.
    pub(crate) generation: u64,
    /// What its client calls itself.
    pub(crate) client: Box<str>,
    /// Where it comes from.
    pub(crate) address: Option<IpAddr>,
    /// Its place in a ramp of writes, 0 to 99.
    pub(crate) place: u8,
    used: Mutex<Instant>,
    running: AtomicUsize,
    announcements: Mutex<Option<mpsc::Sender<Bytes>>>,
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

/// The session has an open stream already.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct StreamTaken;

// === impl Sessions ===

impl Sessions {
    pub(crate) fn new(now: Instant) -> Self {
        Self { inner: Mutex::new(Inner { by_id: HashMap::new(), reclaimed: now }) }
    }

    /// Opens a session with the child of this generation. If there are too many, the one that has been idle longest
    /// ends.
    ///
    /// # Errors
    /// When the system gives no random bytes.
    pub(crate) fn open(
        &self,
        generation: u64,
        client: &str,
        address: Option<IpAddr>,
        now: Instant,
    ) -> Result<Arc<Session>, getrandom::Error> {
        let mut bytes = [0; 16];
        getrandom::fill(&mut bytes)?;
        let number = u128::from_ne_bytes(bytes);
        let session = Arc::new(Session {
            id: format!("{number:032x}"),
            generation,
            client: client.into(),
            address,
            place: place(number),
            used: Mutex::new(now),
            running: AtomicUsize::new(0),
            announcements: Mutex::new(None),
        });
        let mut inner = lock(&self.inner);
        if now.duration_since(inner.reclaimed) >= RECLAIM_EVERY || inner.by_id.len() >= SESSIONS_MAX {
            inner.reclaimed = now;
            inner.by_id.retain(|_, session| session.idle(now) < IDLE_MAX);
        }
        if inner.by_id.len() >= SESSIONS_MAX {
            let oldest = inner.by_id.values().max_by_key(|session| session.idle(now));
            if let Some(id) = oldest.map(|session| session.id.clone()) {
                inner.by_id.remove(&id);
            }
        }
        inner.by_id.insert(session.id.clone(), session.clone());
        Ok(session)
    }

    /// Finds a session and marks it as used.
    pub(crate) fn find(&self, id: &str, now: Instant) -> Option<Arc<Session>> {
        let mut inner = lock(&self.inner);
        let session = inner.by_id.get(id)?;
        if session.idle(now) >= IDLE_MAX {
            inner.by_id.remove(id);
            return None;
        }
        *lock(&session.used) = now;
        Some(session.clone())
    }

    /// Ends one session.
    pub(crate) fn end(&self, session: &Session) {
        lock(&self.inner).by_id.remove(&session.id);
        session.close_stream();
    }

    /// Ends every session of this generation.
    pub(crate) fn end_generation(&self, generation: u64) {
        lock(&self.inner).by_id.retain(|_, session| {
            let ends = session.generation == generation;
            if ends {
                session.close_stream();
            }
            !ends
        });
    }

    /// Sends an announcement of the server to every open stream of its clients. Returns how many missed it because
    /// they read too slowly.
    pub(crate) fn announce(&self, generation: u64, event: &Bytes) -> usize {
        let inner = lock(&self.inner);
        let clients = inner.by_id.values().filter(|session| session.generation == generation);
        clients.filter(|session| !session.announce(event)).count()
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

    fn present(&self, now: Instant) -> Present {
        Present {
            session: self.shown().to_owned(),
            client: self.client.to_string(),
            address: self.address,
            running: self.running.load(Ordering::Relaxed),
            idle_seconds: self.idle(now).as_secs(),
        }
    }

    /// How long nothing has run here; a session with a request or an open stream is not idle.
    fn idle(&self, now: Instant) -> Duration {
        let busy = self.running.load(Ordering::Relaxed) > 0;
        if busy { Duration::ZERO } else { now.saturating_duration_since(*lock(&self.used)) }
    }

    pub(crate) fn run(self: &Arc<Self>) -> Running {
        self.running.fetch_add(1, Ordering::Relaxed);
        Running(self.clone())
    }

    /// Opens the stream of announcements. The session counts as busy for as long as the second value lives.
    pub(crate) fn stream(self: &Arc<Self>) -> Result<(mpsc::Receiver<Bytes>, Running), StreamTaken> {
        let mut announcements = lock(&self.announcements);
        if announcements.as_ref().is_some_and(|stream| !stream.is_closed()) {
            return Err(StreamTaken);
        }
        let (sender, receiver) = mpsc::channel(ANNOUNCEMENTS_MAX);
        *announcements = Some(sender);
        Ok((receiver, self.run()))
    }

    fn close_stream(&self) {
        *lock(&self.announcements) = None;
    }

    /// False if there is a stream and no room in it.
    fn announce(&self, event: &Bytes) -> bool {
        let announcements = lock(&self.announcements);
        let result = announcements.as_ref().map(|stream| stream.try_send(event.clone()));
        !matches!(result, Some(Err(mpsc::error::TrySendError::Full(_))))
    }
}

impl Running {
    pub(crate) fn session(&self) -> &Session {
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

    use bytes::Bytes;

    use super::{IDLE_MAX, SESSIONS_MAX, Sessions, StreamTaken};

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn idle_sessions_are_reclaimed_and_busy_ones_kept() {
        let start = Instant::now();
        let sessions = Sessions::new(start);
        let idle = sessions.open(1, "t", None, start).unwrap();
        let busy = sessions.open(1, "t", None, start).unwrap();
        let streaming = sessions.open(1, "t", None, start).unwrap();
        let running = busy.run();
        let (stream, open) = streaming.stream().unwrap();
        assert_ne!(idle.id, busy.id);
        assert!(idle.id.len() == 32 && idle.id.bytes().all(|byte| byte.is_ascii_hexdigit()));
        let later = start + IDLE_MAX;
        sessions.open(1, "t", None, later).unwrap();
        assert_eq!(sessions.len(), 3);
        assert!(sessions.find(&idle.id, later).is_none());
        assert!(sessions.find(&busy.id, later).is_some());
        drop((running, stream, open));
        assert!(sessions.find(&busy.id, later + IDLE_MAX - SECOND).is_some(), "it was used meanwhile");
        assert!(sessions.find(&streaming.id, later + IDLE_MAX).is_none());
    }

    #[test]
    fn the_longest_idle_one_makes_way() {
        let start = Instant::now();
        let sessions = Sessions::new(start);
        let first = sessions.open(1, "t", None, start).unwrap();
        let second = sessions.open(1, "t", None, start).unwrap();
        for _ in 2..SESSIONS_MAX {
            sessions.open(1, "t", None, start + SECOND).unwrap();
        }
        sessions.find(&first.id, start + 2 * SECOND).unwrap();
        sessions.open(1, "t", None, start + 3 * SECOND).unwrap();
        assert_eq!(sessions.len(), SESSIONS_MAX);
        assert!(sessions.find(&first.id, start + 3 * SECOND).is_some());
        assert!(sessions.find(&second.id, start + 3 * SECOND).is_none());
    }

    #[test]
    fn announcements_reach_the_streams_of_their_generation() {
        let now = Instant::now();
        let sessions = Sessions::new(now);
        let (old, new) =
            (sessions.open(1, "t", None, now).unwrap(), sessions.open(2, "t", None, now).unwrap());
        let (mut old_stream, mut new_stream) = (old.stream().unwrap().0, new.stream().unwrap().0);
        assert!(matches!(new.stream(), Err(StreamTaken)));
        let event = Bytes::from_static(b"x");
        assert_eq!(sessions.announce(2, &event), 0);
        assert!(old_stream.try_recv().is_err());
        assert_eq!(new_stream.try_recv().unwrap(), event);
        let missed: usize = (0..=super::ANNOUNCEMENTS_MAX).map(|_| sessions.announce(2, &event)).sum();
        assert_eq!(missed, 1);
        sessions.end_generation(1);
        assert!(sessions.find(&old.id, now).is_none());
        assert_eq!(old_stream.try_recv(), Err(tokio::sync::mpsc::error::TryRecvError::Disconnected));
        drop(new_stream);
        new.stream().unwrap();
        sessions.end(&new);
        assert_eq!(sessions.len(), 0);
    }
}
