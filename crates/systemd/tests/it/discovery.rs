//! Owns the tests of finding units: loaded or not, both forms of a server's unit, and nobody else's.

use systemd::{ActiveState, Error, Found, Pattern, UnitName, Verb};

use crate::jobs::{LONG, name, systemd};
use crate::machine::Machine;

const SLEEPS: &str = "[Service]\nExecStart=/bin/sleep 1000\n";

#[tokio::test]
async fn units_are_found_by_a_pattern_and_have_exact_names() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[
        ("mcp-server-mem.service", SLEEPS),
        ("mcp-server-mem-2.service", &format!("{SLEEPS}[Install]\nWantedBy=multi-user.target\n")),
        ("mcp-server@.service", SLEEPS),
        ("xmcp-server-mem.service", SLEEPS),
        ("mcp-server-mem.socket", "[Socket]\nListenStream=/run/mem.sock\n"),
    ]);
    machine.run(&["systemctl", "enable", "mcp-server-mem-2"]);
    let systemd = systemd(&machine);
    for unit in ["mcp-server-mem.service", "mcp-server@mem.service", "xmcp-server-mem.service"] {
        systemd.order(&name(unit), Verb::Start, LONG).await.unwrap();
    }
    let found = systemd.discover(&Pattern::servers()).await.unwrap();
    let shown = |found: &Found| {
        (
            found.name.to_string(),
            found.active == Some(ActiveState::Active),
            found.file_state.clone(),
            found.name.server(),
        )
    };
    let shown: Vec<_> = found.iter().map(shown).collect();
    let text = |text: &str| Some(text.to_owned());
    assert_eq!(
        shown,
        [
            ("mcp-server-mem-2.service".to_owned(), false, text("enabled"), text("mem-2")),
            ("mcp-server-mem.service".to_owned(), true, text("static"), text("mem")),
            ("mcp-server@mem.service".to_owned(), true, None, text("mem")),
        ]
    );
    let one: Pattern = "mcp-server-mem.service".parse().unwrap();
    assert_eq!(systemd.discover(&[one]).await.unwrap().len(), 1);
    assert_eq!(systemd.discover(&["nobody-*.service".parse().unwrap()]).await.unwrap(), []);
}

#[tokio::test]
async fn a_server_is_found_under_either_name_and_never_under_two() {
    let Some(machine) = Machine::boot() else { return };
    machine.install(&[("mcp-server-mem.service", SLEEPS), ("mcp-server@.service", SLEEPS)]);
    let systemd = systemd(&machine);
    let unit = async |server: &str| systemd.unit_of_server(server).await;
    assert_eq!(unit("mem").await.unwrap(), name("mcp-server-mem.service"));
    assert_eq!(
        unit("mem-2").await.unwrap(),
        name("mcp-server@mem-2.service"),
        "the template has no other unit"
    );
    systemd.order(&name("mcp-server@mem.service"), Verb::Start, LONG).await.unwrap();
    let error = unit("mem").await.unwrap_err();
    let both = ["mcp-server-mem.service", "mcp-server@mem.service"].map(name);
    assert!(matches!(&error, Error::Ambiguous { units } if *units == both), "{error}");
    machine.run(&["rm", "/etc/systemd/system/mcp-server@.service"]);
    systemd.order(&name("mcp-server@mem.service"), Verb::Stop, LONG).await.unwrap();
    systemd.reload(LONG).await.unwrap();
    let error = unit("other").await.unwrap_err();
    let plain = UnitName::of_server("other").unwrap();
    assert!(matches!(&error, Error::NoSuchUnit { unit } if *unit == plain), "{error}");
}
