//! Owns cutting a server off by the kernel: packets that are dropped, connections that are ended, processes that are
//! stopped or kept from the network. Each has its end, says what was done, and is taken back exactly.
//!
//! Everything goes through the kernel's own interfaces (netlink, control groups, pidfds): no program of this machine is
//! run, and no text is made that could be understood as another one. It takes root; whoever is not has the helper do it.

mod act;
mod attribute;
mod connections;
mod filter;
mod group;
mod hold;
mod network;
mod rules;
mod state;
mod wire;

pub use act::{Error, Scene, carry_out};
pub use connections::cut;
pub use filter::{BLOCKED_MAX, Filter, FilterError, GroupMatch, PORTS_MAX, remove};
pub use group::{Group, GroupError};
pub use hold::Hold;
pub use network::{BadNetwork, Network, here};
pub use rules::TABLE;
pub use state::{Refused, State, StateError};
