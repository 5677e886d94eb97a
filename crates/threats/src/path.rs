//! Owns what a path says of an attack: it leaves where it may be, hides that, or names what only thieves ask for.

use std::ops::Range;
use std::sync::LazyLock;

use regex::Regex;

use crate::prose::regex;
use crate::sign::{Certainty, Class};

pub(crate) type Seen = ((&'static str, Class, Certainty), Range<usize>);

/// Dots and slashes that are written so that a filter does not see them; nobody who means a path writes it so.
static ENCODED: LazyLock<Regex> = LazyLock::new(|| {
    let dot = r"(?:%(?:25)*2e|%c0%ae|%u002e|\.)";
    let slash = r"(?:%(?:25)*2f|%(?:25)*5c|%c0%af|%c1%9c|%u2215|/|\\)";
    regex(&format!("(?i){dot}{dot}{slash}"))
});

/// What holds secrets of a machine or a person.
static SECRETS: LazyLock<Regex> = LazyLock::new(|| {
    regex(concat!(
        r"(?i)(?:^|/)(?:etc/(?:shadow|gshadow|sudoers)|root/\.|proc/(?:self|\d+)/(?:environ|mem|cmdline)|",
        r"\.ssh/|\.gnupg/|\.aws/|\.kube/config|\.docker/config\.json|\.netrc|\.pgpass|id_(?:rsa|ed25519|ecdsa)|",
        r"\.git-credentials|\.env(?:\.\w+)?$|mcp\.json$)",
    ))
});

/// Everything that a path shows. `roots` are the folders that paths have to be in; none where nothing was said.
pub(crate) fn look(path: &str, roots: &[String]) -> Vec<Seen> {
    use Certainty::{Certain, Likely};
    let mut seen = Vec::new();
    let mut add = |rule, certainty, at| seen.push(((rule, Class::PathTraversal, certainty), at));
    if let Some(at) = memchr::memchr(0, path.as_bytes()) {
        add("path-nul", Certain, at..at + 1);
    }
    if let Some(found) = ENCODED.find(path).filter(|found| !matches!(found.as_str(), "../")) {
        // A backslash may be a path of Windows.
        add("path-encoded", if found.as_str() == "..\\" { Likely } else { Certain }, found.range());
    }
    let whole = path.strip_prefix("file://").unwrap_or(path);
    let offset = path.len() - whole.len();
    match climbs(whole) {
        Climb::Out(at) => add("path-climbs", Certain, offset + at..path.len()),
        Climb::Some(at) => add("path-climbs", Likely, offset + at..path.len()),
        Climb::None => {}
    }
    let is_inside = |root: &String| {
        let root = root.trim_end_matches('/');
        whole.strip_prefix(root).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if whole.starts_with('/') && !roots.is_empty() && !roots.iter().any(is_inside) {
        add("path-outside", Certain, offset..path.len());
    }
    if let Some(found) = SECRETS.find(whole) {
        add("path-of-secrets", Likely, offset + found.start()..offset + found.end());
    }
    seen
}

enum Climb {
    None,
    /// There is a step up, and it stays below where it began.
    Some(usize),
    /// It leaves where it began, or goes up twice in a row from a folder that it names itself.
    Out(usize),
}

fn climbs(path: &str) -> Climb {
    let is_absolute = path.starts_with('/');
    let (mut depth, mut ups, mut first, mut at) = (0_i32, 0, None, 0);
    for step in path.split('/') {
        match step {
            "" | "." => {}
            ".." => {
                first.get_or_insert(at);
                (depth, ups) = (depth - 1, ups + 1);
                // One step up from the folder that one is in is what people do.
                if depth < -1 || is_absolute && ups > 1 || depth < 0 && is_absolute {
                    return Climb::Out(first.unwrap_or(at));
                }
            }
            _ => (depth, ups) = (depth + 1, 0),
        }
        at += step.len() + 1;
    }
    first.map_or(Climb::None, Climb::Some)
}
