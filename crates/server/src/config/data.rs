//! Owns `[integrity]`, `[[server.data]]` and `[[server.database]]`: the data of servers that are checked, and how often.

use std::path::PathBuf;

use integrity::Patterns;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Secret, Server, Span, secret};

/// `[integrity]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Integrity {
    /// The time between two checks that read what was changed.
    pub quick: Span,
    /// The time between two checks that read every file.
    pub full: Span,
    /// What checks of `serve` read in a second at most. A person's check goes as fast as the disk.
    pub rate: Bytes,
}

/// `[[server.data]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Data {
    /// The folder that the data are in, with all that is below it.
    pub path: PathBuf,
    /// Whether nothing in it may change but by `paramedic integrity baseline`. Otherwise people work with it, and damage
    /// is what no writing explains.
    #[serde(default)]
    pub immutable: bool,
    /// What changes all the time and says nothing about damage, beside logs and what databases write beside
    /// themselves: `cache`, `*.tmp`, `var/spool/**`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub may_change: Vec<String>,
}

/// `[[server.database]]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Database {
    /// `postgresql://USER@HOST:PORT/DATABASE`, with what libpq takes behind a `?`, and without a password.
    pub postgres: String,
    /// Where the password of that user is; without it PostgreSQL's programs look where they always do (`~/.pgpass`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub password: Option<Secret>,
    /// The tables of which a full check reads every row, as SQL has them; all without this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub tables: Vec<String>,
    /// The folder of PostgreSQL's programs, where they are not in the search path.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub programs: Option<PathBuf>,
}

// === impl Server ===

impl Server {
    /// Whether it keeps any data.
    pub fn has_data(&self) -> bool {
        !self.data.is_empty() || !self.database.is_empty()
    }
}

// === impl Database ===

impl Database {
    /// The name of the database.
    pub fn name(&self) -> &str {
        let (_, name) = self.postgres.rsplit_once('/').unwrap_or(("", ""));
        name.split('?').next().unwrap_or(name)
    }

    fn problem(&self) -> Option<String> {
        let address =
            self.postgres.strip_prefix("postgresql://").or_else(|| self.postgres.strip_prefix("postgres://"));
        let place = address.and_then(|rest| rest.split('?').next()?.split_once('/'));
        let plain = |name: &str| {
            !name.is_empty()
                && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "_-.".contains(letter))
        };
        match place {
            Some((place, name)) if plain(name) && !place.contains('/') => {
                secret::has_password(&self.postgres)
                    .then(|| "no password is written here; name where it is, as `password`".to_owned())
            }
            _ => Some(format!("`{}` is not postgresql://USER@HOST:PORT/DATABASE", self.postgres)),
        }
    }
}

// === impl Integrity ===

impl Default for Integrity {
    fn default() -> Self {
        Self { quick: Span::seconds(5 * 60), full: Span::seconds(24 * 60 * 60), rate: Bytes(64 << 20) }
    }
}

/// What is wrong with the two tables: the key, and why.
pub(super) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let mut problems = Vec::new();
    for (key, span) in [("quick", config.integrity.quick), ("full", config.integrity.full)] {
        if span.ms() < 100 {
            problems.push((key, format!("`{span}` is too short; 100ms is the least")));
        }
    }
    if config.integrity.rate.0 == 0 {
        problems.push(("rate", "nothing would ever be read; 1B is the least".to_owned()));
    }
    let databases = config.server.iter().flat_map(|server| &server.database);
    problems.extend(databases.filter_map(|one| Some(("postgres", one.problem()?))));
    for server in &config.server {
        for (n, data) in server.data.iter().enumerate() {
            if data.path.as_os_str().is_empty() {
                problems.push(("path", format!("the data of `{}` have no path", server.name)));
            }
            if server.data[..n].iter().any(|other| other.path == data.path) {
                let path = data.path.display();
                problems.push(("path", format!("the data `{path}` of `{}` are there twice", server.name)));
            }
            if let Err(error) = Patterns::new(data.may_change.iter().map(String::as_str)) {
                problems.push(("may_change", error.to_string()));
            }
        }
    }
    problems
}
