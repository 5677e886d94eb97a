//! Owns keeping the background jobs of a unit whose shell has ended: their output, their limit, and their end.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsFd;
use std::path::Path;
use std::thread;
use std::time::{Duration, Instant};

use process::{ProcessId, Signal, descendants, send};
use rustix::process::{WaitOptions, wait};
use tokio::runtime::Builder;
use tokio::signal::unix::{SignalKind, signal};

use crate::background::{Background, BackgroundEnd};
use crate::folder::{BACKGROUND, Durability, Folder};
use crate::output::Output;
use crate::supervise::{TERM_GRACE, end_descendants, ready};
use crate::{Error, clock};

/// What a thread says to the keeper when no process is left.
const NONE_LEFT: u8 = b'n';

/// The same when it is told to end them.
const TOLD: u8 = b't';

/// What a shell has left running.
pub(crate) struct Jobs {
    pub(crate) stdout: Output,
    pub(crate) stderr: Output,
    /// How long it may run on.
    pub(crate) limit: Duration,
}

/// The keeper of jobs. This process must be a subreaper, and has no other children.
pub(crate) struct Keeper {
    jobs: Jobs,
    words: PipeReader,
    writer: PipeWriter,
}

// === impl Keeper ===

impl Keeper {
    /// From here on SIGTERM tells this process to end the jobs, instead of ending it.
    pub(crate) fn new(jobs: Jobs) -> io::Result<Self> {
        let (words, writer) = io::pipe()?;
        let runtime = Builder::new_current_thread().enable_io().build()?;
        let mut told = {
            let _entered = runtime.enter();
            signal(SignalKind::terminate())?
        };
        let mut say = writer.try_clone()?;
        thread::Builder::new().name("told".to_owned()).spawn(move || {
            while runtime.block_on(told.recv()).is_some() && say.write_all(&[TOLD]).is_ok() {}
        })?;
        Ok(Self { jobs, words, writer })
    }

    /// Keeps the jobs until none is left, and writes down how they ended.
    pub(crate) fn keep(mut self, folder: &Folder) -> Result<(), Error> {
        let failed = |source| Error::Watch { folder: folder.path().to_owned(), source };
        self.wait_for_all().map_err(failed)?;
        let deadline = Instant::now() + self.jobs.limit;
        let end = match self.word_until(deadline).map_err(failed)? {
            Some(NONE_LEFT) => BackgroundEnd::ByItself,
            Some(_) => BackgroundEnd::Told,
            None => BackgroundEnd::Limit,
        };
        if end != BackgroundEnd::ByItself {
            self.end_all().map_err(failed)?;
        }
        self.jobs.stdout.drain();
        self.jobs.stderr.drain();
        let truncated = self.jobs.stdout.is_truncated() || self.jobs.stderr.is_truncated();
        let background = Background { ended_ms: clock::now_ms(), end, truncated };
        folder.write(BACKGROUND, &background, Durability::Durable)
    }

    /// Lets a thread take note of the end of each of them: a subreaper without children has no descendants either.
    fn wait_for_all(&mut self) -> io::Result<()> {
        let mut say = self.writer.try_clone()?;
        thread::Builder::new().name("reaper".to_owned()).spawn(move || {
            while !matches!(wait(WaitOptions::empty()), Err(error) if error != rustix::io::Errno::INTR) {}
            let _ = say.write_all(&[NONE_LEFT]);
        })?;
        Ok(())
    }

    /// Copies the output until a thread says something; `None` where nobody does in time.
    fn word_until(&mut self, deadline: Instant) -> io::Result<Option<u8>> {
        loop {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return Ok(None);
            }
            let sources = [Some(self.words.as_fd()), self.jobs.stdout.source(), self.jobs.stderr.source()];
            let ready = ready(sources, left)?;
            if ready[1] {
                self.jobs.stdout.pump();
            }
            if ready[2] {
                self.jobs.stderr.pump();
            }
            if ready[0] {
                let mut word = [0];
                self.words.read_exact(&mut word)?;
                return Ok(Some(word[0]));
            }
        }
    }

    /// Ends all of them: asked first, killed after the grace.
    fn end_all(&mut self) -> io::Result<()> {
        for process in descendants(Path::new("/proc"), ProcessId::current().pid) {
            // One that has ended meanwhile, or may not be signalled, is for the end.
            let _ = send(process, Signal::TERM);
        }
        let deadline = Instant::now() + TERM_GRACE;
        // Told once more, it goes on waiting.
        while let Some(word) = self.word_until(deadline)? {
            if word == NONE_LEFT {
                return Ok(());
            }
        }
        end_descendants();
        Ok(())
    }
}
