//! Owns the tests of drop-ins without a systemd: what is refused, what is written, and that an undo is exact.

use super::*;
use crate::unit::Limit;

fn unit() -> UnitName {
    "mcp-server-mem.service".parse().unwrap()
}

fn memory(bytes: u64) -> DropIn {
    DropIn::new(unit(), "memory", vec![Setting::MemoryMax(Limit::Bytes(bytes))]).unwrap()
}

fn variables(pairs: &[(&str, &str)]) -> Setting {
    Setting::Environment(
        pairs.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect(),
    )
}

#[track_caller]
fn refused(settings: Vec<Setting>, why: &str) {
    let error = DropIn::new(unit(), "a", settings).unwrap_err().to_string();
    assert!(error.contains(why), "{error}");
}

#[test]
fn nonsense_is_refused() {
    use Setting::{IpAddressDeny, MemoryHigh, MemoryMax, NoNewPrivileges, ReadWritePaths};
    refused(vec![], "does nothing");
    refused(vec![MemoryMax(Limit::Bytes(0))], "less than");
    refused(vec![MemoryMax(Limit::Bytes(u64::MAX))], "more than there can be");
    refused(vec![NoNewPrivileges, NoNewPrivileges], "set twice");
    refused(vec![MemoryMax(Limit::Bytes(2 << 20)), MemoryHigh(Limit::Bytes(3 << 20))], "never be reached");
    refused(vec![variables(&[])], "empty");
    for name in ["", "1A", "A B", "A=B", "ä"] {
        refused(vec![variables(&[(name, "x")])], "no name of a variable");
    }
    for value in ["\0", "\r", "\u{1b}[0m", "\u{7f}", "\u{fffe}", "\u{fdd0}"] {
        refused(vec![variables(&[("A", value)])], "in it");
    }
    refused(vec![variables(&[("A", &"x".repeat(5000))])], "longer than");
    for path in ["relative", "/a/../b", "/a\nb", ""] {
        refused(vec![ReadWritePaths(vec![path.into()])], "no absolute path");
    }
    refused(vec![IpAddressDeny(vec![Network::Prefix("10.0.0.0".parse().unwrap(), 33)])], "no 33 bits");
    for topic in ["", "A", "../x", "a b", &"x".repeat(33)] {
        assert!(DropIn::new(unit(), topic, vec![NoNewPrivileges]).is_err(), "{topic}");
    }
}

#[test]
fn settings_are_written_as_systemd_reads_them() {
    let settings = vec![
        Setting::MemoryMax(Limit::Bytes(64 << 20)),
        Setting::MemoryHigh(Limit::Unlimited),
        variables(&[("A", "x \"y\" \\ %h $B"), ("B", "a\nb\tc")]),
        Setting::ProtectSystem(ProtectSystem::Strict),
        Setting::ReadWritePaths(vec!["/var/lib/a b".into()]),
        Setting::RestrictAddressFamilies(vec![AddressFamily::Unix, AddressFamily::Inet]),
        Setting::IpAddressDeny(vec![Network::Any]),
        Setting::IpAddressAllow(vec![Network::Localhost, Network::Prefix("10.0.0.0".parse().unwrap(), 8)]),
    ];
    let text = DropIn::new(unit(), "all", settings).unwrap().text();
    let expect = "[Service]\nMemoryMax=67108864\nMemoryHigh=infinity\n\
        Environment=\"A=x \\\"y\\\" \\\\ %%h $B\"\nEnvironment=\"B=a\\nb\\tc\"\nProtectSystem=strict\n\
        ReadWritePaths=\"/var/lib/a b\"\nRestrictAddressFamilies=AF_UNIX AF_INET\nIPAddressDeny=any\n\
        IPAddressAllow=localhost 10.0.0.0/8\n";
    assert_eq!(text.split_once('\n').unwrap().1, expect);
}

#[test]
fn what_shuts_something_off_is_read_back() {
    let settings = vec![
        Setting::NoNewPrivileges,
        Setting::DenySystemCalls,
        Setting::DenyAddressFamilies,
        Setting::IpAddressDeny(vec![Network::Any]),
        Setting::IpAddressAllow(vec![
            Network::Localhost,
            Network::Prefix("192.0.2.7".parse().unwrap(), 32),
            Network::Prefix("2001:db8::".parse().unwrap(), 32),
        ]),
    ];
    let text = DropIn::new(unit(), "sandbox", settings.clone()).unwrap().text();
    assert!(
        text.contains("\nSystemCallFilter=~@clock ") && text.contains("\nSystemCallErrorNumber=EPERM\n"),
        "{text}"
    );
    assert!(text.contains("\nRestrictAddressFamilies=~AF_ALG "), "only what takes away: {text}");
    assert_eq!(DropIn::parse(unit(), "sandbox", &text).unwrap().settings(), settings);
    // A list of what is allowed, or an error alone, is none of ours.
    for (ours, theirs) in [
        ("=~@clock", "=@clock"),
        ("SystemCallFilter=~@clock", "SystemCallErrorNumber=EPERM\nSystemCallFilter=~@clock"),
        ("localhost ", "any "),
    ] {
        assert!(text.contains(ours));
        assert_eq!(DropIn::parse(unit(), "sandbox", &text.replacen(ours, theirs, 1)), None, "{theirs}");
    }
}

#[test]
fn a_change_and_its_undo_are_exact_and_leave_nothing() {
    let folder = tempfile::tempdir().unwrap();
    let first = memory(64 << 20).plan(folder.path()).unwrap().unwrap();
    assert_eq!(first.path, folder.path().join("mcp-server-mem.service.d/50-paramedic-memory.conf"));
    first.write().unwrap();
    assert_eq!(memory(64 << 20).plan(folder.path()).unwrap(), None, "it is so already");
    let second = memory(32 << 20).plan(folder.path()).unwrap().unwrap();
    let diff = second.diff();
    assert!(
        diff.contains("\n-MemoryMax=67108864\n+MemoryMax=33554432\n") && diff.contains("\n [Service]\n"),
        "{diff}"
    );
    second.write().unwrap();
    second.reversed().write().unwrap();
    assert_eq!(fs::read_to_string(&first.path).unwrap(), memory(64 << 20).text());
    assert!(first.reversed().diff().contains("+++ /dev/null\n-# Set by"), "{}", first.reversed().diff());
    first.reversed().write().unwrap();
    assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 0);
    assert_eq!(memory(1 << 20).plan_removal(folder.path()).unwrap(), None);
}

#[test]
fn what_somebody_else_has_edited_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let change = memory(64 << 20).plan(folder.path()).unwrap().unwrap();
    change.write().unwrap();
    assert!(matches!(change.write(), Err(Error::Moved { .. })), "made twice");
    fs::write(&change.path, "[Service]\nMemoryMax=1G\n").unwrap();
    assert!(matches!(change.reversed().write(), Err(Error::Moved { .. })));
    assert_eq!(fs::read_to_string(&change.path).unwrap(), "[Service]\nMemoryMax=1G\n");
    fs::remove_file(&change.path).unwrap();
    assert!(matches!(change.reversed().write(), Err(Error::Moved { .. })));
    // What stands beside it stays.
    change.write().unwrap();
    let beside = change.path.with_file_name("10-own.conf");
    fs::write(&beside, "[Service]\n").unwrap();
    change.reversed().write().unwrap();
    assert!(beside.exists());
}

#[test]
fn a_file_that_is_no_setting_is_not_read() {
    let folder = tempfile::tempdir().unwrap();
    let path = memory(1 << 20).path(folder.path());
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    for content in [vec![0xff, 0xfe], vec![b'#'; 70_000]] {
        fs::write(&path, content).unwrap();
        assert!(matches!(memory(1 << 20).plan(folder.path()), Err(Error::File { action: "read", .. })));
    }
}
