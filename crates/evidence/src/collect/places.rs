//! Owns the places on the disk that are looked at: what starts by itself, who may come in, what was left in volatile folders,
//! what was logged.

use std::fs;
use std::path::{Path, PathBuf};

use serde::Serialize;

use super::Scene;
use super::out::Out;
use super::reading::{As, Keep, copy, names, text_of, times_of_name};
use super::tree::{copy_all, walk};
use crate::times::Times;

const TEXT_BYTES_MAX: u64 = 1 << 20;
const LOG_BYTES_MAX: u64 = 16 << 20;
/// The units of an operator are some hundreds.
const UNITS_MAX: usize = 2000;
const LISTED_MAX: usize = 20_000;
const USERS_MAX: usize = 2000;
const PRIVILEGED_MAX: usize = 200_000;

#[derive(Serialize)]
struct Listed {
    path: String,
    #[serde(flatten)]
    times: Option<Times>,
    #[serde(skip_serializing_if = "Option::is_none")]
    link: Option<String>,
}

/// What is the server's own.
pub(super) fn of_server(scene: &Scene, out: &Out) {
    for path in &scene.subject.files {
        out.doing(format!("`{}`", path.display()));
        out.give(copy(&scene.root, path, Keep::End, As::Text, LOG_BYTES_MAX));
    }
}

/// What systemd starts: the units that were added on this machine and while it runs, and their drop-ins.
pub(super) fn units(scene: &Scene, out: &Out) {
    let places = [
        "/etc/systemd",
        "/run/systemd/system",
        "/run/systemd/generator",
        "/usr/local/lib/systemd",
        "/etc/init.d",
        "/etc/rc.local",
    ];
    copy_all(scene, out, &places.map(|path| scene.path(path)), UNITS_MAX, TEXT_BYTES_MAX);
}

/// What is started by the clock.
pub(super) fn cron(scene: &Scene, out: &Out) {
    let places = [
        "/etc/crontab",
        "/etc/cron.d",
        "/etc/cron.hourly",
        "/etc/cron.daily",
        "/etc/cron.weekly",
        "/etc/cron.monthly",
        "/etc/anacrontab",
        "/var/spool/cron",
        "/var/spool/at",
    ];
    copy_all(scene, out, &places.map(|path| scene.path(path)), UNITS_MAX, TEXT_BYTES_MAX);
}

/// Who may come in, and what every program loads. Of `shadow` only what it says of itself: its content is secret.
pub(super) fn access(scene: &Scene, out: &Out) {
    let places = [
        "/etc/passwd",
        "/etc/group",
        "/etc/sudoers",
        "/etc/sudoers.d",
        "/etc/ssh/sshd_config",
        "/etc/ssh/sshd_config.d",
        "/etc/pam.d",
        "/etc/ld.so.preload",
        "/etc/ld.so.conf",
        "/etc/ld.so.conf.d",
        "/etc/hosts",
        "/etc/resolv.conf",
        "/etc/nsswitch.conf",
        "/etc/environment",
        "/etc/profile",
        "/etc/profile.d",
        "/etc/modules-load.d",
        "/etc/modprobe.d",
        "/etc/polkit-1/rules.d",
    ];
    copy_all(scene, out, &places.map(|path| scene.path(path)), UNITS_MAX, TEXT_BYTES_MAX);
    out.line("t1/not-copied.jsonl", &listed(scene, &scene.path("/etc/shadow")));
    for home in homes(scene) {
        for file in [
            ".ssh/authorized_keys",
            ".ssh/authorized_keys2",
            ".ssh/rc",
            ".bashrc",
            ".profile",
            ".bash_profile",
        ] {
            let path = scene.path(&home).join(file);
            if fs::symlink_metadata(&path).is_ok() {
                out.doing(format!("`{}`", path.display()));
                out.give(copy(&scene.root, &path, Keep::Beginning, As::Text, TEXT_BYTES_MAX));
            }
        }
    }
    privileged(scene, out);
}

/// What anybody may have left behind: every name in the volatile folders, with its four times.
pub(super) fn listings(scene: &Scene, out: &Out) {
    for folder in ["/tmp", "/var/tmp", "/dev/shm", "/run"] {
        out.doing(format!("`{folder}`"));
        let mut each = |path: &Path| {
            out.line("t1/volatile-folders.jsonl", &listed(scene, path));
            !out.is_given_up()
        };
        if !walk(&scene.path(folder), LISTED_MAX, &mut each) {
            let name = format!("t1/volatile-folders{}/rest", folder.replace('/', "."));
            out.give(crate::Gathered::missing(name, format!("more than {LISTED_MAX} names, or very deep")));
        }
    }
}

/// The system's logs, the newest part of each.
pub(super) fn logs(scene: &Scene, out: &Out) {
    for path in [
        "/var/log/auth.log",
        "/var/log/secure",
        "/var/log/syslog",
        "/var/log/messages",
        "/var/log/audit/audit.log",
        "/var/log/dpkg.log",
        "/var/log/security-incidents.log",
    ] {
        let path = scene.path(path);
        // Each distribution has some of them.
        if fs::symlink_metadata(&path).is_ok() {
            out.doing(format!("`{}`", path.display()));
            out.give(copy(&scene.root, &path, Keep::End, As::Text, LOG_BYTES_MAX));
        }
    }
}

/// Programs that run as somebody else than who starts them.
fn privileged(scene: &Scene, out: &Out) {
    for folder in [
        "/usr/bin",
        "/usr/sbin",
        "/usr/lib",
        "/usr/libexec",
        "/usr/local",
        "/opt",
        "/tmp",
        "/var/tmp",
        "/home",
        "/root",
    ] {
        out.doing(format!("privileged programs below `{folder}`"));
        walk(&scene.path(folder), PRIVILEGED_MAX, &mut |path| {
            let Ok(of) = fs::symlink_metadata(path) else { return !out.is_given_up() };
            if of.is_file() && std::os::unix::fs::MetadataExt::mode(&of) & 0o6000 != 0 {
                out.line("t1/privileged.jsonl", &listed(scene, path));
            }
            !out.is_given_up()
        });
    }
}

fn listed(scene: &Scene, path: &Path) -> Listed {
    let inside = path.strip_prefix(&scene.root).unwrap_or(path);
    let times = times_of_name(path);
    Listed {
        path: format!("/{}", text_of(inside.as_os_str())),
        link: fs::read_link(path).ok().map(|target| text_of(target.as_os_str())),
        times,
    }
}

/// The homes of all users that `passwd` names, each once.
fn homes(scene: &Scene) -> Vec<String> {
    let passwd = copy(&scene.root, &scene.path("/etc/passwd"), Keep::Beginning, As::Bytes, TEXT_BYTES_MAX);
    let text = String::from_utf8_lossy(&passwd.bytes.unwrap_or_default()).into_owned();
    let mut homes: Vec<String> =
        text.lines().filter_map(|line| Some(line.split(':').nth(5)?.to_owned())).collect();
    homes.retain(|home| home.starts_with('/') && home.len() > 1);
    homes.sort_unstable();
    homes.dedup();
    homes.truncate(USERS_MAX);
    // Homes of users whom another machine keeps.
    let more = names(&scene.path("/home"), USERS_MAX).unwrap_or_default();
    let more = more.into_iter().map(|name| PathBuf::from("/home").join(name).to_string_lossy().into_owned());
    homes.extend(more.filter(|home| !homes.contains(home)).collect::<Vec<_>>());
    homes
}
