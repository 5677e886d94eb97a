//! Owns how often a server was started anew, which outlives its guard: a file beside that of the controls.
//!
//! `NAME.restarts` is JSON: `{"version":1,"restarts":3,"since_ms":1764198000000}`. It has one writer, the guard of this
//! name. What cannot be read begins anew at 0, and what cannot be written counts on until the guard ends: a count is no
//! reason to serve nobody. The first start of a guard is none: whoever started the guard has started the server.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Mutex, MutexGuard, PoisonError};

use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::clock;
use crate::controls::write_whole;

/// The form that is written.
const VERSION: u32 = 1;

/// The restarts of one server.
#[derive(Debug, Default)]
pub(crate) struct Restarts {
    /// None where they are forgotten with the guard.
    path: Option<PathBuf>,
    count: Mutex<Count>,
}

/// How many there were, and since when they are counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Count {
    version: u32,
    pub(crate) restarts: u64,
    /// Milliseconds since 1970.
    pub(crate) since_ms: i64,
}

// === impl Restarts ===

impl Restarts {
    /// Beside the file of the controls. Returns what is wrong with what was there, too.
    pub(crate) fn beside(controls: Option<&Path>, now_ms: i64) -> (Self, Option<String>) {
        let path = controls.map(|controls| controls.with_extension("restarts"));
        let (count, problem) = match path.as_deref().map(read) {
            Some(Ok(Some(count))) => (count, None),
            Some(Err(error)) => {
                let path = path.as_deref().unwrap_or(Path::new("")).display();
                let problem = format!("`{path}` cannot be used, restarts are counted anew: {error}");
                (Count::begin(now_ms), Some(problem))
            }
            Some(Ok(None)) | None => (Count::begin(now_ms), None),
        };
        (Self { path, count: Mutex::new(count) }, problem)
    }

    pub(crate) fn now(&self) -> Count {
        *self.lock()
    }

    /// Takes what stands in the file now, which another guard had until now.
    pub(crate) fn reread(&self) {
        if let Some(Ok(Some(count))) = self.path.as_deref().map(read) {
            *self.lock() = count;
        }
    }

    /// Counts one more, and writes it down.
    ///
    /// # Errors
    /// When that fails; it counts all the same.
    pub(crate) fn add(&self) -> io::Result<()> {
        let mut count = self.lock();
        count.restarts += 1;
        let Some(path) = &self.path else { return Ok(()) };
        write_whole(path, Some(&serde_json::to_string(&*count)?))
    }

    fn lock(&self) -> MutexGuard<'_, Count> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Count {
    /// As `/health` and `status` tell it.
    pub(crate) fn told(self) -> Value {
        json!({ "count": self.restarts, "since": clock::rfc3339(self.since_ms) })
    }

    fn begin(now_ms: i64) -> Self {
        Self { version: VERSION, restarts: 0, since_ms: now_ms }
    }
}

fn read(path: &Path) -> io::Result<Option<Count>> {
    let text = match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        result => result?,
    };
    let count: Count = serde_json::from_slice(&text)?;
    if count.version != VERSION {
        return Err(io::Error::other(format!("it is of version {}, and not of {VERSION}", count.version)));
    }
    Ok(Some(count))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::{Count, Restarts};

    #[test]
    fn a_count_outlives_its_guard() {
        let folder = tempfile::tempdir().unwrap();
        let controls = folder.path().join("a.b.json");
        let (restarts, problem) = Restarts::beside(Some(&controls), 7);
        assert_eq!((restarts.now().restarts, problem), (0, None));
        restarts.add().unwrap();
        restarts.add().unwrap();
        let stored = fs::read_to_string(folder.path().join("a.b.restarts")).unwrap();
        assert_eq!(stored, r#"{"version":1,"restarts":2,"since_ms":7}"#);
        let (again, problem) = Restarts::beside(Some(&controls), 99);
        assert_eq!((again.now(), problem), (Count { version: 1, restarts: 2, since_ms: 7 }, None));
        restarts.add().unwrap();
        again.reread();
        assert_eq!(again.now().restarts, 3);
    }

    #[test]
    fn what_is_not_understood_begins_anew_and_says_so() {
        let folder = tempfile::tempdir().unwrap();
        let controls = folder.path().join("a.json");
        for text in ["", "{", "{\"version\":2,\"restarts\":1,\"since_ms\":1}", "[]"] {
            fs::write(folder.path().join("a.restarts"), text).unwrap();
            let (restarts, problem) = Restarts::beside(Some(&controls), 5);
            assert_eq!((restarts.now().restarts, restarts.now().since_ms), (0, 5), "{text}");
            assert!(problem.unwrap().contains("a.restarts"));
        }
        let (nowhere, _) = Restarts::beside(Some(std::path::Path::new("/proc/nobody/a.json")), 5);
        assert!(nowhere.add().is_err());
        assert_eq!(nowhere.now().restarts, 1, "it counts all the same");
    }
}
