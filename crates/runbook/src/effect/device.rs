//! Owns which files below `/dev` may be opened by tools that look at disks: opening a watchdog starts it, opening a tape rewinds it.

/// Whether a device is a disk, as far as its name tells; volumes of LVM are named `/dev/GROUP/VOLUME`.
/// A NUL in the name stands for what is computed.
pub(super) fn names_disk(shape: &str) -> bool {
    const DISKS: [&str; 20] = [
        "bcache", "block/", "disk/", "dm-", "drbd", "hd", "loop", "mapper/", "md", "mmcblk", "nbd", "nvme",
        "pmem", "rbd", "sd", "sg", "sr", "vd", "xvd", "zvol/",
    ];
    // Folders that hold no volumes.
    const OTHERS: [&str; 17] = [
        "bsg",
        "bus",
        "char",
        "cpu",
        "dri",
        "fd",
        "hugepages",
        "infiniband",
        "input",
        "misc",
        "mqueue",
        "net",
        "pts",
        "snd",
        "tcp",
        "udp",
        "vfio",
    ];
    let Some((before, name)) = shape.split_once("/dev/") else { return false };
    let is_volume = name.split_once('/').is_some_and(|(group, volume)| {
        !group.is_empty() && !volume.is_empty() && !volume.contains('/') && !OTHERS.contains(&group)
    });
    (before.is_empty() || before.ends_with('='))
        && !name.contains("..")
        && !name.contains("/dev/")
        && (name.starts_with('\0') || is_volume || DISKS.iter().any(|disk| name.starts_with(disk)))
}

#[cfg(test)]
mod tests {
    use super::names_disk;

    #[test]
    fn disks_are_known_by_their_names() {
        for name in
            ["/dev/sda", "/dev/nvme0n1", "/dev/vg0/data", "/dev/mapper/x", "--name=/dev/sdb", "/dev/\0"]
        {
            assert!(names_disk(name), "{name}");
        }
        for name in
            ["/dev/watchdog", "/dev/st0", "/dev/tcp/h/1", "/dev/sda/../watchdog", "x/dev/sda", "/dev/ttyS0"]
        {
            assert!(!names_disk(name), "{name}");
        }
    }
}
