//! Owns the words of `paramedic server heap-dump` and `collect-garbage`.

use std::path::PathBuf;

use clap::Args;

#[derive(Debug, Args)]
pub(crate) struct RuntimeArguments {
    /// The server
    pub(crate) name: String,
    /// Which of its processes, where several run in a runtime
    #[arg(long)]
    pub(crate) pid: Option<i32>,
    /// Do it; alone it only says what would be done
    #[arg(long)]
    pub(crate) apply: bool,
}

#[derive(Debug, Args)]
pub(crate) struct HeapDumpArguments {
    #[command(flatten)]
    pub(crate) of: RuntimeArguments,
    /// Where to: a folder that nobody else may read is made in it [default: `heap-dumps` in the data directory]
    #[arg(long, value_name = "FOLDER")]
    pub(crate) to: Option<PathBuf>,
}
