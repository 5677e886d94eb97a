//! Tests that a change is made whole, taken back byte for byte, and never over what somebody else has changed.

use std::fs;

use super::*;

fn plan(wanted: &[(&Path, Option<&str>)]) -> Option<Change> {
    let wanted = wanted.iter().map(|(path, new)| ((*path).to_owned(), new.map(str::to_owned)));
    Change::plan(What::ServerTuning, "time", wanted).unwrap()
}

#[test]
fn made_and_taken_back_byte_for_byte() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("sub/other"));
    fs::write(&one, "a = 1\r\nno end").unwrap();
    let change = plan(&[(&one, Some("a = 2\n")), (&other, Some("new\n"))]).unwrap();
    assert_eq!(Change::parse(&change.to_line()), Some(change.clone()));
    change.make().unwrap();
    assert_eq!(fs::read_to_string(&other).unwrap(), "new\n");
    assert!(plan(&[(&one, Some("a = 2\n")), (&other, Some("new\n"))]).is_none(), "the same again is nothing");

    assert!(!change.is_taken_back().unwrap());
    let back = change.reversed(Some(1));
    back.make().unwrap();
    assert!(change.is_taken_back().unwrap());
    assert_eq!(fs::read_to_string(&one).unwrap(), "a = 1\r\nno end");
    assert!(!other.exists());
    assert!(back.diff.contains("-a = 2\n") && back.diff.contains("+a = 1\r\n"), "{}", back.diff);
}

#[test]
fn what_somebody_else_changed_is_left_alone_and_both_are_shown() {
    let folder = tempfile::tempdir().unwrap();
    let (one, other) = (folder.path().join("one"), folder.path().join("other"));
    fs::write(&other, "x").unwrap();
    let change = plan(&[(&one, Some("1\n")), (&other, Some("y"))]).unwrap();
    change.make().unwrap();
    fs::write(&one, "2\n").unwrap();
    let error = change.reversed(None).make().unwrap_err().to_string();
    assert!(
        error.ends_with("one` was changed since: it is to be `1`, and is `2`; nothing was done"),
        "{error}"
    );
    assert_eq!(fs::read_to_string(&other).unwrap(), "y");
    fs::remove_file(&one).unwrap();
    let error = change.reversed(None).make().unwrap_err().to_string();
    assert!(error.contains("and is not there"), "{error}");
}

#[test]
fn one_place_that_cannot_be_written_takes_the_others_back() {
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one");
    // A folder cannot be made below a file.
    let change = plan(&[(&one, Some("1\n")), (&one.join("below"), None)]);
    assert!(change.is_some_and(|change| change.places.len() == 1));
    fs::write(folder.path().join("file"), "").unwrap();
    let place = |path: PathBuf, new: &str| Place { path, old: None, new: Some(new.to_owned()) };
    let mut change = plan(&[(&one, Some("1\n"))]).unwrap();
    change.places.push(place(folder.path().join("gone/\0"), "2\n"));
    assert!(change.make().is_err());
    assert!(!one.exists());
}

#[test]
fn only_known_places() {
    let folder = tempfile::tempdir().unwrap();
    let one = folder.path().join("one");
    let change = plan(&[(&one, Some("1\n"))]).unwrap();
    assert!(change.check_places(std::slice::from_ref(&one)).is_ok());
    let error = change.check_places(&[folder.path().join("two")]).unwrap_err().to_string();
    assert!(error.starts_with("a change of time has no business with"), "{error}");
    assert_eq!(Change::parse("{}"), None);
}

#[test]
fn the_names_of_what_was_changed_are_kept() {
    for (what, name) in [
        (What::ServerTuning, "\"server_tuning\""),
        (What::ServerControls, "\"server_controls\""),
        (What::Containment, "\"containment\""),
        (What::ServerSandbox, "\"server_sandbox\""),
        (What::ServerTokens, "\"server_tokens\""),
        (What::KernelParameter, "\"kernel_parameter\""),
        (What::UnitFile, "\"unit_file\""),
    ] {
        assert_eq!(serde_json::to_string(&what).unwrap(), name);
    }
}
