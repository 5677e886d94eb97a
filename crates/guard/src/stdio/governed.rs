//! Owns what `/admin` does to a guard in a client's configuration.

use std::time::Instant;

use serde_json::{Value, json};

use super::shared::Shared;
use crate::admin::{Freed, Governed};
use crate::catalogue::List;
use crate::clock;
use crate::controls::Kept;
use crate::log::{About, Level};

// === impl Shared ===

impl Governed for Shared {
    fn name(&self) -> &str {
        &self.relay.record.name
    }

    fn kept(&self) -> &Kept {
        &self.kept
    }

    fn audit(&self, level: Level, message: &str, fields: &[(&str, Value)]) {
        self.relay.record.write_all(level, About::Audit, message, fields);
    }

    fn tools_changed(&self) {
        self.relay.announce_tools();
    }

    async fn writes_in_flight(&self) -> usize {
        self.relay.writes_in_flight()
    }

    fn in_flight(&self) -> usize {
        self.relay.running(Instant::now()).len()
    }

    /// Its one client cannot be told to go elsewhere.
    fn set_draining(&self, _draining: bool) -> bool {
        false
    }

    async fn reread(&self) -> Result<Vec<String>, String> {
        Err("a guard in a client's configuration reads its settings once".to_owned())
    }

    /// It reads its settings once, and holds its one client to them.
    fn limits_clients(&self) -> bool {
        false
    }

    fn clear_caches(&self) -> Vec<Freed> {
        self.relay.clear_caches()
    }

    fn status(&self) -> Value {
        let controls = self.kept.now();
        let mut status = json!(Shared::status(self));
        status["writes"] = json!(controls.writes);
        status["blocks"] = json!(controls.blocks);
        status["watched"] = json!(controls.watched);
        status["controls_problem"] = json!(self.kept.problem());
        status["restarts"] = json!(self.restarts.now().told());
        status["requests_in_flight"] = self.in_flight().into();
        status["at"] = clock::rfc3339(clock::now_ms()).into();
        status
    }

    /// Every frame goes through, and only the client asks for tools.
    async fn tools(&self) -> Result<Vec<String>, String> {
        Err("a guard in a client's configuration keeps no list of tools".to_owned())
    }

    async fn list(&self, _list: List) -> Result<Vec<String>, String> {
        Err("a guard in a client's configuration asks the server nothing".to_owned())
    }
}
