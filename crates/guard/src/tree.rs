//! Owns looking at the processes of a server: what each is, and how much each has done.

use std::collections::BTreeMap;
use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use process::ProcessId;

/// Longer command lines are class paths.
const COMMAND_BYTES_MAX: u64 = 16 << 10;
const ENVIRONMENT_BYTES_MAX: u64 = 256 << 10;

/// One process below the lifeline.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) id: ProcessId,
    pub(crate) parent: i32,
    /// Its arguments, as it shows them.
    pub(crate) arguments: Vec<String>,
    /// Its working directory.
    pub(crate) directory: Option<PathBuf>,
    /// `npm_lifecycle_event`, by which npm says what it runs a process for.
    pub(crate) lifecycle: Option<String>,
    pub(crate) done: Done,
}

/// How much a process has done.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Done {
    /// Processor time in clock ticks, which are 10 ms.
    pub(crate) cpu_ticks: u64,
    /// What it has read and written, from files, pipes and the network alike.
    pub(crate) bytes: u64,
}

/// A process and everything below it, parents before their children. Blocks for some milliseconds.
pub(crate) fn read(proc_root: &Path, top: ProcessId) -> Vec<Process> {
    let mut ids = vec![top];
    ids.extend(process::descendants(proc_root, top.pid));
    ids.into_iter().filter_map(|id| read_one(proc_root, id)).collect()
}

fn read_one(proc_root: &Path, id: ProcessId) -> Option<Process> {
    let folder = proc_root.join(id.pid.to_string());
    let stat = String::from_utf8_lossy(&bytes(&folder.join("stat"), COMMAND_BYTES_MAX)?).into_owned();
    let (_, fields) = stat.rsplit_once(')')?;
    let fields: Vec<&str> = fields.split_ascii_whitespace().collect();
    // Counted as in proc_pid_stat(5), where the state, the first one here, is field 3.
    let number = |field: usize| fields.get(field - 3)?.parse::<u64>().ok();
    let cpu_ticks = number(14).unwrap_or(0) + number(15).unwrap_or(0);
    let bytes_done = bytes(&folder.join("io"), COMMAND_BYTES_MAX).map_or(0, |io| bytes_of(&io));
    Some(Process {
        id,
        parent: i32::try_from(number(4)?).ok()?,
        arguments: texts(&bytes(&folder.join("cmdline"), COMMAND_BYTES_MAX)?),
        directory: fs::read_link(folder.join("cwd")).ok(),
        lifecycle: bytes(&folder.join("environ"), ENVIRONMENT_BYTES_MAX).and_then(|all| lifecycle(&all)),
        done: Done { cpu_ticks, bytes: bytes_done },
    })
}

/// Whether anything was done between two looks that is more than a program's breathing: 30 ms of processor time, 4 KiB,
/// or a process that began.
pub(crate) fn has_progressed(before: &BTreeMap<ProcessId, Done>, now: &BTreeMap<ProcessId, Done>) -> bool {
    const TICKS_MIN: u64 = 3;
    const BYTES_MIN: u64 = 4 << 10;
    let (mut ticks, mut bytes) = (0, 0);
    for (id, done) in now {
        let Some(then) = before.get(id) else { return true };
        ticks += done.cpu_ticks.saturating_sub(then.cpu_ticks);
        bytes += done.bytes.saturating_sub(then.bytes);
    }
    ticks >= TICKS_MIN || bytes >= BYTES_MIN
}

/// `rchar` and `wchar` of `/proc/PID/io` count every read and write, those of sockets included.
fn bytes_of(io: &[u8]) -> u64 {
    let text = String::from_utf8_lossy(io);
    let counts = text.lines().filter_map(|line| {
        let (name, count) = line.split_once(": ")?;
        matches!(name, "rchar" | "wchar").then(|| count.parse::<u64>().ok())?
    });
    counts.fold(0, u64::saturating_add)
}

/// Some programs write one text over all their arguments: its words are taken for arguments.
fn texts(cmdline: &[u8]) -> Vec<String> {
    let end = cmdline.iter().rposition(|byte| *byte != 0).map_or(0, |last| last + 1);
    let words: Vec<String> = cmdline[..end]
        .split(|byte| *byte == 0)
        .map(|word| String::from_utf8_lossy(word).into_owned())
        .collect();
    match words.as_slice() {
        [one] => one.split_ascii_whitespace().map(str::to_owned).collect(),
        _ => words,
    }
}

fn lifecycle(environment: &[u8]) -> Option<String> {
    let mut variables = environment.split(|byte| *byte == 0);
    let value = variables.find_map(|variable| variable.strip_prefix(b"npm_lifecycle_event="))?;
    Some(String::from_utf8_lossy(value).into_owned())
}

fn bytes(path: &Path, bytes_max: u64) -> Option<Vec<u8>> {
    let mut bytes = Vec::new();
    File::open(path).ok()?.take(bytes_max).read_to_end(&mut bytes).ok()?;
    Some(bytes)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use process::ProcessId;

    use super::{Done, has_progressed, read, texts};

    #[test]
    fn this_process_is_read() {
        let me = ProcessId::current();
        let all = read(Path::new("/proc"), me);
        let own = &all[0];
        assert_eq!((own.id, own.arguments[0].clone()), (me, std::env::args().next().unwrap()));
        assert_eq!(own.directory.as_deref(), std::env::current_dir().ok().as_deref());
        assert!(own.done.bytes > 0, "{own:?}");
    }

    #[test]
    fn one_text_over_all_arguments_is_taken_apart() {
        assert_eq!(texts(b"npm exec @a/b /x\0\0\0"), ["npm", "exec", "@a/b", "/x"]);
        assert_eq!(texts(b"sh\0-c\0a b\0"), ["sh", "-c", "a b"]);
        assert!(texts(b"").is_empty());
    }

    #[test]
    fn breathing_is_no_progress() {
        let id = |pid| ProcessId { pid, start_ticks: 1 };
        let at = |cpu_ticks, bytes| [(id(1), Done { cpu_ticks, bytes })].into();
        assert!(!has_progressed(&at(5, 100), &at(7, 4195)));
        assert!(has_progressed(&at(5, 100), &at(8, 100)));
        assert!(has_progressed(&at(5, 100), &at(5, 4196)));
        assert!(has_progressed(&at(5, 100), &[(id(2), Done::default())].into()));
    }
}
