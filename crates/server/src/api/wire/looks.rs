//! Owns the forms of looks at the data, the backups and the machine of a server for somebody far away.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::Value;

/// For whom the answer is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum LookForm {
    /// For programs: `found`.
    #[default]
    Json,
    /// For people: `text`, as the command here prints it.
    Table,
}

/// How a look is asked for.
#[derive(Debug, Clone, Default, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LookQuestion {
    /// For whom.
    #[serde(default)]
    pub form: LookForm,
    /// From when on: a duration such as `24h`, or a time; where the look has a beginning.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub since: Option<String>,
    /// The incident whose records belong to it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<String>,
    /// Of backups only those that were proven good.
    #[serde(default)]
    pub verified: bool,
}

/// Data that are to be checked.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CheckData {
    /// Who.
    pub by: String,
    /// Whether every file is read, or only those that were written to.
    #[serde(default)]
    pub deep: bool,
    /// For whom the answer is.
    #[serde(default)]
    pub form: LookForm,
}

/// Data that are to be backed up.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MakeBackup {
    /// Who.
    pub by: String,
    /// Whether nobody may write through the guard while the data are copied.
    #[serde(default)]
    pub read_only: bool,
    /// For whom the answer is.
    #[serde(default)]
    pub form: LookForm,
}

/// What a look found.
#[derive(Debug, Clone, Serialize, Deserialize, JsonSchema)]
pub struct Look {
    /// Whether all is as it should be: what is damaged, missing or strange is a no.
    pub is_fine: bool,
    /// What was found, as the command here prints it as JSON; null for people.
    pub found: Option<Value>,
    /// The same for people.
    pub text: Option<String>,
    /// What was in the way.
    pub remarks: String,
}
