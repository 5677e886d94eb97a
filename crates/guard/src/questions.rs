//! Owns what the server asks its clients (sampling, elicitation): whom, under which id, and until when it waits.
//!
//! The child is told that its client can do both, and many clients share it, so it is decided per question whom it is
//! for. A pipe does not say in the course of which request the server asks; but if all requests that run are of one
//! session, it can only be that one. If several sessions have requests running, nobody is asked: a question holds what
//! its client has said. If none has, only a session that is alone may be asked. A client that did not offer it is never
//! asked, and nobody for its roots: servers remember them, and would show them to the next client. In every other case
//! the server gets an error at once. A child that belongs to one session (`private`) asks that one, whatever it asks.
//!
//! Towards the client a question has a number as its id and as its progress token; only the session that was asked can
//! answer it, and once. A question ends with an error for the server when it is overdue, and when its client ends the
//! session or has had no connection for a while.

pub(crate) mod elicited;
mod offers;

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use bytes::Bytes;
use serde_json::json;
use tokio::sync::mpsc;

use crate::envelope::{self, INVALID_PARAMS, METHOD_NOT_FOUND, Outcome, SERVER_ERROR};
use crate::inflight::Callers;
use crate::log::{About, Level};
use crate::pipe::Link;
use crate::private::is_private;
use crate::session::Session;
use crate::session::streams::{OWN, Pushed};
use crate::state::Guard;
use elicited::Elicited;
pub(crate) use offers::Offers;

/// A server that has asked so much and got no answer asks nobody any more.
const QUESTIONS_MAX: usize = 256;
/// A client that has lost its connection comes back within seconds, or not at all.
const ABSENCE_MAX: Duration = Duration::from_secs(30);

/// What the server has asked and was not told yet.
#[derive(Debug, Default)]
pub(crate) struct Questions {
    table: Mutex<Table>,
    pub(crate) elicited: Elicited,
}

#[derive(Debug, Default)]
struct Table {
    entries: HashMap<u64, Question>,
    last: u64,
}

#[derive(Debug)]
struct Question {
    /// The server's id and progress token, as JSON.
    id: Box<str>,
    token: Option<Box<str>>,
    whom: Whom,
    deadline: Instant,
    /// Since when its client has had no connection.
    absent: Option<Instant>,
}

/// Who is asked, and by which stream.
#[derive(Clone, Debug)]
pub(crate) struct Whom {
    pub(crate) session: Arc<Session>,
    /// Where messages go that come before the answer to its request.
    pub(crate) before: Option<mpsc::Sender<Bytes>>,
}

/// Why nobody is asked: the code and the words of the error.
type Refusal = (i32, &'static str);

// === impl Questions ===

impl Questions {
    fn add(&self, question: Question) -> Result<u64, Refusal> {
        let mut table = self.table();
        if table.entries.len() >= QUESTIONS_MAX {
            return Err((SERVER_ERROR, "too many questions wait for an answer"));
        }
        table.last += 1;
        let number = table.last;
        table.entries.insert(number, question);
        Ok(number)
    }

    /// Takes out the question that this session knows under this id.
    fn take(&self, session: &Session, id: &str) -> Option<Question> {
        let number = id.parse().ok()?;
        let mut table = self.table();
        table.entries.get(&number).filter(|question| question.whom.session.id == session.id)?;
        table.entries.remove(&number)
    }

    /// The server's progress token of a question that this session was asked.
    pub(crate) fn token(&self, session: &Session, id: &str) -> Option<Box<str>> {
        let table = self.table();
        let question = table.entries.get(&id.parse().ok()?)?;
        question.token.clone().filter(|_| question.whom.session.id == session.id)
    }

    /// Takes out what nobody will answer any more, with the reason.
    fn hopeless(&self, now: Instant) -> Vec<(u64, Question, &'static str)> {
        let mut hopeless = Vec::new();
        let mut table = self.table();
        for (number, question) in table.entries.extract_if(|_, question| question.is_hopeless(now)) {
            let overdue = question.deadline <= now;
            let reason = if overdue { "the client did not answer in time" } else { "the client is gone" };
            hopeless.push((number, question, reason));
        }
        hopeless
    }

    fn table(&self) -> MutexGuard<'_, Table> {
        // Every change of it is one insertion or removal.
        self.table.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Question {
    fn is_hopeless(&mut self, now: Instant) -> bool {
        if self.whom.session.streams.is_connected() {
            self.absent = None;
            return self.deadline <= now;
        }
        let absent = *self.absent.get_or_insert(now);
        self.deadline <= now || now.saturating_duration_since(absent) >= ABSENCE_MAX
    }
}

impl Whom {
    /// Sends a message by the stream of the request, or else by the session's own.
    pub(crate) fn tell(&self, message: Vec<u8>) -> bool {
        let message = Bytes::from(message);
        let sent = self.before.as_ref().is_some_and(|before| before.try_send(message.clone()).is_ok());
        let streams = &self.session.streams;
        match &self.session.child {
            _ if sent => true,
            // Nobody else is meant, so it can wait for the client's stream.
            Some(_) => matches!(streams.hold(&message), Pushed::Sent | Pushed::Kept),
            None => streams.push(OWN, &message) == Pushed::Sent,
        }
    }
}

// === what happens to a question ===

/// Passes a question of the server on to the client that it is for, or answers it with an error.
pub(crate) fn ask(guard: &Guard, link: &Link, id: &str, method: &str, params: Option<&str>) {
    let asked = find(guard, link, method, params).and_then(|whom| {
        let token = params.map(envelope::progress_token).transpose();
        let token = token.map_err(|_| (INVALID_PARAMS, "`_meta` or `progressToken` is wrong"))?.flatten();
        let question = Question {
            id: id.into(),
            token: token.map(Into::into),
            whom: whom.clone(),
            deadline: Instant::now() + guard.settings.request_timeout,
            absent: None,
        };
        let number = link.questions.add(question)?;
        let own = number.to_string();
        let params = match (params, token) {
            (Some(params), Some(token)) => Some(envelope::exchange(params, token, &own)),
            (params, _) => params.map(str::to_owned),
        };
        let mut message = envelope::request(number, method, params.as_deref());
        // Of the pipe; an event has its own.
        message.pop();
        if !whom.tell(message) {
            link.questions.take(&whom.session, &own);
            return Err((SERVER_ERROR, "the client has no open stream by which it could be asked"));
        }
        link.questions.elicited.asked(params.as_deref(), &whom);
        Ok(whom)
    });
    match asked {
        Ok(whom) => {
            let fields = [("method", method.into()), ("session", whom.session.shown().into())];
            guard.note(Level::Info, About::Request, &format!("asked the client: {method}"), fields);
        }
        Err((code, reason)) => {
            let fields = [("method", method.into())];
            guard.note(Level::Info, About::Request, &format!("did not ask a client: {reason}"), fields);
            reply(link, envelope::error(Some(id), code, reason));
        }
    }
}

fn find(guard: &Guard, link: &Link, method: &str, params: Option<&str>) -> Result<Whom, Refusal> {
    if is_private(link.generation) {
        // It was told what its client can do, and asks nobody else.
        let session = guard.sessions.only(link.generation);
        let session = session.ok_or((SERVER_ERROR, "the session is over"))?;
        return Ok(match link.in_flight.callers() {
            Callers::One(whom) => whom,
            Callers::Several | Callers::Nobody => Whom { session, before: None },
        });
    }
    match method {
        "sampling/createMessage" | "elicitation/create" => {}
        "roots/list" => {
            return Err((METHOD_NOT_FOUND, "clients that share a server have no roots in common"));
        }
        _ => return Err((METHOD_NOT_FOUND, "the guard offers no such method")),
    }
    let whom = match link.in_flight.callers() {
        Callers::One(whom) => whom,
        Callers::Several => {
            let reason = "requests of several clients are running, and it is not known for which this is";
            return Err((SERVER_ERROR, reason));
        }
        Callers::Nobody => match guard.sessions.only(link.generation) {
            Some(session) => Whom { session, before: None },
            None => {
                return Err((SERVER_ERROR, "no request is running, and it is not known for whom this is"));
            }
        },
    };
    whom.session.offers.include(method, params).map(|()| whom)
}

/// Passes the answer of a client on to the server. What this session was not asked is dropped.
pub(crate) fn answer(link: &Link, session: &Session, id: &str, outcome: Outcome<'_>) {
    match link.questions.take(session, id) {
        Some(question) => reply(link, envelope::response(&question.id, outcome)),
        None => tracing::debug!(id, "an answer to nothing that was asked, or too late"),
    }
}

/// The server does not want to know any more: `notifications/cancelled` with these parameters.
pub(crate) fn cancelled(link: &Link, params: &str) {
    let Ok(Some(id)) = envelope::member(params, "requestId") else { return };
    let mut table = link.questions.table();
    let found = table.entries.iter().find(|(_, question)| &*question.id == id).map(|(number, _)| *number);
    let Some((number, question)) = found.and_then(|number| Some((number, table.entries.remove(&number)?)))
    else {
        return;
    };
    drop(table);
    let params = envelope::exchange(params, id, &number.to_string());
    question.whom.tell(envelope::notification("notifications/cancelled", Some(&params)));
}

/// Answers for the clients that will not.
pub(crate) fn expire(link: &Link, now: Instant) {
    for (number, question, reason) in link.questions.hopeless(now) {
        reply(link, envelope::error(Some(&question.id), SERVER_ERROR, reason));
        let params = json!({ "requestId": number, "reason": reason }).to_string();
        question.whom.tell(envelope::notification("notifications/cancelled", Some(&params)));
    }
}

/// Answers for a client that has ended its session.
pub(crate) fn leave(link: &Link, session: &Session) {
    link.questions.elicited.leave(session);
    let left: Vec<Question> = {
        let mut table = link.questions.table();
        let left = table.entries.extract_if(|_, question| question.whom.session.id == session.id);
        left.map(|(_, question)| question).collect()
    };
    for question in left {
        reply(link, envelope::error(Some(&question.id), SERVER_ERROR, "the client has ended its session"));
    }
}

fn reply(link: &Link, mut answer: Vec<u8>) {
    answer.push(b'\n');
    if link.send(answer).is_err() {
        tracing::debug!("a question of the server was not answered: it does not read");
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use super::{ABSENCE_MAX, QUESTIONS_MAX, Question, Questions, Whom};
    use crate::session::{Newcomer, Sessions};

    #[test]
    fn questions_end_when_nobody_will_answer_them() {
        let now = Instant::now();
        let (sessions, questions) = (Sessions::new(now), Questions::default());
        let open = || sessions.open(1, Newcomer::default(), now).unwrap();
        let (one, two) = (open(), open());
        let question = || Question {
            id: "\"q\"".into(),
            token: Some("\"t\"".into()),
            whom: Whom { session: one.clone(), before: None },
            deadline: now + 10 * ABSENCE_MAX,
            absent: None,
        };
        assert_eq!(questions.add(question()), Ok(1));
        assert_eq!(questions.token(&one, "1").as_deref(), Some("\"t\""));
        assert!(questions.token(&two, "1").is_none() && questions.take(&two, "1").is_none());
        assert!(questions.take(&one, "\"1\"").is_none() && questions.take(&one, "2").is_none());
        let (events, open) = one.stream().unwrap();
        let reasons = |now| questions.hopeless(now).into_iter().map(|(_, _, why)| why).collect::<Vec<_>>();
        assert!(reasons(now + 2 * ABSENCE_MAX).is_empty());
        drop((events, open));
        assert!(reasons(now + 3 * ABSENCE_MAX).is_empty(), "it has just lost its connection");
        let back = one.stream().unwrap();
        assert!(reasons(now + 5 * ABSENCE_MAX).is_empty(), "it came back");
        drop(back);
        assert!(reasons(now + 6 * ABSENCE_MAX).is_empty());
        assert_eq!(reasons(now + 7 * ABSENCE_MAX), ["the client is gone"]);
        for _ in 0..QUESTIONS_MAX {
            questions.add(question()).unwrap();
        }
        assert!(questions.add(question()).is_err());
        let _stream = one.stream().unwrap();
        let late = reasons(now + 10 * ABSENCE_MAX + Duration::from_secs(1));
        assert_eq!((late.len(), late[0]), (QUESTIONS_MAX, "the client did not answer in time"));
    }
}
