//! Owns keeping secrets out of a bundle: by how they look in texts, and word by word those in the environment of the server.

use std::collections::BTreeSet;

use memchr::memmem;

use super::Scene;
use super::reading::kernel;
use crate::Digest;
use crate::bundle::Gathered;

/// A shorter value is a word that stands everywhere, such as `true`.
const SECRET_BYTES_MIN: usize = 8;
/// More than a server has.
const SECRETS_MAX: usize = 64;
const ENVIRONMENT_BYTES_MAX: u64 = 1 << 20;
const REDACTED: &[u8] = b"[REDACTED]";

/// Words that must not be in a bundle.
#[derive(Debug, Default)]
pub(crate) struct Secrets(BTreeSet<Vec<u8>>);

/// The values of those variables of the server's processes whose names say that they are secrets. They are only compared with.
pub(crate) fn secrets_of(scene: &Scene) -> Secrets {
    let mut secrets = BTreeSet::new();
    let Some(pid) = scene.subject.pid else { return Secrets::default() };
    let below = process::descendants(&scene.roots.proc, pid).into_iter().map(|id| id.pid);
    for pid in std::iter::once(pid).chain(below).take(SECRETS_MAX) {
        let path = scene.roots.proc.join(pid.to_string()).join("environ");
        for variable in kernel(&path, ENVIRONMENT_BYTES_MAX).unwrap_or_default().split(|byte| *byte == 0) {
            let Some(at) = variable.iter().position(|byte| *byte == b'=') else { continue };
            let (name, value) = (String::from_utf8_lossy(&variable[..at]), &variable[at + 1..]);
            let is_long = value.len() >= SECRET_BYTES_MIN && secrets.len() < SECRETS_MAX;
            // A path to a secret is none.
            if is_long && host::signs_of_secret(&name) && !value.starts_with(b"/") {
                secrets.insert(value.to_vec());
            }
        }
    }
    Secrets(secrets)
}

// === impl Secrets ===

impl Secrets {
    /// Hides them in something that was gathered, and keeps the sum of what it was.
    pub(crate) fn hide(&self, mut gathered: Gathered) -> Gathered {
        let keeps_length = gathered.keeps_length;
        for value in gathered.attributes.values_mut() {
            if self.0.iter().any(|secret| memmem::find(value.as_bytes(), secret).is_some()) {
                *value = String::from_utf8_lossy(REDACTED).into_owned();
            }
        }
        let Some(bytes) = gathered.bytes.as_mut() else { return gathered };
        for secret in &self.0 {
            let finder = memmem::Finder::new(secret);
            if finder.find(bytes).is_none() {
                continue;
            }
            gathered.original_sha256.get_or_insert_with(|| Digest::of(bytes));
            if keeps_length {
                let places: Vec<usize> = finder.find_iter(bytes).collect();
                places.into_iter().for_each(|at| bytes[at..at + secret.len()].fill(b'*'));
                continue;
            }
            let (mut hidden, mut from) = (Vec::with_capacity(bytes.len()), 0);
            for at in finder.find_iter(bytes) {
                hidden.extend_from_slice(&bytes[from..at]);
                hidden.extend_from_slice(REDACTED);
                from = at + secret.len();
            }
            hidden.extend_from_slice(&bytes[from..]);
            *bytes = hidden;
        }
        gathered
    }
}

/// Hides what looks like a secret in a text, and the values of variables that a unit sets. Returns the sum of what it was,
/// where it is not the same.
pub fn hide_text(bytes: Vec<u8>) -> (Vec<u8>, Option<Digest>) {
    let text = String::from_utf8_lossy(&bytes);
    let hidden = hide_environment(&hide_hinted(&text));
    if hidden == *text {
        return (bytes, None);
    }
    let original = Digest::of(&bytes);
    (hidden.into_bytes(), Some(original))
}

/// Redacts the lines that may need it, each with the one after it, where the value of a name may stand: a log of megabytes has
/// few of them, and the rules take a hundred times longer than this look.
fn hide_hinted(text: &str) -> String {
    let (mut hidden, mut part, mut was_hinted) = (String::with_capacity(text.len()), String::new(), false);
    // A key goes on over many lines that say nothing of it.
    let mut is_in_key = false;
    for line in text.split_inclusive('\n') {
        let lower = line.to_ascii_lowercase();
        is_in_key |= lower.contains("-----begin") && lower.contains("private key");
        let is_hinted = is_in_key || logs::redact::is_hinted(&lower);
        is_in_key &= !lower.contains("-----end");
        if is_hinted || was_hinted {
            part.push_str(line);
        } else {
            if !part.is_empty() {
                hidden.push_str(&logs::redact::text(&std::mem::take(&mut part)));
            }
            hidden.push_str(line);
        }
        was_hinted = is_hinted;
    }
    hidden + &logs::redact::text(&part)
}

/// Of `Environment=NAME=VALUE` the names stay.
fn hide_environment(text: &str) -> String {
    if !text.contains("Environment=") {
        return text.to_owned();
    }
    let line = |line: &str| -> String {
        let Some(variables) = line.trim_start().strip_prefix("Environment=") else { return line.to_owned() };
        let names = variables
            .split('=')
            .map(|part| part.rsplit([' ', '\t']).next().unwrap_or_default().trim_matches(['"', '\'']));
        let mut names: Vec<_> = names.collect();
        // Behind the last `=` stands a value.
        names.pop();
        let shown: Vec<_> = names.iter().map(|name| format!("{name}=[REDACTED]")).collect();
        let end = if line.ends_with('\n') { "\n" } else { "" };
        format!("Environment={}{end}", shown.join(" "))
    };
    text.split_inclusive('\n').map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::{Secrets, hide_text};
    use crate::bundle::Gathered;

    #[test]
    fn words_are_hidden_and_places_stay_where_they_count() {
        let secrets = Secrets([b"hunter2!".to_vec()].into());
        let bytes = b"a hunter2! b hunter2!".to_vec();
        let text = secrets.hide(Gathered::whole("x", bytes.clone()));
        assert_eq!(text.bytes.as_deref(), Some(&b"a [REDACTED] b [REDACTED]"[..]));
        let memory = secrets.hide(Gathered { keeps_length: true, ..Gathered::whole("x", bytes) });
        assert_eq!(memory.bytes.as_deref(), Some(&b"a ******** b ********"[..]));
        assert!(memory.original_sha256.is_some() && memory.original_sha256 == text.original_sha256);
    }

    #[test]
    fn values_of_units_are_hidden() {
        for (text, expect) in [
            (
                "[Service]\nEnvironment=\"A=b c\" D=e\nExecStart=/x\n",
                "[Service]\nEnvironment=A=[REDACTED] D=[REDACTED]\nExecStart=/x\n",
            ),
            ("Environment=\n", "Environment=\n"),
            ("API_KEY=hunter2hunter2\n", "API_KEY=[REDACTED]\n"),
            ("nothing\n", "nothing\n"),
            ("a\npassword:\nhunter2\nb", "a\npassword:\n[REDACTED]\nb"),
            ("a\nAKIAABCDEFGHIJKLMNOP b\n\n", "a\n[REDACTED] b\n\n"),
            (
                "a\n-----BEGIN PRIVATE KEY-----\nMIIE\nab+/\ncd==\n-----END PRIVATE KEY-----\nb\n",
                "a\n[REDACTED]\nb\n",
            ),
        ] {
            let (hidden, original) = hide_text(text.as_bytes().to_vec());
            assert_eq!(
                (String::from_utf8(hidden).unwrap().as_str(), original.is_some()),
                (expect, text != expect)
            );
        }
        let odd = b"\xff\xfe password".to_vec();
        assert_eq!(hide_text(odd.clone()), (odd, None));
    }
}
