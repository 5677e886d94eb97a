//! Owns the mounted file systems and their free space, without ever asking one that may hang.

use std::path::{Path, PathBuf};

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read};
use crate::text::{lines, lossy, words};

/// A container host has some hundreds; more than this tells nobody anything.
const MOUNTS_MAX: usize = 2000;

/// File systems on a block device of this machine.
const BLOCK: [&str; 17] = [
    "bcachefs", "btrfs", "erofs", "exfat", "ext2", "ext3", "ext4", "f2fs", "hfsplus", "iso9660", "jfs",
    "nilfs2", "ntfs3", "squashfs", "udf", "vfat", "xfs",
];
/// Made of other local ones or of memory: as safe to ask, and as full at times. `zfs` names no device.
const LOCAL: [&str; 4] = ["overlay", "ramfs", "tmpfs", "zfs"];
/// The kernel's own views: nothing to ask, but paths through them do not hang either.
const VIRTUAL: [&str; 17] = [
    "binfmt_misc",
    "bpf",
    "cgroup",
    "cgroup2",
    "configfs",
    "debugfs",
    "devpts",
    "devtmpfs",
    "efivarfs",
    "fusectl",
    "hugetlbfs",
    "mqueue",
    "nsfs",
    "proc",
    "pstore",
    "securityfs",
    "sysfs",
];
/// Block devices that are a network connection in truth.
const REMOTE_DEVICES: [&str; 2] = ["/dev/nbd", "/dev/rbd"];

/// One mounted file system.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Mount {
    /// Where it is mounted.
    pub path: String,
    /// What is mounted, such as a device.
    pub source: String,
    /// Its type, such as `ext4`.
    pub kind: String,
    /// Options of the mount, then those of the file system.
    pub options: String,
    /// Only for local file systems: a network or FUSE one may never answer.
    pub space: Option<Space>,
}

/// How full a file system is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Space {
    /// Its size.
    pub total_bytes: u64,
    /// Free, the part kept for root included.
    pub free_bytes: u64,
    /// Free for everybody.
    pub available_bytes: u64,
    /// How many files it can hold; 0 when it has no such limit.
    pub inodes: u64,
    /// How many more files it can hold.
    pub inodes_free: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Local,
    Virtual,
    MayHang,
}

/// The mounts of this process's namespace; `None` when the kernel does not tell.
pub(crate) fn read_mounts(roots: &Roots) -> Option<Vec<Mount>> {
    let bytes = read(&roots.proc.join("self/mountinfo"), FILE_BYTES_MAX)?;
    let mut mounts: Vec<_> = lines(&bytes).filter_map(parse).take(MOUNTS_MAX).collect();
    let risky: Vec<_> = mounts
        .iter()
        .filter(|mount| class(mount) == Class::MayHang)
        .map(|mount| PathBuf::from(&mount.path))
        .collect();
    for mount in &mut mounts {
        let path = Path::new(&mount.path);
        // A path that leads through a dead network mount, or over which one is mounted, hangs as well.
        if class(mount) == Class::Local && !risky.iter().any(|above| path.starts_with(above)) {
            mount.space = space(path);
        }
    }
    Some(mounts)
}

/// A line is `ID PARENT MAJOR:MINOR ROOT PATH OPTIONS [TAG…] - TYPE SOURCE SUPER_OPTIONS`, with white space and
/// backslashes in octal.
fn parse(line: &[u8]) -> Option<Mount> {
    let mut fields = words(line);
    let path = fields.nth(4)?;
    let options = fields.next()?;
    let mut tail = fields.skip_while(|word| *word != b"-").skip(1);
    let (kind, source) = (tail.next()?, tail.next()?);
    let file_system_options = tail.next().unwrap_or_default();
    Some(Mount {
        path: unescape(path),
        source: unescape(source),
        kind: lossy(kind),
        options: format!("{},{}", lossy(options), lossy(file_system_options)),
        space: None,
    })
}

fn class(mount: &Mount) -> Class {
    let kind = mount.kind.as_str();
    let remote = REMOTE_DEVICES.iter().any(|device| mount.source.starts_with(device));
    if BLOCK.contains(&kind) && mount.source.starts_with("/dev/") && !remote || LOCAL.contains(&kind) {
        Class::Local
    } else if VIRTUAL.contains(&kind) {
        Class::Virtual
    } else {
        Class::MayHang
    }
}

fn space(path: &Path) -> Option<Space> {
    let of = rustix::fs::statvfs(path).ok()?;
    Some(Space {
        total_bytes: of.f_blocks.saturating_mul(of.f_frsize),
        free_bytes: of.f_bfree.saturating_mul(of.f_frsize),
        available_bytes: of.f_bavail.saturating_mul(of.f_frsize),
        inodes: of.f_files,
        inodes_free: of.f_ffree,
    })
}

/// `\040` is a blank; a backslash that begins no three octal digits is itself.
fn unescape(word: &[u8]) -> String {
    let mut bytes = Vec::with_capacity(word.len());
    let mut rest = word;
    while let [first, tail @ ..] = rest {
        match rest {
            [b'\\', a @ b'0'..=b'3', b @ b'0'..=b'7', c @ b'0'..=b'7', after @ ..] => {
                bytes.push((a - b'0') << 6 | (b - b'0') << 3 | (c - b'0'));
                rest = after;
            }
            _ => {
                bytes.push(*first);
                rest = tail;
            }
        }
    }
    lossy(&bytes)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use super::{Mount, read_mounts, unescape};
    use crate::Roots;

    fn mounts_of(root: &Path, mountinfo: &str) -> Vec<Mount> {
        let roots = Roots::below(root);
        fs::create_dir_all(roots.proc.join("self")).unwrap();
        fs::write(roots.proc.join("self/mountinfo"), mountinfo).unwrap();
        read_mounts(&roots).unwrap()
    }

    #[test]
    fn only_local_file_systems_are_asked() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().display();
        let mounts = mounts_of(
            root.path(),
            &format!(
                "27 1 254:0 / {here} rw,relatime shared:1 master:2 - ext4 /dev/vda rw,discard\n\
                 28 27 0:40 / {here} rw - proc proc rw\n\
                 29 27 0:41 / / rw - ext4 /dev/nbd0p1 rw\n\
                 half a line\n"
            ),
        );
        assert_eq!(mounts.len(), 3);
        assert_eq!(mounts[0].options, "rw,relatime,rw,discard");
        // The network block device is mounted on `/`, so a path below it is not asked either.
        assert!(mounts.iter().all(|mount| mount.space.is_none()), "{mounts:?}");

        let mounts = mounts_of(root.path(), &format!("27 1 254:0 / {here} rw - ext4 /dev/vda rw\n"));
        assert!(mounts[0].space.is_some_and(|space| space.total_bytes >= space.free_bytes));
        for (kind, source) in
            [("nfs4", "10.0.0.1:/x"), ("fuse.sshfs", "a@b:/"), ("autofs", "x"), ("ext4", "/dev/rbd0")]
        {
            let mounts = mounts_of(root.path(), &format!("27 1 254:0 / {here} rw - {kind} {source} rw\n"));
            assert_eq!(mounts[0].space, None, "{kind}");
        }
    }

    #[test]
    fn a_local_mount_under_a_network_mount_is_not_asked() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().display();
        let mounts = mounts_of(
            root.path(),
            &format!(
                "1 0 0:1 / {here} rw - ext4 /dev/vda rw\n2 1 0:2 / {here}/net rw - nfs s:/x rw\n\
                 3 2 0:3 / {here}/net/in rw - tmpfs t rw\n4 1 0:4 / {here}/proc rw - ext4 /dev/vdb rw\n"
            ),
        );
        let asked: Vec<_> = mounts.iter().map(|mount| mount.space.is_some()).collect();
        assert_eq!(asked, [true, false, false, true]);
    }

    #[test]
    fn octal_is_undone() {
        assert_eq!(unescape(br"/a\040b\134\011c"), "/a b\\\tc");
        assert_eq!(unescape(br"\04x\777\"), r"\04x\777\");
    }
}
