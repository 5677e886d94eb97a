//! Owns what the engine sees of the world when a person follows a runbook by hand: no fleet, no alert, no `serve`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};
use std::time::Duration;

use incident::{Kill, Mode, Policy, World};
use probe::{CheckType, Health, Prober};
use server::config::Config;

/// How long a question stays open: the person sits in front of it.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// The world of a person.
pub(super) struct HandWorld {
    pub(super) config: Config,
    pub(super) config_path: PathBuf,
    pub(super) prober: Prober,
    pub(super) exe: PathBuf,
    pub(super) bin: PathBuf,
    pub(super) parameters: BTreeMap<String, String>,
}

impl World for HandWorld {
    fn now_ms(&self) -> i64 {
        server::now_ms()
    }

    fn random(&self) -> u16 {
        uuid::Uuid::new_v4().as_u128() as u16
    }

    async fn pause(&self, duration: Duration) {
        tokio::time::sleep(duration).await;
    }

    async fn check(&self, name: &str, check: CheckType) -> Option<String> {
        let Some(server) = self.config.server.iter().find(|server| server.name == name) else {
            return Some(format!("no configuration says how to ask the server `{name}`"));
        };
        let target = server::target(&self.config, server);
        let report = self.prober.check(&target, check, self.config.probe.timeout.get()).await;
        (!matches!(report.health, Health::Healthy | Health::Degraded)).then_some(report.reason)
    }

    fn incarnation(&self, _: &str) -> Option<u64> {
        None
    }

    fn process(&self, _: &str) -> Option<i32> {
        None
    }

    fn parameters(&self, _: &str) -> BTreeMap<String, String> {
        self.parameters.clone()
    }

    fn environment(&self) -> BTreeMap<String, String> {
        let mut environment = server::base_environment(&self.bin);
        let path = self.config_path.to_string_lossy().into_owned();
        environment.insert("PARAMEDIC_CONFIG".to_owned(), path);
        environment
    }

    /// Looking is automatic; everything else is asked of the person in front of it.
    fn policy(&self, _: &str) -> Policy {
        Policy {
            mode: Mode::Suggest,
            allow: BTreeSet::new(),
            restarts_per_hour: u32::MAX,
            approval_expiry: PATIENCE,
            runs_max: 1,
        }
    }

    fn kill(&self) -> Kill {
        server::kill_switch(&self.config)
    }

    async fn run(&self, folder: &Path, intent: &runner::Intent) -> Result<runner::Recovery, runner::Error> {
        runner::run_unit(&self.exe, folder, intent).await
    }

    async fn recover(&self, folder: &Path) -> Result<runner::Recovery, runner::Error> {
        runner::recover(folder)
    }
}
