//! Owns the span: one piece of work, when it began and ended, what it is part of and what is known of it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{SpanId, TraceId};

/// Attributes in the order in which they came.
pub type Attributes = Vec<(String, Value)>;

/// The names under which senders say which MCP server it is, the first that is there.
const SERVER: &str = "mcp.server.name";
const SERVICE: &str = "service.name";
/// The tool, by OpenTelemetry's name and by that of the original scripts.
const TOOLS: [&str; 2] = ["gen_ai.tool.name", "mcp.tool.name"];

/// What each span has beside its attributes, roughly, in bytes.
const SPAN_BYTES: usize = 352;
/// The same of an attribute, an event or a link.
const ITEM_BYTES: usize = 56;

/// One piece of work.
#[derive(Debug, Clone, PartialEq)]
pub struct Span {
    /// What it is part of.
    pub trace: TraceId,
    /// Which part it is.
    pub id: SpanId,
    /// What it was done for.
    pub parent: Option<SpanId>,
    /// `tracestate`, as it came.
    pub state: String,
    /// What was done.
    pub name: String,
    /// On which side.
    pub kind: Kind,
    /// When it began, in nanoseconds since the Unix epoch.
    pub start_ns: u64,
    /// When it ended; never before it began.
    pub end_ns: u64,
    /// How it went.
    pub status: Status,
    /// What more is known.
    pub attributes: Attributes,
    /// What happened meanwhile.
    pub events: Vec<Event>,
    /// Other spans that it has to do with.
    pub links: Vec<Link>,
    /// The library that made it.
    pub scope: Arc<str>,
    /// Who did it.
    pub resource: Arc<Resource>,
}

/// On which side of a call a span is.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub enum Kind {
    /// It does not say.
    #[default]
    Unspecified,
    /// On neither.
    Internal,
    /// Of who is asked.
    Server,
    /// Of who asks.
    Client,
    /// Of who sends without waiting.
    Producer,
    /// Of who gets what was sent so.
    Consumer,
}

/// How a piece of work went.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub enum Status {
    /// It does not say.
    #[default]
    Unset,
    /// Well, as somebody has confirmed.
    Ok,
    /// Not well, for this reason, which may be empty.
    Error(String),
}

/// Something that happened during a span.
#[derive(Debug, Clone, PartialEq)]
pub struct Event {
    /// When, in nanoseconds since the Unix epoch.
    pub at_ns: u64,
    /// What.
    pub name: String,
    /// What more is known.
    pub attributes: Attributes,
}

/// Another span.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Link {
    /// Its trace.
    pub trace: TraceId,
    /// Its id.
    pub span: SpanId,
}

/// Who made spans.
#[derive(Debug, Clone, Default, PartialEq)]
pub struct Resource {
    /// What is known of it.
    pub attributes: Attributes,
}

/// The value of an attribute.
#[derive(Debug, Clone, PartialEq)]
pub enum Value {
    /// A text.
    Text(String),
    /// Yes or no.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Double(f64),
    /// Bytes.
    Bytes(Vec<u8>),
    /// Several.
    List(Vec<Value>),
    /// Several with names.
    Map(Attributes),
}

// === impl Kind ===

impl Kind {
    /// The kind of OTLP's number.
    pub fn of(number: u64) -> Self {
        match number {
            1 => Self::Internal,
            2 => Self::Server,
            3 => Self::Client,
            4 => Self::Producer,
            5 => Self::Consumer,
            _ => Self::Unspecified,
        }
    }

    /// Its number in OTLP.
    pub fn number(self) -> u64 {
        self as u64
    }

    /// Its name.
    pub fn name(self) -> &'static str {
        match self {
            Self::Unspecified => "",
            Self::Internal => "internal",
            Self::Server => "server",
            Self::Client => "client",
            Self::Producer => "producer",
            Self::Consumer => "consumer",
        }
    }
}

// === impl Status ===

impl Status {
    /// The status of OTLP's number and message.
    pub fn of(number: u64, message: String) -> Self {
        match number {
            1 => Self::Ok,
            2 => Self::Error(message),
            _ => Self::Unset,
        }
    }

    /// Its number in OTLP.
    pub fn number(&self) -> u64 {
        match self {
            Self::Unset => 0,
            Self::Ok => 1,
            Self::Error(_) => 2,
        }
    }
}

// === impl Span ===

impl Span {
    /// How long it took.
    pub fn took(&self) -> Duration {
        Duration::from_nanos(self.end_ns.saturating_sub(self.start_ns))
    }

    /// Whether it went wrong.
    pub fn is_error(&self) -> bool {
        matches!(self.status, Status::Error(_))
    }

    /// What is known under a name, as a text.
    pub fn text(&self, name: &str) -> Option<&str> {
        text(&self.attributes, name)
    }

    /// The MCP server that it has to do with: `mcp.server.name`, or else the `service.name` of who made it.
    pub fn server(&self) -> Option<&str> {
        let who = &self.resource.attributes;
        self.text(SERVER).or_else(|| text(who, SERVER)).or_else(|| text(who, SERVICE))
    }

    /// Who made it.
    pub fn service(&self) -> &str {
        text(&self.resource.attributes, SERVICE).unwrap_or_default()
    }

    /// The tool that it called.
    pub fn tool(&self) -> Option<&str> {
        TOOLS.iter().find_map(|name| self.text(name))
    }

    /// What it takes in memory, roughly, in bytes; what it shares is not counted.
    pub fn bytes(&self) -> usize {
        let message = if let Status::Error(message) = &self.status { message.len() } else { 0 };
        let events: usize =
            self.events.iter().map(|one| ITEM_BYTES + one.name.len() + bytes(&one.attributes)).sum();
        let own = self.name.len() + self.state.len() + message;
        SPAN_BYTES + own + bytes(&self.attributes) + events + ITEM_BYTES * self.links.len()
    }
}

// === impl Resource ===

impl Resource {
    /// What it takes in memory, roughly, in bytes.
    pub fn bytes(&self) -> usize {
        ITEM_BYTES + bytes(&self.attributes)
    }
}

// === impl Value ===

impl Value {
    /// What it takes beside its place, in bytes.
    fn bytes(&self) -> usize {
        match self {
            Self::Text(text) => text.len(),
            Self::Bytes(bytes) => bytes.len(),
            Self::List(values) => values.iter().map(|value| ITEM_BYTES + value.bytes()).sum(),
            Self::Map(values) => bytes(values),
            Self::Bool(_) | Self::Int(_) | Self::Double(_) => 0,
        }
    }
}

/// For people: texts as they are, everything else as JSON has it, bytes by their number.
impl fmt::Display for Value {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Text(text) => f.write_str(text),
            Self::Bool(is) => is.fmt(f),
            Self::Int(number) => number.fmt(f),
            Self::Double(number) => number.fmt(f),
            Self::Bytes(bytes) => write!(f, "({} bytes)", bytes.len()),
            Self::List(values) => {
                f.write_str("[")?;
                for (at, value) in values.iter().enumerate() {
                    write!(f, "{}{value}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str("]")
            }
            Self::Map(values) => {
                f.write_str("{")?;
                for (at, (name, value)) in values.iter().enumerate() {
                    write!(f, "{}{name}: {value}", if at == 0 { "" } else { ", " })?;
                }
                f.write_str("}")
            }
        }
    }
}

impl From<&str> for Value {
    fn from(text: &str) -> Self {
        Self::Text(text.to_owned())
    }
}

impl From<i64> for Value {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

/// One attribute.
pub fn attribute(name: &str, value: impl Into<Value>) -> (String, Value) {
    (name.to_owned(), value.into())
}

fn text<'a>(attributes: &'a Attributes, name: &str) -> Option<&'a str> {
    attributes.iter().find_map(|(key, value)| match value {
        Value::Text(text) if key == name => Some(text.as_str()),
        _ => None,
    })
}

fn bytes(attributes: &Attributes) -> usize {
    attributes.iter().map(|(name, value)| ITEM_BYTES + name.len() + value.bytes()).sum()
}
