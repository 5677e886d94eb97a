//! Owns `paramedic server readonly`, `writes`, `block`, `unblock`, `drain` and `clear-cache`: what clients of a server may do, as
//! changes that can be taken back.

mod contain;
mod door;
mod far;
mod hold;
mod ramp;
mod signs;
mod watch;

use std::path::PathBuf;
use std::time::Duration;

use ::server::Control;
use ::server::config::Config;
use ::server::signs::Read;
use guard::{Block, BlockKind, Controls, ControlsError, Set};
use incident::change::{Change, What as Kind, read_place};
use serde_json::Value;
use threats::Pins;

use super::tune::{Hand, Subject, failure};
use crate::arguments::{
    ApproveArguments, BlockArguments, Output, ReadonlyArguments, UnblockArguments, What, WritesArguments,
    millis,
};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

pub(super) use contain::{Kernel, Tokens, confirm, contain, release, rotate};
pub(super) use door::Door;
pub(super) use hold::Hold;
use signs::Signs;
pub(super) use watch::watch;

/// A server whose controls are changed.
struct Place {
    config: Config,
    named: Option<PathBuf>,
    name: String,
    door: Door,
}

pub(super) fn readonly(
    arguments: &ReadonlyArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        let order = match arguments.undo {
            true => Control::TakeBack,
            false => Control::ReadOnly { wait_s: Some(seconds(arguments.wait)) },
        };
        return far::order(&client, &arguments.name, arguments.reason.as_deref(), order, output);
    }
    let place = Place::find(&arguments.name, named, arguments.wait)?;
    if arguments.undo {
        return place.undo(output);
    }
    let reason = arguments.reason.as_deref();
    place.change(output, |controls, now_ms| {
        controls.read_only(Set::new(&actor(), now_ms, reason));
        Ok(())
    })
}

pub(super) fn writes(
    arguments: &WritesArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        if !arguments.steps.is_empty() {
            return far::ramp(&client, arguments, output);
        }
        let order = match arguments.undo {
            true => Control::TakeBack,
            false => Control::Writes { percent: arguments.percent, client: arguments.client.clone() },
        };
        return far::order(&client, &arguments.name, arguments.reason.as_deref(), order, output);
    }
    let place = Place::find(&arguments.name, named, Duration::ZERO)?;
    if arguments.undo {
        return place.undo(output);
    }
    if !arguments.steps.is_empty() {
        return ramp::here(&place, arguments, output);
    }
    let (client, reason) = (arguments.client.as_deref(), arguments.reason.as_deref());
    place.change(output, |controls, now_ms| {
        controls.enable_writes(arguments.percent, client, Set::new(&actor(), now_ms, reason))
    })
}

/// One real read through a server, right or not.
pub(super) fn test_read(name: &str, named: Option<PathBuf>) -> Result<Code, Failure> {
    let read = match context::far() {
        Some(client) => far::read(&client, name)?,
        None => Signs::of(&context::load(named)?.0, name)?.read(),
    };
    match read {
        Read::Right(words) => {
            show::line(&format!("{name}: {}", show::harmless(&words)));
            Ok(Code::Done)
        }
        Read::Wrong(why) | Read::Nothing(why) => Err(Failure::no(anyhow::anyhow!("{name}: {why}"))),
    }
}

pub(super) fn block(
    arguments: &BlockArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (kind, name) = what(&arguments.what);
    if let Some(client) = context::far() {
        let for_s = arguments.duration.map(seconds);
        let order = Control::Block { kind: far::kind(kind)?, name, for_s };
        return far::order(&client, &arguments.name, arguments.reason.as_deref(), order, output);
    }
    let place = Place::find(&arguments.name, named, Duration::ZERO)?;
    place.change(output, |controls, now_ms| {
        let until_ms = arguments.duration.map(|length| now_ms.saturating_add(millis(length)));
        let set = Set::new(&actor(), now_ms, arguments.reason.as_deref());
        controls.block(Block { kind, name: name.clone(), until_ms, set }, now_ms)
    })
}

pub(super) fn unblock(
    arguments: &UnblockArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let (kind, name) = what(&arguments.what);
    if let Some(client) = context::far() {
        let order = Control::Unblock { kind: far::kind(kind)?, name };
        return far::order(&client, &arguments.name, None, order, output);
    }
    let place = Place::find(&arguments.name, named, Duration::ZERO)?;
    place.change(output, |controls, now_ms| {
        controls.unblock(kind, &name, now_ms);
        Ok(())
    })
}

/// Approves the tools of a server as they are.
pub(super) fn baseline(
    arguments: &ApproveArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let name = &arguments.name;
    let place = Place::find(name, named, Duration::ZERO)?;
    if arguments.undo {
        return place.undo(output);
    }
    super::tune::may_change(&place.config)?;
    let answer = context::runtime()?.block_on(place.door.ask("tools", &actor(), String::new()))?;
    let unknown = |why: &str| {
        let message = format!("nobody says which tools `{name}` has: {why}");
        Failure::new(Code::Unreachable, anyhow::anyhow!(message))
    };
    let (code, document) = answer.ok_or_else(|| unknown("no guard runs in front of it"))?;
    let Some(pages) = document["pages"].as_array().filter(|_| code == 200) else {
        return Err(unknown(document["error"].as_str().unwrap_or("its guard does not say why")));
    };
    let tools: Vec<_> = pages.iter().flat_map(|page| threats::definitions(&page.to_string())).collect();
    if output == Output::Table {
        for sign in tools.iter().flat_map(threats::in_definition) {
            anstream::eprintln!("look at this before you trust it: {}", show::harmless(&sign.to_string()));
        }
        show::line(&format!("{name}: {} tools", tools.len()));
    }
    place.change(output, |controls, now_ms| {
        controls.approve(Pins::of(&tools), Set::new(&actor(), now_ms, arguments.reason.as_deref()))
    })
}

pub(super) fn clear_cache(name: &str, named: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    if let Some(client) = context::far() {
        return far::order(&client, name, None, Control::ClearCache, output);
    }
    let place = Place::find(name, named, Duration::ZERO)?;
    super::tune::may_change(&place.config)?;
    let answer = context::runtime()?.block_on(place.door.ask("clear-cache", &actor(), String::new()))?;
    let Some((_, document)) = answer else {
        let message = format!("no guard runs in front of `{name}`, so there is no cache to clear");
        return Err(Failure::new(Code::Unreachable, anyhow::anyhow!(message)));
    };
    match output {
        Output::Table => {
            let caches = document["caches"].as_array().cloned().unwrap_or_default();
            for cache in &caches {
                show::line(&format!(
                    "{name}: cache `{}`: {} entries, {} bytes freed",
                    cache["cache"].as_str().unwrap_or_default(),
                    cache["entries"],
                    cache["bytes"]
                ));
            }
            if caches.is_empty() {
                show::line(&format!("{name}: its guard keeps no cache"));
            }
        }
        _ => show::json(&document),
    }
    Ok(Code::Done)
}

/// Has a guard take no new requests, or take them again: it alone knows, and so the API is asked.
pub(super) fn drain(
    name: &str,
    order: DrainOrder,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let order = match order {
        DrainOrder::Begin { wait } => Control::Drain { wait_s: Some(seconds(wait)) },
        DrainOrder::End => Control::Undrain,
    };
    far::order(&context::client(named)?, name, None, order, output)
}

/// Has `serve` order the guard to do something.
pub(super) fn order(
    name: &str,
    reason: Option<&str>,
    order: Control,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    far::order(&context::client(named)?, name, reason, order, output)
}

/// What is said of new requests.
#[derive(Debug, Clone, Copy)]
pub(super) enum DrainOrder {
    /// None is taken; so long is waited for those that run.
    Begin {
        /// How long.
        wait: Duration,
    },
    /// They are taken again.
    End,
}

/// Whole seconds; what is longer than the API knows is refused there.
fn seconds(length: Duration) -> u32 {
    u32::try_from(length.as_secs()).unwrap_or(u32::MAX)
}

fn what(what: &What) -> (BlockKind, String) {
    match what {
        What { tool: Some(name), .. } => (BlockKind::Tool, name.clone()),
        What { client: Some(name), .. } => (BlockKind::Client, name.clone()),
        What { address, .. } => (BlockKind::Address, address.clone().unwrap_or_default()),
    }
}

// === impl Place ===

impl Place {
    fn find(name: &str, named: Option<PathBuf>, wait: Duration) -> Result<Self, Failure> {
        let (config, _) = context::load_or_default(named.clone())?;
        let door = Door::find(&config, name, wait)?;
        Ok(Self { config, named, name: name.to_owned(), door })
    }

    fn path(&self) -> PathBuf {
        ::server::controls_path(&self.config, &self.name)
    }

    fn change(
        &self,
        output: Output,
        change: impl FnOnce(&mut Controls, i64) -> Result<(), ControlsError>,
    ) -> Result<Code, Failure> {
        if self.is_changed(output, change)? {
            return self.tell(output);
        }
        show::line(&format!("{}: nothing to do, it is so already", self.name));
        Ok(Code::Done)
    }

    /// Makes a change; returns whether there was one to make.
    fn is_changed(
        &self,
        output: Output,
        change: impl FnOnce(&mut Controls, i64) -> Result<(), ControlsError>,
    ) -> Result<bool, Failure> {
        let path = self.path();
        let text = read_place(&path).map_err(failure)?;
        let mut controls = Controls::parse(text.as_deref()).map_err(|error| {
            let error = anyhow::Error::new(error);
            let path = path.display();
            Failure::usage(anyhow::anyhow!(
                "`{path}`: {error:#}; the server is read-only until it is mended or removed"
            ))
        })?;
        let now_ms = ::server::now_ms();
        controls = controls.at(now_ms);
        change(&mut controls, now_ms).map_err(Failure::usage)?;
        let next = controls.to_text();
        let planned = Change::plan(Kind::ServerControls, &self.name, [(path, next)]).map_err(failure)?;
        let Some(planned) = planned else { return Ok(false) };
        self.with_subject(async |subject| subject.carry_out(&planned, output).await)?;
        Ok(true)
    }

    fn undo(&self, output: Output) -> Result<Code, Failure> {
        let undone = self.with_subject(async |subject| subject.undo(output).await)?;
        if undone.is_some() { self.tell(output) } else { Ok(Code::Done) }
    }

    fn with_subject<T>(
        &self,
        run: impl AsyncFnOnce(&Subject<'_>) -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let client = context::client(self.named.clone())?;
        let subject = Subject {
            config: &self.config,
            client: &client,
            server: Some(&self.name),
            name: &self.name,
            places: vec![self.path()],
            hand: Hand::Guard(&self.door),
        };
        context::runtime()?.block_on(run(&subject))
    }

    /// Says since when it holds, and what still writes.
    fn tell(&self, output: Output) -> Result<Code, Failure> {
        let Some(document) = self.door.told() else {
            anstream::eprintln!("no guard runs in front of `{}`: it holds from its next start on", self.name);
            return Ok(Code::Done);
        };
        let number = |name: &str| document[name].as_u64().unwrap_or(0);
        let (running, left) = (number("writes_in_flight"), number("writes_left"));
        let mode = document["mode"].as_str().unwrap_or_default();
        if output == Output::Table {
            let words = match mode {
                "read_only" => format!("read-only; {running} writes were running, {left} still are"),
                "ramp" => format!("{} % of the sessions may write", percent(&document)),
                _ => "clients may write".to_owned(),
            };
            show::line(&format!("{}: {words}", self.name));
        }
        Ok(if mode == "read_only" && left > 0 { Code::No } else { Code::Done })
    }
}

fn percent(document: &Value) -> &Value {
    &document["writes"]["percent"]
}
