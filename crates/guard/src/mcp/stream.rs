//! Owns how the answer to a call travels: as JSON while it is quick and alone, else as a stream that can be resumed.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use http::request::Parts;
use http::{Response, StatusCode};
use tokio::sync::{mpsc, oneshot};

use super::problem::Problem;
use super::request::Accepts;
use crate::envelope::{self, INVALID_REQUEST, SERVER_ERROR};
use crate::http::{Body, events, json};
use crate::session::Session;
use crate::session::streams::{NotResumed, StreamTaken};
use crate::sse::EventStream;
use crate::state::Guard;

/// After this long a silent connection is taken for dead somewhere on the way.
pub(super) const JSON_PATIENCE: Duration = Duration::from_secs(10);
/// What a client may be behind with; beyond it, progress is left out.
pub(super) const BEFORE_MAX: usize = 64;
const LAST_EVENT_ID: &str = "last-event-id";

/// Where the answer to a call arrives, and what comes before it if the client takes that.
pub(super) struct Arrivals {
    pub(super) answer: oneshot::Receiver<Bytes>,
    pub(super) before: Option<mpsc::Receiver<Bytes>>,
}

/// Opens the stream of a session, or goes on with any of its streams where `Last-Event-ID` says.
pub(super) fn open(guard: &Guard, session: &Arc<Session>, head: &Parts) -> Result<Response<Body>, Problem> {
    let (arriving, open) = match head.headers.get(LAST_EVENT_ID) {
        Some(id) => session.resume(id.to_str().unwrap_or_default()).map_err(|why| {
            let reason = match why {
                NotResumed::Unknown => "Last-Event-ID is of no stream that this session knows",
                NotResumed::TooOld => "Last-Event-ID is too old: events after it are not kept any more",
            };
            Problem::protocol(StatusCode::BAD_REQUEST, INVALID_REQUEST, reason)
        })?,
        None => session.stream().map_err(|StreamTaken| {
            let reason = "this session has an open stream already";
            Problem::protocol(StatusCode::CONFLICT, SERVER_ERROR, reason)
        })?,
    };
    tracing::debug!(server = guard.settings.name, session = session.shown(), "a stream was opened");
    Ok(events(EventStream::new(arriving, Some(Box::new(open)))))
}

/// Waits for the answer as JSON, for as long as the patience lasts, and then as a stream.
pub(super) async fn wait(
    session: Arc<Session>,
    mut arrivals: Arrivals,
    accepts: Accepts,
    patience: Duration,
) -> Response<Body> {
    let mut first = None;
    if accepts != Accepts::Events {
        first = tokio::select! {
            biased;
            Some(message) = next(&mut arrivals.before) => Some(message),
            answer = &mut arrivals.answer => {
                // Every entry of the table is answered before it is dropped.
                let lost = || envelope::error(None, SERVER_ERROR, "the request was lost").into();
                return json(StatusCode::OK, answer.unwrap_or_else(|_| lost()));
            }
            () = tokio::time::sleep(patience), if accepts == Accepts::Both => None,
        };
    }
    let (number, arriving) = session.streams.open(session.revision.is_primed());
    if let Some(message) = first {
        // The stream is new, and has room.
        session.streams.push(number, &message);
    }
    tokio::spawn(forward(session, number, arrivals));
    events(EventStream::new(arriving, None))
}

/// Something that a client is told because of its requests.
enum Said {
    Before(Bytes),
    Answer(Bytes),
}

/// Waits for the answers to a batch, of which some are there already: as one array, or as a stream where that is what
/// `wait` would do.
pub(super) async fn wait_all(
    session: Arc<Session>,
    running: Vec<Arrivals>,
    mut answers: Vec<Bytes>,
    accepts: Accepts,
    patience: Duration,
) -> Response<Body> {
    let (said, mut heard) = mpsc::channel(BEFORE_MAX);
    for arrivals in running {
        tokio::spawn(gather(arrivals, said.clone()));
    }
    drop(said);
    let mut first = None;
    if accepts != Accepts::Events {
        let patience = tokio::time::sleep(patience);
        tokio::pin!(patience);
        loop {
            tokio::select! {
                biased;
                said = heard.recv() => match said {
                    Some(Said::Answer(answer)) => answers.push(answer),
                    Some(Said::Before(message)) => {
                        first = Some(message);
                        break;
                    }
                    None => return json(StatusCode::OK, array(&answers)),
                },
                () = patience.as_mut(), if accepts == Accepts::Both => break,
            }
        }
    }
    let (number, arriving) = session.streams.open(session.revision.is_primed());
    tokio::spawn(async move {
        for message in answers.into_iter().chain(first) {
            session.streams.deliver(number, &message).await;
        }
        while let Some(Said::Answer(message) | Said::Before(message)) = heard.recv().await {
            session.streams.deliver(number, &message).await;
        }
        session.streams.end(number);
    });
    events(EventStream::new(arriving, None))
}

/// Passes all that comes to one request on to whoever waits for several.
async fn gather(mut arrivals: Arrivals, said: mpsc::Sender<Said>) {
    loop {
        tokio::select! {
            biased;
            Some(message) = next(&mut arrivals.before) => drop(said.send(Said::Before(message)).await),
            answer = &mut arrivals.answer => {
                if let Ok(message) = answer {
                    let _ = said.send(Said::Answer(message)).await;
                }
                return;
            }
        }
    }
}

/// Several messages as one.
fn array(messages: &[Bytes]) -> Bytes {
    [b"[".as_slice(), &messages.join(&b','), b"]"].concat().into()
}

/// Passes what comes before the answer, and then that, on to a stream. It goes on without a connection: the client may
/// come back.
async fn forward(session: Arc<Session>, number: u64, mut arrivals: Arrivals) {
    loop {
        tokio::select! {
            biased;
            Some(message) = next(&mut arrivals.before) => session.streams.deliver(number, &message).await,
            answer = &mut arrivals.answer => {
                if let Ok(message) = answer {
                    session.streams.deliver(number, &message).await;
                }
                return session.streams.end(number);
            }
        }
    }
}

async fn next(before: &mut Option<mpsc::Receiver<Bytes>>) -> Option<Bytes> {
    match before {
        Some(before) => before.recv().await,
        None => None,
    }
}

#[cfg(test)]
mod tests {
    use std::time::{Duration, Instant};

    use http_body_util::BodyExt;
    use tokio::sync::oneshot;

    use super::{Accepts, Arrivals, wait};
    use crate::session::{Newcomer, Sessions};

    const STREAMED: &str = "id: 1-1\nretry: 1000\ndata: \n\nevent: message\nid: 1-2\ndata: {}\n\n";

    #[tokio::test]
    async fn a_long_wait_becomes_a_stream_if_the_client_takes_one() {
        let never = Duration::from_secs(600);
        let sessions = Sessions::new(Instant::now());
        for (accepts, patience, media_type, expect) in [
            (Accepts::Both, Duration::ZERO, "text/event-stream", STREAMED),
            (Accepts::Events, never, "text/event-stream", STREAMED),
            (Accepts::Both, never, "application/json", "{}"),
            (Accepts::Json, Duration::ZERO, "application/json", "{}"),
        ] {
            let (reply, answer) = oneshot::channel();
            let session = sessions.open(1, Newcomer::default(), Instant::now()).unwrap();
            let waiting = wait(session, Arrivals { answer, before: None }, accepts, patience);
            let response = if media_type == "application/json" {
                reply.send("{}".into()).unwrap();
                waiting.await
            } else {
                let response = waiting.await;
                reply.send("{}".into()).unwrap();
                response
            };
            assert_eq!(response.headers()["content-type"], media_type, "{accepts:?}");
            assert_eq!(response.into_body().collect().await.unwrap().to_bytes(), expect);
        }
    }
}
