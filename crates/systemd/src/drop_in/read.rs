//! Owns reading back the settings of a drop-in that we have written: those that limit, that set variables, and that
//! shut something off.

use std::collections::BTreeMap;

use super::setting::{FAMILIES_DENIED, SYSTEM_CALL_ERROR, SYSTEM_CALLS_DENIED};
use super::{Network, ProtectHome, ProtectSystem, Setting};
use crate::unit::Limit;

/// The settings of these lines; none where one of them is not understood.
pub(super) fn settings(lines: &str) -> Option<Vec<Setting>> {
    let mut settings: Vec<Setting> = Vec::new();
    for line in lines.lines() {
        let (name, value) = line.split_once('=')?;
        // The second line of one setting.
        if (name, value, settings.last())
            == ("SystemCallErrorNumber", SYSTEM_CALL_ERROR, Some(&Setting::DenySystemCalls))
        {
            continue;
        }
        if name != "Environment" {
            settings.push(setting(name, value)?);
            continue;
        }
        let (name, value) =
            unquoted(value)?.split_once('=').map(|(name, value)| (name.to_owned(), value.to_owned()))?;
        match settings.last_mut() {
            Some(Setting::Environment(variables)) => drop(variables.insert(name, value)),
            _ => settings.push(Setting::Environment(BTreeMap::from([(name, value)]))),
        }
    }
    Some(settings)
}

fn setting(name: &str, value: &str) -> Option<Setting> {
    let flag = |setting| (value == "yes").then_some(setting);
    match name {
        "MemoryMax" => limit(value).map(Setting::MemoryMax),
        "MemoryHigh" => limit(value).map(Setting::MemoryHigh),
        "CPUQuota" => value.strip_suffix('%')?.parse().ok().map(Setting::CpuQuota),
        "TasksMax" => value.parse().ok().map(Setting::TasksMax),
        "LimitNOFILE" => value.parse().ok().map(Setting::OpenFiles),
        "NoNewPrivileges" => flag(Setting::NoNewPrivileges),
        "PrivateTmp" => flag(Setting::PrivateTmp),
        "PrivateDevices" => flag(Setting::PrivateDevices),
        "ProtectKernelTunables" => flag(Setting::ProtectKernelTunables),
        "RestrictSUIDSGID" => flag(Setting::RestrictSuidSgid),
        "ProtectSystem" => (value == "strict").then_some(Setting::ProtectSystem(ProtectSystem::Strict)),
        "ProtectHome" => (value == "tmpfs").then_some(Setting::ProtectHome(ProtectHome::Hidden)),
        "SystemCallFilter" => (value == SYSTEM_CALLS_DENIED).then_some(Setting::DenySystemCalls),
        "RestrictAddressFamilies" => (value == FAMILIES_DENIED).then_some(Setting::DenyAddressFamilies),
        "IPAddressAllow" => {
            let networks: Option<Vec<Network>> = value.split(' ').map(network).collect();
            networks.map(Setting::IpAddressAllow)
        }
        "IPAddressDeny" => (value == "any").then(|| Setting::IpAddressDeny(vec![Network::Any])),
        _ => None,
    }
}

fn network(text: &str) -> Option<Network> {
    if text == "localhost" {
        return Some(Network::Localhost);
    }
    let (address, bits) = text.split_once('/')?;
    Some(Network::Prefix(address.parse().ok()?, bits.parse().ok()?))
}

fn limit(value: &str) -> Option<Limit> {
    match value {
        "infinity" => Some(Limit::Unlimited),
        bytes => bytes.parse().ok().map(Limit::Bytes),
    }
}

/// A text as it was before it was put into quotes.
fn unquoted(text: &str) -> Option<String> {
    let mut letters = text.strip_prefix('"')?.strip_suffix('"')?.chars();
    let mut plain = String::new();
    while let Some(letter) = letters.next() {
        plain.push(match letter {
            '\\' => match letters.next()? {
                'n' => '\n',
                't' => '\t',
                letter => letter,
            },
            '%' => letters.next().filter(|letter| *letter == '%')?,
            letter => letter,
        });
    }
    Some(plain)
}
