//! Owns the tests of names: what is one, what is escaped, and that a pattern never reaches further than it says.

use std::process::Command;

use proptest::prelude::*;

use super::*;

#[track_caller]
fn refused(name: &str, why: &str) {
    let error = name.parse::<UnitName>().unwrap_err().to_string();
    assert!(error.contains(why), "{name:?}: {error}");
}

#[test]
fn only_exact_names_of_services_are_names() {
    for name in ["mcp-server-mem.service", "a.service", "a@b@c.service", "a\\x20b.service", "ssh.foo.service"]
    {
        assert_eq!(name.parse::<UnitName>().unwrap().as_str(), name);
    }
    for name in ["mem", "mem.socket", "", "mem.service.d"] {
        refused(name, "end with `.service`");
    }
    for letter in ['*', '?', '[', ' ', '/', '\n', '\0', ';', '$', '%', '"', 'ö', '{', '!', '~'] {
        refused(&format!("mcp-server-{letter}.service"), "may not be in it");
    }
    refused(".service", "nothing stands before");
    refused("@a.service", "nothing stands before");
    refused("mcp-server@.service", "is a template");
    refused(&format!("{}.service", "a".repeat(248)), "longer than 255");
    assert!(format!("{}.service", "a".repeat(247)).parse::<UnitName>().is_ok());
}

#[test]
fn a_server_has_two_names_and_both_lead_back() {
    for (server, plain) in [
        ("mem", "mcp-server-mem.service"),
        ("mem-2", "mcp-server-mem-2.service"),
        ("a.b_c", "mcp-server-a.b_c.service"),
        ("*", "mcp-server-\\x2a.service"),
        ("a b/c", "mcp-server-a\\x20b\\x2fc.service"),
        ("ö\\", "mcp-server-\\xc3\\xb6\\x5c.service"),
        ("x.service", "mcp-server-x.service.service"),
    ] {
        let name = UnitName::of_server(server).unwrap();
        assert_eq!((name.as_str(), name.server().as_deref()), (plain, Some(server)));
        let instance = UnitName::instance_of_server(server).unwrap();
        assert_eq!(instance.as_str(), plain.replacen("mcp-server-", "mcp-server@", 1));
        assert_eq!(instance.server().as_deref(), Some(server));
    }
    assert!(UnitName::of_server("").is_err() && UnitName::instance_of_server("").is_err());
    assert!(UnitName::of_server(&"x".repeat(300)).is_err());
    for name in [
        "ssh.service",
        "mcp-server-.service",
        "mcp-server-\\xff.service",
        "mcp-server-\\xg1.service",
        "mcp-server-\\x.service",
    ] {
        assert_eq!(name.parse::<UnitName>().unwrap().server(), None, "{name}");
    }
}

#[test]
fn object_paths_are_those_of_systemd() {
    for (name, path) in [
        ("polkit.service", "polkit_2eservice"),
        ("mcp-server-mem-2.service", "mcp_2dserver_2dmem_2d2_2eservice"),
        ("0a.service", "_30a_2eservice"),
        ("a\\x20_@b.service", "a_5cx20_5f_40b_2eservice"),
    ] {
        let name: UnitName = name.parse().unwrap();
        assert_eq!(name.object_path(), format!("/org/freedesktop/systemd1/unit/{path}"));
    }
}

#[track_caller]
fn found(pattern: &str, names: &[(&str, bool)]) {
    let pattern: Pattern = pattern.parse().unwrap();
    for (name, expect) in names {
        assert_eq!(pattern.matches(&name.parse().unwrap()), *expect, "{pattern:?} {name}");
    }
}

#[test]
fn patterns_find_what_they_say() {
    found(
        "mcp-server-*.service",
        &[
            ("mcp-server-mem.service", true),
            ("mcp-server-mem-2.service", true),
            ("mcp-server@mem.service", false),
            ("xmcp-server-mem.service", false),
        ],
    );
    found("a?c*e.service", &[("abcde.service", true), ("abce.service", true), ("ace.service", false)]);
    found("a*b*c.service", &[("abbcbc.service", true), ("abcb.service", false)]);
    found("mem.service", &[("mem.service", true), ("mem-2.service", false)]);
    for pattern in
        ["*.service", "?.service", "*", ".service", "a*", "a[bc].service", "a/*.service", "a *.service"]
    {
        assert!(pattern.parse::<Pattern>().is_err(), "{pattern}");
    }
}

proptest! {
    #[test]
    fn any_server_has_a_name_that_leads_back_to_it(server in "\\PC{1,40}") {
        if let Ok(name) = UnitName::of_server(&server) {
            prop_assert_eq!(&name.as_str().parse::<UnitName>().unwrap(), &name);
            prop_assert_eq!(name.server(), Some(server));
            let path = name.object_path();
            prop_assert!(zbus::zvariant::ObjectPath::try_from(path.as_str()).is_ok());
        }
    }

    #[test]
    fn different_servers_have_different_units(a in "\\PC{1,12}", b in "\\PC{1,12}") {
        let names = [&a, &b].map(|server| UnitName::of_server(server).unwrap());
        prop_assert_eq!(a == b, names[0] == names[1]);
        prop_assert_eq!(a == b, names[0].object_path() == names[1].object_path());
    }

    #[test]
    fn any_text_is_a_name_or_is_refused(text in "\\PC{0,60}") {
        if let Ok(name) = text.parse::<UnitName>() {
            prop_assert!(!text.contains(['*', '?', '[', '/', ' ']));
            let _ = name.server();
        }
        let _ = text.parse::<Pattern>();
    }

    #[test]
    fn a_pattern_of_letters_is_its_own_only_match(name in "[a-z-]{1,12}\\.service", other in "[a-z-]{1,12}\\.service") {
        let pattern: Pattern = name.parse().unwrap();
        prop_assert!(pattern.matches(&name.parse().unwrap()));
        prop_assert_eq!(pattern.matches(&other.parse().unwrap()), name == other);
    }

    #[test]
    fn stars_match_as_a_plain_search_does(parts in prop::collection::vec("[ab]{0,3}", 1..4), stem in "[ab]{0,10}") {
        let text = format!("x{}.service", parts.join("*"));
        let name: UnitName = format!("x{stem}.service").parse().unwrap();
        prop_assert_eq!(text.parse::<Pattern>().unwrap().matches(&name), slow(text.as_bytes(), name.as_str().as_bytes()));
    }
}

/// The definition, by trying everything.
fn slow(pattern: &[u8], name: &[u8]) -> bool {
    match pattern.split_first() {
        None => name.is_empty(),
        Some((b'*', rest)) => (0..=name.len()).any(|from| slow(rest, &name[from..])),
        Some((letter, rest)) => name.first() == Some(letter) && slow(rest, &name[1..]),
    }
}

/// The program of systemd itself is the judge, where it is at hand. Only `-` and `/` are other: a server is no path.
#[test]
fn systemd_escape_agrees() {
    let texts = ["mem", "a b", "ö*?[]\\", "x@y", "a.b:c_d", "$(rm)", "\"'"];
    for text in texts {
        let Ok(output) = Command::new("systemd-escape").args(["--", text]).output() else {
            println!("SKIPPED: systemd-escape is not installed");
            return;
        };
        assert_eq!(String::from_utf8(output.stdout).unwrap().trim_end(), escape(text));
    }
}
