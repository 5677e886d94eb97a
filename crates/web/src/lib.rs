//! Owns the pages of `serve`: what is known, as HTML. No clock, no network, no state: the time and all facts are arguments.
//!
//! A page is a frame ([`Frame`]) around parts ([`Part`]). A part has an id; whoever looks at a page is sent the parts that
//! have changed, and the script puts them in the place of the old ones.

mod address;
mod assets;
mod body;
pub mod chart;
mod door;
pub mod fleet;
mod incident;
mod incidents;
pub mod journal;
mod layout;
pub mod markdown;
mod moment;
mod part;
pub mod runbooks;
pub mod series;
pub mod server;
mod trace;

pub use address::encoded;
pub use assets::{Asset, assets};
pub use body::{all, body, message};
pub use door::{login, onward};
pub use incident::{Bundle, Checked, IncidentPage, May, incident};
pub use incidents::{IncidentRow, incidents};
pub use layout::{Frame, Place, Visitor};
pub use maud::Markup;
pub use moment::{ago, clock, moment, since};
pub use part::Part;
pub use trace::trace;
