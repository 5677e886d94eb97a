//! Owns what the machine is and how busy: name, kernel, boot, clock and load.

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read, read_line, read_link};
use crate::text::{lines, lossy, number, split_once, words};

/// Which machine this is. The boot id changes with every start of the kernel.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Machine {
    /// The name of this host.
    pub hostname: Option<String>,
    /// The kernel, such as `Linux`.
    pub kernel: Option<String>,
    /// Its release, such as `6.1.0-30-amd64`.
    pub release: Option<String>,
    /// How it was built.
    pub build: Option<String>,
    /// The architecture, such as `x86_64`; kernels before 6.1 do not say.
    pub architecture: Option<String>,
    /// The distribution, such as `Debian GNU/Linux 12 (bookworm)`.
    pub distribution: Option<String>,
    /// One start of this kernel.
    pub boot_id: Option<String>,
}

/// What the time is here, and by which clock.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Clock {
    /// When the snapshot was taken, as its caller said.
    pub at_ms: i64,
    /// Since the kernel started.
    pub uptime_ms: Option<u64>,
    /// What the kernel takes the time from, such as `tsc`.
    pub source: Option<String>,
    /// Where `/etc/localtime` points.
    pub time_zone: Option<String>,
}

/// How many tasks wanted to run or waited for a disk, and how many there are.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Load {
    /// The average over the last minute.
    pub minutes_1: Option<f64>,
    /// The average over the last 5 minutes.
    pub minutes_5: Option<f64>,
    /// The average over the last 15 minutes.
    pub minutes_15: Option<f64>,
    /// Threads that run or could run now.
    pub threads_runnable: Option<u64>,
    /// Threads that exist.
    pub threads: Option<u64>,
}

// === impl Machine ===

impl Machine {
    pub(crate) fn read(roots: &Roots) -> Self {
        let kernel = |name: &str| read_line(&roots.proc.join("sys/kernel").join(name));
        Self {
            hostname: kernel("hostname"),
            kernel: kernel("ostype"),
            release: kernel("osrelease"),
            build: kernel("version"),
            architecture: kernel("arch"),
            distribution: distribution(roots),
            boot_id: kernel("random/boot_id"),
        }
    }
}

// === impl Clock ===

impl Clock {
    pub(crate) fn read(roots: &Roots, at_ms: i64) -> Self {
        Self {
            at_ms,
            uptime_ms: uptime_ms(roots),
            source: read_line(&roots.sys.join("devices/system/clocksource/clocksource0/current_clocksource")),
            time_zone: read_link(&roots.etc.join("localtime")),
        }
    }
}

// === impl Load ===

impl Load {
    pub(crate) fn read(roots: &Roots) -> Option<Self> {
        let bytes = read(&roots.proc.join("loadavg"), FILE_BYTES_MAX)?;
        let mut fields = words(&bytes);
        let mut average = || std::str::from_utf8(fields.next()?).ok()?.parse().ok();
        let (minutes_1, minutes_5, minutes_15) = (average(), average(), average());
        let (runnable, threads) = fields.next().and_then(|word| split_once(word, b'/')).unzip();
        Some(Self {
            minutes_1,
            minutes_5,
            minutes_15,
            threads_runnable: runnable.and_then(number),
            threads: threads.and_then(number),
        })
    }
}

/// How long the machine has been up.
pub(crate) fn uptime_ms(roots: &Roots) -> Option<u64> {
    let bytes = read(&roots.proc.join("uptime"), FILE_BYTES_MAX)?;
    milliseconds(words(&bytes).next()?)
}

/// The kernel writes seconds with two decimals.
fn milliseconds(word: &[u8]) -> Option<u64> {
    let (seconds, hundredths) = split_once(word, b'.')?;
    number(seconds)?.checked_mul(1000)?.checked_add(number(hundredths)? * 10)
}

fn distribution(roots: &Roots) -> Option<String> {
    let bytes = read(&roots.etc.join("os-release"), FILE_BYTES_MAX)?;
    let value = lines(&bytes).find_map(|line| line.strip_prefix(b"PRETTY_NAME="))?;
    Some(lossy(value.trim_ascii()).trim_matches(['"', '\'']).to_owned())
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::symlink;

    use super::{Clock, Load, Machine, milliseconds};
    use crate::Roots;

    #[test]
    fn an_empty_tree_says_nothing() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        let machine = Machine::read(&roots);
        assert_eq!((machine.hostname, machine.boot_id, machine.distribution), (None, None, None));
        let clock = Clock::read(&roots, 7);
        assert_eq!(clock, Clock { at_ms: 7, uptime_ms: None, source: None, time_zone: None });
        assert_eq!(Load::read(&roots), None);
    }

    #[test]
    fn each_field_stands_alone() {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        fs::create_dir_all(roots.proc.join("sys/kernel")).unwrap();
        fs::create_dir_all(&roots.etc).unwrap();
        fs::write(roots.proc.join("sys/kernel/hostname"), "alpha\n").unwrap();
        fs::write(roots.proc.join("loadavg"), "0.50 x 1.25 3/456 789\n").unwrap();
        fs::write(roots.proc.join("uptime"), "12.34 99.00\n").unwrap();
        fs::write(roots.etc.join("os-release"), "ID=x\nPRETTY_NAME=\"A B\"\n").unwrap();
        symlink("/usr/share/zoneinfo/Etc/UTC", roots.etc.join("localtime")).unwrap();
        let machine = Machine::read(&roots);
        assert_eq!(machine.hostname.as_deref(), Some("alpha"));
        assert_eq!(machine.distribution.as_deref(), Some("A B"));
        assert_eq!(machine.release, None);
        let clock = Clock::read(&roots, 0);
        assert_eq!(clock.uptime_ms, Some(12_340));
        assert_eq!(clock.time_zone.as_deref(), Some("/usr/share/zoneinfo/Etc/UTC"));
        let load = Load::read(&roots).unwrap();
        assert_eq!((load.minutes_1, load.minutes_5, load.minutes_15), (Some(0.5), None, Some(1.25)));
        assert_eq!((load.threads_runnable, load.threads), (Some(3), Some(456)));
    }

    #[test]
    fn uptime_that_cannot_be_is_none() {
        for odd in [b"".as_slice(), b"12", b"x.00", b"99999999999999999999.00", b"18446744073709551.99"] {
            assert_eq!(milliseconds(odd), None, "{odd:?}");
        }
    }
}
