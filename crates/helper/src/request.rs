//! Owns what is sent to the helper and what it answers: one JSON object a line, one line a connection and direction.
//!
//! ```text
//! {"verb":"write_drop_in","unit":"mcp-server-mem.service","topic":"tuning","settings":[{"memory_max":268435456}],"over":null}
//! {"verb":"remove_drop_in","unit":"mcp-server-mem.service","topic":"tuning","over":[{"memory_max":268435456}]}
//! {"verb":"set_parameter","key":"vm.swappiness","to":{"live":"10","kept":"10"},"over":{"live":"60","kept":null}}
//! {"verb":"contain","server":"mem","own":["198.51.100.9"],"to":{"version":1,…},"over":null}
//!
//! {"outcome":"done","before":{"drop_in":null}}
//! {"outcome":"refused","reason":"…","before":null}
//! ```
//!
//! `over` is what the sender believes to be there: where something else is, nothing is done, and the answer says what is.

use containment::{Network, State};
use serde::{Deserialize, Serialize};
use systemd::{DropIn, UnitName};

use crate::parameter::{self, ParameterState};
use crate::setting::Setting;

/// The longest request, in bytes, its end included.
pub const REQUEST_BYTES_MAX: usize = 16 * 1024;

/// The longest name of a server.
const SERVER_CHARS_MAX: usize = 63;

/// How many settings one drop-in has at most.
const SETTINGS_MAX: usize = 32;

/// What is asked for, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "verb", rename_all = "snake_case", deny_unknown_fields)]
pub enum Request {
    /// Write a drop-in of ours.
    WriteDropIn {
        /// The unit, by its exact name.
        unit: String,
        /// Which drop-in of it.
        topic: Topic,
        /// What is to be in it.
        settings: Vec<Setting>,
        /// What is in it now; none where it is not there.
        #[serde(default)]
        over: Option<Vec<Setting>>,
    },
    /// Remove a drop-in of ours.
    RemoveDropIn {
        /// The unit, by its exact name.
        unit: String,
        /// Which drop-in of it.
        topic: Topic,
        /// What is in it now.
        over: Vec<Setting>,
    },
    /// Set a parameter of the kernel, now and for the next boot.
    SetParameter {
        /// Its name, with dots.
        key: String,
        /// What it is to be.
        to: ParameterState,
        /// What it is now.
        over: ParameterState,
    },
    /// Have the kernel contain a server, contain it otherwise, or release it.
    Contain {
        /// The server.
        server: String,
        /// Who gets through always, beside those of root's list.
        #[serde(default)]
        own: Vec<Network>,
        /// How it is to be contained; none is not at all.
        to: Option<Box<State>>,
        /// How it is now.
        over: Option<Box<State>>,
    },
}

/// Which drop-in of a unit: each is changed apart from the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Topic {
    /// What `server tune` sets.
    Tuning,
    /// What shuts a server off.
    Sandbox,
}

/// What was there before.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Before {
    /// The settings of the drop-in; none where there was no file.
    DropIn(Option<Vec<Setting>>),
    /// The parameter.
    Parameter(ParameterState),
    /// What is worth knowing, in words.
    Told(Vec<String>),
}

/// What came of a request.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "outcome", rename_all = "snake_case", deny_unknown_fields)]
pub enum Answer {
    /// It is so now, or was so already.
    Done {
        /// What was there.
        before: Before,
    },
    /// It may not be, or is not as the sender believes; nothing was done.
    Refused {
        /// Why.
        reason: String,
        /// What is there, where it was looked at.
        before: Option<Before>,
    },
    /// It was tried, and is as it was before.
    Failed {
        /// Why.
        reason: String,
        /// What is there.
        before: Option<Before>,
    },
}

/// What is asked for, checked as far as that goes without looking at the machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Order {
    /// Write or remove a drop-in.
    DropIn {
        /// The unit.
        unit: UnitName,
        /// Which drop-in of it.
        topic: Topic,
        /// What is to be there; none is no file.
        new: Option<DropIn>,
        /// What has to be there now.
        over: Option<DropIn>,
    },
    /// Set a parameter of the kernel.
    Parameter {
        /// Its name, with dots.
        key: String,
        /// What it is to be.
        to: ParameterState,
        /// What it has to be now.
        over: ParameterState,
    },
    /// Contain a server, or release it.
    Contain {
        /// The server.
        server: String,
        /// Who gets through always, beside those of root's list.
        own: Vec<Network>,
        /// How it is to be contained.
        to: Option<Box<State>>,
        /// How it is now.
        over: Option<Box<State>>,
    },
}

/// Why a request is none.
#[derive(Debug, thiserror::Error)]
pub enum BadRequest {
    /// It is too long.
    #[error("a request has at most {REQUEST_BYTES_MAX} bytes")]
    Long,
    /// It is not one whole line.
    #[error("a request is one line, and nothing comes behind it")]
    Line,
    /// It is not understood.
    #[error("the request is not understood: {0}")]
    Content(#[from] serde_json::Error),
    /// It has too many settings.
    #[error("a drop-in has at most {SETTINGS_MAX} settings")]
    Many,
    /// It is no name of a server.
    #[error("`{0}` is no name of a server")]
    Server(String),
    /// The unit has no name of one, or a setting has no value of one.
    #[error(transparent)]
    Systemd(#[from] systemd::Error),
    /// The parameter may not be set, or not so.
    #[error(transparent)]
    Parameter(#[from] parameter::BadParameter),
}

// === impl Topic ===

impl Topic {
    /// The word in the name of the file.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Tuning => "tuning",
            Self::Sandbox => "sandbox",
        }
    }
}

// === impl Request ===

impl Request {
    /// Reads what came over a connection, up to its end or to one byte more than may be.
    ///
    /// # Errors
    /// Where it is too long, no whole line, or not understood.
    pub fn parse(bytes: &[u8]) -> Result<Self, BadRequest> {
        if bytes.len() > REQUEST_BYTES_MAX {
            return Err(BadRequest::Long);
        }
        let line = bytes.strip_suffix(b"\n").filter(|line| !line.contains(&b'\n')).ok_or(BadRequest::Line)?;
        Ok(serde_json::from_slice(line)?)
    }

    /// The line that is sent.
    pub fn to_line(&self) -> String {
        serde_json::to_string(self).unwrap_or_default() + "\n"
    }

    /// Checks names and values by their types.
    ///
    /// # Errors
    /// Where a name is none, a value is out of its bounds, or two settings contradict each other.
    pub fn order(&self) -> Result<Order, BadRequest> {
        match self {
            Self::WriteDropIn { unit, topic, settings, over } => {
                let unit = unit_name(unit)?;
                let new = Some(drop_in(&unit, *topic, settings)?);
                let over = over.as_deref().map(|over| drop_in(&unit, *topic, over)).transpose()?;
                Ok(Order::DropIn { unit, topic: *topic, new, over })
            }
            Self::RemoveDropIn { unit, topic, over } => {
                let unit = unit_name(unit)?;
                let over = Some(drop_in(&unit, *topic, over)?);
                Ok(Order::DropIn { unit, topic: *topic, new: None, over })
            }
            Self::SetParameter { key, to, over } => {
                let key = parameter::closed(key)?.to_owned();
                let (to, over) = (to.checked(&key)?, over.clone());
                Ok(Order::Parameter { key, to, over })
            }
            Self::Contain { server, own, to, over } => {
                if !is_server_name(server) {
                    return Err(BadRequest::Server(server.chars().take(SERVER_CHARS_MAX).collect()));
                }
                let (server, own) = (server.clone(), own.clone());
                Ok(Order::Contain { server, own, to: to.clone(), over: over.clone() })
            }
        }
    }
}

/// A name, as the configuration of `serve` has them.
fn is_server_name(name: &str) -> bool {
    name.len() <= SERVER_CHARS_MAX
        && name.starts_with(|letter: char| letter.is_ascii_alphanumeric())
        && name.chars().all(|letter| letter.is_ascii_alphanumeric() || "-_.".contains(letter))
}

fn unit_name(text: &str) -> Result<UnitName, BadRequest> {
    Ok(text.parse::<UnitName>().map_err(systemd::Error::from)?)
}

/// The drop-in with these settings.
///
/// # Errors
/// Where a value is out of its bounds, or two settings contradict each other.
pub fn drop_in(unit: &UnitName, topic: Topic, settings: &[Setting]) -> Result<DropIn, BadRequest> {
    if settings.len() > SETTINGS_MAX {
        return Err(BadRequest::Many);
    }
    let settings = settings.iter().map(Setting::of_systemd).collect();
    Ok(DropIn::new(unit.clone(), topic.as_str(), settings)?)
}

/// The settings of a drop-in; none where one of them cannot be sent.
pub fn settings_of(drop_in: &DropIn) -> Option<Vec<Setting>> {
    drop_in.settings().iter().map(Setting::from_systemd).collect()
}

// === impl Before ===

impl Before {
    /// A drop-in as it was.
    pub(crate) fn of_drop_in(drop_in: Option<&DropIn>) -> Self {
        Self::DropIn(drop_in.map(|drop_in| settings_of(drop_in).unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests;
