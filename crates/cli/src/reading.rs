//! Owns how far a check is, on a terminal and nowhere else, once it takes longer than a second.

use std::io::{IsTerminal as _, Write as _};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::{Duration, Instant};

use integrity::Progress;
use server::data::Subject;

use crate::show;

/// Before that, nobody wonders.
const SHOW_AFTER: Duration = Duration::from_secs(1);
/// The time between two looks.
const EVERY: Duration = Duration::from_millis(200);
/// As wide as a bar is.
const WIDTH: u64 = 20;

/// Has a check of this subject show how far it is, until the subject is given up. `reads_all` is whether it reads every file:
/// then the last check says how much that is.
pub(crate) fn shown(subject: Subject, reads_all: bool) -> Subject {
    if !std::io::stderr().is_terminal() {
        return subject;
    }
    let progress = Arc::new(Progress::default());
    let all = if reads_all { subject.bytes_known() } else { None };
    let seen = Arc::downgrade(&progress);
    thread::spawn(move || show(&seen, all));
    Subject { progress: Some(progress), ..subject }
}

/// Ends that, and clears its line.
pub(crate) fn end(subject: Subject) {
    let was_shown = subject.progress.is_some();
    drop(subject);
    if was_shown {
        // What cannot be cleared is no loss.
        let _ = write!(std::io::stderr(), "\r\x1b[K");
    }
}

fn show(progress: &Weak<Progress>, all: Option<u64>) {
    let began = Instant::now();
    thread::sleep(SHOW_AFTER);
    let mut stderr = std::io::stderr();
    while let Some(progress) = progress.upgrade() {
        let (entries, bytes) = progress.so_far();
        // What cannot be shown is no loss.
        let _ = write!(stderr, "\r\x1b[K{}", line(entries, bytes, all, began.elapsed()));
        let _ = stderr.flush();
        drop(progress);
        thread::sleep(EVERY);
    }
    let _ = write!(stderr, "\r\x1b[K");
}

fn line(entries: u64, bytes: u64, all: Option<u64>, took: Duration) -> String {
    let bar = all.filter(|all| *all > 0).map(|all| {
        let done = bytes.min(all);
        let marks = "#".repeat(usize::try_from(done * WIDTH / all).unwrap_or(0));
        format!("[{marks:<20}] {:>3} % ", done * 100 / all)
    });
    let rate = (bytes as f64 / took.as_secs_f64()) as u64;
    format!("{}{entries} seen, {} read, {}/s", bar.unwrap_or_default(), show::size(bytes), show::size(rate))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is() {
        let check = |bytes: u64, all, expected: &str| {
            assert_eq!(line(7, bytes << 20, all, Duration::from_secs(2)), expected);
        };
        check(10, None, "7 seen, 10.0 MiB read, 5.0 MiB/s");
        check(10, Some(40 << 20), "[#####               ]  25 % 7 seen, 10.0 MiB read, 5.0 MiB/s");
        // There is more than there was.
        check(50, Some(40 << 20), "[####################] 100 % 7 seen, 50.0 MiB read, 25.0 MiB/s");
        check(0, Some(0), "7 seen, 0 KiB read, 0 KiB/s");
    }
}
