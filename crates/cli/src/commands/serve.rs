//! Owns `paramedic serve`.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::time::Duration;

use anyhow::Context as _;
use server::{Parent, Serve, Start, Surroundings};
use tokio::signal::unix::{SignalKind, signal};
use tracing_subscriber::EnvFilter;

use crate::context;
use crate::fail::{Code, Failure};

/// How long work that cannot be interrupted may go on after the end.
const SHUTDOWN_MAX: Duration = Duration::from_secs(2);

pub(super) fn run(config: Option<PathBuf>) -> Result<Code, Failure> {
    log("info");
    let (config, config_path) = context::load(config)?;
    let exe = context::program()?;
    let runtime = context::threaded_runtime()?;
    let result = runtime.block_on(async {
        let (listen, servers) = (config.listen, config.server.len());
        let surroundings = Surroundings { exe, tie: None };
        let mut serve =
            Serve::start(Start { config, config_path, surroundings }).await.map_err(Failure::usage)?;
        tracing::info!(%listen, servers, "serving");
        if let Some(parent) = parent().map_err(Failure::usage)? {
            serve.tell(parent);
        }
        wait_for_end().await.map_err(Failure::usage)?;
        tracing::info!("stopping; guards, servers and running steps go on");
        serve.stop().await;
        Ok(Code::Done)
    });
    // A question to a mount that hangs must not keep us from ending.
    runtime.shutdown_timeout(SHUTDOWN_MAX);
    result
}

/// Whoever has started this process, where they want to hear from it.
fn parent() -> anyhow::Result<Option<Parent>> {
    let Some(address) = std::env::var_os("NOTIFY_SOCKET") else { return Ok(None) };
    let variable = |name| std::env::var(name).ok();
    let (usec, pid) = (variable("WATCHDOG_USEC"), variable("WATCHDOG_PID"));
    let watchdog = server::watchdog(usec.as_deref(), pid.as_deref(), std::process::id());
    Parent::new(&address, watchdog).map(Some).context("NOTIFY_SOCKET cannot be used")
}

/// Waits for SIGTERM or SIGINT.
async fn wait_for_end() -> anyhow::Result<()> {
    let mut terminate = signal(SignalKind::terminate()).context("cannot wait for SIGTERM")?;
    let mut interrupt = signal(SignalKind::interrupt()).context("cannot wait for SIGINT")?;
    tokio::select! { _ = terminate.recv() => {}, _ = interrupt.recv() => {} }
    Ok(())
}

/// Sends the program's own messages to standard error; `PARAMEDIC_LOG` says which.
pub(super) fn log(default: &str) {
    let filter = EnvFilter::try_from_env("PARAMEDIC_LOG").unwrap_or_else(|_| EnvFilter::new(default));
    tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_writer(std::io::stderr)
        .with_ansi(std::io::stderr().is_terminal())
        .with_target(false)
        .init();
}
