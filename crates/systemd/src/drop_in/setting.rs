//! Owns the settings that a drop-in may have: typed, checked, and written as systemd reads them.

use std::collections::BTreeMap;
use std::fmt;
use std::mem::{Discriminant, discriminant};
use std::net::IpAddr;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::unit::Limit;

/// The least memory, in bytes, with which a server could do anything.
const MEMORY_BYTES_MIN: u64 = 1 << 20;

/// From a twentieth of a processor to more than any machine has.
const CPU_PERCENT: std::ops::RangeInclusive<u32> = 5..=1_000_000;

/// A runtime with its threads has no fewer.
const TASKS_MIN: u32 = 16;

/// No program starts with fewer descriptors.
const OPEN_FILES_MIN: u64 = 64;

/// So many variables, paths or networks at most.
const ITEMS_MAX: usize = 64;

/// The longest value of a variable, or path, in bytes.
const VALUE_BYTES_MAX: usize = 4096;

/// What `@system-service` leaves out. As a list of what is denied it takes away from whatever a unit's own file says: a list
/// of what is allowed would be added to one that stands there, and so give more. What is denied fails, and kills nobody.
pub(super) const SYSTEM_CALLS_DENIED: &str =
    "~@clock @cpu-emulation @debug @module @mount @obsolete @raw-io @reboot @swap";

/// What a denied call answers. An error behind each name (`@clock:EPERM`) would make a unit that allows by a list of its own, and
/// denies with the same error, start no more: systemd makes a rule of it that the kernel's library refuses.
pub(super) const SYSTEM_CALL_ERROR: &str = "EPERM";

/// Families beside `AF_UNIX`, `AF_INET`, `AF_INET6` and `AF_NETLINK` in which there is something to be attacked; a list of what is
/// denied for the same reason.
pub(super) const FAMILIES_DENIED: &str = "~AF_ALG AF_APPLETALK AF_ATMPVC AF_AX25 AF_BLUETOOTH AF_CAIF AF_CAN AF_IB AF_IPX \
     AF_KCM AF_KEY AF_LLC AF_NETROM AF_NFC AF_PACKET AF_PHONET AF_PPPOX AF_QIPCRTR AF_RDS AF_ROSE AF_RXRPC AF_TIPC AF_VSOCK \
     AF_X25 AF_XDP";

/// A setting.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Setting {
    /// More memory than this it does not get: the kernel kills it.
    MemoryMax(Limit),
    /// With more memory than this it is slowed down. Control groups of version 2 only.
    MemoryHigh(Limit),
    /// So much of one processor it gets, in percent: 200 are two processors.
    CpuQuota(u32),
    /// So many processes and threads at most.
    TasksMax(u32),
    /// So many descriptors each of its processes may have open.
    OpenFiles(u64),
    /// Variables, which stand beside and before those of the unit's own file.
    Environment(BTreeMap<String, String>),
    /// No program in it gets more rights than it has.
    NoNewPrivileges,
    /// It has a `/tmp` of its own.
    PrivateTmp,
    /// It sees no devices but the harmless ones.
    PrivateDevices,
    /// It cannot write where programs and settings are.
    ProtectSystem(ProtectSystem),
    /// It cannot read where people are.
    ProtectHome(ProtectHome),
    /// It cannot write the kernel's parameters.
    ProtectKernelTunables,
    /// It cannot make programs that run as somebody else.
    RestrictSuidSgid,
    /// Folders that it may write all the same.
    ReadWritePaths(Vec<PathBuf>),
    /// It has sockets of these families only.
    RestrictAddressFamilies(Vec<AddressFamily>),
    /// It calls nothing of the kernel that only whoever administers a machine calls.
    DenySystemCalls,
    /// It has no sockets of families that servers have no use for.
    DenyAddressFamilies,
    /// It sends nothing there, and hears nothing from there.
    IpAddressDeny(Vec<Network>),
    /// It does all the same, with these.
    IpAddressAllow(Vec<Network>),
}

/// What is protected of the system.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectSystem {
    /// `/usr` and the boot loader.
    Programs,
    /// `/etc` too.
    Full,
    /// Everything but `/dev`, `/proc`, `/sys`, and what is allowed.
    Strict,
}

/// How homes are protected.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ProtectHome {
    /// They are empty.
    Hidden,
    /// They can be read.
    ReadOnly,
}

/// A family of sockets.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum AddressFamily {
    /// On this machine.
    Unix,
    /// IPv4.
    Inet,
    /// IPv6.
    Inet6,
    /// To the kernel.
    Netlink,
}

/// Addresses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Network {
    /// All.
    Any,
    /// Those of this machine.
    Localhost,
    /// Those that begin with so many bits of this one.
    Prefix(IpAddr, u8),
}

// === impl Setting ===

impl Setting {
    /// The lines of a file of systemd.
    pub(super) fn lines(&self) -> Vec<String> {
        let yes = |name: &str| vec![format!("{name}=yes")];
        match self {
            Self::MemoryMax(limit) => vec![format!("MemoryMax={}", limit_word(*limit))],
            Self::MemoryHigh(limit) => vec![format!("MemoryHigh={}", limit_word(*limit))],
            Self::CpuQuota(percent) => vec![format!("CPUQuota={percent}%")],
            Self::TasksMax(count) => vec![format!("TasksMax={count}")],
            Self::OpenFiles(count) => vec![format!("LimitNOFILE={count}")],
            Self::Environment(variables) => variables
                .iter()
                .map(|(name, value)| format!("Environment={}", quoted(&format!("{name}={value}"))))
                .collect(),
            Self::NoNewPrivileges => yes("NoNewPrivileges"),
            Self::PrivateTmp => yes("PrivateTmp"),
            Self::PrivateDevices => yes("PrivateDevices"),
            Self::ProtectSystem(what) => vec![format!("ProtectSystem={what}")],
            Self::ProtectHome(how) => vec![format!("ProtectHome={how}")],
            Self::ProtectKernelTunables => yes("ProtectKernelTunables"),
            Self::RestrictSuidSgid => yes("RestrictSUIDSGID"),
            Self::ReadWritePaths(paths) => paths
                .iter()
                .map(|path| format!("ReadWritePaths={}", quoted(&path.to_string_lossy())))
                .collect(),
            Self::RestrictAddressFamilies(families) => {
                vec![format!("RestrictAddressFamilies={}", joined(families))]
            }
            Self::DenySystemCalls => vec![
                format!("SystemCallFilter={SYSTEM_CALLS_DENIED}"),
                format!("SystemCallErrorNumber={SYSTEM_CALL_ERROR}"),
            ],
            Self::DenyAddressFamilies => vec![format!("RestrictAddressFamilies={FAMILIES_DENIED}")],
            Self::IpAddressDeny(networks) => vec![format!("IPAddressDeny={}", joined(networks))],
            Self::IpAddressAllow(networks) => vec![format!("IPAddressAllow={}", joined(networks))],
        }
    }

    /// For a log: its lines, of variables only the names.
    pub fn told(&self) -> String {
        match self {
            Self::Environment(variables) => {
                let names: Vec<&str> = variables.keys().map(String::as_str).collect();
                format!("Environment of {}", names.join(" "))
            }
            other => other.lines().join(", "),
        }
    }

    pub(super) fn name(&self) -> &'static str {
        match self {
            Self::MemoryMax(_) => "MemoryMax",
            Self::MemoryHigh(_) => "MemoryHigh",
            Self::CpuQuota(_) => "CPUQuota",
            Self::TasksMax(_) => "TasksMax",
            Self::OpenFiles(_) => "LimitNOFILE",
            Self::Environment(_) => "Environment",
            Self::NoNewPrivileges => "NoNewPrivileges",
            Self::PrivateTmp => "PrivateTmp",
            Self::PrivateDevices => "PrivateDevices",
            Self::ProtectSystem(_) => "ProtectSystem",
            Self::ProtectHome(_) => "ProtectHome",
            Self::ProtectKernelTunables => "ProtectKernelTunables",
            Self::RestrictSuidSgid => "RestrictSUIDSGID",
            Self::ReadWritePaths(_) => "ReadWritePaths",
            Self::RestrictAddressFamilies(_) => "RestrictAddressFamilies",
            Self::DenySystemCalls => "SystemCallFilter",
            Self::DenyAddressFamilies => "RestrictAddressFamilies",
            Self::IpAddressDeny(_) => "IPAddressDeny",
            Self::IpAddressAllow(_) => "IPAddressAllow",
        }
    }

    /// What is wrong with it by itself.
    fn problem(&self) -> Option<String> {
        match self {
            Self::MemoryMax(Limit::Bytes(bytes)) | Self::MemoryHigh(Limit::Bytes(bytes)) => {
                let fits = (MEMORY_BYTES_MIN..=i64::MAX.unsigned_abs()).contains(bytes);
                (!fits).then(|| {
                    format!("{bytes} bytes are less than {MEMORY_BYTES_MIN}, or more than there can be")
                })
            }
            Self::CpuQuota(percent) => (!CPU_PERCENT.contains(percent))
                .then(|| format!("{percent} % of a processor is nothing that a server runs with")),
            Self::TasksMax(count) => (*count < TASKS_MIN)
                .then(|| format!("nothing runs with {count} tasks; {TASKS_MIN} is the least")),
            Self::OpenFiles(count) => (*count < OPEN_FILES_MIN)
                .then(|| format!("nothing starts with {count} descriptors; {OPEN_FILES_MIN} is the least")),
            Self::Environment(variables) => count(variables.len())
                .or_else(|| variables.iter().find_map(|(name, value)| bad_variable(name, value))),
            Self::ReadWritePaths(paths) => {
                count(paths.len()).or_else(|| paths.iter().find_map(|path| bad_path(path)))
            }
            Self::RestrictAddressFamilies(families) => count(families.len()),
            Self::IpAddressDeny(networks) | Self::IpAddressAllow(networks) => {
                count(networks.len()).or_else(|| networks.iter().find_map(bad_network))
            }
            _ => None,
        }
    }
}

/// Refuses settings that mean nothing, or contradict each other.
pub(super) fn check(settings: &[Setting]) -> Result<(), Error> {
    let bad =
        |setting: &str, problem: String| Err(Error::BadSetting { setting: setting.to_owned(), problem });
    if settings.is_empty() {
        return bad("nothing", "a drop-in without settings does nothing: remove it instead".to_owned());
    }
    let mut seen: Vec<Discriminant<Setting>> = Vec::new();
    for setting in settings {
        if let Some(problem) = setting.problem() {
            return bad(setting.name(), problem);
        }
        let kind = discriminant(setting);
        if seen.contains(&kind) {
            return bad(setting.name(), "it is set twice".to_owned());
        }
        seen.push(kind);
    }
    let bytes = |wanted: fn(&Setting) -> Option<u64>| settings.iter().find_map(wanted);
    let high = bytes(|setting| match setting {
        Setting::MemoryHigh(Limit::Bytes(bytes)) => Some(*bytes),
        _ => None,
    });
    let max = bytes(|setting| match setting {
        Setting::MemoryMax(Limit::Bytes(bytes)) => Some(*bytes),
        _ => None,
    });
    match high.zip(max) {
        Some((high, max)) if high > max => bad(
            "MemoryHigh",
            format!("{high} bytes are more than MemoryMax, {max} bytes: it would never be reached"),
        ),
        _ => Ok(()),
    }
}

fn count(items: usize) -> Option<String> {
    match items {
        0 => Some("it is empty".to_owned()),
        1..=ITEMS_MAX => None,
        _ => Some(format!("{items} are more than {ITEMS_MAX}")),
    }
}

fn bad_variable(name: &str, value: &str) -> Option<String> {
    let begins = name.starts_with(|letter: char| letter.is_ascii_alphabetic() || letter == '_');
    if !begins || !name.chars().all(|letter| letter.is_ascii_alphanumeric() || letter == '_') {
        return Some(format!("`{name}` is no name of a variable"));
    }
    if name.len() + value.len() > VALUE_BYTES_MAX {
        return Some(format!("`{name}` is longer than {VALUE_BYTES_MAX} bytes"));
    }
    let bad = value.chars().find(|letter| !is_text(*letter) && !"\t\n".contains(*letter));
    bad.map(|letter| format!("`{name}` has {letter:?} in it"))
}

fn bad_path(path: &Path) -> Option<String> {
    let Some(text) = path.to_str() else { return Some(format!("`{}` is no text", path.display())) };
    let is_plain = path.is_absolute() && !path.components().any(|part| part.as_os_str() == "..");
    let fits = text.len() <= VALUE_BYTES_MAX && text.chars().all(is_text);
    (!is_plain || !fits).then(|| format!("{text:?} is no absolute path"))
}

fn bad_network(network: &Network) -> Option<String> {
    let Network::Prefix(address, bits) = network else { return None };
    let bits_max = if address.is_ipv4() { 32 } else { 128 };
    (*bits > bits_max).then(|| format!("{address} has no {bits} bits"))
}

/// Whether systemd takes a letter for one: no control character, and no code that stands for none.
fn is_text(letter: char) -> bool {
    let code = u32::from(letter);
    !letter.is_ascii_control() && !(0xfdd0..=0xfdef).contains(&code) && code & 0xfffe != 0xfffe
}

/// A text in quotes. `%` would begin a specifier; `$` means nothing here.
fn quoted(text: &str) -> String {
    let mut quoted = String::with_capacity(text.len() + 2);
    quoted.push('"');
    for letter in text.chars() {
        match letter {
            '"' | '\\' => quoted.extend(['\\', letter]),
            '%' => quoted.push_str("%%"),
            '\n' => quoted.push_str("\\n"),
            '\t' => quoted.push_str("\\t"),
            _ => quoted.push(letter),
        }
    }
    quoted.push('"');
    quoted
}

fn joined(items: &[impl fmt::Display]) -> String {
    items.iter().map(ToString::to_string).collect::<Vec<_>>().join(" ")
}

fn limit_word(limit: Limit) -> String {
    match limit {
        Limit::Bytes(bytes) => bytes.to_string(),
        Limit::Unlimited => "infinity".to_owned(),
    }
}

// === impl the words ===

impl fmt::Display for ProtectSystem {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Programs => "yes",
            Self::Full => "full",
            Self::Strict => "strict",
        })
    }
}

impl fmt::Display for ProtectHome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Hidden => "tmpfs",
            Self::ReadOnly => "read-only",
        })
    }
}

impl fmt::Display for AddressFamily {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unix => "AF_UNIX",
            Self::Inet => "AF_INET",
            Self::Inet6 => "AF_INET6",
            Self::Netlink => "AF_NETLINK",
        })
    }
}

impl fmt::Display for Network {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Any => f.write_str("any"),
            Self::Localhost => f.write_str("localhost"),
            Self::Prefix(address, bits) => write!(f, "{address}/{bits}"),
        }
    }
}
