//! Owns orders: a job is queued, and its end is waited for. What systemd calls done is done; everything else is an error
//! that says which job, and how it ended.

use std::fmt;
use std::time::Duration;

use zbus::message::Message;
use zbus::zvariant::OwnedObjectPath;

use crate::Systemd;
use crate::bus::{Call, Link, is_signal};
use crate::error::Error;
use crate::name::UnitName;
use crate::unit::{ServiceResult, Unit};
use crate::watch::fold::is_start_limit_hit;
use crate::word::words;

/// The signal that every job ends with.
pub(crate) const JOB_REMOVED: &str = "type='signal',sender='org.freedesktop.systemd1',\
     path='/org/freedesktop/systemd1',interface='org.freedesktop.systemd1.Manager',member='JobRemoved'";

/// A job that would replace another one is refused: whoever queued that one outranks us.
const BESIDE_OTHERS: &str = "fail";

/// A job replaces another one. For those that were ours.
const IN_PLACE_OF_OURS: &str = "replace";

/// What is ordered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verb {
    /// Start it, unless it runs.
    Start,
    /// Stop it, unless it is stopped.
    Stop,
    /// Stop it if it runs, and start it.
    Restart,
    /// Restart it if it runs; otherwise leave it.
    TryRestart,
}

/// The number of a job. systemd counts from 1 at each boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct JobId(pub u32);

words! {
    /// How a job ended.
    JobResult {
        /// It did what it was for.
        Done = "done",
        /// Another job has replaced it.
        Canceled = "canceled",
        /// It took longer than the unit allows.
        Timeout = "timeout",
        /// It failed.
        Failed = "failed",
        /// Something that the unit needs has failed.
        Dependency = "dependency",
        /// There was nothing to do, or a condition of the unit said no.
        Skipped = "skipped",
        /// A unit can have no such job.
        Invalid = "invalid",
        /// An assertion of the unit said no.
        Assert = "assert",
        /// The unit is not possible here.
        Unsupported = "unsupported",
        /// The unit has gone.
        Collected = "collected",
        /// The unit may run once only.
        Once = "once",
    }
}

words! {
    /// What a job does.
    JobKind {
        /// It starts.
        Start = "start",
        /// It stops.
        Stop = "stop",
        /// It stops and starts.
        Restart = "restart",
        /// It has settings read anew.
        Reload = "reload",
        /// It checks that the unit runs.
        Verify = "verify-active",
        /// It does nothing.
        Nothing = "nop",
    }
}

/// An order that was carried out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Finished {
    /// The job that did it.
    pub job: JobId,
    /// The unit just after its end; none where it could not be read any more. Whether the server in it answers is
    /// for whoever asks it.
    pub unit: Option<Unit>,
}

// === impl Systemd ===

impl Systemd {
    /// Orders something of a unit, and waits until the job has ended. Nothing is ordered twice.
    ///
    /// The deadline is for the whole. A job that is late is left alone: systemd has time-outs of its own for it. Another
    /// order may take its place, as it was ours; what somebody else has queued is not replaced. To be awaited to its end:
    /// a job whose number nobody heard looks like somebody else's.
    ///
    /// # Errors
    /// When the job ended in another way than done, is late, was refused because somebody's job is queued for the unit
    /// ([`Error::Busy`]) or because this user may not ([`Error::Denied`]), and when systemd cannot be reached.
    pub async fn order(&self, unit: &UnitName, verb: Verb, timeout: Duration) -> Result<Finished, Error> {
        let began = tokio::time::Instant::now();
        let before = self.unit(unit).await?;
        let mode = match before.job {
            Some(queued) if self.own.is_ours(queued).await => IN_PLACE_OF_OURS,
            _ => BESIDE_OTHERS,
        };
        let mut link = Link::open(&self.bus, &[JOB_REMOVED.to_owned()]).await?;
        // From here on every job that is announced may be ours.
        let order = self.own.order();
        let call = Call { unit: Some(unit), ..Call::manager(verb.method()) };
        let reply = link.call(call, &(unit.as_str(), mode)).await?;
        let job = job_of_reply(&reply).ok_or_else(|| Error::answer(verb.method(), &"it names no job"))?;
        order.is(job);
        drop(order);
        let left = timeout.saturating_sub(began.elapsed());
        let result = match tokio::time::timeout(left, end_of(&mut link, job)).await {
            Ok(Some(result)) => result,
            Ok(None) => return Err(Error::JobLost { job, unit: unit.clone(), verb }),
            Err(_) => return Err(Error::JobLate { job, unit: unit.clone(), verb, timeout }),
        };
        let after = self.unit(unit).await.ok();
        match result {
            JobResult::Done | JobResult::Skipped => Ok(Finished { job, unit: after }),
            result => {
                let limited = |after: &Unit| is_start_limit_hit(&before, after, Some(&result));
                let ended = match after {
                    Some(after) if limited(&after) => Some(ServiceResult::StartLimitHit),
                    after => after.and_then(|after| after.result),
                };
                Err(Error::JobFailed { job, unit: unit.clone(), verb, result, ended })
            }
        }
    }
}

/// Waits for the end of a job; none where the connection ends before.
async fn end_of(link: &mut Link, job: JobId) -> Option<JobResult> {
    loop {
        let message = link.next().await.ok()?;
        if !link.is_genuine(&message) {
            continue;
        }
        if let Some(removed) = JobRemoved::of(&message).filter(|removed| removed.job == job) {
            return Some(removed.result);
        }
    }
}

/// The signal that every job ends with.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct JobRemoved {
    pub(crate) job: JobId,
    pub(crate) unit: String,
    pub(crate) result: JobResult,
}

// === impl JobRemoved ===

impl JobRemoved {
    pub(crate) fn of(message: &Message) -> Option<Self> {
        if !is_signal(message, "JobRemoved") {
            return None;
        }
        let body = message.body();
        let (id, _path, unit, result): (u32, OwnedObjectPath, String, String) = body.deserialize().ok()?;
        Some(Self { job: JobId(id), unit, result: JobResult::from(result.as_str()) })
    }
}

/// The number stands at the end of the path that systemd answers with.
fn job_of_reply(reply: &Message) -> Option<JobId> {
    let path: OwnedObjectPath = reply.body().deserialize().ok()?;
    path.as_str().rsplit('/').next()?.parse().ok().map(JobId)
}

// === impl Verb ===

impl Verb {
    fn method(self) -> &'static str {
        match self {
            Self::Start => "StartUnit",
            Self::Stop => "StopUnit",
            Self::Restart => "RestartUnit",
            Self::TryRestart => "TryRestartUnit",
        }
    }
}

impl fmt::Display for Verb {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Start => "start",
            Self::Stop => "stop",
            Self::Restart => "restart",
            Self::TryRestart => "try-restart",
        })
    }
}

// === impl JobId ===

impl fmt::Display for JobId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}
