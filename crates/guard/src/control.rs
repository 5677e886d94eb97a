//! Owns the guard's end of the control socket, whose words are described in `process::control`.

use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use process::control::{LINE_BYTES_MAX, Message, Outcome, Request, Status};
use tokio::io::{AsyncWriteExt, BufReader};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Semaphore, broadcast, mpsc, oneshot, watch};
use tokio::task::JoinSet;

use crate::admin;
use crate::child::Order;
use crate::handover;
use crate::lines::{Line, next_line};
use crate::parting;
use crate::state::{Guard, Told};

/// `serve`, some command lines, and nothing else speaks to a guard.
const CLIENTS_MAX: usize = 32;
/// Orders are carried out one after the other anyway.
const REQUESTS_MAX: u32 = 16;
/// Out of descriptors, accepting again at once would only burn time.
const ACCEPT_PAUSE: Duration = Duration::from_millis(50);
/// The last event and reply are still sent when the guard ends, if their clients read them.
const FAREWELL: Duration = Duration::from_secs(1);

/// The bound socket, whose file goes away with it.
#[derive(Debug)]
pub(crate) struct Socket {
    listener: UnixListener,
    path: PathBuf,
    /// Which file it is: that of a successor stays.
    file: Option<(u64, u64)>,
}

// === impl Socket ===

impl Socket {
    /// Binds the socket, in place of one that an earlier guard may have left. The caller holds its lock. Nobody can
    /// connect before only the owner may: the file is given its name last.
    pub(crate) fn bind(path: &Path) -> io::Result<Self> {
        let mut new = path.as_os_str().to_owned();
        new.push(".new");
        let new = PathBuf::from(new);
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = UnixListener::bind(&new)?;
        fs::set_permissions(&new, fs::Permissions::from_mode(0o600))?;
        fs::rename(&new, path)?;
        Ok(Self { listener, path: path.to_owned(), file: handover::file(path) })
    }

    pub(crate) fn listener(&self) -> &UnixListener {
        &self.listener
    }

    /// Serves clients until `leaving` says so, then says what there is to say.
    pub(crate) async fn serve(self, guard: Arc<Guard>, mut leaving: watch::Receiver<bool>) {
        let mut clients = JoinSet::new();
        loop {
            tokio::select! {
                () = parting::told(&mut leaving) => break,
                Some(_) = clients.join_next() => {}
                accepted = self.listener.accept(), if clients.len() < CLIENTS_MAX => match accepted {
                    Ok((stream, _)) => {
                        clients.spawn(client(guard.clone(), stream, leaving.clone()));
                    }
                    Err(error) => {
                        tracing::warn!(%error, "a control connection cannot be accepted");
                        tokio::time::sleep(ACCEPT_PAUSE).await;
                    }
                },
            }
        }
        let all = async { while clients.join_next().await.is_some() {} };
        let _ = tokio::time::timeout(FAREWELL, all).await;
    }
}

impl Drop for Socket {
    fn drop(&mut self) {
        // What is left behind is replaced by the next guard.
        if handover::file(&self.path) == self.file {
            let _ = fs::remove_file(&self.path);
        }
    }
}

async fn client(guard: Arc<Guard>, stream: UnixStream, leaving: watch::Receiver<bool>) {
    if let Err(error) = converse(guard, stream, leaving).await {
        tracing::debug!(%error, "a control connection broke");
    }
}

async fn converse(
    guard: Arc<Guard>,
    stream: UnixStream,
    mut leaving: watch::Receiver<bool>,
) -> io::Result<()> {
    let (reader, mut writer) = stream.into_split();
    // Before the status is taken: what happens in between is told twice rather than never.
    let mut events = guard.listen_to_events();
    say(&mut writer, &Message::Hello { status: guard.status() }).await?;
    let (replies, mut replied) = mpsc::channel(REQUESTS_MAX as usize);
    let places = Arc::new(Semaphore::new(REQUESTS_MAX as usize));
    let reading = listen(guard.clone(), reader, replies, places.clone());
    tokio::pin!(reading);
    loop {
        // In this order: what happened on the way to a reply is told before the reply.
        let message = tokio::select! {
            biased;
            event = events.recv() => match event {
                Ok(Told::Event(event)) => Message::Event { event },
                Ok(Told::Status) => Message::Hello { status: guard.status() },
                Err(broadcast::error::RecvError::Lagged(_)) => Message::Hello { status: guard.status() },
                Err(broadcast::error::RecvError::Closed) => return Ok(()),
            },
            Some(reply) = replied.recv() => reply,
            result = &mut reading => return result,
            () = parting::told(&mut leaving) => break,
        };
        say(&mut writer, &message).await?;
    }
    // All places are free when every order has its reply.
    let _ = tokio::time::timeout(FAREWELL, places.acquire_many(REQUESTS_MAX)).await;
    while let Ok(told) = events.try_recv() {
        if let Told::Event(event) = told {
            say(&mut writer, &Message::Event { event }).await?;
        }
    }
    while let Ok(reply) = replied.try_recv() {
        say(&mut writer, &reply).await?;
    }
    Ok(())
}

async fn say(writer: &mut OwnedWriteHalf, message: &Message) -> io::Result<()> {
    let mut line = serde_json::to_vec(message)?;
    line.push(b'\n');
    writer.write_all(&line).await
}

/// Hears requests until the client hangs up or says something that is none.
async fn listen(
    guard: Arc<Guard>,
    reader: OwnedReadHalf,
    replies: mpsc::Sender<Message>,
    places: Arc<Semaphore>,
) -> io::Result<()> {
    let mut reader = BufReader::new(reader);
    let mut line = Vec::new();
    // Whoever has the guard retire is there until it is in charge: then it is looked who has the port, and at nobody else's end.
    let mut settle: Option<Settle<'_>> = None;
    while next_line(&mut reader, &mut line, LINE_BYTES_MAX).await? == Line::Whole {
        let request = serde_json::from_slice::<Request>(&line)?;
        if let Request::Dependencies { dependencies } = request {
            guard.state().dependencies = dependencies;
            continue;
        }
        // At once, so that it has happened when the client hangs up.
        if let Request::Retire { id } = request {
            let reply = port(&guard, id, guard.port.retire());
            drop(settle.replace(Settle(&guard)));
            // The client may be gone: then the port is taken back.
            let _ = replies.send(reply).await;
            continue;
        }
        let Ok(place) = places.clone().acquire_owned().await else { return Ok(()) };
        let (guard, replies) = (guard.clone(), replies.clone());
        tokio::spawn(async move {
            if let Some(reply) = order(&guard, request).await {
                // The client may be gone; what it ordered is done.
                let _ = replies.send(reply).await;
            }
            drop(place);
        });
    }
    Ok(())
}

async fn order(guard: &Guard, request: Request) -> Option<Message> {
    let (reply, done) = oneshot::channel();
    let (id, order) = match request {
        Request::HandOver { id, to } => return Some(port(guard, id, guard.port.hand_over(&to))),
        // Carried out where it is heard.
        Request::Retire { .. } => return None,
        Request::Admin { id, by, verb, query, body } => {
            let (code, document) = admin(guard, &by, &verb, &query, &body).await;
            return Some(Message::Answered { id, code: code.as_u16(), document: document.to_string() });
        }
        Request::Restart { id, key, by } => (id, Order::Restart { key, by, reply }),
        Request::Start { id, key, by } => (id, Order::Start { key, by, reply }),
        Request::Stop { id, by } => (id, Order::Stop { by, reply }),
        Request::Shutdown { id } => (id, Order::Shutdown { by: "a control client".to_owned(), reply }),
        Request::Dependencies { .. } => return None,
    };
    let status: Option<Status> = match guard.orders.send(order).await {
        Ok(()) => done.await.ok(),
        Err(_) => None,
    };
    let outcome = match status {
        Some(status) => Outcome::Ok(Box::new(status)),
        None => Outcome::Error("the guard is ending".to_owned()),
    };
    Some(Message::Reply { id, outcome })
}

fn port(guard: &Guard, id: u64, done: Result<(), String>) -> Message {
    let outcome = match done {
        Ok(()) => Outcome::Ok(Box::new(guard.status())),
        Err(reason) => Outcome::Error(reason),
    };
    Message::Reply { id, outcome }
}

/// Looks who has the port when a client hangs up.
struct Settle<'a>(&'a Guard);

impl Drop for Settle<'_> {
    fn drop(&mut self) {
        self.0.port.settle(self.0);
    }
}

/// The socket is for its owner only, and so is what comes over it.
async fn admin(guard: &Guard, by: &str, verb: &str, query: &str, body: &str) -> admin::Answer {
    let query = Some(query).filter(|query| !query.is_empty());
    match admin::Verb::of(&format!("/admin/{verb}")) {
        Some(verb) => admin::carry_out(guard, verb, query, body.as_bytes(), by).await,
        None => (http::StatusCode::NOT_FOUND, serde_json::json!({ "error": "no such path" })),
    }
}
