//! Owns `paramedic serve`: the configuration, the servers it watches, the loops and the API.

mod alertmanager;
pub mod alive;
pub mod api;
mod backend;
pub mod backup;
pub mod client;
mod clock;
pub mod config;
mod containment;
mod controls;
pub mod data;
mod database;
mod document;
mod evidence;
mod evidence_view;
mod fleet;
mod flow;
pub mod growth;
mod identity;
mod inbound;
mod incident_clocks;
pub mod intrusion;
mod journal_view;
mod kill_switch;
mod listening;
mod lock;
mod log_view;
mod maintenance;
mod neighbours;
mod notify;
mod own_command;
mod remote;
mod remote_write;
mod retention;
mod rules;
mod runbook_view;
pub mod scope;
mod secrets;
mod serve;
pub mod signs;
mod silences;
mod subject;
mod tokens;
mod traces;
mod trouble;
mod trust;
mod tuning;
pub mod unit_log;
mod watch;
mod watched;
mod web;
mod world;

pub use alive::Parent;
pub use clock::now_ms;
pub use containment::{ContainmentError, KernelError, contain, containment_path, read_containment};
pub use controls::{BlockKind, Control};
pub use document::DocumentError;
pub use evidence::{
    CollectError, Collection, Kept as KeptEvidence, OnItsWay, bundles, collect as collect_evidence,
    evidence_key, evidence_key_folder, evidence_public_key, send as send_evidence,
};
pub use fleet::{
    Asked, Carried, Fleet, Member, OrderError, Source, Supervised, Surroundings, UnitStatus, Verb,
    client_target, target,
};
pub use kill_switch::{
    KillSwitchError, Thrown, kill_switch, kill_switch_note, kill_switch_path, release_kill_switch,
    throw_kill_switch,
};
pub use maintenance::{MaintenanceFileError, change_maintenance, maintenance_path, read_maintenance};
pub use neighbours::{Neighbour, neighbours};
pub use retention::{data_dir, retention};
pub use rules::{PastError, PastSource, fetch_past, matching_files, rule_file_problems, runbook_rules};
pub use secrets::{Revealed, SecretError, Secrets};
pub use serve::{
    SHIPPED, Serve, ServeError, Start, note_changes, open_stores, private_folder, program_folder,
};
pub use silences::{SilenceFileError, add_silence, expire_silence, read_silences, silences_path};
pub use subject::subject;
pub use systemd::notify::watchdog;
pub use tokens::{
    LIFE_DAYS_MAX, RANDOM_BYTES, Revoked, Role, Token, TokenError, Wish, create_token, random_token,
    read_tokens, revoke_token,
};
pub use traces::kept_traces;
pub use trust::{Trust, TrustError};
pub use tuning::{control_socket, controls_path, last_change_path, rotated_path, tuning_path};
pub use world::{ServeWorld, base_environment, places_of_product, policy, server_parameters};
