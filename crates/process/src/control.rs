//! Owns the words spoken over a guard's control socket.
//!
//! The socket is a Unix stream socket (mode 0600) that carries JSON lines, each at most 1 MiB. The guard says `hello`
//! with its status on every new connection, and again when something of it has changed that is no event; and to every
//! connection each event as it happens. A client sends requests with an `id` of its choice and gets one `reply` for each
//! that has one. Several clients may be connected.
//!
//! `restart` and `start` carry a `key`: one whose key equals the status' `last_key` is not done again, and the
//! reply is the present status. So a client that crashed after sending may send again. Their reply comes when the
//! child is ready or has failed, and is `ok` either way: the order was carried out, and the status' phase says what
//! came of it. A stop that comes in between ends the start, and answers both.

mod client;

use std::fmt;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

pub use client::Client;

use crate::ending::Ending;
use crate::identity::ProcessId;

/// The longest line, either way: a status holds a command line and some lines of standard error, no more.
pub const LINE_BYTES_MAX: usize = 1 << 20;

/// What a client asks of a guard.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "request", rename_all = "snake_case")]
pub enum Request {
    /// End the child, if there is one, and start a new one.
    Restart {
        /// Comes back in the reply.
        id: u64,
        /// Makes the request idempotent.
        key: String,
        /// Who asks.
        by: String,
    },
    /// Start a child if none runs.
    Start {
        /// Comes back in the reply.
        id: u64,
        /// Makes the request idempotent.
        key: String,
        /// Who asks.
        by: String,
    },
    /// End the child and start no other until told to.
    Stop {
        /// Comes back in the reply.
        id: u64,
        /// Who asks.
        by: String,
    },
    /// What the server depends on, as last seen. Has no reply.
    Dependencies {
        /// All of them; what was told before is forgotten.
        dependencies: Vec<DependencyStatus>,
    },
    /// End the child and the guard.
    Shutdown {
        /// Comes back in the reply.
        id: u64,
    },
    /// Send the listening socket to another guard that is to take it over, and go on using it. Comes before the reply.
    HandOver {
        /// Comes back in the reply.
        id: u64,
        /// A Unix stream socket that listens; one byte comes with the descriptor.
        to: PathBuf,
    },
    /// Take no new connections, let go of the lock, answer what has begun, and end. Taken back where the client hangs up
    /// before another guard has the control socket.
    Retire {
        /// Comes back in the reply.
        id: u64,
    },
    /// What `/admin` of the guard's port takes. Its reply is [`Message::Answered`].
    Admin {
        /// Comes back in the reply.
        id: u64,
        /// Who asks.
        by: String,
        /// The path below `/admin/`.
        verb: String,
        /// The parameters, as in a query string.
        query: String,
        /// The body, if it has one.
        body: String,
    },
}

/// What a guard says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "message", rename_all = "snake_case")]
pub enum Message {
    /// The first line of every connection, and what replaces it.
    Hello {
        /// How things are now.
        status: Status,
    },
    /// Something happened.
    Event {
        /// What.
        event: Event,
    },
    /// The answer to one request.
    Reply {
        /// The request's own.
        id: u64,
        /// What came of it.
        outcome: Outcome,
    },
    /// The answer to a request for `/admin`.
    Answered {
        /// The request's own.
        id: u64,
        /// The status of HTTP that it would have.
        code: u16,
        /// The document, as JSON.
        document: String,
    },
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It was done, or had been done before; this is how things are now.
    Ok(Box<Status>),
    /// It was not done, for this reason.
    Error(String),
}

/// How a guard and its child are.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// The server's name.
    pub name: String,
    /// The guard's process.
    pub guard: ProcessId,
    /// Where it listens, as `ADDRESS:PORT`.
    pub listen: String,
    /// What it runs.
    pub command: Vec<String>,
    /// Where the child is in its life.
    pub phase: Phase,
    /// The child, if one runs.
    pub child: Option<ProcessId>,
    /// How many children were started since the guard was.
    pub starts: u64,
    /// How the last child ended, or why it could not be started.
    pub last_exit: Option<Exit>,
    /// The key of the last restart or start that was carried out.
    pub last_key: Option<String>,
    /// Who stopped the child, in the phase [`Phase::Stopped`].
    pub stopped_by: Option<String>,
    /// The package that was really run, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub package: Option<Box<Package>>,
    /// What operators have laid down that clients notice, in words.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub restriction: Option<Box<String>>,
}

/// A package with the version that was resolved for it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Package {
    /// Its name, with the scope if it has one.
    pub name: String,
    /// Its version, as its own description says.
    pub version: String,
    /// Where it comes from.
    pub kind: PackageKind,
    /// The file that says so.
    pub described_in: PathBuf,
}

/// Where a package comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum PackageKind {
    /// A `package.json` beside a script that node runs.
    Npm,
    /// A `*.dist-info` of the Python that runs it.
    Pypi,
}

/// Where a child is in its life.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Phase {
    /// It runs and has not yet answered `initialize`.
    Starting,
    /// The same, and a package manager is at work for it.
    Installing,
    /// It has.
    Ready,
    /// It ended by itself.
    Exited,
    /// It could not be started; `last_exit` says why.
    Failed,
    /// Somebody stopped it.
    Stopped,
}

/// The end of one child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Exit {
    /// 1 for the first of this guard, then counted up.
    pub sequence: u64,
    /// The child's pid; none if no process came to be.
    pub pid: Option<i32>,
    /// How it ended; none if no process came to be.
    pub ending: Option<Ending>,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// How long it had run, in milliseconds.
    pub uptime_ms: u64,
    /// Why.
    pub cause: ExitCause,
    /// The same in words.
    pub reason: String,
    /// The last lines of its standard error.
    pub stderr: Vec<String>,
    /// That the kernel ended it for want of memory, where that is certain.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub out_of_memory: Option<OutOfMemory>,
}

/// The kernel has killed a process for want of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct OutOfMemory {
    /// What its control group may use; none without a limit of its own: then the whole machine had nothing left, or a
    /// group above.
    pub limit_bytes: Option<u64>,
    /// How many processes of the group were killed.
    pub kills: u64,
}

/// Why a child ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum ExitCause {
    /// Nobody had asked for it.
    Unexpected,
    /// A restart, a stop or a shutdown.
    Requested,
    /// The command could not be executed, or ended before it answered `initialize`.
    StartFailed,
    /// It did not answer `initialize` in time.
    StartTimedOut,
}

/// What happened to a child.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum Event {
    /// It runs.
    Started {
        /// The child.
        child: ProcessId,
        /// When, in milliseconds since 1970.
        at_ms: i64,
        /// How many children were started since the guard was, this one included.
        starts: u64,
    },
    /// It answered `initialize`.
    Ready {
        /// The child.
        child: ProcessId,
        /// When, in milliseconds since 1970.
        at_ms: i64,
        /// How long after its start, in milliseconds.
        start_ms: u64,
    },
    /// It ended, or could not be started.
    Exited {
        /// How.
        exit: Exit,
    },
}

/// One thing that the server needs, as seen by whoever watches it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DependencyStatus {
    /// Its name in the configuration.
    pub name: String,
    /// How it is.
    pub health: DependencyHealth,
    /// Whether the server can work without it.
    pub critical: Criticality,
    /// Why it is so.
    pub reason: String,
}

/// How a dependency is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum DependencyHealth {
    /// It answers.
    Healthy,
    /// It does not.
    Unhealthy,
    /// Nobody has asked it yet.
    Unknown,
}

/// Whether a server can work without a dependency.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// It cannot.
    Critical,
    /// It can.
    Optional,
}

// === impl OutOfMemory ===

impl fmt::Display for OutOfMemory {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        const MEBIBYTE: u64 = 1 << 20;
        f.write_str("the kernel had no memory left for it")?;
        match self.limit_bytes {
            None => Ok(()),
            Some(limit) if limit % MEBIBYTE == 0 => write!(f, " (its limit is {} MiB)", limit / MEBIBYTE),
            Some(limit) => write!(f, " (its limit is {limit} bytes)"),
        }
    }
}

// === impl PackageKind ===

impl PackageKind {
    /// The value of a label.
    pub fn label(self) -> &'static str {
        match self {
            Self::Npm => "npm",
            Self::Pypi => "pypi",
        }
    }
}

/// The folder, in the runtime directory, in which guards that clients have started keep their sockets: `NAME.sock`,
/// each with HTTP and, beside it, its lock.
pub fn clients_folder(run_dir: &Path) -> PathBuf {
    run_dir.join("clients")
}

/// The lock file of the guard whose control socket is `control`: held for as long as that guard runs.
pub fn lock_path(control: &Path) -> PathBuf {
    let mut path = control.as_os_str().to_owned();
    path.push(".lock");
    path.into()
}

#[cfg(test)]
mod tests;
