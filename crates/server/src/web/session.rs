//! Owns the sessions of browsers: made by a token's word, found by a cookie, gone after a while. Time and randomness are
//! arguments; what the cookie holds is known here as its hash only.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use checksum::{Digest, hex};

/// Random bytes of a session: one half for its cookie, one for the word of its forms.
pub(super) const RANDOM_BYTES: usize = 64;
/// A page that nobody has asked for anything in this time is nobody's any more.
const IDLE_MS: i64 = 2 * 3_600_000;
/// A shift is over, and the next one signs in for itself.
const LIFE_MS: i64 = 12 * 3_600_000;
/// Browsers that one token is used in at the same time; there are 1,000 tokens at most, so that all of it is bounded.
const OF_ONE_TOKEN_MAX: usize = 16;

/// All sessions, by the hash of what their cookies hold.
#[derive(Default)]
pub(super) struct Sessions {
    all: Mutex<HashMap<Digest, Session>>,
}

struct Session {
    known: Known,
    started_ms: i64,
    used_ms: i64,
}

/// What is known of a session.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Known {
    /// The id of the token that it was made by.
    pub(super) token: String,
    /// The word that its forms bring back.
    pub(super) csrf: String,
}

// === impl Sessions ===

impl Sessions {
    /// Makes a session of this token; returns what its cookie holds.
    pub(super) fn open(&self, token: &str, random: &[u8; RANDOM_BYTES], now_ms: i64) -> String {
        let (cookie, csrf) = random.split_at(RANDOM_BYTES / 2);
        let cookie = hex::write(cookie);
        let known = Known { token: token.to_owned(), csrf: hex::write(csrf) };
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.retain(|_, one| one.is_good(now_ms));
        let of_token = || all.iter().filter(|(_, one)| one.known.token == token);
        if of_token().count() >= OF_ONE_TOKEN_MAX {
            let unused = of_token().min_by_key(|(_, one)| one.used_ms).map(|(key, _)| *key);
            unused.map(|key| all.remove(&key));
        }
        all.insert(key(&cookie), Session { known, started_ms: now_ms, used_ms: now_ms });
        cookie
    }

    /// The session of a cookie, which is used by that.
    pub(super) fn using(&self, cookie: &str, now_ms: i64) -> Option<Known> {
        let mut all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        let session = all.get_mut(&key(cookie)).filter(|one| one.is_good(now_ms))?;
        session.used_ms = now_ms;
        Some(session.known.clone())
    }

    /// Whether the session of a cookie goes on. To ask is no use of it.
    pub(super) fn goes_on(&self, cookie: &str, now_ms: i64) -> bool {
        let all = self.all.lock().unwrap_or_else(PoisonError::into_inner);
        all.get(&key(cookie)).is_some_and(|one| one.is_good(now_ms))
    }

    /// Ends the session of a cookie.
    pub(super) fn close(&self, cookie: &str) {
        self.all.lock().unwrap_or_else(PoisonError::into_inner).remove(&key(cookie));
    }
}

// === impl Session ===

impl Session {
    fn is_good(&self, now_ms: i64) -> bool {
        now_ms < self.used_ms + IDLE_MS && now_ms < self.started_ms + LIFE_MS
    }
}

/// The place of a cookie: found by its hash, so that how long it takes to look says nothing of those that are there.
fn key(cookie: &str) -> Digest {
    Digest::of(cookie.as_bytes())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_session_ends_when_it_is_idle_when_it_is_old_and_when_somebody_leaves() {
        let sessions = Sessions::default();
        let cookie = sessions.open("t1", &[7; RANDOM_BYTES], 0);
        assert_eq!(cookie.len(), 64, "256 bits");
        let known = sessions.using(&cookie, IDLE_MS - 1).unwrap();
        assert_eq!((known.token.as_str(), known.csrf.len()), ("t1", 64));
        assert!(sessions.goes_on(&cookie, IDLE_MS + 1), "it was used meanwhile");
        assert!(!sessions.goes_on(&cookie, 2 * IDLE_MS - 1), "to ask is no use");
        let mut now_ms = 0;
        let cookie = sessions.open("t1", &[8; RANDOM_BYTES], now_ms);
        while now_ms + IDLE_MS / 2 < LIFE_MS {
            now_ms += IDLE_MS / 2;
            assert!(sessions.using(&cookie, now_ms).is_some());
        }
        assert_eq!(sessions.using(&cookie, LIFE_MS), None);
        let cookie = sessions.open("t1", &[9; RANDOM_BYTES], 0);
        sessions.close(&cookie);
        assert_eq!(sessions.using(&cookie, 1), None);
        assert_eq!(sessions.using("", 1), None);
    }

    #[test]
    fn a_token_has_so_many_sessions_and_the_unused_one_goes_first() {
        let sessions = Sessions::default();
        let of_other = sessions.open("t2", &[255; RANDOM_BYTES], 0);
        let cookies: Vec<String> =
            (0..16).map(|n| sessions.open("t1", &[n; RANDOM_BYTES], i64::from(n))).collect();
        assert!(sessions.using(&cookies[0], 100).is_some());
        sessions.open("t1", &[100; RANDOM_BYTES], 200);
        let good = cookies.iter().map(|cookie| sessions.goes_on(cookie, 201));
        assert_eq!(good.filter(|good| !good).count(), 1);
        assert!(!sessions.goes_on(&cookies[1], 201) && sessions.goes_on(&of_other, 201));
    }
}
