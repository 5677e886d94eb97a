//! Owns the tests of parameters: the closed list, the file of the next boot, and that what fails leaves nothing.

use super::*;

fn state(live: &str, kept: Option<&str>) -> ParameterState {
    ParameterState { live: live.to_owned(), kept: kept.map(str::to_owned) }
}

fn place(parameters: &[(&str, &str)]) -> tempfile::TempDir {
    let root = tempfile::tempdir().unwrap();
    fs::create_dir_all(root.path().join("etc/sysctl.d")).unwrap();
    for (key, value) in parameters {
        let path = root.path().join("proc/sys").join(key.replace('.', "/"));
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, value).unwrap();
    }
    root
}

#[test]
fn values_are_held_against_their_bounds() {
    for (key, value, expect) in [
        ("vm.swappiness", "10", Some("10")),
        ("vm.swappiness", " 010 ", Some("10")),
        ("vm.swappiness", "201", None),
        ("vm.swappiness", "-1", None),
        ("vm.swappiness", "+1", None),
        ("vm.swappiness", "1 2", None),
        ("vm.swappiness", "", None),
        ("vm.swappiness", "10\nkernel.core_pattern = |/bin/sh", None),
        ("net.ipv4.ip_local_port_range", "10000\t60000", Some("10000 60000")),
        ("net.ipv4.ip_local_port_range", "60000 10000", None),
        ("net.ipv4.ip_local_port_range", "10000", None),
    ] {
        let checked = state(value, None).checked(key).ok();
        assert_eq!(checked.as_ref().map(|state| state.live.as_str()), expect, "{key}={value:?}");
    }
    assert!(state("10", Some("x")).checked("vm.swappiness").is_err());
    assert!(CLOSED.is_sorted_by_key(|(key, _)| *key));
    for key in ["kernel.core_pattern", "kernel.modprobe", "vm/swappiness", "vm.swappiness ", "../x", ""] {
        assert!(closed(key).is_err(), "{key}");
    }
}

#[test]
fn the_file_has_each_parameter_once_and_keeps_the_rest() {
    assert_eq!(with_line(None, "a.b", "1"), format!("{HEADER}a.b = 1\n"));
    let file = "# mine\nc.d=2\n a/b = 7\na.b = 8\n#a.b = 9";
    assert_eq!(with_line(Some(file), "a.b", "1\t2"), "# mine\nc.d=2\na.b = 1 2\n#a.b = 9");
    assert_eq!(with_line(Some("c.d = 2"), "a.b", "1"), "c.d = 2\na.b = 1\n");
    assert_eq!(kept_value(file, "a.b").as_deref(), Some("7"));
    assert_eq!(without_line(file, "a.b").unwrap(), "# mine\nc.d=2\n#a.b = 9");
    assert_eq!(without_line(&with_line(None, "a.b", "1"), "a.b"), None);
}

#[test]
fn a_parameter_is_set_and_put_back() {
    let root = place(&[("vm.swappiness", "60\n")]);
    let read = || ParameterState::read(root.path(), "vm.swappiness").unwrap().unwrap();
    let before = read();
    assert_eq!(before, state("60", None));
    state("10", Some("10")).write(root.path(), "vm.swappiness").unwrap();
    assert_eq!(read(), state("10", Some("10")));
    before.write(root.path(), "vm.swappiness").unwrap();
    assert_eq!(read(), before);
    assert!(!root.path().join(PARAMETERS_FILE).exists());
    assert_eq!(ParameterState::read(root.path(), "vm.dirty_ratio").unwrap(), None);
}

#[test]
fn what_the_kernel_does_not_take_leaves_nothing() {
    let root = place(&[]);
    // Whoever is root can write everything but a folder.
    assert!(state("10", Some("10")).write(root.path(), "vm.swappiness").is_err());
    assert!(!root.path().join(PARAMETERS_FILE).exists());
}
