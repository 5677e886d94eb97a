//! Owns `test_read` of a server: the one thing that a diagnosis reads of an upstream, as a client would.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use super::Server;

/// `test_read` of `[[server]]`: a tool or a resource.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct TestRead {
    /// A tool that only reads, and says so itself.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tool: Option<String>,
    /// Its arguments.
    #[serde(default, skip_serializing_if = "Map::is_empty")]
    pub arguments: Map<String, Value>,
    /// The URI of a resource.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub resource: Option<String>,
}

// === impl TestRead ===

impl TestRead {
    /// What is to be read.
    pub fn declared(&self) -> Option<probe::Declared> {
        match (&self.tool, &self.resource) {
            (Some(name), None) => {
                let arguments = Value::Object(self.arguments.clone());
                Some(probe::Declared::Tool { name: name.clone(), arguments })
            }
            (None, Some(uri)) => Some(probe::Declared::Resource(uri.clone())),
            _ => None,
        }
    }

    pub(super) fn problem(&self, server: &Server) -> Option<String> {
        let has_arguments = !self.arguments.is_empty();
        let problem = if server.upstream.is_none() || server.guarded {
            "is for an `upstream`: a guard has its own, as `[test_read]` in the file of `guard_settings`"
        } else if self.tool.is_some() == self.resource.is_some() {
            "has either a `tool` or a `resource`"
        } else if self.resource.is_some() && has_arguments {
            "of a resource has no `arguments`"
        } else {
            return None;
        };
        Some(format!("`test_read` of `{}` {problem}", server.name))
    }
}
