//! Owns the name of a unit as the configuration writes it: exact, with its ending.

use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serializer};
use systemd::UnitName;

pub(super) fn serialize<S: Serializer>(unit: &Option<UnitName>, serializer: S) -> Result<S::Ok, S::Error> {
    match unit {
        Some(unit) => serializer.serialize_str(unit.as_str()),
        None => serializer.serialize_none(),
    }
}

pub(super) fn deserialize<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<UnitName>, D::Error> {
    let text = String::deserialize(deserializer)?;
    text.parse().map(Some).map_err(D::Error::custom)
}
