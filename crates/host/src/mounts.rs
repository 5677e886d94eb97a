//! Owns the mounted file systems and their free space, each asked in a child that is given up if it hangs.

use std::ffi::CString;
use std::path::{Path, PathBuf};
use std::time::Duration;

use ::process::disposable::{Answer, FileSystem, ask_file_systems};

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read};
use crate::text::{lines, lossy, words};

/// A container host has some hundreds; more than this tells nobody anything.
const MOUNTS_MAX: usize = 2000;

/// A local file system answers from memory; one of the network takes its way there and back.
const ANSWER_WITHIN: Duration = Duration::from_millis(200);

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
    /// What `/etc/fstab` says of it: its options there.
    pub fstab: Option<String>,
    /// How full it is; `None` where there is nothing to ask, and where it did not answer.
    pub space: Option<FileSystem>,
    /// Whether it was asked and did not answer in time: whoever uses it waits in the kernel. After
    /// [`crate::Snapshot::confirm`] it was asked twice.
    pub is_silent: bool,
    /// Whether it, or the way to it, may hang at any time: it is of the network, or of a program.
    pub may_hang: bool,
}

/// A file system that `/etc/fstab` wants mounted at every start.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Wanted {
    /// Where.
    pub path: String,
    /// What.
    pub source: String,
    /// How.
    pub options: String,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Class {
    Local,
    Virtual,
    /// Whoever asks it mounts something.
    Trigger,
    MayHang,
}

// === impl Mount ===

impl Mount {
    /// Whether nothing can be written here.
    pub fn is_read_only(&self) -> bool {
        self.access().any(|word| word == "ro") || self.is_in_emergency()
    }

    /// Whether that is by nobody's wish: the file system is read-only under a mount that is not, or `/etc/fstab` wants
    /// to write here.
    pub fn has_become_read_only(&self) -> bool {
        let of_mount = self.access().next();
        let wanted = self.fstab.as_deref().map(|options| !options.split(',').any(|word| word == "ro"));
        self.is_in_emergency() || self.is_read_only() && (of_mount == Some("rw") || wanted == Some(true))
    }

    /// Newer kernels leave `rw` where it stands, and say so beside it.
    fn is_in_emergency(&self) -> bool {
        self.options.split(',').any(|word| matches!(word, "emergency_ro" | "shutdown"))
    }

    /// `rw` or `ro`: of the mount, then of the file system.
    fn access(&self) -> impl Iterator<Item = &str> {
        self.options.split(',').filter(|word| matches!(*word, "rw" | "ro"))
    }
}

/// What `/etc/fstab` wants mounted at every start.
pub(crate) fn read_fstab(roots: &Roots) -> Vec<Wanted> {
    let bytes = read(&roots.etc.join("fstab"), FILE_BYTES_MAX).unwrap_or_default();
    let wanted = |line: &[u8]| {
        let mut fields = words(line);
        let (source, path, kind) = (fields.next()?, fields.next()?, fields.next()?);
        let options = fields.next().map_or_else(|| "defaults".to_owned(), lossy);
        let is_wanted = !source.starts_with(b"#")
            && path.starts_with(b"/")
            && kind != b"swap"
            && !options.split(',').any(|word| word == "noauto");
        is_wanted.then(|| Wanted { path: unescape(path), source: unescape(source), options })
    };
    lines(&bytes).filter_map(wanted).take(MOUNTS_MAX).collect()
}

/// The mount in which a path lies: of those that hold it the deepest, and of several there the one on top.
pub(crate) fn mount_of<'m>(mounts: &'m [Mount], path: &Path) -> Option<&'m Mount> {
    let holding = mounts.iter().filter(|mount| path.starts_with(&mount.path));
    holding.max_by_key(|mount| Path::new(&mount.path).components().count())
}

/// The mounts of this process's namespace; `None` when the kernel does not tell.
pub(crate) fn read_mounts(roots: &Roots) -> Option<Vec<Mount>> {
    let bytes = read(&roots.proc.join("self/mountinfo"), FILE_BYTES_MAX)?;
    let mut mounts: Vec<_> = lines(&bytes).filter_map(parse).take(MOUNTS_MAX).collect();
    let risky: Vec<_> = mounts
        .iter()
        .filter(|mount| matches!(class(mount), Class::MayHang | Class::Trigger))
        .map(|mount| PathBuf::from(&mount.path))
        .collect();
    let fstab = read_fstab(roots);
    for mount in &mut mounts {
        mount.fstab =
            fstab.iter().find(|wanted| wanted.path == mount.path).map(|wanted| wanted.options.clone());
        // A path that leads through a dead network mount, or over which one is mounted, hangs as well.
        mount.may_hang = risky.iter().any(|above| Path::new(&mount.path).starts_with(above));
    }
    let asked = |mount: &Mount| matches!(class(mount), Class::Local | Class::MayHang);
    ask(&mut mounts, asked, ANSWER_WITHIN);
    Some(mounts)
}

/// Asks those once more that did not answer, and waits longer for them.
pub(crate) fn ask_silent_again(mounts: &mut [Mount], within: Duration) {
    ask(mounts, |mount| mount.is_silent, within);
}

/// Asks the mounts that `wanted` picks how full they are.
fn ask(mounts: &mut [Mount], wanted: impl Fn(&Mount) -> bool, within: Duration) {
    let mut asked: Vec<(usize, CString)> = mounts
        .iter()
        .enumerate()
        .filter(|(_, mount)| wanted(mount))
        .filter_map(|(nth, mount)| Some((nth, CString::new(mount.path.as_str()).ok()?)))
        .collect();
    // Who may hang comes last: where many do, the others have answered by then.
    asked.sort_by_key(|(nth, _)| mounts[*nth].may_hang);
    let (places, paths): (Vec<usize>, Vec<CString>) = asked.into_iter().unzip();
    for (nth, answer) in places.into_iter().zip(ask_file_systems(&paths, within)) {
        let mount = &mut mounts[nth];
        mount.is_silent = answer == Answer::Silent || mount.is_silent && answer == Answer::NotAsked;
        if let Answer::Is(of) = answer {
            mount.space = Some(of);
        }
    }
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
        fstab: None,
        space: None,
        is_silent: false,
        may_hang: false,
    })
}

fn class(mount: &Mount) -> Class {
    let kind = mount.kind.as_str();
    let remote = REMOTE_DEVICES.iter().any(|device| mount.source.starts_with(device));
    if BLOCK.contains(&kind) && mount.source.starts_with("/dev/") && !remote || LOCAL.contains(&kind) {
        Class::Local
    } else if VIRTUAL.contains(&kind) {
        Class::Virtual
    } else if kind == "autofs" {
        Class::Trigger
    } else {
        Class::MayHang
    }
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
    fn only_what_is_no_view_of_the_kernel_and_mounts_nothing_by_itself_is_asked() {
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
        // The network block device is mounted on `/`, so what is below may hang as it may.
        assert!(mounts.iter().all(|mount| mount.may_hang && !mount.is_silent), "{mounts:?}");
        let asked: Vec<_> = mounts.iter().map(|mount| mount.space.is_some()).collect();
        assert_eq!(asked, [true, false, true]);

        let mounts = mounts_of(root.path(), &format!("27 1 254:0 / {here} rw - ext4 /dev/vda rw\n"));
        assert!(mounts[0].space.is_some_and(|space| space.total_bytes >= space.free_bytes));
        assert!(!mounts[0].may_hang);
        for (kind, source, is_asked) in [
            ("nfs4", "10.0.0.1:/x", true),
            ("fuse.sshfs", "a@b:/", true),
            ("ext4", "/dev/rbd0", true),
            ("autofs", "x", false),
        ] {
            let mounts = mounts_of(root.path(), &format!("27 1 254:0 / {here} rw - {kind} {source} rw\n"));
            assert_eq!((mounts[0].space.is_some(), mounts[0].may_hang), (is_asked, true), "{kind}");
        }
    }

    #[test]
    fn a_local_mount_under_a_network_mount_may_hang() {
        let root = tempfile::tempdir().unwrap();
        let here = root.path().display();
        let mounts = mounts_of(
            root.path(),
            &format!(
                "1 0 0:1 / {here} rw - ext4 /dev/vda rw\n2 1 0:2 / {here}/net rw - nfs s:/x rw\n\
                 3 2 0:3 / {here}/net/in rw - tmpfs t rw\n4 1 0:4 / {here}/proc rw - ext4 /dev/vdb rw\n"
            ),
        );
        let may_hang: Vec<_> = mounts.iter().map(|mount| mount.may_hang).collect();
        assert_eq!(may_hang, [false, true, true, false]);
        // What is not there says no at once.
        let asked: Vec<_> = mounts.iter().map(|mount| (mount.space.is_some(), mount.is_silent)).collect();
        assert_eq!(asked, [(true, false), (false, false), (false, false), (true, false)]);
    }

    #[test]
    fn what_became_read_only_is_told_from_what_was_meant_so() {
        let root = tempfile::tempdir().unwrap();
        fs::create_dir_all(root.path().join("etc")).unwrap();
        let fstab = "# x\n/dev/a /wanted ext4\n/dev/b /meant ext4 ro,noatime 0 0\nb /off nfs noauto\nnone none swap sw\n";
        fs::write(root.path().join("etc/fstab"), fstab).unwrap();
        let check = |path: &str, options: &str, file_system: &str, expect: (bool, bool)| {
            let line = format!("1 0 7:0 / {path} {options} - nfs a:/ {file_system}\n");
            let mount = mounts_of(root.path(), &line).remove(0);
            assert_eq!((mount.is_read_only(), mount.has_become_read_only()), expect, "{line}");
        };
        check("/x", "rw,relatime", "rw", (false, false));
        check("/x", "rw,relatime", "ro,errors=remount-ro", (true, true));
        check("/x", "rw,relatime", "rw,errors=remount-ro,emergency_ro", (true, true));
        check("/x", "ro,relatime", "ro", (true, false));
        check("/x", "ro,relatime", "rw", (true, false));
        check("/wanted", "ro,relatime", "ro", (true, true));
        check("/meant", "ro,relatime", "ro", (true, false));
        let wanted: Vec<_> =
            super::read_fstab(&Roots::below(root.path())).into_iter().map(|one| one.path).collect();
        assert_eq!(wanted, ["/wanted", "/meant"]);
    }

    #[test]
    fn a_path_lies_in_the_deepest_mount() {
        let root = tempfile::tempdir().unwrap();
        let table =
            "1 0 0:1 / / rw - nfs a:/ rw\n2 1 0:2 / /data rw - nfs b:/ rw\n3 2 0:3 / /data rw - nfs c:/ rw\n";
        let mounts = mounts_of(root.path(), table);
        for (path, expect) in [("/data/x", "c:/"), ("/data2", "a:/"), ("/", "a:/")] {
            assert_eq!(super::mount_of(&mounts, Path::new(path)).unwrap().source, expect, "{path}");
        }
    }

    #[test]
    fn octal_is_undone() {
        assert_eq!(unescape(br"/a\040b\134\011c"), "/a b\\\tc");
        assert_eq!(unescape(br"\04x\777\"), r"\04x\777\");
    }
}
