//! Owns `paramedic guard`.

mod stdio;

use std::path::PathBuf;

use guard::Settings;

use super::serve;
use crate::arguments::GuardArguments;
use crate::context;
use crate::fail::{Code, Failure};

pub(super) fn run(arguments: GuardArguments, config: Option<PathBuf>) -> Result<Code, Failure> {
    if arguments.stdio {
        return stdio::run(arguments, config);
    }
    serve::log("info");
    let paramedic_exe = context::program()?;
    let missing = || Failure::usage(anyhow::anyhow!("a guard needs --name and --listen, or --stdio"));
    let name = arguments.name.ok_or_else(missing)?;
    let listen = arguments.listen.ok_or_else(missing)?;
    let (control, log) = match (arguments.control, arguments.log) {
        (Some(control), Some(log)) => (control, log),
        (control, log) => {
            let (config, _) = context::load_or_default(config)?;
            (
                control.unwrap_or_else(|| config.run_dir.join("guards").join(format!("{name}.sock"))),
                log.unwrap_or_else(|| config.log_dir.join(format!("{name}.log"))),
            )
        }
    };
    for folder in [control.parent(), log.parent()].into_iter().flatten() {
        server::private_folder(folder).map_err(Failure::usage)?;
    }
    let settings = Settings {
        name,
        listen,
        control,
        log,
        command: arguments.command,
        environment: Vec::new(),
        directory: None,
        start_timeout: arguments.start_timeout,
        install_timeout: arguments.install_timeout,
        request_timeout: guard::REQUEST_TIMEOUT,
        tie: arguments.tie,
        once: arguments.once,
        tuning: arguments.tuning,
        paramedic_exe,
    };
    let run = context::runtime()?.block_on(guard::run(settings));
    run.map_err(|error| if error.exit_code() == 2 { Failure::usage(error) } else { Failure::no(error) })?;
    Ok(Code::Done)
}
