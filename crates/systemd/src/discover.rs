//! Owns finding units by a pattern: those that are loaded, and those that have a file. Each is used by its exact name.

use std::collections::BTreeMap;

use serde::Deserialize;
use zbus::zvariant::{OwnedObjectPath, Type};

use crate::Systemd;
use crate::error::Error;
use crate::name::{Pattern, UnitName};
use crate::unit::{ActiveState, SubState, Unit};

/// A unit that was found.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Found {
    /// Its exact name.
    pub name: UnitName,
    /// Its state; none where it is not loaded, which means that it does not run.
    pub active: Option<ActiveState>,
    /// Its state in full; none where it is not loaded.
    pub sub: Option<SubState>,
    /// What systemd thinks of its file, such as `enabled`; none where it has none of its own.
    pub file_state: Option<String>,
}

/// A unit in a list of systemd.
#[derive(Debug, Deserialize, Type)]
struct Listed {
    name: String,
    _description: String,
    load: String,
    active: String,
    sub: String,
    _following: String,
    _path: OwnedObjectPath,
    _job: u32,
    _job_kind: String,
    _job_path: OwnedObjectPath,
}

// === impl Systemd ===

impl Systemd {
    /// The units whose names match one of the patterns, by name. Templates are not among them, their instances are.
    ///
    /// # Errors
    /// When systemd cannot be reached, or does not answer in time.
    pub async fn discover(&self, patterns: &[Pattern]) -> Result<Vec<Found>, Error> {
        let any_state: &[&str] = &[];
        let texts: Vec<&str> = patterns.iter().map(Pattern::as_str).collect();
        let wanted = |name: &str| {
            let name: UnitName = name.parse().ok()?;
            patterns.iter().any(|pattern| pattern.matches(&name)).then_some(name)
        };
        let reply = self.bus.manage("ListUnitsByPatterns", None, &(any_state, &texts)).await?;
        let loaded: Vec<Listed> =
            reply.body().deserialize().map_err(|error| Error::answer("ListUnitsByPatterns", &error))?;
        let mut found = BTreeMap::new();
        for listed in loaded.into_iter().filter(|listed| listed.load != "not-found") {
            let Some(name) = wanted(&listed.name) else { continue };
            let (active, sub) = (listed.active.as_str().into(), listed.sub.as_str().into());
            let one = Found { name: name.clone(), active: Some(active), sub: Some(sub), file_state: None };
            found.insert(name, one);
        }
        let reply = self.bus.manage("ListUnitFilesByPatterns", None, &(any_state, &texts)).await?;
        let files: Vec<(String, String)> =
            reply.body().deserialize().map_err(|error| Error::answer("ListUnitFilesByPatterns", &error))?;
        for (path, state) in files {
            let Some(name) = path.rsplit('/').next().and_then(wanted) else { continue };
            let none = Found { name: name.clone(), active: None, sub: None, file_state: None };
            found.entry(name).or_insert(none).file_state = Some(state);
        }
        Ok(found.into_values().collect())
    }

    /// The unit of a server: the one of its own name, or the instance of the template where there is no such unit. Both
    /// being there is an error, as nobody could say which is meant; unless one is an alias of the other.
    ///
    /// # Errors
    /// [`Error::Ambiguous`], [`Error::NoSuchUnit`] where there is neither, and when systemd cannot be reached.
    pub async fn unit_of_server(&self, server: &str) -> Result<UnitName, Error> {
        let plain = UnitName::of_server(server)?;
        let instance = UnitName::instance_of_server(server)?;
        let existing = async |name: &UnitName| match self.unit(name).await {
            Ok(unit) => Ok(Some(unit)),
            Err(Error::NoSuchUnit { .. }) => Ok(None),
            Err(error) => Err(error),
        };
        match (existing(&plain).await?, existing(&instance).await?) {
            (None, None) => Err(Error::NoSuchUnit { unit: plain }),
            (None, Some(_)) => Ok(instance),
            // A template can be instanced by any name: what counts is whether somebody has.
            (Some(own), Some(other)) if own.id != other.id && is_used(&other) => {
                Err(Error::Ambiguous { units: [plain, instance] })
            }
            (Some(_), _) => Ok(plain),
        }
    }
}

/// Whether an instance of a template runs, or is started at boot.
fn is_used(unit: &Unit) -> bool {
    !unit.is_down() || unit.file_state.as_deref() == Some("enabled")
}
