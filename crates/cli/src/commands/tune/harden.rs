//! Owns `paramedic security harden`: a server in a unit of systemd that was attacked is shut off further than its file says,
//! by a drop-in of ours, which holds from its next start on and until the next boot; and taken back where it does not start so.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use ::server::client::Client;
use ::server::config::{Config, Server};
use helper::{Setting, Topic};
use incident::change::{Change, What};
use probe::{CheckType, Prober};
use systemd::UnitName;

use super::hand::{desk, systemd};
use super::reach::{Reach, reach};
use super::{Hand, Subject, failure};
use crate::arguments::{HardenArguments, Output};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// What any server can do without that does not administer its machine. What a unit has already is no change to it, and nothing
/// of it gives more than the unit's own file: the folders of `StateDirectory=` and the like stay writable by themselves, and so
/// does what `ReadWritePaths=` names there. `PrivateNetwork=` is not among it: the guard in the unit takes its clients from the
/// network, and would have none.
const SETTINGS: [Setting; 9] = [
    Setting::NoNewPrivileges,
    Setting::PrivateTmp,
    Setting::PrivateDevices,
    Setting::ProtectSystem,
    Setting::ProtectHome,
    Setting::ProtectKernelTunables,
    Setting::RestrictSuidSgid,
    Setting::DenySystemCalls,
    Setting::DenyAddressFamilies,
];

/// How long a server may take to be ready after its restart.
const READY_MAX: Duration = Duration::from_secs(60);
/// So many looks in a row have to find it ready, and so long after each other: one may find what is about to fall.
const LOOKS: u32 = 3;
const LOOK_EVERY: Duration = Duration::from_millis(500);
const LOOK_MAX: Duration = Duration::from_secs(5);

pub(in crate::commands) fn harden(
    arguments: &HardenArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let client = context::client(named.clone())?;
    let (config, _) = context::load(named)?;
    let name = arguments.name.as_str();
    let server = context::server(&config, name)?;
    let Some(unit) = &server.unit else {
        let words = format!("`{name}` lives in no unit of systemd: what it may do is what its starter may");
        return Err(Failure::new(Code::Refused, anyhow::anyhow!(words)));
    };
    let path = desk().path(unit, Topic::Sandbox);
    let hand = Hand::Unit(unit, Topic::Sandbox);
    let places = vec![path.clone()];
    let subject = Subject { config: &config, client: &client, server: Some(name), name, places, hand };
    context::runtime()?.block_on(async {
        let is_new = if arguments.undo {
            subject.undo(output).await?;
            false
        } else {
            let settings = settings(&config, server, unit, arguments).await?;
            let text = helper::drop_in(unit, Topic::Sandbox, &settings).map_err(Failure::no)?.text();
            match Change::plan(What::ServerSandbox, name, [(path, Some(text))]).map_err(failure)? {
                Some(change) => {
                    subject.carry_out(&change, output).await?;
                    true
                }
                None => {
                    show::line(&format!("{name}: nothing to do, it is so already"));
                    false
                }
            }
        };
        if !arguments.restart {
            anstream::eprintln!(
                "it holds from the next start on: `paramedic server restart {name}`; until the next boot"
            );
            return Ok(Code::Done);
        }
        restart(&client, &config, server, is_new.then_some(&subject), output).await
    })
}

/// What is set at the unit of a server.
async fn settings(
    config: &Config,
    server: &Server,
    unit: &UnitName,
    arguments: &HardenArguments,
) -> Result<Vec<Setting>, Failure> {
    let mut settings = SETTINGS.to_vec();
    if arguments.keep_network {
        return Ok(settings);
    }
    let has_own = desk().drop_in_now(unit, Topic::Sandbox).ok().flatten().is_some();
    if !has_own && systemd().limits_addresses(unit).await.map_err(Failure::no)? {
        anstream::eprintln!(
            "its network stays as it is: the file of its unit says already with whom it talks"
        );
        return Ok(settings);
    }
    match reach(config, server, &arguments.allow).await {
        Reach::Anybody(why) => anstream::eprintln!("its network stays as it is: {why}"),
        Reach::Only(networks) => {
            let names: Vec<String> = networks.iter().map(ToString::to_string).collect();
            let others = if names.is_empty() { String::new() } else { format!(" and {}", names.join(", ")) };
            anstream::eprintln!("it talks with this machine{others}, and nobody else");
            if !Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
                anstream::eprintln!(
                    "paramedic: here systemd does not hold addresses back: that takes control groups of version 2 alone"
                );
            }
            settings.extend([Setting::DenyNetwork, Setting::AllowNetwork(networks)]);
        }
    }
    Ok(settings)
}

/// Restarts the server, and sees whether it is ready then. Where it is not, what was new is taken back, and it is started as
/// it was before.
async fn restart(
    client: &Client,
    config: &Config,
    server: &Server,
    new: Option<&Subject<'_>>,
    output: Output,
) -> Result<Code, Failure> {
    let name = server.name.as_str();
    let why = match crate::commands::server::order(client, name, "restart", output).await {
        Ok(_) => match not_ready(config, server).await? {
            None => return Ok(Code::Done),
            Some(why) => why,
        },
        Err(failure) if new.is_some() => failure.to_string(),
        Err(failure) => return Err(failure),
    };
    let Some(subject) = new else {
        return Err(Failure::no(anyhow::anyhow!("`{name}` is not ready after its restart: {why}")));
    };
    anstream::eprintln!("paramedic: `{name}` is not ready so ({}): it is taken back", show::harmless(&why));
    subject.undo(output).await?;
    crate::commands::server::order(client, name, "restart", output).await?;
    let after = match not_ready(config, server).await? {
        None => "it is ready again".to_owned(),
        Some(why) => format!("and it is not ready either: {why}"),
    };
    let words =
        format!("`{name}` does not start shut off like this ({why}): all of it was taken back; {after}");
    Err(Failure::no(anyhow::anyhow!(words)))
}

/// Why a server is not ready; none where it is, several times in a row.
async fn not_ready(config: &Config, server: &Server) -> Result<Option<String>, Failure> {
    let prober = Prober::new().map_err(Failure::no)?.with_program(&context::program()?);
    let target = ::server::target(config, server);
    let began = Instant::now();
    let mut good = 0;
    loop {
        let report = prober.check(&target, CheckType::Readiness, LOOK_MAX).await;
        good = if report.health.is_well() { good + 1 } else { 0 };
        if good == LOOKS {
            return Ok(None);
        }
        if began.elapsed() > READY_MAX {
            return Ok(Some(format!("it is {}: {}", report.health, report.reason)));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}
