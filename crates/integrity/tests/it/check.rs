//! Owns what a check finds in a tree to which something was done, and what it does not.

use std::fs::{self, Permissions};
use std::os::unix::ffi::OsStrExt as _;
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};

use expect_test::{Expect as Expected, expect};
use integrity::{Expect, Keep};
use sqlx::sqlite::SqliteConnectOptions;
use sqlx::{ConnectOptions as _, Connection as _};

use crate::tree::{Tree, lines};

/// Takes a baseline, does something, and checks with every file read, where nothing may change and where people work.
fn check(what: impl Fn(&Tree), nothing_may_change: &Expected, people_work: &Expected) {
    for (expect, expected) in [(Expect::Nothing, nothing_may_change), (Expect::Changes, people_work)] {
        let tree = Tree::new(expect);
        let baseline = tree.baseline();
        assert!(baseline.is_whole && baseline.is_kept && lines(&baseline).is_empty(), "{baseline:?}");
        what(&tree);
        let report = tree.check(true);
        expected.assert_eq(&lines(&report));
        assert_eq!(report.is_whole, report.damaged == 0);
        assert_eq!(report.is_kept, report.is_whole && expect == Expect::Changes);
        // What was found is found again, until somebody says that it is right.
        let again = tree.check(true);
        if !report.is_kept {
            assert_eq!(lines(&again), lines(&report));
        } else {
            assert_eq!(lines(&again), "");
        }
    }
}

#[test]
fn nothing_was_done() {
    check(|_| (), &expect![""], &expect![""]);
}

#[test]
fn people_worked() {
    check(
        |tree| {
            tree.write("notes/one.txt", "another\n");
            tree.write("notes/new", "new");
            fs::remove_file(tree.path("notes-2")).unwrap();
            tree.write("notes/deep/two.json", "[]");
            tree.write("server.log", "started\nstopped\n");
            tree.write("second.log", "x");
        },
        &expect![[r"
            ! missing notes-2
            ! truncated notes/deep/two.json: 26 → 2 bytes
            ! written notes/one.txt
            ! added notes/new
        "]],
        &expect![[r"
            missing notes-2
            truncated notes/deep/two.json: 26 → 2 bytes
            written notes/one.txt
            added notes/new
        "]],
    );
}

#[test]
fn a_bit_was_lost() {
    let rotten = expect![[r"
        ! rotten notes/one.txt: the content is another, and the kernel saw nobody write it
    "]];
    check(|tree| tree.rot("notes/one.txt"), &rotten, &rotten);
}

#[test]
fn text_is_not_whole() {
    let broken = expect![[r#"
        ! broken notes/deep/two.json: EOF while parsing an object at line 1 column 4
        ! broken notes/three.jsonl: line 2: trailing characters at line 1 column 4
    "#]];
    let break_them = |tree: &Tree| {
        tree.write("notes/deep/two.json", r#"{"a""#);
        tree.write("notes/three.jsonl", "{}\n[1]x\n");
    };
    check(break_them, &broken, &broken);
}

#[test]
fn things_became_other_things() {
    check(
        |tree| {
            fs::remove_file(tree.path("notes/one.txt")).unwrap();
            symlink("/etc/passwd", tree.path("notes/one.txt")).unwrap();
            fs::remove_file(tree.path("link")).unwrap();
            symlink("notes-2", tree.path("link")).unwrap();
            fs::remove_file(tree.path("notes-2")).unwrap();
            fs::create_dir(tree.path("notes-2")).unwrap();
            fs::set_permissions(tree.path("notes/three.jsonl"), Permissions::from_mode(0o4777)).unwrap();
        },
        &expect![[r"
            ! written link: notes/one.txt → notes-2
            ! replaced notes/one.txt: file → link
            ! replaced notes-2: file → folder
            ! permissions notes/three.jsonl: 0644 → 4777
        "]],
        &expect![[r"
            written link: notes/one.txt → notes-2
            replaced notes/one.txt: file → link
            replaced notes-2: file → folder
            permissions notes/three.jsonl: 0644 → 4777
        "]],
    );
}

#[test]
fn what_is_strange_is_named_and_neither_followed_nor_opened() {
    let do_it = |tree: &Tree| {
        symlink("..", tree.path("up")).unwrap();
        symlink("loop", tree.path("loop")).unwrap();
        fs::create_dir(tree.path("odd")).unwrap();
        tree.write("odd/-rf\n\u{1b}[31m", "");
        tree.write(PathBuf::from(std::ffi::OsStr::from_bytes(b"odd/\xff")), "");
        rustix::fs::mknodat(
            rustix::fs::CWD,
            tree.path("odd/pipe"),
            rustix::fs::FileType::Fifo,
            rustix::fs::Mode::RWXU,
            0,
        )
        .unwrap();
        drop(UnixListener::bind(tree.path("odd/socket")).unwrap());
    };
    for expect in [Expect::Changes, Expect::Nothing] {
        let tree = Tree::new(expect);
        tree.baseline();
        do_it(&tree);
        let report = tree.check(true);
        let added: Vec<&[u8]> =
            report.differences.iter().map(|one| one.path.as_path().as_os_str().as_bytes()).collect();
        let expected: [&[u8]; 7] =
            [b"loop", b"odd", b"odd/-rf\n\x1b[31m", b"odd/pipe", b"odd/socket", b"odd/\xff", b"up"];
        assert_eq!(added, expected);
        assert!(tree.baseline().is_kept);
        assert_eq!(lines(&tree.check(true)), "");
    }
}

#[test]
fn a_tree_that_lost_everything_is_not_whole() {
    let tree = Tree::new(Expect::Changes);
    tree.baseline();
    fs::remove_dir_all(tree.root()).unwrap();
    fs::create_dir(tree.root()).unwrap();
    let report = tree.check(false);
    assert!(report.is_empty && !report.is_whole && !report.is_kept, "{report:?}");
    // A baseline of nothing can be taken, if somebody says so.
    assert!(tree.baseline().is_kept);
    assert!(tree.check(false).is_whole);
}

#[test]
fn a_quick_check_reads_what_changed_and_nothing_else() {
    let tree = Tree::new(Expect::Changes);
    tree.baseline();
    tree.rot("notes/one.txt");
    tree.write("notes-2", "changed by somebody");
    assert_eq!(lines(&tree.check(false)), "written notes-2\n");
    // The quick check has not taken over what it did not read.
    assert!(lines(&tree.check(true)).starts_with("! rotten notes/one.txt"));
}

#[test]
fn what_is_broken_is_no_baseline_unless_somebody_says_so() {
    let tree = Tree::new(Expect::Changes);
    tree.write("bad.json", "{");
    let report = tree.baseline();
    assert!(!report.is_kept && !report.is_whole, "{report:?}");
    assert!(!tree.manifest().exists());
    assert!(tree.run(true, Keep::Baseline { accepts_damage: true }).is_kept);
    assert!(tree.check(false).is_whole);
}

/// A database with so many rows; its pages have 4,096 bytes.
pub(crate) async fn database(path: &Path, mode: &str) -> sqlx::SqliteConnection {
    let options = SqliteConnectOptions::new().filename(path).create_if_missing(true);
    let mut connection = options.connect().await.unwrap();
    let statements = [
        format!("PRAGMA journal_mode = {mode}"),
        "CREATE TABLE notes (id INTEGER PRIMARY KEY, text TEXT)".to_owned(),
        "CREATE INDEX by_text ON notes (text)".to_owned(),
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 2000)
         INSERT INTO notes (text) SELECT 'note ' || i FROM n"
            .to_owned(),
    ];
    for statement in statements {
        sqlx::query(sqlx::AssertSqlSafe(statement)).execute(&mut connection).await.unwrap();
    }
    connection
}

/// How many rows it has.
pub(crate) async fn rows(path: &Path) -> i64 {
    let mut connection = SqliteConnectOptions::new().filename(path).connect().await.unwrap();
    let count = sqlx::query_scalar("SELECT count(*) FROM notes").fetch_one(&mut connection).await.unwrap();
    connection.close().await.unwrap();
    count
}

#[test]
fn a_database_is_asked_whether_it_is_whole() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    for mode in ["DELETE", "WAL"] {
        let tree = Tree::new(Expect::Changes);
        // It is in use while it is checked, and stays so.
        let mut open = runtime.block_on(database(&tree.path("notes.db"), mode));
        let report = tree.baseline();
        assert!(report.is_whole && report.databases == 1, "{report:?}");
        runtime.block_on(sqlx::query("DELETE FROM notes WHERE id < 50").execute(&mut open)).unwrap();
        assert!(tree.check(false).is_whole, "{mode}");
        runtime.block_on(open.close()).unwrap();
        assert!(tree.check(false).is_whole, "{mode}");
        let mut bytes = fs::read(tree.path("notes.db")).unwrap();
        bytes[4096 * 3..4096 * 4].fill(0);
        tree.write("notes.db", &bytes);
        let report = tree.check(false);
        assert!(!report.is_whole, "{mode}");
        assert!(lines(&report).contains("! broken notes.db: "), "{}", lines(&report));
        // The first page is lost: the file does not even look like a database; its name does.
        bytes[..4096].fill(0);
        tree.write("notes.db3", &bytes);
        assert!(lines(&tree.check(true)).contains("! broken notes.db3: "));
    }
}
