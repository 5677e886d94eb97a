//! Owns what `/admin` does to a guard in front of HTTP.

use std::time::Instant;

use serde_json::{Value, json};

use crate::admin::{Freed, Governed};
use crate::asked::Asked;
use crate::catalogue::List;
use crate::clock;
use crate::controls::Kept;
use crate::envelope;
use crate::log::{About, Level};
use crate::reads::Hints;
use crate::reload;
use crate::sse;
use crate::state::Guard;

/// The sessions that `status` names; there may be thousands.
const SESSIONS_SHOWN: usize = 50;

// === impl Guard ===

impl Governed for Guard {
    fn name(&self) -> &str {
        &self.settings.name
    }

    fn kept(&self) -> &Kept {
        &self.controls
    }

    fn audit(&self, level: Level, message: &str, fields: &[(&str, Value)]) {
        self.log.write(level, About::Audit, message, fields.iter().cloned());
    }

    fn tools_changed(&self) {
        let message = envelope::notification("notifications/tools/list_changed", None);
        let missed = match (&self.upstream, self.link()) {
            (Some(upstream), _) => upstream.seen.announce(&sse::event(&message)),
            (None, Some(_)) => self.sessions.announce_to_all(&message),
            (None, None) => 0,
        };
        if missed > 0 {
            tracing::debug!(missed, "clients that read too slowly missed an announcement");
        }
        self.tell_status();
    }

    async fn writes_in_flight(&self) -> usize {
        let Some(server) = self.asked() else { return 0 };
        if self.running(Instant::now()).is_empty() {
            return 0;
        }
        // What is not known is a write.
        let unknown = Hints::default();
        let listing = self.catalogue.of(&server).await.ok();
        let hints = listing.as_ref().map_or(&unknown, |listing| &listing.hints);
        let own = self.own();
        let is_read = |tool: &str| own.reads.is_read(tool, hints.of(tool));
        match &server {
            Asked::Child(_) => self.links().iter().map(|link| link.in_flight.writes(is_read)).sum(),
            Asked::Upstream(upstream) => upstream.running.writes(is_read),
        }
    }

    fn in_flight(&self) -> usize {
        match &self.upstream {
            Some(upstream) => upstream.running.len(),
            None => self.links().iter().map(|link| link.in_flight.of_clients()).sum(),
        }
    }

    fn set_draining(&self, draining: bool) -> bool {
        Self::set_draining(self, draining);
        self.tell_status();
        true
    }

    async fn reread(&self) -> Result<Vec<String>, String> {
        let path = self.settings.own.path.clone().ok_or("this guard was started without settings")?;
        reload::again(self, path).await?;
        Ok(self.own().clients.names().map(str::to_owned).collect())
    }

    fn limits_clients(&self) -> bool {
        true
    }

    fn clear_caches(&self) -> Vec<Freed> {
        let (entries, bytes) = self.catalogue.clear();
        let mut freed = self.cache.clear();
        // The guard's own copy of the tools, for read-only mode.
        freed.push(Freed { cache: "hints", entries, bytes });
        freed
    }

    fn status(&self) -> Value {
        let now = Instant::now();
        let controls = self.controls.now();
        let mut status = json!(Guard::status(self));
        status["writes"] = json!(controls.writes);
        status["blocks"] = json!(controls.blocks);
        status["pace"] = json!(controls.pace);
        status["watched"] = json!(controls.watched);
        status["controls_problem"] = json!(self.controls.problem());
        status["restarts"] = json!(self.restarts.now().told());
        status["draining"] = self.is_draining().into();
        status["requests_in_flight"] = self.in_flight().into();
        status["sessions"] = self.n_sessions().into();
        status["clients"] = match &self.upstream {
            Some(upstream) => json!(upstream.seen.present(SESSIONS_SHOWN, now)),
            None => json!(self.sessions.present(SESSIONS_SHOWN, now)),
        };
        status["upstream"] = json!(self.upstream.as_ref().map(|upstream| upstream.url()));
        status["at"] = clock::rfc3339(clock::now_ms()).into();
        status
    }

    async fn tools(&self) -> Result<Vec<String>, String> {
        let server = self.asked().ok_or("no server runs that could be asked")?;
        Ok(self.catalogue.of(&server).await?.pages.clone())
    }

    async fn list(&self, list: List) -> Result<Vec<String>, String> {
        list.of(&self.asked().ok_or("no server runs that could be asked")?).await
    }
}
