//! Owns the four times of a file, as far as its file system keeps them, and to whom it belongs.

use std::os::fd::AsFd;

use rustix::fs::{AtFlags, Statx, StatxFlags, StatxTimestamp, statx};
use serde::{Deserialize, Serialize};

/// What a file said of itself before it was read. Times are in nanoseconds since the Unix epoch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Times {
    /// When its content was last changed; anybody who may write to it can set that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mtime_ns: Option<i64>,
    /// When it was last read, where that is kept.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub atime_ns: Option<i64>,
    /// When anything of it was last changed; nobody can set that without setting the clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ctime_ns: Option<i64>,
    /// When it came to be, where the file system keeps that.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub birth_ns: Option<i64>,
    /// Its kind and permissions, octal.
    pub mode: String,
    /// Its owner.
    pub uid: u32,
    /// Its group.
    pub gid: u32,
    /// Its size.
    pub bytes: u64,
    /// How many names it has.
    pub links: u32,
    /// Its number on its device.
    pub inode: u64,
    /// Its device, as `MAJOR:MINOR`.
    pub device: String,
}

// === impl Times ===

impl Times {
    /// Of an open file; `None` where the kernel does not say.
    pub fn of(file: impl AsFd) -> Option<Self> {
        let asked = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        Some(Self::read(&statx(file, c"", AtFlags::EMPTY_PATH, asked).ok()?))
    }

    /// Of a name in an open folder, which is not followed if it is a link.
    pub fn of_name(folder: impl AsFd, name: &std::ffi::OsStr) -> Option<Self> {
        let asked = StatxFlags::BASIC_STATS | StatxFlags::BTIME;
        Some(Self::read(&statx(folder, name, AtFlags::SYMLINK_NOFOLLOW, asked).ok()?))
    }

    fn read(stat: &Statx) -> Self {
        let known = |flag: StatxFlags, time: StatxTimestamp| {
            let has = StatxFlags::from_bits_retain(stat.stx_mask).contains(flag);
            has.then(|| time.tv_sec.checked_mul(1_000_000_000)?.checked_add(i64::from(time.tv_nsec)))
                .flatten()
        };
        Self {
            mtime_ns: known(StatxFlags::MTIME, stat.stx_mtime),
            atime_ns: known(StatxFlags::ATIME, stat.stx_atime),
            ctime_ns: known(StatxFlags::CTIME, stat.stx_ctime),
            birth_ns: known(StatxFlags::BTIME, stat.stx_btime),
            mode: format!("{:o}", stat.stx_mode),
            uid: stat.stx_uid,
            gid: stat.stx_gid,
            bytes: stat.stx_size,
            links: stat.stx_nlink,
            inode: stat.stx_ino,
            device: format!("{}:{}", stat.stx_dev_major, stat.stx_dev_minor),
        }
    }
}
