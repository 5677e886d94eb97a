//! Tests who may write runbooks, over files with modes and owners of their own.

use std::fs;
use std::os::unix::fs::{PermissionsExt as _, chown, symlink};
use std::path::Path;

use tempfile::TempDir;

use super::{Trust, TrustError, user};

/// Somebody whom nobody trusts.
const STRANGER: u32 = 54_321;

fn trust() -> Trust {
    Trust::of(&crate::config::parse("").unwrap())
}

fn mode(path: &Path, bits: u32) {
    fs::set_permissions(path, fs::Permissions::from_mode(bits)).unwrap();
}

/// `open/shut/book.md`, and `link.md` in the folder above, which leads there by a link to `open`.
fn shelf() -> TempDir {
    let folder = tempfile::tempdir().unwrap();
    let shut = folder.path().join("open/shut");
    fs::create_dir_all(&shut).unwrap();
    fs::write(shut.join("book.md"), "# Book").unwrap();
    for (name, bits) in [("open", 0o755), ("open/shut", 0o755), ("open/shut/book.md", 0o644)] {
        mode(&folder.path().join(name), bits);
    }
    symlink("open", folder.path().join("way")).unwrap();
    symlink("way/../way/shut/book.md", folder.path().join("link.md")).unwrap();
    folder
}

/// What is wrong, and with what, by both ways.
fn verdict(trust: &Trust, shelf: &TempDir, name: &str) -> String {
    let shown = |path: &Path| path.strip_prefix(shelf.path()).unwrap_or(path).display().to_string();
    match trust.read(&shelf.path().join(name)) {
        Ok(bytes) => String::from_utf8(bytes).unwrap(),
        Err(TrustError::Owner { culprit, owner, .. }) => format!("{} of {owner}", shown(&culprit)),
        Err(TrustError::Writable { culprit, mode, .. }) => format!("{} {mode:o}", shown(&culprit)),
        Err(TrustError::Read { source, .. }) => source.to_string(),
    }
}

#[test]
fn what_others_may_write_is_not_trusted() {
    #[track_caller]
    fn check(name: &str, bits: u32, expect: &str) {
        let shelf = shelf();
        mode(&shelf.path().join(name), bits);
        for way in ["open/shut/book.md", "link.md"] {
            assert_eq!(verdict(&trust(), &shelf, way), expect, "{name} {bits:o} by {way}");
        }
    }
    check("open/shut/book.md", 0o644, "# Book");
    check("open/shut/book.md", 0o400, "# Book");
    check("open/shut/book.md", 0o664, "open/shut/book.md 664");
    check("open/shut/book.md", 0o646, "open/shut/book.md 646");
    check("open/shut", 0o775, "open/shut 775");
    check("open", 0o757, "open 757");
    // Nobody else can replace what is ours in a sticky folder.
    check("open", 0o1777, "# Book");
    // The file itself is what it is.
    check("open/shut/book.md", 0o1666, "open/shut/book.md 1666");
}

#[test]
fn what_belongs_to_others_is_not_trusted() {
    if !rustix::process::geteuid().is_root() {
        eprintln!("SKIPPED: only root can give files away");
        return;
    }
    for name in ["open/shut/book.md", "open/shut", "open"] {
        let shelf = shelf();
        chown(shelf.path().join(name), Some(STRANGER), None).unwrap();
        for way in ["open/shut/book.md", "link.md"] {
            assert_eq!(verdict(&trust(), &shelf, way), format!("{name} of {STRANGER}"));
        }
        let config = crate::config::parse(&format!("trusted_owner = \"{STRANGER}\"")).unwrap();
        assert_eq!(verdict(&Trust::of(&config), &shelf, "link.md"), "# Book", "{name}");
    }
    // A link that somebody has put into a sticky folder leads where they want.
    let shelf = shelf();
    std::os::unix::fs::lchown(shelf.path().join("way"), Some(STRANGER), None).unwrap();
    assert_eq!(verdict(&trust(), &shelf, "link.md"), format!("way of {STRANGER}"));
    assert_eq!(verdict(&trust(), &shelf, "open/shut/book.md"), "# Book");
}

#[test]
fn what_is_no_file() {
    let shelf = shelf();
    symlink("round.md", shelf.path().join("round.md")).unwrap();
    rustix::fs::mknodat(
        rustix::fs::CWD,
        shelf.path().join("pipe.md"),
        rustix::fs::FileType::Fifo,
        rustix::fs::Mode::RUSR,
        0,
    )
    .unwrap();
    for (name, expect) in [
        ("open", "it is no file"),
        ("pipe.md", "it is no file"),
        ("round.md", "too many symbolic links"),
        ("missing.md", "No such file or directory (os error 2)"),
        ("open/shut/book.md/deeper", "Not a directory (os error 20)"),
    ] {
        assert_eq!(verdict(&trust(), &shelf, name), expect, "{name}");
    }
}

#[test]
fn the_message_says_who_and_what_to_do() {
    let shelf = shelf();
    let book = shelf.path().join("open/shut/book.md");
    mode(&book, 0o666);
    let error = trust().read(&book).unwrap_err().to_string();
    let owner = rustix::process::geteuid().as_raw();
    for words in [
        format!("the file `{}` is not trusted", book.display()),
        format!("of user {owner}, mode 0666"),
        format!("`chmod go-w {}`", book.display()),
    ] {
        assert!(error.contains(&words), "`{words}` is missing: {error}");
    }
}

#[test]
fn names_of_users() {
    for (name, expect) in [("root", Some(0)), ("no such user", None), ("", None), ("77", Some(77))] {
        assert_eq!(user(name), expect, "{name}");
    }
}
