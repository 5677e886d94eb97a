//! Owns the controls of a running guard: read at its start, looked at for every request, changed by one hand at a time,
//! and written down at each change.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read as _, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, RwLock, RwLockReadGuard};
use std::time::Duration;

use tokio::sync::Notify;

use super::{BYTES_MAX, Controls, ControlsError, Set};
use crate::clock;

/// Who sees them must not be everybody: names of clients stand in it.
const MODE: u32 = 0o600;

/// The controls of one guard.
#[derive(Debug, Default)]
pub(crate) struct Kept {
    /// None where they are forgotten with the guard.
    path: Option<PathBuf>,
    now: RwLock<Arc<Controls>>,
    /// Held while they change.
    turn: Mutex<()>,
    /// Why the file could not be used at the start, for `status`.
    problem: Option<String>,
    /// They are others.
    changed: Notify,
}

/// What came of a change that names what was there before.
#[derive(Debug)]
pub(crate) enum Exchanged {
    Done,
    /// This is what is there.
    Moved(Option<String>),
    /// What is there cannot be read.
    Unread(io::Error),
    /// It holds, and is not written down, for this reason.
    NotKept(io::Error),
}

// === impl Kept ===

impl Kept {
    /// Reads the file. One that cannot be used makes the server read-only.
    pub(crate) fn open(path: Option<PathBuf>, now_ms: i64) -> Self {
        let read = path.as_deref().map_or(Ok(None), read);
        let parsed = read.map_err(|error| error.to_string()).and_then(|text| {
            Controls::parse(text.as_deref()).map_err(|error| match std::error::Error::source(&error) {
                Some(source) => format!("{error}: {source}"),
                None => error.to_string(),
            })
        });
        let (controls, problem) = match parsed {
            Ok(controls) => (controls, None),
            Err(error) => {
                let path = path.as_deref().unwrap_or(Path::new("")).display();
                let problem = format!("`{path}` cannot be used: {error}");
                let mut controls = Controls::default();
                controls.read_only(Set::new("the guard", now_ms, Some(&problem)));
                (controls, Some(problem))
            }
        };
        Self {
            path,
            now: RwLock::new(Arc::new(controls)),
            turn: Mutex::default(),
            problem,
            changed: Notify::new(),
        }
    }

    /// The controls as they are.
    pub(crate) fn now(&self) -> Arc<Controls> {
        self.hold().clone()
    }

    /// The same, and they do not change while this is held: never across an await.
    pub(crate) fn hold(&self) -> RwLockReadGuard<'_, Arc<Controls>> {
        let held = self.now.read().unwrap_or_else(PoisonError::into_inner);
        if held.writes.until_ms.is_none() || !held.is_over(clock::now_ms()) {
            return held;
        }
        let open = held.without_hold();
        drop(held);
        // Where somebody looks or changes just now the next one does it. The file may say what is over: whoever reads it
        // knows that it is.
        if let Ok(mut now) = self.now.try_write()
            && now.is_over(clock::now_ms())
        {
            *now = Arc::new(open);
        }
        self.now.read().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes what stands in the file now, which another guard had until now. What is not understood changes nothing: it
    /// made this one read-only at its start, or was written after it.
    pub(crate) fn reread(&self) {
        let _turn = self.turn();
        let text = self.path.as_deref().map_or(Ok(None), read);
        if let Some(controls) = text.ok().and_then(|text| Controls::parse(text.as_deref()).ok()) {
            self.set(controls);
        }
    }

    /// Why the file could not be used at the start.
    pub(crate) fn problem(&self) -> Option<&str> {
        self.problem.as_deref()
    }

    /// Changes them, and writes them down. Returns whether anything is another now, and why it is not written down,
    /// where that failed: it holds all the same, until the guard ends.
    pub(crate) fn change(
        &self,
        change: impl FnOnce(&mut Controls) -> Result<(), ControlsError>,
    ) -> Result<(bool, Option<io::Error>), ControlsError> {
        let _turn = self.turn();
        let before = self.now();
        let mut next = (*before).clone();
        change(&mut next)?;
        if next == *before {
            return Ok((false, None));
        }
        let text = next.to_text();
        self.set(next);
        Ok((true, self.write(text.as_deref()).err()))
    }

    /// Puts `new` in the place of `old`, where that is what stands in the file.
    pub(crate) fn exchange(&self, old: Option<&str>, new: Option<&str>) -> Result<Exchanged, ControlsError> {
        let next = Controls::parse(new)?;
        let _turn = self.turn();
        let found = match self.path.as_deref().map_or(Ok(None), read) {
            Ok(found) => found,
            Err(error) => return Ok(Exchanged::Unread(error)),
        };
        if found.as_deref() != old {
            return Ok(Exchanged::Moved(found));
        }
        self.set(next);
        Ok(self.write(new).map_or_else(Exchanged::NotKept, |()| Exchanged::Done))
    }

    fn set(&self, controls: Controls) {
        *self.now.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(controls);
        self.changed.notify_one();
    }

    /// Waits until a hold is over by its time, for the one who tells others of that.
    pub(crate) async fn hold_over(&self) {
        loop {
            let until_ms = self.now.read().unwrap_or_else(PoisonError::into_inner).writes.until_ms;
            let Some(until_ms) = until_ms else {
                self.changed.notified().await;
                continue;
            };
            let left_ms = u64::try_from(until_ms.saturating_sub(clock::now_ms())).unwrap_or(0);
            tokio::select! {
                () = tokio::time::sleep(Duration::from_millis(left_ms)) => {
                    // A request may have seen it already.
                    drop(self.hold());
                    return;
                }
                () = self.changed.notified() => {}
            }
        }
    }

    fn turn(&self) -> MutexGuard<'_, ()> {
        self.turn.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn write(&self, text: Option<&str>) -> io::Result<()> {
        match &self.path {
            Some(path) => write_whole(path, text),
            None => Err(io::Error::other("this guard has no file for it")),
        }
    }
}

fn read(path: &Path) -> io::Result<Option<String>> {
    let file = match File::open(path) {
        Ok(file) => file,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(error),
    };
    let mut text = String::new();
    file.take(BYTES_MAX + 1).read_to_string(&mut text)?;
    if text.len() as u64 > BYTES_MAX {
        return Err(io::Error::other(format!("it has more than {BYTES_MAX} bytes")));
    }
    Ok(Some(text))
}

/// Writes a file, or removes it: whoever reads it sees the whole of it, before or after.
pub(crate) fn write_whole(path: &Path, text: Option<&str>) -> io::Result<()> {
    let folder = path.parent().unwrap_or(Path::new("."));
    match text {
        Some(text) => {
            fs::create_dir_all(folder)?;
            let mut new = path.as_os_str().to_owned();
            new.push(".new");
            let mut file =
                OpenOptions::new().write(true).create(true).truncate(true).mode(MODE).open(&new)?;
            file.write_all(text.as_bytes())?;
            file.sync_all()?;
            fs::rename(&new, path)?;
        }
        None => match fs::remove_file(path) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            result => result?,
        },
    }
    File::open(folder)?.sync_all()
}
