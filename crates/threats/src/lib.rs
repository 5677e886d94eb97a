//! Owns what messages of MCP show of an attack: arguments of calls, definitions of tools, and tools that were approved.
//!
//! It is pure: JSON in, signs out. A sign says what was seen, where, and how sure that is; what is done about it is decided
//! by whoever asks. Only what no honest client or server does is [`Certainty::Certain`]; the rest is for a person to weigh.

mod arguments;
mod definition;
mod parameter;
mod path;
mod pins;
mod prose;
mod shell;
mod sign;
#[cfg(test)]
mod tests;

pub use arguments::{Allowed, in_call};
pub use definition::{Definition, definitions, in_change, in_definition};
pub use pins::{Change, Pins};
pub use sign::{Certainty, Class, Sign};
