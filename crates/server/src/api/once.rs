//! Owns that what is asked for under a key happens once: who asks again, because the first answer was lost, gets that
//! answer. It is kept for a day, in bounded memory, and in a file (`kept`) so that it outlives `serve`.

mod kept;

use std::collections::HashMap;
use std::path::Path;
use std::sync::{Mutex, PoisonError};

use axum::body::Bytes;
use axum::http::{HeaderValue, StatusCode};
use checksum::Digest;

use kept::{File, Line};

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
    /// It was done, and its answer is not kept.
    Untold,
    /// It was being done when `serve` ended: what came of it is not known here.
    Lost,
    /// It is being answered.
    Running,
    /// Something else was asked for under it.
    Other,
    /// So many are being answered that no more fit.
    Full,
}

/// What came of what was asked for.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum End {
    /// It may go better the next time, which is a first one.
    Again,
    /// This was answered.
    Told(Answer),
    /// This was answered, and holds what is written down nowhere.
    Secret(Answer),
    /// The answer was too long to be kept.
    Untold,
}

/// The keys of the last day.
#[derive(Default)]
pub(super) struct Keys {
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    kept: HashMap<Name, Kept>,
    file: Option<File>,
}

struct Kept {
    since_ms: i64,
    print: Digest,
    state: State,
}

enum State {
    Running,
    Told(Answer),
    /// Also where it holds a secret: then the file has this, and memory the answer.
    Untold,
    Lost,
}

// === impl Keys ===

impl Keys {
    /// The keys of a file, which goes on with what comes; without a file they end with this process.
    pub(super) fn open(path: &Path, now_ms: i64) -> Self {
        let mut kept = HashMap::new();
        let lines = kept::read(path).unwrap_or_else(|error| {
            tracing::warn!(path = %path.display(), %error, "what was asked for under keys before is not known");
            Vec::new()
        });
        for line in lines {
            apply(&mut kept, line);
        }
        kept.retain(|_, one| one.is_fresh(now_ms));
        while (kept.len() > KEYS_MAX || bytes(&kept) > BYTES_MAX) && forget_oldest(&mut kept) {}
        let mut inner = Inner { kept, file: None };
        inner.begin_file(path);
        Self { inner: Mutex::new(inner) }
    }

    /// Begins to answer, where nothing is known of the key. Waits for the disk.
    pub(super) fn begin(&self, name: &Name, print: Digest, now_ms: i64) -> Known {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let kept = &mut inner.kept;
        kept.retain(|_, one| matches!(one.state, State::Running) || one.is_fresh(now_ms));
        match kept.get(name) {
            Some(one) if one.print != print => return Known::Other,
            Some(Kept { state: State::Told(answer), .. }) => return Known::Answered(answer.clone()),
            Some(Kept { state: State::Untold, .. }) => return Known::Untold,
            Some(Kept { state: State::Lost, .. }) => return Known::Lost,
            Some(Kept { state: State::Running, .. }) => return Known::Running,
            None => {}
        }
        if kept.len() >= KEYS_MAX && !forget_oldest(kept) {
            return Known::Full;
        }
        kept.insert(name.clone(), Kept { since_ms: now_ms, print, state: State::Running });
        inner.write(&Line::begun(name, print, now_ms));
        Known::Nothing
    }

    /// It was answered, or may be tried again. Waits for the disk.
    pub(super) fn end(&self, name: &Name, end: End) {
        let mut inner = self.inner.lock().unwrap_or_else(PoisonError::into_inner);
        let line = Line::ended(name, &end);
        let state = match end {
            End::Again => None,
            End::Told(answer) | End::Secret(answer) if answer.body.len() <= ANSWER_BYTES_MAX => {
                Some(State::Told(answer))
            }
            End::Told(_) | End::Secret(_) | End::Untold => Some(State::Untold),
        };
        match state {
            None => drop(inner.kept.remove(name)),
            Some(state) => {
                if let State::Told(answer) = &state {
                    while bytes(&inner.kept) + answer.body.len() > BYTES_MAX && forget_oldest(&mut inner.kept)
                    {
                    }
                }
                if let Some(one) = inner.kept.get_mut(name) {
                    one.state = state;
                }
            }
        }
        inner.write(&line);
    }
}

// === impl Inner ===

impl Inner {
    /// Writes a file with what is known, in the place of the one that is there.
    fn begin_file(&mut self, path: &Path) {
        let lines = self.kept.iter().flat_map(|(name, one)| one.lines(name));
        self.file = File::begin(path, lines).inspect_err(|error| not_kept(path, error)).ok();
    }

    fn write(&mut self, line: &Line) {
        let Some(file) = &mut self.file else { return };
        let path = file.path().to_owned();
        match file.append(line) {
            // What was given up since stands in it still.
            Ok(()) if file.is_long() => self.begin_file(&path),
            Ok(()) => {}
            // What is asked for is done all the same: the disk may be what is to be mended.
            Err(error) => not_kept(&path, &error),
        }
    }
}

fn not_kept(path: &Path, error: &std::io::Error) {
    tracing::error!(path = %path.display(), %error, "keys of requests are not kept, and end with this process");
}

// === impl Kept ===

impl Kept {
    fn is_fresh(&self, now_ms: i64) -> bool {
        self.since_ms + LIFE_MS > now_ms
    }

    /// What a file says of it.
    fn lines(&self, name: &Name) -> Vec<Line> {
        let begun = Line::begun(name, self.print, self.since_ms);
        let end = match &self.state {
            State::Running | State::Lost => return vec![begun],
            State::Told(answer) => End::Told(answer.clone()),
            State::Untold => End::Untold,
        };
        vec![begun, Line::ended(name, &end)]
    }
}

/// Goes on by a line of the file.
fn apply(kept: &mut HashMap<Name, Kept>, line: Line) {
    match line {
        Line::Begun { owner, key, print, at_ms } => {
            kept.insert((owner, key), Kept { since_ms: at_ms, print, state: State::Lost });
        }
        Line::Again { owner, key } => drop(kept.remove(&(owner, key))),
        Line::Untold { owner, key } => {
            if let Some(one) = kept.get_mut(&(owner, key)) {
                one.state = State::Untold;
            }
        }
        Line::Told { owner, key, status, kind, body } => {
            let Some(one) = kept.get_mut(&(owner, key)) else { return };
            let kind = kind.and_then(|kind| HeaderValue::try_from(kind).ok());
            one.state = match StatusCode::from_u16(status) {
                Ok(status) => State::Told(Answer { status, kind, body: Bytes::from(body) }),
                Err(_) => State::Untold,
            };
        }
    }
}

/// What all answers take.
fn bytes(kept: &HashMap<Name, Kept>) -> usize {
    let answers = kept.values().filter_map(|one| match &one.state {
        State::Told(answer) => Some(answer.body.len()),
        _ => None,
    });
    answers.sum()
}

/// Forgets the oldest that was answered, where there is one.
fn forget_oldest(kept: &mut HashMap<Name, Kept>) -> bool {
    let over = kept.iter().filter(|(_, one)| !matches!(one.state, State::Running));
    let oldest = over.min_by_key(|(_, one)| one.since_ms).map(|(name, _)| name.clone());
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
        keys.end(&one, End::Told(answer(3)));
        assert_eq!(keys.begin(&one, print, 2), Known::Answered(answer(3)));
        assert_eq!(keys.begin(&one, Digest::of(b"another"), 2), Known::Other);
        assert_eq!(
            keys.begin(&("eve".to_owned(), "k".to_owned()), Digest::of(b"another"), 2),
            Known::Nothing,
            "keys are their owner's"
        );
        assert_eq!(keys.begin(&one, print, LIFE_MS), Known::Nothing, "after a day it is a new one");
        keys.end(&one, End::Again);
        assert_eq!(keys.begin(&one, print, LIFE_MS), Known::Nothing, "what failed may be tried again");
    }

    #[test]
    fn memory_is_bounded() {
        let keys = Keys::default();
        for number in 0..KEYS_MAX {
            assert_eq!(keys.begin(&name(&number.to_string()), Digest::of(b"one"), 0), Known::Nothing);
        }
        assert_eq!(keys.begin(&name("more"), Digest::of(b"one"), 0), Known::Full);
        keys.end(&name("0"), End::Told(answer(1)));
        assert_eq!(keys.begin(&name("more"), Digest::of(b"one"), 1), Known::Nothing);
        for number in 1..100 {
            keys.end(&name(&number.to_string()), End::Told(answer(ANSWER_BYTES_MAX)));
        }
        let inner = keys.inner.lock().unwrap();
        assert_eq!((inner.kept.len() <= KEYS_MAX, bytes(&inner.kept)), (true, BYTES_MAX));
    }

    #[test]
    fn what_was_answered_outlives_the_process_and_what_was_not_is_said_to_be_unknown() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-keys.jsonl");
        let print = Digest::of(b"one");
        let kind = Some(HeaderValue::from_static("application/json"));
        let told = Answer { status: StatusCode::CONFLICT, kind, body: Bytes::from("{\"a\":\"é\\n\"}") };
        let word = Answer { body: Bytes::from("pmt_secret"), ..told.clone() };
        let binary = Answer { body: Bytes::from(vec![0xff, 0xfe]), ..told.clone() };
        {
            let keys = Keys::open(&path, 0);
            let ends = [
                ("told", End::Told(told.clone())),
                ("secret", End::Secret(word.clone())),
                ("binary", End::Told(binary)),
                ("long", End::Untold),
                ("again", End::Again),
            ];
            for (key, end) in ends {
                assert_eq!(keys.begin(&name(key), print, 1), Known::Nothing, "{key}");
                keys.end(&name(key), end);
            }
            assert_eq!(keys.begin(&name("cut off"), print, 2), Known::Nothing);
            assert_eq!(keys.begin(&name("secret"), print, 3), Known::Answered(word), "memory has it");
        }
        let text = std::fs::read_to_string(&path).unwrap();
        assert!(!text.contains("pmt_secret"), "{text}");
        let mode = std::os::unix::fs::PermissionsExt::mode(&std::fs::metadata(&path).unwrap().permissions());
        assert_eq!(mode & 0o777, 0o600);
        // Half a line is what a machine leaves that goes down.
        std::fs::write(&path, text + "{\"line\":\"begun\",\"owner\":\"ada\",\"key\":\"half").unwrap();
        for _ in 0..2 {
            let keys = Keys::open(&path, 4);
            for (key, known) in [
                ("told", Known::Answered(told.clone())),
                ("secret", Known::Untold),
                ("binary", Known::Untold),
                ("long", Known::Untold),
                ("cut off", Known::Lost),
            ] {
                assert_eq!(keys.begin(&name(key), print, 5), known, "{key}");
                assert_eq!(keys.begin(&name(key), Digest::of(b"another"), 5), Known::Other, "{key}");
            }
        }
        let keys = Keys::open(&path, 5);
        assert_eq!(keys.begin(&name("again"), print, 5), Known::Nothing);
        let keys = Keys::open(&path, 2 + LIFE_MS);
        for key in ["told", "cut off"] {
            assert_eq!(keys.begin(&name(key), print, 2 + LIFE_MS), Known::Nothing, "a day is over: {key}");
        }
    }

    #[test]
    fn a_file_does_not_grow_without_end() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("api-keys.jsonl");
        let keys = Keys::open(&path, 0);
        for number in 0..150 {
            let one = name(&number.to_string());
            assert_eq!(keys.begin(&one, Digest::of(b"one"), number), Known::Nothing);
            keys.end(&one, End::Told(answer(ANSWER_BYTES_MAX)));
        }
        let long = std::fs::metadata(&path).unwrap().len();
        assert!(long < kept::BYTES_MAX + (2 << 20), "{long} bytes");
        let again = Keys::open(&path, 150);
        assert_eq!(bytes(&again.inner.lock().unwrap().kept), BYTES_MAX);
    }
}
