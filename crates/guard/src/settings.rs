//! Owns what a guard is told at its start.

use std::net::{SocketAddr, TcpListener};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use crate::own::Own;

/// How long a child may take to answer `initialize`, unless told otherwise.
pub const START_TIMEOUT: Duration = Duration::from_secs(60);
/// How long a package manager may work before a server counts as not starting, unless told otherwise.
pub const INSTALL_TIMEOUT: Duration = Duration::from_secs(15 * 60);
/// How long a request may take, unless told otherwise.
pub const REQUEST_TIMEOUT: Duration = Duration::from_secs(600);

/// What a guard is told at its start.
#[derive(Clone, Debug)]
pub struct Settings {
    /// The server's name: in metrics, logs and messages.
    pub name: String,
    /// Where to listen for HTTP; port 0 lets the system choose.
    pub listen: SocketAddr,
    /// The socket to listen with, where somebody else has opened it: systemd. Then `listen` is its address.
    pub socket: Option<Arc<TcpListener>>,
    /// The control socket, for `serve` and the command line.
    pub control: PathBuf,
    /// The server's log file.
    pub log: PathBuf,
    /// The URL of a server that speaks Streamable HTTP, and that somebody else has started; then there is no command.
    pub upstream: Option<String>,
    /// What to run, and its arguments.
    pub command: Vec<String>,
    /// Variables for the command, added to the guard's own.
    pub environment: Vec<(String, String)>,
    /// The command's working directory, if not the guard's.
    pub directory: Option<PathBuf>,
    /// How long the command may take until it answers `initialize`; [`START_TIMEOUT`].
    pub start_timeout: Duration,
    /// How long a package manager may work for it, which does not count as its start; [`INSTALL_TIMEOUT`].
    pub install_timeout: Duration,
    /// How long a request may take; [`REQUEST_TIMEOUT`].
    pub request_timeout: Duration,
    /// A process whose end ends the guard and its child; none for a guard that outlives whoever started it.
    pub tie: Option<i32>,
    /// Whether the guard ends when its child does by itself: whoever starts the guard starts both again.
    pub once: bool,
    /// Whether to take the port over from a guard of this name that runs, once the server is ready.
    pub take_over: bool,
    /// What is another in how the command is started; read before each start. See [`process::tuning`].
    pub tuning: Option<PathBuf>,
    /// What belongs to this one server: tools that read, the test read, the token of `/admin`.
    pub own: Own,
    /// What operators lay down while it runs: the file of [`crate::Controls`]. None where it is forgotten with the guard.
    pub controls: Option<PathBuf>,
    /// The program that has the role `lifeline`.
    pub paramedic_exe: PathBuf,
}
