//! Owns the exit codes, and how a failure is told: one line, what to do next, and the right code.

use std::process::ExitCode;

use server::client::ClientError;

/// How a command ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Code {
    /// Done, or healthy.
    Done = 0,
    /// The answer is no.
    No = 1,
    /// Usage or configuration.
    Usage = 2,
    /// Not reachable.
    Unreachable = 3,
    /// Refused by policy.
    Refused = 4,
}

/// A failure with its exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    code: Code,
    error: anyhow::Error,
}

// === impl Code ===

impl From<Code> for ExitCode {
    fn from(code: Code) -> Self {
        Self::from(code as u8)
    }
}

// === impl Failure ===

impl Failure {
    pub(crate) fn new(code: Code, error: impl Into<anyhow::Error>) -> Self {
        Self { code, error: error.into() }
    }

    pub(crate) fn usage(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::Usage, error)
    }

    pub(crate) fn no(error: impl Into<anyhow::Error>) -> Self {
        Self::new(Code::No, error)
    }

    pub(crate) fn code(&self) -> Code {
        self.code
    }

    /// Prints it to standard error.
    pub(crate) fn report(self) -> ExitCode {
        anstream::eprintln!("paramedic: {self}");
        self.code.into()
    }
}

impl std::fmt::Display for Failure {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{:#}", self.error)
    }
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        let code = match &error {
            ClientError::NotReachable { .. } | ClientError::Away { .. } | ClientError::Answer(_) => {
                Code::Unreachable
            }
            ClientError::Unusable(_) => Code::Usage,
            ClientError::Refused { status: 401 | 403, .. } => Code::Refused,
            ClientError::Refused { status: 400 | 422, .. } => Code::Usage,
            ClientError::Refused { .. } => Code::No,
        };
        // Why a socket does not answer is of no use to the reader beyond that.
        let error = match error {
            ClientError::NotReachable { .. } => anyhow::anyhow!("{error}"),
            other => other.into(),
        };
        Self { code, error }
    }
}
