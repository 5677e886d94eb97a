//! Owns `paramedic serve`: the configuration, the servers it watches, the loops and the API.

pub mod config;
mod clock;
mod fleet;
mod watch;
mod rules;
mod world;
mod flow;
pub mod api;
mod serve;
pub mod client;

pub use clock::now_ms;
pub use fleet::{Fleet, Member, OrderError, Supervised, Surroundings, Verb, target};
pub use serve::{SHIPPED, Serve, ServeError, Start, open_stores, private_folder, program_folder};
pub use world::{ServeWorld, base_environment, kill_switch, server_parameters};
