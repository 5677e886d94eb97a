//! Owns `paramedic security harden`: a server in a unit of systemd that was attacked is shut off further than its file says,
//! by a drop-in of ours, which holds from its next start on and until the next boot.

use std::path::PathBuf;

use helper::{Setting, Topic};
use incident::change::{Change, What};

use super::hand::desk;
use super::{Hand, Subject, failure};
use crate::arguments::{HardenArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// What any server can do without that does not administer its machine. What a unit has already is no change to it.
const SETTINGS: [Setting; 7] = [
    Setting::NoNewPrivileges,
    Setting::PrivateTmp,
    Setting::PrivateDevices,
    Setting::ProtectSystem,
    Setting::ProtectHome,
    Setting::ProtectKernelTunables,
    Setting::RestrictSuidSgid,
];

pub(in crate::commands) fn harden(
    arguments: &HardenArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let client = context::client(named.clone())?;
    let (config, _) = context::load(named)?;
    let name = arguments.name.as_str();
    let Some(server) = config.server.iter().find(|server| server.name == name) else {
        let known: Vec<_> = config.server.iter().map(|server| server.name.as_str()).collect();
        let words = format!("`{name}` is no server of the configuration; there are: {}", known.join(", "));
        return Err(Failure::usage(anyhow::anyhow!(words)));
    };
    let Some(unit) = &server.unit else {
        let words = format!("`{name}` lives in no unit of systemd: what it may do is what its starter may");
        return Err(Failure::new(Code::Refused, anyhow::anyhow!(words)));
    };
    let path = desk().path(unit, Topic::Sandbox);
    let hand = Hand::Unit(unit, Topic::Sandbox);
    let places = vec![path.clone()];
    let subject = Subject { config: &config, client: &client, server: Some(name), name, places, hand };
    let runtime = context::runtime()?;
    if arguments.undo {
        runtime.block_on(subject.undo(output))?;
    } else {
        let text = helper::drop_in(unit, Topic::Sandbox, &SETTINGS).map_err(Failure::no)?.text();
        let change = Change::plan(What::ServerSandbox, name, [(path, Some(text))]).map_err(failure)?;
        match change {
            Some(change) => runtime.block_on(subject.carry_out(&change, output))?,
            None => show::line(&format!("{name}: nothing to do, it is so already")),
        }
    }
    if arguments.restart {
        return runtime.block_on(crate::commands::server::order(&client, name, "restart", output));
    }
    anstream::eprintln!(
        "it holds from the next start on: `paramedic server restart {name}`; until the next boot"
    );
    Ok(Code::Done)
}
