//! Owns the tests of units that systemd describes in ways of its own.

use std::collections::HashMap;

use zbus::zvariant::{ObjectPath, OwnedValue, Value};

use super::*;

fn unit(properties: &[(&str, Value<'_>)]) -> Unit {
    let owned =
        |(name, value): &(&str, Value<'_>)| ((*name).to_owned(), OwnedValue::try_from(value).unwrap());
    let mut all = Properties::default();
    all.update(properties.iter().map(owned).collect::<HashMap<_, _>>());
    Unit::of(&"mcp-server-mem.service".parse().unwrap(), &all)
}

#[test]
fn a_version_that_says_nothing_is_understood() {
    let unit = unit(&[]);
    assert_eq!(unit.id.as_str(), "mcp-server-mem.service");
    assert!(unit.active.is_none() && unit.restarts.is_none() && unit.memory_max.is_none());
    assert!(!unit.is_up() && !unit.is_down() && !unit.restarts_itself());
}

#[test]
fn what_means_nothing_is_nothing() {
    let none = ObjectPath::try_from("/").unwrap();
    let empty: Vec<u8> = Vec::new();
    let unit = unit(&[
        ("MainPID", 0u32.into()),
        ("ExecMainExitTimestamp", 0u64.into()),
        ("ExecMainPID", 77u32.into()),
        ("Job", Value::from((0u32, none))),
        ("MemoryCurrent", u64::MAX.into()),
        ("MemoryMax", u64::MAX.into()),
        ("MemoryHigh", 4096u64.into()),
        ("WatchdogUSec", u64::MAX.into()),
        ("InvocationID", empty.into()),
        ("FragmentPath", "".into()),
        ("Result", "a-word-of-tomorrow".into()),
        ("SubState", 5u32.into()),
    ]);
    assert_eq!((unit.main_pid, unit.main_exit, unit.job, unit.memory_bytes), (None, None, None, None));
    assert_eq!((unit.memory_max, unit.memory_high), (Some(Limit::Unlimited), Some(Limit::Bytes(4096))));
    assert_eq!((unit.watchdog, unit.invocation, unit.fragment, unit.sub), (None, None, None, None));
    assert_eq!(unit.result, Some(ServiceResult::Other("a-word-of-tomorrow".to_owned())));
    assert_eq!(unit.result.unwrap().to_string(), "a-word-of-tomorrow");
}

#[test]
fn ends_are_those_of_waitid() {
    for (code, status, ending) in [
        (1, 41, Some(Ending::Exited(41))),
        (2, 9, Some(Ending::Signaled(9))),
        (3, 11, Some(Ending::Signaled(11))),
        (0, 0, None),
        (6, 1, None),
    ] {
        let unit = unit(&[
            ("ExecMainPID", 77u32.into()),
            ("ExecMainCode", Value::from(code)),
            ("ExecMainStatus", Value::from(status)),
            ("ExecMainExitTimestamp", 1_795_683_524_740_231u64.into()),
        ]);
        let exit = unit.main_exit.unwrap();
        assert_eq!((exit.pid, exit.ending, exit.at_ms()), (Some(77), ending, 1_795_683_524_740));
    }
}

#[test]
fn a_job_and_a_run_have_their_numbers() {
    let path = ObjectPath::try_from("/org/freedesktop/systemd1/job/12").unwrap();
    let unit = unit(&[("Job", Value::from((12u32, path))), ("InvocationID", vec![0xabu8; 16].into())]);
    assert_eq!(unit.job, Some(JobId(12)));
    assert_eq!(unit.invocation.unwrap().to_string(), "ab".repeat(16));
}
