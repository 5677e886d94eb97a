//! Owns where things are when nobody says so: as root in the system's places, otherwise under one data directory.

use std::path::PathBuf;

use super::{Config, Metrics, Secret, Traces};

/// Who runs, as far as default places depend on it. The shell fills it in; tests make their own.
#[derive(Debug, Clone)]
pub struct Place {
    /// Whether it is root.
    pub user: User,
    /// The home directory.
    pub home: PathBuf,
    /// `$XDG_STATE_HOME`, where it is set.
    pub state_home: Option<PathBuf>,
    /// `$XDG_CONFIG_HOME`, where it is set.
    pub config_home: Option<PathBuf>,
}

/// Root or somebody else.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum User {
    /// Root.
    Root,
    /// Anybody else.
    Other,
}

// === impl Place ===

impl Place {
    /// Reads the place from the environment and the user of this process.
    pub fn current() -> Self {
        let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        let user = if rustix::process::geteuid().is_root() { User::Root } else { User::Other };
        Self {
            user,
            home: variable("HOME").unwrap_or_else(|| PathBuf::from("/")),
            state_home: variable("XDG_STATE_HOME"),
            config_home: variable("XDG_CONFIG_HOME"),
        }
    }

    fn fill_evidence(&self, config: &mut Config, moved: bool, base: &std::path::Path) {
        settle(&mut config.evidence.dir, config.data_dir.join("evidence"), base);
        let export = match self.user {
            User::Root if !moved => PathBuf::from("/var/log/security-incidents"),
            _ => config.data_dir.join("security-incidents"),
        };
        settle(&mut config.evidence.export_dir, export, base);
        for path in config.evidence.copy_to.iter_mut().chain(&mut config.evidence.places) {
            *path = base.join(&*path);
        }
        config.evidence.stream.iter_mut().for_each(|stream| stream.settle(base));
    }

    /// Fills in what the configuration leaves open, and makes relative paths relative to `base`.
    pub(super) fn fill(&self, config: &mut Config, base: &std::path::Path) {
        let data = match self.user {
            User::Root => PathBuf::from("/var/lib/paramedic"),
            User::Other => {
                self.state_home.clone().unwrap_or_else(|| self.home.join(".local/state")).join("paramedic")
            }
        };
        let moved = !config.data_dir.as_os_str().is_empty();
        settle(&mut config.data_dir, data, base);
        // Whoever moves the data directory wants everything in it.
        let (run, log) = match self.user {
            User::Root if !moved => (PathBuf::from("/run/paramedic"), PathBuf::from("/var/log/mcp-servers")),
            _ => (config.data_dir.join("run"), config.data_dir.join("log")),
        };
        settle(&mut config.run_dir, run, base);
        settle(&mut config.log_dir, log, base);
        let controls = match self.user {
            // Not below the data directory: guards write there, and see nothing of what `serve` keeps.
            User::Root if !moved => PathBuf::from("/var/lib/paramedic-controls"),
            _ => config.data_dir.join("controls"),
        };
        settle(&mut config.controls_dir, controls, base);
        let backup = match self.user {
            User::Root if !moved => PathBuf::from("/backup"),
            _ => config.data_dir.join("backup"),
        };
        settle(&mut config.backup.dir, backup, base);
        config.backup.target.iter_mut().for_each(|target| target.settle(base));
        self.fill_evidence(config, moved, base);
        let kill_switch = config.policy.kill_switch.get_or_insert_default();
        settle(kill_switch, config.data_dir.join("kill-switch"), base);
        for path in config.runbooks.iter_mut().chain(&mut config.rules.files) {
            *path = base.join(&*path);
        }
        for contact in &mut config.contact {
            contact.url.iter_mut().for_each(|url| url.settle(base));
            contact.authorization.iter_mut().for_each(|secret| secret.settle(base));
        }
        for target in &mut config.scrape {
            for path in target.ca.iter_mut().chain(&mut target.certificate) {
                *path = base.join(&*path);
            }
            target.authorization.iter_mut().chain(&mut target.key).for_each(|secret| secret.settle(base));
        }
        config.inbound.token.iter_mut().for_each(|secret| secret.settle(base));
        if let Some(one) = &mut config.alertmanager {
            one.ca.iter_mut().chain(&mut one.certificate).for_each(|path| *path = base.join(&*path));
            one.authorization.iter_mut().chain(&mut one.key).for_each(|secret| secret.settle(base));
        }
        for (ca, certificate, authorization, key) in engines(&mut config.metrics, &mut config.traces) {
            ca.iter_mut().chain(certificate).for_each(|path| *path = base.join(&*path));
            authorization.iter_mut().chain(key).for_each(|secret| secret.settle(base));
        }
        for server in &mut config.server {
            server.directory = server.directory.take().map(|path| base.join(path));
            server.data.iter_mut().for_each(|data| data.path = base.join(&data.path));
            server.guard_settings = server.guard_settings.take().map(|path| base.join(path));
            server.environment.values_mut().for_each(|text| text.settle(base));
            let passwords = server.dependency.iter_mut().filter_map(|one| one.password.as_mut());
            passwords.for_each(|secret| secret.settle(base));
            for database in &mut server.database {
                database.password.iter_mut().for_each(|secret| secret.settle(base));
                database.programs = database.programs.take().map(|path| base.join(path));
            }
        }
    }
}

/// What is kept in files of whoever answers rules or takes samples.
type Files<'m> =
    (&'m mut Option<PathBuf>, &'m mut Option<PathBuf>, &'m mut Option<Secret>, &'m mut Option<Secret>);

fn engines<'m>(metrics: &'m mut Metrics, traces: &'m mut Traces) -> impl Iterator<Item = Files<'m>> {
    let Metrics { backend, remote_write, .. } = metrics;
    let export = traces
        .export
        .as_mut()
        .map(|one| (&mut one.ca, &mut one.certificate, &mut one.authorization, &mut one.key));
    let backend =
        backend.as_mut().map(|one| (&mut one.ca, &mut one.certificate, &mut one.authorization, &mut one.key));
    let write = remote_write
        .as_mut()
        .map(|one| (&mut one.ca, &mut one.certificate, &mut one.authorization, &mut one.key));
    backend.into_iter().chain(write).chain(export)
}

fn settle(path: &mut PathBuf, default: PathBuf, base: &std::path::Path) {
    *path = if path.as_os_str().is_empty() { default } else { base.join(&*path) };
}

/// Where the configuration is looked for when nobody names one.
pub fn default_config_path(place: &Place) -> PathBuf {
    match place.user {
        User::Root => PathBuf::from("/etc/paramedic/paramedic.toml"),
        User::Other => place
            .config_home
            .clone()
            .unwrap_or_else(|| place.home.join(".config"))
            .join("paramedic/paramedic.toml"),
    }
}

/// A configuration without servers, in the default places.
pub fn empty(place: &Place) -> Config {
    let mut config = super::parse("").expect("an empty configuration is a good one");
    place.fill(&mut config, &place.home);
    config
}
