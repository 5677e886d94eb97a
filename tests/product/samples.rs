//! Tests of samples that outlive `serve`: killed, with a file that was cut, and with one of a later version.

use std::fs;
use std::path::PathBuf;

use process::Signal;

use crate::poll::eventually;
use crate::site::{Server, Site};

/// The segments of the log that have records.
fn segments(site: &Site) -> Vec<PathBuf> {
    let entries = fs::read_dir(site.path("data/metrics")).into_iter().flatten().flatten();
    let mut paths: Vec<PathBuf> = entries
        .filter(|entry| entry.file_name().to_string_lossy().starts_with("log-"))
        .filter(|entry| entry.metadata().is_ok_and(|metadata| metadata.len() > 500))
        .map(|entry| entry.path())
        .collect();
    paths.sort();
    paths
}

/// A `serve` that was killed after it had written samples.
fn killed() -> (Site, PathBuf) {
    let mut site = Site::new(&[Server::notes("notes")]);
    site.serve_until_ready(&["notes"]);
    let segment = eventually("samples are written", || segments(&site).pop());
    site.end_serve(Signal::KILL);
    (site, segment)
}

/// Starts `serve` again, and waits until it has said something.
fn says(site: &mut Site, what: &str) {
    let known = segments(site).len();
    site.serve_until_ready(&["notes"]);
    eventually(what, || site.serve_log().contains(what).then_some(()));
    eventually("it writes on, into a file of its own", || (segments(site).len() > known).then_some(()));
    assert_eq!(site.incidents().len(), 0, "old samples are no trouble of today");
}

#[test]
fn samples_of_a_killed_serve_are_there_again() {
    let (mut site, _) = killed();
    says(&mut site, "samples of the run before are there");
    assert!(!site.serve_log().contains("samples were lost"), "{}", site.serve_log());
}

#[test]
fn a_file_that_was_cut_is_named_and_the_rest_is_used() {
    let (mut site, segment) = killed();
    let bytes = fs::read(&segment).unwrap();
    fs::write(&segment, &bytes[..bytes.len() - 3]).unwrap();
    says(&mut site, "ends in the middle of a record");
    assert!(site.serve_log().contains("samples of the run before are there"), "{}", site.serve_log());
}

#[test]
fn a_file_of_a_later_version_is_refused_and_stays_and_serve_serves() {
    let (mut site, segment) = killed();
    let mut bytes = fs::read(&segment).unwrap();
    bytes[8] += 1;
    fs::write(&segment, &bytes).unwrap();
    site.serve_until_ready(&["notes"]);
    let log = site.serve_log();
    assert!(log.contains("samples are kept in memory only") && log.contains("later than"), "{log}");
    site.end_serve(Signal::TERM);
    assert_eq!(fs::read(&segment).unwrap(), bytes);
}
