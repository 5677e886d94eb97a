//! Owns the arguments of `paramedic guard`.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use super::duration;

#[derive(Debug, Args)]
pub(crate) struct GuardArguments {
    /// Stand between a client and its server: put `paramedic guard --stdio --` before the command in the client's
    /// configuration, and nothing else changes for either
    #[arg(long, conflicts_with_all = ["listen", "control", "tie", "tuning"])]
    pub(crate) stdio: bool,
    /// The server's name [default with --stdio: from its command]
    #[arg(long, required_unless_present = "stdio")]
    pub(crate) name: Option<String>,
    /// Where to listen [default: the socket that systemd hands over]
    #[arg(long, value_name = "ADDRESS:PORT")]
    pub(crate) listen: Option<SocketAddr>,
    /// The control socket, for `serve` [default: in the run directory, by name]
    #[arg(long, value_name = "SOCKET")]
    pub(crate) control: Option<PathBuf>,
    /// The server's log, as JSON lines [default: in the log directory, by name]
    #[arg(long, value_name = "FILE", conflicts_with = "stdio")]
    pub(crate) log: Option<PathBuf>,
    /// How long the server may take until it answers; the work of a package manager does not count
    #[arg(long, value_name = "DURATION", default_value = "60s", value_parser = duration)]
    pub(crate) start_timeout: Duration,
    /// How long a package manager may work for the server
    #[arg(long, value_name = "DURATION", default_value = "15m", value_parser = duration)]
    pub(crate) install_timeout: Duration,
    /// End with the process of this number
    #[arg(long, value_name = "PID")]
    pub(crate) tie: Option<i32>,
    /// End when the server ends by itself, for whoever starts both again, such as a unit of systemd
    #[arg(long, conflicts_with = "stdio")]
    pub(crate) once: bool,
    /// Take the port over from the guard of this name that runs, once the server is ready; that one answers what it has
    /// begun, and ends
    #[arg(long, conflicts_with = "stdio")]
    pub(crate) take_over: bool,
    /// What is another in how the server is started, as `server tune` writes it
    #[arg(long, value_name = "FILE")]
    pub(crate) tuning: Option<PathBuf>,
    /// What operators lay down while it runs, as `server readonly` and `server block` write it [default: in the
    /// directory of controls, by name]
    #[arg(long, value_name = "FILE", conflicts_with = "stdio")]
    pub(crate) controls: Option<PathBuf>,
    /// Where the guard's spans go: http://HOST:PORT, or unix:PATH for the socket of `serve`; `endpoint` of [traces] in the
    /// settings says otherwise [default: nowhere]
    #[arg(long, value_name = "ENDPOINT")]
    pub(crate) traces: Option<String>,
    /// The guard's own settings: what only reads, the test read, limits, who may come, TLS, the token of /admin
    #[arg(long, value_name = "FILE")]
    pub(crate) settings: Option<PathBuf>,
    /// Stand in front of a server that speaks Streamable HTTP and that somebody else has started
    #[arg(long, value_name = "URL", conflicts_with_all = ["stdio", "once", "tuning", "command"])]
    pub(crate) upstream: Option<String>,
    /// The server's command
    #[arg(last = true, required_unless_present = "upstream", value_name = "COMMAND")]
    pub(crate) command: Vec<String>,
}
