//! Owns following logs: their last lines, then what comes, across rotations.

use std::path::PathBuf;
use std::thread;
use std::time::Duration;

use ::logs::{Clock, Filter, Follower, Line, Sieve, Wanted, redact, tail, time_of_machine};
use anyhow::{Context as _, anyhow};

use super::{Source, print};
use crate::arguments::Output;
use crate::fail::{Code, Failure};

/// The time between two looks: short for a reader, and no work for the machine.
const LOOK_AGAIN: Duration = Duration::from_millis(200);

/// Where nobody says from when on, so many lines of each log are looked at first.
const LINES: usize = 10;

/// With a time, at most so many.
const LINES_MAX: usize = 1_000_000;

/// A log that is followed.
struct Followed<'f> {
    path: PathBuf,
    follower: Follower,
    sieve: Sieve<'f>,
}

/// Shows the last lines and then what comes, until the reader is gone or the program is ended.
pub(super) fn run(sources: &[Source], filter: &Filter, output: Output) -> Result<Code, Failure> {
    let names_servers = sources.len() > 1;
    let mut logs = Vec::new();
    for source in sources {
        let (Source::Log(path) | Source::File(path)) = source else {
            return Err(Failure::usage(anyhow!("only files can be followed")));
        };
        let lines_max = if filter.since_ms.is_some() { LINES_MAX } else { LINES };
        let fail = || format!("cannot read the log `{}`", path.display());
        let wanted = Wanted { lines_max, since_ms: filter.since_ms };
        let read = tail(path, wanted).with_context(fail).map_err(Failure::no)?;
        if read.is_cut && filter.since_ms.is_some() {
            anstream::eprintln!("paramedic: {}: there is more from before this", path.display());
        }
        let mut log = Followed { path: path.clone(), follower: read.follower, sieve: Sieve::new(filter) };
        log.show(&read.lines, output, names_servers);
        logs.push(log);
    }
    loop {
        let mut is_quiet = true;
        for log in &mut logs {
            let fail = || format!("cannot read the log `{}`", log.path.display());
            let lines = log.follower.poll().with_context(fail).map_err(Failure::no)?;
            is_quiet &= lines.is_empty();
            log.show(&lines, output, names_servers);
        }
        if is_quiet {
            thread::sleep(LOOK_AGAIN);
        }
    }
}

// === impl Followed ===

impl Followed<'_> {
    fn show(&mut self, lines: &[Line], output: Output, names_servers: bool) {
        let clock = Clock { local: time_of_machine, written_ms: server::now_ms() };
        for line in lines {
            if let Some(mut entry) = self.sieve.take(&line.bytes, clock) {
                redact::entry(&mut entry);
                print(&entry, output, names_servers);
            }
        }
    }
}
