//! Owns finding out which command a name means: a function, an entry of the table, or nothing that anybody knows.

use super::assess::Judge;
use crate::bash::Word;

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
        self.depth += 1;
        match self.table.get(base).map(|entry| entry.reader) {
            Some(Some(language)) => language.judge(self, base, arguments),
            Some(None) => self.by_table(base, arguments),
            None => self.unknown(format!("`{base}` is not a command that is known")),
        }
        self.depth -= 1;
    }
}
