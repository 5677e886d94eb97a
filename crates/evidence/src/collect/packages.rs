//! Owns checking the files of packages: the MD5 sums that dpkg keeps, compared with what is there, without dpkg.
//!
//! MD5 is what the packages bring. It shows what was changed by somebody who did not think of it; who did can change the sums
//! as well, and against those a bundle with the sums of executables from before is needed.

use std::fs;
use std::path::Path;

use checksum::hex;
use md5::{Digest as _, Md5};
use serde::Serialize;

use super::Scene;
use super::out::Out;
use super::reading::{kernel, names, open_quietly, times_of_name};
use crate::bundle::Gathered;
use crate::times::Times;

const LIST_BYTES_MAX: u64 = 16 << 20;
const PACKAGES_MAX: usize = 20_000;
const CHUNK_BYTES: usize = 256 << 10;
/// What programs are made of comes first: there it matters, and the deadline may cut the rest off.
const FIRST: [&str; 6] = ["bin/", "sbin/", "usr/bin/", "usr/sbin/", "lib/", "usr/lib/"];

#[derive(Serialize)]
struct Difference {
    package: String,
    path: String,
    what: &'static str,
    times: Option<Times>,
}

#[derive(Serialize)]
struct Checked {
    packages: usize,
    files: usize,
    differ: usize,
    left: usize,
}

pub(super) fn collect(scene: &Scene, out: &Out) {
    let info = scene.path("/var/lib/dpkg/info");
    let lists = match names(&info, PACKAGES_MAX) {
        Err(error) => {
            out.give(Gathered::missing("t1/packages.jsonl", format!("no sums of dpkg: {error}")));
            return;
        }
        Ok(names) => {
            names.into_iter().filter(|name| name.to_string_lossy().ends_with(".md5sums")).collect::<Vec<_>>()
        }
    };
    let mut files = Vec::new();
    for list in &lists {
        let package = list.to_string_lossy().trim_end_matches(".md5sums").to_owned();
        let text = String::from_utf8_lossy(&kernel(&info.join(list), LIST_BYTES_MAX).unwrap_or_default())
            .into_owned();
        for (sum, path) in text.lines().filter_map(|line| line.split_once("  ")) {
            files.push((
                !FIRST.iter().any(|start| path.starts_with(start)),
                package.clone(),
                path.to_owned(),
                sum.to_owned(),
            ));
        }
    }
    files.sort();
    let (all, mut done, mut differ) = (files.len(), 0, 0);
    for (_, package, path, sum) in files {
        if out.is_given_up() {
            break;
        }
        out.doing(format!("`/{path}`, after {done} of {all} files"));
        done += 1;
        let place = scene.path(&path);
        let what = match sum_of(&place) {
            Ok(found) if found == sum => continue,
            Ok(_) => "altered",
            Err(error) if error.kind() == std::io::ErrorKind::NotFound => "missing",
            Err(_) => "unreadable",
        };
        differ += 1;
        let times = times_of_name(&place);
        out.line("t1/packages.jsonl", &Difference { package, path: format!("/{path}"), what, times });
    }
    out.line("t1/packages.jsonl", &Checked { packages: lists.len(), files: done, differ, left: all - done });
}

fn sum_of(path: &Path) -> std::io::Result<String> {
    // Where `/bin` is a link to `/usr/bin` its files are found through it; a link at the end is followed as well.
    let path = fs::canonicalize(path)?;
    let mut file = open_quietly(&path)?;
    if !file.metadata()?.is_file() {
        return Err(std::io::Error::other("it is no regular file"));
    }
    let (mut hasher, mut chunk) = (Md5::new(), vec![0; CHUNK_BYTES]);
    loop {
        match std::io::Read::read(&mut file, &mut chunk)? {
            0 => break,
            length => hasher.update(&chunk[..length]),
        }
    }
    Ok(hex::write(&hasher.finalize()))
}
