//! Owns `[evidence]`: where bundles are kept, how large they may become, and where they are copied and sent to.

use std::path::PathBuf;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Bytes, Config, Remote, Secret, Span, remote};

/// `[evidence]`
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields, default)]
pub struct Evidence {
    /// Where bundles are written if no place of `places` is better. By default `evidence` in the data directory.
    pub dir: PathBuf,
    /// Folders for bundles, the dearest first, such as the mount points of other disks. The first that is not on a disk that is
    /// looked at, and has 64 MiB free, is taken; one that is not there is not made.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub places: Vec<PathBuf>,
    /// Where a copy goes as soon as a bundle is sealed: a folder off this machine, such as a mount.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub copy_to: Option<PathBuf>,
    /// Where `evidence export` puts bundles. As root `/var/log/security-incidents`, otherwise `security-incidents` in the data
    /// directory.
    pub export_dir: PathBuf,
    /// How large one bundle may become.
    pub bytes_max: Bytes,
    /// How large all of them together may become. Then no more are made, and that is said: none is ever deleted.
    pub budget: Bytes,
    /// How long one collection may take.
    pub timeout: Span,
    /// Where bundles are sent while they are collected.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub stream: Option<Stream>,
}

/// `[evidence.stream]`: a command or an address.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Stream {
    /// A program and its arguments that takes a tar archive on its standard input, which ends when the bundle does:
    /// `["ssh", "vault", "tar", "-x", "-C", "/srv/evidence"]`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub command: Vec<String>,
    /// An address of HTTP or HTTPS below which each part is put: `PUT URL/BUNDLE/PART`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub url: Option<String>,
    /// Where the value of the header `Authorization` is, read anew each time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub authorization: Option<Secret>,
    /// For HTTPS: the certificates that are trusted in place of those of this machine, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
    /// For HTTPS: our own certificate, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub certificate: Option<PathBuf>,
    /// Where the key of our own certificate is, in PEM.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub key: Option<Secret>,
    /// How long one part of at most 8 MiB may take, or the command to end after the last.
    #[serde(default = "default_timeout")]
    pub timeout: Span,
    /// How often one part, or the command from the beginning, is tried.
    #[serde(default = "default_tries")]
    pub tries: u32,
}

fn default_timeout() -> Span {
    Span::seconds(30)
}

fn default_tries() -> u32 {
    5
}

// === impl Stream ===

impl Stream {
    /// Where it is, and who we are to it; none for a command.
    pub(crate) fn remote(&self) -> Option<Remote<'_>> {
        Some(Remote {
            url: self.url.as_deref()?,
            authorization: self.authorization.as_ref(),
            tenant: None,
            ca: self.ca.as_deref(),
            certificate: self.certificate.as_deref(),
            key: self.key.as_ref(),
            timeout: self.timeout,
        })
    }

    /// Makes relative paths relative to `base`.
    pub(super) fn settle(&mut self, base: &std::path::Path) {
        for path in self.ca.iter_mut().chain(&mut self.certificate) {
            *path = base.join(&*path);
        }
        self.authorization.iter_mut().chain(&mut self.key).for_each(|secret| secret.settle(base));
    }

    /// Where it goes, for people: a program without its arguments, which may tell too much.
    pub(crate) fn target(&self) -> String {
        match &self.url {
            Some(url) => url.clone(),
            None => format!("the command `{}`", self.command.first().map_or("", String::as_str)),
        }
    }
}

/// What is wrong with `[evidence.stream]`: the key, and why.
pub(super) fn stream_problems(config: &Config) -> Vec<(&'static str, String)> {
    /// More is no try but a loop.
    const TRIES_MAX: u32 = 20;
    let Some(stream) = &config.evidence.stream else { return Vec::new() };
    let mut problems = Vec::new();
    match (stream.remote(), stream.command.first()) {
        (Some(_), Some(_)) => problems.push(("url", "bundles go to one `url` or one `command`".to_owned())),
        (None, None) => problems.push(("command", "a stream goes to a `url` or a `command`".to_owned())),
        (Some(remote), None) => problems.extend(remote::problem(&remote)),
        (None, Some(program)) if program.is_empty() => {
            problems.push(("command", "it begins with a program".to_owned()));
        }
        (None, Some(_)) => {}
    }
    if !(1..=TRIES_MAX).contains(&stream.tries) {
        problems.push(("tries", format!("`{}` is not from 1 to {TRIES_MAX}", stream.tries)));
    }
    problems
}

// === impl Evidence ===

impl Default for Evidence {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            places: Vec::new(),
            copy_to: None,
            export_dir: PathBuf::new(),
            bytes_max: Bytes(512 << 20),
            budget: Bytes(8 << 30),
            timeout: Span::seconds(45),
            stream: None,
        }
    }
}
