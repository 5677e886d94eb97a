//! Owns `paramedic config`.

use std::path::PathBuf;

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
