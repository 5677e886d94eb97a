//! Owns `paramedic helper`: the service that systemd starts as root when somebody comes to its socket.

use std::os::fd::AsFd as _;
use std::os::unix::net::UnixListener;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use systemd::{CALL_TIMEOUT, SYSTEM_BUS, Systemd};

use crate::context;
use crate::fail::{Code, Failure};

/// How long it waits for somebody to come before it ends: systemd starts it anew in milliseconds.
const IDLE: Duration = Duration::from_secs(60);

pub(super) fn run() -> Result<Code, Failure> {
    super::serve::log("info");
    if !rustix::process::geteuid().is_root() {
        return Err(Failure::usage(anyhow::anyhow!("the helper is for root, and for others to ask")));
    }
    let listener = listener()
        .context("standard input is no listening socket: the helper is started by `paramedic-helper.socket`");
    let listener = listener.map_err(Failure::usage)?;
    let setup = helper::service::Setup {
        root: PathBuf::from("/"),
        owner: helper::OWNER,
        systemd: Systemd::new(SYSTEM_BUS, CALL_TIMEOUT),
        idle: IDLE,
    };
    context::runtime()?.block_on(async {
        let listener = tokio::net::UnixListener::from_std(listener).map_err(Failure::usage)?;
        helper::service::run(listener, &setup).await;
        Ok(Code::Done)
    })
}

/// The socket that systemd listens at, which is standard input (`StandardInput=socket`).
fn listener() -> anyhow::Result<UnixListener> {
    let input = std::io::stdin().as_fd().try_clone_to_owned()?;
    if !rustix::net::sockopt::socket_acceptconn(&input)? {
        anyhow::bail!("nobody can connect to it");
    }
    let listener = UnixListener::from(input);
    listener.set_nonblocking(true)?;
    Ok(listener)
}
