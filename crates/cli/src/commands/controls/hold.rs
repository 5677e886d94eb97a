//! Owns read-only mode for the time of something else: taken back at its end, and by the guard itself at a deadline.

use std::path::PathBuf;
use std::time::Duration;

use ::server::now_ms;
use guard::{Controls, Set};
use incident::change::read_place;

use super::Place;
use crate::arguments::{Output, millis};
use crate::commands::tune::failure;
use crate::context::actor;
use crate::fail::{Code, Failure};

/// How long is waited for writes that run when it begins.
const WAIT: Duration = Duration::from_secs(30);

/// Nobody writes through the guard of a server, by this.
pub(in crate::commands) struct Hold {
    place: Place,
    set: Set,
    until_ms: i64,
    output: Output,
}

// === impl Hold ===

impl Hold {
    /// Lets nobody write, for at most so long; nothing where nobody may write already.
    pub(in crate::commands) fn begin(
        name: &str,
        named: Option<PathBuf>,
        most: Duration,
        output: Output,
    ) -> Result<Option<Self>, Failure> {
        let place = Place::find(name, named, WAIT)?;
        if !::server::control_socket(&place.config, name).exists() {
            let words = format!(
                "no guard runs in front of `{name}`, so nobody can be kept from writing: leave out `--read-only`"
            );
            return Err(Failure::new(Code::Unreachable, anyhow::anyhow!(words)));
        }
        let at_ms = now_ms();
        let hold = Self {
            set: Set::new(&actor(), at_ms, Some("a backup is made")),
            until_ms: at_ms.saturating_add(millis(most)),
            place,
            output,
        };
        let before = hold.controls()?;
        if before.is_read_only() {
            return Ok(None);
        }
        let mut is_held = false;
        let changed = hold.place.change(output, |controls, _| {
            is_held = controls.hold(hold.set.clone(), hold.until_ms);
            Ok(())
        });
        if !is_held {
            let words = format!(
                "only a part of the sessions of `{name}` may write: end that first, or leave out `--read-only`"
            );
            return Err(Failure::new(Code::Refused, anyhow::anyhow!(words)));
        }
        match changed {
            Ok(Code::Done) => Ok(Some(hold)),
            Ok(_) => {
                hold.end()?;
                Err(Failure::no(anyhow::anyhow!(
                    "writes of `{name}` still run after {WAIT:?}: no backup was made"
                )))
            }
            Err(error) => {
                // It may hold all the same.
                let _ = hold.end();
                Err(error)
            }
        }
    }

    /// Lets everybody write again. Returns whether nobody could until now.
    pub(in crate::commands) fn end(&self) -> Result<bool, Failure> {
        let mut was_held = false;
        self.place.change(self.output, |controls, now_ms| {
            was_held = controls.release(&self.set) && now_ms < self.until_ms;
            Ok(())
        })?;
        Ok(was_held)
    }

    fn controls(&self) -> Result<Controls, Failure> {
        let text = read_place(&self.place.path()).map_err(failure)?;
        Ok(Controls::parse(text.as_deref()).map_err(Failure::usage)?.at(now_ms()))
    }
}
