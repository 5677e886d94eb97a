//! Owns what messages of MCP show of an attack: arguments of calls, what is answered, definitions of tools and those that
//! were approved, and how much a client asks for beside what it usually does.
//!
//! It is pure: JSON in, signs out. A sign says what was seen, where, and how sure that is; what is done about it is decided
//! by whoever asks. Only what no honest client or server does is [`Certainty::Certain`]; the rest is for a person to weigh.

mod arguments;
mod definition;
mod parameter;
mod path;
mod pins;
mod prose;
mod result;
mod shell;
mod sign;
#[cfg(test)]
mod tests;
mod usage;

pub use arguments::{Allowed, in_call};
pub use definition::{Definition, definitions, in_change, in_definition};
pub use pins::{Change, Pins};
pub use result::in_result;
pub use sign::{Certainty, Class, Sign};
pub use usage::{Asking, Usage, Usual};
