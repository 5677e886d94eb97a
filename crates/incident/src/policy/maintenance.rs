//! Owns maintenance windows: stretches of time in which people work on servers, and the machine only looks.
//!
//! They are stored as one JSON document, `{"version":1,"windows":[…]}`, in version 1 of its form. What is not understood
//! of it is no list without windows: whoever reads it has to take it for a window over everything.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::time;

/// The version of the form below.
const VERSION: u32 = 1;

/// How many windows there may be: more are a mistake in a loop, and each is looked at before every change.
const WINDOWS_MAX: usize = 1_000;

/// The longest reason or name, in bytes: it stands in every question.
const TEXT_BYTES_MAX: usize = 1_024;

/// A stretch of time in which people work on a server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Window {
    /// Its number, by which it is ended.
    pub number: u32,
    /// The server; absent for all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub server: Option<String>,
    /// When it begins, in milliseconds since the Unix epoch.
    pub from_ms: i64,
    /// When it is over, in milliseconds since the Unix epoch.
    pub until_ms: i64,
    /// What is done there.
    pub reason: String,
    /// Who said so.
    pub by: String,
}

/// All windows.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Maintenance {
    windows: Vec<Window>,
}

/// What holds changes back at this moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Hold {
    /// What a person should know, and what would end it.
    pub reason: String,
    /// When it is over by itself, in milliseconds since the Unix epoch, where it ever is.
    pub until_ms: Option<i64>,
}

/// Why a window or a list of them cannot be taken.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "the messages say it")]
pub enum MaintenanceError {
    #[error("it is no list of maintenance windows")]
    Form(#[from] serde_json::Error),
    #[error("it is of version {0}, and this Paramedic knows version {VERSION}")]
    Version(u32),
    #[error("it would hold {0} windows, and {WINDOWS_MAX} are the most")]
    TooMany(usize),
    #[error("the window has to end after it begins, and after now")]
    Empty,
    #[error("the {0} is empty, or longer than {TEXT_BYTES_MAX} bytes")]
    Text(&'static str),
    #[error("there is no window {0}; `paramedic maintenance list` shows them")]
    None(u32),
}

#[derive(Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
struct Document {
    version: u32,
    windows: Vec<Window>,
}

/// The version alone, so that a later form is called by its name.
#[derive(Deserialize)]
struct Versioned {
    version: u32,
}

// === impl Maintenance ===

impl Maintenance {
    /// Reads the stored form.
    ///
    /// # Errors
    /// Where it is not understood as a whole.
    pub fn parse(text: &str) -> Result<Self, MaintenanceError> {
        let Versioned { version } = serde_json::from_str(text)?;
        if version != VERSION {
            return Err(MaintenanceError::Version(version));
        }
        let Document { windows, .. } = serde_json::from_str(text)?;
        if windows.len() > WINDOWS_MAX {
            return Err(MaintenanceError::TooMany(windows.len()));
        }
        Ok(Self { windows })
    }

    /// The stored form.
    ///
    /// # Errors
    /// Where it has no JSON form.
    pub fn to_json(&self) -> Result<String, MaintenanceError> {
        let document = Document { version: VERSION, windows: self.windows.clone() };
        Ok(serde_json::to_string_pretty(&document)? + "\n")
    }

    /// The windows that are not over.
    pub fn windows(&self, now_ms: i64) -> impl Iterator<Item = &Window> {
        self.windows.iter().filter(move |window| now_ms < window.until_ms)
    }

    /// Adds a window, and drops those that are over. It gets a number of its own, which is returned.
    ///
    /// # Errors
    /// Where the window is over already, says nothing, or is one too many.
    pub fn start(&mut self, window: Window, now_ms: i64) -> Result<u32, MaintenanceError> {
        if window.until_ms <= window.from_ms.max(now_ms) {
            return Err(MaintenanceError::Empty);
        }
        for (name, text) in [("reason", &window.reason), ("name", &window.by)] {
            if text.trim().is_empty() || text.len() > TEXT_BYTES_MAX {
                return Err(MaintenanceError::Text(name));
            }
        }
        let number = self.windows.iter().map(|one| one.number).max().unwrap_or(0).saturating_add(1);
        self.windows.retain(|one| now_ms < one.until_ms);
        if self.windows.len() >= WINDOWS_MAX {
            return Err(MaintenanceError::TooMany(self.windows.len() + 1));
        }
        self.windows.push(Window { number, ..window });
        Ok(number)
    }

    /// Ends a window, and returns it.
    ///
    /// # Errors
    /// Where there is none of this number that is not over.
    pub fn end(&mut self, number: u32, now_ms: i64) -> Result<Window, MaintenanceError> {
        let ended = self.windows(now_ms).find(|window| window.number == number).cloned();
        self.windows.retain(|one| now_ms < one.until_ms && one.number != number);
        ended.ok_or(MaintenanceError::None(number))
    }

    /// What holds the changes of a server back now: of several windows the one that ends last.
    pub fn hold(&self, server: &str, now_ms: i64) -> Option<Hold> {
        let covers = |window: &&Window| {
            window.from_ms <= now_ms && window.server.as_deref().is_none_or(|name| name == server)
        };
        let window = self.windows(now_ms).filter(covers).max_by_key(|window| window.until_ms)?;
        let what = if window.server.is_some() { "the server is" } else { "all servers are" };
        Some(Hold {
            reason: format!(
                "{what} in maintenance until {} ({}, by {}): a yes allows it, or `paramedic maintenance end {}`",
                time(window.until_ms),
                window.reason,
                window.by,
                window.number
            ),
            until_ms: Some(window.until_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::*;

    fn window(server: Option<&str>, from_ms: i64, until_ms: i64) -> Window {
        let (reason, by) = ("new disk".to_owned(), "ada".to_owned());
        Window { number: 0, server: server.map(str::to_owned), from_ms, until_ms, reason, by }
    }

    fn list(windows: &[(Option<&str>, i64, i64)]) -> Maintenance {
        let mut list = Maintenance::default();
        for (server, from_ms, until_ms) in windows {
            list.start(window(*server, *from_ms, *until_ms), 0).unwrap();
        }
        list
    }

    #[test]
    fn the_stored_form_is_frozen() {
        let text = list(&[(Some("time"), 1_000, 2_000), (None, 0, 5)]).to_json().unwrap();
        expect![[r#"
            {
              "version": 1,
              "windows": [
                {
                  "number": 1,
                  "server": "time",
                  "from_ms": 1000,
                  "until_ms": 2000,
                  "reason": "new disk",
                  "by": "ada"
                },
                {
                  "number": 2,
                  "from_ms": 0,
                  "until_ms": 5,
                  "reason": "new disk",
                  "by": "ada"
                }
              ]
            }
        "#]]
        .assert_eq(&text);
        assert_eq!(Maintenance::parse(&text).unwrap().to_json().unwrap(), text);
    }

    #[test]
    fn whom_and_when_it_holds() {
        let list = list(&[(Some("time"), 1_000, 2_000), (None, 1_500, 1_800)]);
        let until = |server, now_ms| list.hold(server, now_ms).and_then(|hold| hold.until_ms);
        assert_eq!(
            [999, 1_000, 1_600, 1_999, 2_000].map(|now| until("time", now)),
            [None, Some(2_000), Some(2_000), Some(2_000), None]
        );
        assert_eq!(
            [1_000, 1_500, 1_799, 1_800].map(|now| until("tim", now)),
            [None, Some(1_800), Some(1_800), None]
        );
        assert_eq!(
            list.hold("time", 1_000).unwrap().reason,
            "the server is in maintenance until 1970-01-01 00:00:02 UTC (new disk, by ada): a yes allows it, or `paramedic maintenance end 1`"
        );
        assert!(list.hold("tim", 1_500).unwrap().reason.starts_with("all servers are in maintenance until"));
    }

    #[test]
    fn it_is_ended_by_its_number() {
        let mut list = list(&[(Some("time"), 0, 10), (None, 0, 20)]);
        assert_eq!(
            list.end(1, 15).unwrap_err().to_string(),
            "there is no window 1; `paramedic maintenance list` shows them"
        );
        assert_eq!(list.end(2, 15).unwrap().until_ms, 20);
        assert_eq!(list.windows(0).count(), 0);
        assert_eq!(list.start(window(None, 0, 30), 0).unwrap(), 1);
    }

    #[test]
    fn what_is_no_window() {
        let mut list = Maintenance::default();
        for (window, now_ms, expect) in [
            (window(None, 10, 10), 0, "the window has to end after it begins, and after now"),
            (window(None, 0, 10), 10, "the window has to end after it begins, and after now"),
            (
                Window { reason: " ".to_owned(), ..window(None, 0, 9) },
                0,
                "the reason is empty, or longer than 1024 bytes",
            ),
            (
                Window { by: "x".repeat(1_025), ..window(None, 0, 9) },
                0,
                "the name is empty, or longer than 1024 bytes",
            ),
        ] {
            assert_eq!(list.start(window, now_ms).unwrap_err().to_string(), expect);
        }
        for _ in 0..WINDOWS_MAX {
            list.start(window(None, 0, 9), 0).unwrap();
        }
        assert!(matches!(list.start(window(None, 0, 9), 0), Err(MaintenanceError::TooMany(_))));
        assert_eq!(list.start(window(None, 0, 19), 9).unwrap(), 1_001);
    }

    #[test]
    fn what_is_not_understood_is_no_list() {
        for text in [
            "",
            "{}",
            "[]",
            r#"{"version":1}"#,
            r#"{"version":2,"windows":[]}"#,
            r#"{"version":1,"windows":[{"number":1}]}"#,
            r#"{"version":1,"windows":[],"more":1}"#,
            r#"{"version":1,"windows":[{"number":1,"from_ms":0,"until_ms":9,"reason":"r","by":"b","sever":"x"}]}"#,
        ] {
            assert!(Maintenance::parse(text).is_err(), "{text}");
        }
        let later = Maintenance::parse(r#"{"version":2,"things":[]}"#).unwrap_err();
        assert_eq!(later.to_string(), "it is of version 2, and this Paramedic knows version 1");
    }
}
