//! Owns what a unit sets in the environment of its processes. Values may be secrets: they are never part of a [`crate::Unit`],
//! which is shown and logged.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use crate::Systemd;
use crate::bus::SERVICE;
use crate::error::Error;
use crate::name::UnitName;

/// What a unit sets.
#[derive(Clone, Default, PartialEq, Eq)]
pub struct Environment {
    /// By `Environment=`, drop-ins included.
    pub set: BTreeMap<String, String>,
    /// By `EnvironmentFile=`, in their order: what is in these wins.
    pub files: Vec<PathBuf>,
}

// === impl Systemd ===

impl Systemd {
    /// Reads what a unit sets. What is in its files is not read.
    ///
    /// # Errors
    /// When systemd cannot be reached, does not answer in time, or says something else.
    pub async fn environment(&self, name: &UnitName) -> Result<Environment, Error> {
        let path = name.object_path();
        let set = self.bus.property(&path, SERVICE, "Environment").await?;
        let set = Vec::<String>::try_from(set).map_err(|error| Error::answer("Environment", &error))?;
        let pair =
            |entry: &String| entry.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()));
        let files = self.bus.property(&path, SERVICE, "EnvironmentFiles").await?;
        let files = Vec::<(String, bool)>::try_from(files)
            .map_err(|error| Error::answer("EnvironmentFiles", &error))?;
        Ok(Environment {
            set: set.iter().filter_map(pair).collect(),
            files: files.into_iter().map(|(path, _)| PathBuf::from(path)).collect(),
        })
    }
}

impl fmt::Debug for Environment {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = self.set.keys().collect();
        f.debug_struct("Environment").field("set", &names).field("files", &self.files).finish()
    }
}
