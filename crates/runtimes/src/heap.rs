//! Owns dumps of heaps and forced collections: what a runtime does with its own tools, on a person's word, into a private place.
//!
//! Both stop the server while they last, and a dump holds every secret of it. So nothing here is done by looking: [`Way::of`]
//! only says how it could be done, or why it is not.
//!
//! - A Java machine is asked by the `jcmd` of its own JDK.
//! - Node writes a snapshot by itself where it was started with `--heapsnapshot-signal`, and the kernel says that it takes that
//!   signal. Nothing else is sent to it: SIGUSR1 would open its debugger, through which anybody on the machine could run
//!   programs as the server, and any other signal would end it.
//! - Python has nothing of the kind: somebody else's code would have to be run in it, which may break it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{DirBuilderExt as _, MetadataExt as _, PermissionsExt as _, chown};
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use host::runtime::{Kind, Runtime};
use host::{Need, Needed, Roots, User, denied};
use process::{ProcessId, Signal};

use crate::jvm;

/// A dump takes some seconds for each GiB; after this nobody waits for it any more.
pub const WITHIN: Duration = Duration::from_secs(600);
/// What has to stay free where a dump goes, beside the dump.
const SPARE_BYTES: u64 = 256 << 20;
/// The file has its last byte, and has not changed for so long.
const QUIET: Duration = Duration::from_secs(1);
const POLL: Duration = Duration::from_millis(50);

/// How a heap could be dumped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Way {
    /// By this `jcmd`.
    Jcmd(PathBuf),
    /// By this signal, upon which Node writes into this folder.
    Signal {
        /// The signal.
        signal: Signal,
        /// Its name.
        name: String,
        /// Where Node writes.
        folder: PathBuf,
    },
}

/// Why a heap is not dumped, or garbage not collected.
#[derive(Debug, thiserror::Error)]
pub enum HeapError {
    /// The runtime has nothing for it.
    #[error("process {pid} is a {runtime} process: {why}")]
    NoWay {
        /// The process.
        pid: i32,
        /// Its runtime.
        runtime: &'static str,
        /// Why.
        why: String,
    },
    /// The place cannot be used.
    #[error("nothing is written to `{}`: {why}", path.display())]
    Place {
        /// The folder.
        path: PathBuf,
        /// Why.
        why: String,
    },
    /// The runtime did not do it.
    #[error("process {pid} has not done it: {why}")]
    Failed {
        /// The process.
        pid: i32,
        /// Why.
        why: String,
    },
    /// The system refuses something.
    #[error("cannot {what} `{}`", path.display())]
    Io {
        /// What was tried.
        what: &'static str,
        /// With what.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

/// A dump that is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dump {
    /// The file: its owner alone may read it.
    pub file: PathBuf,
    /// Its length, in bytes.
    pub bytes: u64,
}

// === impl Way ===

impl Way {
    /// How the heap of this process could be dumped.
    ///
    /// # Errors
    /// Where it could not, with the reason.
    pub fn of(roots: &Roots, runtime: &Runtime) -> Result<Self, HeapError> {
        let no_way = |why: &str| HeapError::NoWay {
            pid: runtime.pid,
            runtime: runtime.kind.name(),
            why: why.to_owned(),
        };
        match runtime.kind {
            Kind::Jvm => jvm::tool(runtime).map(Self::Jcmd).ok_or_else(|| {
                no_way("there is no `jcmd` beside its library, or it lives in a container; use the tool of its own JDK there")
            }),
            Kind::Python => {
                Err(no_way("its heap cannot be read without running code in it, which may break it; `diagnose` says where its threads are"))
            }
            Kind::Node => {
                let name = runtime.dump_signal.as_deref().ok_or_else(|| {
                    no_way("it was not started with `--heapsnapshot-signal=SIGUSR2`, and any signal that it does not wait for would end it")
                })?;
                let signal = signal_of(name).ok_or_else(|| no_way("its signal is not known here"))?;
                if !host::catches(roots, runtime.pid, signal.as_raw()) {
                    return Err(no_way("it does not wait for its signal yet, which would end it"));
                }
                let folder = runtime.dump_folder.clone().ok_or_else(|| no_way("nobody knows where it would write"))?;
                Ok(Self::Signal { signal, name: name.to_owned(), folder })
            }
        }
    }
}

/// Dumps the heap of a process into a folder of its own below `to`, which nobody else may read. `name` is that of the file,
/// without its end. Blocks for [`WITHIN`] at most; a runtime that takes longer goes on, and its dump stays where it is.
///
/// # Errors
/// Where there is no room, others could read it, or the runtime does not do it.
pub fn dump(roots: &Roots, runtime: &Runtime, way: &Way, to: &Path, name: &str) -> Result<Dump, HeapError> {
    let folder = to.join(name);
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(to);
    made.map_err(|source| HeapError::Io { what: "make", path: to.to_owned(), source })?;
    must_have_room(to, host::tree_rss_bytes(roots, runtime.pid).unwrap_or_default())?;
    let made = fs::DirBuilder::new().mode(0o700).create(&folder);
    made.map_err(|source| HeapError::Io { what: "make", path: folder.clone(), source })?;
    let dumped = match way {
        Way::Jcmd(tool) => by_jcmd(roots, runtime, tool, &folder.join("heap.hprof")),
        Way::Signal { signal, folder: from, .. } => by_signal(runtime.pid, *signal, from, &folder),
    };
    let done = dumped.and_then(|file| close(&file));
    if done.is_err() {
        // An empty one says nothing; what is in it may be all that there is.
        let _ = fs::remove_dir(&folder);
    }
    done
}

/// Has a Java machine collect its garbage.
///
/// # Errors
/// Where the process is none, or does not do it.
pub fn collect(runtime: &Runtime) -> Result<(), HeapError> {
    let (pid, name) = (runtime.pid, runtime.kind.name());
    let no_way = |why: &str| HeapError::NoWay { pid, runtime: name, why: why.to_owned() };
    if runtime.kind != Kind::Jvm {
        return Err(no_way("nobody can make it collect its garbage from outside without running code in it"));
    }
    let tool = jvm::tool(runtime).ok_or_else(|| no_way("there is no `jcmd` beside its library"))?;
    let said = jvm::ask(&tool, pid, &["GC.run"], WITHIN);
    said.map(drop).ok_or_else(|| HeapError::Failed { pid, why: "`jcmd` gave up".to_owned() })
}

fn must_have_room(to: &Path, bytes: u64) -> Result<(), HeapError> {
    let io = |source: rustix::io::Errno| HeapError::Io {
        what: "ask for space in",
        path: to.to_owned(),
        source: source.into(),
    };
    let space = rustix::fs::statvfs(to).map_err(io)?;
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    let wanted = bytes.saturating_add(SPARE_BYTES);
    if free < wanted {
        let why = format!("{} MiB are free, and a dump may take {} MiB", free >> 20, wanted >> 20);
        return Err(HeapError::Place { path: to.to_owned(), why });
    }
    Ok(())
}

/// The machine itself writes the file, as its own user: the folder is that user's meanwhile.
fn by_jcmd(roots: &Roots, runtime: &Runtime, tool: &Path, file: &Path) -> Result<PathBuf, HeapError> {
    let pid = runtime.pid;
    let folder = file.parent().unwrap_or(file);
    if let Some(user) = host::user_of(roots, pid) {
        lend(folder, &user)?;
    }
    let path = file.to_string_lossy().into_owned();
    let said = jvm::ask(tool, pid, &["GC.heap_dump", &path], WITHIN).unwrap_or_default();
    if file.is_file() && said.contains("Heap dump file created") {
        return Ok(file.to_owned());
    }
    let why = said.lines().nth(1).unwrap_or("`jcmd` gave up").trim().to_owned();
    Err(HeapError::Failed { pid, why })
}

/// Gives an empty folder to a user, where we are somebody else.
fn lend(folder: &Path, user: &User) -> Result<(), HeapError> {
    let own = rustix::process::geteuid().as_raw();
    if user.uid == own {
        return Ok(());
    }
    let place = |why: String| HeapError::Place { path: folder.to_owned(), why };
    chown(folder, Some(user.uid), Some(user.gid)).map_err(|_| {
        place(format!("the server runs as user {}, and only root can give it a folder", user.uid))
    })?;
    let needed = [Needed { path: folder.to_owned(), need: Need::Write }];
    match denied(user, &needed).unwrap_or_default().first() {
        None => Ok(()),
        Some(first) => Err(place(format!(
            "user {} of the server is kept out at `{}`; name a folder that it may reach with --to",
            user.uid,
            first.at.display()
        ))),
    }
}

/// Node writes `Heap.DATE.TIME.PID.THREAD.NUMBER.heapsnapshot` while nothing else runs in it.
fn by_signal(pid: i32, signal: Signal, from: &Path, to: &Path) -> Result<PathBuf, HeapError> {
    let io = |what, path: &Path| {
        let path = path.to_owned();
        move |source| HeapError::Io { what, path, source }
    };
    let mode = fs::metadata(from).map_err(io("look at", from))?.mode();
    if mode & 0o007 != 0 {
        let why = format!("Node writes there first, and others may enter it (mode {:04o})", mode & 0o7777);
        return Err(HeapError::Place { path: from.to_owned(), why });
    }
    let failed = |why: &str| HeapError::Failed { pid, why: why.to_owned() };
    let is_of_it = |name: &str| {
        name.starts_with("Heap.") && name.ends_with(".heapsnapshot") && name.contains(&format!(".{pid}."))
    };
    let list = || -> Result<Vec<PathBuf>, HeapError> {
        let entries = fs::read_dir(from).map_err(io("list", from))?;
        let paths = entries.flatten().filter(|entry| entry.file_name().to_str().is_some_and(is_of_it));
        Ok(paths.map(|entry| entry.path()).collect())
    };
    let before = list()?;
    let process = ProcessId::of(pid).ok_or_else(|| failed("it is gone"))?;
    process::send(process, signal).map_err(io("signal", from))?;
    let until = Instant::now() + WITHIN;
    let mut known = (0, Instant::now());
    while Instant::now() < until && process.is_alive() {
        thread::sleep(POLL);
        let Some(file) = list()?.into_iter().find(|file| !before.contains(file)) else { continue };
        let bytes = fs::metadata(&file).map_or(0, |file| file.len());
        if bytes != known.0 {
            known = (bytes, Instant::now());
        } else if known.1.elapsed() >= QUIET && ends_as_json(&file) {
            let kept = to.join(file.file_name().unwrap_or_default());
            if fs::rename(&file, &kept).is_err() {
                fs::copy(&file, &kept).map_err(io("copy", &file))?;
                fs::remove_file(&file).map_err(io("remove", &file))?;
            }
            return Ok(kept);
        }
    }
    Err(failed(if process.is_alive() { "it has not come to an end in time" } else { "it has ended" }))
}

fn ends_as_json(file: &Path) -> bool {
    let last = || -> io::Result<bool> {
        let mut file = File::open(file)?;
        file.seek(SeekFrom::End(-16))?;
        let mut end = Vec::new();
        file.read_to_end(&mut end)?;
        Ok(end.trim_ascii_end().ends_with(b"}"))
    };
    last().unwrap_or(false)
}

/// From here on only we may read it.
fn close(file: &Path) -> Result<Dump, HeapError> {
    let io = |what| move |source| HeapError::Io { what, path: file.to_owned(), source };
    let folder = file.parent().unwrap_or(file);
    let (user, group) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    for path in [folder, file] {
        chown(path, Some(user), Some(group)).map_err(io("take back"))?;
    }
    fs::set_permissions(folder, fs::Permissions::from_mode(0o700)).map_err(io("close"))?;
    fs::set_permissions(file, fs::Permissions::from_mode(0o600)).map_err(io("close"))?;
    let opened = File::open(file).map_err(io("open"))?;
    opened.sync_all().map_err(io("sync"))?;
    let bytes = opened.metadata().map_err(io("look at"))?.len();
    Ok(Dump { file: file.to_owned(), bytes })
}

fn signal_of(name: &str) -> Option<Signal> {
    // Those that a program may take for a purpose of its own.
    let known = [
        ("SIGUSR1", Signal::USR1),
        ("SIGUSR2", Signal::USR2),
        ("SIGQUIT", Signal::QUIT),
        ("SIGHUP", Signal::HUP),
    ];
    known.into_iter().find(|(known, _)| *known == name).map(|(_, signal)| signal)
}

#[cfg(test)]
mod tests;
