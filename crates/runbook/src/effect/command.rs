//! Owns finding out which command a name means: a function, an entry of the table, or nothing that anybody knows.

use super::assess::Judge;
use super::table::Entry;
use crate::bash::{Kind, Node, Visit, Word, walk};

/// Where programs of the system are; in any other place a known name may be anything.
const FOLDERS: [&str; 6] = ["/bin", "/sbin", "/usr/bin", "/usr/sbin", "/usr/local/bin", "/usr/local/sbin"];

impl Judge<'_> {
    /// Judges a command by its name and its arguments, which were expanded before.
    pub(super) fn invoke(&mut self, name: &str, arguments: &[Word]) {
        if self.call(name) {
            return;
        }
        let base = match name.rsplit_once('/') {
            Some((folder, base)) if FOLDERS.contains(&folder) => base,
            Some(_) => return self.unknown(format!("`{name}` may be any program")),
            None => name,
        };
        let entry = self.table.get(base);
        if let Some(variable) = entry.and_then(|entry| self.minded(entry)) {
            self.unknown(format!("`{variable}`, which the text sets, decides what `{base}` does"));
        }
        self.depth += 1;
        match entry.map(|entry| entry.reader) {
            Some(Some(language)) => language.judge(self, base, arguments),
            Some(None) => self.by_table(base, arguments),
            None => self.unknown(format!("`{base}` is not a command that is known")),
        }
        self.depth -= 1;
    }

    /// A variable that decides what the command does, where the text sets one anywhere: before the command, by
    /// `export`, or behind `env` and `sudo`.
    fn minded(&self, entry: &Entry) -> Option<String> {
        if !entry.minds_some() {
            return None;
        }
        let mut found: Option<String> = None;
        walk(self.script, &self.script.items, |node, visit| {
            if visit == Visit::Leave || found.is_some() {
                return;
            }
            match node {
                Node::Assignment(assignment) if entry.minds(&assignment.name) => {
                    found = Some(assignment.name.clone());
                }
                Node::Command(command) => {
                    let Kind::Simple { words, .. } = &command.kind else { return };
                    found = words.iter().find_map(|word| {
                        let (text, _) = word.literal_prefix();
                        let name = text.split_once('=').map_or(&*text, |(name, _)| name);
                        entry.minds(name).then(|| name.to_owned())
                    });
                }
                _ => {}
            }
        });
        found
    }
}
