//! Owns running one unit of a step, so that it is never run twice by accident, whoever is killed and when.
//!
//! Each attempt has a folder. The engine writes the [`Intent`] into it and starts a runner, a process of its own
//! that outlives the engine. Before the runner starts the shell it creates the file `claim`, which only one can
//! create. A later engine asks [`recover`], which must win that same file before it may say "never started".
//!
//! | file | who | says |
//! |---|---|---|
//! | `intent.json` | engine | what is to be run |
//! | `lock` | runner | held as long as the runner lives |
//! | `claim` | runner or engine | who decided: the statement may have begun, or never will |
//! | `runner.json` | runner | which process it is |
//! | `stdout`, `stderr` | runner | the output, up to the limit |
//! | `outcome.json` | runner | how the unit ended; its background jobs may run on |
//! | `background.json` | runner | how those ended |
//! | `runner.log` | runner | why it could not go on |
//! | `unit`, `prelude.bash`, `scratch`, `refused` | runner, bash | how the state of the shell is carried |

mod background;
mod claim;
mod clock;
mod engine;
mod error;
mod folder;
mod intent;
mod keeper;
mod leftovers;
mod outcome;
mod output;
mod read_only;
mod recover;
mod role;
mod state;
mod supervise;

pub use background::{Background, BackgroundEnd, background_over, end_background};
pub use engine::{attach, run_unit, settle, start};
pub use error::Error;
pub use folder::{STDERR, STDOUT};
pub use intent::{Intent, Shell, prepare};
pub use outcome::{End, Outcome, StateFile};
pub use read_only::is_held as looking_is_held;
pub use recover::{Recovery, recover};
pub use role::run;
