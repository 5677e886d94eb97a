//! Owns `/admin`: what an operator may have a guard do, the same in front of HTTP and inside a client's configuration.
//!
//! `POST readonly-mode`, `enable-writes` (`percent`, `client`), `clear-cache`, `drain` (`off`), `block` and `unblock`
//! (`address`, `client` or `tool`; `for`), `limits` (`per_second`, `at_once`, `off`), `watch` (`for`, `off`), `settings` (reads them anew), `GET status`, and `GET tools`, `GET resources`, `GET prompts`: what the server says of them, for evidence. Parameters stand in the query string, in a form, or in an object of JSON; `by`
//! and `reason` say who and why, `wait` how long is waited for what still runs. Answers are JSON. `POST controls` is for
//! `paramedic server`, which writes down what it changes: it names what it expects to find.
//!
//! Whatever comes of it is in the server's log as `audit`. Who may call it is `access`'s.

pub(crate) mod access;
mod parameters;
mod taking;

use std::time::{Duration, Instant};

use http::{Method, StatusCode};
use serde::{Deserialize, Serialize};
use serde_json::{Value, json};

use crate::catalogue::List;
use crate::clock;
use crate::controls::{Block, BlockKind, Controls, Exchanged, Kept, Set};
use crate::log::Level;
use parameters::Parameters;
use taking::{drain, drained, limits, watch};

/// How long is waited for writes and calls that run, unless told otherwise.
const WAIT: Duration = Duration::from_secs(10);
const WAIT_MAX: Duration = Duration::from_secs(600);
/// The time between two looks at what still runs.
const LOOK_AGAIN: Duration = Duration::from_millis(20);
/// Two texts of controls, quoted, and some words.
pub(crate) const BODY_BYTES_MAX: usize = 512 << 10;

/// The paths, below `/admin/`.
pub(crate) const VERBS: [(&str, Verb); 15] = [
    ("readonly-mode", Verb::ReadOnlyMode),
    ("enable-writes", Verb::EnableWrites),
    ("clear-cache", Verb::ClearCache),
    ("drain", Verb::Drain),
    ("block", Verb::Block),
    ("unblock", Verb::Unblock),
    ("limits", Verb::Limits),
    ("watch", Verb::Watch),
    ("settings", Verb::Settings),
    ("status", Verb::Status),
    ("tools", Verb::Tools),
    ("resources", Verb::Resources),
    ("templates", Verb::Templates),
    ("prompts", Verb::Prompts),
    ("controls", Verb::Controls),
];

/// What a guard can be told.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verb {
    ReadOnlyMode,
    EnableWrites,
    ClearCache,
    Drain,
    Block,
    Unblock,
    Limits,
    Watch,
    Settings,
    Status,
    Tools,
    Resources,
    Templates,
    Prompts,
    Controls,
}

/// A guard that can be told something.
pub(crate) trait Governed: Sync {
    /// The server's name.
    fn name(&self) -> &str;
    fn kept(&self) -> &Kept;
    /// Writes a line to the server's log.
    fn audit(&self, level: Level, message: &str, fields: &[(&str, Value)]);
    /// Other tools may be shown from now on: clients are told.
    fn tools_changed(&self);
    /// How many calls run that may write; none where nobody can know.
    fn writes_in_flight(&self) -> impl Future<Output = usize> + Send;
    /// How many requests of clients run.
    fn in_flight(&self) -> usize;
    /// Takes no new requests, or takes them again. False where it cannot do without them.
    fn set_draining(&self, draining: bool) -> bool;
    /// Reads its settings anew and takes them; says who has a token by them.
    ///
    /// # Errors
    /// Why they are not taken: those from before hold on.
    fn reread(&self) -> impl Future<Output = Result<Vec<String>, String>> + Send;
    /// Whether clients are held to what an operator lays down for how much they take.
    fn limits_clients(&self) -> bool;
    /// Empties what is cached. Returns what was freed, by kind.
    fn clear_caches(&self) -> Vec<Freed>;
    /// How it is, as JSON.
    fn status(&self) -> Value;
    /// The results of `tools/list`, page by page, or why nobody knows them.
    fn tools(&self) -> impl Future<Output = Result<Vec<String>, String>> + Send;
    /// What else it lists, in the same way, asked for now.
    fn list(&self, list: List) -> impl Future<Output = Result<Vec<String>, String>> + Send;
}

/// What emptying one cache has freed.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Freed {
    pub(crate) cache: &'static str,
    pub(crate) entries: usize,
    pub(crate) bytes: usize,
}

/// What stands in the file of controls, before and after: the body of `POST controls`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Exchange {
    /// What is expected there; none is no file.
    pub old: Option<String>,
    /// What is to be there; none is no file.
    pub new: Option<String>,
    /// How long is waited for writes that run, in milliseconds.
    pub wait_ms: u64,
}

/// An answer: a status of HTTP, and a document.
pub(crate) type Answer = (StatusCode, Value);

// === impl Verb ===

impl Verb {
    /// The verb of a path.
    pub(crate) fn of(path: &str) -> Option<Self> {
        let name = path.strip_prefix("/admin/")?;
        VERBS.iter().find(|(known, _)| *known == name).map(|(_, verb)| *verb)
    }

    /// How it is called.
    pub(crate) fn method(self) -> Method {
        if matches!(self, Self::Status | Self::Tools | Self::Resources | Self::Templates | Self::Prompts) {
            Method::GET
        } else {
            Method::POST
        }
    }

    pub(crate) fn name(self) -> &'static str {
        VERBS.iter().find(|(_, verb)| *verb == self).map_or("", |(name, _)| *name)
    }
}

/// Does what is asked. `by` is who asks, as far as it is known for certain.
pub(crate) async fn carry_out<G: Governed>(
    guard: &G,
    verb: Verb,
    query: Option<&str>,
    body: &[u8],
    by: &str,
) -> Answer {
    let (code, mut document) = match attempt(guard, verb, query, body, by).await {
        Ok(answer) => answer,
        Err((code, reason)) => (code, json!({ "error": reason })),
    };
    if verb.method() != Method::GET {
        let level = if code.is_success() { Level::Info } else { Level::Warning };
        let fields = [
            ("verb", verb.name().into()),
            ("by", by.into()),
            ("query", query.unwrap_or_default().into()),
            ("answer", document.clone()),
        ];
        let outcome = if code.is_success() { "done" } else { "refused" };
        guard.audit(level, &format!("/admin/{} by {by}: {outcome}", verb.name()), &fields);
    }
    if let Some(object) = document.as_object_mut() {
        object.insert("server".to_owned(), guard.name().into());
    }
    (code, document)
}

async fn attempt<G: Governed>(
    guard: &G,
    verb: Verb,
    query: Option<&str>,
    body: &[u8],
    by: &str,
) -> Result<Answer, (StatusCode, String)> {
    let wrong = |reason: String| (StatusCode::BAD_REQUEST, reason);
    if verb == Verb::Controls {
        let exchange = serde_json::from_slice(body).map_err(|error| wrong(error.to_string()))?;
        return put(guard, exchange).await.map_err(wrong);
    }
    let form = Parameters::read(query, body).map_err(wrong)?;
    form.check(verb).map_err(wrong)?;
    let now_ms = clock::now_ms();
    // What somebody says of themselves stands beside what is known.
    let by = form.by.as_ref().map_or_else(|| by.to_owned(), |said| format!("{said} ({by})"));
    let set = Set::new(&by, now_ms, form.reason.as_deref());
    let wait = form.wait.unwrap_or(WAIT).min(WAIT_MAX);
    match verb {
        Verb::ReadOnlyMode => {
            let read_only = |controls: &mut Controls| {
                controls.read_only(set);
                Ok(())
            };
            let changed = change(guard, read_only).map_err(wrong)?;
            Ok(writes(guard, changed, wait).await)
        }
        Verb::EnableWrites => {
            let percent = form.percent.unwrap_or(100);
            let client = form.client.as_deref();
            let enable = |controls: &mut Controls| controls.enable_writes(percent, client, set);
            let changed = change(guard, enable).map_err(wrong)?;
            Ok(writes(guard, changed, Duration::ZERO).await)
        }
        Verb::Block => {
            let (kind, name) = form.what().map_err(wrong)?;
            let until_ms = form.duration.map(|length| now_ms.saturating_add(clock::millis(length)));
            let block = Block { kind, name, until_ms, set };
            let changed = change(guard, |controls| controls.block(block, now_ms)).map_err(wrong)?;
            Ok((StatusCode::OK, blocks(guard, &changed)))
        }
        Verb::Unblock => {
            let (kind, name) = form.what().map_err(wrong)?;
            unblock(guard, kind, &name, now_ms)
        }
        Verb::Limits => limits(guard, &form, set),
        Verb::Watch => watch(guard, &form, now_ms, set),
        Verb::Settings => match guard.reread().await {
            Ok(clients) => Ok((StatusCode::OK, json!({ "clients": clients }))),
            Err(reason) => Err((StatusCode::CONFLICT, reason)),
        },
        Verb::ClearCache => {
            let freed = guard.clear_caches();
            let bytes: usize = freed.iter().map(|one| one.bytes).sum();
            let note = "the guard's own caches; what the server itself keeps in memory is the server's";
            Ok((StatusCode::OK, json!({ "freed_bytes": bytes, "caches": freed, "note": note })))
        }
        Verb::Drain => drain(guard, !form.off, wait).await,
        Verb::Status => Ok((StatusCode::OK, guard.status())),
        Verb::Tools => listed(guard.tools().await),
        Verb::Resources => listed(guard.list(List::Resources).await),
        Verb::Templates => listed(guard.list(List::Templates).await),
        Verb::Prompts => listed(guard.list(List::Prompts).await),
        Verb::Controls => Err(wrong("a body of JSON belongs here".to_owned())),
    }
}

/// Tells of each hold that is over by its time.
pub(crate) async fn tell_of_ends<G: Governed>(guard: &G) {
    loop {
        guard.kept().hold_over().await;
        guard.tools_changed();
    }
}

/// Whether something is another now, and why it will be forgotten, where it could not be written down.
struct Changed {
    anew: bool,
    not_kept: Option<String>,
}

fn change<G: Governed>(
    guard: &G,
    change: impl FnOnce(&mut Controls) -> Result<(), crate::controls::ControlsError>,
) -> Result<Changed, String> {
    let (anew, problem) = guard.kept().change(change).map_err(|error| error.to_string())?;
    if anew {
        guard.tools_changed();
    }
    Ok(Changed { anew, not_kept: problem.map(|error| error.to_string()) })
}

/// Waits for the writes that were let through before, and says how it is then.
async fn writes<G: Governed>(guard: &G, changed: Changed, wait: Duration) -> Answer {
    let began = Instant::now();
    let controls = guard.kept().now();
    let is_open = controls.writes.percent == 100 && controls.writes.clients.is_empty();
    let running = if is_open { 0 } else { guard.writes_in_flight().await };
    let left = if wait.is_zero() || running == 0 {
        running
    } else {
        drained(wait, || guard.writes_in_flight()).await
    };
    let mode = match (controls.is_read_only(), is_open) {
        (true, _) => "read_only",
        (false, true) => "read_write",
        (false, false) => "ramp",
    };
    let document = json!({
        "mode": mode,
        "changed": changed.anew,
        "kept": changed.not_kept.is_none(),
        "problem": changed.not_kept,
        "writes": controls.writes,
        "writes_in_flight": running,
        "writes_left": left,
        "waited_ms": clock::millis(began.elapsed()),
    });
    // Not an error: the mode holds. But somebody may still be writing.
    let code = if left > 0 && controls.is_read_only() { StatusCode::ACCEPTED } else { StatusCode::OK };
    (code, document)
}

fn blocks<G: Governed>(guard: &G, changed: &Changed) -> Value {
    json!({
        "changed": changed.anew,
        "kept": changed.not_kept.is_none(),
        "problem": changed.not_kept,
        "blocks": guard.kept().now().blocks,
    })
}

fn unblock<G: Governed>(
    guard: &G,
    kind: BlockKind,
    name: &str,
    now_ms: i64,
) -> Result<Answer, (StatusCode, String)> {
    let mut found = false;
    let changed = change(guard, |controls| {
        found = controls.unblock(kind, name, now_ms);
        Ok(())
    });
    let changed = changed.map_err(|reason| (StatusCode::BAD_REQUEST, reason))?;
    if !found {
        return Err((StatusCode::NOT_FOUND, format!("{} `{name}` is not blocked", kind.name())));
    }
    Ok((StatusCode::OK, blocks(guard, &changed)))
}

/// Also the control socket has to take it in one line.
const LIST_BYTES_MAX: usize = 512 << 10;

fn listed(pages: Result<Vec<String>, String>) -> Result<Answer, (StatusCode, String)> {
    let unknown = |reason: String| (StatusCode::BAD_GATEWAY, reason);
    let pages = pages.map_err(unknown)?;
    let bytes: usize = pages.iter().map(String::len).sum();
    if bytes > LIST_BYTES_MAX {
        return Err(unknown(format!("the list has {bytes} bytes, more than {LIST_BYTES_MAX}")));
    }
    let pages: Result<Vec<Value>, _> = pages.iter().map(|page| serde_json::from_str(page)).collect();
    Ok((StatusCode::OK, json!({ "pages": pages.map_err(|error| unknown(error.to_string()))? })))
}

/// Puts other controls in the place of those that somebody has seen.
async fn put<G: Governed>(guard: &G, exchange: Exchange) -> Result<Answer, String> {
    let Exchange { old, new, wait_ms } = exchange;
    let before = guard.kept().now();
    let exchanged =
        guard.kept().exchange(old.as_deref(), new.as_deref()).map_err(|error| error.to_string())?;
    let not_kept = match exchanged {
        Exchanged::Done => None,
        Exchanged::Moved(found) => {
            let error = "the controls were changed meanwhile";
            return Ok((StatusCode::CONFLICT, json!({ "error": error, "found": found })));
        }
        Exchanged::Unread(error) => {
            let error = format!("what is laid down cannot be read: {error}");
            return Ok((StatusCode::INTERNAL_SERVER_ERROR, json!({ "error": error })));
        }
        Exchanged::NotKept(error) => Some(error.to_string()),
    };
    guard.tools_changed();
    let wait = if guard.kept().now().writes == before.writes { 0 } else { wait_ms };
    let wait = Duration::from_millis(wait).min(WAIT_MAX);
    let (code, mut document) = writes(guard, Changed { anew: true, not_kept: not_kept.clone() }, wait).await;
    document["blocks"] = json!(guard.kept().now().blocks);
    match not_kept {
        None => Ok((code, document)),
        Some(problem) => {
            document["error"] =
                format!("it holds until the guard ends, and is not written down: {problem}").into();
            Ok((StatusCode::INSUFFICIENT_STORAGE, document))
        }
    }
}
