//! Owns one connection to a guard: its messages, the orders that go out, and the answers that come back.

use std::collections::HashMap;

use process::ProcessId;
use process::control::{Client, Event as GuardEvent, ExitCause, Message, Outcome, Phase, Request, Status};
use tokio::sync::{mpsc, watch};

use super::supervisor::is_down;
use super::{Carried, Deed, Event, Order, Supervised, Verb, What};

/// A connection, and what is known through it.
pub(super) struct Link {
    client: Client,
    messages: mpsc::Receiver<Message>,
    pub(super) status: Status,
    pub(super) begun: Begun,
    next_id: u64,
    open: HashMap<u64, Deed>,
    /// Orders that are carried out by the start of the guard itself.
    starting: Vec<Deed>,
    /// Whether the guard was told to go.
    shutting_down: bool,
}

/// When a guard was started.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Begun {
    /// For this connection.
    Now,
    /// It was found.
    Before {
        /// Whether the configuration has other arguments for it now.
        outdated: bool,
    },
}

/// Why a connection ended.
pub(super) enum Ended {
    /// Nobody gives orders any more: serve is going down, and the guard stays.
    NoMoreOrders,
    /// The guard is gone.
    GuardGone(ProcessId),
    /// The guard was told to go.
    ShutDown,
}

// === impl Link ===

impl Link {
    pub(super) fn new(
        client: Client,
        messages: mpsc::Receiver<Message>,
        status: Status,
        begun: Begun,
    ) -> Self {
        Self {
            client,
            messages,
            status,
            begun,
            next_id: 1,
            open: HashMap::new(),
            starting: Vec::new(),
            shutting_down: false,
        }
    }

    /// What is known through it.
    pub(super) fn known(&self) -> Supervised {
        let outdated = self.begun == Begun::Before { outdated: true };
        Supervised { status: Some(self.status.clone()), outdated, ..Supervised::default() }
    }

    /// Counts an order as carried out once the child that is starting anyway is ready.
    pub(super) fn await_ready(&mut self, deed: Deed) {
        self.starting.push(deed);
        self.settle_starting();
    }

    /// Passes an order on to the guard.
    pub(super) async fn give(&mut self, order: Order) {
        let deed = match order {
            Order::Do(deed) => deed,
            Order::Tell(dependencies) => {
                // A guard that is gone is noticed by the end of its messages.
                let _ = self.client.send(&Request::Dependencies { dependencies }).await;
                return;
            }
        };
        let id = self.next_id;
        self.next_id += 1;
        let (key, by) = (deed.asked.key.clone(), deed.asked.by.clone());
        let request = match deed.verb {
            Verb::Restart => Request::Restart { id, key, by },
            Verb::Start => Request::Start { id, key, by },
            Verb::Stop => Request::Stop { id, by },
            Verb::ShutDown => {
                self.shutting_down = true;
                Request::Shutdown { id }
            }
        };
        match self.client.send(&request).await {
            Ok(()) => drop(self.open.insert(id, deed)),
            Err(error) => {
                let _ = deed.reply.send(Err(format!("the guard does not listen: {error}")));
            }
        }
    }

    /// Listens and passes on orders until the connection ends.
    pub(super) async fn run(
        mut self,
        orders: &mut mpsc::Receiver<Order>,
        report: &watch::Sender<Supervised>,
        server: &str,
        events: &mpsc::Sender<Event>,
    ) -> Ended {
        self.greet(server, events).await;
        loop {
            tokio::select! {
                message = self.messages.recv() => match message {
                    Some(message) => self.take(message, report, server, events).await,
                    None => return self.end(server),
                },
                order = orders.recv() => match order {
                    Some(order) => self.give(order).await,
                    None => return Ended::NoMoreOrders,
                },
            }
        }
    }

    /// The guard is gone: whoever waits is told.
    fn end(mut self, server: &str) -> Ended {
        let result = match self.shutting_down {
            true => Ok(self.carried()),
            false => Err(format!("the guard of `{server}` is gone")),
        };
        for deed in self.open.drain().map(|(_, deed)| deed).chain(self.starting.drain(..)) {
            let _ = deed.reply.send(result.clone());
        }
        if self.shutting_down { Ended::ShutDown } else { Ended::GuardGone(self.status.guard) }
    }

    /// What the greeting says that happened while nobody listened.
    async fn greet(&self, server: &str, events: &mpsc::Sender<Event>) {
        let what = match (&self.status.last_exit, self.status.phase) {
            (Some(exit), phase) if is_down(phase) => What::Exited(exit.clone()),
            (_, Phase::Ready) => What::Ready,
            _ => return,
        };
        let _ = events.send(Event { server: server.to_owned(), what }).await;
    }

    async fn take(
        &mut self,
        message: Message,
        report: &watch::Sender<Supervised>,
        server: &str,
        events: &mpsc::Sender<Event>,
    ) {
        let (mut what, mut settled) = (None, None);
        match message {
            Message::Hello { status } => self.status = status,
            Message::Event { event } => what = keep_up(&mut self.status, event),
            Message::Reply { id, outcome } => settled = self.settle(id, outcome),
            // Only whoever asks for it is answered so, and nobody here does.
            Message::Answered { .. } => {}
        }
        // The status comes first: whoever is told of something looks there.
        report.send_replace(self.known());
        if let Some((deed, result)) = settled {
            let _ = deed.reply.send(result);
        }
        if let Some(what) = what {
            let _ = events.send(Event { server: server.to_owned(), what }).await;
        }
        self.settle_starting();
    }

    /// Takes in what came of an order; returns whom to tell what.
    fn settle(&mut self, id: u64, outcome: Outcome) -> Option<(Deed, Result<Carried, String>)> {
        let deed = self.open.remove(&id)?;
        let result = match outcome {
            Outcome::Ok(status) => {
                self.status = *status;
                match deed.verb {
                    Verb::Restart | Verb::Start => self.started(),
                    Verb::Stop | Verb::ShutDown => Ok(self.carried()),
                }
            }
            Outcome::Error(reason) => Err(reason),
        };
        Some((deed, result))
    }

    fn carried(&self) -> Carried {
        Carried { child: self.status.child, anew: true }
    }

    /// A start that was carried out is a success only if the server answers.
    fn started(&self) -> Result<Carried, String> {
        match self.status.phase {
            Phase::Ready => Ok(self.carried()),
            _ => Err(self
                .status
                .last_exit
                .as_ref()
                .map_or_else(|| "the server did not become ready".to_owned(), |exit| exit.reason.clone())),
        }
    }

    fn settle_starting(&mut self) {
        if matches!(self.status.phase, Phase::Starting | Phase::Installing) {
            return;
        }
        let result = self.started();
        for deed in self.starting.drain(..) {
            let _ = deed.reply.send(result.clone());
        }
    }
}

/// Keeps the status up with an event; returns what the flow has to know of.
pub(super) fn keep_up(status: &mut Status, event: GuardEvent) -> Option<What> {
    match event {
        GuardEvent::Started { child, starts, .. } => {
            status.phase = Phase::Starting;
            status.child = Some(child);
            // Not counted here: the greeting may have told of this start already.
            status.starts = starts;
            None
        }
        GuardEvent::Ready { child, .. } => {
            status.phase = Phase::Ready;
            status.child = Some(child);
            Some(What::Ready)
        }
        GuardEvent::Exited { exit } => {
            status.child = None;
            status.phase = match exit.cause {
                ExitCause::Unexpected => Phase::Exited,
                ExitCause::Requested => Phase::Stopped,
                ExitCause::StartFailed | ExitCause::StartTimedOut => Phase::Failed,
            };
            status.last_exit = Some(exit.clone());
            (exit.cause != ExitCause::Requested).then_some(What::Exited(exit))
        }
    }
}
