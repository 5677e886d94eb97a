//! Owns `paramedic guard --stdio`: nothing that is wrong around it keeps a client from its server.

use std::io::{self, Write};
use std::path::PathBuf;

use guard::StdioSettings;
use process::control::clients_folder;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use server::config::{self, Config, Place};
use tracing_subscriber::EnvFilter;

use crate::arguments::GuardArguments;
use crate::context;
use crate::fail::{Code, Failure};

pub(super) fn run(arguments: GuardArguments, config: Option<PathBuf>) -> Result<Code, Failure> {
    log();
    let config = configured(config);
    let sockets = clients_folder(&config.run_dir);
    for folder in [&config.run_dir, &sockets, &config.log_dir] {
        if let Err(error) = server::private_folder(folder) {
            tracing::warn!("{}", incident::error_chain(&error));
        }
    }
    let settings = StdioSettings {
        kind: arguments.name.unwrap_or_else(|| guard::name_of(&arguments.command)),
        reserved: config.server.iter().map(|server| server.name.clone()).collect(),
        sockets,
        logs: config.log_dir,
        command: arguments.command,
        start_timeout: arguments.start_timeout,
        install_timeout: arguments.install_timeout,
        own: super::own(arguments.settings.as_deref(), arguments.traces)?,
        controls: Some(config.controls_dir),
        paramedic_exe: context::program()?,
    };
    let runtime = context::runtime()?;
    let result = runtime.block_on(guard::run_stdio(settings));
    // Whoever still waits for a client or a server that are gone ends with this process.
    runtime.shutdown_background();
    result.map_err(Failure::usage)?;
    Ok(Code::Done)
}

/// The configuration says where sockets and logs are, and is not needed for anything else.
fn configured(named: Option<PathBuf>) -> Config {
    context::load_or_default(named).map_or_else(
        |failure| {
            tracing::warn!("{failure}; using the default places");
            config::empty(&Place::current())
        },
        |(config, _)| config,
    )
}

/// Only what matters goes to standard error, which is the client's.
fn log() {
    let filter = EnvFilter::try_from_env("PARAMEDIC_LOG").unwrap_or_else(|_| EnvFilter::new("warn"));
    let subscriber = tracing_subscriber::fmt().with_env_filter(filter).with_ansi(false).with_target(false);
    subscriber.with_writer(|| Patient).init();
}

/// Standard error, for as long as somebody reads it: a client that does not must not hold up its guard.
struct Patient;

impl Write for Patient {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let stderr = io::stderr();
        let mut fds = [PollFd::new(&stderr, PollFlags::OUT)];
        let now = Timespec { tv_sec: 0, tv_nsec: 0 };
        let room = poll(&mut fds, Some(&now)).is_ok() && fds[0].revents().contains(PollFlags::OUT);
        // A line that is short enough for the room that there is, is written whole or not at all.
        if room { stderr.lock().write(bytes) } else { Ok(bytes.len()) }
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
