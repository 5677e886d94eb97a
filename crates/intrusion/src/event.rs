//! Owns what one line of a sign-in service says: who failed, who came in, who became somebody else, whose account changed.
//!
//! Names that somebody types at the door stand in these lines as they were typed. So the address behind a name is looked for
//! from the end of the line, where the service itself has written it.

use std::net::IpAddr;
use std::sync::LazyLock;

use regex::Regex;
use serde::Serialize;

/// What happened.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum What {
    /// Somebody was refused.
    Failed,
    /// Somebody came in.
    Accepted,
    /// Somebody became another user, or ran something as one.
    Elevated,
    /// Somebody wanted that, and was refused.
    ElevationFailed,
    /// An account or its groups or its password changed.
    AccountChanged,
}

/// One event.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Event {
    /// When: milliseconds since 1970.
    pub at_ms: i64,
    /// Where it stands: `journal`, or the path of a log.
    pub source: String,
    /// The program that says so.
    pub program: String,
    /// What happened.
    pub what: What,
    /// The user that it is about: who came in, or whom somebody became.
    pub user: Option<String>,
    /// Who did it, where that is another.
    pub by: Option<String>,
    /// From where.
    pub peer: Option<IpAddr>,
    /// The fingerprint of the key that was taken.
    pub key: Option<String>,
    /// The line, with secrets hidden.
    pub raw: String,
}

static KEY: LazyLock<Regex> = LazyLock::new(|| form(r"(SHA256:[A-Za-z0-9+/=]{20,})$"));
static SUDO: LazyLock<Regex> =
    LazyLock::new(|| form(r"^\s*(\S+) : (.*?)(?:; )?TTY=\S+ ; PWD=.*? ; USER=(\S+)"));
static SU: LazyLock<Regex> = LazyLock::new(|| form(r"^(FAILED SU )?\(to (\S+)\) (\S+) on "));
static SU_OF_SHADOW: LazyLock<Regex> = LazyLock::new(|| form(r"^(Successful|FAILED) su for (\S+) by (\S+)$"));
static NEW_USER: LazyLock<Regex> = LazyLock::new(|| form(r"^new user: name=([^,\s]+),"));
static GROUP: LazyLock<Regex> = LazyLock::new(|| {
    form(r"^(?:add '([^']+)' to (?:shadow )?group '[^']+'|user (\S+) added by \S+ to group \S+)$")
});
static PASSWORD: LazyLock<Regex> = LazyLock::new(|| form(r"password changed for (\S+)$"));
static PAM: LazyLock<Regex> = LazyLock::new(|| {
    form(
        r"^pam_unix\([^)]*\): (?:(authentication failure); .*rhost=(\S*)(?:\s+user=(\S+))?|session opened for user ([^\s(]+))",
    )
});

fn form(pattern: &str) -> Regex {
    Regex::new(pattern).expect("the forms are tested")
}

/// What a message of a program says, if it is about access. `program` is as the system names it, such as `sshd`.
pub fn classify(at_ms: i64, source: &str, program: &str, message: &str) -> Option<Event> {
    let message = message.trim_end();
    let said = match program {
        "sshd" | "sshd-session" | "sshd-auth" => of_sshd(message),
        "sudo" => of_sudo(message),
        "su" | "su-l" => of_su(message),
        "useradd" | "usermod" | "gpasswd" | "passwd" | "chpasswd" | "userdel" => of_accounts(message),
        "login" | "gdm-password" | "lightdm" | "cockpit-session" | "vsftpd" | "systemd-user" => {
            of_pam(message)
        }
        _ => None,
    }?;
    Some(Event {
        at_ms,
        source: source.to_owned(),
        program: program.to_owned(),
        what: said.what,
        user: said.user,
        by: said.by,
        peer: said.peer,
        key: said.key,
        raw: logs::redact::text(message).into_owned(),
    })
}

struct Said {
    what: What,
    user: Option<String>,
    by: Option<String>,
    peer: Option<IpAddr>,
    key: Option<String>,
}

// === impl Said ===

impl Said {
    fn new(what: What, user: &str) -> Self {
        let user = (!user.is_empty()).then(|| user.to_owned());
        Self { what, user, by: None, peer: None, key: None }
    }

    fn by(self, by: &str) -> Self {
        Self { by: Some(by.to_owned()), ..self }
    }
}

fn of_sshd(message: &str) -> Option<Said> {
    let key = KEY.captures(message).map(|found| found[1].to_owned());
    for (begin, what) in [
        ("Accepted ", What::Accepted),
        ("Failed ", What::Failed),
        ("Invalid user ", What::Failed),
        ("error: maximum authentication attempts exceeded for ", What::Failed),
    ] {
        let Some(rest) = message.strip_prefix(begin) else { continue };
        // What follows the name was written by the service, and the last ` from ` is its own.
        let (before, after) = rest.rsplit_once(" from ")?;
        let peer = after.split_ascii_whitespace().next()?.parse().ok()?;
        // A name that is not known may be anything; of `Failed METHOD for NAME` the method has no blanks.
        let user = match begin {
            "Accepted " | "Failed " => before.split_once(" for ")?.1,
            _ => before,
        };
        // Each attempt with a name that is not known is told by a second line as well.
        if begin == "Failed " && user.starts_with("invalid user ") {
            return None;
        }
        // A method that asks the client only, and a key that it offers and does not hold, are no guesses.
        if begin == "Failed " && before.starts_with("none ") {
            return None;
        }
        return Some(Said {
            peer: Some(peer),
            key,
            ..Said::new(what, user.trim_start_matches("invalid user "))
        });
    }
    None
}

fn of_sudo(message: &str) -> Option<Said> {
    let found = SUDO.captures(message)?;
    let refused = !found[2].trim().is_empty();
    let what = if refused { What::ElevationFailed } else { What::Elevated };
    Some(Said::new(what, &found[3]).by(&found[1]))
}

fn of_su(message: &str) -> Option<Said> {
    let what = |refused: bool| if refused { What::ElevationFailed } else { What::Elevated };
    if let Some(found) = SU.captures(message) {
        return Some(Said::new(what(found.get(1).is_some()), &found[2]).by(&found[3]));
    }
    let found = SU_OF_SHADOW.captures(message)?;
    Some(Said::new(what(&found[1] == "FAILED"), &found[2]).by(&found[3]))
}

fn of_accounts(message: &str) -> Option<Said> {
    let found = [&NEW_USER, &GROUP, &PASSWORD].into_iter().find_map(|form| form.captures(message))?;
    let user = found.iter().skip(1).flatten().next()?;
    Some(Said::new(What::AccountChanged, user.as_str()))
}

fn of_pam(message: &str) -> Option<Said> {
    let found = PAM.captures(message)?;
    let part = |n: usize| found.get(n).map_or("", |part| part.as_str());
    if found.get(1).is_none() {
        return Some(Said::new(What::Accepted, part(4)));
    }
    Some(Said { peer: part(2).parse().ok(), ..Said::new(What::Failed, part(3)) })
}

#[cfg(test)]
mod tests {
    use proptest::prelude::{any, proptest};

    use super::*;

    /// Lines of services, with what each tells.
    const LINES: &str = include_str!("lines.txt");

    fn told(event: &Event) -> String {
        let peer = event.peer.map(|peer| peer.to_string());
        let what = serde_json::to_value(event.what).unwrap().as_str().unwrap().to_owned();
        let parts = [Some(what), event.user.clone(), event.by.clone(), peer];
        parts.map(|part| part.unwrap_or("-".to_owned())).join(" / ")
    }

    #[test]
    fn lines_of_the_services_are_understood() {
        let rows: Vec<&str> = LINES.lines().filter(|line| !line.starts_with('#')).collect();
        assert!(rows.len() > 20);
        for row in rows {
            let [program, expect, message] = row.splitn(3, " | ").collect::<Vec<_>>().try_into().unwrap();
            let event = classify(1, "journal", program, message);
            assert_eq!(event.as_ref().map_or("-".to_owned(), told), expect, "{row}");
        }
    }

    #[test]
    fn secrets_of_commands_are_hidden() {
        let message = "a : TTY=pts/0 ; PWD=/ ; USER=root ; COMMAND=/usr/bin/tool --password=hunter2";
        let event = classify(1, "journal", "sudo", message).unwrap();
        assert!(!event.raw.contains("hunter2"), "{event:?}");
    }

    proptest! {
        #[test]
        fn no_line_panics(program in "sshd|sudo|su|login|passwd", message in any::<String>(), begin in "Failed |Accepted |Invalid user |") {
            let _ = classify(1, "journal", &program, &format!("{begin}{message}"));
        }
    }
}
