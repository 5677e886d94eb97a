//! Owns the words of `paramedic server`.

use std::time::Duration;

use clap::{ArgGroup, Subcommand, value_parser};

use super::{
    BlockArguments, HeapDumpArguments, LogsArguments, ReadonlyArguments, RuntimeArguments, TuneArguments,
    UnblockArguments, WritesArguments, duration,
};

#[derive(Debug, Subcommand)]
pub(crate) enum ServerCommand {
    /// List the servers
    List,
    /// Show how one server is; exit code 1 when it is not ready
    Status {
        /// The server
        name: String,
    },
    /// End its process and start another, and wait until it answers
    Restart {
        /// The server
        name: String,
    },
    /// Start it if it does not run, and wait until it answers
    Start {
        /// The server
        name: String,
    },
    /// End it and leave it so
    Stop {
        /// The server
        name: String,
    },
    /// Show what it has said and what was asked of it: the log of its guard, or the journal of its unit. Works with and
    /// without `serve`
    Logs(LogsArguments),
    /// Let no client write any more, and wait for the writes that run; exit code 1 when some still do
    Readonly(ReadonlyArguments),
    /// Let clients write again, all of them or a part
    Writes(WritesArguments),
    /// Read something through it, as a client would; exit code 1 when that fails, or what is expected is not in it
    TestRead {
        /// The server
        name: String,
    },
    /// Have its guard take no new requests, and wait for those that run; exit code 1 when some still do
    Drain {
        /// The server
        name: String,
        /// How long to wait for requests that run, at most 10m
        #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = duration)]
        wait: Duration,
    },
    /// Have its guard take requests again
    Undrain {
        /// The server
        name: String,
    },
    /// Let clients send no more than that; beside `[limits]` of its guard's own settings the tighter one holds
    #[command(group = ArgGroup::new("number").required(true).multiple(true).args(["per_second", "at_once"]))]
    Limit {
        /// The server
        name: String,
        /// How many requests in a second, each client; it may save up as many
        #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=1_000_000))]
        per_second: Option<u32>,
        /// How many requests at once, all clients together
        #[arg(long, value_name = "NUMBER", value_parser = value_parser!(u32).range(1..=1_000_000))]
        at_once: Option<u32>,
        /// Why
        #[arg(long)]
        reason: Option<String>,
    },
    /// Let clients send what `[limits]` of its guard's own settings allow
    Unlimit {
        /// The server
        name: String,
    },
    /// Empty the caches of its guard
    ClearCache {
        /// The server
        name: String,
    },
    /// Write a dump of the heap of its runtime into a private folder, with --apply; alone it only says how. The server stands
    /// still meanwhile, and a dump holds every secret of it
    HeapDump(HeapDumpArguments),
    /// Have its Java machine collect garbage, with --apply: it stands still meanwhile
    CollectGarbage(RuntimeArguments),
    /// Shut out an address, a client or a tool
    Block(BlockArguments),
    /// Let in again what is blocked
    Unblock(UnblockArguments),
    /// Change how it is started, from its next start on, and keep the value before; alone it shows what is changed
    Tune(TuneArguments),
}
