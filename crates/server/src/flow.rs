//! Owns the whole flow on one screen: servers → samples → rules → alerts → incidents; exits take the short way.

use std::sync::Arc;
use std::time::Duration;

use incident::{Engine, EngineError, Incident, Record, Word};
use journal::Journal;
use tokio::sync::{Mutex, mpsc};
use tokio::task::JoinSet;

use crate::alertmanager::{Alertmanager, compare, keep_silences};
use crate::api::Door;
use crate::api::prometheus::Turns;
use crate::backend::Backend;
use crate::evidence_view::Heads;
use crate::fleet::{Event, Fleet, Found, What};
use crate::inbound::Inbound;
use crate::incident_clocks::IncidentClocks;
use crate::notify::{Notifier, Told};
use crate::remote_write::RemoteWrite;
use crate::traces::Traces;
use crate::watch::{self, Kept, Watch};
use crate::world::ServeWorld;

/// How often, a millisecond apart, a sample is tried whose moment is taken.
const SAY_UP_TRIES: u32 = 5;

/// Everything that flows together.
pub(crate) struct Flow {
    pub(crate) world: Arc<ServeWorld>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) engine: Engine<ServeWorld>,
    /// The journal, for whoever reads it: the engine alone writes it.
    pub(crate) journal: Journal,
    /// Whose turn it is to evaluate and to act on it, one at a time: another evaluation knows nothing of how a
    /// process ended, and what an older one has not seen yet must not pass for resolved.
    pub(crate) turn: Mutex<()>,
    /// What tells people.
    pub(crate) notifier: Arc<Notifier>,
    /// How often anybody was told.
    pub(crate) told: Arc<Told>,
    /// The clocks of all incidents.
    pub(crate) clocks: IncidentClocks,
    /// Whose turn it is to ask for series.
    pub(crate) queries: Turns,
    /// What other systems tell of alerts.
    pub(crate) inbound: Inbound,
    /// The Alertmanager that is asked and silenced.
    pub(crate) alertmanager: Option<Alertmanager>,
    /// The engine that answers rules in the place of ours.
    pub(crate) backend: Option<Backend>,
    /// Our samples on their way to another engine.
    pub(crate) remote_write: Option<RemoteWrite>,
    /// Who comes in over the network.
    pub(crate) door: Door,
    /// What spans tell.
    pub(crate) traces: Arc<Traces>,
    /// What bundles of evidence say of themselves.
    pub(crate) heads: Heads,
    /// Which runbooks and rule files are not used, and why.
    pub(crate) unused: Vec<String>,
}

impl Flow {
    /// Starts the loops; they end when the set is dropped.
    pub(crate) fn start(self: &Arc<Self>, events: mpsc::Receiver<Event>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for member in self.fleet.members() {
            loops.spawn(watch::probe_server(Arc::clone(self), Arc::clone(&member)));
            if member.has_guard() {
                let (world, watch) = (Arc::clone(&self.world), Arc::clone(&self.watch));
                loops.spawn(watch::scrape_guard(world, watch, member));
            }
        }
        loops.spawn(Arc::clone(self).take_events(events));
        loops.spawn(Arc::clone(self).take_clients());
        let (world, watch, fleet) =
            (Arc::clone(&self.world), Arc::clone(&self.watch), Arc::clone(&self.fleet));
        loops.spawn(watch::take_vitals(world, watch, fleet));
        for target in &self.world.config.scrape {
            let (world, watch) = (Arc::clone(&self.world), Arc::clone(&self.watch));
            loops.spawn(watch::scrape_page(world, watch, target.clone()));
        }
        loops.spawn(watch::watch_data(Arc::clone(&self.world), Arc::clone(&self.watch)));
        let (world, watch, fleet) =
            (Arc::clone(&self.world), Arc::clone(&self.watch), Arc::clone(&self.fleet));
        loops.spawn(watch::watch_for_intruders(world, watch, fleet));
        loops.spawn(Arc::clone(self).keep_contained());
        loops.spawn(watch::scrape_self(Arc::clone(self)));
        loops.spawn(Arc::clone(self).evaluate());
        loops.spawn(Inbound::end_stale(Arc::clone(self)));
        loops.spawn(keep_silences(Arc::clone(self)));
        loops.spawn(Backend::keep_asking(Arc::clone(self)));
        loops.spawn(RemoteWrite::keep_sending(Arc::clone(self)));
        loops.spawn(Arc::clone(&self.traces).keep());
        loops.spawn(compare(Arc::clone(self)));
        loops.spawn(Arc::clone(&self.notifier).run(self.engine.clone()));
        let pulse = Arc::clone(&self.watch);
        loops.spawn(async move { pulse.beat().await });
        loops.spawn(Arc::clone(&self.watch).keep_samples());
        loops
    }

    /// The short way: an exit is a sample and an evaluation at once, and does not wait for any interval.
    async fn take_events(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        while let Some(Event { server, what }) = events.recv().await {
            match what {
                What::Exited(exit) => {
                    tracing::error!(server, reason = exit.reason, "a server is down");
                    let _turn = self.turn.lock().await;
                    self.say_up(&server, 0.0).await;
                    if let Err(error) = self.engine.exited(&server, &watch::alarm(&server, &exit)).await {
                        tracing::error!(error = %incident::error_chain(&error), "an exit could not be written down");
                    }
                    watch::evaluate(&self.engine, &self.fleet, &self.watch, Some((&server, &exit))).await;
                }
                What::Ready => {
                    tracing::info!(server, "a server answers");
                    self.say_up(&server, 1.0).await;
                }
                What::Restarted { by, key } => {
                    tracing::warn!(server, by, "a server was restarted");
                    let (pid, start_ms, problem) = (None, None, None);
                    let record = Record::Restarted { server, by, key, pid, start_ms, problem };
                    note(self.engine.note_restart(record).await, "a restart");
                }
                What::Stopped { by, key } => {
                    tracing::warn!(server, by, "a server was stopped");
                    note(self.engine.note_stop(&server, &by, &key).await, "a stop");
                }
            }
        }
    }

    /// The servers that clients start are looked at as all others, from when they are found.
    async fn take_clients(self: Arc<Self>) {
        let (sender, mut found) = mpsc::channel(1);
        let mut loops = JoinSet::new();
        let take = async {
            while let Some(found) = found.recv().await {
                let member = match found {
                    Found::New(member) => member,
                    Found::Gone(server) => {
                        self.let_go(&server).await;
                        continue;
                    }
                };
                self.watch.looks_at(&member.config.name, &self.world.config);
                loops.spawn(watch::probe_server(Arc::clone(&self), Arc::clone(&member)));
                let (world, watch) = (Arc::clone(&self.world), Arc::clone(&self.watch));
                loops.spawn(watch::scrape_guard(world, watch, member));
            }
        };
        tokio::join!(take, self.fleet.find_clients(&self.world.config, sender));
    }

    /// A server that is gone with its client is not down: nothing is left of its trouble that anybody could end.
    async fn let_go(&self, server: &str) {
        let _turn = self.turn.lock().await;
        self.watch.store().forget("server_name", server);
        let open = |one: &&Incident| one.server == server && one.state.is_open();
        let open = self.engine.look(|all| all.filter(open).map(|one| one.id.clone()).collect::<Vec<_>>());
        let close = async {
            for id in open.await? {
                let reason = "its client has closed the server".to_owned();
                self.engine.say(&id, "serve", Word::Close { reason }).await?;
            }
            Ok::<_, EngineError>(())
        };
        if let Err(error) = close.await {
            tracing::error!(server, error = %incident::error_chain(&error), "an incident could not be closed");
        }
    }

    /// Writes down at once whether a server is up. A sample of this very millisecond may be in the way.
    async fn say_up(&self, server: &str, value: f64) {
        for _ in 0..SAY_UP_TRIES {
            match self.watch.sample("mcp_server_up", &[("server_name", server)], value) {
                Kept::TooSoon => tokio::time::sleep(Duration::from_millis(1)).await,
                Kept::Yes | Kept::No => return,
            }
        }
        tracing::warn!(server, "the clock was set back: the probes will say whether the server is up");
    }

    /// The long way: rules over samples, each group at its interval, and whenever another system tells of an alert.
    async fn evaluate(self: Arc<Self>) {
        loop {
            tokio::select! {
                () = tokio::time::sleep(self.watch.until_due(&self.world.config)) => {}
                () = self.inbound.news() => {}
            }
            let _turn = self.turn.lock().await;
            watch::evaluate(&self.engine, &self.fleet, &self.watch, None).await;
        }
    }
}

fn note(noted: Result<(), EngineError>, what: &str) {
    if let Err(error) = noted {
        tracing::error!(error = %incident::error_chain(&error), "{what} could not be written down");
    }
}
