//! Owns what of a dependency several servers may have in common.

use super::Dependency;

// === impl Dependency ===

impl Dependency {
    /// Its name and target, where another server may need the same; a variable is each server's own.
    pub(crate) fn shared(&self) -> Option<String> {
        let plugin = (!self.nagios.is_empty()).then(|| self.nagios.join(" "));
        let file = self.file.as_ref().map(|path| path.to_string_lossy());
        let (kind, target) = [
            ("http", self.http.as_deref()),
            ("tcp", self.tcp.as_deref()),
            ("postgres", self.postgres.as_deref()),
            ("process", self.process.as_deref()),
            ("file", file.as_deref()),
            ("nagios", plugin.as_deref()),
        ]
        .into_iter()
        .find_map(|(kind, target)| Some((kind, target?)))?;
        Some(format!("{} ({kind} {target})", self.name))
    }
}
