//! Owns the helper's side of the socket: one connection after another, each asked of the kernel who it is, each with a
//! deadline, each written down. When nobody has come for a while it ends; systemd holds the socket and starts it anew.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use systemd::Systemd;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{UnixListener, UnixStream};

use crate::allowed::Allowed;
use crate::desk::Desk;
use crate::request::{Answer, Order, REQUEST_BYTES_MAX, Request};

/// How long a whole request may take to come, and the answer to be taken.
const TALK_MAX: Duration = Duration::from_secs(2);

/// How long carrying out may take: systemd reads its units anew.
const CARRY_MAX: Duration = Duration::from_secs(45);

/// How long after a connection that could not be taken the next one is: whatever is wrong must not make us spin.
const ACCEPT_PAUSE: Duration = Duration::from_millis(200);

/// What the service works with.
#[derive(Debug)]
pub struct Setup {
    /// `/`, but for tests.
    pub root: PathBuf,
    /// Who owns the list, normally [`crate::OWNER`].
    pub owner: u32,
    /// The systemd of this machine.
    pub systemd: Systemd,
    /// How long it waits for somebody to come before it ends.
    pub idle: Duration,
}

/// Answers until nobody has come for so long. Requests are carried out one after another, so that none comes between
/// the look and the change of another.
///
/// To be called where tokio runs.
pub async fn run(listener: UnixListener, setup: &Setup) {
    let desk = Desk::new(&setup.root, setup.systemd.clone());
    loop {
        match tokio::time::timeout(setup.idle, listener.accept()).await {
            Ok(Ok((stream, _))) => talk(stream, setup, &desk).await,
            Ok(Err(error)) => {
                tracing::error!(%error, "a connection could not be taken");
                tokio::time::sleep(ACCEPT_PAUSE).await;
            }
            Err(_) => return,
        }
    }
}

/// One connection: one request, one answer.
async fn talk(mut stream: UnixStream, setup: &Setup, desk: &Desk) {
    let Ok(peer) = stream.peer_cred() else { return };
    let (uid, pid) = (peer.uid(), peer.pid().unwrap_or(0));
    let bytes = match tokio::time::timeout(TALK_MAX, receive(&mut stream)).await {
        Ok(Ok(bytes)) => bytes,
        Ok(Err(error)) => return tracing::warn!(uid, pid, %error, "a request did not come"),
        Err(_) => {
            let reason = format!("no whole request came within {TALK_MAX:?}");
            tracing::warn!(uid, pid, reason, "refused");
            return send(stream, &Answer::Refused { reason, before: None }).await;
        }
    };
    let request = Request::parse(&bytes).and_then(|request| request.order().map(|order| (request, order)));
    let answer = match Allowed::read(&setup.root, setup.owner) {
        Err(error) => Answer::Refused { reason: crate::words(&error), before: None },
        Ok(allowed) if !allowed.has_user(uid) => {
            Answer::Refused { reason: format!("user {uid} may ask for nothing here"), before: None }
        }
        Ok(allowed) => match &request {
            Err(error) => Answer::Refused { reason: error.to_string(), before: None },
            Ok((_, order)) => match tokio::time::timeout(CARRY_MAX, desk.carry_out(order, &allowed)).await {
                Ok(answer) => answer,
                Err(_) => Answer::Failed {
                    reason: format!("systemd was not done within {CARRY_MAX:?}; it may be so all the same"),
                    before: None,
                },
            },
        },
    };
    let asked = request.map_or_else(|_| "what is no request".to_owned(), |(_, order)| told(&order));
    match &answer {
        Answer::Done { .. } => tracing::info!(uid, pid, asked, "done"),
        Answer::Refused { reason, .. } => tracing::warn!(uid, pid, asked, reason, "refused"),
        Answer::Failed { reason, .. } => tracing::error!(uid, pid, asked, reason, "failed"),
    }
    send(stream, &answer).await;
}

/// Up to the end of the first line, or of the connection, or of what a request may have and one byte more.
async fn receive(stream: &mut UnixStream) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::with_capacity(1024);
    let mut rest = stream.take(REQUEST_BYTES_MAX as u64 + 1);
    while !bytes.contains(&b'\n') && rest.read_buf(&mut bytes).await? > 0 {}
    Ok(bytes)
}

async fn send(mut stream: UnixStream, answer: &Answer) {
    let line = serde_json::to_string(answer).unwrap_or_default() + "\n";
    // Whoever does not want to hear it need not: it is done, and written down.
    let _ = tokio::time::timeout(TALK_MAX, stream.write_all(line.as_bytes())).await;
}

/// What was asked for, for the log: names, and no value of a variable.
fn told(order: &Order) -> String {
    match order {
        Order::DropIn { unit, topic, new: None, .. } => format!("remove {} of {unit}", topic.as_str()),
        Order::DropIn { unit, topic, new: Some(new), .. } => {
            let names: Vec<String> = new.settings().iter().map(systemd::drop_in::Setting::told).collect();
            format!("write {} of {unit}: {}", topic.as_str(), names.join(", "))
        }
        Order::Parameter { key, to, .. } => format!("set {key} to {}", to.live),
        Order::Contain { server, to: Some(to), .. } => format!("contain {server}: {}", to.words()),
        Order::Contain { server, to: None, .. } => format!("release {server}"),
    }
}
