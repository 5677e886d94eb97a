//! Owns parameters of the kernel: the closed list of those that may be set from outside, with the values that each may
//! have, and the file that holds them for the next boot.

use std::fs;
use std::io;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// The file of our settings, below the root.
pub const PARAMETERS_FILE: &str = "etc/sysctl.d/60-paramedic.conf";

/// What stands above them where the file is new.
pub const HEADER: &str = "# Written by `paramedic host tune`, one parameter a line.\n";

/// The longest file, in bytes.
const FILE_BYTES_MAX: usize = 64 * 1024;

/// The parameters that may be set, with the bounds of each of their numbers. None of them names a program or a file, or
/// decides on what is protected.
pub const CLOSED: [(&str, &[RangeInclusive<u64>]); 17] = [
    ("fs.file-max", &[65_536..=9_223_372_036_854_775_807]),
    ("fs.inotify.max_user_instances", &[128..=65_536]),
    ("fs.inotify.max_user_watches", &[8_192..=16_777_216]),
    ("net.core.netdev_max_backlog", &[100..=1_000_000]),
    ("net.core.rmem_max", &[65_536..=1_073_741_824]),
    ("net.core.somaxconn", &[128..=65_535]),
    ("net.core.wmem_max", &[65_536..=1_073_741_824]),
    ("net.ipv4.ip_local_port_range", &[1_024..=65_535, 1_024..=65_535]),
    ("net.ipv4.tcp_fin_timeout", &[5..=120]),
    ("net.ipv4.tcp_keepalive_intvl", &[1..=3_600]),
    ("net.ipv4.tcp_keepalive_probes", &[1..=127]),
    ("net.ipv4.tcp_keepalive_time", &[1..=32_767]),
    ("net.ipv4.tcp_max_syn_backlog", &[128..=65_536]),
    ("vm.dirty_background_ratio", &[1..=50]),
    ("vm.dirty_ratio", &[1..=80]),
    ("vm.max_map_count", &[65_530..=16_777_216]),
    ("vm.swappiness", &[0..=200]),
];

/// A parameter: what it is now, and what the file of the next boot says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ParameterState {
    /// Its value now.
    pub live: String,
    /// Its value in our file; none where it is not in there.
    #[serde(default)]
    pub kept: Option<String>,
}

/// Why a parameter is not set.
#[derive(Debug, thiserror::Error)]
pub enum BadParameter {
    /// It is not on the list.
    #[error("`{0}` is not on the list of parameters that can be set from here")]
    Foreign(String),
    /// The value is none for it.
    #[error("`{value}` is no value for `{key}`: {bounds}")]
    Value {
        /// The parameter.
        key: String,
        /// The value.
        value: String,
        /// What it has to be.
        bounds: String,
    },
}

/// The parameter of the list with this name.
pub(crate) fn closed(key: &str) -> Result<&'static str, BadParameter> {
    let found = CLOSED.iter().find(|(name, _)| *name == key);
    found.map(|(name, _)| *name).ok_or_else(|| BadParameter::Foreign(key.chars().take(64).collect()))
}

// === impl ParameterState ===

impl ParameterState {
    /// Reads a parameter below `root`; none where the kernel has none of this name.
    ///
    /// # Errors
    /// Where the file of the next boot cannot be read.
    pub fn read(root: &Path, key: &str) -> io::Result<Option<Self>> {
        let Some((_, path)) = parameter(root, key) else { return Ok(None) };
        let live = spelled(&fs::read_to_string(path)?);
        let kept = read_file(&root.join(PARAMETERS_FILE))?.and_then(|file| kept_value(&file, key));
        Ok(Some(Self { live, kept }))
    }

    /// The same with values that are some for this parameter, spelled with single spaces.
    pub(crate) fn checked(&self, key: &str) -> Result<Self, BadParameter> {
        let live = value(key, &self.live)?;
        let kept = self.kept.as_deref().map(|kept| value(key, kept)).transpose()?;
        Ok(Self { live, kept })
    }

    /// Whether both say the same.
    pub fn is(&self, other: &Self) -> bool {
        let kept = |state: &Self| state.kept.as_deref().map(spelled);
        is_same(&self.live, &other.live) && kept(self) == kept(other)
    }

    /// Makes it so: the file first, then the kernel, which has the last word. On failure both are as before.
    pub(crate) fn write(&self, root: &Path, key: &str) -> io::Result<()> {
        let path = root.join(PARAMETERS_FILE);
        let (_, kernel) = parameter(root, key).ok_or_else(|| io::Error::from(io::ErrorKind::NotFound))?;
        let before = read_file(&path)?;
        let live_before = fs::read_to_string(&kernel)?;
        let new = match &self.kept {
            Some(kept) => Some(with_line(before.as_deref(), key, kept)),
            None => before.as_deref().and_then(|file| without_line(file, key)),
        };
        put(&path, new.as_deref())?;
        let written = fs::write(&kernel, &self.live).and_then(|()| {
            let made = fs::read_to_string(&kernel)?;
            let told = || format!("the kernel made `{}` of it", made.trim_end());
            if is_same(&made, &self.live) { Ok(()) } else { Err(io::Error::other(told())) }
        });
        if written.is_err() {
            // The first failure is the one to tell of.
            let _ = fs::write(&kernel, live_before);
            let _ = put(&path, before.as_deref());
        }
        written
    }
}

fn value(key: &str, text: &str) -> Result<String, BadParameter> {
    let bounds = CLOSED.iter().find(|(name, _)| *name == key).map_or(&[] as &[_], |(_, bounds)| *bounds);
    let plain = |word: &str| word.len() <= 20 && word.bytes().all(|byte| byte.is_ascii_digit());
    let words: Vec<&str> = text.split([' ', '\t']).filter(|word| !word.is_empty()).collect();
    let numbers: Vec<u64> =
        words.iter().filter(|word| plain(word)).filter_map(|word| word.parse().ok()).collect();
    let fits = numbers.len() == words.len()
        && numbers.len() == bounds.len()
        && numbers.iter().zip(bounds).all(|(number, bounds)| bounds.contains(number))
        && numbers.is_sorted();
    if fits {
        return Ok(numbers.iter().map(u64::to_string).collect::<Vec<_>>().join(" "));
    }
    let bounds: Vec<String> =
        bounds.iter().map(|bounds| format!("{} to {}", bounds.start(), bounds.end())).collect();
    let value = text.chars().take(64).collect();
    Err(BadParameter::Value { key: key.to_owned(), value, bounds: bounds.join(", then ") })
}

/// The name of a parameter with dots, and its file below `root`; both forms of the name are known. None where this
/// kernel has no such parameter.
pub fn parameter(root: &Path, key: &str) -> Option<(String, PathBuf)> {
    let plain = |letter: char| letter.is_ascii_alphanumeric() || "._-/".contains(letter);
    let parts: Vec<&str> =
        if key.contains('/') { key.split('/').collect() } else { key.split('.').collect() };
    let sound = key.chars().all(plain)
        && parts.len() > 1
        && parts.iter().all(|part| !matches!(*part, "" | "." | ".."));
    let path = parts.iter().fold(root.join("proc/sys"), |path, part| path.join(part));
    if !sound || !path.is_file() {
        return None;
    }
    Some((parts.join(if key.contains('/') && key.contains('.') { "/" } else { "." }), path))
}

/// Whether two values are the same, however they are spaced.
pub fn is_same(one: &str, other: &str) -> bool {
    one.split_whitespace().eq(other.split_whitespace())
}

fn spelled(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// The value of a parameter in our file.
pub fn kept_value(file: &str, key: &str) -> Option<String> {
    let line = file.lines().find(|line| is_line_of(line, key))?;
    line.split_once('=').map(|(_, value)| spelled(value))
}

/// The file with this parameter in it once, and all else as it was.
pub fn with_line(file: Option<&str>, key: &str, value: &str) -> String {
    let line = format!("{key} = {}\n", spelled(value));
    let file = file.unwrap_or(HEADER);
    let mut out = String::new();
    let mut written = false;
    for text in file.split_inclusive('\n') {
        if !is_line_of(text, key) {
            out.push_str(text);
        } else if !std::mem::replace(&mut written, true) {
            out.push_str(&line);
        }
    }
    if !written {
        if !out.is_empty() && !out.ends_with('\n') {
            out.push('\n');
        }
        out.push_str(&line);
    }
    out
}

/// The file without this parameter; none where nothing but our own first line is left.
pub fn without_line(file: &str, key: &str) -> Option<String> {
    let out: String = file.split_inclusive('\n').filter(|line| !is_line_of(line, key)).collect();
    (out != HEADER).then_some(out)
}

fn is_line_of(text: &str, key: &str) -> bool {
    let dotted = |name: &str| name.trim().trim_start_matches('-').replace('/', ".");
    !text.trim_start().starts_with(['#', ';'])
        && text.split_once('=').is_some_and(|(name, _)| dotted(name) == dotted(key))
}

fn read_file(path: &Path) -> io::Result<Option<String>> {
    match fs::read_to_string(path) {
        Ok(text) if text.len() > FILE_BYTES_MAX => Err(io::Error::from(io::ErrorKind::FileTooLarge)),
        Ok(text) => Ok(Some(text)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// Replaces a file whole, or removes it.
fn put(path: &Path, text: Option<&str>) -> io::Result<()> {
    use std::io::Write as _;
    use std::os::unix::fs::PermissionsExt as _;
    let Some(text) = text else {
        return match fs::remove_file(path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
            _ => Ok(()),
        };
    };
    // sysctl(8) reads what ends with `.conf`; this does not until it is whole.
    let new = path.with_extension("conf.new");
    let mut file = fs::File::create(&new)?;
    file.set_permissions(fs::Permissions::from_mode(0o644))?;
    file.write_all(text.as_bytes())?;
    file.sync_all()?;
    fs::rename(&new, path)
}

#[cfg(test)]
mod tests;
