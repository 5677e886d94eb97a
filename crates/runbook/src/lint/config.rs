//! Owns how the rules are set: levels and lists of what they accept, from a TOML file.

use std::collections::BTreeMap;

use serde::Deserialize;

use super::{Rule, rule};
use crate::Level;

/// Levels and lists of the rules.
///
/// ```toml
/// [level]
/// RB041 = "off"                  # off, info, warning, error
/// [allow]
/// RB041 = ["/monitoring/check"]  # findings that name one of these are none
/// [parameters]
/// names = ["DATA_DEVICE"]        # values that the configuration of the servers provides
/// ```
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Config {
    levels: BTreeMap<String, Option<Level>>,
    allowed: BTreeMap<String, Vec<String>>,
    parameters: Vec<String>,
}

/// Why a configuration is not taken.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum ConfigError {
    /// It is not TOML, or holds a key or a type that means nothing.
    #[error("{0}")]
    Syntax(String),
    /// It names a rule that does not exist.
    #[error("`{0}` is no rule")]
    Rule(String),
    /// It names a level that does not exist.
    #[error("`{1}` is no level for {0}; there are off, info, warning and error")]
    Level(String, String),
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Raw {
    level: BTreeMap<String, String>,
    allow: BTreeMap<String, Vec<String>>,
    parameters: Parameters,
}

#[derive(Debug, Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Parameters {
    names: Vec<String>,
}

impl Config {
    /// Reads a configuration.
    ///
    /// # Errors
    ///
    /// Returns what in it means nothing.
    pub fn parse(text: &str) -> Result<Self, ConfigError> {
        let raw: Raw = toml::from_str(text).map_err(|error| ConfigError::Syntax(error.to_string()))?;
        let mut config = Self { allowed: raw.allow, parameters: raw.parameters.names, ..Self::default() };
        for (code, level) in raw.level {
            let known = match level.as_str() {
                "off" => None,
                "info" => Some(Level::Info),
                "warning" => Some(Level::Warning),
                "error" => Some(Level::Error),
                _ => return Err(ConfigError::Level(code, level)),
            };
            config.levels.insert(code, known);
        }
        let codes = config.levels.keys().chain(config.allowed.keys());
        match codes.into_iter().find(|code| rule(code).is_none()) {
            Some(code) => Err(ConfigError::Rule(code.clone())),
            None => Ok(config),
        }
    }

    /// Returns the level of a rule; `None` where it is off.
    pub fn level(&self, rule: &Rule) -> Option<Level> {
        self.levels.get(rule.code).copied().unwrap_or(Some(rule.level))
    }

    /// Whether a rule accepts a name.
    pub(super) fn allows(&self, code: &str, name: &str) -> bool {
        self.allowed.get(code).is_some_and(|names| names.iter().any(|allowed| allowed == name))
    }

    /// Whether the servers' configuration provides a parameter of this name.
    pub(super) fn provides(&self, parameter: &str) -> bool {
        self.parameters.iter().any(|name| name == parameter)
    }
}
