//! Owns the tables that ship, and finding the entries in them without reading any.
//!
//! They are TOML as any table, but written plainly: a header stands alone on its line, a text is in double quotes and
//! on the line of its key, and nothing is escaped. A test holds that TOML finds the same in them.

/// The tables, each an area.
pub(super) const TABLES: [&str; 16] = [
    include_str!("../commands/cloud.toml"),
    include_str!("../commands/containers.toml"),
    include_str!("../commands/databases.toml"),
    include_str!("../commands/files.toml"),
    include_str!("../commands/kubernetes.toml"),
    include_str!("../commands/network.toml"),
    include_str!("../commands/packages.toml"),
    include_str!("../commands/processes.toml"),
    include_str!("../commands/product.toml"),
    include_str!("../commands/queues.toml"),
    include_str!("../commands/security.toml"),
    include_str!("../commands/servers.toml"),
    include_str!("../commands/shell.toml"),
    include_str!("../commands/storage.toml"),
    include_str!("../commands/system.toml"),
    include_str!("../commands/versions.toml"),
];

/// One entry as it is written.
pub(super) struct Section {
    pub(super) name: &'static str,
    /// Its keys.
    pub(super) text: &'static str,
}

/// Returns the names behind `looks`, which stands in front of all entries.
pub(super) fn looks(table: &'static str) -> impl Iterator<Item = &'static str> {
    let list = table.split_once("looks = [").and_then(|(_, rest)| rest.split_once(']'));
    list.map_or("", |(list, _)| list).split('"').skip(1).step_by(2)
}

/// Returns the entries of a table.
pub(super) fn sections(table: &'static str) -> impl Iterator<Item = Section> {
    let starts = || memchr::memmem::find_iter(table.as_bytes(), "\n[").map(|at| at + 1);
    let ends = starts().skip(1).chain([table.len()]);
    starts().zip(ends).filter_map(|(start, end)| {
        let section = &table[start + 1..end];
        let close = memchr::memchr(b']', section.as_bytes())?;
        Some(Section { name: section[..close].trim_matches('"'), text: &section[close + 1..] })
    })
}

// === impl Section ===

impl Section {
    /// Returns the value of a key, without its quotes.
    pub(super) fn value(&self, key: &str) -> Option<&'static str> {
        let breaks = memchr::memchr_iter(b'\n', self.text.as_bytes()).map(|at| at + 1);
        let mut lines = std::iter::once(0).chain(breaks).map(|start| &self.text[start..]);
        let value = lines.find_map(|line| line.strip_prefix(key)?.strip_prefix(" = \""))?;
        value.split('"').next()
    }
}
