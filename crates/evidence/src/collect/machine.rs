//! Owns the machine as evidence: its clock, its kernel and what is loaded into it, its memory, its mounts, its log.

use std::path::Path;
use std::sync::PoisonError;

use serde_json::json;

use super::Scene;
use super::hide::hide_text;
use super::out::Out;
use super::reading::kernel;
use crate::bundle::Gathered;

const BYTES_MAX: u64 = 4 << 20;
const NAMESPACES_MAX: usize = 500;

/// What the time is by every clock there is, and which machine and start of it this is.
pub(super) fn clock(scene: &Scene, out: &Out) {
    let text = |path: &Path| {
        let bytes = kernel(path, BYTES_MAX).ok()?;
        Some(String::from_utf8_lossy(bytes.trim_ascii()).into_owned())
    };
    let proc = |name: &str| text(&scene.roots.proc.join(name));
    // A tree that is not this machine has another clock.
    let held = (scene.root == Path::new("/")).then(process::ClockDiscipline::now);
    let held = held.map(|held| match held {
        Ok(held) => json!({
            "is_synchronized": held.is_synchronized,
            "offset_ns": held.offset_ns,
            "max_error_us": held.max_error_us,
            "estimated_error_us": held.estimated_error_us,
        }),
        Err(error) => json!({ "problem": error.to_string() }),
    });
    let clock = json!({
        "realtime_ms": scene.now_ms,
        "held": held,
        "uptime": proc("uptime"),
        "boot_id": proc("sys/kernel/random/boot_id"),
        "machine_id": text(&scene.roots.etc.join("machine-id")),
        "clock_source": text(&scene.roots.sys.join("devices/system/clocksource/clocksource0/current_clocksource")),
        "hostname": proc("sys/kernel/hostname"),
        "kernel": [proc("sys/kernel/ostype"), proc("sys/kernel/osrelease"), proc("sys/kernel/version")],
        "time_zone": std::fs::read_link(scene.roots.etc.join("localtime")).ok().map(|path| path.display().to_string()),
    });
    out.line("t0/clock.json", &clock);
}

/// Memory, load, and what was loaded into the kernel.
pub(super) fn collect(scene: &Scene, out: &Out) {
    for name in [
        "loadavg",
        "meminfo",
        "vmstat",
        "stat",
        "modules",
        "cmdline",
        "swaps",
        "sys/kernel/tainted",
        "pressure/cpu",
        "pressure/memory",
        "pressure/io",
        "interrupts",
        "diskstats",
        "sys/kernel/modules_disabled",
        "sys/kernel/core_pattern",
        "sys/kernel/randomize_va_space",
        "sys/kernel/yama/ptrace_scope",
        "sys/net/ipv4/ip_forward",
        "sys/kernel/unprivileged_bpf_disabled",
    ] {
        out.doing(format!("`{name}`"));
        let item = format!("t0/machine/{}", name.replace('/', "."));
        out.give(match kernel(&scene.roots.proc.join(name), BYTES_MAX) {
            Err(error) => Gathered::missing(item, error.to_string()),
            // A command line of the kernel may hold the password of an installation; the others are the kernel's own words.
            Ok(bytes) if name == "cmdline" => {
                let (bytes, original_sha256) = hide_text(bytes);
                Gathered { original_sha256, ..Gathered::whole(item, bytes) }
            }
            Ok(bytes) => Gathered::whole(item, bytes),
        });
    }
    group(scene, out);
}

/// The control group of the server: how often it met its limits, and who is in it.
fn group(scene: &Scene, out: &Out) {
    let Some(pid) = scene.subject.pid else { return };
    let cgroup =
        kernel(&scene.roots.proc.join(pid.to_string()).join("cgroup"), BYTES_MAX).unwrap_or_default();
    let text = String::from_utf8_lossy(&cgroup).into_owned();
    // Of the unified hierarchy; the others have their limits elsewhere, and `cgroup` of the process names them.
    let Some(path) = text.lines().find_map(|line| line.strip_prefix("0::/")) else { return };
    // The kernel's words, but a name in them may be anybody's.
    if path.split('/').any(|part| part == "..") {
        return;
    }
    let folder = scene.roots.sys.join("fs/cgroup").join(path);
    for name in
        ["memory.events", "memory.current", "memory.max", "memory.pressure", "pids.current", "cgroup.procs"]
    {
        // The root of all has none of them.
        if let Ok(bytes) = kernel(&folder.join(name), BYTES_MAX) {
            out.give(Gathered::whole(format!("t0/server/cgroup/{name}"), bytes));
        }
    }
}

/// The mounts of every mount namespace.
pub(super) fn mounts(scene: &Scene, out: &Out) {
    let mut namespaces = scene.found.lock().unwrap_or_else(PoisonError::into_inner).mounts.clone();
    if namespaces.is_empty() {
        namespaces.insert("own".to_owned(), 0);
    }
    for (namespace, pid) in namespaces.iter().take(NAMESPACES_MAX) {
        let number = namespace.trim_start_matches("mnt:[").trim_end_matches(']');
        let folder = if *pid == 0 { "self".to_owned() } else { pid.to_string() };
        out.doing(format!("the mounts of process {folder}"));
        let item = format!("t0/mounts/{number}");
        out.give(match kernel(&scene.roots.proc.join(folder).join("mountinfo"), BYTES_MAX) {
            Err(error) => Gathered::missing(item, error.to_string()),
            Ok(bytes) => {
                let (bytes, original_sha256) = hide_text(bytes);
                Gathered { original_sha256, ..Gathered::whole(item, bytes) }
            }
        });
    }
}

/// The kernel's ring of messages.
pub(super) fn kernel_log(scene: &Scene, out: &Out) {
    const ITEM: &str = "t0/kernel-log";
    out.give(match host::kernel_ring(&scene.roots) {
        Err(error) => Gathered::missing(ITEM, error.to_string()),
        Ok(bytes) => {
            let (bytes, original_sha256) = hide_text(bytes);
            Gathered { original_sha256, ..Gathered::whole(ITEM, bytes) }
        }
    });
}
