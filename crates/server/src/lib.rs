//! Owns `paramedic serve`: the configuration, the servers it watches, the loops and the API.

pub mod api;
pub mod client;
mod clock;
pub mod config;
mod fleet;
mod flow;
mod rules;
mod serve;
mod watch;
mod world;

pub use clock::now_ms;
pub use fleet::{Fleet, Member, OrderError, Supervised, Surroundings, Verb, target};
pub use serve::{SHIPPED, Serve, ServeError, Start, open_stores, private_folder, program_folder};
pub use world::{ServeWorld, base_environment, kill_switch, policy, server_parameters};
