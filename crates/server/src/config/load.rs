//! Owns reading the configuration: TOML to [`Config`], with all that can be wrong found at once where possible.

use std::collections::HashMap;
use std::path::Path;

use runbook::Effect;
use toml::Spanned;

use super::error::{ConfigError, Problem};
use super::{
    Config, Dependency, Place, Server, alertmanager, backend, backup, contact, data, evidence, inbound,
    intrusion, scrape, traces,
};
use crate::fleet::upstream_address;

/// The longest name of a server: it becomes part of file names and unit names.
const NAME_BYTES_MAX: usize = 63;

/// The longest path of a local socket, in bytes (`sun_path` of unix(7), less its end).
const SOCKET_BYTES_MAX: usize = 107;

/// Reads and checks a configuration file.
///
/// # Errors
/// Where it cannot be read, or something in it is wrong.
pub fn load(path: &Path, place: &Place) -> Result<Config, ConfigError> {
    let text = std::fs::read_to_string(path)
        .map_err(|source| ConfigError::Read { path: path.to_owned(), source })?;
    let base = path.parent().unwrap_or(Path::new("."));
    let base = std::path::absolute(base).unwrap_or_else(|_| base.to_owned());
    let mut config =
        parse(&text).map_err(|problems| ConfigError::Wrong { path: path.to_owned(), problems })?;
    place.fill(&mut config, &base);
    match long_socket(&config) {
        None => Ok(config),
        Some(message) => {
            let problem = at_offset(&text, find_key(&text, "run_dir"), Some("run_dir".to_owned()), message);
            Err(ConfigError::Wrong { path: path.to_owned(), problems: vec![problem] })
        }
    }
}

/// The kernel takes no longer path for a local socket; found here, it has a better name than later.
fn long_socket(config: &Config) -> Option<String> {
    let names = config.server.iter().map(|server| server.name.len());
    let longest = config.run_dir.as_os_str().len() + "/guards/.sock".len() + names.max().unwrap_or(0);
    (longest > SOCKET_BYTES_MAX).then(|| {
        format!("the paths of the sockets below it have up to {longest} bytes, and {SOCKET_BYTES_MAX} are the most; name a shorter one")
    })
}

/// Reads and checks the text of a configuration, leaving places that it does not name empty.
///
/// # Errors
/// All problems that were found, in the order of the text.
pub fn parse(text: &str) -> Result<Config, Vec<Problem>> {
    let config: Config = toml::from_str(text).map_err(|error| vec![of_toml(text, &error)])?;
    // The second reading only finds out where the servers stand.
    let lines: Lines = toml::from_str(text).map_err(|error| vec![of_toml(text, &error)])?;
    let mut problems = Vec::new();
    check_servers(text, &config, &lines, &mut problems);
    check_policy(text, &config, &mut problems);
    check_lists(text, &config, &mut problems);
    problems.sort_by_key(|problem| (problem.line, problem.column));
    if problems.is_empty() { Ok(config) } else { Err(problems) }
}

#[derive(serde::Deserialize)]
struct Lines {
    #[serde(default)]
    server: Vec<ServerLines>,
}

#[derive(serde::Deserialize)]
struct ServerLines {
    name: Spanned<String>,
    port: Spanned<u16>,
    #[serde(default)]
    dependency: Vec<DependencyLines>,
}

#[derive(serde::Deserialize)]
struct DependencyLines {
    name: Spanned<String>,
}

fn check_servers(text: &str, config: &Config, lines: &Lines, problems: &mut Vec<Problem>) {
    let mut names: HashMap<&str, usize> = HashMap::new();
    let mut ports: HashMap<u16, usize> = HashMap::new();
    for (server, at) in config.server.iter().zip(&lines.server) {
        let mut report = |offset: usize, key: &str, message: String| {
            problems.push(at_offset(text, offset, Some(key.to_owned()), message));
        };
        let (name_at, port_at) = (at.name.span().start, at.port.span().start);
        if let Some(message) = bad_name(&server.name) {
            report(name_at, "name", message);
        }
        if let Some(first) = names.insert(&server.name, line_of(text, name_at)) {
            report(
                name_at,
                "name",
                format!("the name `{}` is taken by the server at line {first}", server.name),
            );
        }
        if let Some(first) = ports.insert(server.port, line_of(text, port_at)) {
            report(
                port_at,
                "port",
                format!("the port {} is taken by the server at line {first}", server.port),
            );
        }
        if server.port == 0 {
            report(port_at, "port", "a port is a number from 1 to 65535".to_owned());
        }
        if server.port == config.listen.port() {
            report(
                port_at,
                "port",
                format!("the port {} is where `serve` itself listens (`listen`)", server.port),
            );
        }
        if let Some((key, message)) = bad_transport(server) {
            report(name_at, key, message);
        }
        for name in server.parameters.keys().filter(|name| runbook::is_reserved_variable(name)) {
            report(
                name_at,
                name,
                "this variable belongs to the shell; name the parameter otherwise".to_owned(),
            );
        }
        let parameters = server.parameters.iter().map(|(name, value)| (name, Some(value.as_str())));
        let variables = server.environment.iter().map(|(name, text)| (name, text.plain()));
        for (name, value) in parameters.chain(variables) {
            if !is_variable(name) || value.is_some_and(|value| value.contains('\0')) {
                report(
                    name_at,
                    name,
                    "a parameter or variable is named by letters, digits and `_`, and holds no NUL"
                        .to_owned(),
                );
            }
        }
        for (name, text) in &server.environment {
            if let Some(message) = text.problem(name) {
                report(name_at, name, message);
            }
        }
        for name in server.parameters.keys().filter(|name| super::is_secret_name(name)) {
            report(name_at, name, "parameters are shown and written down, so none is a secret; a step reads it from where it is".to_owned());
        }
        for (dependency, at) in server.dependency.iter().zip(&at.dependency) {
            if let Some(message) = bad_dependency(dependency) {
                report(at.name.span().start, "dependency", message);
            }
        }
    }
}

fn check_policy(text: &str, config: &Config, problems: &mut Vec<Problem>) {
    let mut report = |key: &str, message: String| {
        problems.push(at_offset(text, find_key(text, key), Some(key.to_owned()), message));
    };
    let policy = &config.policy;
    for (key, effects) in [
        ("allow", Some(&policy.allow)),
        ("allow_critical", policy.allow_critical.as_ref()),
        ("allow_warning", policy.allow_warning.as_ref()),
        ("allow_info", policy.allow_info.as_ref()),
    ] {
        for effect in effects.into_iter().flatten().filter(|effect| effect_of(effect).is_none()) {
            report(
                key,
                format!(
                    "`{effect}` cannot be allowed; any of `observe`, `change`, `disrupt` can (what destroys or is not understood always needs a person)"
                ),
            );
        }
    }
    if policy.storm_servers < 2 {
        report("storm_servers", "one server in trouble is no storm; 2 are the least".to_owned());
    }
    if config.policy.runs_max == 0 {
        report("runs_max", "a procedure is followed at least once".to_owned());
    }
    if config.triage.flapping_reopens == 0 {
        report("flapping_reopens", "what never came back does not flap; 1 is the least".to_owned());
    }
    if !(1..=10_000).contains(&config.probe.at_once) {
        report("at_once", "1 to 10000 servers are asked at a time".to_owned());
    }
    if config.verify.probes == 0 {
        report("probes", "recovery takes at least one good answer".to_owned());
    }
    for (key, span) in [
        ("interval", config.probe.interval),
        ("timeout", config.probe.timeout),
        ("scrape_interval", config.metrics.scrape_interval),
        ("evaluation_interval", config.metrics.evaluation_interval),
        ("retention", config.metrics.retention),
        ("interval", config.verify.interval),
        ("approval_expiry", policy.approval_expiry),
        ("storm_window", policy.storm_window),
        ("flapping_period", config.triage.flapping_period),
        ("flapping_quiet", config.triage.flapping_quiet),
    ] {
        if span.ms() < 10 {
            report(key, format!("`{span}` is too short; 10ms is the least"));
        }
    }
}

fn check_lists(text: &str, config: &Config, problems: &mut Vec<Problem>) {
    let found = [
        ("[[contact]]", contact::contact_problems(config)),
        ("[escalation", contact::escalation_problems(config)),
        ("[[scrape]]", scrape::problems(config)),
        ("[inbound", inbound::problems(config)),
        ("[alertmanager]", alertmanager::problems(config)),
        ("[integrity]", data::problems(config)),
        ("[intrusion]", intrusion::problems(config)),
        ("[backup.target]", backup::target_problems(config)),
        ("[metrics.backend]", backend::backend_problems(config)),
        ("[traces]", traces::problems(config)),
        ("[traces.export]", traces::export_problems(config)),
        ("[metrics.remote_write]", backend::write_problems(config)),
        ("[evidence.stream]", evidence::stream_problems(config)),
    ];
    for (table, found) in found {
        let from = text.find(table).unwrap_or(0);
        for (key, message) in found {
            let offset = from + find_key(&text[from..], key);
            problems.push(at_offset(text, offset, Some(key.to_owned()), message));
        }
    }
}

/// The effect of a name in `allow`; what always needs a person has none.
pub(crate) fn effect_of(name: &str) -> Option<Effect> {
    match name {
        "observe" => Some(Effect::Observe),
        "change" => Some(Effect::Change),
        "disrupt" => Some(Effect::Disrupt),
        _ => None,
    }
}

fn bad_name(name: &str) -> Option<String> {
    let fine = !name.is_empty()
        && name.len() <= NAME_BYTES_MAX
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter));
    (!fine).then(|| {
        format!("`{name}` is no name for a server: it begins with a letter or digit and goes on with those, `-`, `_` or `.`, at most {NAME_BYTES_MAX} in all")
    })
}

fn bad_transport(server: &Server) -> Option<(&'static str, String)> {
    match (&server.upstream, server.stdio.as_slice()) {
        (None, []) if server.unit.is_none() => Some((
            "stdio",
            format!(
                "the server `{}` has no transport: give it `stdio = [\"COMMAND\", …]`, `upstream = \"URL\"` or `unit = \"NAME.service\"`",
                server.name
            ),
        )),
        (_, [_, ..]) if server.unit.is_some() => Some((
            "unit",
            format!(
                "the server `{}` would have two owners of its restarts: `serve` restarts what it runs by `stdio`, systemd what lives in a `unit`",
                server.name
            ),
        )),
        (Some(_), [_, ..]) => Some((
            "upstream",
            format!(
                "the server `{}` has two transports: `stdio` and `upstream` exclude each other",
                server.name
            ),
        )),
        (None, _) if server.guarded => Some((
            "guarded",
            "`guarded` is for an `upstream`: what `serve` starts by `stdio` has a guard, and a `unit` has its own".to_owned(),
        )),
        (Some(_), []) if server.guarded && server.unit.is_some() => Some((
            "guarded",
            format!("the server `{}` lives in a `unit`: its guard has to stand there too", server.name),
        )),
        (Some(url), []) if server.guarded && !url.starts_with("http://") => Some((
            "upstream",
            format!("`{url}` cannot be `guarded`: a guard stands on the machine of its server and speaks http to it"),
        )),
        (Some(url), []) if server.guarded && listens_at(url, server.port) => Some((
            "port",
            format!("the upstream `{url}` is at the port {} itself: give the guard another", server.port),
        )),
        (Some(url), []) if !(url.starts_with("http://") || url.starts_with("https://")) => {
            Some(("upstream", format!("`{url}` is no http or https URL")))
        }
        (None, [program, ..]) if program.is_empty() => Some(("stdio", "its command is empty".to_owned())),
        _ => server.test_read.as_ref()?.problem(server).map(|message| ("test_read", message)),
    }
}

/// Whether a URL names this port of this machine.
fn listens_at(url: &str, port: u16) -> bool {
    upstream_address(url).is_some_and(|address| address.port() == port)
}

fn bad_dependency(dependency: &Dependency) -> Option<String> {
    let given = [
        dependency.http.is_some(),
        dependency.tcp.is_some(),
        dependency.postgres.is_some(),
        dependency.process.is_some(),
        dependency.file.is_some(),
        dependency.env.is_some(),
        !dependency.nagios.is_empty(),
    ];
    match given.iter().filter(|given| **given).count() {
        1 if dependency.password.is_some() && dependency.postgres.is_none() => Some(format!(
            "the dependency `{}` has a `password`, which only `postgres` takes",
            dependency.name
        )),
        1 => {
            let why = probe::postgres_problem(dependency.postgres.as_deref()?)?;
            Some(format!("the dependency `{}`: {why}", dependency.name))
        }
        0 => Some(format!(
            "the dependency `{}` has no check: give it one of `http`, `tcp`, `postgres`, `process`, `file`, `env`, `nagios`",
            dependency.name
        )),
        _ => Some(format!(
            "the dependency `{}` has several checks: give it exactly one of `http`, `tcp`, `postgres`, `process`, `file`, `env`, `nagios`",
            dependency.name
        )),
    }
}

fn is_variable(name: &str) -> bool {
    name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_')
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_')
}

fn of_toml(text: &str, error: &toml::de::Error) -> Problem {
    let offset = error.span().map_or(0, |span| span.start);
    let line = text[..floor(text, offset)].rfind('\n').map_or(0, |idx| idx + 1);
    let rest = text[line..].lines().next().unwrap_or_default();
    // The key of a value of the wrong type stands before it on its line.
    let key = rest.split_once('=').map(|(key, _)| key.trim().to_owned()).filter(|key| !key.is_empty());
    let key = key.or_else(|| rest.trim().starts_with('[').then(|| rest.trim().to_owned()));
    at_offset(text, offset, key, error.message().to_owned())
}

fn at_offset(text: &str, offset: usize, key: Option<String>, message: String) -> Problem {
    let before = &text[..floor(text, offset)];
    let column = before.len() - before.rfind('\n').map_or(0, |idx| idx + 1) + 1;
    Problem { line: line_of(text, offset), column, key, message }
}

fn line_of(text: &str, offset: usize) -> usize {
    text[..floor(text, offset)].matches('\n').count() + 1
}

/// The nearest position at or before `offset` that is no middle of a letter.
fn floor(text: &str, offset: usize) -> usize {
    let mut offset = offset.min(text.len());
    while !text.is_char_boundary(offset) {
        offset -= 1;
    }
    offset
}

/// Where a key stands first; 0 where it does not (its value is then a default, which is never wrong).
fn find_key(text: &str, key: &str) -> usize {
    let mut offset = 0;
    for line in text.split_inclusive('\n') {
        if line.trim_start().strip_prefix(key).is_some_and(|rest| rest.trim_start().starts_with('=')) {
            return offset + (line.len() - line.trim_start().len());
        }
        offset += line.len();
    }
    0
}

#[cfg(test)]
mod tests;
