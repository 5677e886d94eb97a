//! Owns telling what happens to named units: exits, restarts by systemd itself, and jobs that were not ours.
//!
//! Everything comes over one connection in the order in which systemd said it. When that is lost the state is read
//! anew and compared with what was known, so that nothing is lost but what left no trace.

pub(crate) mod fold;
mod listen;

use std::time::Duration;

use process::Ending;
use tokio::sync::mpsc;
use tokio::task::JoinHandle;

use crate::Systemd;
use crate::error::Error;
use crate::job::{JobId, JobKind, JobResult};
use crate::name::UnitName;
use crate::unit::{ActiveState, SubState, Unit};

/// So many units are watched at once: a bus allows some hundred rules for each connection.
pub const UNITS_MAX: usize = 256;

/// So much is kept for a reader who is slow; then the bus keeps it, and when that is full too, the state is read anew.
const TOLD_MAX: usize = 256;

/// The first pause after a connection was lost. It doubles each time.
const PAUSE_FIRST: Duration = Duration::from_millis(50);

/// The longest pause.
const PAUSE_MAX: Duration = Duration::from_secs(5);

/// What is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Told {
    /// Something happened to a unit.
    Of {
        /// The unit, by the name under which it is watched.
        unit: UnitName,
        /// What happened.
        event: Event,
    },
    /// Nothing is heard until [`Told::Found`]: the connection was lost, or could not be made.
    Lost {
        /// Why, in words.
        reason: String,
    },
    /// There is a connection again; what has changed meanwhile is told next.
    Found,
}

/// What happened to a unit.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This is the first look at it.
    Seen(Box<Unit>),
    /// Its state is another one. On its way through a job, or before systemd starts it again by itself, a unit is
    /// `failed` or `inactive` for a moment.
    Changed {
        /// What it was.
        from: (Option<ActiveState>, Option<SubState>),
        /// The unit as it is now.
        to: Box<Unit>,
    },
    /// Its main process has ended.
    Exited(Exit),
    /// The kernel has killed it for want of memory.
    OutOfMemory,
    /// systemd starts it again by itself, for the so manieth time.
    Restarting {
        /// `NRestarts`.
        restarts: u32,
    },
    /// It was started too often, and stays down until somebody clears that.
    StartLimitHit,
    /// A job for it was queued.
    JobBegun {
        /// The job.
        job: JobId,
        /// Who wants it.
        whose: Whose,
    },
    /// A job for it has ended.
    JobEnded {
        /// The job.
        job: JobId,
        /// Who wanted it.
        whose: Whose,
        /// What it did, where systemd said so in time or the state of the unit shows it.
        kind: Option<JobKind>,
        /// How it ended; none where that happened while nothing was heard.
        result: Option<JobResult>,
    },
    /// While nothing was heard, somebody has started, stopped or restarted it: that much its state shows.
    Unseen(JobKind),
}

/// The end of a main process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Exit {
    /// Which one.
    pub pid: Option<i32>,
    /// How it ended; none where systemd did not say so before the next one was there.
    pub ending: Option<Ending>,
    /// When, in milliseconds since the Unix epoch, by the clock of systemd.
    pub at_ms: Option<i64>,
    /// How long it ran; none where its start or its end is not known.
    pub uptime: Option<Duration>,
    /// Whose job was under way: an end that somebody has ordered is no trouble.
    pub during: Option<Whose>,
}

/// Who wants a job.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Whose {
    /// We do.
    Ours,
    /// systemd does, by `Restart=` of the unit.
    Automatic,
    /// Somebody else: a person with `systemctl`, another program, or a unit that this one depends on.
    Others,
    /// It was queued before anybody listened.
    Unknown,
}

/// Tells what happens until it is dropped.
#[derive(Debug)]
pub struct Watch {
    told: mpsc::Receiver<Told>,
    task: JoinHandle<()>,
}

// === impl Systemd ===

impl Systemd {
    /// Watches units, some of which may not be there yet. The state of each is told first.
    ///
    /// To be called where tokio runs: the listener is a task of it, which ends with the [`Watch`].
    ///
    /// # Errors
    /// When these are more than [`UNITS_MAX`].
    pub fn watch(&self, units: Vec<UnitName>) -> Result<Watch, Error> {
        if units.len() > UNITS_MAX {
            return Err(Error::TooMany { count: units.len(), max: UNITS_MAX });
        }
        let (tell, told) = mpsc::channel(TOLD_MAX);
        let listener = listen::Listener::new(self.clone(), units, tell);
        Ok(Watch { told, task: tokio::spawn(keep_listening(listener)) })
    }
}

// === impl Watch ===

impl Watch {
    /// What happens next. Waits until something does.
    pub async fn next(&mut self) -> Option<Told> {
        self.told.recv().await
    }
}

impl Drop for Watch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

/// Until nobody wants to hear more.
async fn keep_listening(mut listener: listen::Listener) {
    let mut pause = PAUSE_FIRST;
    loop {
        let heard = listener.heard();
        let Err(stop) = listener.listen().await;
        let listen::Stop::Lost(error) = stop else { return };
        if listener.heard() != heard {
            pause = PAUSE_FIRST;
        }
        let reason = words_of(&error);
        if listener.lost(reason).await.is_err() {
            return;
        }
        tokio::time::sleep(pause).await;
        pause = PAUSE_MAX.min(pause * 2);
    }
}

/// An error and its causes, in one line.
fn words_of(error: &Error) -> String {
    let mut words = error.to_string();
    let mut next = std::error::Error::source(error);
    while let Some(cause) = next {
        words = format!("{words}: {cause}");
        next = cause.source();
    }
    words
}
