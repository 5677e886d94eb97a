//! Owns what a line of a log is about, by the words that stand in it.

/// The values of `log_error` and what stands in such lines, in lower case; the first that fits counts for a line.
const CLASSES: [(&str, &[&str]); 10] = [
    ("no_space", &["no space left", "enospc", "disk full", "disk quota exceeded", "edquot"]),
    ("address_in_use", &["address already in use", "eaddrinuse"]),
    (
        "tasks",
        &[
            "can't start new thread",
            "unable to create native thread",
            "failed to spawn thread",
            "pthread_create failed",
            "cannot fork",
            "fork failed",
            "fork: retry",
            "spawn eagain",
        ],
    ),
    ("descriptors", &["too many open files", "emfile", "enfile"]),
    (
        "out_of_memory",
        &[
            "out of memory",
            "memoryerror",
            "cannot allocate memory",
            "outofmemoryerror",
            "heap limit allocation failed",
        ],
    ),
    (
        "missing_module",
        &[
            "cannot find module",
            "cannot find package",
            "modulenotfounderror",
            "err_module_not_found",
            "importerror",
            "no module named",
            "error while loading shared libraries",
            "cannot open shared object file",
            "noclassdeffounderror",
            "classnotfoundexception",
            "could not find or load main class",
        ],
    ),
    ("permission", &["permission denied", "eacces", "permissionerror", "operation not permitted", "eperm"]),
    (
        "connection",
        &[
            "connection refused",
            "econnrefused",
            "connection reset",
            "econnreset",
            "broken pipe",
            "epipe",
            "etimedout",
            "connection timed out",
            "socket hang up",
            "closed the connection",
            "connection is closed",
            "terminating connection",
        ],
    ),
    ("configuration", &["missing required", "invalid configuration", "config error", "not configured"]),
    ("unhandled", &["unhandled", "uncaught", "panicked at", "traceback (most recent call last)"]),
];

/// Returns the class of the lines, and which line says so. Of several classes the first of the catalogue counts: what
/// is behind it is mostly what followed from it: `Traceback (most recent call last):` before
/// `OSError: [Errno 28] No space left on device` is `no_space`.
pub fn log_error(lines: &[impl AsRef<str>]) -> Option<(&'static str, usize)> {
    let lines: Vec<String> = lines.iter().map(|line| line.as_ref().to_lowercase()).collect();
    CLASSES.iter().find_map(|(class, needles)| {
        let said = lines.iter().position(|line| needles.iter().any(|needle| line.contains(needle)))?;
        Some((*class, said))
    })
}

#[cfg(test)]
mod tests {
    use super::log_error;

    #[track_caller]
    fn check(lines: &[&str], expect: Option<(&str, usize)>) {
        assert_eq!(log_error(lines), expect, "{lines:?}");
    }

    #[test]
    fn lines_have_one_class() {
        check(&[], None);
        check(&["all is well"], None);
        check(
            &["Traceback (most recent call last):", "OSError: [Errno 28] No space left on device"],
            Some(("no_space", 1)),
        );
        check(&["BrokenPipeError: [Errno 32] Broken pipe"], Some(("connection", 0)));
        check(
            &["Error: Cannot find module '/srv/x/index.js'", "code: 'MODULE_NOT_FOUND'"],
            Some(("missing_module", 0)),
        );
        check(
            &["Traceback (most recent call last):", "ModuleNotFoundError: No module named 'mcp'"],
            Some(("missing_module", 1)),
        );
        check(
            &["x: error while loading shared libraries: libfoo.so.1: cannot open"],
            Some(("missing_module", 0)),
        );
        check(&["Error: EACCES: permission denied, open '/srv/data'"], Some(("permission", 0)));
        check(&["Error: EMFILE: too many open files"], Some(("descriptors", 0)));
        check(&["x", "Error: listen EADDRINUSE: address already in use :::80"], Some(("address_in_use", 1)));
        check(
            &["FATAL ERROR: Reached heap limit Allocation failed - JavaScript heap out of memory"],
            Some(("out_of_memory", 0)),
        );
        check(&["thread 'main' panicked at src/main.rs"], Some(("unhandled", 0)));
    }
}
