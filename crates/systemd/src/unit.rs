//! Owns the state of a unit, typed: what systemd says of it, each part optional where a version lacks it.

use std::fmt;
use std::path::PathBuf;
use std::time::Duration;

use process::Ending;

use crate::job::JobId;
use crate::name::UnitName;
use crate::properties::Properties;
use crate::word::words;

words! {
    /// Whether the file of a unit was found and understood.
    LoadState {
        /// It was.
        Loaded = "loaded",
        /// There is none.
        NotFound = "not-found",
        /// It has a setting without which it cannot be run.
        BadSetting = "bad-setting",
        /// It could not be read.
        Error = "error",
        /// Somebody has forbidden it.
        Masked = "masked",
    }
}

words! {
    /// The state of a unit, as coarse as it is for units of all kinds.
    ActiveState {
        /// It runs.
        Active = "active",
        /// It runs, and reads its settings anew.
        Reloading = "reloading",
        /// It does not run, and that is well.
        Inactive = "inactive",
        /// It does not run, and that is not well.
        Failed = "failed",
        /// It is being started, or waits to be started again.
        Activating = "activating",
        /// It is being stopped.
        Deactivating = "deactivating",
    }
}

words! {
    /// The state of a service, in full.
    SubState {
        /// Nothing of it runs.
        Dead = "dead",
        /// What comes before its start is run.
        StartPre = "start-pre",
        /// It is started, and not ready.
        Start = "start",
        /// What comes after its start is run.
        StartPost = "start-post",
        /// It runs.
        Running = "running",
        /// Its process has ended, and it counts as running.
        Exited = "exited",
        /// It reads its settings anew.
        Reload = "reload",
        /// What stops it is run.
        Stop = "stop",
        /// Its watchdog heard nothing, and it is being aborted.
        StopWatchdog = "stop-watchdog",
        /// It was asked to end.
        StopSigterm = "stop-sigterm",
        /// It was killed, and does not end.
        StopSigkill = "stop-sigkill",
        /// What comes after its end is run.
        StopPost = "stop-post",
        /// What it has left behind was asked to end.
        FinalSigterm = "final-sigterm",
        /// What it has left behind was killed, and does not end.
        FinalSigkill = "final-sigkill",
        /// It has failed.
        Failed = "failed",
        /// It waits until systemd starts it again.
        AutoRestart = "auto-restart",
    }
}

words! {
    /// How the last run of a service ended.
    ServiceResult {
        /// Well, or not at all yet.
        Success = "success",
        /// It did not keep to the protocol of its type.
        Protocol = "protocol",
        /// A start, a stop or a reload took too long.
        Timeout = "timeout",
        /// A process returned a code that is no success.
        ExitCode = "exit-code",
        /// A signal ended a process.
        Signal = "signal",
        /// A signal ended a process, with a dump of its memory.
        CoreDump = "core-dump",
        /// Its watchdog heard nothing.
        Watchdog = "watchdog",
        /// It was started too often. Where a run has failed before, that stands here instead.
        StartLimitHit = "start-limit-hit",
        /// The kernel killed a process for want of memory. With control groups of version 1 that is `signal`.
        OomKill = "oom-kill",
        /// Something that it needs could not be had.
        Resources = "resources",
        /// A condition on its start said no.
        ExecCondition = "exec-condition",
    }
}

words! {
    /// When systemd starts a service again by itself.
    RestartPolicy {
        /// Never.
        No = "no",
        /// After an end that is well.
        OnSuccess = "on-success",
        /// After an end that is not well.
        OnFailure = "on-failure",
        /// After a signal, a timeout or the watchdog.
        OnAbnormal = "on-abnormal",
        /// After the watchdog.
        OnWatchdog = "on-watchdog",
        /// After a signal that it did not catch.
        OnAbort = "on-abort",
        /// After every end that nobody ordered.
        Always = "always",
    }
}

/// A unit as it is at one moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Unit {
    /// The name that systemd has for it; another one than it was asked by, where that is an alias.
    pub id: UnitName,
    /// All its names.
    pub names: Vec<String>,
    /// Whether its file was found and understood.
    pub load: Option<LoadState>,
    /// Why it was not, in words.
    pub load_error: Option<String>,
    /// Its state.
    pub active: Option<ActiveState>,
    /// Its state in full.
    pub sub: Option<SubState>,
    /// How its last run ended.
    pub result: Option<ServiceResult>,
    /// How often systemd has started it again by itself. A start that somebody orders sets it to 0.
    pub restarts: Option<u32>,
    /// Its main process, while it runs.
    pub main_pid: Option<i32>,
    /// When its last main process was started, in microseconds since the Unix epoch.
    pub main_started_us: Option<u64>,
    /// How its last main process ended, unless it runs.
    pub main_exit: Option<MainExit>,
    /// Its run: another one after each start.
    pub invocation: Option<InvocationId>,
    /// The job that is queued for it, or runs.
    pub job: Option<JobId>,
    /// How it says that it is ready, such as `simple` or `notify`.
    pub kind: Option<String>,
    /// When systemd starts it again by itself.
    pub restart: Option<RestartPolicy>,
    /// How long systemd waits before that.
    pub restart_wait: Option<Duration>,
    /// How often it may be started.
    pub start_limit: Option<StartLimit>,
    /// How long its watchdog waits; none where it has none.
    pub watchdog: Option<Duration>,
    /// The memory it has, in bytes.
    pub memory_bytes: Option<u64>,
    /// The memory from which on it is slowed down.
    pub memory_high: Option<Limit>,
    /// The memory that it may have at most.
    pub memory_max: Option<Limit>,
    /// Its file.
    pub fragment: Option<PathBuf>,
    /// What changes its file, in the order in which it is read.
    pub drop_ins: Vec<PathBuf>,
    /// Whether its files were changed after systemd has read them.
    pub needs_reload: Option<bool>,
    /// Whether it is started at boot, such as `enabled`.
    pub file_state: Option<String>,
}

/// The end of a main process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MainExit {
    /// Its pid.
    pub pid: Option<i32>,
    /// How it ended; none where this version says it in a way that is not known.
    pub ending: Option<Ending>,
    /// When, in microseconds since the Unix epoch.
    pub at_us: u64,
}

/// How often a unit may be started, by anybody, before systemd refuses.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct StartLimit {
    /// So many starts; 0 is no limit.
    pub burst: u32,
    /// Within this time; 0 is no limit.
    pub interval: Duration,
}

/// A limit of memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Limit {
    /// So many bytes.
    Bytes(u64),
    /// There is none.
    Unlimited,
}

/// One run of a unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct InvocationId([u8; 16]);

// === impl Unit ===

impl Unit {
    /// What the properties say of the unit that was asked for by `name`.
    pub(crate) fn of(name: &UnitName, properties: &Properties) -> Self {
        let id = properties.text("Id").and_then(|id| id.parse().ok());
        let limit = |name| properties.u64(name).map(Limit::of);
        let burst = properties.u32("StartLimitBurst");
        let interval = properties.u64("StartLimitIntervalUSec").map(Duration::from_micros);
        let has_time = |us: &u64| *us != 0 && *us != u64::MAX;
        Self {
            id: id.unwrap_or_else(|| name.clone()),
            names: properties.texts("Names"),
            load: properties.word("LoadState"),
            load_error: properties.load_error(),
            active: properties.word("ActiveState"),
            sub: properties.word("SubState"),
            result: properties.word("Result"),
            restarts: properties.u32("NRestarts"),
            main_pid: pid(properties.u32("MainPID")),
            main_started_us: properties.u64("ExecMainStartTimestamp").filter(|us| *us != 0),
            main_exit: MainExit::of(properties),
            invocation: properties
                .bytes("InvocationID")
                .and_then(|bytes| bytes.try_into().ok())
                .map(InvocationId::of),
            job: properties.job().map(JobId),
            kind: properties.text("Type"),
            restart: properties.word("Restart"),
            restart_wait: properties.u64("RestartUSec").map(Duration::from_micros),
            start_limit: burst.zip(interval).map(|(burst, interval)| StartLimit { burst, interval }),
            watchdog: properties.u64("WatchdogUSec").filter(has_time).map(Duration::from_micros),
            // The greatest number is "not known" here.
            memory_bytes: properties.u64("MemoryCurrent").filter(|bytes| *bytes != u64::MAX),
            memory_high: limit("MemoryHigh"),
            memory_max: limit("MemoryMax"),
            fragment: properties.text("FragmentPath").map(PathBuf::from),
            drop_ins: properties.texts("DropInPaths").into_iter().map(PathBuf::from).collect(),
            needs_reload: properties.flag("NeedDaemonReload"),
            file_state: properties.text("UnitFileState"),
        }
    }

    /// Whether it runs, or counts as running.
    pub fn is_up(&self) -> bool {
        matches!(self.active, Some(ActiveState::Active | ActiveState::Reloading))
    }

    /// Whether it does not run. A job, or systemd itself, may be about to change that.
    pub fn is_down(&self) -> bool {
        matches!(self.active, Some(ActiveState::Inactive | ActiveState::Failed))
    }

    /// Whether systemd itself starts it again after an end that nobody ordered. Then systemd owns its restarts.
    pub fn restarts_itself(&self) -> bool {
        !matches!(self.restart, None | Some(RestartPolicy::No))
    }
}

// === impl MainExit ===

impl MainExit {
    fn of(properties: &Properties) -> Option<Self> {
        let at_us = properties.u64("ExecMainExitTimestamp").filter(|us| *us != 0)?;
        // As in waitid(2): exited, killed, killed with a dump.
        let ending = match (properties.i32("ExecMainCode"), properties.i32("ExecMainStatus")) {
            (Some(1), Some(code)) => Some(Ending::Exited(code)),
            (Some(2 | 3), Some(signal)) => Some(Ending::Signaled(signal)),
            _ => None,
        };
        Some(Self { pid: pid(properties.u32("ExecMainPID")), ending, at_us })
    }

    /// When, in milliseconds since the Unix epoch.
    pub fn at_ms(&self) -> i64 {
        i64::try_from(self.at_us / 1000).unwrap_or(i64::MAX)
    }
}

// === impl Limit ===

impl Limit {
    fn of(bytes: u64) -> Self {
        if bytes == u64::MAX { Self::Unlimited } else { Self::Bytes(bytes) }
    }
}

// === impl InvocationId ===

impl InvocationId {
    /// From its bytes.
    pub fn of(bytes: [u8; 16]) -> Self {
        Self(bytes)
    }
}

impl fmt::Display for InvocationId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.iter().try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

fn pid(pid: Option<u32>) -> Option<i32> {
    pid.and_then(|pid| i32::try_from(pid).ok()).filter(|pid| *pid > 0)
}

#[cfg(test)]
mod tests;
