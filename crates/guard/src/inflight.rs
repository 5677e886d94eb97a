//! Owns the requests that the child has not answered yet: whose they are, under which ids, and until when they wait.
//!
//! Towards the child every request has a number of this table as its id and as its progress token, so that clients
//! with equal ids and tokens never meet. The client's own come back with the answer, exactly as they were written.

mod meaning;

use std::collections::HashMap;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::{mpsc, oneshot};

use crate::audit::{Asked, Line};
use crate::cache::Wanted;
use crate::envelope::{self, Outcome, SERVER_ERROR};
use crate::limits::Slot;
use crate::metrics::{Failure, Method};
use crate::outgoing::{self, Answering};
use crate::questions::Whom;
use crate::session::{Running, Session};
use crate::state::Guard;
use crate::taken;
pub(crate) use meaning::{Meaning, Who, meaning, narrowed};

/// More running requests than this mean that the server does not keep up; their clients should hear so.
const REQUESTS_MAX: usize = 1024;
/// How long a request that was taken back may go on to count as running.
const CANCELLED_MAX: Duration = Duration::from_secs(30);

/// All requests that wait for an answer.
#[derive(Debug)]
pub(crate) struct InFlight {
    table: Mutex<Table>,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<u64, Entry>,
    last: u64,
    ended: Option<String>,
}

/// One request that waits.
#[derive(Debug)]
pub(crate) struct Entry {
    pub(crate) method: Method,
    pub(crate) started: Instant,
    pub(crate) deadline: Instant,
    /// Whether its client has taken it back, and the server was told so.
    pub(crate) is_cancelled: bool,
    pub(crate) waiter: Waiter,
}

/// Who waits.
#[derive(Debug)]
pub(crate) enum Waiter {
    /// A client.
    Client(Box<Client>),
    /// The guard itself.
    Own(oneshot::Sender<Answer>),
}

/// A client that waits.
#[derive(Debug)]
pub(crate) struct Client {
    pub(crate) running: Running,
    /// Its own id, as JSON.
    pub(crate) id: Box<str>,
    /// Its own progress token, as JSON, if it wants progress.
    pub(crate) token: Option<Box<str>>,
    /// Where messages go that come before the answer, if it takes any.
    pub(crate) before: Option<mpsc::Sender<Bytes>>,
    /// The tool that it calls, for the log.
    pub(crate) tool: Option<String>,
    /// What else its line in the log says.
    pub(crate) asked: Asked,
    /// What its answer may be kept as.
    pub(crate) wanted: Option<Wanted>,
    /// What it has taken of the limits.
    pub(crate) slot: Option<Slot>,
    /// Where its answer goes, as a whole message.
    pub(crate) reply: oneshot::Sender<Bytes>,
}

/// Whose requests run, of those in the course of which a server may ask something.
#[derive(Debug)]
pub(crate) enum Callers {
    Nobody,
    /// This session's; messages go by the stream of its youngest request.
    One(Whom),
    Several,
}

/// What the guard itself was answered.
#[derive(Debug)]
pub(crate) enum Answer {
    /// A result, as JSON.
    Result(String),
    /// An error, as JSON.
    Error(String),
    /// Nothing any more, for this reason.
    Ended(String),
}

/// Why a request was not taken.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// There are too many.
    Full,
    /// The child has ended, like this.
    Ended(String),
}

// === impl InFlight ===

impl InFlight {
    pub(crate) fn new() -> Self {
        Self { table: Mutex::default() }
    }

    /// Takes a request and gives it its number. The guard's own are always taken: there are few.
    pub(crate) fn add(&self, entry: Entry) -> Result<u64, Refusal> {
        let mut table = self.table();
        if let Some(reason) = &table.ended {
            return Err(Refusal::Ended(reason.clone()));
        }
        if matches!(entry.waiter, Waiter::Client(_)) && table.entries.len() >= REQUESTS_MAX {
            return Err(Refusal::Full);
        }
        table.last += 1;
        let number = table.last;
        table.entries.insert(number, entry);
        Ok(number)
    }

    /// Whether a request has ever had this number.
    pub(crate) fn has_given(&self, number: u64) -> bool {
        (1..=self.table().last).contains(&number)
    }

    pub(crate) fn take(&self, number: u64) -> Option<Entry> {
        self.table().entries.remove(&number)
    }

    /// The number of the request that this session knows under this id.
    pub(crate) fn find(&self, session: &Session, id: &str) -> Option<u64> {
        let table = self.table();
        let is_it = |entry: &Entry| entry.client_of(session).is_some_and(|client| &*client.id == id);
        let found = table.entries.iter().find(|(_, entry)| is_it(entry));
        found.map(|(number, _)| *number)
    }

    /// Notes that its client has taken a request back: a server that heeds that answers nothing, so it is waited for a
    /// little longer, and not until the request is overdue.
    pub(crate) fn cancelled(&self, number: u64, now: Instant) {
        if let Some(entry) = self.table().entries.get_mut(&number) {
            entry.is_cancelled = true;
            entry.deadline = entry.deadline.min(now + CANCELLED_MAX);
        }
    }

    /// Takes out all requests of a session.
    pub(crate) fn of_session(&self, session: &Session) -> Vec<(u64, Entry)> {
        self.table().entries.extract_if(|_, entry| entry.client_of(session).is_some()).collect()
    }

    /// Passes progress on to whoever asked for it, under the client's own token. A client that reads too slowly
    /// misses some.
    pub(crate) fn progress(&self, params: &str) {
        let Ok(Some(token)) = envelope::member(params, "progressToken") else { return };
        let table = self.table();
        let entry = token.parse().ok().and_then(|number: u64| table.entries.get(&number));
        if let Some(Entry { waiter: Waiter::Client(client), .. }) = entry
            && let (Some(own), Some(before)) = (&client.token, &client.before)
        {
            let params = envelope::exchange(params, token, own);
            let _ = before.try_send(envelope::notification("notifications/progress", Some(&params)).into());
        }
    }

    /// Whose requests run now.
    pub(crate) fn callers(&self) -> Callers {
        let table = self.table();
        let mut found: Option<(u64, &Client)> = None;
        for (number, entry) in &table.entries {
            let Waiter::Client(client) = &entry.waiter else { continue };
            if !entry.method.may_ask() {
                continue;
            }
            match found {
                Some((_, other)) if other.running.session().id != client.running.session().id => {
                    return Callers::Several;
                }
                Some((younger, _)) if younger > *number => {}
                Some(_) | None => found = Some((*number, client)),
            }
        }
        match found {
            Some((_, client)) => Callers::One(client.whom()),
            None => Callers::Nobody,
        }
    }

    /// Takes out whatever has waited too long.
    pub(crate) fn overdue(&self, now: Instant) -> Vec<(u64, Entry)> {
        self.table().entries.extract_if(|_, entry| entry.deadline <= now).collect()
    }

    /// Takes out everything, and takes nothing any more. Only the first reason counts.
    pub(crate) fn end(&self, reason: &str) -> Vec<Entry> {
        let mut table = self.table();
        table.ended.get_or_insert_with(|| reason.to_owned());
        table.entries.drain().map(|(_, entry)| entry).collect()
    }

    pub(crate) fn ended(&self) -> Option<String> {
        self.table().ended.clone()
    }

    /// What clients wait for, and for how long.
    pub(crate) fn running(&self, now: Instant) -> Vec<(Method, Duration)> {
        let table = self.table();
        let clients = table.entries.values().filter(|entry| matches!(entry.waiter, Waiter::Client(_)));
        clients.map(|entry| (entry.method, now.saturating_duration_since(entry.started))).collect()
    }

    /// How many requests of clients run.
    pub(crate) fn of_clients(&self) -> usize {
        let table = self.table();
        table.entries.values().filter(|entry| matches!(entry.waiter, Waiter::Client(_))).count()
    }

    /// How many tools that are called now are not among those that only read.
    pub(crate) fn writes(&self, is_read: impl Fn(&str) -> bool) -> usize {
        let table = self.table();
        let calls = table.entries.values().filter(|entry| entry.method == Method::TOOLS_CALL);
        let is_write = |entry: &&Entry| match &entry.waiter {
            Waiter::Client(client) => !client.tool.as_deref().is_some_and(&is_read),
            Waiter::Own(_) => false,
        };
        calls.filter(is_write).count()
    }

    /// How long the youngest tool call has been running.
    pub(crate) fn youngest_call(&self, now: Instant) -> Option<Duration> {
        let table = self.table();
        let calls = table.entries.values().filter(|entry| entry.method == Method::TOOLS_CALL);
        calls.map(|entry| now.saturating_duration_since(entry.started)).min()
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // No call into foreign code is made while it is locked.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Client, Entry ===

impl Client {
    fn whom(&self) -> Whom {
        Whom { session: self.running.session().clone(), before: self.before.clone() }
    }
}

impl Entry {
    /// The client that waits, if it does in this session.
    fn client_of(&self, session: &Session) -> Option<&Client> {
        match &self.waiter {
            Waiter::Client(client) => {
                Some(&**client).filter(|client| client.running.session().id == session.id)
            }
            Waiter::Own(_) => None,
        }
    }

    /// The client that waits, and by which stream it hears of its request; none where the guard itself waits.
    pub(crate) fn whom(&self) -> Option<Whom> {
        match &self.waiter {
            Waiter::Client(client) => Some(client.whom()),
            Waiter::Own(_) => None,
        }
    }

    /// Ends the wait with what the child said.
    pub(crate) fn answer(self, guard: &Guard, outcome: Outcome<'_>) {
        let meaning = meaning(self.method, outcome);
        self.finish(guard, outcome, meaning);
    }

    /// Ends the wait with an error of the guard's own. An exit counts once, where it is seen, not once per request.
    pub(crate) fn fail(self, guard: &Guard, reason: &str, failure: Option<Failure>) {
        if let Waiter::Own(reply) = self.waiter {
            let _ = reply.send(Answer::Ended(reason.to_owned()));
            return;
        }
        let error = json!({ "code": SERVER_ERROR, "message": reason }).to_string();
        let meaning = if let Some(failure) = failure { Meaning::Failed(failure) } else { Meaning::Lost };
        self.finish(guard, Outcome::Error(&error), meaning);
    }

    fn finish(self, guard: &Guard, outcome: Outcome<'_>, meaning: Meaning) {
        let mut client = match self.waiter {
            Waiter::Client(client) => client,
            Waiter::Own(reply) => {
                let answer = match outcome {
                    Outcome::Result(result) => Answer::Result(result.to_owned()),
                    Outcome::Error(error) => Answer::Error(error.to_owned()),
                };
                let _ = reply.send(answer);
                return;
            }
        };
        if let (Outcome::Result(result), Some(wanted)) = (outcome, client.wanted.take()) {
            guard.cache.keep(wanted, result, Instant::now());
        }
        let took = self.started.elapsed();
        let session = client.running.session();
        let who = Who { client: &session.client, place: session.place };
        let narrowed = narrowed(guard, self.method, who, outcome);
        let outcome = narrowed.as_ref().map_or(outcome, |narrowed| match narrowed {
            Ok(result) => Outcome::Result(result),
            Err(error) => Outcome::Error(error),
        });
        let answering = Answering {
            method: Some(self.method),
            tool: client.tool.as_deref(),
            client: &client.asked.client,
            session: session.shown(),
        };
        let instead =
            taken::too_long(guard, outcome).or_else(|| outgoing::held_back(guard, answering, outcome));
        let (outcome, meaning) = match &instead {
            Some(error) => (Outcome::Error(error), Meaning::Lost),
            None => (outcome, meaning),
        };
        // Its place is free before it hears of it.
        drop(client.slot.take());
        // A client that has gone away gets nothing, but its request counts.
        let _ = client.reply.send(envelope::response(&client.id, outcome).into());
        let status = meaning.status();
        guard.metrics.finished(self.method, client.tool.as_deref(), meaning, took);
        if self.method != Method::PING {
            let (tool, asked) = (client.tool.as_deref(), &client.asked);
            Line { method: self.method, tool, session: session.shown(), took, asked }
                .write(guard, outcome, status);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::{Duration, Instant};

    use bytes::Bytes;
    use tokio::sync::{mpsc, oneshot};

    use super::{Callers, Client, Entry, InFlight, REQUESTS_MAX, Refusal, Waiter};
    use crate::audit::Asked;
    use crate::metrics::Method;
    use crate::session::{Newcomer, Session, Sessions};

    fn entry(session: &Arc<Session>, id: &str, now: Instant) -> (Entry, mpsc::Receiver<Bytes>) {
        let (progress, stream) = mpsc::channel(1);
        let client = Client {
            running: session.run(),
            id: id.into(),
            token: Some("\"own\"".into()),
            before: Some(progress),
            tool: None,
            asked: Asked::default(),
            wanted: None,
            slot: None,
            reply: oneshot::channel().0,
        };
        let deadline = now + Duration::from_secs(9);
        (
            Entry {
                method: Method::TOOLS_CALL,
                started: now,
                deadline,
                is_cancelled: false,
                waiter: Waiter::Client(Box::new(client)),
            },
            stream,
        )
    }

    #[test]
    fn clients_with_the_same_id_are_kept_apart() {
        let (now, table) = (Instant::now(), InFlight::new());
        let sessions = Sessions::new(now);
        let (one, two) = (
            sessions.open(1, Newcomer::default(), now).unwrap(),
            sessions.open(1, Newcomer::default(), now).unwrap(),
        );
        let ((first, mut to_first), (second, mut to_second)) = (entry(&one, "7", now), entry(&two, "7", now));
        assert_eq!((table.add(first), table.add(second)), (Ok(1), Ok(2)));
        assert_eq!((table.find(&one, "7"), table.find(&two, "7")), (Some(1), Some(2)));
        assert_eq!(table.find(&one, "\"7\""), None, "a string is not a number");
        for wrong in [r#"{"progressToken":"2"}"#, r#"{"progressToken":3}"#, "{}", "[2]"] {
            table.progress(wrong);
        }
        table.progress(r#"{"progressToken":2,"progress":1}"#);
        let event = to_second.try_recv().unwrap();
        assert!(event.ends_with(b"{\"progressToken\":\"own\",\"progress\":1}}"), "{event:?}");
        assert!(matches!(table.callers(), Callers::Several));
        assert!(to_first.try_recv().is_err());
        assert_eq!(table.youngest_call(now + Duration::from_secs(4)), Some(Duration::from_secs(4)));
        assert!(table.overdue(now + Duration::from_secs(8)).is_empty());
        let second = table.take(2);
        assert!(matches!(table.callers(), Callers::One(whom) if whom.session.id == one.id));
        table.add(second.unwrap()).unwrap();
        assert_eq!(table.overdue(now + Duration::from_secs(9)).len(), 2);
        assert!(matches!(table.callers(), Callers::Nobody));
        assert!(table.take(1).is_none());
        assert_eq!([0, 1, 2, 3, 9].map(|number| table.has_given(number)), [false, true, true, true, false]);
    }

    #[test]
    fn the_table_is_bounded_and_ends_once() {
        let (now, table) = (Instant::now(), InFlight::new());
        let session = Sessions::new(now).open(1, Newcomer::default(), now).unwrap();
        for _ in 0..REQUESTS_MAX {
            table.add(entry(&session, "1", now).0).unwrap();
        }
        assert_eq!(table.add(entry(&session, "1", now).0), Err(Refusal::Full));
        let own = || Entry { waiter: Waiter::Own(oneshot::channel().0), ..entry(&session, "1", now).0 };
        table.add(own()).unwrap();
        assert_eq!(table.running(now).len(), REQUESTS_MAX, "the guard's own do not count");
        assert_eq!(table.end("killed").len(), REQUESTS_MAX + 1);
        assert!(table.end("later").is_empty());
        assert_eq!(table.add(own()), Err(Refusal::Ended("killed".to_owned())));
    }
}
