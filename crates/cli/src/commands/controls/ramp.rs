//! Owns `paramedic server writes --steps`: clients write again a part at a time, and at the first bad sign none does.

use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::{Duration, Instant};

use guard::Set;
use tokio::signal::unix::{SignalKind, signal};

use super::Place;
use super::signs::Signs;
use crate::arguments::{Output, WritesArguments};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// The time between two looks, and the least that there are in a step.
const LOOK_EVERY: Duration = Duration::from_secs(5);
const LOOKS_MIN: u32 = 3;

/// A server whose clients write again: here, or by the API of its `serve`.
pub(super) trait Ramped {
    /// Lets so many of the sessions write, in percent.
    fn allow(&self, percent: u8, reason: Option<&str>) -> Result<(), Failure>;
    /// Lets nobody write any more.
    fn forbid(&self, reason: &str) -> Result<(), Failure>;
    /// The first sign that something is not well; nothing where all is.
    fn bad(&self) -> Option<String>;
}

/// One of this machine.
struct Here<'a> {
    place: &'a Place,
    signs: Signs,
    output: Output,
}

impl Ramped for Here<'_> {
    fn allow(&self, percent: u8, reason: Option<&str>) -> Result<(), Failure> {
        let set = |now_ms| Set::new(&actor(), now_ms, reason);
        let changed = self
            .place
            .change(self.output, |controls, now_ms| controls.enable_writes(percent, None, set(now_ms)));
        changed.map(drop)
    }

    fn forbid(&self, reason: &str) -> Result<(), Failure> {
        let changed = self.place.change(self.output, |controls, now_ms| {
            controls.read_only(Set::new(&actor(), now_ms, Some(reason)));
            Ok(())
        });
        changed.map(drop)
    }

    fn bad(&self) -> Option<String> {
        self.signs.bad()
    }
}

/// Lets clients of a server of this machine write by steps.
pub(super) fn here(place: &Place, arguments: &WritesArguments, output: Output) -> Result<Code, Failure> {
    let signs = Signs::of(&place.config, &place.name)?;
    ramp(&Here { place, signs, output }, arguments, output)
}

/// Lets clients write by steps. Between them the server and its data are looked at; if anything is not well, or this is to
/// end before the last step is over, no client may write any more.
pub(super) fn ramp(
    ramped: &impl Ramped,
    arguments: &WritesArguments,
    output: Output,
) -> Result<Code, Failure> {
    if !arguments.steps.is_sorted_by(|one, next| one < next) {
        return Err(Failure::usage(anyhow::anyhow!("each of `--steps` has to be more than the one before")));
    }
    let stopping = stopping()?;
    if let Some(sign) = ramped.bad() {
        return Err(Failure::no(anyhow::anyhow!("nothing was allowed: {sign}")));
    }
    let every = LOOK_EVERY.min(arguments.hold / LOOKS_MIN);
    for percent in &arguments.steps {
        ramped.allow(*percent, arguments.reason.as_deref())?;
        if let Some(sign) = hold(ramped, &stopping, arguments.hold, every) {
            ramped.forbid(&format!("writes are taken back: {sign}"))?;
            let message = format!("at {percent} % of the sessions: {sign}; the server is read-only again");
            return Err(Failure::no(anyhow::anyhow!(message)));
        }
        if output == Output::Table {
            show::line(&format!("{}: all well at {percent} % for {:?}", arguments.name, arguments.hold));
        }
    }
    Ok(Code::Done)
}

/// Looks until the time is over. Returns the first bad sign.
fn hold(
    ramped: &impl Ramped,
    stopping: &Receiver<&'static str>,
    length: Duration,
    every: Duration,
) -> Option<String> {
    let until = Instant::now() + length;
    loop {
        let left = until.saturating_duration_since(Instant::now());
        match stopping.recv_timeout(every.min(left)) {
            Ok(signal) => return Some(format!("it was ended by {signal} before it was over")),
            Err(RecvTimeoutError::Timeout) => {}
            Err(RecvTimeoutError::Disconnected) => return Some("signals cannot be heard".to_owned()),
        }
        if let Some(sign) = ramped.bad() {
            return Some(sign);
        }
        if Instant::now() >= until {
            return None;
        }
    }
}

/// Tells of a signal that wants this to end.
fn stopping() -> Result<Receiver<&'static str>, Failure> {
    let runtime = context::runtime()?;
    let (teller, stopping) = channel();
    let (mut interrupt, mut terminate) = {
        let _entered = runtime.enter();
        (
            signal(SignalKind::interrupt()).map_err(Failure::no)?,
            signal(SignalKind::terminate()).map_err(Failure::no)?,
        )
    };
    let _heard_until_the_end = thread::spawn(move || {
        runtime.block_on(async {
            loop {
                let name = tokio::select! {
                    _ = interrupt.recv() => "SIGINT",
                    _ = terminate.recv() => "SIGTERM",
                };
                if teller.send(name).is_err() {
                    return;
                }
            }
        });
    });
    Ok(stopping)
}
