//! Owns the sessions of an upstream that have gone by: whose they are, as far as that was said.
//!
//! They belong to the upstream; the guard opens none for clients and ends none. What it remembers of one is forgotten
//! when the upstream says that it is over, and the least used go first.

use std::collections::HashMap;
use std::net::IpAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Instant;

use serde::Serialize;
use tokio::sync::mpsc;

use bytes::Bytes;

use super::kept::{Greeting, greeting};
use crate::session::place;
use crate::taken::Taker;

/// Each takes some hundred bytes.
const SESSIONS_MAX: usize = 10_000;
/// What a stream of a client that reads slowly may be behind with.
const ANNOUNCEMENTS_MAX: usize = 16;

/// All of them.
#[derive(Debug, Default)]
pub(crate) struct Seen {
    by_id: Mutex<HashMap<String, Entry>>,
    /// How many were ever seen.
    n_opened: AtomicU64,
}

#[derive(Debug)]
struct Entry {
    session: Arc<Session>,
    used: Instant,
    stream: Option<mpsc::Sender<Bytes>>,
}

/// One client's session, or what stands for one.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Session {
    /// What its client calls itself; nothing where that was not seen.
    pub(crate) client: Arc<str>,
    pub(crate) address: IpAddr,
    /// Whose it is, where clients have to show who they are.
    pub(crate) user: OnceLock<Arc<str>>,
    /// Its place in a ramp of writes. It follows from its id, so that another guard gives it the same.
    pub(crate) place: u8,
    /// The beginning of its id, for logs.
    pub(crate) shown: String,
    /// What its client has said of itself; none where that was not seen.
    pub(super) greeting: Option<Greeting>,
}

/// One session, as it is shown to operators.
#[derive(Debug, Serialize)]
pub(crate) struct Present {
    session: String,
    client: String,
    address: IpAddr,
    idle_seconds: u64,
}

// === impl Session ===

impl Session {
    fn new(id: &str, greeted: Option<(&str, &str)>, address: IpAddr) -> Arc<Self> {
        let shown = id.chars().take(8).collect();
        let key = if id.is_empty() { address.to_string() } else { id.to_owned() };
        let user = OnceLock::new();
        let (client, greeting) =
            greeted.map_or(("", None), |(client, params)| (client, Some(greeting(params))));
        Arc::new(Self { client: client.into(), address, user, place: place(hash(&key)), shown, greeting })
    }

    /// Who asks in it, for limits and the log.
    pub(crate) fn taker(&self) -> Taker<'_> {
        let (user, address) = (self.user.get(), Some(self.address));
        Taker { user, address, client: &self.client, session: &self.shown }
    }
}

// === impl Seen ===

impl Seen {
    /// A client that calls itself so, and has said this at `initialize`, has been given a session by the upstream.
    pub(crate) fn opened(&self, id: &str, greeted: (&str, &str), address: IpAddr, now: Instant) {
        let session = Session::new(id, Some(greeted), address);
        self.insert(id, session, now);
    }

    /// The session of a request. One that was not seen to begin is taken as it comes: the upstream knows it, or says no.
    pub(crate) fn of(&self, id: Option<&str>, address: IpAddr, now: Instant) -> Arc<Session> {
        let Some(id) = id else { return Session::new("", None, address) };
        if let Some(entry) = self.lock().get_mut(id) {
            entry.used = now;
            return Arc::clone(&entry.session);
        }
        let session = Session::new(id, None, address);
        self.insert(id, Arc::clone(&session), now);
        session
    }

    pub(crate) fn is_known(&self, id: &str) -> bool {
        self.lock().contains_key(id)
    }

    /// The upstream does not know it any more.
    pub(crate) fn over(&self, id: &str) {
        self.lock().remove(id);
    }

    /// Where the guard's own announcements to this session go, for as long as its stream is open.
    pub(crate) fn stream(&self, id: &str) -> Option<mpsc::Receiver<Bytes>> {
        let (sender, receiver) = mpsc::channel(ANNOUNCEMENTS_MAX);
        self.lock().get_mut(id)?.stream = Some(sender);
        Some(receiver)
    }

    /// Says something to every session that listens. Returns how many missed it.
    pub(crate) fn announce(&self, event: &Bytes) -> usize {
        let all = self.lock();
        let streams =
            all.values().filter_map(|entry| entry.stream.as_ref()).filter(|stream| !stream.is_closed());
        streams.filter(|stream| stream.try_send(event.clone()).is_err()).count()
    }

    pub(crate) fn len(&self) -> usize {
        self.lock().len()
    }

    /// Who is there, the most recently used first, so many at most.
    pub(crate) fn present(&self, most: usize, now: Instant) -> Vec<Present> {
        let all = self.lock();
        let mut present: Vec<Present> = all
            .values()
            .map(|Entry { session, used, .. }| Present {
                session: session.shown.clone(),
                client: session.client.to_string(),
                address: session.address,
                idle_seconds: now.saturating_duration_since(*used).as_secs(),
            })
            .collect();
        present.sort_by_key(|one| one.idle_seconds);
        present.truncate(most);
        present
    }

    fn insert(&self, id: &str, session: Arc<Session>, used: Instant) {
        let mut all = self.lock();
        if all.len() >= SESSIONS_MAX {
            let oldest = all.iter().min_by_key(|(_, entry)| entry.used).map(|(id, _)| id.clone());
            oldest.inspect(|id| drop(all.remove(id)));
        }
        self.n_opened.fetch_add(1, Ordering::Relaxed);
        all.insert(id.to_owned(), Entry { session, used, stream: None });
    }

    /// How many were ever seen.
    pub(crate) fn n_opened(&self) -> u64 {
        self.n_opened.load(Ordering::Relaxed)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Entry>> {
        self.by_id.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// FNV-1a: the same in every guard, and nobody is kept from choosing an id by it, for ids are the upstream's.
fn hash(text: &str) -> u128 {
    let fold =
        |hash: u128, byte| (hash ^ u128::from(byte)).wrapping_mul(0x0000_0000_0100_0000_0000_0000_0000_013b);
    text.bytes().fold(0x6c62_272e_07bb_0142_62b8_2175_6295_c58d, fold)
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{SESSIONS_MAX, Seen};

    #[test]
    fn sessions_are_known_until_they_are_over_and_bounded() {
        let (seen, now) = (Seen::default(), Instant::now());
        let here = "127.0.0.1".parse().unwrap();
        seen.opened("one", ("inspector", "{}"), here, now);
        assert_eq!(&*seen.of(Some("one"), here, now).client, "inspector");
        let early = seen.of(Some("other"), here, now);
        assert_eq!((&*early.client, early.place), ("", seen.of(Some("other"), here, now).place));
        let mut stream = seen.stream("one").unwrap();
        assert_eq!(seen.announce(&"x".into()), 0);
        assert_eq!(stream.try_recv().unwrap(), "x");
        seen.over("one");
        assert!(!seen.is_known("one") && seen.stream("one").is_none());
        let later = now + Duration::from_secs(1);
        for number in 0..SESSIONS_MAX {
            seen.opened(&number.to_string(), ("c", "{}"), here, later);
        }
        assert_eq!(seen.len(), SESSIONS_MAX);
        assert!(!seen.is_known("other"), "the least used has gone");
        let places: std::collections::BTreeSet<u8> =
            (0..1000).map(|number| seen.of(Some(&number.to_string()), here, later).place).collect();
        assert_eq!(places.len(), 100);
    }
}
