//! Owns what is found about file systems: how full they are, what takes space without a name, and what became read-only.

use std::collections::BTreeMap;
use std::path::Path;

use diagnosis::{Finding, Severity, kind};

use super::subject::{argument_paths, is_program};
use super::{Subject, size};
use crate::kernel_log::KernelNote;
use crate::mounts::{Mount, mount_of};
use crate::snapshot::Snapshot;

/// As the rules see it; below that there is time.
const FULL_PERCENT: f64 = 99.0;
const NEARLY_FULL_PERCENT: f64 = 90.0;
/// A container host has hundreds of mounts that are none of the server's.
const OTHERS_MAX: usize = 20;
/// Deleted files of this size are worth a word.
const DELETED_BYTES_MIN: u64 = 16 << 20;

pub(super) fn found(snapshot: &Snapshot, subject: &Subject) -> Vec<Finding> {
    let Some(mounts) = &snapshot.mounts else { return Vec::new() };
    let used = used_by(snapshot, subject, mounts);
    let mut found: Vec<Finding> = Vec::new();
    for (path, what) in &used {
        found.push(Finding::new(kind::SERVER_MOUNT, path).with_value(*what));
    }
    let mut others = 0;
    // Of several at one place the last is on top.
    let on_top: BTreeMap<&str, &Mount> = mounts.iter().map(|mount| (mount.path.as_str(), mount)).collect();
    for (path, mount) in on_top {
        let is_used = used.contains_key(path);
        let of_mount = of_mount(mount, is_used, snapshot);
        let is_news = of_mount.iter().any(|finding| finding.severity() > Severity::Info);
        if is_used || is_news && others < OTHERS_MAX {
            others += usize::from(!is_used);
            found.extend(of_mount);
        }
    }
    found.extend(missing(snapshot, subject));
    found.extend(deleted(snapshot, mounts));
    found
}

/// The mounts that the server uses, and for what.
fn used_by<'m>(
    snapshot: &Snapshot,
    subject: &Subject,
    mounts: &'m [Mount],
) -> BTreeMap<&'m str, &'static str> {
    let mut used = BTreeMap::new();
    let mut note = |path: &Path, what: &'static str| {
        if path.is_absolute()
            && let Some(mount) = mount_of(mounts, path)
        {
            used.entry(mount.path.as_str()).or_insert(what);
        }
    };
    for place in &subject.places {
        note(&place.path, place.used_for);
    }
    if let Some(target) = snapshot.target.as_ref().filter(|target| target.has_own_mounts != Some(true)) {
        for path in &target.written {
            note(Path::new(path), "data");
        }
        for cwd in target.tree.iter().filter_map(|details| details.cwd.as_deref()) {
            if !is_program(Path::new(cwd)) {
                note(Path::new(cwd), "work");
            }
        }
        let of_tree = |pid: i32| target.tree.iter().any(|details| details.id.pid == pid);
        for path in argument_paths(snapshot.processes.iter().filter(|process| of_tree(process.id.pid))) {
            note(&path, "data");
        }
    }
    if !used.is_empty()
        && let Some(mount) = mount_of(mounts, Path::new("/tmp"))
    {
        used.entry(mount.path.as_str()).or_insert("temporary");
    }
    used
}

fn of_mount(mount: &Mount, is_used: bool, snapshot: &Snapshot) -> Vec<Finding> {
    let mut found: Vec<Finding> = silent(mount, is_used).into_iter().collect();
    if mount.has_become_read_only() || mount.is_read_only() && kernel_made_read_only(mount, snapshot) {
        let message = format!("{} ({}) is mounted {}", mount.source, mount.kind, mount.options);
        let severity = if is_used { Severity::Critical } else { Severity::Warning };
        found.push(
            Finding::new(kind::READ_ONLY_MOUNT, &mount.path).with_severity(severity).with_message(&message),
        );
    } else if is_used {
        found.push(Finding::new(kind::READ_ONLY_MOUNT, &mount.path).with_value(false));
    }
    // An image is full by nature.
    let Some(space) = mount.space.filter(|_| !mount.is_read_only()) else { return found };
    let severity = |percent: f64| match percent {
        FULL_PERCENT.. if is_used => Severity::Critical,
        NEARLY_FULL_PERCENT.. => Severity::Warning,
        _ => Severity::Info,
    };
    if let Some(percent) = space.used_percent() {
        let message = format!("{} of {} are free", size(space.available_bytes), size(space.total_bytes));
        let finding = Finding::new(kind::DISK_USED_PERCENT, &mount.path).with_value(percent);
        found.push(finding.with_severity(severity(percent)).with_message(&message));
    }
    if let Some(percent) = space.inodes_used_percent() {
        let message = format!("{} of {} inodes are free", space.inodes_free, space.inodes);
        let finding = Finding::new(kind::INODES_USED_PERCENT, &mount.path).with_value(percent);
        found.push(finding.with_severity(severity(percent)).with_message(&message));
    }
    found
}

/// Who uses such a mount waits in the kernel, and takes no signal meanwhile.
fn silent(mount: &Mount, is_used: bool) -> Option<Finding> {
    let finding = Finding::new(kind::MOUNT_SILENT, &mount.path);
    match (mount.is_silent, is_used) {
        (false, false) => None,
        (false, true) => Some(finding.with_value(false)),
        (true, _) => {
            let message = format!("{} ({}) does not answer; whoever uses it waits", mount.source, mount.kind);
            let severity = if is_used { Severity::Critical } else { Severity::Warning };
            Some(finding.with_value(mount.kind.as_str()).with_severity(severity).with_message(&message))
        }
    }
}

fn kernel_made_read_only(mount: &Mount, snapshot: &Snapshot) -> bool {
    let device = mount.source.strip_prefix("/dev/").unwrap_or(&mount.source);
    let says = |what: &KernelNote| matches!(what, KernelNote::ReadOnly { device: of } if of == device);
    snapshot.kernel_log.iter().flatten().any(|event| says(&event.what))
}

/// Where something of the server lies on a file system that is not there, it lies on the wrong one.
fn missing(snapshot: &Snapshot, subject: &Subject) -> Vec<Finding> {
    let uses = |wanted: &&crate::mounts::Wanted| {
        let below = |path: &Path| path.starts_with(&wanted.path);
        let written = snapshot.target.iter().flat_map(|target| &target.written);
        subject.places.iter().any(|place| below(&place.path))
            || written.into_iter().any(|path| below(Path::new(path)))
    };
    let missing = snapshot.unmounted.iter().filter(uses);
    missing
        .map(|wanted| {
            let message =
                format!("/etc/fstab wants {} there; create and write nothing there meanwhile", wanted.source);
            let finding = Finding::new(kind::MOUNT_MISSING, &wanted.path).with_value(wanted.source.as_str());
            finding.with_severity(Severity::Critical).with_message(&message)
        })
        .collect()
}

fn deleted(snapshot: &Snapshot, mounts: &[Mount]) -> Vec<Finding> {
    let mut by_mount: BTreeMap<&str, (u64, &crate::files::DeletedFile)> = BTreeMap::new();
    // The largest come first.
    for file in &snapshot.deleted {
        let Some(mount) = mount_of(mounts, Path::new(&file.path)) else { continue };
        by_mount.entry(mount.path.as_str()).or_insert((0, file)).0 += file.bytes;
    }
    let large = by_mount.into_iter().filter(|(_, (bytes, _))| *bytes >= DELETED_BYTES_MIN);
    large
        .map(|(path, (bytes, file))| {
            let message = format!(
                "the largest is {} with {}, open in process {}",
                file.path,
                size(file.bytes),
                file.pid
            );
            let finding = Finding::new(kind::DELETED_OPEN_BYTES, path).with_value(bytes);
            finding.with_severity(Severity::Warning).with_message(&message)
        })
        .collect()
}
