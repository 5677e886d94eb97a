//! Owns the demonstration: two small MCP servers, a place for them, and what is done to them.

pub mod demo;
mod place;
pub mod servers;
