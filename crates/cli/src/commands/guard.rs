//! Owns `paramedic guard`.

mod stdio;

use std::net::{SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use guard::{Own, Settings};

use super::serve;
use crate::arguments::GuardArguments;
use crate::context;
use crate::fail::{Code, Failure};

pub(super) fn run(arguments: GuardArguments, config: Option<PathBuf>) -> Result<Code, Failure> {
    if arguments.stdio {
        return stdio::run(arguments, config);
    }
    // Before anything else is opened.
    let socket = process::activation::tcp_listener().map_err(Failure::usage)?.map(Arc::new);
    serve::log("info");
    let paramedic_exe = context::program()?;
    let missing = || Failure::usage(anyhow::anyhow!("a guard needs --name and --listen, or --stdio"));
    let name = arguments.name.ok_or_else(missing)?;
    let listen = address(arguments.listen, socket.as_deref())?;
    let (control, log, controls) = match (arguments.control, arguments.log, arguments.controls) {
        (Some(control), Some(log), Some(controls)) => (control, log, controls),
        (control, log, controls) => {
            let (config, _) = context::load_or_default(config)?;
            (
                control.unwrap_or_else(|| server::control_socket(&config, &name)),
                log.unwrap_or_else(|| config.log_dir.join(format!("{name}.log"))),
                controls.unwrap_or_else(|| server::controls_path(&config, &name)),
            )
        }
    };
    let own = own(arguments.settings.as_deref(), arguments.traces)?;
    for folder in [control.parent(), log.parent()].into_iter().flatten() {
        server::private_folder(folder).map_err(Failure::usage)?;
    }
    let settings = Settings {
        name,
        listen,
        socket,
        control,
        log,
        upstream: arguments.upstream,
        command: arguments.command,
        environment: Vec::new(),
        directory: None,
        start_timeout: arguments.start_timeout,
        install_timeout: arguments.install_timeout,
        request_timeout: guard::REQUEST_TIMEOUT,
        tie: arguments.tie,
        once: arguments.once,
        take_over: arguments.take_over,
        tuning: arguments.tuning,
        own,
        controls: Some(controls),
        paramedic_exe,
    };
    let run = context::runtime()?.block_on(guard::run(settings));
    run.map_err(|error| if error.exit_code() == 2 { Failure::usage(error) } else { Failure::no(error) })?;
    Ok(Code::Done)
}

/// Where to listen: what is said, or what systemd has opened; both have to be the same.
fn address(said: Option<SocketAddr>, socket: Option<&TcpListener>) -> Result<SocketAddr, Failure> {
    let opened = socket.map(TcpListener::local_addr).transpose().map_err(Failure::usage)?;
    match (said, opened) {
        (Some(said), Some(opened)) if said != opened => Err(Failure::usage(anyhow::anyhow!(
            "`--listen {said}`, but systemd has opened {opened}: leave `--listen` out, or name that"
        ))),
        (said, opened) => said.or(opened).ok_or_else(|| {
            let message = "a guard needs `--listen`, a socket of systemd (`LISTEN_FDS`), or `--stdio`";
            Failure::usage(anyhow::anyhow!(message))
        }),
    }
}

/// The settings of the guard itself, where a file of them is named.
fn own(path: Option<&Path>, traces: Option<String>) -> Result<Own, Failure> {
    let mut own = path.map_or_else(|| Ok(Own::default()), |path| Own::read(path).map_err(Failure::usage))?;
    own.traces.endpoint = own.traces.endpoint.or(traces);
    own.traces.check().map_err(|reason| Failure::usage(anyhow::anyhow!(reason)))?;
    Ok(own)
}
