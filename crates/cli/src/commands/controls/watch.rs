//! Owns `paramedic security watch`: a server is looked at more closely for a while.

use std::path::PathBuf;
use std::time::Duration;

use ::server::Control;
use guard::Set;

use super::{Place, far, seconds};
use crate::arguments::{Output, WatchArguments, millis};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

pub(in crate::commands) fn watch(
    arguments: &WatchArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let name = &arguments.name;
    if let Some(client) = context::far() {
        let order = match arguments.undo {
            true => Control::Unwatch,
            false => Control::Watch { for_s: seconds(arguments.duration) },
        };
        return far::order(&client, name, arguments.reason.as_deref(), order, output);
    }
    let place = Place::find(name, named, Duration::ZERO)?;
    let mut until_ms = 0;
    let changed = place.is_changed(output, |controls, now_ms| {
        if arguments.undo {
            controls.unwatch();
            return Ok(());
        }
        // From the same moment on: a second that has begun before would be less than one.
        until_ms = now_ms.saturating_add(millis(arguments.duration));
        controls.watch(until_ms, Set::new(&actor(), now_ms, arguments.reason.as_deref()))
    })?;
    if output == Output::Table {
        show::line(&match (changed, arguments.undo) {
            (false, _) => format!("{name}: nothing to do, it is so already"),
            (true, true) => format!("{name}: looked at as always"),
            (true, false) => {
                format!("{name}: looked at more closely until {} UTC", show::time(until_ms))
            }
        });
    }
    if place.door.told().is_none() && changed && !arguments.undo {
        anstream::eprintln!(
            "no guard runs in front of `{name}`: arguments are written down from its next start on"
        );
    }
    Ok(Code::Done)
}
