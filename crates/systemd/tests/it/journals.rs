//! Owns the tests of reading a real journal: of one unit, with what systemd said of it, and nothing of its neighbour.

use systemd::journal::{From, Lines, Wanted};
use systemd::{Journal, Verb};

use crate::jobs::{LONG, name, systemd};
use crate::machine::Machine;

const HUNDRED: Wanted = Wanted { lines_max: 100, since_ms: None, until_ms: None, after: None };

fn said(lines: &Lines, from: From) -> Vec<&str> {
    lines.lines.iter().filter(|line| line.from == from).map(|line| line.message.as_str()).collect()
}

#[tokio::test]
async fn a_unit_has_its_own_lines_and_those_of_systemd_about_it() {
    let Some(machine) = Machine::boot() else { return };
    let says = |who: &str| {
        let script = format!(
            "echo \"{who} one\"; printf \"<3>bad \\\\377 end\\\\n\"; head -c 9000 /dev/zero | tr \"\\\\0\" x; echo; exec sleep 1000"
        );
        machine.write(
            &format!("/usr/local/bin/{who}"),
            &format!("#!/bin/sh\n{}\n", script.replace("\\\\", "\\")),
        );
        format!("[Service]\nExecStart=/usr/local/bin/{who}\n")
    };
    machine
        .install(&[("mcp-server-mem.service", &says("mem")), ("mcp-server-mem-2.service", &says("second"))]);
    let systemd = systemd(&machine);
    let (mem, mem2) = (name("mcp-server-mem.service"), name("mcp-server-mem-2.service"));
    let unit = systemd.order(&mem, Verb::Start, LONG).await.unwrap().unit.unwrap();
    systemd.order(&mem2, Verb::Start, LONG).await.unwrap();
    // Without any `journalctl`, and by it.
    let directory = Some(machine.path("/run/log/journal"));
    let own = Journal { directory, program: "/no/such/program".into(), ..Journal::default() };
    let by_program = Journal { only_program: true, program: "journalctl".into(), ..own.clone() };
    // What a process says takes a moment to get there.
    let mut lines = Lines::default();
    let all = tokio::time::timeout(LONG, async {
        while said(&lines, From::Unit).len() < 3 {
            machine.run(&["journalctl", "--sync"]);
            lines = own.read(&mem, &HUNDRED).await.unwrap();
        }
    });
    all.await.unwrap();
    let long = "x".repeat(9000);
    assert_eq!(lines, by_program.read(&mem, &HUNDRED).await.unwrap());
    assert_eq!(said(&lines, From::Unit), ["mem one", "bad \u{fffd} end", &long]);
    assert!(
        said(&lines, From::Others).iter().any(|line| line.starts_with("Started mcp-server-mem.service")),
        "{lines:#?}"
    );
    assert!(!lines.is_cut && lines.strange == 0);
    let bad = lines.lines.iter().find(|line| line.message.starts_with("bad")).unwrap();
    assert_eq!((bad.priority, bad.pid), (Some(3), unit.main_pid));
    assert_eq!(bad.invocation, unit.invocation.map(|id| id.to_string()));
    assert_eq!(bad.identifier.as_deref(), Some("mem"));

    for journal in [own, by_program] {
        // The newest win, and a place is found again.
        let last = journal.read(&mem, &Wanted { lines_max: 1, ..HUNDRED }).await.unwrap();
        assert_eq!(last.lines, lines.lines[lines.lines.len() - 1..]);
        let after = lines.lines[0].cursor.clone();
        let later = journal.read(&mem, &Wanted { after, ..HUNDRED }).await.unwrap();
        assert_eq!(later.lines, lines.lines[1..]);
        let next = Wanted { after: lines.lines[0].cursor.clone(), lines_max: 1, ..HUNDRED };
        let next = journal.read(&mem, &next).await.unwrap();
        assert_eq!((next.lines.as_slice(), next.is_cut), (&lines.lines[1..2], true));
        let at_ms = lines.lines[0].at_ms;
        let since = async |since_ms, until_ms| {
            journal.read(&mem, &Wanted { since_ms, until_ms, ..HUNDRED }).await.unwrap().lines.len()
        };
        assert_eq!(since(Some(at_ms - 1), None).await, lines.lines.len());
        assert_eq!(since(Some(at_ms + 3_600_000), None).await, 0);
        assert_eq!(since(None, Some(at_ms - 3_600_000)).await, 0);
        let cut = Journal { bytes_max: 2_000, ..journal.clone() }.read(&mem, &HUNDRED).await.unwrap();
        assert!(cut.is_cut);
        let nobody = journal.read(&name("mcp-server-nobody.service"), &HUNDRED).await.unwrap();
        assert_eq!(nobody.lines, []);
    }
}
