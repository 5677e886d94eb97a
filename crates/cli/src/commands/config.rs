//! Owns `paramedic config`.

use std::io::ErrorKind;
use std::path::PathBuf;

use ::server::config::Config;
use ::server::{SecretError, Secrets, Trust};
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
    if let Some(client) = context::far() {
        let config: serde_json::Value = context::runtime()?.block_on(client.get("/api/v1/config"))?;
        show::json(&config);
        return Ok(Code::Done);
    }
    let (config, path) = context::load(named)?;
    match command {
        ConfigCommand::Check => {
            check_machine(&config)?;
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

/// Says what of the configuration this machine does not have, or this user may not have: runbooks that are not trusted, a
/// user who is not there, secrets that cannot be read.
fn check_machine(config: &Config) -> Result<(), Failure> {
    let trust = Trust::of(config);
    let runbooks = config.runbooks.iter().filter_map(|path| trust.read(path).err());
    let mut problems: Vec<String> = runbooks.map(|error| incident::error_chain(&error)).collect();
    problems.extend(::server::rule_file_problems(config));
    for (server, path) in config.server.iter().filter_map(|one| Some((one, one.guard_settings.as_deref()?))) {
        let Err(error) = guard::Own::read(path) else { continue };
        let told = format!("`guard_settings` of server `{}`: {}", server.name, incident::error_chain(&error));
        match error {
            // What only the user of the guard may read says nothing to anybody else, and root is another one.
            guard::OwnError::Token { .. } if rustix::process::geteuid().is_root() => {
                anstream::eprintln!("paramedic: not looked at: {told}");
            }
            guard::OwnError::Read { source, .. } if source.kind() == ErrorKind::PermissionDenied => {
                anstream::eprintln!("paramedic: not looked at: {told}");
            }
            _ => problems.push(told),
        }
    }
    if let Some(name) = Trust::unknown_owner(config) {
        problems.push(format!("`trusted_owner`: nobody on this machine is called `{name}`"));
    }
    let secrets = Secrets::of_process(&context::program()?);
    for (whose, error) in context::runtime()?.block_on(secrets.problems(config)) {
        let told = format!("{whose}: {}", incident::error_chain(&error));
        match error {
            // That is so at every keyboard, and says nothing about the unit.
            SecretError::NoCredentials(_) => anstream::eprintln!("paramedic: not looked at: {told}"),
            _ => problems.push(told),
        }
    }
    if problems.is_empty() {
        return Ok(());
    }
    Err(Failure::usage(anyhow::anyhow!("{}", problems.join("\nparamedic: "))))
}
