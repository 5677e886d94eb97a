//! Owns the properties of a unit as they come over D-Bus: those that we read, each optional.

use std::collections::HashMap;

use zbus::zvariant::{OwnedObjectPath, OwnedValue};

/// Those that we read. A unit has four hundred; the others are not kept.
const KNOWN: [&str; 29] = [
    "ActiveState",
    "DropInPaths",
    "ExecMainCode",
    "ExecMainExitTimestamp",
    "ExecMainPID",
    "ExecMainStartTimestamp",
    "ExecMainStatus",
    "FragmentPath",
    "Id",
    "InvocationID",
    "Job",
    "LoadError",
    "LoadState",
    "MainPID",
    "MemoryCurrent",
    "MemoryHigh",
    "MemoryMax",
    "NRestarts",
    "Names",
    "NeedDaemonReload",
    "Restart",
    "RestartUSec",
    "Result",
    "StartLimitBurst",
    "StartLimitIntervalUSec",
    "SubState",
    "Type",
    "UnitFileState",
    "WatchdogUSec",
];

/// Properties by name.
#[derive(Debug, Default)]
pub(crate) struct Properties(HashMap<String, OwnedValue>);

// === impl Properties ===

impl Properties {
    /// Takes over what is new.
    pub(crate) fn update(&mut self, new: HashMap<String, OwnedValue>) {
        self.0.extend(new.into_iter().filter(|(name, _)| KNOWN.binary_search(&name.as_str()).is_ok()));
    }

    fn get<T: TryFrom<OwnedValue>>(&self, name: &str) -> Option<T> {
        // Cloning fails for file descriptors only.
        T::try_from(self.0.get(name)?.try_clone().ok()?).ok()
    }

    /// A text that is not empty.
    pub(crate) fn text(&self, name: &str) -> Option<String> {
        self.get::<String>(name).filter(|text| !text.is_empty())
    }

    /// A word of one of systemd's sets.
    pub(crate) fn word<T: for<'a> From<&'a str>>(&self, name: &str) -> Option<T> {
        self.text(name).map(|text| T::from(text.as_str()))
    }

    pub(crate) fn texts(&self, name: &str) -> Vec<String> {
        self.get(name).unwrap_or_default()
    }

    pub(crate) fn u32(&self, name: &str) -> Option<u32> {
        self.get(name)
    }

    pub(crate) fn i32(&self, name: &str) -> Option<i32> {
        self.get(name)
    }

    pub(crate) fn u64(&self, name: &str) -> Option<u64> {
        self.get(name)
    }

    pub(crate) fn flag(&self, name: &str) -> Option<bool> {
        self.get(name)
    }

    pub(crate) fn bytes(&self, name: &str) -> Option<Vec<u8>> {
        self.get(name)
    }

    /// The job that is queued or runs; 0 is none.
    pub(crate) fn job(&self) -> Option<u32> {
        let value = self.0.get("Job")?.try_clone().ok()?;
        let (id, _path) = <(u32, OwnedObjectPath)>::try_from(value).ok()?;
        (id != 0).then_some(id)
    }

    /// Why a unit was not loaded, in words.
    pub(crate) fn load_error(&self) -> Option<String> {
        let value = self.0.get("LoadError")?.try_clone().ok()?;
        let (_name, message) = <(String, String)>::try_from(value).ok()?;
        (!message.is_empty()).then_some(message)
    }
}

#[cfg(test)]
mod tests {
    use super::KNOWN;

    #[test]
    fn names_are_sorted_for_the_search() {
        assert!(KNOWN.is_sorted());
    }
}
