//! Owns what commands share: the configuration, the client of the local socket, and who acts.

use std::path::PathBuf;
use std::sync::OnceLock;

use anyhow::Context as _;
use server::Secrets;
use server::client::Client;
use server::config::{self, Config, Place, Secret, Server};

use crate::fail::Failure;

/// Reads the configuration, and says where it was.
pub(crate) fn load(named: Option<PathBuf>) -> Result<(Config, PathBuf), Failure> {
    let place = Place::current();
    let path = named.unwrap_or_else(|| config::default_config_path(&place));
    let path = std::path::absolute(&path).unwrap_or(path);
    let config = config::load(&path, &place).map_err(Failure::usage)?;
    Ok((config, path))
}

/// A configuration without servers, in the default places, for what needs no file.
pub(crate) fn load_or_default(named: Option<PathBuf>) -> Result<(Config, PathBuf), Failure> {
    let place = Place::current();
    let path = config::default_config_path(&place);
    if named.is_none() && !path.exists() {
        return Ok((config::empty(&place), path));
    }
    load(named)
}

/// The `serve` of another place, where the command line names one: for every client of this process.
static FAR: OnceLock<Client> = OnceLock::new();

/// A server of the configuration, or which ones there are.
pub(crate) fn server<'c>(config: &'c Config, name: &str) -> Result<&'c Server, Failure> {
    config.server.iter().find(|server| server.name == name).ok_or_else(|| {
        let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
        let words = format!("`{name}` is no server of the configuration; there are: {}", known.join(", "));
        Failure::usage(anyhow::anyhow!(words))
    })
}

/// Lets every client of this process speak with the `serve` at `url`, by the word in a file.
pub(crate) fn go_far(url: &str, file: PathBuf) -> Result<(), Failure> {
    let secrets = Secrets::of_process(&program()?);
    let word = runtime()?.block_on(secrets.read(&Secret::File { file })).map_err(Failure::usage)?;
    let _ = FAR.set(Client::over_network(url, word.reveal())?);
    Ok(())
}

/// The client of the `serve` of another place, where one is named.
pub(crate) fn far() -> Option<Client> {
    FAR.get().cloned()
}

/// The client of the `serve` that is meant: the far one, the one of `$PARAMEDIC_SOCKET`, or of the configuration.
pub(crate) fn client(named: Option<PathBuf>) -> Result<Client, Failure> {
    if let Some(client) = far() {
        return Ok(client);
    }
    let socket = match std::env::var_os("PARAMEDIC_SOCKET").filter(|socket| !socket.is_empty()) {
        Some(socket) => PathBuf::from(socket),
        None => server::api::socket_path(&load_or_default(named)?.0),
    };
    Ok(Client::new(&socket)?)
}

/// The name under which something is written down: the step of a runbook, or the person at the keyboard.
pub(crate) fn actor() -> String {
    let variable = |name| std::env::var(name).ok().filter(|value| !value.is_empty());
    if let Some(unit) = variable("PARAMEDIC_STEP") {
        return format!("the runbook (unit {unit})");
    }
    variable("SUDO_USER")
        .or_else(|| variable("USER"))
        .or_else(|| variable("LOGNAME"))
        .unwrap_or_else(|| format!("user {}", rustix::process::getuid().as_raw()))
}

/// This very program.
pub(crate) fn program() -> Result<PathBuf, Failure> {
    std::env::current_exe().context("cannot find this program's own file").map_err(Failure::usage)
}

/// A runtime for commands that wait for others.
pub(crate) fn runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .build()
        .context("cannot make a runtime")
        .map_err(Failure::usage)
}

/// A runtime with threads, for `serve` and the demonstration.
pub(crate) fn threaded_runtime() -> Result<tokio::runtime::Runtime, Failure> {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .context("cannot make a runtime")
        .map_err(Failure::usage)
}
