//! Owns the meeting of both sides: frames go through while the door to a server is open, are held for a moment while
//! it is closed, and are answered with an error after that.
//!
//! The threads of `pumps` call it, and wait in it; the keeper opens and closes the door.

mod forbidding;
mod limiting;

use std::sync::atomic::AtomicBool;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::{mpsc, oneshot};

use super::batch::Verdict;
use super::gate::Gate;
use super::handshake::{Replay, announcements};
use super::ledger::{Ledger, Note, Noted};
use super::record::Record;
use super::streams::{Inlet, Outlet};
use super::terms::Terms;
use crate::envelope::{self, SERVER_ERROR};
use crate::metrics::Method;

/// An answer to the guard's own question is shorter; what is longer is passed on before it is read along.
const OWN_BYTES_MAX: usize = 16 << 10;

/// Both sides.
pub(crate) struct Relay {
    pub(crate) client: Outlet,
    pub(crate) record: Record,
    /// How long frames are held at most.
    hold: Duration,
    inner: Mutex<Inner>,
    changed: Condvar,
    /// Whether an announcement is about to be made.
    announcing: AtomicBool,
    signals: mpsc::UnboundedSender<Signal>,
}

struct Inner {
    ledger: Ledger,
    door: Door,
    /// The server that there is; 0 for none.
    generation: u64,
    /// Whom the guard's own questions are for, by number.
    questions: Vec<(u64, oneshot::Sender<()>)>,
    n_questions: u64,
}

/// The way to a server.
enum Door {
    /// It takes frames.
    Open(Arc<Inlet>),
    /// There is none yet, or not again: frames are held until this moment, and then refused for this reason.
    Closed { hold_until: Instant, reason: String },
    /// The client is gone, and frames are for nobody.
    Gone,
}

/// What the keeper is told; a few for each server.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Signal {
    /// The client is gone.
    ClientGone(Gone),
    /// The server of this generation has met its client.
    Met(u64),
    /// The server of this generation has said this to the handshake that was replayed.
    Replayed(u64, Result<String, String>),
    /// It was told the rest, takes frames now, and is in this way another one than the client has met.
    Greeted(u64, Option<String>),
    /// The server of this generation has closed its output.
    Silent(u64),
}

/// How a client is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Gone {
    /// It has closed its output, and may read on.
    Closed,
    /// It does not read any more.
    Unreachable,
    /// It, or somebody else, has told the guard to end.
    Told,
}

// === impl Relay ===

impl Relay {
    /// `word` is random; frames are held for so long until the first server is there, and then refused for this reason.
    pub(crate) fn new(
        client: Outlet,
        record: Record,
        word: u128,
        (gate, terms): (Gate, Terms),
        (hold, reason): (Duration, &str),
        signals: mpsc::UnboundedSender<Signal>,
    ) -> Self {
        let door = Door::Closed { hold_until: Instant::now() + hold, reason: reason.to_owned() };
        let ledger = Ledger::new(word, gate, terms);
        let inner = Inner { ledger, door, generation: 0, questions: Vec::new(), n_questions: 0 };
        let (changed, announcing) = (Condvar::new(), AtomicBool::new(false));
        Self { client, record, hold, inner: Mutex::new(inner), changed, announcing, signals }
    }

    // --- from the client ---

    /// Passes a frame of the client on.
    pub(crate) fn client_said(&self, frame: &[u8]) {
        let mut before = false;
        loop {
            let mut inner = self.at_the_door();
            let inlet = match &inner.door {
                Door::Open(inlet) => Arc::clone(inlet),
                Door::Closed { reason, .. } => {
                    let reason = reason.clone();
                    let ids = inner.ledger.refused(frame);
                    drop(inner);
                    return self.refuse(&ids, &reason);
                }
                Door::Gone => return,
            };
            let mut notes = Vec::new();
            let noted = match before {
                false => inner.ledger.client_said(frame, Instant::now(), &mut notes),
                true => inner.ledger.client_said_before(frame, Instant::now(), &mut notes),
            };
            drop(inner);
            self.record.client_said(frame.len(), &notes);
            if !std::mem::replace(&mut before, true) {
                self.say_refusals(&notes);
            }
            let frame = match &noted.verdict {
                Verdict::Pass => frame,
                Verdict::Instead(other) => other,
                Verdict::Drop => return,
            };
            if inlet.write(frame).is_ok() || !self.comes_back(&inlet, &noted) {
                return;
            }
        }
    }

    /// Where the parts of a frame go that is too long to be read along; none where there is no server in time.
    pub(crate) fn way_for_parts(&self) -> Option<Arc<Inlet>> {
        let inner = self.at_the_door();
        match &inner.door {
            // Nobody knows what is in it.
            Door::Open(_) if inner.ledger.gate.is_restricting() || inner.ledger.terms.bounds_requests() => {
                None
            }
            Door::Open(inlet) => Some(Arc::clone(inlet)),
            Door::Closed { .. } | Door::Gone => None,
        }
    }

    /// The frame was not taken, so it was not carried out: it is for the next server, unless it was answered.
    fn comes_back(&self, inlet: &Arc<Inlet>, noted: &Noted) -> bool {
        let mut inner = self.lock();
        if let Door::Open(open) = &inner.door
            && Arc::ptr_eq(open, inlet)
        {
            let reason = self.record.reason("takes no more input");
            inner.door = Door::Closed { hold_until: Instant::now() + self.hold, reason };
        }
        inner.ledger.take_back(noted)
    }

    fn refuse(&self, ids: &[String], reason: &str) {
        for id in ids {
            self.record.refused();
            self.say(&error(id, reason));
        }
    }

    /// Waits until frames can be passed on or refused.
    fn at_the_door(&self) -> MutexGuard<'_, Inner> {
        let mut inner = self.lock();
        loop {
            let Door::Closed { hold_until, .. } = &inner.door else { return inner };
            let left = hold_until.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return inner;
            }
            inner = self.changed.wait_timeout(inner, left).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    // --- from the server ---

    /// Passes a frame of the server on. One without a line feed at its end is the server's last word: it counts only if
    /// it is whole.
    pub(crate) fn server_said(&self, generation: u64, frame: &[u8]) {
        let ended = frame.ends_with(b"\n");
        if !ended && serde_json::from_slice::<serde::de::IgnoredAny>(frame).is_err() {
            return self.record.garbage(frame, "its last line broke off", "not passed on");
        }
        // What is for the guard is short, as a rule.
        let early = frame.len() > OWN_BYTES_MAX && !self.lock().ledger.must_look();
        if early {
            self.pass(frame, ended);
        }
        let mut notes = Vec::new();
        let verdict = {
            let mut inner = self.lock();
            let verdict = inner.ledger.server_said(frame, Instant::now(), &mut notes);
            for note in &notes {
                if let Note::Own(number) = note {
                    inner.questions.extract_if(.., |(asked, _)| asked == number).for_each(|(_, reply)| {
                        // Whoever asked may not wait any more.
                        let _ = reply.send(());
                    });
                }
            }
            verdict
        };
        match verdict {
            _ if early => {}
            Verdict::Pass => self.pass(frame, ended),
            Verdict::Instead(other) => self.pass(&other, other.ends_with(b"\n")),
            Verdict::Drop => {}
        }
        self.record.server_said(frame, &notes);
        for note in notes {
            match note {
                Note::Met => self.signal(Signal::Met(generation)),
                Note::Replayed(result) => self.signal(Signal::Replayed(generation, result)),
                _ => {}
            }
        }
    }

    fn pass(&self, frame: &[u8], ended: bool) {
        let mut client = self.client.hold();
        let result = client.write(frame).and_then(|()| if ended { Ok(()) } else { client.part(b"\n") });
        drop(client);
        if result.is_err() {
            self.signal(Signal::ClientGone(Gone::Unreachable));
        }
    }

    /// Says something of the guard's own to the client.
    pub(crate) fn say(&self, line: &[u8]) {
        self.pass(line, true);
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // The keeper is gone only when all is over.
        let _ = self.signals.send(signal);
    }

    // --- for the keeper ---

    /// Lets frames through to the server of this generation, unless it has ended meanwhile.
    pub(crate) fn open(&self, generation: u64, inlet: &Arc<Inlet>) {
        let mut inner = self.lock();
        if inner.generation == generation {
            inner.door = Door::Open(Arc::clone(inlet));
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// There is no server. Frames are held until then; later ones are refused for this reason.
    pub(crate) fn close(&self, hold_until: Instant, reason: &str) {
        let mut inner = self.lock();
        inner.generation = 0;
        if !matches!(inner.door, Door::Gone) {
            inner.door = Door::Closed { hold_until, reason: reason.to_owned() };
        }
        drop(inner);
        self.changed.notify_all();
    }

    /// The client is gone.
    pub(crate) fn leave(&self) {
        self.lock().door = Door::Gone;
        self.changed.notify_all();
    }

    /// There is a new server. Returns what it is told before its door is opened.
    pub(crate) fn begins(&self, generation: u64) -> Replay {
        let mut inner = self.lock();
        inner.generation = generation;
        inner.ledger.handshake.replay()
    }

    /// Ends the replay, which this was the answer to: says to the server what the client had said last, opens the door,
    /// and tells the client that what is offered may be another. Returns in which way the server is another one than the
    /// client knows. Waits for both of them to read.
    pub(crate) fn greeted(&self, generation: u64, inlet: &Arc<Inlet>, result: &str) -> Option<String> {
        let (difference, line) = {
            let handshake = &self.lock().ledger.handshake;
            (handshake.difference(result), handshake.closing_line())
        };
        // A client that has not said it yet is held with it before the door.
        if let Some(line) = line {
            // A server that takes no more input has ended, and that is seen elsewhere.
            let _ = inlet.write(&line);
        }
        self.open(generation, inlet);
        announcements(result).iter().for_each(|line| self.say(line));
        difference
    }

    /// Holds frames for a while, as the server has ended; later ones are refused for this reason.
    pub(crate) fn wait(&self, reason: &str) {
        self.close(Instant::now() + self.hold, reason);
    }

    /// The server has ended, and its door is closed: whoever waits is answered with an error, and what it has asked is
    /// taken back. Nobody waits here for the client to read: the thread that is returned does.
    pub(crate) fn bury(self: &Arc<Self>, reason: String) -> Option<std::thread::JoinHandle<()>> {
        let (waiting, open) = self.lock().ledger.server_ended();
        let relay = Arc::clone(self);
        // On a thread, and not in the runtime: a client that never reads must not keep the guard from ending.
        let told = std::thread::Builder::new().name("errors".to_owned()).spawn(move || {
            for request in waiting {
                relay.say(&error(&request.id, &reason));
                relay.record.lost(&request, request.since.elapsed(), &reason);
            }
            for id in open {
                let params = format!("{{\"requestId\":{id},\"reason\":\"the server has ended\"}}");
                let mut line = envelope::notification("notifications/cancelled", Some(&params));
                line.push(b'\n');
                relay.say(&line);
            }
        });
        told.inspect_err(|error| tracing::error!(%error, "nobody can be told of the end of the server")).ok()
    }

    /// Asks the server how it is; the answer arrives as nothing but the fact that there is one. None while the two
    /// have not met, or there is no server.
    pub(crate) fn ask(&self) -> Option<oneshot::Receiver<()>> {
        let mut inner = self.lock();
        let Door::Open(inlet) = &inner.door else { return None };
        let inlet = Arc::clone(inlet);
        let (method, params) = inner.ledger.handshake.health_question()?;
        inner.n_questions += 1;
        let number = inner.n_questions;
        let (reply, answer) = oneshot::channel();
        // One question is open at a time; what is left of earlier ones nobody waits for.
        inner.questions.retain(|(_, reply)| !reply.is_closed());
        inner.questions.push((number, reply));
        let id = inner.ledger.own_id(number);
        drop(inner);
        inlet.slip_in(envelope::request_as(&id, method, params.as_deref()));
        Some(answer)
    }

    pub(crate) fn is_met(&self) -> bool {
        self.lock().ledger.handshake.is_met()
    }

    pub(crate) fn initializing_since(&self) -> Option<Instant> {
        self.lock().ledger.initializing_since()
    }

    pub(crate) fn youngest_call(&self) -> Option<Duration> {
        self.lock().ledger.youngest_call(Instant::now())
    }

    /// What the client waits for, and for how long.
    pub(crate) fn running(&self, now: Instant) -> Vec<(Method, Duration)> {
        self.lock().ledger.running(now)
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        // Nothing here is left half done by a panic.
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn error(id: &str, reason: &str) -> Vec<u8> {
    let mut line = envelope::error(Some(id), SERVER_ERROR, reason);
    line.push(b'\n');
    line
}
