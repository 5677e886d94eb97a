//! Owns walking folders for evidence: sorted, bounded in depth and number, through no link and out of no file system's loop.

use std::fs;
use std::path::{Path, PathBuf};

use super::Scene;
use super::out::Out;
use super::reading::{As, Keep, copy, names};

/// Deeper than any folder of settings.
const DEPTH_MAX: usize = 16;
/// A folder with more entries is listed as far as this.
const NAMES_MAX: usize = 50_000;

/// Calls `each` for every path below a folder, folders before what is in them, until `each` says false or `max` were seen.
/// Returns whether all were.
pub(super) fn walk(folder: &Path, max: usize, each: &mut dyn FnMut(&Path) -> bool) -> bool {
    let mut left = max;
    below(folder, 0, &mut left, each)
}

fn below(folder: &Path, depth: usize, left: &mut usize, each: &mut dyn FnMut(&Path) -> bool) -> bool {
    if depth == DEPTH_MAX {
        return false;
    }
    for name in names(folder, NAMES_MAX).unwrap_or_default() {
        if *left == 0 {
            return false;
        }
        *left -= 1;
        let path = folder.join(name);
        if !each(&path) {
            return false;
        }
        // A link is not followed, so nothing is seen twice.
        let is_folder = fs::symlink_metadata(&path).is_ok_and(|of| of.is_dir());
        if is_folder && !below(&path, depth + 1, left, each) {
            return false;
        }
    }
    true
}

/// Copies the files at these places, as text with secrets hidden; of a folder at most `max` below it.
pub(super) fn copy_all(scene: &Scene, out: &Out, places: &[PathBuf], max: usize, bytes_max: u64) {
    let take = |path: &Path| {
        if out.is_given_up() {
            return false;
        }
        out.doing(format!("`{}`", path.display()));
        let is_folder = fs::symlink_metadata(path).is_ok_and(|of| of.is_dir());
        if !is_folder {
            out.give(copy(&scene.root, path, Keep::Beginning, As::Text, bytes_max));
        }
        true
    };
    for place in places {
        if fs::symlink_metadata(place).is_ok_and(|of| of.is_dir()) {
            if !walk(place, max, &mut |path| take(path)) && !out.is_given_up() {
                let name =
                    crate::manifest::plain_name("files", format!("{}/rest", place.display()).as_bytes());
                out.give(crate::Gathered::missing(
                    name,
                    format!("more than {max} files, or deeper than {DEPTH_MAX}"),
                ));
            }
        } else if !take(place) {
            return;
        }
    }
}
