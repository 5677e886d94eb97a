//! Owns the list of places whose files may go.

use std::path::{Path, PathBuf};
use std::time::Duration;

const DAY: Duration = Duration::from_secs(24 * 3600);
/// No file of any place is younger: what was written today may be what the trouble is about.
pub const RECLAIM_AGE_MIN: Duration = DAY;

/// Where files may go.
#[derive(Clone, Debug, Default)]
pub struct Places(pub(super) Vec<Place>);

/// A folder, and which of its files may go.
#[derive(Clone, Debug)]
pub(super) struct Place {
    pub(super) folder: PathBuf,
    pub(super) what: &'static str,
    /// Whether they are logs of ours, which are read compressed as well.
    pub(super) is_log: bool,
    /// Which entries of the folder itself count.
    pub(super) counts: fn(&str) -> bool,
    /// Whether folders are gone into.
    pub(super) is_deep: bool,
    pub(super) age_min: Duration,
}

// === impl Places ===

impl Places {
    /// The places of a machine below `root`; `log_dir` is where the guards write, and `passwd` says who lives here.
    pub fn of_machine(root: &Path, log_dir: &Path) -> Self {
        let mut places = vec![
            Place {
                folder: log_dir.to_owned(),
                what: "rotated log of a server",
                is_log: true,
                counts: is_rotated_log,
                is_deep: false,
                age_min: 7 * DAY,
            },
            Place {
                folder: root.join("var/cache/apt/archives"),
                what: "package that apt fetches again",
                is_log: false,
                counts: |name| name.ends_with(".deb"),
                is_deep: false,
                age_min: DAY,
            },
        ];
        for folder in journals(root) {
            places.push(Place {
                folder,
                what: "archived journal of systemd",
                is_log: false,
                counts: is_archived_journal,
                is_deep: false,
                age_min: 14 * DAY,
            });
        }
        for folder in ["tmp", "var/tmp"] {
            places.push(Place {
                folder: root.join(folder),
                what: "left behind by a package manager",
                is_log: false,
                counts: is_left_behind,
                is_deep: true,
                age_min: 2 * DAY,
            });
        }
        for home in homes(root) {
            for (cache, what) in [
                (".npm/_cacache", "cache of npm"),
                (".cache/pip", "cache of pip"),
                (".cache/uv", "cache of uv"),
            ] {
                places.push(Place {
                    folder: home.join(cache),
                    what,
                    is_log: false,
                    counts: |_| true,
                    is_deep: true,
                    age_min: 7 * DAY,
                });
            }
        }
        Self(places)
    }
}

/// `NAME.log.N`, as guards rotate.
fn is_rotated_log(name: &str) -> bool {
    name.rsplit_once(".log.").is_some_and(|(stem, number)| {
        !stem.is_empty() && !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit())
    })
}

/// `system@…-….journal`, and `….journal~` where it was not closed well: journald writes to neither any more.
fn is_archived_journal(name: &str) -> bool {
    name.contains('@') && name.ends_with(".journal") || name.ends_with(".journal~")
}

/// Each machine that has kept a journal here has a folder, named by its id.
fn journals(root: &Path) -> Vec<PathBuf> {
    let Ok(entries) = std::fs::read_dir(root.join("var/log/journal")) else { return Vec::new() };
    let is_machine = |name: &str| name.len() == 32 && name.bytes().all(|byte| byte.is_ascii_hexdigit());
    let folders = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_machine));
    folders.take(64).map(|entry| entry.path()).collect()
}

fn is_left_behind(name: &str) -> bool {
    ["npm-", "pip-", "v8-compile-cache-", "yarn--"].iter().any(|start| name.starts_with(start))
}

fn homes(root: &Path) -> Vec<PathBuf> {
    let passwd = std::fs::read_to_string(root.join("etc/passwd")).unwrap_or_default();
    let mut homes: Vec<PathBuf> = passwd
        .lines()
        .take(10_000)
        .filter_map(|line| line.split(':').nth(5))
        .filter(|home| home.starts_with('/') && home.len() > 1)
        .map(|home| root.join(home.trim_start_matches('/')))
        .collect();
    homes.sort_unstable();
    homes.dedup();
    homes
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names() {
        for (name, expect) in [
            ("notes.log.1", true),
            ("notes.log.12", true),
            ("notes.log", false),
            ("notes.guard.log", false),
            ("fs.log.d", false),
            (".log.1", false),
            ("notes.log.", false),
            ("security-incidents.log.1x", false),
        ] {
            assert_eq!(is_rotated_log(name), expect, "{name}");
        }
        for (name, expect) in [
            ("system.journal", false),
            ("user-1000.journal", false),
            ("system@0005e1-ab.journal", true),
            ("system@0005e1-ab.journal~", true),
            ("system@0005e1-ab.journal.x", false),
        ] {
            assert_eq!(is_archived_journal(name), expect, "{name}");
        }
        assert!(is_left_behind("npm-1234") && !is_left_behind("heapdump") && !is_left_behind("x-npm-1"));
    }
}
