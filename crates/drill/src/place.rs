//! Owns the place of a demonstration: a fresh folder, free ports, and a configuration for them.

use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};

use server::config::{self, Config, Place};

/// The servers of the demonstration: name and kind.
pub(crate) const SERVERS: [(&str, &str); 2] = [("notes", "notes"), ("sums", "sums")];

/// Why there is no place.
#[derive(Debug, thiserror::Error)]
pub enum PlaceError {
    /// Something on the way failed.
    #[error("{what} failed")]
    Io {
        /// What was done.
        what: &'static str,
        /// Why it failed.
        source: std::io::Error,
    },
    /// The configuration is refused.
    #[error("the demonstration's own configuration is refused")]
    Config(#[from] config::ConfigError),
}

/// Writes the configuration into `folder` and reads it back, as a user's would be.
pub(crate) fn prepare(folder: &Path, exe: &Path) -> Result<(Config, PathBuf), PlaceError> {
    let ports = free_ports(SERVERS.len() + 1)?;
    let mut text = format!(
        "# Made by `paramedic demo`: everything is quick here, so that it is over before your coffee is cold.\n\
         data_dir = \"data\"\n\
         listen = \"127.0.0.1:{}\"\n\n\
         [probe]\ninterval = \"250ms\"\ntimeout = \"2s\"\n\n\
         [metrics]\nscrape_interval = \"1s\"\nevaluation_interval = \"250ms\"\n\n\
         [verify]\nprobes = 3\ninterval = \"250ms\"\nperiod = \"500ms\"\ntimeout = \"10s\"\n\n\
         [alerts.MCPServerDown]\nfor = \"1s\"\nkeep_firing_for = \"500ms\"\n",
        ports[0]
    );
    for ((name, kind), port) in SERVERS.iter().zip(&ports[1..]) {
        let command = [exe.to_string_lossy().as_ref(), "demo-server", kind].map(quoted).join(", ");
        text.push_str(&format!(
            "\n[[server]]\nname = \"{name}\"\nport = {port}\nstdio = [{command}]\n\
             [[server.dependency]]\nname = \"temporary files\"\nfile = \"/tmp\"\n"
        ));
    }
    let path = folder.join("paramedic.toml");
    std::fs::write(&path, text)
        .map_err(|source| PlaceError::Io { what: "writing the configuration", source })?;
    Ok((config::load(&path, &Place::current())?, path))
}

/// A TOML string.
fn quoted(text: &str) -> String {
    format!("\"{}\"", text.replace('\\', "\\\\").replace('"', "\\\""))
}

/// Ports that nobody has at this moment. Somebody may take one before it is used, and then the guard says so.
fn free_ports(n: usize) -> Result<Vec<u16>, PlaceError> {
    let fail = |source| PlaceError::Io { what: "finding free ports", source };
    let held: Vec<TcpListener> = (0..n)
        .map(|_| TcpListener::bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0))))
        .collect::<Result<_, _>>()
        .map_err(fail)?;
    held.iter().map(|listener| Ok(listener.local_addr().map_err(fail)?.port())).collect()
}
