//! Owns what a request asks for, as far as controls are concerned, and why it is refused.

/// What a request asks for, as far as the controls are concerned.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Ask<'a> {
    /// What the client calls itself.
    pub(crate) client: &'a str,
    /// The place of its session, 0 to 99.
    pub(crate) place: u8,
    pub(crate) method: &'a str,
    /// The tool that is called, where its name can be read.
    pub(crate) tool: Option<&'a str>,
}

/// Why a request is refused.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub(crate) enum Refused {
    ReadOnly,
    Tool,
    Client,
    Address,
    /// A token that holds no more.
    Token,
    /// The server is contained: nobody is served.
    Everybody,
    Draining,
    /// It comes too often.
    Rate,
    /// Too many run.
    Concurrency,
    /// It is too long, or its answer is.
    Size,
    /// It looks like an attack, for sure.
    Attack,
}

// === impl Refused ===

impl Refused {
    /// Whether an operator has forbidden it to whoever asked, and not merely its number or length.
    pub(crate) fn is_forbidden(self) -> bool {
        !matches!(self, Self::Rate | Self::Concurrency | Self::Size | Self::Attack)
    }
}
