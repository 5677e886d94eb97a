//! Owns `paramedic config`.

use std::path::PathBuf;

use ::server::Trust;
use ::server::config::Config;
use anyhow::Context as _;

use crate::arguments::{ConfigCommand, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

pub(super) fn run(command: &ConfigCommand, named: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    if matches!(command, ConfigCommand::Schema) {
        show::json(&::server::config::schema());
        return Ok(Code::Done);
    }
    let (config, path) = context::load(named)?;
    match command {
        ConfigCommand::Check => {
            check_runbooks(&config)?;
            show::line(&format!("{}: fine, {} server(s)", path.display(), config.server.len()))
        }
        ConfigCommand::Show if output == Output::Table => {
            let text = toml::to_string_pretty(&config)
                .context("cannot show the configuration")
                .map_err(Failure::usage)?;
            show::line(&format!("# {}, with all defaults\n{}", path.display(), text.trim_end()));
        }
        ConfigCommand::Show => show::json(&config),
        ConfigCommand::Schema => {}
    }
    Ok(Code::Done)
}

/// Says of each runbook that `serve`, run by this user, would not use, why.
fn check_runbooks(config: &Config) -> Result<(), Failure> {
    let trust = Trust::of(config);
    let problems: Vec<_> = config.runbooks.iter().filter_map(|path| trust.read(path).err()).collect();
    if problems.is_empty() {
        return Ok(());
    }
    let told: Vec<_> = problems.iter().map(|error| incident::error_chain(error)).collect();
    Err(Failure::usage(anyhow::anyhow!("{}", told.join("\nparamedic: "))))
}
