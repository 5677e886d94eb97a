//! Owns asking a file system whether it is whole, by its own program, and only where nobody has it mounted.
//!
//! The programs only look (`fsck.ext4 -fn`, `xfs_repair -n`, `btrfs check --readonly`). On a file system that is in use they
//! would find what is half written, and take it for damage: so the device is held open meanwhile in a way that the kernel
//! refuses where it is mounted, and that keeps others from mounting it.

use std::fs::{self, File};
use std::io::{self, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::{FileTypeExt as _, MetadataExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use rustix::fs::{CWD, Mode, OFlags};
use serde::Serialize;

/// What the program says is kept so far.
const SAID_BYTES_MAX: usize = 64 << 10;

/// A kind of file system that can be asked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "lowercase")]
pub enum FileSystem {
    /// ext2, ext3 or ext4.
    Ext4,
    /// XFS.
    Xfs,
    /// btrfs.
    Btrfs,
}

/// What came of asking.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct FileSystemReport {
    /// The device.
    pub device: PathBuf,
    /// What is on it.
    pub kind: FileSystem,
    /// Whether it is whole.
    pub is_whole: bool,
    /// The program, and all that it was told.
    pub command: String,
    /// What it said.
    pub said: String,
}

/// A file system cannot be asked. That is no answer, neither good nor bad.
#[derive(Debug, thiserror::Error)]
pub enum FileSystemError {
    /// It is mounted.
    #[error("{} is mounted or in use ({by}): unmount it, or ask a snapshot of it", device.display())]
    InUse {
        /// The device.
        device: PathBuf,
        /// By what.
        by: String,
    },
    /// It cannot be read.
    #[error("{} cannot be read", device.display())]
    Read {
        /// The device.
        device: PathBuf,
        /// The cause.
        source: io::Error,
    },
    /// It is none that is known.
    #[error("{} holds no ext4, XFS or btrfs", device.display())]
    Unknown {
        /// The device.
        device: PathBuf,
    },
    /// The program is not there, or did not come to an answer.
    #[error("`{command}` has no answer: {problem}")]
    Program {
        /// The program, and all that it was told.
        command: String,
        /// Why not.
        problem: String,
    },
}

// === impl FileSystem ===

impl FileSystem {
    /// What is on a device, by the marks that each has at its own place.
    fn of(file: &mut File) -> io::Result<Option<Self>> {
        let mut has = |at: u64, mark: &[u8]| -> io::Result<bool> {
            let mut found = vec![0; mark.len()];
            file.seek(SeekFrom::Start(at))?;
            match file.read_exact(&mut found) {
                Err(error) if error.kind() == io::ErrorKind::UnexpectedEof => Ok(false),
                read => read.map(|()| found == mark),
            }
        };
        Ok(if has(0x438, &[0x53, 0xef])? {
            Some(Self::Ext4)
        } else if has(0, b"XFSB")? {
            Some(Self::Xfs)
        } else if has(0x1_0040, b"_BHRfS_M")? {
            Some(Self::Btrfs)
        } else {
            None
        })
    }

    fn program(self) -> (&'static str, &'static [&'static str]) {
        match self {
            Self::Ext4 => ("fsck.ext4", &["-f", "-n"]),
            Self::Xfs => ("xfs_repair", &["-n"]),
            Self::Btrfs => ("btrfs", &["check", "--readonly"]),
        }
    }

    /// What an exit code says: whole or not, or nothing.
    fn verdict(self, code: i32) -> Option<bool> {
        match (self, code) {
            (_, 0) => Some(true),
            // Errors were found, and left as they are; the bit stands among others where it could not even go on.
            (Self::Ext4, code) if code & 4 != 0 => Some(false),
            (Self::Xfs | Self::Btrfs, 1) => Some(false),
            _ => None,
        }
    }
}

/// Asks the file system on a device, or in a file, whether it is whole. Nothing is changed.
///
/// # Errors
/// If it is mounted or in use, of another kind, or its program is not there.
pub fn check_file_system(device: &Path) -> Result<FileSystemReport, FileSystemError> {
    let read = |source| FileSystemError::Read { device: device.to_owned(), source };
    let is = fs::metadata(device).map_err(read)?;
    let in_use = |by: String| FileSystemError::InUse { device: device.to_owned(), by };
    if let Some(by) = user(device, &is).map_err(read)? {
        return Err(in_use(by));
    }
    let exclusive = if is.file_type().is_block_device() { OFlags::EXCL } else { OFlags::empty() };
    let opened = rustix::fs::openat(CWD, device, OFlags::RDONLY | OFlags::CLOEXEC | exclusive, Mode::empty());
    let mut held = match opened {
        Err(rustix::io::Errno::BUSY) => return Err(in_use("the kernel says that it is busy".to_owned())),
        opened => File::from(opened.map_err(|error| read(error.into()))?),
    };
    let kind = FileSystem::of(&mut held).map_err(read)?;
    let kind = kind.ok_or_else(|| FileSystemError::Unknown { device: device.to_owned() })?;
    // These programs open it so themselves, and would not get it.
    drop(held);
    let (name, args) = kind.program();
    let command = format!("{name} {} {}", args.join(" "), device.display());
    let failed = |problem: String| FileSystemError::Program { command: command.clone(), problem };
    let path = format!("{}:/usr/sbin:/sbin", std::env::var("PATH").unwrap_or_default());
    let mut asked = Command::new(name);
    asked.args(args).arg(device).env("PATH", path).env("LC_ALL", "C").stdin(Stdio::null());
    let output = asked.output().map_err(|error| failed(error.to_string()))?;
    let mut said = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).trim_end().to_owned();
    if said.len() > SAID_BYTES_MAX {
        let end = (0..=SAID_BYTES_MAX).rev().find(|at| said.is_char_boundary(*at)).unwrap_or(0);
        said.truncate(end);
    }
    let code = output.status.code();
    match code.and_then(|code| kind.verdict(code)) {
        Some(is_whole) => Ok(FileSystemReport { device: device.to_owned(), kind, is_whole, command, said }),
        None => Err(failed(format!("{}: {said}", output.status))),
    }
}

/// Who has it mounted, or through which loop device it is in use.
fn user(device: &Path, is: &fs::Metadata) -> io::Result<Option<String>> {
    if is.file_type().is_block_device() {
        let (major, minor) = (rustix::fs::major(is.rdev()), rustix::fs::minor(is.rdev()));
        let mounts = fs::read_to_string("/proc/self/mountinfo")?;
        let mounted = mounts.lines().find_map(|line| {
            let mut fields = line.split(' ').skip(2);
            (fields.next()? == format!("{major}:{minor}"))
                .then(|| fields.nth(1).unwrap_or_default().to_owned())
        });
        return Ok(mounted.map(|at| format!("mounted at {at}")));
    }
    if !is.is_file() {
        return Err(io::Error::other("it is neither a device nor a file"));
    }
    let own = device.canonicalize()?;
    for entry in fs::read_dir("/sys/block").into_iter().flatten().flatten() {
        let backing = fs::read_to_string(entry.path().join("loop/backing_file")).unwrap_or_default();
        if Path::new(backing.trim_end_matches('\n')) == own {
            return Ok(Some(format!("the file of /dev/{}", entry.file_name().display())));
        }
    }
    Ok(None)
}
