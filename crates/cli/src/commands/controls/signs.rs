//! Owns asking for the signs of a server of this machine, and writing down what its read found.

use ::server::config::Config;
use ::server::signs::{Read, Signs as Asked};
use tokio::runtime::Runtime;

use crate::context;
use crate::fail::Failure;

/// What is looked at of one server.
pub(in crate::commands) struct Signs {
    runtime: Runtime,
    asked: Asked,
}

// === impl Signs ===

impl Signs {
    /// # Errors
    /// If the configuration does not have the server.
    pub(in crate::commands) fn of(config: &Config, name: &str) -> Result<Self, Failure> {
        let asked = Asked::of(config, name, &context::program()?).map_err(Failure::usage)?;
        Ok(Self { runtime: context::runtime()?, asked })
    }

    /// The first sign that something is not well; nothing where all is.
    pub(in crate::commands) fn bad(&self) -> Option<String> {
        let look = self.runtime.block_on(self.asked.look());
        crate::findings::note(&look.findings);
        look.bad
    }

    /// One real read through the server.
    pub(in crate::commands) fn read(&self) -> Read {
        let (read, findings) = self.runtime.block_on(self.asked.read());
        crate::findings::note(&findings);
        read
    }
}
