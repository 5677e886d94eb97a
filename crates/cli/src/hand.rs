//! Owns the engine in a person's hand: over the same journal, with no fleet, no alert and no `serve`.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use incident::{Engine, Kill, Mode, Policy, Settings, Shelf, Verification, World};
use probe::{CheckType, Prober};
use server::config::Config;

use crate::context;
use crate::fail::Failure;

/// How long a question stays open: the person sits in front of it.
const PATIENCE: Duration = Duration::from_secs(24 * 60 * 60);

/// How long a statement may run where its author says nothing: a person can interrupt it.
const UNIT_TIMEOUT: Duration = Duration::from_secs(600);

/// How much output of a statement is kept, in bytes.
const OUTPUT_BYTES_MAX: u64 = 16 * 1024 * 1024;

/// How long what a statement leaves in the background runs on at most, also where the person goes away.
const BACKGROUND_MAX: Duration = Duration::from_secs(3600);

/// The world of a person.
pub(crate) struct HandWorld {
    config: Config,
    config_path: PathBuf,
    prober: Prober,
    exe: PathBuf,
    bin: PathBuf,
    parameters: BTreeMap<String, String>,
}

/// Opens the journal of a configuration. Nothing that is open there goes on by this.
pub(crate) async fn open(
    config: Config,
    config_path: PathBuf,
    parameters: BTreeMap<String, String>,
    shelf: Shelf,
) -> Result<Engine<HandWorld>, Failure> {
    let exe = context::program()?;
    server::private_folder(&config.data_dir).map_err(Failure::usage)?;
    let bin = server::program_folder(&config, &exe).map_err(Failure::usage)?;
    let (journal, blobs) = server::open_stores(&config).await.map_err(Failure::usage)?;
    let settings = Settings {
        runs: config.data_dir.join("runs"),
        reports: config.data_dir.join("reports"),
        verification: Verification::Person,
        unit_timeout: UNIT_TIMEOUT,
        output_bytes_max: OUTPUT_BYTES_MAX,
        background_max: BACKGROUND_MAX,
    };
    let prober = Prober::new().map_err(Failure::usage)?.with_program(&exe);
    let world = Arc::new(HandWorld { config, config_path, prober, exe, bin, parameters });
    Engine::start(world, journal, blobs, shelf, settings).await.map_err(Failure::no)
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
        self.prober.check(&target, check, self.config.probe.timeout.get()).await.problem()
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

    fn writable_for_looking(&self) -> Option<Vec<PathBuf>> {
        self.config.policy.observe_read_only.then(|| server::places_of_product(&self.config))
    }

    /// Looking is automatic; everything else is asked of the person in front of it.
    fn policy(&self, _: &str) -> Policy {
        Policy { mode: Mode::Suggest, approval_expiry: PATIENCE, ..Policy::default() }
    }

    fn kill(&self) -> Kill {
        server::kill_switch(&self.config)
    }

    async fn run(&self, folder: &Path, intent: &runner::Intent) -> Result<runner::Recovery, runner::Error> {
        runner::run_unit(&self.exe, folder, intent).await
    }

    async fn recover(&self, folder: &Path) -> Result<runner::Recovery, runner::Error> {
        runner::settle(folder).await
    }
}
