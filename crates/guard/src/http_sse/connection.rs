//! Owns the streams of HTTP+SSE that are open: whose they are, what runs for them, and their end.

use std::collections::HashMap;
use std::future::Future;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use http::request::Parts;
use http::{HeaderMap, HeaderName, HeaderValue, Method, Request, header};
use tokio::sync::Notify;
use tokio::task::JoinSet;

use super::{MESSAGES, PARAMETER, listening};
use crate::admin::access::Ends;
use crate::endpoint;
use crate::envelope;
use crate::handover::Stage;
use crate::log::{About, Level};
use crate::mcp::{SESSION, VERSION};
use crate::metrics::Failure;
use crate::sse::queue::{NoPlace, Sender, queue};
use crate::sse::{self, EventStream};
use crate::state::Guard;

/// How long a client may take to initialize.
const OPEN_TIMEOUT: Duration = Duration::from_secs(60);
/// What runs for one client at once, or waits until it reads.
const RUNNING_MAX: usize = 256;
/// How long the client's reading is waited for, and with how many bytes beside those of the queue.
const READ_PATIENCE: Duration = Duration::from_secs(60);
const WAITING_BYTES_MAX: usize = 32 << 20;
/// How long an upstream may take to hear that a session is over.
const FAREWELL: Duration = Duration::from_secs(5);
/// How long the last answers may take when the session behind a stream is over.
const LAST_WORDS: Duration = Duration::from_secs(2);
/// The first revision whose clients say in a header what they speak.
const NAMED_SINCE: &str = "2025-06-18";
/// What a request says of itself, and not of its client.
const OF_REQUEST: [HeaderName; 5] = [
    header::ACCEPT,
    header::CONTENT_LENGTH,
    HeaderName::from_static("last-event-id"),
    HeaderName::from_static("mcp-session-id"),
    HeaderName::from_static("mcp-protocol-version"),
];

/// All streams, by what their clients show.
#[derive(Debug, Default)]
pub(crate) struct Connections(Mutex<HashMap<String, Arc<Connection>>>);

/// One client's stream.
#[derive(Debug)]
pub(crate) struct Connection {
    /// Random, and all that a client needs to show.
    id: String,
    /// Whose it is, where clients have to show who they are.
    pub(super) user: Option<Arc<str>>,
    ends: Ends,
    /// Those of the request that has opened it.
    headers: HeaderMap,
    inner: Mutex<Inner>,
    /// Bytes that wait for the client beside those in the queue.
    waiting: AtomicUsize,
    /// Told when something is done.
    done: Notify,
}

#[derive(Debug)]
struct Inner {
    /// None once the stream is over.
    queue: Option<Sender>,
    session: Session,
    is_listening: bool,
    /// The ids of the requests that run, as JSON.
    running: HashMap<u64, Vec<Box<str>>>,
    last: u64,
    tasks: JoinSet<()>,
}

/// The session of `/mcp` behind a stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Session {
    None,
    Opening,
    /// With the headers that it is known by; an upstream may have no sessions.
    Open(HeaderMap),
}

/// Ends a stream where its body is dropped: when it was sent to its end, or its connection is gone.
struct Held(Arc<Guard>, Arc<Connection>);

impl Drop for Held {
    fn drop(&mut self) {
        self.1.end(&self.0, "its client is gone");
    }
}

/// Opens a stream.
///
/// # Errors
/// When the system gives no random bytes.
pub(super) fn open(
    guard: &Arc<Guard>,
    mut headers: HeaderMap,
    ends: Ends,
    user: Option<Arc<str>>,
) -> Result<EventStream, getrandom::Error> {
    let mut bytes = [0; 16];
    getrandom::fill(&mut bytes)?;
    for name in OF_REQUEST {
        headers.remove(name);
    }
    let (queue, events) = queue();
    let id = format!("{:032x}", u128::from_ne_bytes(bytes));
    let first = sse::named("endpoint", format!("{MESSAGES}?{PARAMETER}={id}").as_bytes());
    if let Ok(place) = queue.place(first.len()) {
        place.send(first);
    }
    let inner = Inner {
        queue: Some(queue),
        session: Session::None,
        is_listening: false,
        running: HashMap::new(),
        last: 0,
        tasks: JoinSet::new(),
    };
    let connection = Arc::new(Connection {
        id: id.clone(),
        user,
        ends,
        headers,
        inner: Mutex::new(inner),
        waiting: AtomicUsize::new(0),
        done: Notify::new(),
    });
    guard.http_sse.lock().insert(id, Arc::clone(&connection));
    connection.spawn(Box::pin(live(Arc::clone(guard), Arc::clone(&connection))));
    Ok(EventStream::new(events, Some(Box::new(Held(Arc::clone(guard), connection)))))
}

/// Ends a stream whose client never initializes, or that has to go to another guard.
async fn live(guard: Arc<Guard>, connection: Arc<Connection>) {
    let mut stage = guard.port.stage();
    tokio::select! {
        // Its sender is part of the guard.
        _ = stage.wait_for(|stage| *stage == Stage::Succeeded) => {}
        () = connection.is_late() => {
            return connection.end(&guard, "its client has not initialized in time");
        }
    }
    connection.finish().await;
    connection.end(&guard, "another guard has the port now");
}

// === impl Connections ===

impl Connections {
    pub(super) fn find(&self, id: &str) -> Option<Arc<Connection>> {
        self.lock().get(id).cloned()
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<String, Arc<Connection>>> {
        // Every change of it is one insertion or removal.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

// === impl Connection ===

impl Connection {
    /// The head of a request to `/mcp` that stands for one of the client with these headers.
    pub(super) fn request(&self, method: &Method, headers: &HeaderMap) -> Parts {
        let mut headers = headers.clone();
        if self.user.is_some() {
            // It is for the guard, and for nobody behind it.
            headers.remove(header::AUTHORIZATION);
        }
        for name in OF_REQUEST {
            headers.remove(name);
        }
        let accept = "application/json, text/event-stream";
        headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
        if let Session::Open(session) = &self.lock().session {
            headers.extend(session.clone());
        }
        let mut request = Request::new(());
        *request.method_mut() = method.clone();
        *request.headers_mut() = headers;
        request.into_parts().0
    }

    /// The same for what the guard does for this client.
    pub(super) fn own_request(&self, method: &Method) -> (Parts, Ends) {
        (self.request(method, &self.headers), self.ends)
    }

    /// Whether a session may be opened now. It is being opened then.
    pub(super) fn begin_session(&self) -> bool {
        let mut inner = self.lock();
        let may = inner.session == Session::None;
        if may {
            inner.session = Session::Opening;
        }
        may
    }

    /// It was not opened.
    pub(super) fn no_session(&self) {
        self.lock().session = Session::None;
    }

    /// It was opened, and has this id and speaks this revision. False where the stream is over meanwhile.
    pub(super) fn opened(&self, id: Option<HeaderValue>, version: Option<&str>) -> bool {
        let mut headers = HeaderMap::new();
        if let Some(id) = id {
            headers.insert(&SESSION, id);
        }
        let version = version.filter(|version| *version >= NAMED_SINCE);
        if let Some(version) = version.and_then(|version| HeaderValue::from_str(version).ok()) {
            headers.insert(&VERSION, version);
        }
        let mut inner = self.lock();
        inner.session = Session::Open(headers);
        inner.queue.is_some()
    }

    /// Notes requests that run now; none where there are too many.
    pub(super) fn begin(&self, ids: Vec<Box<str>>) -> Option<u64> {
        let mut inner = self.lock();
        if inner.running.len() >= RUNNING_MAX {
            return None;
        }
        inner.last += 1;
        let number = inner.last;
        inner.running.insert(number, ids);
        Some(number)
    }

    pub(super) fn done(&self, number: u64) {
        self.lock().running.remove(&number);
        self.done.notify_waiters();
    }

    /// Returns when its client ought to have initialized, and has not.
    async fn is_late(&self) {
        tokio::time::sleep(OPEN_TIMEOUT).await;
        if self.lock().session != Session::None {
            std::future::pending().await
        }
    }

    /// Waits until nothing runs.
    pub(super) async fn finish(&self) {
        loop {
            let done = self.done.notified();
            tokio::pin!(done);
            // From here on it is told.
            done.as_mut().enable();
            if self.lock().running.is_empty() {
                return;
            }
            done.await;
        }
    }

    /// Does something for as long as the stream is open.
    pub(super) fn spawn(&self, task: std::pin::Pin<Box<dyn Future<Output = ()> + Send>>) {
        let mut inner = self.lock();
        while inner.tasks.try_join_next().is_some() {}
        if inner.queue.is_some() {
            inner.tasks.spawn(task);
        }
    }

    /// Passes on what the session's own stream says, from now on.
    pub(super) fn listen(self: &Arc<Self>, guard: &Arc<Guard>) {
        let is_first = !std::mem::replace(&mut self.lock().is_listening, true);
        if is_first {
            self.spawn(Box::pin(listening::listen(Arc::clone(guard), Arc::clone(self))));
        }
    }

    /// Says something to the client as soon as it reads. A client that does not is let go.
    pub(super) async fn say(&self, guard: &Arc<Guard>, message: &[u8]) {
        let Some(queue) = self.lock().queue.clone() else { return };
        let event = sse::event(&single_line(message));
        let bytes = event.len();
        let place = match queue.place(bytes) {
            Err(NoPlace::Full) => {
                let waiting = self.waiting.fetch_add(bytes, Ordering::Relaxed);
                let patience = if waiting > WAITING_BYTES_MAX { Duration::ZERO } else { READ_PATIENCE };
                let place = tokio::time::timeout(patience, queue.wait(bytes)).await;
                self.waiting.fetch_sub(bytes, Ordering::Relaxed);
                place.unwrap_or(Err(NoPlace::Full))
            }
            place => place,
        };
        match place {
            Ok(place) => place.send(event),
            Err(NoPlace::Closed) => {}
            Err(NoPlace::Full) => {
                guard.metrics.failed(Failure::Timeout);
                self.end(guard, "its client does not read");
            }
        }
    }

    /// The session behind the stream is over: who waits is still answered, and then the stream ends.
    pub(super) async fn over(&self, guard: &Arc<Guard>, why: &str) {
        let _ = tokio::time::timeout(LAST_WORDS, self.finish()).await;
        self.end(guard, why);
    }

    /// Ends the stream, what runs for it, and its session. The first time counts.
    fn end(&self, guard: &Arc<Guard>, why: &str) {
        guard.http_sse.lock().remove(&self.id);
        let (tasks, running, session) = {
            let mut inner = self.lock();
            if inner.queue.take().is_none() {
                return;
            }
            let session = std::mem::replace(&mut inner.session, Session::None);
            (std::mem::take(&mut inner.tasks), std::mem::take(&mut inner.running), session)
        };
        let shown = self.id.get(..8).unwrap_or_default();
        let fields = [("stream", shown.into()), ("address", self.ends.client.ip().to_string().into())];
        guard.note(Level::Info, About::Audit, &format!("a stream of HTTP+SSE ended: {why}"), fields);
        if let Session::Open(session) = session {
            self.leave(guard, session, running.into_values().flatten().collect());
        }
        // It may be the one that runs here; then it ends where it waits next.
        drop(tasks);
    }

    /// Ends the session behind a stream that is over, and what runs in it.
    pub(super) fn leave(&self, guard: &Arc<Guard>, session: HeaderMap, running: Vec<Box<str>>) {
        // The runtime is gone where the whole guard ends, and its children with it.
        let Ok(runtime) = tokio::runtime::Handle::try_current() else { return };
        let ((mut post, ends), (mut delete, _)) =
            (self.own_request(&Method::POST), self.own_request(&Method::DELETE));
        let guard = Arc::clone(guard);
        runtime.spawn(async move {
            post.headers.extend(session.clone());
            post.headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
            delete.headers.extend(session);
            let goodbye = async {
                // What runs at a child ends with its session.
                for id in running.iter().filter(|_| guard.upstream.is_some()) {
                    let params = format!("{{\"requestId\":{id},\"reason\":\"its client is gone\"}}");
                    let told = envelope::notification("notifications/cancelled", Some(&params));
                    endpoint::post(&guard, &post, told.into(), ends).await;
                }
                endpoint::delete(&guard, &delete, ends).await;
            };
            let _ = tokio::time::timeout(FAREWELL, goodbye).await;
        });
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Every change of it is whole.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// JSON has line breaks only between tokens, where a space is the same.
fn single_line(message: &[u8]) -> std::borrow::Cow<'_, [u8]> {
    if memchr::memchr2(b'\n', b'\r', message).is_none() {
        return message.into();
    }
    message.iter().map(|byte| if matches!(byte, b'\n' | b'\r') { b' ' } else { *byte }).collect()
}
