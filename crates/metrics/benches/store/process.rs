//! Owns what the kernel says of a process: its CPU time and its memory.

/// Ticks of a second in `/proc`, on every machine that Linux runs on today.
const TICKS: f64 = 100.0;

/// Returns the CPU time of a process so far, in seconds.
pub(crate) fn cpu_seconds(pid: &str) -> f64 {
    let stat = std::fs::read_to_string(format!("/proc/{pid}/stat")).unwrap_or_default();
    let fields: Vec<&str> = stat.rsplit(')').next().unwrap_or_default().split_whitespace().collect();
    let ticks = |index: usize| fields.get(index).and_then(|field| field.parse::<f64>().ok()).unwrap_or(0.0);
    (ticks(11) + ticks(12)) / TICKS
}

/// Returns the resident memory of a process, and the most that it had, in MB.
pub(crate) fn resident_mb(pid: &str) -> (f64, f64) {
    let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
    let field = |name: &str| {
        let line = status.lines().find(|line| line.starts_with(name))?;
        line.split_whitespace().nth(1)?.parse::<f64>().ok()
    };
    let mb = |name| field(name).unwrap_or(0.0) * 1_024.0 / 1e6;
    (mb("VmRSS:"), mb("VmHWM:"))
}
