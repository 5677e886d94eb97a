//! Owns what this Linux machine says about itself: readers of `/proc`, `/sys` and `/etc`, and one snapshot of it all.
//!
//! Readers never fail: what cannot be read, has vanished meanwhile or is unknown to this kernel is `None`, a fact
//! like any other. They are rooted ([`Roots`]), so that tests read a fixture tree, and read every file up to a
//! limit. No value of an environment variable is kept, and secrets in command lines are redacted.
//!
//! All of it blocks: the kernel may hold a reader of a process that hangs in it, so an asynchronous caller gives
//! a snapshot a thread of its own and a deadline.

mod census;
mod cgroup;
mod container;
mod details;
mod event_loop;
mod files;
mod findings;
mod kernel_log;
mod listeners;
mod machine;
mod memory;
mod mounts;
mod permissions;
mod processes;
mod quota;
mod rates;
pub mod reclaim;
mod redact;
mod roots;
pub mod runtime;
mod snapshot;
mod sockets;
mod tables;
mod tasks;
mod text;
mod threads;
mod users;

pub use census::{Census, Usage};
pub use cgroup::{CgroupMemory, CgroupPlace};
pub use container::Container;
pub use details::{Descriptor, Descriptors, Details, Footprint, Limit, variable_of};
pub use files::{DeletedFile, Writer, writers_below};
pub use findings::{Place, Subject, examine, findings};
pub use kernel_log::{KernelEvent, KernelNote, kernel_ring};
pub use listeners::{Listener, listeners};
pub use machine::{Clock, Load, Machine};
pub use memory::{Memory, Pressure, Stall, Stalls};
pub use mounts::{Mount, Wanted};
pub use permissions::{Denied, Need, Needed, denied};
pub use processes::{Process, State, process_name, process_state, tree_rss_bytes};
pub use quota::{CpuQuota, Quota, TaskLimit};
pub use rates::{DiskRate, LinkRate, Rates, Sample};
pub use roots::Roots;
pub use runtime::Runtime;
pub use snapshot::{STUCK_AFTER, Snapshot, TargetTree, snapshot};
pub use sockets::{
    Connection, Protocol, Socket, SocketState, Sockets, TcpConnection, connection_uid, connections,
    tcp_connections,
};
pub use tables::{InetSocket, arguments_of, inet_sockets, signs_of_secret};
pub use tasks::{BlockedTask, User, catches, user_of};
pub use threads::{Syscall, Thread, Unread};
pub use users::user_number;
