//! Owns the change of one guard for another at the same port, without a connection refused or a call lost.
//!
//! The successor asks for the listening socket over the control socket (`hand_over`, answered by a descriptor over a
//! socket of its own), starts its server, and only when that is ready tells the predecessor to retire. From then on the
//! successor takes the connections; whatever came in between waits in the kernel's queue, which is the same. The
//! predecessor answers what it has begun, closes each connection with its next answer, and ends. A successor whose server does not
//! start, or that dies before it is in charge, changes nothing.

use std::fs;
use std::io::{self, IoSlice, IoSliceMut};
use std::mem::MaybeUninit;
use std::net::TcpListener;
use std::os::fd::{AsFd as _, OwnedFd};
use std::os::unix::fs::MetadataExt as _;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use process::Lock;
use process::control::lock_path;
use process::control::{Client, Message, Outcome, Phase, Request};
use rustix::net::{
    RecvAncillaryBuffer, RecvAncillaryMessage, RecvFlags, SendAncillaryBuffer, SendAncillaryMessage,
    SendFlags,
};
use tokio::sync::{mpsc, oneshot, watch};

use crate::admin::Governed as _;
use crate::child::Order;
use crate::log::{About, Level};
use crate::state::Guard;

/// Both are on this machine, and neither has to think about it.
const ANSWER_MAX: Duration = Duration::from_secs(5);
/// How long connections stay open that nothing is asked on: a request that is on its way finds somebody.
const LAME_DUCK: Duration = Duration::from_secs(3);
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// Who takes the connections that come.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Stage {
    /// This guard.
    Serving,
    /// Another one is about to.
    Retired,
    /// Another one does.
    Succeeded,
}

/// What makes a guard the one of its name.
#[derive(Debug)]
pub(crate) struct Port {
    stage: watch::Sender<Stage>,
    held: Mutex<Option<Held>>,
}

#[derive(Debug)]
struct Held {
    /// None while another guard may have it.
    lock: Option<Lock>,
    listener: OwnedFd,
    control: PathBuf,
    /// Which file the control socket is: its device and number.
    file: (u64, u64),
}

/// The guard that is to be replaced.
pub(crate) struct Predecessor {
    client: Client,
    messages: mpsc::Receiver<Message>,
    control: PathBuf,
    pub(crate) pid: i32,
}

/// Why a guard was not replaced.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HandoverError {
    /// The guard that runs says no, or nothing.
    #[error("the guard that runs does not hand its port over: {0}")]
    Refused(String),
    /// Something between the two failed.
    #[error("cannot {0}")]
    System(&'static str, #[source] io::Error),
    /// The server behind the new guard is not ready, so the old one goes on.
    #[error("the server behind the new guard did not start, and the guard that runs goes on: {0}")]
    NotReady(String),
}

// === impl Port: the predecessor ===

impl Port {
    pub(crate) fn new() -> Self {
        Self { stage: watch::Sender::new(Stage::Serving), held: Mutex::default() }
    }

    /// This guard is the one of its name from now on.
    pub(crate) fn keep(&self, lock: Lock, listener: OwnedFd, control: &Path) {
        let (lock, control, file) = (Some(lock), control.to_owned(), file(control).unwrap_or_default());
        *self.lock() = Some(Held { lock, listener, control, file });
    }

    /// Who takes connections, as it changes.
    pub(crate) fn stage(&self) -> watch::Receiver<Stage> {
        self.stage.subscribe()
    }

    pub(crate) fn is_serving(&self) -> bool {
        *self.stage.borrow() == Stage::Serving
    }

    /// Sends the listening socket to whoever listens at `to`.
    pub(crate) fn hand_over(&self, to: &Path) -> Result<(), String> {
        let held = self.lock();
        let held = held.as_ref().ok_or("this guard has no port yet")?;
        send(to, &held.listener).map_err(|error| format!("cannot send the socket: {error}"))
    }

    /// Takes no connections any more, so that another guard may.
    pub(crate) fn retire(&self) -> Result<(), String> {
        let mut held = self.lock();
        let held = held.as_mut().ok_or("this guard has no port yet")?;
        held.lock = None;
        self.stage.send_replace(Stage::Retired);
        Ok(())
    }

    /// Whoever has had it retire has hung up: it is in charge, or it has died, and then this guard goes on.
    pub(crate) fn settle(&self, guard: &Guard) {
        let mut held = self.lock();
        let Some(held) = held.as_mut() else { return };
        if *self.stage.borrow() != Stage::Retired {
            return;
        }
        if file(&held.control) == Some(held.file)
            && let Ok(lock) = Lock::acquire(&lock_path(&held.control))
        {
            held.lock = Some(lock);
            self.stage.send_replace(Stage::Serving);
            let message = "another guard was to take the port over and did not: this one goes on";
            return guard.note(Level::Error, About::Audit, message, []);
        }
        self.stage.send_replace(Stage::Succeeded);
        let message = "another guard has taken the port over: this one finishes what runs, and ends";
        guard.note(Level::Info, About::Audit, message, []);
    }

    fn lock(&self) -> MutexGuard<'_, Option<Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Ends a guard that has a successor, once nothing runs any more.
pub(crate) async fn finish(guard: Arc<Guard>, orders: mpsc::Sender<Order>) {
    // Its sender is part of the guard.
    let _ = guard.port.stage().wait_for(|stage| *stage == Stage::Succeeded).await;
    let since = Instant::now();
    while since.elapsed() < LAME_DUCK || guard.in_flight() > 0 {
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let (reply, _) = oneshot::channel();
    // It fails only if a shutdown is being carried out already.
    let _ = orders.send(Order::Shutdown { by: "its successor".to_owned(), reply }).await;
}

/// Which file this is.
pub(crate) fn file(path: &Path) -> Option<(u64, u64)> {
    fs::metadata(path).ok().map(|metadata| (metadata.dev(), metadata.ino()))
}

fn send(to: &Path, listener: &OwnedFd) -> io::Result<()> {
    let stream = UnixStream::connect(to)?;
    stream.set_write_timeout(Some(ANSWER_MAX))?;
    let descriptors = [listener.as_fd()];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = SendAncillaryBuffer::new(&mut space);
    control.push(SendAncillaryMessage::ScmRights(&descriptors));
    rustix::net::sendmsg(&stream, &[IoSlice::new(b".")], &mut control, SendFlags::empty())?;
    Ok(())
}

fn receive(from: &UnixListener) -> io::Result<OwnedFd> {
    let (stream, _) = from.accept()?;
    stream.set_nonblocking(false)?;
    stream.set_read_timeout(Some(ANSWER_MAX))?;
    let mut byte = [0];
    let mut space = [MaybeUninit::uninit(); rustix::cmsg_space!(ScmRights(1))];
    let mut control = RecvAncillaryBuffer::new(&mut space);
    rustix::net::recvmsg(&stream, &mut [IoSliceMut::new(&mut byte)], &mut control, RecvFlags::CMSG_CLOEXEC)?;
    let descriptors = control.drain().find_map(|message| match message {
        RecvAncillaryMessage::ScmRights(mut descriptors) => descriptors.next(),
        _ => None,
    });
    descriptors.ok_or_else(|| io::Error::other("no descriptor came"))
}

// === impl Predecessor: the successor ===

impl Predecessor {
    /// The guard that has this control socket; none where nobody answers there.
    pub(crate) async fn meet(control: &Path) -> Option<Self> {
        let (client, mut messages) = Client::connect(control).await.ok()?;
        match tokio::time::timeout(ANSWER_MAX, messages.recv()).await {
            Ok(Some(Message::Hello { status })) => {
                Some(Self { client, messages, control: control.to_owned(), pid: status.guard.pid })
            }
            _ => None,
        }
    }

    /// Its listening socket, which it goes on to use.
    pub(crate) async fn listener(&mut self) -> Result<TcpListener, HandoverError> {
        let fail = |what| move |source| HandoverError::System(what, source);
        // In the folder of the control socket, where nobody else may write.
        let mut to = self.control.as_os_str().to_owned();
        to.push(format!(".{}", std::process::id()));
        let to = PathBuf::from(to);
        let _ = fs::remove_file(&to);
        let socket = UnixListener::bind(&to).map_err(fail("make a socket for the descriptor"))?;
        let request = Request::HandOver { id: 1, to: to.clone() };
        let asked = self.ask(&request, 1).await;
        let _ = fs::remove_file(&to);
        asked?;
        // It is there already: the answer came after it.
        let _ = socket.set_nonblocking(true);
        let listener = TcpListener::from(receive(&socket).map_err(fail("receive the listening socket"))?);
        listener.set_nonblocking(true).map_err(fail("use the listening socket"))?;
        Ok(listener)
    }

    /// Has it take no connections any more. It goes on if `self` is gone before another has the control socket.
    pub(crate) async fn retire(&mut self) -> Result<(), HandoverError> {
        self.ask(&Request::Retire { id: 2 }, 2).await
    }

    async fn ask(&mut self, request: &Request, number: u64) -> Result<(), HandoverError> {
        self.client.send(request).await.map_err(|error| HandoverError::Refused(error.to_string()))?;
        let answer = async {
            while let Some(message) = self.messages.recv().await {
                if let Message::Reply { id, outcome } = message
                    && id == number
                {
                    return match outcome {
                        Outcome::Ok(_) => Ok(()),
                        Outcome::Error(reason) => Err(HandoverError::Refused(reason)),
                    };
                }
            }
            Err(HandoverError::Refused("it is gone".to_owned()))
        };
        let late = || Err(HandoverError::Refused(format!("no answer within {} s", ANSWER_MAX.as_secs())));
        tokio::time::timeout(ANSWER_MAX, answer).await.unwrap_or_else(|_| late())
    }
}

/// Waits until the server of a new guard is ready.
pub(crate) async fn ready(guard: &Guard) -> Result<(), HandoverError> {
    let mut events = guard.listen_to_events();
    loop {
        let phase = guard.state().phase;
        match phase {
            Phase::Ready => return Ok(()),
            Phase::Starting | Phase::Installing => {}
            Phase::Exited | Phase::Failed | Phase::Stopped => {
                return Err(HandoverError::NotReady(guard.unavailable()));
            }
        }
        // An upstream says nothing of how it gets on, so it is looked at as well.
        let _ = tokio::time::timeout(LOOK_EVERY, events.recv()).await;
    }
}
