//! Owns that what is asked for under a key happens once: who asks again, because the first answer was lost, gets that
//! answer. It is kept for a day, in bounded memory, and not over a restart of `serve`.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode};
use checksum::Digest;

/// Keys that are remembered.
const KEYS_MAX: usize = 1_000;
/// How long, in milliseconds.
const LIFE_MS: i64 = 24 * 3_600_000;
/// How much the answers may take together, in bytes.
const BYTES_MAX: usize = 16 << 20;
/// The longest answer that is remembered, in bytes.
pub(super) const ANSWER_BYTES_MAX: usize = 1 << 20;

/// An answer that was given.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Answer {
    pub(super) status: StatusCode,
    pub(super) kind: Option<HeaderValue>,
    pub(super) body: Bytes,
}

/// Who asks, and under which key.
pub(super) type Name = (String, String);

/// What is known of a key.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Known {
    /// Nothing: it is being answered from now on, and [`Keys::end`] has to follow.
    Nothing,
    /// It was answered.
    Answered(Answer),
    /// It is being answered.
    Running,
    /// Something else was asked for under it.
    Other,
    /// So many are being answered that no more fit.
    Full,
}

/// The keys of the last day.
#[derive(Default)]
pub(super) struct Keys {
    kept: Mutex<HashMap<Name, Kept>>,
}

struct Kept {
    since_ms: i64,
    print: Digest,
    answer: Option<Answer>,
}

// === impl Keys ===

impl Keys {
    /// Begins to answer, where nothing is known of the key.
    pub(super) fn begin(&self, name: &Name, print: Digest, now_ms: i64) -> Known {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        kept.retain(|_, one| one.answer.is_none() || one.since_ms + LIFE_MS > now_ms);
        match kept.get(name) {
            Some(one) if one.print != print => return Known::Other,
            Some(Kept { answer: Some(answer), .. }) => return Known::Answered(answer.clone()),
            Some(_) => return Known::Running,
            None => {}
        }
        if kept.len() >= KEYS_MAX && !forget_oldest(&mut kept) {
            return Known::Full;
        }
        kept.insert(name.clone(), Kept { since_ms: now_ms, print, answer: None });
        Known::Nothing
    }

    /// It was answered; without an answer to be remembered, the next who asks is a first one.
    pub(super) fn end(&self, name: &Name, answer: Option<Answer>) {
        let mut kept = self.kept.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(answer) = answer.filter(|answer| answer.body.len() <= ANSWER_BYTES_MAX) else {
            kept.remove(name);
            return;
        };
        let bytes = |kept: &HashMap<Name, Kept>| -> usize {
            kept.values().filter_map(|one| Some(one.answer.as_ref()?.body.len())).sum()
        };
        while bytes(&kept) + answer.body.len() > BYTES_MAX && forget_oldest(&mut kept) {}
        if let Some(one) = kept.get_mut(name) {
            one.answer = Some(answer);
        }
    }
}

/// Forgets the oldest answer, where there is one.
fn forget_oldest(kept: &mut HashMap<Name, Kept>) -> bool {
    let answered = kept.iter().filter(|(_, one)| one.answer.is_some());
    let oldest = answered.min_by_key(|(_, one)| one.since_ms).map(|(name, _)| name.clone());
    oldest.is_some_and(|oldest| kept.remove(&oldest).is_some())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn name(key: &str) -> Name {
        ("ada".to_owned(), key.to_string())
    }

    fn answer(bytes: usize) -> Answer {
        Answer { status: StatusCode::OK, kind: None, body: Bytes::from(vec![b'x'; bytes]) }
    }

    #[test]
    fn the_same_is_answered_the_same_and_another_is_refused() {
        let keys = Keys::default();
        let (one, print) = (name("k"), Digest::of(b"one"));
        assert_eq!(keys.begin(&one, print, 0), Known::Nothing);
        assert_eq!(keys.begin(&one, print, 1), Known::Running);
        keys.end(&one, Some(answer(3)));
        assert_eq!(keys.begin(&one, print, 2), Known::Answered(answer(3)));
        assert_eq!(keys.begin(&one, Digest::of(b"another"), 2), Known::Other);
        assert_eq!(
            keys.begin(&("eve".to_owned(), "k".to_owned()), Digest::of(b"another"), 2),
            Known::Nothing,
            "keys are their owner's"
        );
        assert_eq!(keys.begin(&one, print, LIFE_MS), Known::Nothing, "after a day it is a new one");
        keys.end(&one, None);
        assert_eq!(keys.begin(&one, print, LIFE_MS), Known::Nothing, "what failed may be tried again");
    }

    #[test]
    fn memory_is_bounded() {
        let keys = Keys::default();
        for number in 0..KEYS_MAX {
            assert_eq!(keys.begin(&name(&number.to_string()), Digest::of(b"one"), 0), Known::Nothing);
        }
        assert_eq!(keys.begin(&name("more"), Digest::of(b"one"), 0), Known::Full);
        keys.end(&name("0"), Some(answer(1)));
        assert_eq!(keys.begin(&name("more"), Digest::of(b"one"), 1), Known::Nothing);
        for number in 1..100 {
            keys.end(&name(&number.to_string()), Some(answer(ANSWER_BYTES_MAX)));
        }
        let kept = keys.kept.lock().unwrap();
        let bytes: usize = kept.values().filter_map(|one| Some(one.answer.as_ref()?.body.len())).sum();
        assert_eq!((kept.len() <= KEYS_MAX, bytes), (true, BYTES_MAX));
    }
}
