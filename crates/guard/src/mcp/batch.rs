//! Owns several messages in one request: an array, as the revision 2025-03-26 knows it and no other.
//!
//! Each message is treated as if it had come alone, in their order. The answer is an array of answers, in the order in
//! which they come, or a stream that has each as an event; where nothing wants an answer it is 202. `initialize` cannot
//! be part of it, for before it there is no session that speaks this revision.

use http::{HeaderMap, Response, StatusCode};
use serde_json::value::RawValue;

use super::problem::Problem;
use super::request::Accepts;
use super::stream::{JSON_PATIENCE, wait_all};
use super::{Call, gate, heard, session};
use crate::envelope::{self, INVALID_REQUEST, Incoming, Malformed, PARSE_ERROR};
use crate::http::{Body, empty};
use crate::state::Guard;

/// A client that asks for more at once is better served one by one.
const MESSAGES_MAX: usize = 100;

/// Answers a body that is an array.
pub(super) async fn answer(
    guard: &Guard,
    headers: &HeaderMap,
    body: &[u8],
) -> Result<Response<Body>, Problem> {
    let refuse = |code, reason| Err(Problem::protocol(StatusCode::BAD_REQUEST, code, reason));
    let session = session(guard, headers)?;
    if !session.revision.has_batches() {
        return refuse(INVALID_REQUEST, "only the revision 2025-03-26 has batches");
    }
    let Ok(messages) = serde_json::from_slice::<Vec<&RawValue>>(body) else {
        return refuse(PARSE_ERROR, "the body is not a JSON array");
    };
    if messages.is_empty() || messages.len() > MESSAGES_MAX {
        return refuse(INVALID_REQUEST, "a batch has 1 to 100 messages");
    }
    let accepts = Accepts::of(headers);
    let (mut answers, mut running) = (Vec::new(), Vec::new());
    for message in messages {
        match envelope::parse(message.get().as_bytes()) {
            Ok(Incoming::Request { id, method, .. }) if method == "initialize" => {
                let reason = "`initialize` cannot be part of a batch";
                answers.push(envelope::error(Some(id), INVALID_REQUEST, reason).into());
            }
            Ok(Incoming::Request { id, method, params }) => {
                let (part, bytes) = (guard.spans.begin(params, headers), message.get().len());
                let call = Call { id, method: &method, params, token: None, part, bytes };
                match gate::pass(guard, &session, call, accepts).await {
                    Ok(arrivals) => running.push(arrivals),
                    Err(problem) => answers.push(problem.to(id).message(guard).into()),
                }
            }
            Ok(told) => heard(guard, &session, &told),
            Err(malformed) => {
                let reason = match malformed {
                    Malformed::NotJson => "it is not a JSON object",
                    Malformed::Batch => "a batch in a batch",
                    Malformed::Invalid(reason) => reason,
                };
                answers.push(envelope::error(None, INVALID_REQUEST, reason).into());
            }
        }
    }
    if answers.is_empty() && running.is_empty() {
        return Ok(empty(StatusCode::ACCEPTED));
    }
    Ok(wait_all(session, running, answers, accepts, JSON_PATIENCE).await)
}
