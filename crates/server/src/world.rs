//! Owns what the engine sees of the world under `serve`: probes, the fleet, the configuration, the runner.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use incident::{Kill, Mode, Policy, World};
use probe::{CheckType, Prober};
use runbook::Effect;

use crate::clock;
use crate::config::{Config, Server};
use crate::fleet::Fleet;

/// Where programs are looked for by shell units, after the folder of `paramedic` itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// The world of `serve`.
pub struct ServeWorld {
    pub(crate) config: Arc<Config>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) prober: Prober,
    pub(crate) exe: PathBuf,
    /// The folder in which `paramedic` is found under that name.
    pub(crate) bin: PathBuf,
    pub(crate) config_path: PathBuf,
}

impl World for ServeWorld {
    fn now_ms(&self) -> i64 {
        clock::now_ms()
    }

    fn random(&self) -> u16 {
        uuid::Uuid::new_v4().as_u128() as u16
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn check(&self, server: &str, check: CheckType) -> Option<String> {
        let Some(member) = self.fleet.get(server) else {
            return Some(format!("there is no server `{server}` to ask"));
        };
        let deadline = self.config.probe.timeout.get();
        self.prober.check(&member.target, check, deadline).await.problem()
    }

    fn incarnation(&self, server: &str) -> Option<u64> {
        let child = self.fleet.get(server)?.child()?;
        Some(child.start_ticks << 22 ^ u64::from(child.pid.unsigned_abs()))
    }

    fn process(&self, server: &str) -> Option<i32> {
        Some(self.fleet.get(server)?.child()?.pid)
    }

    fn parameters(&self, server: &str) -> BTreeMap<String, String> {
        self.fleet.get(server).map_or_else(BTreeMap::new, |member| {
            let mut known = server_parameters(&self.config, &member.config);
            known.entry("LOG_FILE".to_owned()).or_insert_with(|| member.log.to_string_lossy().into_owned());
            known
        })
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let text = |path: PathBuf| path.to_string_lossy().into_owned();
        let mut environment = base_environment(&self.bin);
        environment.insert("PARAMEDIC_SOCKET".to_owned(), text(crate::api::socket_path(&self.config)));
        environment.insert("PARAMEDIC_CONFIG".to_owned(), text(self.config_path.clone()));
        environment
    }

    fn policy(&self, server: &str) -> Policy {
        policy(&self.config, self.fleet.get(server).map(|member| &member.config))
    }

    fn kill(&self) -> Kill {
        kill_switch(&self.config)
    }

    async fn run(&self, folder: &Path, intent: &runner::Intent) -> Result<runner::Recovery, runner::Error> {
        runner::run_unit(&self.exe, folder, intent).await
    }

    async fn recover(&self, folder: &Path) -> Result<runner::Recovery, runner::Error> {
        runner::settle(folder).await
    }
}

/// Reads the kill switch. One that cannot be read counts as thrown: whoever made it unreadable meant something.
pub fn kill_switch(config: &Config) -> Kill {
    match config.policy.kill_switch.as_deref().map(Path::try_exists) {
        None | Some(Ok(false)) => Kill::Off,
        Some(Ok(true) | Err(_)) => Kill::On,
    }
}

/// The environment of every shell unit: clean, with `paramedic` found first.
pub fn base_environment(bin: &Path) -> BTreeMap<String, String> {
    let mut environment = BTreeMap::from([
        ("PATH".to_owned(), format!("{}:{PATH}", bin.display())),
        ("LANG".to_owned(), "C.UTF-8".to_owned()),
        ("TZ".to_owned(), "UTC".to_owned()),
    ]);
    for name in ["HOME", "USER", "LOGNAME"] {
        if let Ok(value) = std::env::var(name) {
            environment.insert(name.to_owned(), value);
        }
    }
    environment
}

/// The parameters that every server has, and its own.
pub fn server_parameters(config: &Config, server: &Server) -> BTreeMap<String, String> {
    let mut known = BTreeMap::from([
        ("SERVER_NAME".to_owned(), server.name.clone()),
        ("PORT".to_owned(), server.port.to_string()),
        ("ENDPOINT".to_owned(), server.endpoint(config.guard_address)),
    ]);
    known.extend(server.parameters.clone());
    known
}

/// Returns the policy for a server: what the configuration says, and watch-only for whatever somebody else has started.
pub fn policy(config: &Config, server: Option<&Server>) -> Policy {
    let general = &config.policy;
    let mode = match server {
        None => Mode::Observe,
        Some(server) => server.mode.unwrap_or(match server.upstream {
            Some(_) => general.mode_upstream,
            None => general.mode,
        }),
    };
    let allow = general.allow.iter().filter_map(|name| match name.as_str() {
        "observe" => Some(Effect::Observe),
        "change" => Some(Effect::Change),
        "disrupt" => Some(Effect::Disrupt),
        _ => None,
    });
    Policy {
        mode,
        allow: allow.collect(),
        restarts_per_hour: general.restarts_per_hour,
        approval_expiry: general.approval_expiry.get(),
        runs_max: general.runs_max,
    }
}
