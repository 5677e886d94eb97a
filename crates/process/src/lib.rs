//! Owns processes: who one is, how it is started, watched, signalled and ended, and that nothing is left behind.
//!
//! Every action names its process by [`ProcessId`] (pid and start time), never by a bare pid that may have been
//! given to another process meanwhile. All `unsafe` of the product is here: in `inherit.rs`
//! and `disposable.rs`, what a child does between fork and exec; in `kernel_clock.rs`, a question to the kernel.

pub mod activation;
pub mod control;
pub mod detach;
pub mod disposable;
pub mod ending;
pub mod identity;
mod inherit;
mod kernel_clock;
pub mod lifeline;
pub mod lock;
pub mod signal;
pub mod tree;
pub mod tuning;
pub mod wait;

pub use detach::Detached;
pub use ending::{Ending, signal_name};
pub use identity::ProcessId;
pub use kernel_clock::ClockDiscipline;
pub use lifeline::{Bounds, Launch, LaunchError, Lifeline, Pipes};
pub use lock::{Lock, LockError};
pub use signal::{Delivery, Signal, send};
pub use tree::{become_subreaper, descendants, kill_descendants, reap_children};
pub use wait::ended;
