//! Owns the checks of this machine: a process by its name, a file, a variable of the environment.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use tokio::sync::Semaphore;
use tokio::task;

use crate::reason;
use crate::report::Verdict;

/// A look at a dead network mount keeps its thread for as long as the mount is dead: no more than this many
/// threads may be lost so; then the others wait for one until their deadline.
const LOOKS_MAX: usize = 32;

/// The first argument of a command line is a path.
const COMMAND_BYTES_MAX: u64 = 4096;

/// Looks at what may block, each in a thread of its own.
#[derive(Clone, Debug)]
pub(crate) struct Looks(Arc<Semaphore>);

// === impl Looks ===

impl Default for Looks {
    fn default() -> Self {
        Self(Arc::new(Semaphore::new(LOOKS_MAX)))
    }
}

impl Looks {
    /// Healthy when a process has this name for the kernel, or runs a program of this name.
    pub(crate) async fn process(&self, name: &str) -> Verdict {
        let wanted = name.to_owned();
        match self.look(move || find_process(Path::new("/proc"), &wanted)).await {
            Some(Ok(Some(pid))) => Verdict::healthy(format!("process {pid}")),
            Some(Ok(None)) => Verdict::unhealthy(format!("no process is named `{name}`")),
            Some(Err(error)) => {
                Verdict::unknown(format!("the processes cannot be listed: {}", reason::of_error(&error)))
            }
            None => Verdict::unknown("the look at the processes was broken off"),
        }
    }

    /// Healthy when something is there, a directory too. A path that may not be looked at is not there for us.
    pub(crate) async fn file(&self, path: &Path) -> Verdict {
        let wanted = path.to_path_buf();
        match self.look(move || fs::metadata(&wanted)).await {
            Some(Ok(_)) => Verdict::healthy("it exists"),
            Some(Err(error)) if error.kind() == io::ErrorKind::NotFound => Verdict::unhealthy("no such file"),
            Some(Err(error)) => Verdict::unhealthy(reason::of_error(&error)),
            None => Verdict::unknown("the look at the file was broken off"),
        }
    }

    /// `None` when the runtime ends meanwhile.
    async fn look<T: Send + 'static>(&self, looks: impl FnOnce() -> T + Send + 'static) -> Option<T> {
        let permit = self.0.clone().acquire_owned().await.ok()?;
        let blocking = move || {
            let _permit = permit;
            looks()
        };
        task::spawn_blocking(blocking).await.ok()
    }
}

/// Healthy when the variable has a value, the one given or else our own. The value itself is nobody's business.
pub(crate) fn env(variable: &str, given: Option<&str>) -> Verdict {
    // The standard library panics at names that cannot be.
    if variable.is_empty() || variable.contains(['=', '\0']) {
        return Verdict::unknown(format!("`{}` is no name of a variable", reason::tidy(variable)));
    }
    match given.map(Into::into).or_else(|| std::env::var_os(variable)) {
        Some(value) if !value.is_empty() => Verdict::healthy("it is set"),
        Some(_) => Verdict::unhealthy("it is empty"),
        None => Verdict::unhealthy("it is not set"),
    }
}

fn find_process(proc_root: &Path, name: &str) -> io::Result<Option<i32>> {
    for entry in fs::read_dir(proc_root)?.flatten() {
        let pid = entry.file_name().to_str().and_then(|pid| pid.parse().ok());
        if pid.is_some() && is_named(&entry.path(), name.as_bytes()) {
            return Ok(pid);
        }
    }
    Ok(None)
}

/// The kernel keeps the first 15 bytes of a name; the program's path has all of it. What has ended and only
/// waits to be reaped does not run.
fn is_named(folder: &Path, name: &[u8]) -> bool {
    let stat = read(folder.join("stat"));
    let (Some(open), Some(close)) = (position(&stat, b'('), stat.iter().rposition(|byte| *byte == b')'))
    else {
        return false;
    };
    if matches!(stat.get(close + 2), Some(b'Z' | b'X' | b'x') | None) {
        return false;
    }
    let command = read(folder.join("cmdline"));
    let program = command.split(|byte| *byte == 0).next().unwrap_or_default();
    let file_name = program.rsplit(|byte| *byte == b'/').next().unwrap_or_default();
    stat.get(open + 1..close) == Some(name) || (file_name == name && !name.is_empty())
}

fn position(bytes: &[u8], wanted: u8) -> Option<usize> {
    bytes.iter().position(|byte| *byte == wanted)
}

/// Empty when the process has ended meanwhile.
fn read(path: PathBuf) -> Vec<u8> {
    let mut bytes = Vec::new();
    let opened = File::open(path).map(|file| file.take(COMMAND_BYTES_MAX).read_to_end(&mut bytes));
    if opened.is_err() { Vec::new() } else { bytes }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Looks, env, find_process};
    use crate::Health;

    fn put(root: &Path, pid: &str, comm: &str, state: char, command: &str) {
        fs::create_dir_all(root.join(pid)).unwrap();
        fs::write(root.join(pid).join("stat"), format!("{pid} ({comm}) {state} 1")).unwrap();
        fs::write(root.join(pid).join("cmdline"), command).unwrap();
    }

    #[test]
    fn processes_are_found_by_their_whole_name() {
        let root = tempfile::tempdir().unwrap();
        put(root.path(), "5", "mem-2", 'S', "mem-2\0");
        put(root.path(), "6", "gone", 'Z', "");
        put(root.path(), "7", "a) b\n(c", 'S', "");
        put(root.path(), "8", "a-very-long-nam", 'R', "/opt/bin/a-very-long-name-indeed\0-v\0");
        fs::create_dir(root.path().join("9")).unwrap();
        let find = |name| find_process(root.path(), name).unwrap();
        assert_eq!((find("mem-2"), find("a) b\n(c")), (Some(5), Some(7)));
        assert_eq!((find("a-very-long-name-indeed"), find("a-very-long-nam")), (Some(8), Some(8)));
        for absent in ["mem", "gone", "", "bin", "-v", "MEM-2"] {
            assert_eq!(find(absent), None, "{absent}");
        }
        assert!(find_process(&root.path().join("none"), "x").is_err());
    }

    #[tokio::test]
    async fn this_machine() {
        let looks = Looks::default();
        let own = std::env::current_exe().unwrap();
        let name = own.file_name().unwrap().to_str().unwrap();
        assert_eq!(looks.process(name).await.health, Health::Healthy);
        let none = looks.process("no-such-process").await;
        assert_eq!(
            (none.health, none.reason.as_str()),
            (Health::Unhealthy, "no process is named `no-such-process`")
        );
        assert_eq!(looks.file(&own).await.health, Health::Healthy);
        let none = looks.file(Path::new("/no/such/file")).await;
        assert_eq!((none.health, none.reason.as_str()), (Health::Unhealthy, "no such file"));
        assert_eq!(looks.file(&own.join("x")).await.reason, "not a directory");
    }

    #[test]
    fn variables() {
        assert_eq!(env("PATH", None).health, Health::Healthy);
        assert_eq!(env("NO_SUCH_VARIABLE_AT_ALL", None).reason, "it is not set");
        assert_eq!(env("NO_SUCH_VARIABLE_AT_ALL", Some("x")).health, Health::Healthy);
        assert_eq!(env("PATH", Some("")).reason, "it is empty");
        for odd in ["", "A=B", "A\0B"] {
            assert_eq!(env(odd, None).health, Health::Unknown);
        }
    }
}
