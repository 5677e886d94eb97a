//! Owns what operators have laid down for a server while it runs: which clients may write, and who and what is blocked.
//!
//! It is a JSON file, so that it survives every restart: `{"version": 1, "writes": {"percent": 0, "clients": {NAME:
//! PERCENT}, "set": {"by", "at_ms", "reason"}, "until_ms"}, "blocks": [{"kind": "address"|"client"|"tool"|"token"|"everybody", "name", "until_ms",
//! "set"}], "approved": {"tools": {NAME: SHA-256}, "set"}, "pace": {"per_second", "at_once", "set"}, "watched": {"until_ms", "set"}}`. No file is no restriction. A file that cannot be read or is not understood makes the server read-only:
//! whoever wrote it meant something.
//!
//! A ramp lets a part of the sessions write: each session has a place from 0 to 99 for its whole life, and may write
//! while its place is below the percentage. So a higher percentage only adds sessions.

mod approved;
mod block;
mod held;
mod kept;
mod pace;
mod refused;
#[cfg(test)]
mod tests;
mod watched;

use std::collections::BTreeMap;
use std::net::IpAddr;

use serde::{Deserialize, Serialize};

pub use approved::Approved;
pub use block::{Block, BlockKind, EVERYBODY};
pub(crate) use kept::{Exchanged, Kept, write_whole};
pub use pace::Pace;
pub(crate) use refused::{Ask, Refused};
pub use watched::Watched;

/// The one version that there is.
const VERSION: u32 = 1;
/// The largest file that is read, in bytes: it is a place of a change, and those are no larger.
const BYTES_MAX: u64 = 64 << 10;
/// A hundred clients by name, or two hundred things that are blocked, fit into the file.
const CLIENTS_MAX: usize = 100;
const BLOCKS_MAX: usize = 200;
/// The longest name or reason, in bytes.
const TEXT_BYTES_MAX: usize = 128;

/// What is laid down for one server.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Controls {
    version: u32,
    /// Who may write.
    #[serde(default, skip_serializing_if = "Writes::are_open")]
    pub writes: Writes,
    /// Who and what is blocked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocks: Vec<Block>,
    /// Which tools were approved; none where nobody has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub approved: Option<Approved>,
    /// How much clients may take; none for what the settings allow.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pace: Option<Pace>,
    /// Until when it is looked at more closely; none where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watched: Option<Watched>,
}

/// Which sessions may write.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Writes {
    /// How many of all sessions, in percent: 0 is read-only mode.
    pub percent: u8,
    /// The same for the sessions of clients of these names, in place of it.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub clients: BTreeMap<String, u8>,
    /// Who has said so.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub set: Option<Set>,
    /// From when on everybody may write again, in milliseconds since 1970: it is taken back also where whoever has said it
    /// is gone.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
}

/// Who has laid something down.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Set {
    /// Who.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
}

/// Why something is not laid down.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ControlsError {
    /// The text is not what this version writes.
    #[error("the controls are not understood")]
    Content(#[from] serde_json::Error),
    /// A later version has written it.
    #[error("the controls are of version {0}, and this program knows version {VERSION}")]
    Version(u32),
    /// A percentage above 100.
    #[error("`{0}` is no percentage: 0 to 100")]
    Percent(u8),
    /// A time to watch that has no end worth the name.
    #[error("a server is watched for at least a second, and at most 30 days")]
    Watch,
    /// A name that is empty, too long, or has control characters.
    #[error("`{0}` is no name: it has 1 to {TEXT_BYTES_MAX} bytes, and no control characters")]
    Name(String),
    /// An address that is none.
    #[error("`{0}` is no address; write it as 192.0.2.7 or 192.0.2.0/24")]
    Address(String),
    /// Nothing is limited by it.
    #[error("say how many requests in a second, or at once")]
    NoPace,
    /// No number of requests.
    #[error("{0} is no number of requests: 1 to 1000000")]
    Pace(u32),
    /// There is too much.
    #[error("{what} are at most {most}")]
    TooMany {
        /// What there is too much of.
        what: &'static str,
        /// How many there may be.
        most: usize,
    },
}

// === impl Writes, Set ===

impl Default for Writes {
    fn default() -> Self {
        Self { percent: 100, clients: BTreeMap::new(), set: None, until_ms: None }
    }
}

impl Writes {
    fn are_open(&self) -> bool {
        self.percent == 100 && self.clients.is_empty()
    }

    fn of(&self, client: &str) -> u8 {
        self.clients.get(client).copied().unwrap_or(self.percent)
    }
}

impl Set {
    /// Says who, when and why.
    pub fn new(by: &str, at_ms: i64, reason: Option<&str>) -> Self {
        let clip = |text: &str| crate::log::clip(text, TEXT_BYTES_MAX);
        Self { by: clip(by), at_ms, reason: reason.map(clip) }
    }
}

// === impl Controls ===

impl Default for Controls {
    fn default() -> Self {
        Self {
            version: VERSION,
            writes: Writes::default(),
            blocks: Vec::new(),
            approved: None,
            pace: None,
            watched: None,
        }
    }
}

impl Controls {
    /// Reads the text of a file; none is no restriction.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn parse(text: Option<&str>) -> Result<Self, ControlsError> {
        let Some(text) = text else { return Ok(Self::default()) };
        let read = serde_json::from_str::<Self>(text);
        if let Ok(controls) = &read
            && controls.version == VERSION
        {
            controls.check()?;
            return Ok(controls.clone());
        }
        #[derive(Deserialize)]
        struct Versioned {
            version: u32,
        }
        match (serde_json::from_str::<Versioned>(text), read) {
            (Ok(Versioned { version }), _) if version != VERSION => Err(ControlsError::Version(version)),
            (_, Err(error)) => Err(error.into()),
            (_, Ok(controls)) => Err(ControlsError::Version(controls.version)),
        }
    }

    /// What stands in the file; none where nothing is laid down.
    pub fn to_text(&self) -> Option<String> {
        let is_open = self.writes.are_open()
            && self.blocks.is_empty()
            && self.approved.is_none()
            && self.pace.is_none()
            && self.watched.is_none();
        (!is_open).then(|| serde_json::to_string_pretty(self).expect("all keys are strings") + "\n")
    }

    fn check(&self) -> Result<(), ControlsError> {
        let percents = self.writes.clients.values().copied().chain([self.writes.percent]);
        if let Some(percent) = percents.into_iter().find(|percent| *percent > 100) {
            return Err(ControlsError::Percent(percent));
        }
        self.writes.clients.keys().try_for_each(|name| block::check_name(name))?;
        self.blocks.iter().try_for_each(Block::check)?;
        self.approved.iter().try_for_each(Approved::check)?;
        self.pace.iter().try_for_each(Pace::check)?;
        for (what, most, found) in [
            ("clients by name", CLIENTS_MAX, self.writes.clients.len()),
            ("things that are blocked", BLOCKS_MAX, self.blocks.len()),
        ] {
            if found > most {
                return Err(ControlsError::TooMany { what, most });
            }
        }
        Ok(())
    }

    /// Nobody writes any more. What is so already stays as it was said first.
    pub fn read_only(&mut self, set: Set) {
        if self.writes.percent > 0 || !self.writes.clients.is_empty() || self.writes.until_ms.is_some() {
            self.writes = Writes { percent: 0, set: Some(set), ..Writes::default() };
        }
    }

    /// So many of all sessions write, or of those of one client. All of all forgets what was said of single clients.
    ///
    /// # Errors
    /// When it is no percentage, no name, or there are too many clients.
    pub fn enable_writes(
        &mut self,
        percent: u8,
        client: Option<&str>,
        set: Set,
    ) -> Result<(), ControlsError> {
        let mut writes = self.writes.clone();
        match client {
            Some(client) => drop(writes.clients.insert(client.to_owned(), percent)),
            None if percent == 100 => writes = Writes::default(),
            None => (writes.percent, writes.until_ms) = (percent, None),
        }
        if (writes.percent, &writes.clients) != (self.writes.percent, &self.writes.clients) {
            writes.set = (!writes.are_open()).then_some(set);
            let next = Self { writes, ..self.clone() };
            next.check()?;
            *self = next;
        }
        Ok(())
    }

    /// Blocks something until then, or for good. What is over by `now_ms` is forgotten.
    ///
    /// # Errors
    /// When its name cannot be one, or too much is blocked.
    pub fn block(&mut self, block: Block, now_ms: i64) -> Result<(), ControlsError> {
        let mut next = self.clone();
        next.blocks.retain(|one| !one.is_over(now_ms) && !one.is_same(block.kind, &block.name));
        next.blocks.push(block);
        next.check()?;
        *self = next;
        Ok(())
    }

    /// Blocks something no longer. Returns whether it was.
    pub fn unblock(&mut self, kind: BlockKind, name: &str, now_ms: i64) -> bool {
        let found = self.blocks.iter().any(|one| one.is_same(kind, name));
        if found {
            self.blocks.retain(|one| !one.is_over(now_ms) && !one.is_same(kind, name));
        }
        found
    }

    /// Whether nobody may write.
    pub fn is_read_only(&self) -> bool {
        self.writes.percent == 0 && self.writes.clients.values().all(|percent| *percent == 0)
    }

    /// Whether anything is laid down at all.
    pub(crate) fn is_restricting(&self) -> bool {
        !self.writes.are_open() || !self.blocks.is_empty()
    }

    pub(crate) fn may_write(&self, client: &str, place: u8) -> bool {
        place < self.writes.of(client)
    }

    pub(crate) fn blocked(&self, kind: BlockKind, name: &str, now_ms: i64) -> Option<&Block> {
        self.blocks.iter().find(|one| one.kind == kind && one.name == name && !one.is_over(now_ms))
    }

    pub(crate) fn blocked_address(&self, address: IpAddr, now_ms: i64) -> Option<&Block> {
        self.blocks.iter().find(|one| !one.is_over(now_ms) && one.has_address(address))
    }

    /// Whether it has to be known if the tool that is called only reads.
    pub(crate) fn must_know(&self, ask: Ask<'_>) -> bool {
        ask.method == "tools/call" && !self.may_write(ask.client, ask.place)
    }

    /// Why a request is refused, if it is. `is_read` says whether the tool that it calls is known to only read.
    pub(crate) fn refusal(&self, ask: Ask<'_>, is_read: bool, now_ms: i64) -> Option<(Refused, String)> {
        if !self.is_restricting() {
            return None;
        }
        if let Some(block) = self.blocked(BlockKind::Client, ask.client, now_ms) {
            return Some((Refused::Client, block.to_string()));
        }
        let calls = ask.method == "tools/call";
        let any_tool = self.blocks.iter().find(|one| one.kind == BlockKind::Tool && !one.is_over(now_ms));
        let block = match ask.tool {
            Some(tool) => self.blocked(BlockKind::Tool, tool, now_ms),
            // A name that cannot be read may be any.
            None => any_tool,
        };
        if let Some(block) = block.filter(|_| calls) {
            return Some((Refused::Tool, block.to_string()));
        }
        if self.may_write(ask.client, ask.place) || only_reads(ask.method) || (calls && is_read) {
            return None;
        }
        let what = match ask.tool {
            Some(tool) if calls => format!("tool `{tool}` is not known to only read"),
            Some(_) | None => format!("`{}` is not known to only read", ask.method),
        };
        Some((Refused::ReadOnly, format!("{what}, and {}", self.words())))
    }

    /// What is laid down, in words.
    pub(crate) fn restriction(&self, now_ms: i64) -> Option<String> {
        let writes = (!self.writes.are_open()).then(|| self.words());
        let blocks = self.blocks.iter().filter(|one| !one.is_over(now_ms)).map(ToString::to_string);
        let pace = self.pace.as_ref().map(Pace::words);
        let words: Vec<String> = writes.into_iter().chain(blocks).chain(pace).collect();
        (!words.is_empty()).then(|| words.join("; "))
    }

    /// Why not everybody may write, in words.
    pub(crate) fn words(&self) -> String {
        let mode = match self.is_read_only() {
            true => "the server is in read-only mode".to_owned(),
            false => format!("only a part of the sessions may write ({} %)", self.writes.percent),
        };
        let until =
            self.writes.until_ms.map(|until_ms| format!(" until {}", crate::clock::rfc3339(until_ms)));
        match &self.writes.set {
            Some(set) => format!("{mode}{}: {set}", until.unwrap_or_default()),
            None => mode,
        }
    }
}

impl std::fmt::Display for Set {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "set by {} at {}", self.by, crate::clock::rfc3339(self.at_ms))?;
        self.reason.as_ref().map_or(Ok(()), |reason| write!(f, " ({reason})"))
    }
}

/// Whether a method changes nothing, by the protocol. What it does not know may change anything.
pub(crate) fn only_reads(method: &str) -> bool {
    matches!(
        method,
        "initialize"
            | "ping"
            | "tools/list"
            | "resources/list"
            | "resources/templates/list"
            | "resources/read"
            | "resources/subscribe"
            | "resources/unsubscribe"
            | "prompts/list"
            | "prompts/get"
            | "completion/complete"
            | "logging/setLevel"
            | "tasks/get"
            | "tasks/list"
            | "tasks/result"
            | "tasks/cancel"
            | "server/discover"
            | "subscriptions/listen"
    )
}
