//! Owns what is asked: a server, where it answers, and what it depends on.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::pin::Pin;
use std::sync::Arc;

use serde::Serialize;

/// One MCP server to ask.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Target {
    /// Its name.
    pub name: String,
    /// Where it answers.
    pub endpoint: Endpoint,
    /// What it needs to work.
    pub dependencies: Vec<Dependency>,
}

/// Where a server answers, and how it is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A guard in front of it, which asks the server itself when `/health` is asked for.
    Guard {
        /// Such as `http://127.0.0.1:8001`, with or without a slash at the end.
        base_url: String,
    },
    /// The same at a local socket: a guard that a client has started.
    Local {
        /// The socket.
        socket: PathBuf,
    },
    /// The server itself, over Streamable HTTP.
    Upstream {
        /// Such as `http://127.0.0.1:3001/mcp`.
        url: String,
    },
}

/// Something that a server needs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Dependency {
    /// Its name.
    pub name: String,
    /// How it is asked.
    pub check: Check,
    /// What its failure means for the server.
    pub critical: Criticality,
}

/// How a dependency is asked.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Check {
    /// A GET is answered with a status below 400, after at most 3 redirects: 401 and 403 are failures as well.
    Http {
        /// What to get.
        url: String,
    },
    /// A connection is accepted at one of the addresses that the name has.
    Tcp {
        /// `HOST:PORT` or `[IPV6]:PORT`.
        address: String,
    },
    /// A PostgreSQL database takes connections. One that asks for a password that is not known here takes them too.
    Postgres {
        /// `[USER@]HOST:PORT[/DATABASE]`, or `postgres://USER@HOST[:PORT][/DATABASE][?sslmode=…&sslrootcert=…]` as for libpq;
        /// private where the database can, unless that says otherwise.
        address: String,
        /// The password of that user.
        password: Option<Password>,
    },
    /// A process of this machine has exactly this name, or runs a program whose file has.
    Process {
        /// `mem` is not `mem-2`.
        name: String,
    },
    /// Something exists at this path.
    File {
        /// Symbolic links are followed.
        path: PathBuf,
    },
    /// A plugin of Nagios says so by its exit code; a warning means that it works, with less to offer.
    Nagios {
        /// The program and its arguments.
        command: Vec<String>,
    },
    /// A variable has a value that is not empty, in the environment that the server gets.
    Env {
        /// The name of the variable.
        variable: String,
        /// The value that the server's configuration gives it; without one that of our own environment counts.
        value: Option<String>,
    },
}

/// A password that is looked up each time it is used, and shown to nobody.
#[derive(Clone)]
pub struct Password(Arc<dyn Reveal>);

/// Where a password is.
pub trait Reveal: Send + Sync {
    /// Reads it; the error says why it is not known, without it.
    fn reveal(&self) -> Pin<Box<dyn Future<Output = Result<String, String>> + Send + '_>>;

    /// The place, for people.
    fn place(&self) -> String;
}

/// What the failure of a dependency means for its server.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Criticality {
    /// The server cannot work without it.
    Critical,
    /// The server works, with less to offer.
    Optional,
}

// === impl Password ===

impl Password {
    /// The password that is there.
    pub fn at(place: impl Reveal + 'static) -> Self {
        Self(Arc::new(place))
    }

    pub(crate) async fn reveal(&self) -> Result<String, String> {
        self.0.reveal().await
    }
}

impl PartialEq for Password {
    fn eq(&self, other: &Self) -> bool {
        self.0.place() == other.0.place()
    }
}

impl Eq for Password {}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Password({})", self.0.place())
    }
}

// === impl Target ===

impl Target {
    /// Where it listens on this machine; `None` where it listens elsewhere, or at no port.
    pub fn local_address(&self) -> Option<SocketAddr> {
        let url = match &self.endpoint {
            Endpoint::Guard { base_url } => base_url,
            Endpoint::Upstream { url } => url,
            Endpoint::Local { .. } => return None,
        };
        let url = reqwest::Url::parse(url).ok()?;
        let port = url.port_or_known_default()?;
        let host = url.host_str()?.trim_matches(['[', ']']);
        let ip =
            if host == "localhost" { Ipv4Addr::LOCALHOST.into() } else { host.parse::<IpAddr>().ok()? };
        ip.is_loopback().then_some(SocketAddr::new(ip, port))
    }
}

// === impl Criticality ===

impl Criticality {
    /// The value of the label `critical`.
    pub fn label(self) -> &'static str {
        match self {
            Self::Critical => "true",
            Self::Optional => "false",
        }
    }
}
