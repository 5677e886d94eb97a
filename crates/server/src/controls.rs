//! Owns what operators have the guard of a server do, by its control socket: what its clients may do is changed, and written
//! down with the value before, so that it can be taken back.

use std::fs;
use std::io::{self, Read as _};
use std::path::Path;
use std::time::Duration;

use incident::change::{Change, ChangeError, Place, What, read_place};
use incident::{EngineError, Kill};
use process::control::{Client, Message, Request};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::document;
use crate::flow::Flow;
use crate::kill_switch::kill_switch;
use crate::tuning::{control_socket, controls_path, last_change_path};

/// How long a guard may take, beside what it waits for.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// What it waits for where nobody says how long, and the longest that somebody may say, in seconds.
const WAIT_S: u32 = 10;
const WAIT_S_MAX: u32 = 600;
/// The largest file of a change that is read, in bytes: its places and what is shown of them.
const CHANGE_BYTES_MAX: u64 = 2 << 20;

/// What a guard can be had do.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(tag = "control", rename_all = "snake_case", deny_unknown_fields)]
pub enum Control {
    /// No client writes any more.
    ReadOnly {
        /// How many seconds are waited for writes that run; without it ten.
        #[serde(default)]
        #[schemars(range(max = 600))]
        wait_s: Option<u32>,
    },
    /// Clients write again: so many of the sessions, or those of one client.
    Writes {
        /// How many of the sessions, in percent.
        #[schemars(range(min = 0, max = 100))]
        percent: u8,
        /// Only those of the client that calls itself so.
        #[serde(default)]
        client: Option<String>,
    },
    /// A tool, a client or an address is refused.
    Block {
        /// What it is.
        kind: BlockKind,
        /// Its name.
        name: String,
        /// For how many seconds; without it until it is taken back.
        #[serde(default)]
        for_s: Option<u32>,
    },
    /// It is refused no longer.
    Unblock {
        /// What it is.
        kind: BlockKind,
        /// Its name.
        name: String,
    },
    /// What the guard remembers of answers is forgotten.
    ClearCache,
    /// It takes no new requests, until it is told otherwise or another guard takes its place.
    Drain {
        /// How many seconds are waited for requests that run; without it ten.
        #[serde(default)]
        #[schemars(range(max = 600))]
        wait_s: Option<u32>,
    },
    /// It takes requests again.
    Undrain,
    /// Clients send no more than that; beside the limits of the guard's own settings the tighter one holds.
    Limit {
        /// How many requests in a second, each client.
        #[serde(default)]
        #[schemars(range(min = 1, max = 1_000_000))]
        per_second: Option<u32>,
        /// How many requests at once, all clients together.
        #[serde(default)]
        #[schemars(range(min = 1, max = 1_000_000))]
        at_once: Option<u32>,
    },
    /// Clients send what the guard's own settings allow.
    Unlimit,
    /// It is looked at more closely: probes, looks for intruders and checks of its data come more often, and arguments of calls
    /// are written down.
    Watch {
        /// For how many seconds.
        #[schemars(range(min = 1, max = 2_592_000))]
        for_s: u32,
    },
    /// It is looked at as always.
    Unwatch,
    /// What the last of these has changed is put back.
    TakeBack,
}

/// What can be blocked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum BlockKind {
    /// A tool, by its name.
    Tool,
    /// A client, by what it calls itself.
    Client,
    /// An address or a network.
    Address,
}

/// Why it is not done.
#[derive(Debug, thiserror::Error)]
pub(crate) enum ControlError {
    #[error("there is no server `{0}`")]
    NoServer(String),
    #[error("the kill switch is on: nothing is changed until `paramedic kill-switch off`")]
    KillSwitch,
    #[error("no guard runs in front of `{0}`")]
    NoGuard(String),
    #[error("the guard of `{0}` does not answer")]
    Silent(String, #[source] io::Error),
    #[error("the guard does not do it: {reason}")]
    Refused { code: u16, reason: String },
    #[error("it is done, and could not be written down")]
    Note(#[from] EngineError),
    #[error("nothing was changed at `{0}` that could be taken back")]
    NothingToTakeBack(String),
    #[error("what was changed last at `{0}` cannot be taken back")]
    Change(String, #[source] ChangeError),
    #[error("no more than {WAIT_S_MAX} s are waited for, and not {0}")]
    TooLong(u32),
}

/// How the guard of a server is, with what operators have laid down.
///
/// # Errors
/// Where there is no such server, or no guard that answers.
pub(crate) async fn status(flow: &Flow, server: &str, by: &str) -> Result<Value, ControlError> {
    tell(flow, server, "status", by, String::new(), Duration::ZERO).await
}

/// Has the guard of a server do something; returns what it says to that.
///
/// # Errors
/// Where the kill switch is on, there is no such server, no guard that answers, or it refuses.
pub(crate) async fn order(
    flow: &Flow,
    server: &str,
    by: &str,
    reason: Option<&str>,
    control: &Control,
) -> Result<Value, ControlError> {
    if kill_switch(&flow.world.config) == Kill::On {
        return Err(ControlError::KillSwitch);
    }
    if *control == Control::TakeBack {
        return take_back(flow, server, by).await;
    }
    let wait_s = control.wait_s();
    if wait_s > WAIT_S_MAX {
        return Err(ControlError::TooLong(wait_s));
    }
    let (verb, mut form) = control.form();
    form.extend(reason.map(|reason| ("reason".to_owned(), reason.into())));
    let path = controls_path(&flow.world.config, server);
    let before = read_place(&path).ok().flatten();
    let wait = Duration::from_secs(wait_s.into());
    let told = tell(flow, server, verb, by, Value::Object(form).to_string(), wait).await?;
    // The other way round it is the change that was made.
    let back = Change::plan(What::ServerControls, server, [(path, before)]).ok().flatten();
    if let Some(back) = back {
        let change = back.reversed(None);
        if let Err(error) = keep_last(flow, server, &change) {
            tracing::warn!(server, %error, "a change was not kept for whoever takes the last one back");
        }
        flow.engine.note_change(Some(server), by, change).await?;
    }
    Ok(told)
}

/// Keeps a change as the last one, as commands on this machine do.
fn keep_last(flow: &Flow, server: &str, change: &Change) -> io::Result<()> {
    let path = last_change_path(&flow.world.config, "controls", server);
    fs::create_dir_all(path.parent().unwrap_or(Path::new("/")))?;
    document::replace(&path, &change.to_line())
}

/// Puts back what was changed last, here or by a command on this machine.
async fn take_back(flow: &Flow, server: &str, by: &str) -> Result<Value, ControlError> {
    let config = &flow.world.config;
    let nothing = || ControlError::NothingToTakeBack(server.to_owned());
    if flow.fleet.get(server).is_none() {
        return Err(ControlError::NoServer(server.to_owned()));
    }
    let (last, path) = (last_change_path(config, "controls", server), controls_path(config, server));
    let mut text = String::new();
    let read = fs::File::open(&last).and_then(|file| file.take(CHANGE_BYTES_MAX).read_to_string(&mut text));
    let change = read.ok().and_then(|_| Change::parse(&text)).filter(|change| change.target == server);
    let change = change.ok_or_else(nothing)?;
    let failed = |error| ControlError::Change(server.to_owned(), error);
    change.check_places(std::slice::from_ref(&path)).map_err(failed)?;
    if change.is_taken_back().map_err(failed)? {
        return Ok(json!({ "changed": false }));
    }
    let back = change.reversed(change.undoes);
    let [Place { old, new, .. }] = back.places.as_slice() else { return Err(nothing()) };
    let exchange = json!({ "old": old, "new": new, "wait_ms": 1_000 * u64::from(WAIT_S) });
    let wait = Duration::from_secs(WAIT_S.into());
    let told = tell(flow, server, "controls", by, exchange.to_string(), wait).await?;
    // What is taken back is not taken back again; a file that stays is only refused later.
    let _ = fs::remove_file(&last);
    flow.engine.note_change(Some(server), by, back).await?;
    Ok(told)
}

async fn tell(
    flow: &Flow,
    server: &str,
    verb: &str,
    by: &str,
    body: String,
    wait: Duration,
) -> Result<Value, ControlError> {
    let member = flow.fleet.get(server).ok_or_else(|| ControlError::NoServer(server.to_owned()))?;
    let name = member.config.name.as_str();
    let socket = control_socket(&flow.world.config, name);
    let silent = |error: io::Error| match error.kind() {
        io::ErrorKind::NotFound | io::ErrorKind::ConnectionRefused => ControlError::NoGuard(name.to_owned()),
        _ => ControlError::Silent(name.to_owned(), error),
    };
    let asked = async {
        let (client, mut messages) = Client::connect(&socket).await?;
        let (by, verb, query) = (by.to_owned(), verb.to_owned(), String::new());
        client.send(&Request::Admin { id: 1, by, verb, query, body }).await?;
        while let Some(message) = messages.recv().await {
            if let Message::Answered { id: 1, code, document } = message {
                return Ok((code, document));
            }
        }
        Err(io::ErrorKind::UnexpectedEof.into())
    };
    let answered = tokio::time::timeout(wait + ANSWER_MAX, asked).await;
    let answered = answered.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
    let (code, document) = answered.map_err(silent)?;
    let document: Value = serde_json::from_str(&document).unwrap_or_default();
    if (200..300).contains(&code) {
        return Ok(document);
    }
    let reason = document["error"].as_str().unwrap_or("it does not say why").to_owned();
    Err(ControlError::Refused { code, reason })
}

// === impl Control ===

impl Control {
    /// The verb of the guard, and its parameters, which are texts.
    fn form(&self) -> (&'static str, Map<String, Value>) {
        let mut form = Map::new();
        let mut say = |name: &str, value: &dyn ToString| {
            form.insert(name.to_owned(), value.to_string().into());
        };
        let verb = match self {
            Self::ReadOnly { wait_s } => {
                wait_s.iter().for_each(|seconds| say("wait", &format!("{seconds}s")));
                "readonly-mode"
            }
            Self::Writes { percent, client } => {
                say("percent", percent);
                client.iter().for_each(|client| say("client", client));
                "enable-writes"
            }
            Self::Block { kind, name, for_s } => {
                say(kind.name(), name);
                for_s.iter().for_each(|seconds| say("for", &format!("{seconds}s")));
                "block"
            }
            Self::Unblock { kind, name } => {
                say(kind.name(), name);
                "unblock"
            }
            Self::ClearCache => "clear-cache",
            Self::Drain { wait_s } => {
                wait_s.iter().for_each(|seconds| say("wait", &format!("{seconds}s")));
                "drain"
            }
            Self::Undrain => {
                say("off", &true);
                "drain"
            }
            Self::Limit { per_second, at_once } => {
                per_second.iter().for_each(|number| say("per_second", number));
                at_once.iter().for_each(|number| say("at_once", number));
                "limits"
            }
            Self::Unlimit => {
                say("off", &true);
                "limits"
            }
            Self::Watch { for_s } => {
                say("for", &format!("{for_s}s"));
                "watch"
            }
            Self::Unwatch => {
                say("off", &true);
                "watch"
            }
            // It names what it expects to find: that is no form.
            Self::TakeBack => "controls",
        };
        (verb, form)
    }

    /// How long the guard waits for what runs, in seconds.
    fn wait_s(&self) -> u32 {
        match self {
            Self::ReadOnly { wait_s } | Self::Drain { wait_s } => wait_s.unwrap_or(WAIT_S),
            _ => 0,
        }
    }
}

// === impl BlockKind ===

impl BlockKind {
    fn name(self) -> &'static str {
        match self {
            Self::Tool => "tool",
            Self::Client => "client",
            Self::Address => "address",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_said_to_a_guard() {
        let check = |control: Value, verb: &str, form: Value| {
            let control: Control = serde_json::from_value(control).unwrap();
            assert_eq!(control.form(), (verb, form.as_object().unwrap().clone()), "{control:?}");
        };
        check(json!({ "control": "read_only" }), "readonly-mode", json!({}));
        check(json!({ "control": "read_only", "wait_s": 3 }), "readonly-mode", json!({ "wait": "3s" }));
        check(json!({ "control": "drain", "wait_s": 0 }), "drain", json!({ "wait": "0s" }));
        check(json!({ "control": "undrain" }), "drain", json!({ "off": "true" }));
        check(
            json!({ "control": "limit", "per_second": 5, "at_once": 2 }),
            "limits",
            json!({ "per_second": "5", "at_once": "2" }),
        );
        check(json!({ "control": "watch", "for_s": 60 }), "watch", json!({ "for": "60s" }));
        check(json!({ "control": "unwatch" }), "watch", json!({ "off": "true" }));
        check(json!({ "control": "unlimit" }), "limits", json!({ "off": "true" }));
        check(json!({ "control": "writes", "percent": 10 }), "enable-writes", json!({ "percent": "10" }));
        check(
            json!({ "control": "block", "kind": "tool", "name": "x&y", "for_s": 60 }),
            "block",
            json!({ "tool": "x&y", "for": "60s" }),
        );
        check(
            json!({ "control": "unblock", "kind": "address", "name": "10.0.0.0/8" }),
            "unblock",
            json!({ "address": "10.0.0.0/8" }),
        );
    }
}
