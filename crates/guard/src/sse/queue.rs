//! Owns the way of events to one connection: a queue that is bounded by their number and by their bytes.
//!
//! A client that reads slowly, or not at all, is behind with so much and no more. One event that is larger than all that
//! may wait goes alone.

use std::sync::Arc;

use bytes::Bytes;
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// What a client that reads slowly may be behind with; not less than what a session keeps.
pub(crate) const BEHIND_MAX: usize = 256;
/// The same in bytes.
pub(crate) const BEHIND_BYTES_MAX: u32 = 4 << 20;

/// Where events are put.
#[derive(Clone, Debug)]
pub(crate) struct Sender {
    events: mpsc::Sender<Queued>,
    room: Arc<Semaphore>,
}

/// Where they come out.
#[derive(Debug)]
pub(crate) struct Receiver(mpsc::Receiver<Queued>);

/// An event that waits, and the room that it takes.
#[derive(Debug)]
struct Queued {
    event: Bytes,
    _room: OwnedSemaphorePermit,
}

/// A place for one event.
#[derive(Debug)]
pub(crate) struct Place {
    place: mpsc::OwnedPermit<Queued>,
    room: OwnedSemaphorePermit,
}

/// Why there is no place.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum NoPlace {
    /// The client is behind with as much as it may be.
    Full,
    /// Nobody reads any more.
    Closed,
}

/// An empty queue.
pub(crate) fn queue() -> (Sender, Receiver) {
    let (events, receiver) = mpsc::channel(BEHIND_MAX);
    // A semaphore counts in `usize`, which is not smaller on any Linux.
    let room = Arc::new(Semaphore::new(BEHIND_BYTES_MAX as usize));
    (Sender { events, room }, Receiver(receiver))
}

// === impl Sender, Place, Receiver ===

impl Sender {
    /// Takes a place for an event of this length, now or not at all.
    pub(crate) fn place(&self, bytes: usize) -> Result<Place, NoPlace> {
        let place = self.events.clone().try_reserve_owned().map_err(|error| match error {
            mpsc::error::TrySendError::Full(_) => NoPlace::Full,
            mpsc::error::TrySendError::Closed(_) => NoPlace::Closed,
        })?;
        let room = Arc::clone(&self.room).try_acquire_many_owned(room_for(bytes));
        Ok(Place { place, room: room.map_err(|_| NoPlace::Full)? })
    }

    /// Waits for the same.
    pub(crate) async fn wait(&self, bytes: usize) -> Result<Place, NoPlace> {
        let both = async {
            let room = Arc::clone(&self.room).acquire_many_owned(room_for(bytes)).await.ok()?;
            let place = self.events.clone().reserve_owned().await.ok()?;
            Some(Place { place, room })
        };
        tokio::select! {
            place = both => place.ok_or(NoPlace::Closed),
            () = self.events.closed() => Err(NoPlace::Closed),
        }
    }

    pub(crate) fn is_closed(&self) -> bool {
        self.events.is_closed()
    }
}

impl Place {
    pub(crate) fn send(self, event: Bytes) {
        self.place.send(Queued { event, _room: self.room });
    }
}

impl Receiver {
    pub(crate) fn poll_recv(
        &mut self,
        context: &mut std::task::Context<'_>,
    ) -> std::task::Poll<Option<Bytes>> {
        self.0.poll_recv(context).map(|queued| queued.map(|queued| queued.event))
    }

    #[cfg(test)]
    pub(crate) async fn recv(&mut self) -> Option<Bytes> {
        self.0.recv().await.map(|queued| queued.event)
    }

    #[cfg(test)]
    pub(crate) fn try_recv(&mut self) -> Result<Bytes, mpsc::error::TryRecvError> {
        self.0.try_recv().map(|queued| queued.event)
    }

    #[cfg(test)]
    pub(crate) fn is_closed(&self) -> bool {
        self.0.is_closed()
    }
}

fn room_for(bytes: usize) -> u32 {
    u32::try_from(bytes).unwrap_or(u32::MAX).min(BEHIND_BYTES_MAX)
}

#[cfg(test)]
mod tests {
    use super::{BEHIND_BYTES_MAX, BEHIND_MAX, NoPlace, queue};

    #[tokio::test]
    async fn number_and_bytes_are_bounded_and_one_large_event_goes_alone() {
        let (sender, mut events) = queue();
        for _ in 0..BEHIND_MAX {
            sender.place(1).unwrap().send("x".into());
        }
        assert_eq!(sender.place(1).unwrap_err(), NoPlace::Full);
        for _ in 0..BEHIND_MAX {
            events.recv().await.unwrap();
        }
        let large = vec![b'x'; 3 * BEHIND_BYTES_MAX as usize];
        sender.place(large.len()).unwrap().send(large.into());
        assert_eq!(sender.place(1).unwrap_err(), NoPlace::Full);
        let (place, first) = tokio::join!(sender.wait(1), events.recv());
        assert_eq!(first.unwrap().len(), 3 * BEHIND_BYTES_MAX as usize);
        place.unwrap().send("y".into());
        assert_eq!(events.recv().await.unwrap(), "y");
        sender.place(BEHIND_BYTES_MAX as usize).unwrap().send("z".into());
        let (waited, ()) = tokio::join!(sender.wait(1), async { drop(events) });
        assert_eq!(waited.unwrap_err(), NoPlace::Closed, "who waits for a client that is gone hears of it");
        assert!(sender.is_closed());
    }
}
