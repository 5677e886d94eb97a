//! Owns the whole flow on one screen: servers → samples → rules → alerts → incidents; exits take the short way.

use std::sync::Arc;

use incident::Engine;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

use crate::fleet::{Event, Fleet, What};
use crate::watch::{self, Watch};
use crate::world::ServeWorld;

/// Everything that flows together.
pub(crate) struct Flow {
    pub(crate) world: Arc<ServeWorld>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) watch: Arc<Watch>,
    pub(crate) engine: Engine<ServeWorld>,
}

impl Flow {
    /// Starts the loops; they end when the set is dropped.
    pub(crate) fn start(self: &Arc<Self>, events: mpsc::Receiver<Event>) -> JoinSet<()> {
        let mut loops = JoinSet::new();
        for member in self.fleet.members() {
            let (world, watch) = (Arc::clone(&self.world), Arc::clone(&self.watch));
            loops.spawn(watch::probe_server(world, watch, Arc::clone(member)));
            if member.is_supervised() {
                let (world, watch) = (Arc::clone(&self.world), Arc::clone(&self.watch));
                loops.spawn(watch::scrape_guard(world, watch, Arc::clone(member)));
            }
        }
        loops.spawn(Arc::clone(self).take_events(events));
        loops.spawn(Arc::clone(self).evaluate());
        loops
    }

    /// The short way: an exit is a sample and an evaluation at once, and does not wait for any interval.
    async fn take_events(self: Arc<Self>, mut events: mpsc::Receiver<Event>) {
        while let Some(Event { server, what }) = events.recv().await {
            let up = |at_ms, value| self.watch.sample("mcp_server_up", &[("server_name", &server)], at_ms, value);
            match what {
                What::Exited(exit) => {
                    tracing::error!(server, reason = exit.reason, "a server is down");
                    up(exit.at_ms, 0.0);
                    if let Err(error) = self.engine.exited(&server, &watch::alarm(&server, &exit)).await {
                        tracing::error!(error = %watch::error_chain(&error), "an exit could not be written down");
                    }
                    watch::evaluate(&self.engine, &self.fleet, &self.watch, Some((&server, &exit))).await;
                }
                What::Ready => {
                    tracing::info!(server, "a server answers");
                    up(crate::clock::now_ms(), 1.0);
                }
            }
        }
    }

    /// The long way: rules over samples, at their interval.
    async fn evaluate(self: Arc<Self>) {
        let mut ticks = tokio::time::interval(self.world.config.metrics.evaluation_interval.get());
        ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            ticks.tick().await;
            watch::evaluate(&self.engine, &self.fleet, &self.watch, None).await;
        }
    }
}
