//! Owns showing on a terminal how far something is that takes longer than a second; elsewhere nothing is shown.

use std::io::{IsTerminal as _, Write as _};
use std::path::Path;
use std::sync::mpsc::{RecvTimeoutError, Sender, channel};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

/// What ends sooner shows nothing.
const SHOW_AFTER: Duration = Duration::from_secs(1);
const SHOW_EVERY: Duration = Duration::from_millis(200);
const BAR_CHARS: u64 = 20;

/// A line on the terminal, which is there until this is dropped.
pub(crate) struct Reading(Option<(Sender<()>, JoinHandle<()>)>);

// === impl Reading ===

impl Reading {
    /// Shows how much of so many bytes this process has read, by the kernel's count.
    pub(crate) fn of(what: &str, bytes: u64) -> Self {
        let Some(before) = read_bytes().filter(|_| std::io::stderr().is_terminal()) else {
            return Self(None);
        };
        let (ending, ended) = channel();
        let what = what.to_owned();
        let show = move || {
            let mut pause = SHOW_AFTER;
            while ended.recv_timeout(pause) == Err(RecvTimeoutError::Timeout) {
                let done = read_bytes().unwrap_or(before).saturating_sub(before);
                show(&line(done, bytes, &format!("{what}, {} MiB", bytes >> 20)));
                pause = SHOW_EVERY;
            }
        };
        let thread = std::thread::Builder::new().name("progress".to_owned()).spawn(show);
        Self(thread.ok().map(|thread| (ending, thread)))
    }
}

impl Drop for Reading {
    fn drop(&mut self) {
        if let Some((ending, thread)) = self.0.take() {
            drop(ending);
            let _ = thread.join();
            clear();
        }
    }
}

/// Says how far a collection is, once it takes long.
pub(crate) fn of_collection() -> Box<dyn FnMut(&evidence::Progress) + Send> {
    let began = Instant::now();
    let is_terminal = std::io::stderr().is_terminal();
    Box::new(move |progress| {
        if is_terminal && began.elapsed() >= SHOW_AFTER {
            let evidence::Progress { step, done, all, bytes } = progress;
            show(&line(*done as u64, *all as u64, &format!("{done}/{all} {step}, {} KiB", bytes >> 10)));
        }
    })
}

/// Takes the line away.
pub(crate) fn clear() {
    if std::io::stderr().is_terminal() {
        show("");
    }
}

/// What has been done so often of a bundle with its archive: its bytes, so many times.
pub(crate) fn archive_bytes(folder: &Path, times: u64) -> u64 {
    let archive = folder.join("items.tar.zst");
    std::fs::metadata(archive).map_or(0, |of| of.len()).saturating_mul(times)
}

fn show(line: &str) {
    let mut stderr = std::io::stderr();
    let _ = write!(stderr, "\r\x1b[K{line}");
    let _ = stderr.flush();
}

fn line(done: u64, all: u64, what: &str) -> String {
    let chars = done.min(all).saturating_mul(BAR_CHARS) / all.max(1);
    format!("[{:<20}] {what}", "#".repeat(usize::try_from(chars).unwrap_or_default()))
}

/// All that this process has read, from files and elsewhere.
fn read_bytes() -> Option<u64> {
    let text = std::fs::read_to_string("/proc/self/io").ok()?;
    text.lines().find_map(|line| line.strip_prefix("rchar: "))?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::{line, read_bytes};

    #[test]
    fn a_bar_is_never_longer_than_all_of_it() {
        assert_eq!(line(0, 10, "a"), "[                    ] a");
        assert_eq!(line(5, 10, "a"), "[##########          ] a");
        assert_eq!(line(99, 10, "a"), "[####################] a");
        assert_eq!(line(1, 0, "a"), "[                    ] a");
        assert_eq!(line(u64::MAX, u64::MAX, "a").len(), 24);
    }

    #[test]
    fn what_is_read_is_counted() {
        let before = read_bytes().unwrap();
        let file = std::env::current_exe().unwrap();
        let bytes = std::fs::read(file).unwrap().len() as u64;
        assert!(read_bytes().unwrap() - before >= bytes);
    }
}
