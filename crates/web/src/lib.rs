//! Owns the pages of `serve`: what is known, as HTML. No clock, no network, no state: the time and all facts are arguments.
//!
//! A page is a frame ([`Frame`]) around parts ([`Part`]). A part has an id; whoever looks at a page is sent the parts that
//! have changed, and the script puts them in the place of the old ones.

mod address;
mod assets;
pub mod chart;
pub mod fleet;
mod layout;
pub mod markdown;
mod moment;
mod part;

pub use address::encoded;
pub use assets::{Asset, assets};
pub use layout::{Frame, Place, Visitor};
pub use maud::Markup;
pub use moment::moment;
pub use part::Part;
