//! Owns what the engine sees of the world under `serve`: probes, the fleet, the configuration, the runner.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, OnceLock};
use std::time::{Duration, UNIX_EPOCH};

use ::evidence::{Deep, Tier};
use diagnosis::{Finding, kind};
use host::Subject;
use incident::{Escalating, Flapping, Hold, Kill, Mode, Policy, Preserved, Storm, World};
use metrics::Silences;
use probe::{CheckType, Names, Prober};
use runbook::Severity;
use tokio::sync::Semaphore;

use crate::clock;
use crate::config::{Config, Server, effect_of, escalating};
use crate::containment;
use crate::evidence::{self, Collection};
use crate::fleet::{Fleet, Source};
use crate::growth;
use crate::kill_switch::kill_switch;
use crate::maintenance;
use crate::silences;
use crate::subject::subject_of;
use crate::trust::Trust;
use crate::watch::Watch;

/// Where programs are looked for by shell units, after the folder of `paramedic` itself.
const PATH: &str = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

/// How long dependencies are asked before the first step: it waits for that.
const KNOWN_WITHIN: Duration = Duration::from_secs(1);

/// The world of `serve`.
pub struct ServeWorld {
    pub(crate) config: Arc<Config>,
    pub(crate) fleet: Arc<Fleet>,
    pub(crate) prober: Prober,
    /// How many servers are asked at a time.
    pub(crate) probes: Semaphore,
    pub(crate) exe: PathBuf,
    /// The folder in which `paramedic` is found under that name.
    pub(crate) bin: PathBuf,
    pub(crate) config_path: PathBuf,
    /// What was sampled, once that is there: the engine is older.
    pub(crate) watch: OnceLock<Arc<Watch>>,
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
        let Some(member) = self.fleet.get(server).filter(|member| !member.is_absent()) else {
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

    fn subject(&self, server: &str) -> Subject {
        self.fleet
            .get(server)
            .map_or_else(|| Subject::named(server), |member| subject_of(&self.config, &member))
    }

    async fn known(&self, server: &str) -> Vec<Finding> {
        let Some(member) = self.fleet.get(server).filter(|member| !member.is_absent()) else {
            return Vec::new();
        };
        let now = UNIX_EPOCH + Duration::from_millis(u64::try_from(self.now_ms()).unwrap_or_default());
        let names = Names::of_this_machine();
        let mut found = self.prober.dig(&member.target, &names, now, KNOWN_WITHIN).await;
        // Who is only slow is not silent: the steps ask again, and have the time for it.
        found.retain(|finding| finding.value().is_none_or(|value| value.to_string() != "timeout"));
        let stopped = member.supervised();
        if let Some(by) = stopped.stopped_by() {
            found.push(Finding::new(kind::OPERATOR_STOP, server).with_value(by));
        }
        if let Some(watch) = self.watch.get() {
            found.extend(growth::of_server(&watch.store(), server, self.now_ms(), None));
        }
        found
    }

    async fn preserve(&self, server: &str, incident: &str) -> Option<Preserved> {
        let wanted = Collection {
            server: Some(server.to_owned()),
            pid: self.process(server),
            incident: Some(incident.to_owned()),
            by: "paramedic serve".to_owned(),
            tier: Tier::T0,
            since_ms: None,
            deep: Deep::default(),
            now_ms: self.now_ms(),
            root: PathBuf::from("/"),
            exe: self.exe.clone(),
        };
        Some(evidence::preserve(Arc::clone(&self.config), wanted).await)
    }

    fn parameters(&self, server: &str) -> BTreeMap<String, String> {
        self.fleet.get(server).map_or_else(BTreeMap::new, |member| {
            let mut known = server_parameters(&self.config, &member.config);
            if matches!(member.source(), Source::Client(_)) {
                // Only its client can speak to it.
                known.retain(|name, _| !matches!(name.as_str(), "PORT" | "ENDPOINT"));
            }
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

    fn writable_for_looking(&self) -> Option<Vec<PathBuf>> {
        self.config.policy.observe_read_only.then(|| places_of_product(&self.config))
    }

    fn policy(&self, server: &str) -> Policy {
        policy(&self.config, self.fleet.get(server).as_ref().map(|member| &member.config))
    }

    fn runbook(&self, name: &str) -> Option<Vec<u8>> {
        // Only what the configuration names is a file of ours to read.
        let path = self.config.runbooks.iter().find(|path| path.to_string_lossy() == name)?;
        Trust::of(&self.config).read(path).ok()
    }

    fn kill(&self) -> Kill {
        kill_switch(&self.config)
    }

    fn maintenance(&self, server: &str, incident: &incident::IncidentId) -> Option<Hold> {
        let maintenance = maintenance::hold(&self.config, server, self.now_ms());
        maintenance.or_else(|| containment::hold(&self.config, server, incident.as_str()))
    }

    fn escalating(&self) -> Escalating {
        escalating(&self.config)
    }

    fn silences(&self) -> Silences {
        silences::in_force(&self.config)
    }

    fn dependency(&self, server: &str, name: &str) -> Option<String> {
        let member = self.fleet.get(server)?;
        member.config.dependency.iter().find(|one| one.name == name)?.shared()
    }

    fn flapping(&self) -> Flapping {
        let triage = &self.config.triage;
        Flapping {
            reopen_within: triage.reopen_within.get(),
            reopens: triage.flapping_reopens,
            period: triage.flapping_period.get(),
            quiet: triage.flapping_quiet.get(),
        }
    }

    async fn run(&self, folder: &Path, intent: &runner::Intent) -> Result<runner::Recovery, runner::Error> {
        runner::run_unit(&self.exe, folder, intent).await
    }

    async fn recover(&self, folder: &Path) -> Result<runner::Recovery, runner::Error> {
        runner::settle(folder).await
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

/// Where the product itself keeps things, which also those of its commands write to that only look at a server.
pub fn places_of_product(config: &Config) -> Vec<PathBuf> {
    let evidence = &config.evidence;
    let mut places = vec![
        config.data_dir.clone(),
        config.run_dir.clone(),
        config.log_dir.clone(),
        config.controls_dir.clone(),
        config.backup.dir.clone(),
        evidence.dir.clone(),
        evidence.export_dir.clone(),
    ];
    places.extend(evidence.places.iter().chain(&evidence.copy_to).cloned());
    places
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
    let own = match server {
        None => Some(Mode::Observe),
        Some(server) => {
            let foreign = server.upstream.is_some() || server.unit.is_some();
            server.mode.or(foreign.then_some(general.mode_upstream))
        }
    };
    let effects = |names: &Vec<String>| names.iter().filter_map(|name| effect_of(name)).collect();
    let by_severity = [
        (Severity::Critical, &general.allow_critical),
        (Severity::Warning, &general.allow_warning),
        (Severity::Info, &general.allow_info),
    ];
    let by_severity = by_severity.into_iter();
    Policy {
        mode: own.unwrap_or(general.mode),
        modes: modes(config, server, own),
        dry_run: general.dry_run,
        allow: effects(&general.allow),
        allow_by_severity: by_severity
            .filter_map(|(severity, names)| Some((severity, effects(names.as_ref()?))))
            .collect(),
        restarts_per_hour: general.restarts_per_hour,
        changes_per_hour: general.changes_per_hour,
        cooldown: general.cooldown.get(),
        storm: Storm { servers: general.storm_servers, window: general.storm_window.get() },
        second_person: general.second_person,
        approval_expiry: general.approval_expiry.get(),
        runs_max: general.runs_max,
    }
}

/// The modes of single procedures. What the server says of the procedure holds; otherwise, where something is said of
/// the server and of the procedure, the more careful of both.
fn modes(config: &Config, server: Option<&Server>, own: Option<Mode>) -> BTreeMap<String, Mode> {
    let of_alerts = config.alerts.iter().filter_map(|(name, alert)| Some((name, alert.mode?)));
    let mut modes: BTreeMap<String, Mode> =
        of_alerts.map(|(name, mode)| (name.clone(), own.map_or(mode, |own| own.min(mode)))).collect();
    modes.extend(server.map(|server| server.modes.clone()).unwrap_or_default());
    modes
}

#[cfg(test)]
mod tests {
    use runbook::Effect;

    use super::*;

    const CONFIG: &str = r#"
[alerts.Down]
mode = "suggest"
[alerts.Damaged]
mode = "observe"
[alerts.Slow]
for = "1s"
[[server]]
name = "plain"
port = 1
stdio = ["x"]
[[server]]
name = "watched"
port = 2
stdio = ["x"]
mode = "observe"
[[server]]
name = "free"
port = 3
stdio = ["x"]
mode = "auto"
modes = { Down = "auto" }
[[server]]
name = "foreign"
port = 4
upstream = "http://x"
modes = { Damaged = "suggest" }
"#;

    /// The most specific word holds; of two that are equally specific the more careful one.
    #[test]
    fn whose_mode_holds() {
        let config = crate::config::parse(CONFIG).unwrap();
        let (o, s, a) = (Mode::Observe, Mode::Suggest, Mode::Auto);
        for (name, [slow, down, damaged]) in [
            ("plain", [a, s, o]),
            ("watched", [o, o, o]),
            ("free", [a, a, o]),
            ("foreign", [o, o, s]),
            ("nobody", [o, o, o]),
        ] {
            let policy = policy(&config, config.server.iter().find(|server| server.name == name));
            let of = |alert| *policy.modes.get(alert).unwrap_or(&policy.mode);
            assert_eq!([of("Slow"), of("Down"), of("Damaged")], [slow, down, damaged], "{name}");
        }
    }

    #[test]
    fn what_is_allowed_by_severity() {
        let text =
            "[policy]\nallow = [\"change\"]\nallow_critical = [\"change\", \"disrupt\"]\nallow_info = []\n";
        let policy = policy(&crate::config::parse(text).unwrap(), None);
        assert_eq!(policy.allow, [Effect::Change].into());
        let expect =
            [(Severity::Critical, [Effect::Change, Effect::Disrupt].into()), (Severity::Info, [].into())];
        assert_eq!(policy.allow_by_severity, expect.into());
    }
}
