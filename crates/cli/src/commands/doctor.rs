//! Owns `paramedic doctor`: what this machine and these privileges allow, found out by trying.

use std::fs;
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::Command;

use serde::Serialize;
use server::config::Config;

use crate::arguments::Output;
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// One thing that was tried.
#[derive(Debug, Serialize)]
struct Finding {
    what: &'static str,
    verdict: Verdict,
    detail: String,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    /// It works.
    Ok,
    /// It does not, and something is less well because of it.
    Limited,
    /// It does not, and Paramedic cannot work without.
    Missing,
}

pub(super) fn run(named: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let mut findings = vec![
        bash(),
        pidfd(),
        subreaper(),
        looking(),
        proc_readable(),
        user(),
        kernel_log(),
        cgroups(),
        systemd(),
        helper(),
    ];
    match context::load_or_default(named) {
        Ok((config, path)) => {
            findings.push(configuration(&config, &path));
            findings.push(writable("data directory", &config.data_dir));
            findings.push(writable("run directory", &config.run_dir));
            findings.push(writable("log directory", &config.log_dir));
            findings.extend(ports(&config));
            findings.extend(neighbours(&config)?);
        }
        Err(failure) => findings.push(Finding {
            what: "configuration",
            verdict: Verdict::Missing,
            detail: failure.to_string(),
        }),
    }
    show::rows(output, &findings, &["what", "verdict", "detail"], |one| {
        vec![one.what.to_owned(), format!("{:?}", one.verdict).to_lowercase(), one.detail.clone()]
    });
    let missing = findings.iter().any(|one| one.verdict == Verdict::Missing);
    Ok(if missing { Code::No } else { Code::Done })
}

/// Asks what `serve` would ask.
fn neighbours(config: &Config) -> Result<Vec<Finding>, Failure> {
    let program = context::program()?;
    let found = context::runtime()?.block_on(server::neighbours(config, &program));
    let of = |one: server::Neighbour| match one.problem {
        None => finding(one.what, Verdict::Ok, format!("{} answers", one.url)),
        Some(problem) => finding(one.what, Verdict::Limited, format!("{}: {problem}", one.url)),
    };
    Ok(found.into_iter().map(of).collect())
}

fn finding(what: &'static str, verdict: Verdict, detail: impl Into<String>) -> Finding {
    Finding { what, verdict, detail: detail.into() }
}

fn bash() -> Finding {
    match Command::new("bash").args(["--noprofile", "--norc", "-c", "echo $BASH_VERSION"]).output() {
        Ok(output) if output.status.success() => {
            let version = String::from_utf8_lossy(&output.stdout).trim().to_owned();
            let new_enough = version
                .split('.')
                .next()
                .and_then(|major| major.parse().ok())
                .is_some_and(|major: u32| major >= 4);
            let verdict = if new_enough { Verdict::Ok } else { Verdict::Missing };
            finding("bash", verdict, format!("{version}; statements of runbooks need 4 or newer"))
        }
        Ok(output) => finding("bash", Verdict::Missing, format!("it ended with {}", output.status)),
        Err(error) => {
            finding("bash", Verdict::Missing, format!("{error}; statements of runbooks are run by it"))
        }
    }
}

fn pidfd() -> Finding {
    use rustix::process::{PidfdFlags, getpid, pidfd_open};
    match pidfd_open(getpid(), PidfdFlags::empty()) {
        Ok(_) => finding("pidfd", Verdict::Ok, "signals reach the process that is meant, and no other"),
        Err(error) => finding("pidfd", Verdict::Missing, format!("{error}; a kernel of 5.3 or newer has it")),
    }
}

fn subreaper() -> Finding {
    match process::become_subreaper() {
        Ok(()) => finding("subreaper", Verdict::Ok, "no process is left behind"),
        Err(error) => finding("subreaper", Verdict::Missing, error.to_string()),
    }
}

fn looking() -> Finding {
    match runner::looking_is_held() {
        Ok(()) => finding("landlock", Verdict::Ok, "units that only look cannot write"),
        Err(why) => {
            finding("landlock", Verdict::Limited, format!("{why}; units that only look are believed to"))
        }
    }
}

fn proc_readable() -> Finding {
    let seen = fs::read_dir("/proc").map_or(0, |entries| {
        entries
            .flatten()
            .filter(|entry| entry.file_name().as_encoded_bytes().iter().all(u8::is_ascii_digit))
            .count()
    });
    match fs::read_link("/proc/1/exe") {
        Ok(_) => finding("/proc", Verdict::Ok, format!("{seen} processes are seen, those of others too")),
        Err(_) if seen > 0 => finding(
            "/proc",
            Verdict::Limited,
            format!("{seen} processes are seen; of those of other users only the outside"),
        ),
        Err(error) => finding("/proc", Verdict::Missing, error.to_string()),
    }
}

fn user() -> Finding {
    let uid = rustix::process::geteuid();
    if uid.is_root() {
        finding("user", Verdict::Ok, "root: every statement of a runbook runs as root")
    } else {
        finding(
            "user",
            Verdict::Ok,
            format!("user {}: everything lives under one data directory", uid.as_raw()),
        )
    }
}

fn helper() -> Finding {
    use rustix::fs::{Access, access};
    if rustix::process::geteuid().is_root() {
        return finding("helper", Verdict::Ok, "root needs none to tune units and the kernel");
    }
    match access(helper::SOCKET, Access::WRITE_OK) {
        Ok(()) => {
            finding("helper", Verdict::Ok, "what takes root to tune units and the kernel can be asked for")
        }
        Err(error) => finding(
            "helper",
            Verdict::Limited,
            format!(
                "{}: {error}; units and the kernel are tuned by root only (deploy/README.md)",
                helper::SOCKET
            ),
        ),
    }
}

fn kernel_log() -> Finding {
    match fs::File::open("/dev/kmsg") {
        Ok(_) => finding("kernel log", Verdict::Ok, "out-of-memory kills can be read"),
        Err(error) => finding(
            "kernel log",
            Verdict::Limited,
            format!("{error}; out-of-memory kills are not seen there"),
        ),
    }
}

fn cgroups() -> Finding {
    if Path::new("/sys/fs/cgroup/cgroup.controllers").exists() {
        finding("control groups", Verdict::Ok, "version 2")
    } else if Path::new("/sys/fs/cgroup/memory").exists() {
        finding("control groups", Verdict::Ok, "version 1")
    } else {
        finding("control groups", Verdict::Limited, "none are mounted")
    }
}

fn systemd() -> Finding {
    if Path::new("/run/systemd/system").exists() {
        finding("systemd", Verdict::Ok, "runs here; this version starts its servers itself, without it")
    } else {
        finding("systemd", Verdict::Ok, "does not run here, and is not needed")
    }
}

fn configuration(config: &Config, path: &Path) -> Finding {
    if path.exists() {
        finding(
            "configuration",
            Verdict::Ok,
            format!("{}, {} server(s)", path.display(), config.server.len()),
        )
    } else {
        finding(
            "configuration",
            Verdict::Limited,
            format!("there is none at {}; `demo` and `runbook run` need none", path.display()),
        )
    }
}

/// Tries the nearest part of a path that exists.
fn writable(what: &'static str, path: &Path) -> Finding {
    let existing = path.ancestors().find(|one| one.exists()).unwrap_or(Path::new("/"));
    let access = rustix::fs::access(existing, rustix::fs::Access::WRITE_OK | rustix::fs::Access::EXEC_OK);
    let free = rustix::fs::statvfs(existing)
        .map(|fs| format!(", {} MiB free", fs.f_bavail * fs.f_frsize / (1024 * 1024)))
        .unwrap_or_default();
    match access {
        Ok(()) => finding(what, Verdict::Ok, format!("{}{free}", path.display())),
        Err(error) => finding(
            what,
            Verdict::Missing,
            format!("{}: {error}; name another in the configuration", path.display()),
        ),
    }
}

fn ports(config: &Config) -> Vec<Finding> {
    let guards = config.server.iter().filter(|server| server.has_guard());
    let addresses = guards.map(|server| (config.guard_address, server.port).into());
    std::iter::once(config.listen)
        .chain(addresses)
        .map(|address: std::net::SocketAddr| match TcpListener::bind(address) {
            Ok(_) => finding("port", Verdict::Ok, format!("{address} is free")),
            Err(error) => finding(
                "port",
                Verdict::Limited,
                format!("{address}: {error}; fine if that is Paramedic itself"),
            ),
        })
        .collect()
}
