//! Owns what the series of a server are told apart by: methods, outcomes, kinds of errors, reasons of refusals.

use std::fmt;

use prometheus_client::encoding::{EncodeLabelSet, EncodeLabelValue, LabelValueEncoder};

use crate::controls::Refused;

/// The methods that have a name of their own in the metrics. A client that invents methods invents no series.
pub(super) const METHODS: [&str; 18] = [
    "initialize",
    "ping",
    "tools/list",
    "tools/call",
    "resources/list",
    "resources/templates/list",
    "resources/read",
    "resources/subscribe",
    "resources/unsubscribe",
    "prompts/list",
    "prompts/get",
    "completion/complete",
    "logging/setLevel",
    "tasks/get",
    "tasks/list",
    "tasks/result",
    "tasks/cancel",
    OTHER,
];
pub(super) const OTHER: &str = "other";

/// What an operation is counted as while it runs.
pub(super) const OPERATIONS: [&str; 4] = ["tools/call", "resources/read", "prompts/get", OTHER];

/// A method of the protocol, or any other: its place among [`METHODS`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Method(u8);

/// How a request ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Status {
    Success,
    Error,
}

/// What went wrong. Each has one severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Failure {
    /// Something was blocked because it looked like an attack.
    Security,
    /// Nobody knows who asked.
    Authentication,
    /// Who asked may not.
    Authorization,
    /// Somebody did not speak the protocol.
    Protocol,
    /// No answer came in time.
    Timeout,
    /// A tool said that it failed.
    Tool,
    /// The server said that it failed itself, or the guard could not serve.
    Internal,
    /// The child ended by itself.
    ChildExit,
}

pub(super) const FAILURES: [Failure; 8] = [
    Failure::Security,
    Failure::Authentication,
    Failure::Authorization,
    Failure::Protocol,
    Failure::Timeout,
    Failure::Tool,
    Failure::Internal,
    Failure::ChildExit,
];

pub(super) const REFUSALS: [Refused; 11] = [
    Refused::ReadOnly,
    Refused::Tool,
    Refused::Client,
    Refused::Address,
    Refused::Token,
    Refused::Everybody,
    Refused::Draining,
    Refused::Rate,
    Refused::Concurrency,
    Refused::Size,
    Refused::Attack,
];

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RequestLabels {
    pub(super) method: Method,
    pub(super) status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationDurationLabels {
    pub(super) mcp_method_name: Method,
    /// Nothing where no tool was called.
    pub(super) gen_ai_tool_name: Box<str>,
    /// Nothing where it went well.
    pub(super) error_type: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HealthLabels {
    pub(super) check_type: &'static str,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct DependencyLabels {
    pub(super) dependency_name: String,
    pub(super) critical: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct NetworkLabels {
    pub(super) direction: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ErrorLabels {
    pub(super) error_type: Failure,
    pub(super) severity: Severity,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MemoryLabels {
    pub(super) memory_type: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct OperationLabels {
    pub(super) operation_type: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct RefusedLabels {
    pub(super) reason: Refused,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SignLabels {
    /// The kind of attack.
    pub(super) class: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct SpanLabels {
    pub(super) outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct CacheLabels {
    pub(super) cache_type: &'static str,
    pub(super) outcome: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct HitRateLabels {
    pub(super) cache_type: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct MethodLabels {
    pub(super) method: Method,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct ToolLabels {
    pub(super) tool_name: Box<str>,
    pub(super) status: Status,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash, EncodeLabelSet)]
pub(super) struct PackageLabels {
    pub(super) package: String,
    pub(super) version: String,
    pub(super) kind: &'static str,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(super) enum Severity {
    Warning,
    Critical,
}

// === impl Method, Failure, labels ===

impl Method {
    /// Whether a server may ask its client something in the course of it. Lists and pings are answered from what is
    /// known.
    pub(crate) fn may_ask(self) -> bool {
        self != Self::PING && !self.name().ends_with("/list")
    }

    pub(crate) const INITIALIZE: Self = Self(0);
    pub(crate) const PING: Self = Self(1);
    pub(crate) const TOOLS_LIST: Self = Self(2);
    pub(crate) const TOOLS_CALL: Self = Self(3);
    const OTHER: Self = Self(METHODS.len() as u8 - 1);

    pub(crate) fn of(name: &str) -> Self {
        let place = METHODS.iter().position(|known| *known == name);
        place.and_then(|place| u8::try_from(place).ok()).map_or(Self::OTHER, Self)
    }

    pub(crate) fn name(self) -> &'static str {
        METHODS[self.place()]
    }

    pub(super) fn place(self) -> usize {
        self.0.into()
    }

    pub(super) fn operation(self) -> &'static str {
        OPERATIONS.into_iter().find(|known| *known == self.name()).unwrap_or(OTHER)
    }
}

impl fmt::Display for Method {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

impl Failure {
    pub(crate) fn name(self) -> &'static str {
        match self {
            Self::Security => "security",
            Self::Authentication => "authentication",
            Self::Authorization => "authorization",
            Self::Protocol => "protocol",
            Self::Timeout => "timeout",
            Self::Tool => "tool",
            Self::Internal => "internal",
            Self::ChildExit => "child_exit",
        }
    }

    pub(super) fn labels(self) -> ErrorLabels {
        let severity = match self {
            Self::Security | Self::ChildExit => Severity::Critical,
            Self::Authentication
            | Self::Authorization
            | Self::Protocol
            | Self::Timeout
            | Self::Tool
            | Self::Internal => Severity::Warning,
        };
        ErrorLabels { error_type: self, severity }
    }
}

impl EncodeLabelValue for Method {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

impl EncodeLabelValue for Failure {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        EncodeLabelValue::encode(&self.name(), encoder)
    }
}

impl EncodeLabelValue for Status {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Success => "success",
            Self::Error => "error",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

impl EncodeLabelValue for Refused {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::ReadOnly => "read_only",
            Self::Tool => "tool",
            Self::Client => "client",
            Self::Address => "address",
            Self::Token => "token",
            Self::Everybody => "contained",
            Self::Draining => "draining",
            Self::Rate => "rate",
            Self::Concurrency => "concurrency",
            Self::Size => "size",
            Self::Attack => "attack",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}

impl EncodeLabelValue for Severity {
    fn encode(&self, encoder: &mut LabelValueEncoder<'_>) -> fmt::Result {
        let name = match self {
            Self::Warning => "warning",
            Self::Critical => "critical",
        };
        EncodeLabelValue::encode(&name, encoder)
    }
}
