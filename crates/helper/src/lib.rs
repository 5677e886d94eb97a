//! Owns what takes root, as a few typed verbs: write or remove a drop-in of ours of a named unit, set a parameter of
//! the kernel, contain a named server. Never a command line, never a path, never a unit that root has not named.
//!
//! `serve` and the steps of runbooks run as an ordinary user. [`service`] is the other side of a local socket that
//! systemd holds: it runs as root, reads one [`Request`] a connection, asks the kernel who has sent it, holds it
//! against the [`Allowed`] list that root keeps, and has a [`Desk`] carry it out. Whoever is root already uses the desk
//! itself. It believes nothing of what a request says about the machine: what it needs to know, it looks up.

mod allowed;
mod client;
mod clock;
mod contain;
mod desk;
mod parameter;
mod request;
pub mod service;
mod setting;
mod variable;

pub use allowed::{ALLOWED_FILE, Allowed, AllowedError, OWNER};
pub use client::{CONTAIN_SOCKET, ClientError, SOCKET, ask};
pub use desk::Desk;
pub use parameter::{
    CLOSED, HEADER, PARAMETERS_FILE, ParameterState, is_same, kept_value, parameter, with_line, without_line,
};
pub use request::{
    Answer, BadRequest, Before, Order, REQUEST_BYTES_MAX, Request, Topic, drop_in, settings_of,
};
pub use setting::Setting;

/// An error with what is behind it, in words.
pub(crate) fn words(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {source}"),
        None => error.to_string(),
    }
}
