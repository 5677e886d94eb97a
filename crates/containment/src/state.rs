//! Owns how one server is contained: by whom, for how long, and all that was done, so that exactly that is taken back.
//!
//! It is a JSON file of its own for each server; no file is a server that is not contained.

use process::ProcessId;
use serde::{Deserialize, Serialize};

use crate::filter::Filter;
use crate::hold::Hold;
use crate::network::Network;

/// The one version that there is.
const VERSION: u32 = 1;

/// How a server is contained.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct State {
    version: u32,
    /// Who has said so first.
    pub by: String,
    /// When, in milliseconds since 1970.
    pub at_ms: i64,
    /// When it ends by itself, unless somebody confirms it before; none is not before somebody releases it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until_ms: Option<i64>,
    /// Why, where that was said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The incident that it belongs to.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// The evidence that was sealed before, or that somebody did not want to wait for it.
    pub evidence: String,
    /// What its guard refuses by this.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub refused: Vec<Refused>,
    /// Addresses from which and to which nothing goes.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub blocked: Vec<Network>,
    /// Ports that nobody from elsewhere reaches.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub ports: Vec<u16>,
    /// Whether its processes reach nobody elsewhere, by their control group.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub isolated: bool,
    /// The user whose processes reach nobody elsewhere, where they are kept from the network by that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub user: Option<u32>,
    /// Its process at that time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub process: Option<ProcessId>,
    /// What is done to its processes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
}

/// Something that a guard refuses.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Refused {
    /// What kind of thing: `everybody`, `client`, `token`, `tool` or `address`.
    pub kind: String,
    /// Which one.
    pub name: String,
}

/// Why a text is none.
#[derive(Debug, thiserror::Error)]
pub enum StateError {
    /// It is not what this version writes.
    #[error("how the server is contained is not understood")]
    Content(#[from] serde_json::Error),
    /// A later version has written it.
    #[error("how the server is contained is of version {0}, and this program knows version {VERSION}")]
    Version(u32),
}

// === impl State ===

impl State {
    /// Nothing is done yet.
    pub fn new(by: &str, at_ms: i64, evidence: String) -> Self {
        Self {
            version: VERSION,
            by: by.to_owned(),
            at_ms,
            until_ms: None,
            reason: None,
            incident: None,
            evidence,
            refused: Vec::new(),
            blocked: Vec::new(),
            ports: Vec::new(),
            isolated: false,
            user: None,
            process: None,
            hold: None,
        }
    }

    /// Reads the text of a file; none is a server that is not contained.
    ///
    /// # Errors
    /// When it is not understood.
    pub fn parse(text: Option<&str>) -> Result<Option<Self>, StateError> {
        let Some(text) = text else { return Ok(None) };
        let state: Self = serde_json::from_str(text)?;
        if state.version == VERSION { Ok(Some(state)) } else { Err(StateError::Version(state.version)) }
    }

    /// What stands in the file.
    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default() + "\n"
    }

    /// Whether it ends by itself, and is over by then.
    pub fn is_over(&self, now_ms: i64) -> bool {
        self.until_ms.is_some_and(|until_ms| until_ms <= now_ms)
    }

    /// Whether something is done in the kernel, beside what the guard does.
    pub fn reaches_kernel(&self) -> bool {
        !self.filter().is_empty() || self.hold.is_some()
    }

    /// Whether nothing is done by it any more.
    pub fn is_nothing(&self) -> bool {
        self.refused.is_empty() && !self.isolated && !self.reaches_kernel()
    }

    /// What the packet filter holds back; of the group what is known once it is there.
    pub(crate) fn filter(&self) -> Filter {
        Filter { blocked: self.blocked.clone(), ports: self.ports.clone(), group: None, user: self.user }
    }

    /// In words, what is done.
    pub fn words(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for one in &self.refused {
            words.push(match one.kind.as_str() {
                "everybody" => "its guard serves nobody".to_owned(),
                kind => format!("its guard refuses {kind} `{}`", one.name),
            });
        }
        let listed = |all: Vec<String>| all.join(", ");
        if !self.blocked.is_empty() {
            let all = listed(self.blocked.iter().map(ToString::to_string).collect());
            words.push(format!("nothing comes from or goes to {all}"));
        }
        if !self.ports.is_empty() {
            let all = listed(self.ports.iter().map(ToString::to_string).collect());
            words.push(format!("nobody elsewhere reaches port {all}"));
        }
        if self.isolated {
            words.push("its processes reach nobody elsewhere (by their control group)".to_owned());
        }
        match &self.hold {
            Some(Hold::Group { frozen: true, .. }) => {
                words.push("its processes are stopped (by their control group)".to_owned());
            }
            Some(Hold::Signals { .. }) => words.push("its processes are stopped (one by one)".to_owned()),
            _ => {}
        }
        words.extend(self.user.map(|user| format!("processes of user {user} reach nobody elsewhere")));
        words.join("; ")
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::group::Group;

    /// What this version has written: a later one has to read it.
    const WRITTEN: &str = r#"{"version":1,"by":"ann","at_ms":5,"until_ms":1805,"reason":"an attack","incident":"019a",
        "evidence":"bundle 1","refused":[{"kind":"everybody","name":"everybody"}],"blocked":["203.0.113.7","2001:db8::/32"],
        "ports":[8000],"isolated":true,"process":{"pid":9,"start_ticks":7},
        "hold":{"by":"group","group":{"path":"/sys/fs/cgroup/a"},"frozen":true}}"#;

    #[test]
    fn what_is_written_is_read() {
        let state = State::parse(Some(WRITTEN)).unwrap().unwrap();
        assert_eq!(State::parse(Some(&state.to_text())).unwrap().unwrap(), state);
        let group = Group { path: "/sys/fs/cgroup/a".into() };
        assert_eq!(state.hold, Some(Hold::Group { group, frozen: true }));
        assert_eq!((state.is_over(1804), state.is_over(1805)), (false, true));
        assert_eq!(
            state.words(),
            "its guard serves nobody; nothing comes from or goes to 203.0.113.7, 2001:db8::/32; nobody elsewhere \
             reaches port 8000; its processes reach nobody elsewhere (by their control group); its processes are \
             stopped (by their control group)"
        );
        assert!(State::parse(None).unwrap().is_none());
        let later = WRITTEN.replace("\"version\":1", "\"version\":2");
        assert!(matches!(State::parse(Some(&later)), Err(StateError::Version(2))));
        for wrong in [
            "",
            "{}",
            &WRITTEN.replace("203.0.113.7", "203.0.113.7;"),
            &WRITTEN.replace("\"by\":\"ann\"", "\"x\":1"),
        ] {
            assert!(matches!(State::parse(Some(wrong)), Err(StateError::Content(_))), "{wrong}");
        }
    }
}
