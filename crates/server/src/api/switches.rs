//! Owns the handlers of what holds the machine back: the kill switch, and maintenance.

use axum::Json;
use axum::extract::{Path, Query, State};
use axum::http::StatusCode;
use chrono::{DateTime, SecondsFormat};
use incident::{Kill, Window, error_chain};

use super::handlers::Shared;
use super::listing::{Listed, Order};
use super::problem::Failure;
use super::wire::{By, KillSwitchStatus, ListQuestion, StartMaintenance, ThrowKillSwitch};
use crate::clock;
use crate::config::Config;
use crate::document::DocumentError;
use crate::fleet::OrderError;
use crate::kill_switch::{
    KillSwitchError, Thrown, kill_switch, kill_switch_note, kill_switch_path, release_kill_switch,
    throw_kill_switch,
};
use crate::maintenance::{MaintenanceFileError, change_maintenance, read_maintenance};

/// The longest reason, in bytes: it is a line.
const REASON_BYTES_MAX: usize = 500;

impl From<KillSwitchError> for Failure {
    fn from(error: KillSwitchError) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, error_chain(&error))
    }
}

impl From<MaintenanceFileError> for Failure {
    fn from(error: MaintenanceFileError) -> Self {
        let status = match &error {
            DocumentError::Change(_) | DocumentError::Locked { .. } => StatusCode::CONFLICT,
            _ => StatusCode::INTERNAL_SERVER_ERROR,
        };
        Self::new(status, error_chain(&error))
    }
}

pub(super) async fn kill_switch_status(State(flow): Shared) -> Json<KillSwitchStatus> {
    Json(status(&flow.world.config, false))
}

pub(super) async fn throw(
    State(flow): Shared,
    Json(ThrowKillSwitch { by, reason }): Json<ThrowKillSwitch>,
) -> Result<Json<KillSwitchStatus>, Failure> {
    let is_line = reason.len() <= REASON_BYTES_MAX && !reason.chars().any(char::is_control);
    if !is_line {
        let words = format!("a reason is a line of {REASON_BYTES_MAX} bytes at most");
        return Err(Failure::new(StatusCode::BAD_REQUEST, words));
    }
    let now = DateTime::from_timestamp_millis(clock::now_ms()).unwrap_or_default();
    let note = format!("{}, {by}: {reason}", now.to_rfc3339_opts(SecondsFormat::Secs, true));
    let thrown = throw_kill_switch(&flow.world.config, &note)?;
    Ok(Json(status(&flow.world.config, thrown == Thrown::Now)))
}

pub(super) async fn release(
    State(flow): Shared,
    Json(By { .. }): Json<By>,
) -> Result<Json<KillSwitchStatus>, Failure> {
    let thrown = release_kill_switch(&flow.world.config)?;
    Ok(Json(status(&flow.world.config, thrown == Thrown::Now)))
}

fn status(config: &Config, anew: bool) -> KillSwitchStatus {
    let (on, note) = (kill_switch(config) == Kill::On, kill_switch_note(config));
    KillSwitchStatus { on, path: kill_switch_path(config).display().to_string(), note, anew }
}

pub(super) async fn windows(
    State(flow): Shared,
    Query(question): Query<ListQuestion>,
) -> Result<Listed<Window>, Failure> {
    let all = read_maintenance(&flow.world.config)?;
    let all = all.windows(clock::now_ms()).map(|one| (format!("{:010}", one.number), one.clone()));
    Listed::of(question, Order::Up, all)
}

pub(super) async fn start(
    State(flow): Shared,
    Json(start): Json<StartMaintenance>,
) -> Result<Json<Window>, Failure> {
    let StartMaintenance { server, from_ms, until_ms, reason, by } = start;
    if let Some(name) = server.as_ref().filter(|name| flow.fleet.get(name).is_none()) {
        return Err(OrderError::NoServer(name.clone()).into());
    }
    let window = Window { number: 0, server, from_ms, until_ms, reason, by };
    let wanted = window.clone();
    let number = change_maintenance(&flow.world.config, |all| all.start(wanted, clock::now_ms()))?;
    Ok(Json(Window { number, ..window }))
}

pub(super) async fn end(
    State(flow): Shared,
    Path(number): Path<u32>,
    Json(By { .. }): Json<By>,
) -> Result<Json<Window>, Failure> {
    Ok(Json(change_maintenance(&flow.world.config, |all| all.end(number, clock::now_ms()))?))
}
