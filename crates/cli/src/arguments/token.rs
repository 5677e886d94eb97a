//! Owns the words of `paramedic token`.

use clap::{Args, Subcommand, ValueEnum};
use server::Role;

#[derive(Debug, Subcommand)]
pub(crate) enum TokenCommand {
    /// Make a token, and print its word, once
    Create(CreateTokenArguments),
    /// List the tokens, also those that were over not long ago
    List,
    /// Take a token back, at once
    Revoke {
        /// Its id, or the name of who has it
        token: String,
    },
}

#[derive(Debug, Args)]
pub(crate) struct CreateTokenArguments {
    /// Who has it: this is written down as the one who acts
    pub(crate) name: String,
    /// What they may do
    #[arg(long, value_enum, default_value_t = RoleName::Viewer)]
    pub(crate) role: RoleName,
    /// A server that it is for; again for more [default: all]
    #[arg(long = "server", value_name = "SERVER")]
    pub(crate) servers: Vec<String>,
    /// For how many days
    #[arg(long, default_value_t = 30, value_name = "DAYS", value_parser = clap::value_parser!(i64).range(1..=server::LIFE_DAYS_MAX))]
    pub(crate) days: i64,
}

/// What somebody may do.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub(crate) enum RoleName {
    /// Looks
    Viewer,
    /// Leads incidents: takes notice, notes, holds, calls others, silences
    Responder,
    /// Says yes and no, starts and stops servers, takes back
    Approver,
    /// Gives and takes tokens
    Admin,
}

impl From<RoleName> for Role {
    fn from(name: RoleName) -> Self {
        match name {
            RoleName::Viewer => Self::Viewer,
            RoleName::Responder => Self::Responder,
            RoleName::Approver => Self::Approver,
            RoleName::Admin => Self::Admin,
        }
    }
}
