//! Owns what the machine does between two looks: processors, disks, network.

use std::collections::BTreeMap;
use std::fmt;
use std::time::Duration;

use serde::Serialize;

use crate::roots::{FILE_BYTES_MAX, Roots, read};
use crate::text::{lines, lossy, number, split_once, words};

/// A sector of `/proc/diskstats`, whatever the device calls one.
const SECTOR_BYTES: u64 = 512;
const DEVICES_MAX: usize = 1000;

/// The counters of the machine at one moment.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Sample {
    /// Ticks of all processors: all of them, and those without anything to do.
    cpu: Option<(u64, u64)>,
    /// Ticks that another machine took.
    stolen: Option<u64>,
    /// Ticks in which nothing could be done but wait for a disk.
    waiting: Option<u64>,
    disks: BTreeMap<String, Disk>,
    links: BTreeMap<String, Link>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Disk {
    reads: u64,
    writes: u64,
    read_bytes: u64,
    written_bytes: u64,
    busy_ms: u64,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Link {
    received_bytes: u64,
    sent_bytes: u64,
    errors: u64,
    dropped: u64,
}

/// What the machine did between two looks.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct Rates {
    /// How busy the processors were, all together.
    pub cpu_busy_percent: Option<f64>,
    /// Part of the time of the processors in which there was nothing to do but wait for a disk.
    pub cpu_waiting_percent: Option<f64>,
    /// Part of it that another machine took.
    pub cpu_stolen_percent: Option<f64>,
    /// By device.
    pub disks: BTreeMap<String, DiskRate>,
    /// By interface.
    pub links: BTreeMap<String, LinkRate>,
}

/// What a disk did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct DiskRate {
    /// Part of the time in which it had something to do.
    pub busy_percent: f64,
    /// Reads in a second.
    pub reads: f64,
    /// Writes in a second.
    pub writes: f64,
    /// Bytes read in a second.
    pub read_bytes: f64,
    /// Bytes written in a second.
    pub written_bytes: f64,
}

/// What an interface did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct LinkRate {
    /// Bytes in a second.
    pub received_bytes: f64,
    /// Bytes in a second.
    pub sent_bytes: f64,
    /// Broken packets in a second, both ways.
    pub errors: f64,
    /// Packets in a second for which there was no room, both ways.
    pub dropped: f64,
}

// === impl Sample ===

impl Sample {
    /// Reads the counters; what cannot be read is not in them.
    pub fn take(roots: &Roots) -> Self {
        let part = |name: &str| read(&roots.proc.join(name), FILE_BYTES_MAX).unwrap_or_default();
        let mut sample = Self::default();
        if let Some(line) = lines(&part("stat")).find_map(|line| line.strip_prefix(b"cpu ")) {
            // user, nice, system, idle, iowait, irq, softirq, steal; guests are in user already.
            let ticks: Vec<u64> = words(line).map_while(number).take(8).collect();
            let all = ticks.iter().fold(0, |sum: u64, ticks| sum.saturating_add(*ticks));
            let waiting = ticks.get(4).copied();
            let idle = ticks.get(3).map(|idle| idle.saturating_add(waiting.unwrap_or(0)));
            (sample.cpu, sample.waiting) = (idle.map(|idle| (all, idle)), waiting);
            sample.stolen = ticks.get(7).copied();
        }
        sample.disks = lines(&part("diskstats")).filter_map(disk).take(DEVICES_MAX).collect();
        sample.links = lines(&part("net/dev")).filter_map(link).take(DEVICES_MAX).collect();
        sample
    }

    /// What happened since `before`, which is `elapsed` ago. A counter that is smaller now has begun anew, and tells
    /// nothing.
    pub fn since(&self, before: &Self, elapsed: Duration) -> Rates {
        let seconds = elapsed.as_secs_f64().max(1e-3);
        let rate = |now: u64, before: u64| now.saturating_sub(before) as f64 / seconds;
        let ticks = self.cpu.zip(before.cpu).map(|(now, before)| {
            (now.0.saturating_sub(before.0) as f64, now.1.saturating_sub(before.1) as f64)
        });
        let ticks = ticks.filter(|(all, _)| *all > 0.0);
        let part = |now: Option<u64>, before: Option<u64>| {
            let (now, before, (all, _)) = (now?, before?, ticks?);
            Some(now.saturating_sub(before) as f64 * 100.0 / all)
        };
        let disk = |(name, now): (&String, &Disk)| {
            let before = before.disks.get(name)?;
            let of = DiskRate {
                busy_percent: (rate(now.busy_ms, before.busy_ms) / 10.0).min(100.0),
                reads: rate(now.reads, before.reads),
                writes: rate(now.writes, before.writes),
                read_bytes: rate(now.read_bytes, before.read_bytes),
                written_bytes: rate(now.written_bytes, before.written_bytes),
            };
            Some((name.clone(), of))
        };
        let link = |(name, now): (&String, &Link)| {
            let before = before.links.get(name)?;
            let of = LinkRate {
                received_bytes: rate(now.received_bytes, before.received_bytes),
                sent_bytes: rate(now.sent_bytes, before.sent_bytes),
                errors: rate(now.errors, before.errors),
                dropped: rate(now.dropped, before.dropped),
            };
            Some((name.clone(), of))
        };
        Rates {
            cpu_busy_percent: ticks.map(|(all, idle)| ((all - idle) * 100.0 / all).clamp(0.0, 100.0)),
            cpu_waiting_percent: part(self.waiting, before.waiting),
            cpu_stolen_percent: part(self.stolen, before.stolen),
            disks: self.disks.iter().filter_map(disk).collect(),
            links: self.links.iter().filter_map(link).collect(),
        }
    }
}

// === impl Rates ===

/// The processors, the busiest disk and the busiest interface, in one line.
impl fmt::Display for Rates {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(percent) = self.cpu_busy_percent {
            write!(f, "cpu {percent:.0} %")?;
        }
        let busiest =
            self.disks.iter().max_by(|one, other| one.1.busy_percent.total_cmp(&other.1.busy_percent));
        if let Some((name, disk)) = busiest {
            write!(f, ", {name} {:.0} %", disk.busy_percent)?;
        }
        let bytes = |link: &LinkRate| link.received_bytes + link.sent_bytes;
        let busiest = self.links.iter().max_by(|one, other| bytes(one.1).total_cmp(&bytes(other.1)));
        if let Some((name, link)) = busiest {
            write!(f, ", {name} {:.0} KiB/s", bytes(link) / 1024.0)?;
        }
        Ok(())
    }
}

/// The fields: major, minor, name, reads, merged, sectors, ms, writes, merged, sectors, ms, in flight, busy ms.
fn disk(line: &[u8]) -> Option<(String, Disk)> {
    let fields: Vec<&[u8]> = words(line).take(14).collect();
    let field = |n: usize| fields.get(n).copied().and_then(number);
    let disk = Disk {
        reads: field(3)?,
        read_bytes: field(5)?.saturating_mul(SECTOR_BYTES),
        writes: field(7)?,
        written_bytes: field(9)?.saturating_mul(SECTOR_BYTES),
        busy_ms: field(12)?,
    };
    Some((lossy(fields.get(2)?), disk))
}

/// `NAME: bytes packets errors dropped … ` for what came, and eight numbers on the same of what went.
fn link(line: &[u8]) -> Option<(String, Link)> {
    let (name, rest) = split_once(line, b':')?;
    let fields: Vec<u64> = words(rest).map_while(number).collect();
    let field = |n: usize| fields.get(n).copied();
    let link = Link {
        received_bytes: field(0)?,
        sent_bytes: field(8)?,
        errors: field(2)?.saturating_add(field(10)?),
        dropped: field(3)?.saturating_add(field(11)?),
    };
    Some((lossy(name.trim_ascii()), link))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    fn sample(stat: &str, disks: &str, links: &str) -> Sample {
        let root = tempfile::tempdir().unwrap();
        let roots = Roots::below(root.path());
        fs::create_dir_all(roots.proc.join("net")).unwrap();
        for (name, text) in [("stat", stat), ("diskstats", disks), ("net/dev", links)] {
            fs::write(roots.proc.join(name), text).unwrap();
        }
        Sample::take(&roots)
    }

    #[test]
    fn what_happened_between_two_looks() {
        let before = sample(
            "cpu  100 0 100 700 100 0 0 0 0 0\ncpu0 1 1\n",
            " 8 0 sda 10 0 100 5 20 0 200 5 0 1000 10\n",
            "Inter-|\n face |\n  eth0: 1000 1 0 0 0 0 0 0 2000 1 0 0 0 0 0 0\n",
        );
        let now = sample(
            "cpu  150 0 130 780 120 0 0 20 0 0\n",
            " 8 0 sda 30 0 300 5 60 0 600 5 0 2000 10\n 8 16 sdb 1 0 1 1 1 0 1 1 0 1 1\n",
            "  eth0: 3000 1 1 2 0 0 0 0 2000 1 0 0 0 0 0 0\n",
        );
        let rates = now.since(&before, Duration::from_secs(2));
        assert_eq!((rates.cpu_busy_percent, rates.cpu_waiting_percent), (Some(50.0), Some(10.0)));
        assert_eq!(rates.cpu_stolen_percent, Some(10.0));
        let disk = rates.disks["sda"];
        assert_eq!((disk.busy_percent, disk.reads, disk.writes), (50.0, 10.0, 20.0));
        assert_eq!((disk.read_bytes, disk.written_bytes), (51_200.0, 102_400.0));
        assert_eq!(rates.links["eth0"].received_bytes, 1000.0);
        assert_eq!((rates.links["eth0"].errors, rates.links["eth0"].dropped), (0.5, 1.0));
        assert!(!rates.disks.contains_key("sdb"), "it was not there before");
        assert_eq!(rates.to_string(), "cpu 50 %, sda 50 %, eth0 1 KiB/s");
    }

    #[test]
    fn what_cannot_be_read_is_not_there() {
        let nothing = sample("", "8 0\n", "eth0 1 2\n");
        assert_eq!(nothing, Sample::default());
        assert_eq!(nothing.since(&nothing, Duration::ZERO), Rates::default());
        let now = Sample::take(&Roots::default());
        assert!(now.since(&now, Duration::from_secs(1)).cpu_busy_percent.is_none());
    }
}
