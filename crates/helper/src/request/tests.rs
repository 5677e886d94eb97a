//! Owns the tests of requests: what is sent and read back, and that whatever is sent, it is an order of ours or none.

use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;

const WRITE: &str = r#"{"verb":"write_drop_in","unit":"mcp-server-mem.service","topic":"tuning","settings":[{"memory_max":268435456},{"environment":{"NODE_OPTIONS":"--max-old-space-size=128"}},"private_tmp"],"over":null}"#;

fn parse(text: &str) -> Result<Request, BadRequest> {
    Request::parse(format!("{text}\n").as_bytes())
}

#[track_caller]
fn refused(text: &str, words: &str) {
    let error = parse(text).and_then(|request| request.order()).unwrap_err().to_string();
    assert!(error.contains(words), "{text}: {error}");
}

#[test]
fn a_request_as_it_is_sent() {
    let request = parse(WRITE).unwrap();
    assert_eq!(request.to_line(), format!("{WRITE}\n"));
    let Order::DropIn { new: Some(new), over: None, .. } = request.order().unwrap() else { panic!() };
    let lines: Vec<_> = new.text().lines().skip(1).map(str::to_owned).collect();
    let expect = [
        "[Service]",
        "MemoryMax=268435456",
        "Environment=\"NODE_OPTIONS=--max-old-space-size=128\"",
        "PrivateTmp=yes",
    ];
    assert_eq!(lines, expect);
    let parameter = r#"{"verb":"set_parameter","key":"vm.swappiness","to":{"live":"10","kept":"10"},"over":{"live":"60","kept":null}}"#;
    assert_eq!(parse(parameter).unwrap().to_line(), format!("{parameter}\n"));
}

#[test]
fn what_is_no_request() {
    refused("", "not understood");
    refused("{}", "missing field `verb`");
    refused(r#"{"verb":"run","command":["id"]}"#, "unknown variant `run`");
    refused(&WRITE.replace("\"over\":null", "\"path\":\"/etc/shadow\""), "unknown field `path`");
    refused(
        &WRITE.replace("\"private_tmp\"", "{\"exec_start\":\"/bin/sh\"}"),
        "unknown variant `exec_start`",
    );
    refused(&WRITE.replace("\"private_tmp\"", "\"User=root\""), "unknown variant");
    refused(&WRITE.replace("\"tuning\"", "\"../../x\""), "unknown variant");
    refused(&WRITE.replace("268435456", "\"1G\\nExecStart=/bin/sh\""), "invalid type");
    refused(&WRITE.replace("268435456", "-1"), "invalid value");
    refused(&WRITE.replace("268435456", "7"), "less than");
    refused(&WRITE.replace("NODE_OPTIONS", "A B"), "no name of a variable");
    for name in [
        "../../etc/x.service",
        "a/b.service",
        "*.service",
        "mcp-server-mem.socket",
        "mcp-server-mem.service\\n",
        "",
    ] {
        refused(&WRITE.replace("mcp-server-mem.service", name), "");
    }
    let remove = r#"{"verb":"remove_drop_in","unit":"mcp-server-mem.service","topic":"tuning","over":[]}"#;
    refused(remove, "does nothing");
    let many = vec!["\"private_tmp\""; 33].join(",");
    refused(&WRITE.replace("\"private_tmp\"", &many), "at most 32 settings");
    let set = r#"{"verb":"set_parameter","key":"kernel.core_pattern","to":{"live":"|/bin/sh"},"over":{"live":"core"}}"#;
    refused(set, "not on the list");
}

#[test]
fn one_line_and_not_too_long() {
    assert!(matches!(Request::parse(WRITE.as_bytes()), Err(BadRequest::Line)), "its end is missing");
    assert!(matches!(Request::parse(format!("{WRITE}\n{WRITE}\n").as_bytes()), Err(BadRequest::Line)));
    let long = vec![b' '; REQUEST_BYTES_MAX + 1];
    assert!(matches!(Request::parse(&long), Err(BadRequest::Long)));
}

fn settings() -> impl Strategy<Value = Vec<Setting>> {
    let text = "[ -~\\t\\n\"\\\\%$äß]{0,40}";
    let environment = proptest::collection::btree_map("[A-Z_][A-Z0-9_]{0,12}", text, 1..4);
    let one = prop_oneof![
        (1u64 << 20..1 << 40).prop_map(Setting::MemoryMax),
        (1u64 << 41..1 << 42).prop_map(Setting::MemoryMax),
        (5u32..1000).prop_map(Setting::CpuQuota),
        (16u32..10_000).prop_map(Setting::TasksMax),
        (64u64..1 << 20).prop_map(Setting::OpenFiles),
        environment.prop_map(|variables: BTreeMap<String, String>| Setting::Environment(variables)),
        Just(Setting::NoNewPrivileges),
        Just(Setting::ProtectSystem),
        Just(Setting::ProtectHome),
        Just(Setting::DenyNetwork),
        Just(Setting::DenySystemCalls),
        Just(Setting::DenyAddressFamilies),
        Just(Setting::AllowNetwork(vec!["192.0.2.7".parse().unwrap(), "2001:db8::/32".parse().unwrap()])),
    ];
    proptest::collection::vec(one, 1..6)
}

/// A request with pieces of it exchanged.
fn mangled() -> impl Strategy<Value = Vec<u8>> {
    let cut = (0..WRITE.len(), 0usize..40, proptest::collection::vec(any::<u8>(), 0..40));
    proptest::collection::vec(cut, 0..4).prop_map(|cuts| {
        let mut bytes = WRITE.as_bytes().to_vec();
        for (at, length, new) in cuts {
            let at = at.min(bytes.len());
            let end = (at + length).min(bytes.len());
            bytes.splice(at..end, new);
        }
        bytes.push(b'\n');
        bytes
    })
}

/// Whatever was understood: its file is in the folder of one unit, and has one section with settings of the list.
fn check_order(order: &Order) -> Result<(), TestCaseError> {
    let Order::DropIn { unit, topic, new: Some(new), .. } = order else { return Ok(()) };
    let root = std::path::Path::new("/run/systemd/system");
    let path = new.path(root);
    prop_assert!(!unit.as_str().contains('/') && unit.as_str().ends_with(".service"));
    prop_assert_eq!(path.parent().and_then(std::path::Path::parent), Some(root));
    let text = new.text();
    prop_assert_eq!(text.lines().filter(|line| line.starts_with('[')).count(), 1);
    let names = [
        "MemoryMax",
        "MemoryHigh",
        "CPUQuota",
        "TasksMax",
        "LimitNOFILE",
        "Environment",
        "NoNewPrivileges",
        "PrivateTmp",
        "PrivateDevices",
        "ProtectSystem",
        "ProtectHome",
        "ProtectKernelTunables",
        "RestrictSUIDSGID",
        "IPAddressDeny",
        "IPAddressAllow",
        "SystemCallFilter",
        "SystemCallErrorNumber",
        "RestrictAddressFamilies",
    ];
    for line in text.lines().skip(2) {
        prop_assert!(line.split_once('=').is_some_and(|(name, _)| names.contains(&name)), "{}", line);
        // These would add to what a unit allows, if they said what is allowed.
        let takes_away = ["SystemCallFilter=", "RestrictAddressFamilies="]
            .iter()
            .all(|name| line.strip_prefix(name).is_none_or(|value| value.starts_with('~')));
        prop_assert!(takes_away, "{}", line);
    }
    // And it can be taken back: what was written is read as what it is.
    let read = DropIn::parse(unit.clone(), topic.as_str(), &text);
    prop_assert_eq!(read.as_ref(), Some(new));
    Ok(())
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn any_bytes_are_an_order_or_a_reason(bytes in proptest::collection::vec(any::<u8>(), 0..600)) {
        if let Ok(order) = Request::parse(&bytes).and_then(|request| request.order()) {
            check_order(&order)?;
        }
    }

    #[test]
    fn a_mangled_request_is_an_order_or_a_reason(bytes in mangled()) {
        if let Ok(order) = Request::parse(&bytes).and_then(|request| request.order()) {
            check_order(&order)?;
        }
    }

    #[test]
    fn what_is_sent_is_read_and_what_is_written_is_read_back(settings in settings(), unit in "[a-zA-Z0-9:_.\\\\@-]{1,30}") {
        let unit = format!("{unit}.service");
        let request = Request::WriteDropIn { unit, topic: Topic::Tuning, settings: settings.clone(), over: None };
        prop_assert_eq!(&Request::parse(request.to_line().as_bytes()).unwrap(), &request);
        if let Ok(order) = request.order() {
            check_order(&order)?;
            let Order::DropIn { new, .. } = &order else { return Ok(()) };
            prop_assert_eq!(Before::of_drop_in(new.as_ref()), Before::DropIn(Some(settings)));
        }
    }
}
