//! Owns the way to systemd: one connection for questions, made anew when it is lost, and links of their own for
//! whoever has to hear signals and answers in the order in which systemd gave them.

use std::collections::{HashMap, VecDeque};
use std::num::NonZeroU32;
use std::time::Duration;

use futures_util::StreamExt;
use serde::Serialize;
use tokio::sync::Mutex;
use zbus::message::{Message, Type};
use zbus::zvariant::{DynamicType, OwnedValue};
use zbus::{Connection, MessageStream, connection};

use crate::error::Error;
use crate::name::UnitName;
use crate::properties::Properties;

/// The name of systemd on the bus.
pub(crate) const SYSTEMD: &str = "org.freedesktop.systemd1";
/// Its one manager, as an object.
pub(crate) const MANAGER_PATH: &str = "/org/freedesktop/systemd1";
/// Its one manager, as an interface.
pub(crate) const MANAGER: &str = "org.freedesktop.systemd1.Manager";
/// What every unit has, whatever its kind.
pub(crate) const UNIT_INTERFACE: &str = "org.freedesktop.systemd1.Unit";
/// What units have that run processes.
pub(crate) const SERVICE: &str = "org.freedesktop.systemd1.Service";
/// What every object has for its properties.
pub(crate) const PROPERTIES: &str = "org.freedesktop.DBus.Properties";
/// The bus itself: name and interface.
pub(crate) const DBUS: &str = "org.freedesktop.DBus";
const DBUS_PATH: &str = "/org/freedesktop/DBus";

/// That systemd has left the bus, or has come back to it.
const OWNER_CHANGED: &str = "type='signal',sender='org.freedesktop.DBus',path='/org/freedesktop/DBus',\
     interface='org.freedesktop.DBus',member='NameOwnerChanged',arg0='org.freedesktop.systemd1'";

/// So many messages wait to be read: what a hundred units say in a bad second. Then the bus keeps them for us.
const MESSAGES_MAX: usize = 4096;

/// The connection for questions.
#[derive(Debug)]
pub(crate) struct Bus {
    pub(crate) address: String,
    pub(crate) call_timeout: Duration,
    connection: Mutex<Option<Connection>>,
}

/// A call, as far as it is not its body.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Call<'a> {
    pub(crate) to: &'a str,
    pub(crate) path: &'a str,
    pub(crate) interface: &'a str,
    pub(crate) member: &'a str,
    /// Whom it is about, for errors.
    pub(crate) unit: Option<&'a UnitName>,
}

/// A connection on which everything that comes is read in order.
pub(crate) struct Link {
    connection: Connection,
    stream: MessageStream,
    address: String,
    call_timeout: Duration,
    /// What came while an answer was waited for.
    backlog: VecDeque<Message>,
    /// The name that the bus gave to systemd. What others say in its name is not believed.
    systemd: String,
}

// === impl Bus ===

impl Bus {
    pub(crate) fn new(address: &str, call_timeout: Duration) -> Self {
        Self { address: address.to_owned(), call_timeout, connection: Mutex::default() }
    }

    async fn connect(&self) -> Result<Connection, Error> {
        let building = async {
            let builder = connection::Builder::address(self.address.as_str())?;
            builder.max_queued(MESSAGES_MAX).build().await
        };
        match tokio::time::timeout(self.call_timeout, building).await {
            Ok(connected) => connected.map_err(|error| self.unreachable(Box::new(error))),
            Err(late) => Err(self.unreachable(Box::new(late))),
        }
    }

    fn unreachable(&self, source: Box<dyn std::error::Error + Send + Sync>) -> Error {
        Error::NotReachable { address: self.address.clone(), source }
    }

    async fn connection(&self) -> Result<Connection, Error> {
        // Whoever holds it is connecting, and has a deadline; but many may stand in line.
        let waiting = tokio::time::timeout(self.call_timeout, self.connection.lock());
        let mut kept = waiting.await.map_err(|late| self.unreachable(Box::new(late)))?;
        if let Some(connection) = kept.as_ref().filter(|connection| !connection.is_closed()) {
            return Ok(connection.clone());
        }
        let connection = self.connect().await?;
        *kept = Some(connection.clone());
        Ok(connection)
    }

    /// Calls, and waits for the answer up to `timeout`. Nothing is tried twice.
    async fn call<B>(&self, call: Call<'_>, body: &B, timeout: Duration) -> Result<Message, Error>
    where
        B: Serialize + DynamicType,
    {
        let connection = self.connection().await?;
        let calling =
            connection.call_method(Some(call.to), call.path, Some(call.interface), call.member, body);
        match tokio::time::timeout(timeout, calling).await {
            Ok(reply) => reply.map_err(|error| Error::of_call(error, &self.address, call.member, call.unit)),
            Err(_) => Err(Error::Deadline { call: call.member.to_owned(), timeout }),
        }
    }

    /// Calls the manager.
    pub(crate) async fn manage<B>(
        &self,
        member: &str,
        unit: Option<&UnitName>,
        body: &B,
    ) -> Result<Message, Error>
    where
        B: Serialize + DynamicType,
    {
        self.manage_within(member, unit, body, self.call_timeout).await
    }

    /// Calls the manager where it may take longer.
    pub(crate) async fn manage_within<B>(
        &self,
        member: &str,
        unit: Option<&UnitName>,
        body: &B,
        timeout: Duration,
    ) -> Result<Message, Error>
    where
        B: Serialize + DynamicType,
    {
        self.call(Call { unit, ..Call::manager(member) }, body, timeout).await
    }

    /// One property of an object.
    pub(crate) async fn property(
        &self,
        path: &str,
        interface: &str,
        name: &str,
    ) -> Result<OwnedValue, Error> {
        let call = Call { to: SYSTEMD, path, interface: PROPERTIES, member: "Get", unit: None };
        let reply = self.call(call, &(interface, name), self.call_timeout).await?;
        reply.body().deserialize().map_err(|error| Error::answer(name, &error))
    }

    /// All properties of an object, as they are at one moment.
    pub(crate) async fn properties(&self, path: &str) -> Result<Properties, Error> {
        let reply = self.call(Call::properties(path), &ALL_INTERFACES, self.call_timeout).await?;
        properties(&reply)
    }
}

/// systemd takes an empty name for all interfaces of the object at once.
pub(crate) const ALL_INTERFACES: &str = "";

/// The answer to a question for all properties.
pub(crate) fn properties(reply: &Message) -> Result<Properties, Error> {
    let body = reply.body();
    let all: HashMap<String, OwnedValue> =
        body.deserialize().map_err(|error| Error::answer("GetAll", &error))?;
    let mut properties = Properties::default();
    properties.update(all);
    Ok(properties)
}

// === impl Call ===

impl<'a> Call<'a> {
    pub(crate) fn manager(member: &'a str) -> Self {
        Self { to: SYSTEMD, path: MANAGER_PATH, interface: MANAGER, member, unit: None }
    }

    pub(crate) fn properties(path: &'a str) -> Self {
        Self { to: SYSTEMD, path, interface: PROPERTIES, member: "GetAll", unit: None }
    }

    fn bus(member: &'a str) -> Self {
        Self { to: DBUS, path: DBUS_PATH, interface: DBUS, member, unit: None }
    }
}

// === impl Link ===

impl Link {
    /// Connects, and listens to the signals of these rules. `rules` are in the notation of D-Bus.
    pub(crate) async fn open(bus: &Bus, rules: &[String]) -> Result<Self, Error> {
        let connection = bus.connect().await?;
        let mut link = Self {
            stream: MessageStream::from(&connection),
            connection,
            address: bus.address.clone(),
            call_timeout: bus.call_timeout,
            backlog: VecDeque::new(),
            systemd: String::new(),
        };
        link.add_rule(OWNER_CHANGED).await?;
        for rule in rules {
            link.add_rule(rule).await?;
        }
        let reply = link.call(Call::bus("GetNameOwner"), &SYSTEMD).await?;
        let owner: String =
            reply.body().deserialize().map_err(|error| Error::answer("GetNameOwner", &error))?;
        link.systemd = owner;
        // Without it systemd sends signals to nobody but itself.
        link.call(Call::manager("Subscribe"), &()).await?;
        Ok(link)
    }

    /// Listens to more.
    pub(crate) async fn add_rule(&mut self, rule: &str) -> Result<(), Error> {
        self.call(Call::bus("AddMatch"), &rule).await.map(drop)
    }

    /// Sends a call; its answer will have this number.
    pub(crate) async fn send<B>(&self, call: Call<'_>, body: &B) -> Result<NonZeroU32, Error>
    where
        B: Serialize + DynamicType,
    {
        let fail = |error| Error::of_call(error, &self.address, call.member, call.unit);
        let message = Message::method_call(call.path, call.member)
            .and_then(|builder| builder.destination(call.to))
            .and_then(|builder| builder.interface(call.interface))
            .and_then(|builder| builder.build(body))
            .map_err(fail)?;
        let number = message.primary_header().serial_num();
        match tokio::time::timeout(self.call_timeout, self.connection.send(&message)).await {
            Ok(sent) => sent.map_err(fail).map(|()| number),
            Err(_) => Err(Error::Deadline { call: call.member.to_owned(), timeout: self.call_timeout }),
        }
    }

    /// Calls, and waits for the answer. What comes before it is kept for [`Link::next`].
    pub(crate) async fn call<B>(&mut self, call: Call<'_>, body: &B) -> Result<Message, Error>
    where
        B: Serialize + DynamicType,
    {
        let number = self.send(call, body).await?;
        let (address, timeout) = (self.address.clone(), self.call_timeout);
        let answered = async {
            loop {
                let message = self.read().await?;
                match message.header().reply_serial() {
                    Some(to) if to == number => return Ok(message),
                    _ if self.backlog.len() == MESSAGES_MAX => {
                        return Err(Error::answer(call.member, &"too much came in between"));
                    }
                    _ => self.backlog.push_back(message),
                }
            }
        };
        let message = match tokio::time::timeout(timeout, answered).await {
            Ok(answered) => answered?,
            Err(_) => return Err(Error::Deadline { call: call.member.to_owned(), timeout }),
        };
        match message.message_type() {
            Type::Error => Err(Error::of_call(message.into(), &address, call.member, call.unit)),
            _ => Ok(message),
        }
    }

    /// The next message, in the order in which they were sent.
    ///
    /// # Errors
    /// When the connection is lost, or systemd itself has left it.
    pub(crate) async fn next(&mut self) -> Result<Message, Error> {
        match self.backlog.pop_front() {
            Some(message) => Ok(message),
            None => self.read().await,
        }
    }

    async fn read(&mut self) -> Result<Message, Error> {
        let lost = |source: Box<dyn std::error::Error + Send + Sync>| Error::NotReachable {
            address: self.address.clone(),
            source,
        };
        match self.stream.next().await {
            Some(Ok(message)) if is_signal(&message, "NameOwnerChanged") && is_of_bus(&message) => {
                Err(lost("systemd was started anew".into()))
            }
            Some(Ok(message)) => Ok(message),
            Some(Err(error)) => Err(lost(Box::new(error))),
            None => Err(lost("the connection was closed".into())),
        }
    }

    /// Whether systemd itself has sent this, or the bus; anybody may send a signal that looks as if.
    pub(crate) fn is_genuine(&self, message: &Message) -> bool {
        is_of_bus(message) || message.header().sender().is_some_and(|sender| sender.as_str() == self.systemd)
    }
}

fn is_of_bus(message: &Message) -> bool {
    message.header().sender().is_some_and(|sender| sender.as_str() == DBUS)
}

/// Whether a message is the signal of this name.
pub(crate) fn is_signal(message: &Message, name: &str) -> bool {
    message.message_type() == Type::Signal && message.header().member().is_some_and(|member| *member == name)
}
