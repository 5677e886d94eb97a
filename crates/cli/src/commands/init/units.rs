//! Owns finding the units of MCP servers, where a systemd is there to be asked.

use std::path::Path;
use std::time::Duration;

use systemd::{Pattern, SYSTEM_BUS, Systemd, UnitName};

/// How long systemd may take for one answer.
const ANSWER_MAX: Duration = Duration::from_secs(2);

/// A unit of a server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct FoundUnit {
    pub(super) name: UnitName,
    /// The process that systemd watches; none where it does not run.
    pub(super) main_pid: Option<i32>,
}

/// The units by name; why there are none is said in `notes`.
pub(super) async fn find(notes: &mut Vec<String>) -> Vec<FoundUnit> {
    let socket = SYSTEM_BUS.strip_prefix("unix:path=").unwrap_or(SYSTEM_BUS);
    if !Path::new(socket).exists() {
        notes.push("no systemd can be asked here, so no units were looked for".to_owned());
        return Vec::new();
    }
    let systemd = Systemd::new(SYSTEM_BUS, ANSWER_MAX);
    let found = match systemd.discover(&Pattern::servers()).await {
        Ok(found) => found,
        Err(error) => {
            let error = anyhow::Error::new(error);
            notes.push(format!("units of systemd were not looked for: {error:#}"));
            return Vec::new();
        }
    };
    let mut units: Vec<FoundUnit> = Vec::new();
    for name in found.into_iter().map(|found| found.name) {
        match systemd.unit(&name).await {
            // An alias is the same unit once more.
            Ok(unit) if units.iter().any(|known| known.name == unit.id) => {}
            Ok(unit) => units.push(FoundUnit { name: unit.id, main_pid: unit.main_pid }),
            Err(error) => notes.push(format!("{name}: {:#}", anyhow::Error::new(error))),
        }
    }
    units
}
