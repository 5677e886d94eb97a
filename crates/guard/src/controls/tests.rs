//! Owns the tests of what operators lay down: who may write, what is blocked, and the file that says so.

use std::fs;
use std::net::IpAddr;

use super::{
    Ask, Block, BlockKind, Controls, ControlsError, EVERYBODY, Exchanged, Kept, Refused, Set, only_reads,
};

fn set() -> Set {
    Set::new("ann", 0, Some("corrupt index"))
}

fn read_only(controls: &mut Controls) -> Result<(), ControlsError> {
    controls.read_only(set());
    Ok(())
}

fn block(kind: BlockKind, name: &str, until_ms: Option<i64>) -> Block {
    Block { kind, name: name.to_owned(), until_ms, set: set() }
}

fn call<'a>(client: &'a str, place: u8, tool: Option<&'a str>) -> Ask<'a> {
    Ask { client, place, method: "tools/call", tool }
}

#[test]
fn read_only_lets_reads_through_and_nothing_else() {
    let mut controls = Controls::default();
    assert!(controls.refusal(call("c", 99, None), false, 0).is_none(), "nothing is laid down");
    controls.read_only(set());
    let refused = |ask, is_read| controls.refusal(ask, is_read, 0).map(|(refused, _)| refused);
    assert_eq!(refused(call("c", 0, Some("get")), true), None);
    assert_eq!(refused(call("c", 0, Some("put")), false), Some(Refused::ReadOnly));
    assert_eq!(refused(call("c", 0, None), false), Some(Refused::ReadOnly));
    for (method, expect) in [("tools/list", None), ("x/unheard-of", Some(Refused::ReadOnly))] {
        assert_eq!(refused(Ask { client: "c", place: 0, method, tool: None }, false), expect, "{method}");
    }
    assert!(!only_reads("tools/call"));
    let (_, words) = controls.refusal(call("c", 0, Some("put")), false, 0).unwrap();
    assert_eq!(
        words,
        "tool `put` is not known to only read, and the server is in read-only mode: set by ann at \
         1970-01-01T00:00:00.000Z (corrupt index)"
    );
}

#[test]
fn a_ramp_only_adds() {
    let mut controls = Controls::default();
    controls.read_only(set());
    controls.read_only(Set::new("ben", 9, None));
    assert_eq!(controls.writes.set, Some(set()), "who said it first is kept");
    let writers = |controls: &Controls| (0..100).filter(|place| controls.may_write("c", *place)).count();
    for percent in [1, 25, 99] {
        controls.enable_writes(percent, None, set()).unwrap();
        assert_eq!(writers(&controls), usize::from(percent));
        assert!(controls.may_write("c", 0) && !controls.is_read_only());
    }
    controls.enable_writes(0, None, set()).unwrap();
    controls.enable_writes(100, Some("batch"), set()).unwrap();
    assert!(controls.may_write("batch", 99) && !controls.may_write("c", 0));
    assert!(controls.enable_writes(101, None, set()).is_err());
    assert!(controls.enable_writes(5, Some(""), set()).is_err());
    controls.enable_writes(100, None, set()).unwrap();
    assert_eq!(controls, Controls::default());
    assert_eq!(controls.to_text(), None);
}

#[test]
fn blocks_end_and_networks_are_compared_by_their_bits() {
    let mut controls = Controls::default();
    for (kind, name, until_ms) in [
        (BlockKind::Tool, "put", Some(10)),
        (BlockKind::Client, "bad", None),
        (BlockKind::Address, "192.0.2.0/24", None),
        (BlockKind::Address, "2001:db8::/32", None),
        (BlockKind::Address, "::ffff:198.51.100.7", None),
    ] {
        controls.block(block(kind, name, until_ms), 0).unwrap();
    }
    for (address, expect) in [
        ("192.0.2.255", true),
        ("192.0.3.0", false),
        ("::ffff:192.0.2.9", true),
        ("2001:db8:ffff::1", true),
        ("2001:db9::1", false),
        ("198.51.100.7", true),
        ("::1", false),
    ] {
        let address: IpAddr = address.parse().unwrap();
        assert_eq!(controls.blocked_address(address, 0).is_some(), expect, "{address}");
    }
    let mut all = Controls::default();
    all.block(block(BlockKind::Address, "0.0.0.0/0", None), 0).unwrap();
    assert!(all.blocked_address("203.0.113.1".parse().unwrap(), 0).is_some());
    assert!(all.blocked_address("::1".parse().unwrap(), 0).is_none(), "another family");
    for wrong in ["192.0.2.0/33", "192.0.2", "", "a", "192.0.2.1/x"] {
        assert!(all.block(block(BlockKind::Address, wrong, None), 0).is_err(), "{wrong}");
    }
    let refused = |ask, now_ms| controls.refusal(ask, true, now_ms).map(|(refused, _)| refused);
    assert_eq!(refused(call("c", 0, Some("put")), 9), Some(Refused::Tool));
    assert_eq!(refused(call("c", 0, None), 9), Some(Refused::Tool), "a name that cannot be read");
    assert_eq!(refused(call("c", 0, Some("put")), 10), None, "it is over");
    assert_eq!(refused(call("bad", 0, Some("get")), 0), Some(Refused::Client));
    assert!(!controls.unblock(BlockKind::Address, "192.0.2.77/24", 0));
    assert!(controls.unblock(BlockKind::Address, "192.0.2.0/24", 10));
    assert_eq!(controls.blocks.len(), 3, "what is over is forgotten with it");
}

#[test]
fn a_token_and_everybody_are_blocked_by_their_own_names() {
    let mut controls = Controls::default();
    controls.block(block(BlockKind::Token, "ci", Some(10)), 0).unwrap();
    controls.block(block(BlockKind::Everybody, EVERYBODY, None), 0).unwrap();
    assert!(controls.block(block(BlockKind::Everybody, "all", None), 0).is_err(), "there is one name for it");
    assert!(controls.blocked(BlockKind::Token, "ci", 9).is_some());
    assert!(controls.blocked(BlockKind::Token, "ci", 10).is_none(), "it is over");
    assert!(
        controls.blocked(BlockKind::Client, "ci", 9).is_none(),
        "what a client calls itself is another thing"
    );
    let text = controls.to_text().unwrap();
    assert!(text.contains("\"everybody\"") && Controls::parse(Some(&text)).unwrap() == controls, "{text}");
    let words = controls.restriction(0).unwrap();
    assert!(words.contains("token `ci` is blocked") && words.contains("serves nobody"), "{words}");
    assert!(controls.unblock(BlockKind::Everybody, EVERYBODY, 0));
}

#[test]
fn the_file_is_what_was_written_and_fails_closed() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("controls/mem.json");
    let open = || Kept::open(Some(path.clone()), 7);
    let kept = open();
    assert!(!kept.now().is_restricting());
    let (changed, problem) = kept.change(read_only).unwrap();
    assert!(changed && problem.is_none());
    assert!(!kept.change(read_only).unwrap().0);
    let text = fs::read_to_string(&path).unwrap();
    assert_eq!(*open().now(), *kept.now());
    assert_eq!(Controls::parse(Some(&text)).unwrap().to_text().as_deref(), Some(&*text));
    assert!(matches!(kept.exchange(None, None).unwrap(), Exchanged::Moved(Some(found)) if found == text));
    assert!(matches!(kept.exchange(Some(&text), None).unwrap(), Exchanged::Done));
    assert!(!path.exists() && !kept.now().is_restricting());
    for wrong in [
        "",
        "{}",
        "{\"version\":2}",
        "{\"version\":1,\"writes\":{\"percent\":101}}",
        "{\"version\":1,\"x\":1}",
    ] {
        fs::write(&path, wrong).unwrap();
        let kept = open();
        assert!(kept.now().is_read_only() && kept.problem().is_some(), "{wrong}");
        assert!(kept.exchange(Some(wrong), Some(wrong)).is_err(), "nonsense is not laid down");
    }
    let nowhere = Kept::open(None, 0);
    let (changed, problem) = nowhere.change(read_only).unwrap();
    assert!(changed && problem.is_some() && nowhere.now().is_read_only(), "it holds all the same");
}

#[test]
fn a_hold_ends_by_itself_and_takes_back_nothing_of_others() {
    let mut controls = Controls::default();
    assert!(controls.hold(set(), 100) && controls.is_read_only());
    assert!(controls.words().contains(" until 1970-01-01T00:00:00.100Z"), "{}", controls.words());
    assert_eq!(Controls::parse(controls.to_text().as_deref()).unwrap(), controls);
    assert!(!controls.is_over(99) && controls.is_over(100));
    // Who holds it ends it, and nobody else.
    assert!(!controls.release(&Set::new("ben", 9, None)) && controls.release(&set()));
    assert!(!controls.is_restricting());
    // What an operator says meanwhile stays.
    assert!(controls.hold(set(), 100));
    controls.read_only(Set::new("ben", 9, None));
    assert!(!controls.release(&set()) && !controls.is_over(1000) && controls.is_read_only());
    // And where he has said so before, nothing is held.
    assert!(!controls.hold(set(), 100) && controls.is_read_only());

    let kept = Kept::default();
    let over_ms = crate::clock::now_ms() + 60_000;
    let hold = |until_ms: i64| {
        move |controls: &mut Controls| {
            assert!(controls.hold(set(), until_ms));
            Ok(())
        }
    };
    kept.change(hold(over_ms)).unwrap();
    assert!(kept.now().is_read_only());
    let kept = Kept::default();
    kept.change(hold(over_ms - 120_000)).unwrap();
    assert!(!kept.hold().is_restricting());
}
