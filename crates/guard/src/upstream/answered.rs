//! Owns what becomes of an upstream's answer: streamed, read and passed on, or told to be the end of a session.

use std::sync::Arc;

use bytes::{Bytes, BytesMut};
use http::{HeaderValue, Response, StatusCode, header};
use http_body_util::{BodyExt, Either, Full, Limited};
use hyper::body::Body as _;
use tokio::time::Instant;

use super::headers::{EVENTS, media_type};
use super::seen::Session;
use super::wire::{Broken, Flow};
use super::{Relayed, Unsent, Upstream, fail, running};
use crate::envelope::{self, Incoming, Outcome};
use crate::http::{Body, Streamed};
use crate::inflight::{Who, narrowed};
use crate::mcp::problem::Problem;
use crate::metrics::{Failure, Method};
use crate::outgoing;
use crate::state::Guard;
use crate::taken;

/// An answer of this length is read along; a longer one goes through unread.
const ANSWER_BYTES_MAX: usize = 16 << 20;
/// An error is shorter.
const PROBLEM_BYTES_MAX: usize = 64 << 10;

/// Everything that an answer is about.
pub(super) struct Answered<'a> {
    pub(super) guard: &'a Arc<Guard>,
    pub(super) upstream: &'a Upstream,
    pub(super) session: &'a Arc<Session>,
    pub(super) id: Option<&'a str>,
    pub(super) deadline: Instant,
}

// === impl Answered ===

impl Answered<'_> {
    pub(super) async fn finish(
        self,
        response: Response<Flow>,
        mut request: Option<running::Request>,
    ) -> Result<Response<Body>, Problem> {
        let (mut head, body) = response.into_parts();
        if head.status == StatusCode::NOT_FOUND || head.status == StatusCode::BAD_REQUEST {
            return self.refused(head, body, request).await;
        }
        let media_type = media_type(&head.headers);
        let is_json = media_type == "application/json";
        if media_type.eq_ignore_ascii_case(EVENTS) {
            let relayed = Relayed::answer(self.guard, body, self.session, request, self.deadline);
            head.headers.insert("x-accel-buffering", HeaderValue::from_static("no"));
            return Ok(Response::from_parts(head, Either::Right(Streamed::Relayed(Box::new(relayed)))));
        }
        if !is_json && request.is_some() && outgoing::holds_unread(self.guard) {
            return Err(self.stays(&mut request, "it is neither JSON nor a stream of events"));
        }
        if !is_json || request.is_none() {
            unanswered(&mut request, head.status);
            return Ok(self.unread(head, Relayed::raw(self.guard, body, self.session)));
        }
        let gathered = tokio::time::timeout_at(self.deadline, gather(body)).await;
        let body = match gathered {
            Ok(Ok(Gathered::Whole(body))) => body,
            Ok(Ok(Gathered::More(..))) if self.must_narrow(request.as_ref()) => {
                let reason = "the server's list of tools is too long to be narrowed";
                fail(&mut request, reason, Failure::Protocol);
                return Err(Problem::lost(reason.to_owned()));
            }
            Ok(Ok(Gathered::More(..))) if outgoing::holds_unread(self.guard) => {
                return Err(self.stays(&mut request, "it is longer than 16 MiB"));
            }
            Ok(Ok(Gathered::More(first, rest))) => {
                // An error is shorter.
                request.iter_mut().for_each(|request| {
                    request.wanted = None;
                    request.answered(Outcome::Result("{}"));
                });
                return Ok(self.unread(head, Relayed::raw(self.guard, rest, self.session).after(first)));
            }
            Ok(Err(error)) => {
                let unsent = Unsent::Broken(error.to_string());
                fail(&mut request, &unsent.words(), Failure::Internal);
                return Err(unsent.problem(self.guard));
            }
            Err(_) => {
                fail(&mut request, "no answer in time", Failure::Timeout);
                return Err(Problem::lost("the upstream has not answered in time".to_owned()));
            }
        };
        let bytes = body.len();
        let body = self.read(body, head.status, request);
        if body.len() != bytes {
            head.headers.remove(header::CONTENT_LENGTH);
        }
        Ok(Response::from_parts(head, Either::Left(Full::new(body))))
    }

    fn unread(&self, head: http::response::Parts, relayed: Relayed) -> Response<Body> {
        Response::from_parts(head, Either::Right(Streamed::Relayed(Box::new(relayed))))
    }

    /// An answer that cannot be read along is not passed on.
    fn stays(&self, request: &mut Option<running::Request>, why: &str) -> Problem {
        fail(request, why, Failure::Protocol);
        Problem::lost(outgoing::unread(self.guard, why))
    }

    fn must_narrow(&self, request: Option<&running::Request>) -> bool {
        let lists = request.is_some_and(|request| request.method == Method::TOOLS_LIST);
        lists && self.guard.narrows_lists()
    }

    /// Reads the one answer that is awaited. Returns what goes on.
    fn read(&self, body: Bytes, status: StatusCode, mut request: Option<running::Request>) -> Bytes {
        let (id, outcome) = match (envelope::parse(&body), &request) {
            (Ok(Incoming::Response { id, outcome }), Some(request)) if *id == *request.id => (id, outcome),
            _ => {
                unanswered(&mut request, status);
                return match request.filter(|_| outgoing::holds_unread(self.guard)) {
                    Some(request) => {
                        let words = outgoing::unread(self.guard, "it is not the answer to this request");
                        envelope::response(&request.id, Outcome::Error(&outgoing::error(&words))).into()
                    }
                    None => body,
                };
            }
        };
        let Some(mut request) = request else { return body };
        let who = Who { client: &self.session.client, place: self.session.place };
        let narrowed = narrowed(self.guard, request.method, who, outcome);
        let instead = taken::too_long(self.guard, outcome).or_else(|| request.held_back(outcome));
        if let Some(error) = instead {
            request.answered(Outcome::Error(&error));
            return envelope::response(id, Outcome::Error(&error)).into();
        }
        request.answered(outcome);
        match narrowed {
            None => body,
            Some(Ok(result)) => envelope::response(id, Outcome::Result(&result)).into(),
            Some(Err(error)) => envelope::response(id, Outcome::Error(&error)).into(),
        }
    }

    /// A session that the upstream has given out and does not know any more is over, however it says so.
    async fn refused(
        self,
        mut head: http::response::Parts,
        body: Flow,
        mut request: Option<running::Request>,
    ) -> Result<Response<Body>, Problem> {
        let collected =
            tokio::time::timeout_at(self.deadline, Limited::new(body, PROBLEM_BYTES_MAX).collect()).await;
        let body = match collected {
            Ok(Ok(body)) => body.to_bytes(),
            Ok(Err(_)) | Err(_) => Bytes::new(),
        };
        let gives_away = outgoing::gives_away(self.guard, &String::from_utf8_lossy(&body));
        let body = if gives_away { Bytes::new() } else { body };
        let error = envelope::parse(&body).ok().and_then(|message| match message {
            Incoming::Response { outcome: Outcome::Error(error), .. } => Some(error.to_owned()),
            _ => None,
        });
        fail(&mut request, error.as_deref().unwrap_or("the upstream refuses it"), Failure::Protocol);
        let says_session = || String::from_utf8_lossy(&body).to_ascii_lowercase().contains("session");
        if let Some(id) = self.id
            && (head.status == StatusCode::NOT_FOUND || (self.upstream.seen.is_known(id) && says_session()))
        {
            self.upstream.seen.over(id);
            head.status = StatusCode::NOT_FOUND;
        }
        head.headers.remove(header::CONTENT_LENGTH);
        Ok(Response::from_parts(head, Either::Left(Full::new(body))))
    }
}

/// What came back is no answer to this request.
fn unanswered(request: &mut Option<running::Request>, status: StatusCode) {
    fail(request, &format!("the upstream has answered {status}, and not the request"), Failure::Protocol);
}

/// A body that was read, as far as it is to be.
enum Gathered {
    Whole(Bytes),
    /// The beginning of a long one, and the rest.
    More(Bytes, Flow),
}

async fn gather(mut body: Flow) -> Result<Gathered, Broken> {
    let mut whole = BytesMut::new();
    while let Some(frame) = body.frame().await {
        let Ok(part) = frame?.into_data() else { continue };
        // Nearly every body comes in one part, which is then not copied.
        if whole.is_empty() && body.is_end_stream() {
            return Ok(Gathered::Whole(part));
        }
        whole.extend_from_slice(&part);
        if whole.len() > ANSWER_BYTES_MAX {
            return Ok(Gathered::More(whole.freeze(), body));
        }
    }
    Ok(Gathered::Whole(whole.freeze()))
}
