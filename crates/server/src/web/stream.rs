//! Owns the streams: a page is rendered once for all that see the same of it, whenever something has changed, and each of
//! their browsers is sent the parts that differ.
//!
//! # Events
//!
//! Server-sent events. `data` is JSON: `{"parts":[{"id":…,"html":…}]}` with elements that take the place of those of the
//! same id, or `{"whole":…}` with all there is; `id` names what the browser shows after it. The event `gone` says that
//! nobody is signed in any more. A comment comes when nothing else does, so that both sides know of a dead line.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError, Weak};
use std::time::Duration;

use axum::Extension;
use axum::body::{Body, Bytes};
use axum::extract::{Query, State};
use axum::http::header::CONTENT_TYPE;
use axum::http::{HeaderMap, StatusCode, Uri};
use axum::response::{IntoResponse as _, Response};
use serde::Deserialize;
use serde_json::json;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc, watch};
use tokio::time::{sleep, timeout};
use web::{Markup, Part};

use super::Web;
use super::door::Guest;
use super::pages::{Eye, View, view};
use super::shown::digest;
use crate::api::Failure;
use crate::clock;

/// Streams that are open at the same time.
const VIEWERS_MAX: usize = 800;
/// Pages that are rendered at the same time, each for all that see the same.
const TOPICS_MAX: usize = 500;
/// Time between two comments, and how soon somebody is gone whose token was taken back.
const HEARTBEAT: Duration = Duration::from_secs(15);
/// Time between two renderings of a page: what changes more often is shown together.
const SPACING: Duration = Duration::from_millis(100);
/// Who reads nothing in this time is let go; their browser comes again.
const SLOW: Duration = Duration::from_secs(30);

/// All streams.
pub(super) struct Streams {
    topics: Mutex<HashMap<Topic, Weak<watch::Sender<Arc<Shown>>>>>,
    viewers: Arc<Semaphore>,
}

/// A page, for those who see the same of it.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Topic {
    page: String,
    eye: Eye,
}

/// A page as it was rendered.
struct Shown {
    body: Markup,
    parts: Vec<Part>,
    digest: String,
}

/// What a browser wants to hear of.
#[derive(Debug, Deserialize)]
pub(super) struct Wanted {
    page: String,
    #[serde(default)]
    seen: String,
}

/// Answers with the stream of a page.
pub(super) async fn events(
    State(web): State<Arc<Web>>,
    Extension(guest): Extension<Guest>,
    Query(wanted): Query<Wanted>,
    headers: HeaderMap,
) -> Response {
    let Ok(permit) = Arc::clone(&web.streams.viewers).try_acquire_owned() else {
        return (StatusCode::SERVICE_UNAVAILABLE, "too many pages are open\n").into_response();
    };
    let topic = Topic { page: wanted.page, eye: Eye::of(&web, &guest.token) };
    let shown = match subscribe(&web, topic).await {
        Ok(shown) => shown,
        Err(Failure { status, words, .. }) => return (status, words).into_response(),
    };
    // A browser that comes again by itself says what it has seen last.
    let last = headers.get("last-event-id").and_then(|last| last.to_str().ok());
    let seen = last.map_or(wanted.seen, str::to_owned);
    let (sender, receiver) = mpsc::channel(1);
    tokio::spawn(Viewer { web, guest, shown, sender, _permit: permit }.feed(seen));
    let chunks = futures_util::stream::unfold(receiver, |mut receiver| async {
        let chunk: Bytes = receiver.recv().await?;
        Some((Ok::<_, std::convert::Infallible>(chunk), receiver))
    });
    let headers = [(CONTENT_TYPE.as_str(), "text/event-stream"), ("x-accel-buffering", "no")];
    (headers, Body::from_stream(chunks)).into_response()
}

/// Takes part in a topic, which begins where nobody has asked for it yet.
async fn subscribe(web: &Arc<Web>, topic: Topic) -> Result<watch::Receiver<Arc<Shown>>, Failure> {
    if let Some(shown) = web.streams.find(&topic) {
        return Ok(shown);
    }
    // From before the first look on: nothing that changes meanwhile is missed.
    let changes = web.flow.engine.changes();
    let view = render(web, &topic).await?;
    let (sender, shown) = web.streams.begin(&topic, Shown::of(view.body, view.parts))?;
    if let Some(sender) = sender {
        tokio::spawn(keep(Arc::clone(web), topic, sender, changes, view.again));
    }
    Ok(shown)
}

async fn render(web: &Web, topic: &Topic) -> Result<View, Failure> {
    let unknown = |_| Failure::new(StatusCode::BAD_REQUEST, "this is no path of a page".to_owned());
    let uri: Uri = topic.page.parse().map_err(unknown)?;
    view(web, uri.path(), uri.query().unwrap_or_default(), &topic.eye).await
}

/// Renders a topic anew whenever something has changed, as long as anybody looks.
async fn keep(
    web: Arc<Web>,
    topic: Topic,
    sender: Arc<watch::Sender<Arc<Shown>>>,
    mut changes: watch::Receiver<u64>,
    mut again: Duration,
) {
    loop {
        tokio::select! {
            () = sender.closed() => {
                if web.streams.end(&topic, &sender) {
                    return;
                }
            }
            Ok(()) = changes.changed() => {}
            () = sleep(again) => {}
        }
        // What cannot be looked at now stays as it was.
        if let Ok(view) = render(&web, &topic).await {
            again = view.again;
            let shown = Shown::of(view.body, view.parts);
            sender.send_if_modified(|before| {
                let differs = before.digest != shown.digest;
                if differs {
                    *before = Arc::new(shown);
                }
                differs
            });
        }
        sleep(SPACING).await;
    }
}

/// One browser.
struct Viewer {
    web: Arc<Web>,
    guest: Guest,
    shown: watch::Receiver<Arc<Shown>>,
    sender: mpsc::Sender<Bytes>,
    _permit: OwnedSemaphorePermit,
}

// === impl Viewer ===

impl Viewer {
    /// Sends what is new until nobody reads it any more.
    async fn feed(mut self, seen: String) {
        let mut last = Arc::clone(&self.shown.borrow_and_update());
        let first = if last.digest == seen { ": nothing is new\n\n".to_owned() } else { last.since(None) };
        if !self.send(first).await {
            return;
        }
        loop {
            let text = tokio::select! {
                changed = self.shown.changed() => {
                    if changed.is_err() {
                        return;
                    }
                    let now = Arc::clone(&self.shown.borrow_and_update());
                    let text = now.since(Some(&last));
                    last = now;
                    text
                }
                () = sleep(HEARTBEAT) => ": still here\n\n".to_owned(),
                () = self.sender.closed() => return,
            };
            if !self.is_in() {
                self.send("event: gone\ndata: {}\n\n".to_owned()).await;
                return;
            }
            if !self.send(text).await {
                return;
            }
        }
    }

    fn is_in(&self) -> bool {
        let now_ms = clock::now_ms();
        let token = self.web.flow.door.still(&self.web.flow.world.config, &self.guest.token.id, now_ms);
        // What they may see has changed with their token: the page is another one.
        let is_same = token.is_some_and(|token| {
            (token.role, &token.servers) == (self.guest.token.role, &self.guest.token.servers)
        });
        is_same && self.web.sessions.goes_on(&self.guest.cookie, now_ms)
    }

    /// Whether it was taken in time.
    async fn send(&self, text: String) -> bool {
        let text = text.replace(&self.web.csrf_mark, &self.guest.csrf);
        matches!(timeout(SLOW, self.sender.send(Bytes::from(text))).await, Ok(Ok(())))
    }
}

// === impl Streams ===

impl Default for Streams {
    fn default() -> Self {
        Self { topics: Mutex::default(), viewers: Arc::new(Semaphore::new(VIEWERS_MAX)) }
    }
}

impl Streams {
    fn find(&self, topic: &Topic) -> Option<watch::Receiver<Arc<Shown>>> {
        let topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        Some(topics.get(topic)?.upgrade()?.subscribe())
    }

    /// Begins a topic; whoever was quicker has begun it.
    #[expect(
        clippy::type_complexity,
        reason = "the sender is for whoever keeps the topic, and there is one such place"
    )]
    fn begin(
        &self,
        topic: &Topic,
        shown: Shown,
    ) -> Result<(Option<Arc<watch::Sender<Arc<Shown>>>>, watch::Receiver<Arc<Shown>>), Failure> {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(sender) = topics.get(topic).and_then(Weak::upgrade) {
            return Ok((None, sender.subscribe()));
        }
        if topics.len() >= TOPICS_MAX {
            let words = "too many different pages are open".to_owned();
            return Err(Failure::new(StatusCode::SERVICE_UNAVAILABLE, words));
        }
        let (sender, receiver) = watch::channel(Arc::new(shown));
        let sender = Arc::new(sender);
        topics.insert(topic.clone(), Arc::downgrade(&sender));
        Ok((Some(sender), receiver))
    }

    /// Ends a topic, where nobody has come to it again.
    fn end(&self, topic: &Topic, sender: &watch::Sender<Arc<Shown>>) -> bool {
        let mut topics = self.topics.lock().unwrap_or_else(PoisonError::into_inner);
        let nobody = sender.receiver_count() == 0;
        if nobody {
            topics.remove(topic);
        }
        nobody
    }
}

// === impl Shown ===

impl Shown {
    fn of(body: Markup, parts: Vec<Part>) -> Self {
        Self { digest: digest(&body), body, parts }
    }

    /// The event that brings a browser from there to here: the parts that differ, or all where something else does.
    fn since(&self, before: Option<&Self>) -> String {
        let ids = |shown: &Self| shown.parts.iter().map(|part| part.id.clone()).collect::<Vec<_>>();
        let same = before.filter(|before| ids(before) == ids(self));
        let pairs = self.parts.iter().zip(same.map_or(&[][..], |before| &before.parts));
        let differ: Vec<_> = pairs.filter(|(now, then)| now != then).map(|(now, _)| now).collect();
        let data = if differ.is_empty() {
            json!({ "whole": self.body.0 })
        } else {
            let parts = differ.iter().map(|part| json!({ "id": part.id, "html": part.html }));
            json!({ "parts": parts.collect::<Vec<_>>() })
        };
        // JSON has no line ends of its own.
        format!("id: {}\ndata: {data}\n\n", self.digest)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shown(parts: &[(&str, &str)]) -> Shown {
        let part = |(id, html): &(&str, &str)| Part { id: (*id).to_owned(), html: (*html).to_owned() };
        let parts: Vec<Part> = parts.iter().map(part).collect();
        Shown::of(web::all(&parts), parts)
    }

    #[test]
    fn what_differs_is_sent_and_all_where_the_parts_are_others() {
        let before = shown(&[("a", "<p>1</p>"), ("b", "<p>1</p>")]);
        let now = shown(&[("a", "<p>1</p>"), ("b", "<p>2\n</p>")]);
        let text = now.since(Some(&before));
        let expect = "data: {\"parts\":[{\"html\":\"<p>2\\n</p>\",\"id\":\"b\"}]}\n\n";
        assert_eq!(text, format!("id: {}\n{expect}", now.digest));
        let more = shown(&[("a", "<p>1</p>"), ("b", "<p>1</p>"), ("c", "<p>3</p>")]);
        assert!(more.since(Some(&before)).contains("{\"whole\":\"<p>1</p><p>1</p><p>3</p>\"}"));
        assert!(before.since(None).contains("whole"));
    }

    #[test]
    fn a_topic_is_one_for_all_and_ends_with_the_last() {
        let streams = Streams::default();
        let eye = Eye { role: crate::tokens::Role::Viewer, servers: Vec::new(), csrf: String::new() };
        let topic = |page: &str| Topic { page: page.to_owned(), eye: eye.clone() };
        let (sender, first) = streams.begin(&topic("/"), shown(&[])).ok().unwrap();
        let sender = sender.unwrap();
        let second = streams.find(&topic("/")).unwrap();
        let (none, third) = streams.begin(&topic("/"), shown(&[])).ok().unwrap();
        assert!(none.is_none() && sender.receiver_count() == 3);
        drop((first, second));
        assert!(!streams.end(&topic("/"), &sender), "somebody looks");
        drop(third);
        assert!(streams.end(&topic("/"), &sender) && streams.find(&topic("/")).is_none());
        let kept: Vec<_> = (0..TOPICS_MAX)
            .map(|n| streams.begin(&topic(&format!("/{n}")), shown(&[])).ok().unwrap())
            .collect();
        assert!(streams.begin(&topic("/more"), shown(&[])).is_err());
        drop(kept);
    }
}
