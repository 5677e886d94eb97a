//! Owns the question whether a drop-in has its effect: one whose name comes later may set the same, and wins.

use super::Setting;
use crate::Systemd;
use crate::bus::SERVICE;
use crate::error::Error;
use crate::name::UnitName;
use crate::unit::Limit;

/// How systemd counts a percent of a processor, in microseconds a second.
const PERCENT_US: u64 = 10_000;

// === impl Systemd ===

impl Systemd {
    /// The settings, by name, that a unit has otherwise, once systemd has read them: limits and variables are compared.
    ///
    /// # Errors
    /// When systemd cannot be reached, does not answer in time, or says something else.
    pub async fn without_effect(
        &self,
        unit: &UnitName,
        settings: &[Setting],
    ) -> Result<Vec<&'static str>, Error> {
        let mut without = Vec::new();
        for setting in settings {
            let is_so = match setting {
                Setting::Environment(variables) => {
                    let set = self.environment(unit).await?.set;
                    variables.iter().all(|(name, value)| set.get(name) == Some(value))
                }
                other => match number(other) {
                    Some((property, wanted)) => {
                        let found = self.bus.property(&unit.object_path(), SERVICE, property).await?;
                        u64::try_from(found).map_err(|error| Error::answer(property, &error))? == wanted
                    }
                    None => true,
                },
            };
            if !is_so {
                without.push(setting.name());
            }
        }
        Ok(without)
    }
}

impl Systemd {
    /// Whether something of a unit says already with which addresses it talks.
    ///
    /// # Errors
    /// When systemd cannot be reached, does not answer in time, or says something else.
    pub async fn limits_addresses(&self, unit: &UnitName) -> Result<bool, Error> {
        for property in ["IPAddressAllow", "IPAddressDeny"] {
            let found = self.bus.property(&unit.object_path(), SERVICE, property).await?;
            let found: Vec<(i32, Vec<u8>, u32)> =
                found.try_into().map_err(|error| Error::answer(property, &error))?;
            if !found.is_empty() {
                return Ok(true);
            }
        }
        Ok(false)
    }
}

/// The property that shows a setting, and its value, where that is a number.
fn number(setting: &Setting) -> Option<(&'static str, u64)> {
    let bytes = |limit: Limit| match limit {
        Limit::Bytes(bytes) => bytes,
        Limit::Unlimited => u64::MAX,
    };
    match setting {
        Setting::MemoryMax(limit) => Some(("MemoryMax", bytes(*limit))),
        Setting::MemoryHigh(limit) => Some(("MemoryHigh", bytes(*limit))),
        Setting::CpuQuota(percent) => Some(("CPUQuotaPerSecUSec", u64::from(*percent) * PERCENT_US)),
        Setting::TasksMax(count) => Some(("TasksMax", u64::from(*count))),
        Setting::OpenFiles(count) => Some(("LimitNOFILE", *count)),
        _ => None,
    }
}
