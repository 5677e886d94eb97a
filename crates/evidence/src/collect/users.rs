//! Owns who is and was logged in: `utmp`, `wtmp` and `btmp` (utmp(5)), as they are and as text.
//!
//! Newer systems have no such files, because their times end in 2038; then their absence is the fact.

use serde::Serialize;

use super::Scene;
use super::out::Out;
use super::reading::{As, Keep, copy};
use crate::bundle::Gathered;

/// The size of a record on every 64-bit Linux.
const RECORD: usize = 384;
/// The last 10,000 logins.
const BYTES_MAX: u64 = 10_000 * RECORD as u64;

#[derive(Debug, PartialEq, Eq, Serialize)]
struct Login {
    kind: &'static str,
    pid: i32,
    line: String,
    user: String,
    from: String,
    at_s: i32,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    for (path, list) in [
        ("/run/utmp", "t0/logged-in.jsonl"),
        ("/var/log/wtmp", "t0/logins.jsonl"),
        ("/var/log/btmp", "t0/failed-logins.jsonl"),
    ] {
        out.doing(format!("`{path}`"));
        let gathered = copy(&scene.root, &scene.path(path), Keep::End, As::Bytes, BYTES_MAX);
        let bytes = gathered.bytes.as_deref().unwrap_or_default();
        // What was typed as the user of a failed login may be a password.
        let is_failed = path.ends_with("btmp");
        for mut login in bytes.chunks_exact(RECORD).filter_map(Login::read) {
            if is_failed {
                login.user.clear();
            }
            out.line(list, &login);
        }
        if is_failed && gathered.bytes.is_some() {
            let problem = "not copied, for people type passwords there by mistake; t0/failed-logins.jsonl has its lines without users";
            out.give(Gathered::missing(gathered.name, problem));
        } else {
            out.give(gathered);
        }
    }
}

// === impl Login ===

impl Login {
    /// The fields: kind, process, line (32 bytes), id (4), user (32), host (256), exit (4), session, seconds, microseconds.
    fn read(record: &[u8]) -> Option<Self> {
        let number = |at: usize| Some(i32::from_ne_bytes(record.get(at..at + 4)?.try_into().ok()?));
        let text = |at: usize, length: usize| {
            let bytes = record.get(at..at + length).unwrap_or_default();
            let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(bytes.len());
            String::from_utf8_lossy(&bytes[..end]).into_owned()
        };
        let kind = match i16::from_ne_bytes(record.get(..2)?.try_into().ok()?) {
            1 => "run_level",
            2 => "boot",
            6 => "login",
            7 => "user",
            8 => "ended",
            _ => return None,
        };
        Some(Self {
            kind,
            pid: number(4)?,
            line: text(8, 32),
            user: text(44, 32),
            from: text(76, 256),
            at_s: number(340)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::{Login, RECORD};

    #[test]
    fn a_record() {
        let mut record = vec![0; RECORD];
        record[0] = 7;
        record[4..8].copy_from_slice(&42_i32.to_ne_bytes());
        record[8..13].copy_from_slice(b"pts/0");
        record[44..47].copy_from_slice(b"ann");
        record[76..84].copy_from_slice(b"10.0.0.7");
        record[340..344].copy_from_slice(&1_700_000_000_i32.to_ne_bytes());
        let login = Login::read(&record).unwrap();
        assert_eq!((login.kind, login.pid, login.at_s), ("user", 42, 1_700_000_000));
        assert_eq!(
            (login.line.as_str(), login.user.as_str(), login.from.as_str()),
            ("pts/0", "ann", "10.0.0.7")
        );
        assert_eq!(Login::read(&[0; RECORD]), None);
        assert_eq!(Login::read(b"x"), None);
    }
}
