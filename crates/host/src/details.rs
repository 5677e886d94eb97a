//! Owns what one process tells only its owner and root: open files, limits, memory in detail, environment keys.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use ::process::ProcessId;
use serde::Serialize;

use crate::memory::kilobytes;
use crate::processes::Stat;
use crate::roots::{FILE_BYTES_MAX, Roots, read, read_line, read_link};
use crate::text::{lines, lossy, number, split_once, words};

/// A process that leaks descriptors has as many as its limit: the count tells that, not the list.
const DESCRIPTORS_MAX: usize = 4096;
/// The kernel's name for the limit of all that a process has mapped (`ulimit -v`, `LimitAS=`).
const ADDRESS_SPACE: &str = "Max address space";

/// One process in depth.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Details {
    /// Which process.
    pub id: ProcessId,
    /// The directory in which it works.
    pub cwd: Option<String>,
    /// The function of the kernel in which its first thread waits.
    pub wait_channel: Option<String>,
    /// The names of its environment variables as it was started, sorted; never their values.
    pub environment_keys: Option<Vec<String>>,
    /// Its resource limits, by the kernel's name for each, such as `Max open files`.
    pub limits: Option<BTreeMap<String, Limit>>,
    /// How much address space it has taken, of a process that has a limit of that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub address_space_bytes: Option<u64>,
    /// Its memory.
    pub footprint: Option<Footprint>,
    /// What it has open.
    pub descriptors: Option<Descriptors>,
}

/// A resource limit; `None` is unlimited.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Limit {
    /// The one that holds.
    pub soft: Option<u64>,
    /// Up to which the process may raise it.
    pub hard: Option<u64>,
}

/// Memory of one process, from `smaps_rollup`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Footprint {
    /// In memory.
    pub rss_bytes: Option<u64>,
    /// The same, with shared pages divided among those who share them.
    pub pss_bytes: Option<u64>,
    /// Not backed by a file: heap and stacks.
    pub anonymous_bytes: Option<u64>,
    /// Its own and written to.
    pub private_dirty_bytes: Option<u64>,
    /// Swapped out.
    pub swap_bytes: Option<u64>,
}

/// The open descriptors of a process.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptors {
    /// How many there are.
    pub count: usize,
    /// The lowest of them, at most 4096.
    pub listed: Vec<Descriptor>,
}

/// One open file, socket or pipe.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Descriptor {
    /// Its number.
    pub number: i32,
    /// A path, or `socket:[INODE]`, `pipe:[INODE]` and the like; `None` when it was closed meanwhile.
    pub target: Option<String>,
}

// === impl Details ===

impl Details {
    pub(crate) fn read(roots: &Roots, id: ProcessId) -> Self {
        let folder = roots.process(id.pid);
        let part = |name: &str| read(&folder.join(name), FILE_BYTES_MAX);
        let limits = part("limits").map(|bytes| limits(&bytes));
        let is_limited = limits.as_ref().and_then(|all| all.get(ADDRESS_SPACE)?.soft).is_some();
        Self {
            id,
            address_space_bytes: is_limited.then(|| Stat::read(&folder)?.virtual_bytes).flatten(),
            cwd: read_link(&folder.join("cwd")),
            wait_channel: read_line(&folder.join("wchan")).filter(|name| name != "0"),
            environment_keys: part("environ").map(|bytes| environment_keys(&bytes)),
            limits,
            footprint: part("smaps_rollup").and_then(|bytes| Footprint::parse(&bytes)),
            descriptors: Descriptors::read(&folder),
        }
    }

    /// How much address space it has taken, and how much it may; `None` where there is no limit.
    pub fn address_space(&self) -> Option<(u64, u64)> {
        let most = self.limits.as_ref()?.get(ADDRESS_SPACE)?.soft?;
        Some((self.address_space_bytes?, most))
    }
}

// === impl Footprint ===

impl Footprint {
    /// A process without memory of its own, such as a zombie, has an empty file.
    fn parse(bytes: &[u8]) -> Option<Self> {
        let mut footprint = Self::default();
        for (name, value) in lines(bytes).filter_map(|line| split_once(line, b':')) {
            let field = match name {
                b"Rss" => &mut footprint.rss_bytes,
                b"Pss" => &mut footprint.pss_bytes,
                b"Anonymous" => &mut footprint.anonymous_bytes,
                b"Private_Dirty" => &mut footprint.private_dirty_bytes,
                b"Swap" => &mut footprint.swap_bytes,
                _ => continue,
            };
            *field = kilobytes(value);
        }
        (footprint != Self::default()).then_some(footprint)
    }
}

// === impl Descriptors ===

impl Descriptors {
    fn read(folder: &Path) -> Option<Self> {
        let folder = folder.join("fd");
        let entries = fs::read_dir(&folder).ok()?;
        let mut numbers: Vec<i32> =
            entries.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok()).collect();
        numbers.sort_unstable();
        let descriptor = |number: &i32| Descriptor {
            number: *number,
            target: read_link(&folder.join(number.to_string())),
        };
        let listed = numbers.iter().take(DESCRIPTORS_MAX).map(descriptor).collect();
        Some(Self { count: numbers.len(), listed })
    }

    /// The inodes of the sockets among them.
    pub fn socket_inodes(&self) -> impl Iterator<Item = u64> {
        self.listed.iter().filter_map(|descriptor| socket_inode(descriptor.target.as_deref()?))
    }
}

/// The value of one variable with which a process was started, for a caller that looks at it and keeps nothing of it; `None` where
/// it has none, or its environment is not ours to see.
pub fn variable_of(roots: &Roots, pid: i32, name: &str) -> Option<String> {
    let bytes = read(&roots.process(pid).join("environ"), FILE_BYTES_MAX)?;
    let entries = bytes.split(|byte| *byte == 0).filter_map(|entry| split_once(entry, b'='));
    let value = entries.filter(|(key, _)| *key == name.as_bytes()).map(|(_, value)| value).next()?;
    String::from_utf8(value.to_vec()).ok()
}

pub(crate) fn socket_inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

/// A process may overwrite its environment with anything: what has no `=` might be a value, and is left out.
fn environment_keys(bytes: &[u8]) -> Vec<String> {
    let entries = bytes.split(|byte| *byte == 0);
    let mut keys: Vec<_> = entries
        .filter_map(|entry| split_once(entry, b'='))
        .map(|(key, _)| key)
        .filter(|key| !key.is_empty() && key.iter().all(|byte| byte.is_ascii_alphanumeric() || *byte == b'_'))
        .map(lossy)
        .collect();
    keys.sort_unstable();
    keys.dedup();
    keys
}

/// A table whose first column, 26 bytes wide, is the name.
fn limits(bytes: &[u8]) -> BTreeMap<String, Limit> {
    let limit = |line: &[u8]| {
        let (name, values) = line.split_at_checked(26)?;
        let mut values = words(values).map(number);
        Some((lossy(name.trim_ascii_end()), Limit { soft: values.next()?, hard: values.next()? }))
    };
    lines(bytes).skip(1).filter_map(limit).collect()
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use ::process::ProcessId;

    use super::{Details, Limit, environment_keys, limits};
    use crate::Roots;

    const ID: ProcessId = ProcessId { pid: 9, start_ticks: 1 };

    #[test]
    fn values_of_the_environment_are_never_kept() {
        assert_eq!(environment_keys(b"B=secret\0A=x=y\0\0A=2\0"), ["A", "B"]);
        assert!(environment_keys(b"-----BEGIN KEY-----\nabc=\0hunter2\0=x\0").is_empty());
    }

    #[test]
    fn one_variable_by_its_exact_name() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        fs::create_dir_all(roots.process(9)).unwrap();
        fs::write(roots.process(9).join("environ"), b"API_TOKEN_2=x\0API_TOKEN=a=b\0API_TOKEN=c\0").unwrap();
        assert_eq!(super::variable_of(&roots, 9, "API_TOKEN").as_deref(), Some("a=b"));
        assert_eq!(super::variable_of(&roots, 9, "TOKEN"), None);
        assert_eq!(super::variable_of(&roots, 8, "API_TOKEN"), None);
    }

    #[test]
    fn limits_are_a_table() {
        let table = "Limit                     Soft Limit           Hard Limit           Units     \n\
                     Max cpu time              unlimited            unlimited            seconds   \n\
                     Max open files            20000                40000                files     \n\
                     short\n";
        let limits = limits(table.as_bytes());
        assert_eq!(limits.len(), 2);
        assert_eq!(limits["Max open files"], Limit { soft: Some(20_000), hard: Some(40_000) });
        assert_eq!(limits["Max cpu time"], Limit { soft: None, hard: None });
    }

    #[test]
    fn address_space_is_of_interest_where_it_has_a_limit() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        let folder = roots.process(9);
        fs::create_dir_all(&folder).unwrap();
        let mut fields = vec!["0"; 22];
        (fields[0], fields[19], fields[20]) = ("S", "1", "9000000");
        fs::write(folder.join("stat"), format!("9 (x) {}\n", fields.join(" "))).unwrap();
        let limit = |soft: &str| {
            let text = format!("Limit\n{:<26}{soft:<21}unlimited            bytes\n", "Max address space");
            fs::write(folder.join("limits"), text).unwrap();
            Details::read(&roots, ID).address_space()
        };
        assert_eq!(limit("10000000"), Some((9_000_000, 10_000_000)));
        assert_eq!(limit("unlimited"), None);
    }

    #[test]
    fn a_process_of_another_user_tells_nothing() {
        let root = tempfile::tempdir().unwrap();
        let details = Details::read(&Roots::below(root.path()), ID);
        assert_eq!(details.id, ID);
        assert!(details.cwd.is_none() && details.environment_keys.is_none() && details.descriptors.is_none());
        assert!(details.limits.is_none() && details.footprint.is_none() && details.wait_channel.is_none());
    }

    #[test]
    fn descriptors_are_counted_and_listed_in_order() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        let folder = roots.process(9).join("fd");
        fs::create_dir_all(&folder).unwrap();
        for (number, target) in [("10", "socket:[77]"), ("2", "/tmp/a b"), ("3", "pipe:[5]")] {
            symlink(target, folder.join(number)).unwrap();
        }
        fs::write(roots.process(9).join("wchan"), "0").unwrap();
        fs::write(roots.process(9).join("smaps_rollup"), "").unwrap();
        let details = Details::read(&roots, ID);
        assert_eq!((details.wait_channel, details.footprint), (None, None));
        let descriptors = details.descriptors.unwrap();
        let numbers: Vec<_> = descriptors.listed.iter().map(|descriptor| descriptor.number).collect();
        assert_eq!((descriptors.count, numbers), (3, vec![2, 3, 10]));
        assert_eq!(descriptors.socket_inodes().collect::<Vec<_>>(), [77]);
    }
}
