//! Owns the pipe to one child: MCP over stdio, in the handshake era, with the guard as its only client.
//!
//! Each message is one line of JSON on the child's standard input or output; standard error is free text. The guard
//! itself says `initialize` (revision 2025-11-25, with what `questions` can pass on) and `notifications/initialized`,
//! and never `server/discover`: some servers take that as a change of eras, and would refuse every client from then on.
//!
//! From the child come answers, which go to whoever waits; progress, which goes to whoever asked for it; announcements
//! (`list_changed`), which go to all clients; updates, which go to those that have subscribed; log messages, which go to the client that they may
//! be about; and requests, of which `ping` is answered here and any other goes to `questions`. Whatever is none of
//! these is dropped, counted, and logged.

mod noise;
mod waits;

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};
use std::time::{Duration, Instant};

use process::Pipes;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWriteExt, BufReader};
use tokio::process::ChildStdin;
use tokio::sync::{Notify, mpsc, oneshot};
use tokio::task::JoinHandle;

use crate::envelope::{self, Incoming, Malformed, Outcome};
use crate::inflight::{Answer, Callers, Entry, InFlight, Refusal, Waiter};
use crate::lines::{Line, next_line};
use crate::log::{About, Level, clip};
use crate::metrics::Method;
use crate::private::is_private;
use crate::questions::{self, Questions};
use crate::revision::Revision;
use crate::session::subscriptions;
use crate::state::Guard;
use noise::Noise;
pub(crate) use waits::leave;

/// An image or a file in a tool's result may be this long as Base64, and no longer.
const LINE_BYTES_MAX: usize = 16 << 20;
const STDERR_LINE_BYTES_MAX: usize = 16 << 10;
/// What an exit shows: a stack trace's end, which is where the reason stands.
const TAIL_LINES: usize = 20;
const TAIL_LINE_CHARS: usize = 1000;
/// What a server logs is as long as a line of standard error.
const LOGGED_CHARS: usize = 1000;
/// Twice the requests that may run: only a child that reads nothing fills it.
const LINES_WAITING_MAX: usize = 2048;
/// Lines that wait together are written together.
const BATCH_LINES: usize = 64;
const READ_BUFFER_BYTES: usize = 64 << 10;
/// How long a child may live on after closing its output; it is about to exit, as a rule.
const CLOSED_GRACE: Duration = Duration::from_secs(1);
/// How often requests are looked at for being overdue, at most.
const OVERDUE_EVERY_MAX: Duration = Duration::from_secs(1);

/// The pipe to one child.
#[derive(Debug)]
pub(crate) struct Link {
    /// Which child this is; 1 for the first.
    pub(crate) generation: u64,
    pub(crate) in_flight: InFlight,
    pub(crate) questions: Questions,
    outgoing: mpsc::Sender<Vec<u8>>,
    closing: Notify,
    initialized: OnceLock<String>,
    tail: Mutex<VecDeque<String>>,
    noise: Noise,
}

/// The tasks that read what the child says; they end when it can say no more.
#[derive(Debug)]
pub(crate) struct Readers {
    stdout: JoinHandle<()>,
    stderr: JoinHandle<()>,
}

/// Why the child gave no answer to the guard.
#[derive(Debug)]
pub(crate) enum Unanswered {
    TimedOut,
    Ended(String),
}

/// The child does not read its standard input.
#[derive(Debug)]
pub(crate) struct Stuck;

// === impl Link ===

impl Link {
    pub(crate) fn open(guard: &Arc<Guard>, generation: u64, pipes: Pipes) -> (Arc<Self>, Readers) {
        let (outgoing, lines) = mpsc::channel(LINES_WAITING_MAX);
        let link = Arc::new(Self {
            generation,
            in_flight: InFlight::new(),
            questions: Questions::default(),
            outgoing,
            closing: Notify::new(),
            initialized: OnceLock::new(),
            tail: Mutex::default(),
            noise: Noise::default(),
        });
        let Pipes { stdin, stdout, stderr } = pipes;
        tokio::spawn(write(link.clone(), stdin, lines));
        tokio::spawn(waits::expire(guard.clone(), link.clone()));
        let readers = Readers {
            stdout: tokio::spawn(read(guard.clone(), link.clone(), stdout)),
            stderr: tokio::spawn(read_errors(guard.clone(), link.clone(), stderr)),
        };
        (link, readers)
    }

    /// Sends one line, at once or not at all.
    pub(crate) fn send(&self, line: Vec<u8>) -> Result<(), Stuck> {
        self.outgoing.try_send(line).map_err(|_| Stuck)
    }

    /// Asks something on the guard's own behalf.
    pub(crate) async fn ask(
        &self,
        method: &str,
        params: Option<&str>,
        within: Duration,
    ) -> Result<Answer, Unanswered> {
        let (reply, answer) = oneshot::channel();
        let started = Instant::now();
        let entry = Entry {
            method: Method::of(method),
            started,
            // Waited for here; the table must not be earlier.
            deadline: started + within + OVERDUE_EVERY_MAX,
            is_cancelled: false,
            waiter: Waiter::Own(reply),
        };
        let number = match self.in_flight.add(entry) {
            Ok(number) => number,
            Err(Refusal::Ended(reason)) => return Err(Unanswered::Ended(reason)),
            Err(Refusal::Full) => return Err(Unanswered::TimedOut),
        };
        // A child that reads nothing answers nothing: the wait says so.
        let _ = self.send(envelope::request(number, method, params));
        let answer = tokio::time::timeout(within, answer).await;
        self.in_flight.take(number);
        match answer {
            Ok(Ok(Answer::Ended(reason))) => Err(Unanswered::Ended(reason)),
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(_)) | Err(_) => Err(Unanswered::TimedOut),
        }
    }

    /// Closes the child's standard input once everything is written that waits.
    pub(crate) fn close(&self) {
        self.closing.notify_one();
    }

    /// Answers everything that waits with an error, and refuses what comes.
    pub(crate) fn end(&self, guard: &Guard, reason: &str) {
        for entry in self.in_flight.end(reason) {
            entry.fail(guard, reason, None);
        }
        self.close();
    }

    /// What the child answered to `initialize`, as JSON.
    pub(crate) fn initialized(&self) -> Option<&str> {
        self.initialized.get().map(String::as_str)
    }

    pub(crate) fn set_initialized(&self, result: String) {
        // It is only asked once.
        let _ = self.initialized.set(result);
    }

    /// The last lines of the child's standard error.
    pub(crate) fn tail(&self) -> Vec<String> {
        self.tail.lock().unwrap_or_else(PoisonError::into_inner).iter().cloned().collect()
    }
}

impl Readers {
    /// Waits until everything is read that the child has left in its pipes, but no longer than `within`: a process
    /// that has got away may hold them open.
    pub(crate) async fn drain(self, within: Duration) {
        let both = async {
            let _ = self.stdout.await;
            let _ = self.stderr.await;
        };
        let _ = tokio::time::timeout(within, both).await;
    }
}

async fn write(link: Arc<Link>, mut stdin: ChildStdin, mut lines: mpsc::Receiver<Vec<u8>>) {
    let mut batch = Vec::with_capacity(BATCH_LINES);
    loop {
        let count = tokio::select! {
            biased;
            count = lines.recv_many(&mut batch, BATCH_LINES) => count,
            () = link.closing.notified() => {
                lines.close();
                continue;
            }
        };
        let result = match (count, batch.as_slice()) {
            (0, _) => return,
            (_, [line]) => stdin.write_all(line).await,
            (_, many) => stdin.write_all(&many.concat()).await,
        };
        if let Err(error) = result {
            // Its requests are answered when it ends, or are overdue.
            return tracing::debug!(%error, "the child does not take its input any more");
        }
        batch.clear();
    }
}

async fn read(guard: Arc<Guard>, link: Arc<Link>, stdout: impl AsyncRead + Unpin) {
    let mut stdout = BufReader::with_capacity(READ_BUFFER_BYTES, stdout);
    let mut line = Vec::new();
    loop {
        match next_line(&mut stdout, &mut line, LINE_BYTES_MAX).await {
            Ok(Line::Whole) if line.trim_ascii().is_empty() => {}
            Ok(Line::Whole) => receive(&guard, &link, &line),
            Ok(Line::Cut) => link.noise.garbage(&guard, &line, "a line longer than 16 MiB"),
            Ok(Line::End) => break,
            Err(error) => {
                tracing::warn!(%error, "the child's output cannot be read");
                break;
            }
        }
    }
    tokio::spawn(async move {
        tokio::time::sleep(CLOSED_GRACE).await;
        link.end(&guard, "the server has closed its standard output");
    });
}

fn receive(guard: &Guard, link: &Link, line: &[u8]) {
    match envelope::parse(line) {
        Ok(Incoming::Response { id, outcome }) => {
            let number = id.parse().ok();
            let entry = number.and_then(|number| link.in_flight.take(number));
            match entry {
                Some(entry) => {
                    if let (Outcome::Error(error), Some(whom)) = (outcome, entry.whom()) {
                        link.questions.elicited.refused(error, &whom);
                    }
                    entry.answer(guard, outcome);
                }
                None if !number.is_some_and(|number| link.in_flight.has_given(number)) => {
                    link.noise.stray(guard, id);
                }
                // The answer to something that nobody waits for any more.
                None => tracing::debug!(id, "an answer came too late"),
            }
        }
        Ok(Incoming::Notification { method, params }) => match &*method {
            "notifications/progress" => link.in_flight.progress(params.unwrap_or_default()),
            "notifications/tools/list_changed"
            | "notifications/prompts/list_changed"
            | "notifications/resources/list_changed" => {
                if method == "notifications/tools/list_changed" {
                    guard.catalogue.changed();
                }
                guard.cache.announced(&method);
                announce(guard, link, &envelope::notification(&method, params));
            }
            "notifications/resources/updated" => {
                guard.cache.announced(&method);
                let Some(uri) = params.and_then(subscriptions::uri) else { return };
                let message = envelope::notification(&method, params);
                let missed = guard.sessions.updated(link.generation, &uri, &message);
                if missed > 0 {
                    tracing::debug!(missed, "clients that read too slowly missed an update");
                }
            }
            "notifications/message" => logged(guard, link, params.unwrap_or_default()),
            "notifications/elicitation/complete" => {
                let whom = params.and_then(|params| link.questions.elicited.done(params));
                if !whom.is_some_and(|whom| whom.tell(envelope::notification(&method, params))) {
                    tracing::debug!("nobody was told that an elicitation is complete");
                }
            }
            "notifications/cancelled" => questions::cancelled(link, params.unwrap_or_default()),
            _ if is_private(link.generation) => {
                announce(guard, link, &envelope::notification(&method, params));
            }
            // Whatever else a server may say is meant for one client, and nobody knows for which.
            _ => tracing::debug!(%method, "a notification was dropped"),
        },
        Ok(Incoming::Request { id, method, .. }) if method == "ping" => {
            let mut answer = envelope::response(id, Outcome::Result("{}"));
            answer.push(b'\n');
            if let Err(Stuck) = link.send(answer) {
                tracing::debug!("a ping of the child was not answered: it does not read");
            }
        }
        Ok(Incoming::Request { id, method, params }) => questions::ask(guard, link, id, &method, params),
        Err(Malformed::NotJson) => link.noise.garbage(guard, line, "not JSON"),
        Err(Malformed::Batch) => batch(guard, link, line),
        Err(Malformed::Invalid(reason)) => link.noise.garbage(guard, line, reason),
    }
}

/// A server of the revision 2025-03-26 may say several things at once; a batch in a batch is none.
fn batch(guard: &Guard, link: &Link, line: &[u8]) {
    let version =
        link.initialized().and_then(|result| envelope::member(result, "protocolVersion").ok().flatten());
    let version = version.and_then(|json| json.strip_prefix('"')?.strip_suffix('"'));
    if !version.and_then(Revision::of).is_some_and(Revision::has_batches) {
        return link.noise.garbage(guard, line, "a batch");
    }
    let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(line) else {
        return link.noise.garbage(guard, line, "not JSON");
    };
    for message in messages {
        match message.get().as_bytes() {
            inner @ [b'[', ..] => link.noise.garbage(guard, inner, "a batch in a batch"),
            inner => receive(guard, link, inner),
        }
    }
}

fn announce(guard: &Guard, link: &Link, message: &[u8]) {
    let missed = guard.sessions.announce(link.generation, message);
    if missed > 0 {
        tracing::debug!(missed, "clients that read too slowly missed an announcement");
    }
}

/// What a server logs may be about what one client has asked for. It goes to the client whose requests run, and to all
/// while none run; if it may be about those of several, it goes to nobody but the server's log.
fn logged(guard: &Guard, link: &Link, params: &str) {
    let message = envelope::notification("notifications/message", Some(params));
    match link.in_flight.callers() {
        Callers::Nobody => announce(guard, link, &message),
        Callers::One(whom) => {
            if !whom.tell(message) {
                tracing::debug!("a client missed what the server logged");
            }
        }
        Callers::Several => {
            let text = clip(params, LOGGED_CHARS);
            let fields = [("source", Value::from("notifications/message"))];
            guard.note(Level::Info, About::System, &text, fields);
        }
    }
}

async fn read_errors(guard: Arc<Guard>, link: Arc<Link>, stderr: impl AsyncRead + Unpin) {
    let mut stderr = BufReader::new(stderr);
    let mut line = Vec::new();
    loop {
        match next_line(&mut stderr, &mut line, STDERR_LINE_BYTES_MAX).await {
            Ok(Line::Whole | Line::Cut) => {}
            Ok(Line::End) | Err(_) => return,
        }
        let text = String::from_utf8_lossy(&line);
        let text = text.trim_end();
        if text.is_empty() {
            continue;
        }
        guard.note(Level::guess(text), About::System, text, [("source", Value::from("stderr"))]);
        let mut tail = link.tail.lock().unwrap_or_else(PoisonError::into_inner);
        if tail.len() == TAIL_LINES {
            tail.pop_front();
        }
        tail.push_back(clip(text, TAIL_LINE_CHARS));
    }
}
