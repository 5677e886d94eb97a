//! Owns one listener: what it asks when it connects, and what each message means for the units it watches.

use std::collections::{BTreeMap, HashMap};
use std::convert::Infallible;
use std::num::NonZeroU32;

use tokio::sync::mpsc;
use zbus::message::{Message, Type};
use zbus::zvariant::{OwnedObjectPath, OwnedValue};

use super::fold::{Heard, Tracked};
use super::{Event, Told};
use crate::Systemd;
use crate::bus::{self, ALL_INTERFACES, Call, Link, PROPERTIES, SYSTEMD, UNIT_INTERFACE, is_signal};
use crate::error::Error;
use crate::job::{JOB_REMOVED, JobId, JobKind, JobRemoved};
use crate::name::UnitName;
use crate::properties::Properties;
use crate::unit::Unit;

const JOB_NEW: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager',member='JobNew'";
const RELOADING: &str = "type='signal',sender='org.freedesktop.systemd1',path='/org/freedesktop/systemd1',\
     interface='org.freedesktop.systemd1.Manager',member='Reloading'";
const JOB_INTERFACE: &str = "org.freedesktop.systemd1.Job";

/// Listens to what systemd says of some units.
pub(super) struct Listener {
    systemd: Systemd,
    watched: Vec<Watched>,
    tell: mpsc::Sender<Told>,
    /// How often a connection was made.
    heard: u64,
    /// How many orders of ours there were when something was heard last.
    orders: u64,
    /// Whether it was told that nothing is heard.
    is_lost: bool,
}

/// A unit, by the name under which it is watched.
struct Watched {
    name: UnitName,
    /// The name that systemd has for it.
    id: UnitName,
    properties: Properties,
    tracked: Option<Tracked>,
    /// What was heard until the look that is under way.
    heard: Heard,
}

/// Questions that are not answered yet.
#[derive(Default)]
struct Asked {
    /// All properties of a watched unit.
    looks: HashMap<NonZeroU32, usize>,
    /// What a job of a watched unit does.
    jobs: HashMap<NonZeroU32, (usize, JobId)>,
    /// The units whose changes are sent to us, by path.
    paths: BTreeMap<String, UnitName>,
}

/// Why listening has ended.
pub(super) enum Stop {
    /// Nobody wants to hear more.
    NobodyListens,
    /// The connection is lost.
    Lost(Error),
}

// === impl Listener ===

impl Listener {
    pub(super) fn new(systemd: Systemd, units: Vec<UnitName>, tell: mpsc::Sender<Told>) -> Self {
        let watched = |name: UnitName| Watched {
            id: name.clone(),
            name,
            properties: Properties::default(),
            tracked: None,
            heard: Heard::All,
        };
        let watched = units.into_iter().map(watched).collect();
        Self { systemd, watched, tell, heard: 0, orders: 0, is_lost: false }
    }

    /// How often a connection was made.
    pub(super) fn heard(&self) -> u64 {
        self.heard
    }

    /// Nothing is heard.
    pub(super) async fn lost(&mut self, reason: String) -> Result<(), Stop> {
        if self.is_lost {
            return Ok(());
        }
        self.is_lost = true;
        self.tell(Told::Lost { reason }).await
    }

    async fn tell(&self, told: Told) -> Result<(), Stop> {
        self.tell.send(told).await.map_err(|_| Stop::NobodyListens)
    }

    async fn tell_of(&self, idx: usize, events: impl IntoIterator<Item = Event>) -> Result<(), Stop> {
        for event in events {
            self.tell(Told::Of { unit: self.watched[idx].name.clone(), event }).await?;
        }
        Ok(())
    }

    /// Connects and listens, until that ends.
    pub(super) async fn listen(&mut self) -> Result<Infallible, Stop> {
        let rules = [JOB_NEW, JOB_REMOVED, RELOADING].map(str::to_owned);
        let mut link = Link::open(&self.systemd.bus, &rules).await?;
        let mut asked = Asked::default();
        let has_ordered = self.systemd.own.orders() != self.orders;
        for watched in &mut self.watched {
            watched.heard = if has_ordered { Heard::NotAllAndOrdered } else { Heard::NotAll };
        }
        self.look(&mut link, &mut asked).await?;
        self.heard += 1;
        if std::mem::take(&mut self.is_lost) {
            self.tell(Told::Found).await?;
        }
        loop {
            let message = link.next().await?;
            if link.is_genuine(&message) {
                self.take(&mut link, &mut asked, &message).await?;
            }
        }
    }

    /// Asks for all units anew. The answers come among the signals, in their order.
    async fn look(&mut self, link: &mut Link, asked: &mut Asked) -> Result<(), Stop> {
        for (idx, watched) in self.watched.iter_mut().enumerate() {
            // An alias leads to the unit that it stands for, under whose name systemd speaks of it.
            let named = link.call(Call::properties(&watched.name.object_path()), &ALL_INTERFACES).await?;
            let id = Unit::of(&watched.name, &bus::properties(&named)?).id;
            if watched.id != id {
                // The name stands for another unit now, of which nothing is known.
                watched.tracked = None;
                watched.id = id;
            }
            let path = watched.id.object_path();
            if asked.paths.insert(path.clone(), watched.id.clone()).is_none() {
                let rule = format!(
                    "type='signal',sender='{SYSTEMD}',path='{path}',interface='{PROPERTIES}',member='PropertiesChanged'"
                );
                link.add_rule(&rule).await?;
            }
            let number = link.send(Call::properties(&path), &ALL_INTERFACES).await?;
            asked.looks.insert(number, idx);
        }
        Ok(())
    }

    async fn take(&mut self, link: &mut Link, asked: &mut Asked, message: &Message) -> Result<(), Stop> {
        if let Some(number) = message.header().reply_serial() {
            return self.take_answer(asked, number, message).await;
        }
        if let Some(removed) = JobRemoved::of(message) {
            for idx in self.with_id(&removed.unit) {
                let watched = &mut self.watched[idx];
                let Some(tracked) = watched.tracked.as_mut() else { continue };
                let events = tracked.job_ended(removed.job, Some(removed.result.clone()));
                self.tell_of(idx, events).await?;
            }
        } else if is_signal(message, "JobNew") {
            self.take_job(link, asked, message).await?;
        } else if is_signal(message, "PropertiesChanged") {
            self.take_change(asked, message).await?;
        } else if is_signal(message, "Reloading") && message.body().deserialize() == Ok(false) {
            self.look(link, asked).await?;
        }
        self.orders = self.systemd.own.orders();
        Ok(())
    }

    /// A job was queued for somebody.
    async fn take_job(&mut self, link: &mut Link, asked: &mut Asked, message: &Message) -> Result<(), Stop> {
        let body = message.body();
        let Ok((id, path, unit)) = body.deserialize::<(u32, OwnedObjectPath, String)>() else {
            return Ok(());
        };
        let job = JobId(id);
        for idx in self.with_id(&unit) {
            let is_ours = self.systemd.own.is_ours(job).await;
            let Some(tracked) = self.watched[idx].tracked.as_mut() else { continue };
            let event = tracked.job_begun(job, is_ours);
            let get = Call { interface: PROPERTIES, member: "Get", ..Call::properties(path.as_str()) };
            let number = link.send(get, &(JOB_INTERFACE, "JobType")).await?;
            asked.jobs.insert(number, (idx, job));
            self.tell_of(idx, [event]).await?;
        }
        Ok(())
    }

    /// The state of a unit is another one. systemd says first what is so of services only, and then the rest: only
    /// with both is it a look.
    async fn take_change(&mut self, asked: &Asked, message: &Message) -> Result<(), Stop> {
        let body = message.body();
        let changed = body.deserialize::<(String, HashMap<String, OwnedValue>, Vec<String>)>();
        let Ok((interface, changed, _)) = changed else { return Ok(()) };
        let path = message.header().path().map(|path| path.as_str().to_owned()).unwrap_or_default();
        let Some(id) = asked.paths.get(&path) else { return Ok(()) };
        for idx in self.with_id(id.as_str()) {
            let watched = &mut self.watched[idx];
            let values =
                changed.iter().filter_map(|(name, value)| Some((name.clone(), value.try_clone().ok()?)));
            watched.properties.update(values.collect());
            // While an answer is under way, it will say all of this and more.
            if interface != UNIT_INTERFACE || watched.heard != Heard::All {
                continue;
            }
            let unit = Unit::of(&watched.name, &watched.properties);
            // Before the first look there is nothing to compare with.
            let events = watched.tracked.as_mut().map(|tracked| tracked.look(unit));
            self.tell_of(idx, events.into_iter().flatten()).await?;
        }
        Ok(())
    }

    async fn take_answer(
        &mut self,
        asked: &mut Asked,
        number: NonZeroU32,
        message: &Message,
    ) -> Result<(), Stop> {
        let is_error = message.message_type() == Type::Error;
        if let Some((idx, job)) = asked.jobs.remove(&number) {
            // A job that has ended meanwhile says nothing any more.
            let kind = (!is_error).then(|| message.body().deserialize::<OwnedValue>().ok()).flatten();
            let kind = kind.and_then(|kind| String::try_from(kind).ok());
            if let (Some(tracked), Some(kind)) = (self.watched[idx].tracked.as_mut(), kind) {
                tracked.job_does(job, JobKind::from(kind.as_str()));
            }
        }
        let Some(idx) = asked.looks.remove(&number) else { return Ok(()) };
        if is_error {
            let call = Call::properties(bus::MANAGER_PATH);
            return Err(
                Error::of_call(message.clone().into(), &self.systemd.bus.address, call.member, None).into()
            );
        }
        let properties = bus::properties(message)?;
        let unit = Unit::of(&self.watched[idx].name, &properties);
        let ours = match unit.job {
            Some(job) if self.systemd.own.is_ours(job).await => Some(job),
            _ => None,
        };
        let watched = &mut self.watched[idx];
        watched.properties = properties;
        let heard = std::mem::replace(&mut watched.heard, Heard::All);
        let events = match watched.tracked.as_mut() {
            Some(tracked) => tracked.look_again(unit, heard, ours),
            None => {
                let (tracked, events) = Tracked::first(unit, ours);
                watched.tracked = Some(tracked);
                events
            }
        };
        self.tell_of(idx, events).await
    }

    /// The watched units that systemd has under a name.
    fn with_id(&self, id: &str) -> Vec<usize> {
        let all = self.watched.iter().enumerate();
        all.filter(|(_, watched)| watched.id.as_str() == id).map(|(idx, _)| idx).collect()
    }
}

// === impl Stop ===

impl From<Error> for Stop {
    fn from(error: Error) -> Self {
        Self::Lost(error)
    }
}
