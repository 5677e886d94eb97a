//! Owns what the product knows of systemd and asks of it: units by exact name, over D-Bus.
//!
//! [`Systemd`] asks and orders, [`Watch`] tells what happens, [`DropIn`] changes settings so that they can be taken
//! back, [`Journal`] reads what one unit has said. A person outranks us: no order replaces a job that is queued, and
//! jobs that were not ours are told apart.

mod bus;
mod discover;
pub mod drop_in;
mod environment;
mod error;
mod job;
pub mod journal;
mod name;
pub mod notify;
mod own;
mod properties;
mod unit;
pub mod watch;
mod word;

use std::sync::Arc;
use std::time::Duration;

pub use discover::Found;
pub use drop_in::DropIn;
pub use environment::Environment;
pub use error::Error;
pub use job::{Finished, JobId, JobKind, JobResult, Verb};
pub use journal::Journal;
pub use name::{BadName, Pattern, UnitName};
pub use unit::{
    ActiveState, InvocationId, Limit, LoadState, MainExit, RestartPolicy, ServiceResult, StartLimit,
    SubState, Unit,
};
pub use watch::Watch;

use bus::Bus;
use own::Own;

/// Where the system bus of every Linux with D-Bus is.
pub const SYSTEM_BUS: &str = "unix:path=/run/dbus/system_bus_socket";

/// The time between two looks at a socket that is being closed: that takes milliseconds.
const LOOK_EVERY: Duration = Duration::from_millis(20);

/// How long systemd may take to answer: it answers in milliseconds, also while units hang.
pub const CALL_TIMEOUT: Duration = Duration::from_secs(5);

/// The systemd behind one bus. Clones share the connection, and the knowledge which jobs were ours.
#[derive(Clone, Debug)]
pub struct Systemd {
    bus: Arc<Bus>,
    own: Arc<Own>,
}

// === impl Systemd ===

impl Systemd {
    /// Nothing is connected yet: the first call does that, and so does the first one after the bus was lost.
    ///
    /// `address` is in the notation of D-Bus, normally [`SYSTEM_BUS`]; `call_timeout` bounds every single call.
    pub fn new(address: &str, call_timeout: Duration) -> Self {
        Self { bus: Arc::new(Bus::new(address, call_timeout)), own: Arc::default() }
    }

    /// The version of systemd, such as `252 (252.38-1~deb12u1)`.
    ///
    /// # Errors
    /// When systemd cannot be reached, or does not answer in time.
    pub async fn version(&self) -> Result<String, Error> {
        let reply = self.bus.property(bus::MANAGER_PATH, bus::MANAGER, "Version").await?;
        String::try_from(reply).map_err(|error| Error::answer("Version", &error))
    }

    /// Reads the state of a unit, in one call. Nothing is started by it.
    ///
    /// # Errors
    /// [`Error::NoSuchUnit`] where no unit has that name; when systemd cannot be reached, or does not answer in time.
    pub async fn unit(&self, name: &UnitName) -> Result<Unit, Error> {
        let properties = self.bus.properties(&name.object_path()).await?;
        let unit = Unit::of(name, &properties);
        match unit.load {
            Some(LoadState::NotFound) => Err(Error::NoSuchUnit { unit: name.clone() }),
            _ => Ok(unit),
        }
    }

    /// Clears the failed state of a unit, and with it the count of its starts.
    ///
    /// Nothing here does that by itself: a start limit that was hit is a decision of whoever set the limit.
    ///
    /// # Errors
    /// When it is denied, there is no such unit, or systemd does not answer in time.
    pub async fn reset_failed(&self, name: &UnitName) -> Result<(), Error> {
        match self.bus.manage("ResetFailedUnit", Some(name), &name.as_str()).await {
            // One that is not loaded has no state that could be cleared.
            Err(Error::NoSuchUnit { .. }) => self.unit(name).await.map(drop),
            result => result.map(drop),
        }
    }

    /// Stops the socket that starts a service, so that nobody starts it any more, and waits until nobody listens there. Where
    /// there is none that is so already.
    ///
    /// # Errors
    /// When it is denied or takes longer than a call may, or systemd cannot be reached or does not answer in time.
    pub async fn close_socket_of(&self, name: &UnitName) -> Result<(), Error> {
        let (socket, path) = name.socket();
        match self.bus.manage("StopUnit", Some(name), &(socket.as_str(), "replace")).await {
            Err(Error::NoSuchUnit { .. }) => return Ok(()),
            result => result.map(drop)?,
        }
        let timeout = self.bus.call_timeout;
        let closing = async {
            loop {
                let state = self.bus.property(&path, bus::UNIT_INTERFACE, "ActiveState").await?;
                let state = String::try_from(state).map_err(|error| Error::answer("ActiveState", &error))?;
                if matches!(ActiveState::from(state.as_str()), ActiveState::Inactive | ActiveState::Failed) {
                    return Ok(());
                }
                tokio::time::sleep(LOOK_EVERY).await;
            }
        };
        let late = |_| Error::Deadline { call: "StopUnit".to_owned(), timeout };
        tokio::time::timeout(timeout, closing).await.map_err(late)?
    }

    /// Has systemd read all unit files anew.
    ///
    /// # Errors
    /// When it is denied, or does not end in time: where there are many units it takes a while, so `timeout` is given.
    pub async fn reload(&self, timeout: Duration) -> Result<(), Error> {
        self.bus.manage_within("Reload", None, &(), timeout).await.map(drop)
    }
}
