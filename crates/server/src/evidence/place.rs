//! Owns where a bundle is written: where the disk under suspicion is not, if there is such a place. That disk is every one which
//! the server's data, logs and program, and what `serve` keeps, are on.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};

use rustix::fs::{Access, StatVfsMountFlags, access, major, minor, statvfs};

use crate::config::{Config, Server};

/// What a place must have free: the volatile part and its files take some tens of MiB.
const FREE_BYTES_MIN: u64 = 64 << 20;
/// Devices below devices: encryption on volumes on a RAID on partitions.
const DEVICES_DEEP_MAX: usize = 6;

/// A folder for bundles, and why it was chosen.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Place {
    pub(super) dir: PathBuf,
    /// In words, with what was not chosen before it and why.
    pub(super) why: String,
}

/// How well a folder is suited, the best first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Fit {
    OtherDisk,
    OtherFileSystem,
    SameFileSystem,
    /// It has too little space, or cannot be written to.
    Short,
}

/// The folders for bundles, the best first: whichever can be written to is taken. `sys` is where the kernel tells of devices.
pub(super) fn choose(config: &Config, server: Option<&Server>, sys: &Path) -> Vec<Place> {
    let suspects = suspects(config, server);
    let needed = FREE_BYTES_MIN.min(config.evidence.bytes_max.0);
    let mut judged: Vec<(Fit, &Path, String)> = Vec::new();
    for dir in config.evidence.places.iter().chain([&config.evidence.dir]) {
        let (fit, said) = judge(dir, dir == &config.evidence.dir, &suspects, needed, sys);
        judged.push((fit, dir, said));
    }
    // Of equally good ones the first that was named.
    judged.sort_by_key(|(fit, ..)| *fit);
    let said = |(_, dir, said): &(Fit, &Path, String)| format!("`{}`: {said}", dir.display());
    let mut places = Vec::new();
    for at in 0..judged.len() {
        let others = judged.iter().enumerate().filter(|(other, _)| *other != at).map(|(_, one)| said(one));
        let why = std::iter::once(said(&judged[at])).chain(others.map(|other| format!("not {other}")));
        let why = why.collect::<Vec<_>>().join("; ");
        places.push(Place { dir: judged[at].1.to_owned(), why });
    }
    places
}

/// What one folder is worth. The last resort is made where it is not there; any other that is missing is a disk that is.
fn judge(dir: &Path, is_last: bool, suspects: &BTreeSet<u64>, needed: u64, sys: &Path) -> (Fit, String) {
    let existing = if is_last { dir.ancestors().find(|path| path.is_dir()).unwrap_or(dir) } else { dir };
    let of = match fs::metadata(existing) {
        Ok(of) if of.is_dir() => of,
        Ok(_) => return (Fit::Short, "it is no folder".to_owned()),
        Err(error) => return (Fit::Short, format!("it cannot be used: {error}")),
    };
    let space = match statvfs(existing) {
        Ok(space) => space,
        Err(error) => return (Fit::Short, format!("its file system does not answer: {error}")),
    };
    if space.f_flag.contains(StatVfsMountFlags::RDONLY) || access(existing, Access::WRITE_OK).is_err() {
        return (Fit::Short, "it cannot be written to".to_owned());
    }
    let free = space.f_bavail.saturating_mul(space.f_frsize);
    if free < needed {
        return (Fit::Short, format!("{} MiB of the {} that are needed are free", free >> 20, needed >> 20));
    }
    if suspects.contains(&of.dev()) {
        return (Fit::SameFileSystem, "on a file system that is looked at".to_owned());
    }
    let theirs: BTreeSet<String> = suspects.iter().flat_map(|dev| disks(*dev, sys)).collect();
    if disks(of.dev(), sys).iter().any(|disk| theirs.contains(disk)) {
        return (Fit::OtherFileSystem, "on another file system of a disk that is looked at".to_owned());
    }
    (Fit::OtherDisk, "not on a disk that is looked at".to_owned())
}

/// The file systems that are looked at.
fn suspects(config: &Config, server: Option<&Server>) -> BTreeSet<u64> {
    let mut paths = vec![config.data_dir.as_path(), config.log_dir.as_path(), Path::new("/")];
    paths.extend(server.and_then(|server| server.directory.as_deref()));
    paths.extend(server.iter().flat_map(|server| &server.data).map(|data| data.path.as_path()));
    let nearest = |path: &Path| path.ancestors().find_map(|path| fs::metadata(path).ok());
    paths.into_iter().filter_map(nearest).map(|of| of.dev()).collect()
}

/// The disks that a device is on, by the names of the kernel. What is in memory or on a network is its own.
fn disks(device: u64, sys: &Path) -> BTreeSet<String> {
    let mut disks = BTreeSet::new();
    let entry = sys.join(format!("dev/block/{}:{}", major(device), minor(device)));
    match fs::canonicalize(entry) {
        Ok(path) => below(&path, DEVICES_DEEP_MAX, &mut disks),
        Err(_) => drop(disks.insert(format!("{}:{}", major(device), minor(device)))),
    }
    disks
}

fn below(device: &Path, deep: usize, disks: &mut BTreeSet<String>) {
    let whole = match device.parent() {
        Some(parent) if device.join("partition").exists() => parent,
        _ => device,
    };
    let slaves: Vec<_> = fs::read_dir(whole.join("slaves")).into_iter().flatten().flatten().collect();
    if slaves.is_empty() || deep == 0 {
        disks.insert(whole.file_name().unwrap_or_default().to_string_lossy().into_owned());
        return;
    }
    for slave in slaves {
        if let Ok(path) = fs::canonicalize(slave.path()) {
            below(&path, deep - 1, disks);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::os::unix::fs::{MetadataExt as _, symlink};
    use std::path::Path;

    use rustix::fs::makedev;

    use super::{Fit, choose, disks, judge};

    #[test]
    fn partitions_and_volumes_lead_to_their_disks() {
        let sys = tempfile::tempdir().unwrap();
        let root = sys.path();
        for path in
            ["devices/sda/sda1", "devices/sda/sda2", "devices/sdb", "devices/dm-0/slaves", "dev/block"]
        {
            fs::create_dir_all(root.join(path)).unwrap();
        }
        for part in ["sda1", "sda2"] {
            fs::write(root.join("devices/sda").join(part).join("partition"), "1\n").unwrap();
        }
        symlink("../../sda/sda2", root.join("devices/dm-0/slaves/sda2")).unwrap();
        symlink("../../sdb", root.join("devices/dm-0/slaves/sdb")).unwrap();
        for (number, target) in [("8:1", "sda/sda1"), ("8:16", "sdb"), ("253:0", "dm-0")] {
            symlink(format!("../../devices/{target}"), root.join("dev/block").join(number)).unwrap();
        }
        let of = |major, minor| disks(makedev(major, minor), root).into_iter().collect::<Vec<_>>();
        assert_eq!(of(8, 1), ["sda"]);
        assert_eq!(of(8, 16), ["sdb"]);
        assert_eq!(of(253, 0), ["sda", "sdb"]);
        assert_eq!(of(0, 42), ["0:42"]);
    }

    #[test]
    fn a_place_is_judged_by_where_it_is_and_what_is_free() {
        let folder = tempfile::tempdir().unwrap();
        let own = BTreeSet::from([fs::metadata(folder.path()).unwrap().dev()]);
        let sys = Path::new("/nowhere");
        let judged = |dir: &Path, is_last, suspects: &BTreeSet<u64>, needed| {
            judge(dir, is_last, suspects, needed, sys).0
        };
        assert_eq!(judged(folder.path(), false, &own, 1), Fit::SameFileSystem);
        assert_eq!(judged(folder.path(), false, &BTreeSet::new(), 1), Fit::OtherDisk);
        assert_eq!(judged(folder.path(), false, &BTreeSet::new(), u64::MAX), Fit::Short);
        // A disk that is not there is not made; the folder of the configuration is.
        assert_eq!(judged(&folder.path().join("usb"), false, &own, 1), Fit::Short);
        assert_eq!(judged(&folder.path().join("a/b"), true, &own, 1), Fit::SameFileSystem);
    }

    #[test]
    fn the_best_comes_first_and_says_why() {
        let folder = tempfile::tempdir().unwrap();
        let mut config = crate::config::parse("").unwrap();
        config.data_dir = folder.path().to_owned();
        config.log_dir = folder.path().join("log");
        config.evidence.dir = folder.path().join("evidence");
        config.evidence.places = vec![folder.path().join("usb"), "/dev/shm".into()];
        let places = choose(&config, None, Path::new("/sys"));
        let other = fs::metadata("/dev/shm").is_ok_and(|of| of.dev() != fs::metadata("/").unwrap().dev());
        let best = if other { Path::new("/dev/shm") } else { config.evidence.dir.as_path() };
        assert_eq!(places[0].dir, best, "{places:?}");
        assert!(places[0].why.contains("usb`: it cannot be used: No such file"), "{}", places[0].why);
        assert_eq!(places.last().unwrap().dir, config.evidence.places[0]);
    }
}
