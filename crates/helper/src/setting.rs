//! Owns the settings that a drop-in of the helper may have: limits, variables, and what shuts something off. What could
//! give a unit more than its own file does, but for the size of its limits, is not among them.

use std::collections::BTreeMap;

use containment::Network;
use serde::{Deserialize, Serialize};
use systemd::Limit;
use systemd::drop_in::{self, Network as Addresses, ProtectHome, ProtectSystem};

/// A setting, as it is sent.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum Setting {
    /// More memory than these bytes it does not get.
    MemoryMax(u64),
    /// With more memory than these bytes it is slowed down.
    MemoryHigh(u64),
    /// So many percent of one processor it gets.
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
    /// It writes nowhere but where it is allowed.
    ProtectSystem,
    /// Homes are empty for it.
    ProtectHome,
    /// It cannot write the kernel's parameters.
    ProtectKernelTunables,
    /// It cannot make programs that run as somebody else.
    RestrictSuidSgid,
    /// It talks to nobody over IP, but for whom its own file allows.
    DenyNetwork,
    /// Beside that it talks to this machine, and to these: only where its own file says nothing of it.
    AllowNetwork(Vec<Network>),
    /// It calls nothing of the kernel that only whoever administers a machine calls.
    DenySystemCalls,
    /// It has no sockets of families that servers have no use for.
    DenyAddressFamilies,
}

// === impl Setting ===

impl Setting {
    /// The setting as systemd has it.
    pub(crate) fn of_systemd(&self) -> drop_in::Setting {
        use drop_in::Setting as Theirs;
        match self {
            Self::MemoryMax(bytes) => Theirs::MemoryMax(Limit::Bytes(*bytes)),
            Self::MemoryHigh(bytes) => Theirs::MemoryHigh(Limit::Bytes(*bytes)),
            Self::CpuQuota(percent) => Theirs::CpuQuota(*percent),
            Self::TasksMax(count) => Theirs::TasksMax(*count),
            Self::OpenFiles(count) => Theirs::OpenFiles(*count),
            Self::Environment(variables) => Theirs::Environment(variables.clone()),
            Self::NoNewPrivileges => Theirs::NoNewPrivileges,
            Self::PrivateTmp => Theirs::PrivateTmp,
            Self::PrivateDevices => Theirs::PrivateDevices,
            // Any other word than the strictest could loosen what a unit has.
            Self::ProtectSystem => Theirs::ProtectSystem(ProtectSystem::Strict),
            Self::ProtectHome => Theirs::ProtectHome(ProtectHome::Hidden),
            Self::ProtectKernelTunables => Theirs::ProtectKernelTunables,
            Self::RestrictSuidSgid => Theirs::RestrictSuidSgid,
            Self::DenyNetwork => Theirs::IpAddressDeny(vec![Addresses::Any]),
            Self::AllowNetwork(networks) => {
                let networks =
                    networks.iter().map(|network| Addresses::Prefix(network.address(), network.bits()));
                Theirs::IpAddressAllow(std::iter::once(Addresses::Localhost).chain(networks).collect())
            }
            Self::DenySystemCalls => Theirs::DenySystemCalls,
            Self::DenyAddressFamilies => Theirs::DenyAddressFamilies,
        }
    }

    /// The setting, where it is one that may be sent.
    pub(crate) fn from_systemd(setting: &drop_in::Setting) -> Option<Self> {
        use drop_in::Setting as Theirs;
        let own = match setting {
            Theirs::MemoryMax(Limit::Bytes(bytes)) => Self::MemoryMax(*bytes),
            Theirs::MemoryHigh(Limit::Bytes(bytes)) => Self::MemoryHigh(*bytes),
            Theirs::CpuQuota(percent) => Self::CpuQuota(*percent),
            Theirs::TasksMax(count) => Self::TasksMax(*count),
            Theirs::OpenFiles(count) => Self::OpenFiles(*count),
            Theirs::Environment(variables) => Self::Environment(variables.clone()),
            Theirs::NoNewPrivileges => Self::NoNewPrivileges,
            Theirs::PrivateTmp => Self::PrivateTmp,
            Theirs::PrivateDevices => Self::PrivateDevices,
            Theirs::ProtectSystem(ProtectSystem::Strict) => Self::ProtectSystem,
            Theirs::ProtectHome(ProtectHome::Hidden) => Self::ProtectHome,
            Theirs::ProtectKernelTunables => Self::ProtectKernelTunables,
            Theirs::RestrictSuidSgid => Self::RestrictSuidSgid,
            Theirs::IpAddressDeny(networks) if networks == &[Addresses::Any] => Self::DenyNetwork,
            Theirs::IpAddressAllow(networks) => {
                let (Addresses::Localhost, rest) = networks.split_first()? else { return None };
                let network = |one: &Addresses| match one {
                    Addresses::Prefix(address, bits) => Some(Network::around(*address, *bits)),
                    Addresses::Any | Addresses::Localhost => None,
                };
                Self::AllowNetwork(rest.iter().map(network).collect::<Option<_>>()?)
            }
            Theirs::DenySystemCalls => Self::DenySystemCalls,
            Theirs::DenyAddressFamilies => Self::DenyAddressFamilies,
            _ => return None,
        };
        Some(own)
    }
}
