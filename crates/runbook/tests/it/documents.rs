//! Tests of whole documents: the original runbook, the shipped one, hostile ones, and random ones.

use std::path::{Path, PathBuf};

use proptest::prelude::*;
use runbook::{Effect, Level, Runbook, parse};

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..")
}

/// The original runbook, where it is at hand.
fn original() -> Option<Runbook> {
    let bytes = crate::shared::read("seed/incident_response_runbooks.md")?;
    let (runbook, diagnostics) = parse("original", &bytes);
    assert!(diagnostics.iter().all(|d| d.level < Level::Error), "{diagnostics:#?}");
    let bound = "is bound to `mcp_data_integrity_status == 0`";
    assert!(diagnostics.iter().any(|d| d.level == Level::Warning && d.message.contains(bound)));
    Some(runbook)
}

#[test]
fn the_original_has_six_procedures_and_44_steps() {
    let Some(runbook) = original() else { return };
    let steps: Vec<usize> = runbook.procedures.iter().map(|procedure| procedure.steps().count()).collect();
    assert_eq!(steps, [7, 8, 9, 7, 7, 6]);
    for procedure in &runbook.procedures {
        assert!(procedure.steps().map(|step| step.number).eq(1..=procedure.steps().count() as u32));
        assert!(
            procedure
                .alert
                .as_ref()
                .is_some_and(|alert| alert.query.is_some() && alert.response_time.is_some())
        );
        assert!(!procedure.escalation.is_empty() && !procedure.duties.is_empty());
        assert!(procedure.parameters().iter().any(|parameter| parameter.name == "SERVER_NAME"));
    }
    let windows: Vec<_> =
        runbook.procedures[2].phases.iter().map(|phase| phase.window.map(|w| w.end_s)).collect();
    assert_eq!(windows, [Some(Some(300)), Some(Some(1200)), Some(Some(3600)), Some(Some(14400)), None]);
    assert_eq!(runbook.reference, ["Table of Contents", "Common Commands Reference"]);
}

#[test]
fn nothing_in_the_original_that_does_something_is_taken_for_looking() {
    let Some(runbook) = original() else { return };
    let does = [
        "> ${",
        ">> ",
        "rm ",
        "-delete",
        "systemctl re",
        "systemctl st",
        "daemon-reload",
        "POST",
        "kill ",
        "mkdir",
        "chown",
        "chmod",
        "apt",
        "xzf",
        "sed -i",
        "cp ",
        "crontab",
        "python3",
        "jmap",
        "jcmd",
        "jstack",
        "sysctl",
    ];
    let units: Vec<_> = runbook.procedures.iter().flat_map(|procedure| procedure.units()).collect();
    let looks: Vec<_> = units.iter().filter(|unit| unit.effect == Effect::Observe).collect();
    assert!(looks.len() >= 75 && units.len() >= 140, "{} of {}", looks.len(), units.len());
    for unit in looks {
        let source = unit.source.replace("systemctl status", "");
        assert!(does.iter().all(|word| !source.contains(word)), "{}", unit.source);
    }
}

/// The runbooks that ship, in the order of the original's procedures.
const SHIPPED: [(&str, &str); 6] = [
    ("server-down", "MCPServerDown"),
    ("performance-degradation", "MCPSlowResponseTime"),
    ("security-incident", "MCPSecurityIncident"),
    ("memory-leak", "MCPHighMemoryUsage"),
    ("dependency-failure", "MCPDependencyDown"),
    ("data-corruption", "MCPDataIntegrityFailed"),
];

fn shipped(name: &str) -> (Runbook, Vec<runbook::Diagnostic>) {
    let path = workspace().join(format!("runbooks/{name}.md"));
    parse(name, &std::fs::read(path).expect("the runbook is shipped"))
}

#[test]
fn the_shipped_runbooks_are_without_blame_and_look_before_they_act() {
    let n_files = std::fs::read_dir(workspace().join("runbooks")).expect("they are there").count();
    assert_eq!(n_files, SHIPPED.len());
    for (name, alert) in SHIPPED {
        let (runbook, diagnostics) = shipped(name);
        assert_eq!(diagnostics, [], "{name}");
        assert!(runbook.front.owner.is_some() && runbook.front.reviewed.is_some());
        assert_eq!(runbook.procedures.len(), 1);
        let procedure = runbook.procedure(alert).expect("it answers the alert");
        let contact = procedure.alert.as_ref().and_then(|alert| alert.contact.clone());
        assert!(runbook.front.contacts.contains_key(&contact.unwrap_or_default()), "{name}");
        assert!(procedure.escalation.len() >= 4 && procedure.duties.len() >= 4, "{name}");

        let units: Vec<_> = procedure.units().collect();
        assert!(units.iter().all(|unit| unit.effect != Effect::Unknown), "{name}");
        // What is known is kept before anything is changed; a restart of ours keeps it by itself.
        let kept = units.iter().position(|unit| unit.source.starts_with("paramedic evidence collect"));
        let changes = units.iter().position(|unit| unit.effect > Effect::Observe);
        let calls = |unit: &&runbook::Unit| unit.source.starts_with("paramedic incident escalate");
        assert!(kept < changes || units.iter().any(calls) || name == "server-down", "{name}");
        for fence in procedure.steps().flat_map(|step| &step.fences) {
            let n_changes = fence.units.iter().filter(|unit| unit.effect > Effect::Observe).count();
            let last = fence.units.last().is_none_or(|unit| n_changes == 0 || unit.effect > Effect::Observe);
            assert!(n_changes <= 1 && last, "{name}: {}", fence.source);
        }
        let destroys = |unit: &&&runbook::Unit| unit.effect == Effect::Destroy;
        assert_eq!(units.iter().filter(destroys).count(), usize::from(name == "data-corruption"));
    }
}

#[test]
fn the_way_to_the_restart_is_short() {
    let (runbook, _) = shipped("server-down");
    let procedure = &runbook.procedures[0];
    let names: Vec<_> = procedure.parameters().into_iter().map(|parameter| parameter.name).collect();
    assert_eq!(names, ["INCIDENT_ID", "SERVER_NAME", "LOG_FILE"]);
    let units: Vec<_> = procedure.units().collect();
    let restart =
        units.iter().position(|unit| unit.effect > Effect::Observe).expect("it restarts the server");
    assert!(restart < 9 && units[restart].effect == Effect::Disrupt);
    let fence =
        procedure.steps().flat_map(|step| &step.fences).find(|fence| fence.units.contains(units[restart]));
    let fence = fence.expect("it stands in a fence");
    assert_eq!(
        (fence.attributes.id.as_deref(), fence.attributes.verify.as_deref()),
        (Some("restart"), Some("ready"))
    );
    assert_eq!(fence.last_mutating(), Some(units[restart]));
}

#[test]
fn the_shipped_runbooks_keep_what_the_original_promises() {
    let Some(original) = original() else { return };
    for ((name, alert), before) in SHIPPED.into_iter().zip(&original.procedures) {
        let (runbook, _) = shipped(name);
        let procedure = runbook.procedure(alert).expect("it answers the alert");
        let titles = |one: &runbook::Procedure| -> Vec<(u32, String)> {
            one.steps().map(|step| (step.number, step.title.clone())).collect()
        };
        assert_eq!(titles(procedure), titles(before), "{name}");
        let promise = |one: &runbook::Procedure| {
            one.alert.as_ref().map(|alert| (alert.severity, alert.response_time)).expect("it has an alert")
        };
        assert_eq!(promise(procedure), promise(before), "{name}");
        for (phase, before) in procedure.phases.iter().zip(&before.phases) {
            assert_eq!(phase.title, before.title, "{name}");
            assert!(before.window.is_none() || phase.window == before.window, "{name}: {}", phase.title);
        }
        assert_eq!(procedure.phases.len(), before.phases.len(), "{name}");
        // The sixth alert had a sentence for a name, which no label can be.
        assert!(name == "data-corruption" || before.alert.as_ref().is_some_and(|spec| spec.name == alert));
    }
}

#[test]
fn json_has_the_names_of_the_contract() {
    let text = "## P\n### Alert: A\n**For**: 10s\n**Severity**: Info\n### One (0-5 minutes)\n1. **a**\n   ```bash {timeout=5s}\n   ls \"$X\"\n   ```\n";
    let (runbook, _) = parse("x", text.as_bytes());
    let json = serde_json::to_value(&runbook).expect("it serialises");
    assert_eq!(json["procedures"][0]["alert"]["for_ms"], 10_000);
    let step = &json["procedures"][0]["phases"][0]["steps"][0];
    assert_eq!(step["fences"][0]["language"], "bash");
    assert_eq!(step["fences"][0]["attributes"]["timeout_ms"], 5_000);
    assert_eq!(step["fences"][0]["units"][0]["effect"], "observe");
    assert_eq!(step["fences"][0]["units"][0]["reads"][0], "X");
}

/// Texts that make careless parsers quadratic, or recurse. They only have to end.
#[test]
fn hostile_documents_end() {
    let worst = ["[", "(", "- ", "> ", "## a\n### Alert: a\n"];
    let others = [
        "](",
        "![",
        "*",
        "_",
        "`",
        "``` \n",
        "1. ",
        "#",
        "<",
        "<a ",
        "&",
        "\\",
        "[a]: ",
        "- a\n",
        "1. **a**\n",
        "* *\n",
        "a\n=\n",
        "~~~\n\n",
        "|",
        "[a](<",
        "***",
        "\u{0}",
        "\r",
    ];
    let hostile = worst.map(|piece| (piece, 1 << 20)).into_iter().chain(others.map(|piece| (piece, 1 << 17)));
    for (piece, bytes) in hostile {
        let text = piece.repeat(bytes / piece.len());
        let (_, diagnostics) = parse("hostile", text.as_bytes());
        assert!(diagnostics.len() <= 1001, "{piece:?}");
    }
    let nested: String = (0..600).map(|depth| format!("{}- a\n", "  ".repeat(depth))).collect();
    let _read = parse("hostile", nested.as_bytes());
    // Every fence is bounded by itself.
    let fence = format!("1. **a**\n   ```bash\n   {}\n   ```\n", "a|".repeat(2000));
    let (runbook, _) = parse("hostile", format!("{OPENING}{}", fence.repeat(5)).as_bytes());
    assert_eq!(runbook.procedures[0].steps().count(), 6);
}

/// The beginning of a procedure, so that random text is read as what matters.
const OPENING: &str = "## P\n### Alert: A\n**Severity**: Info\n### One (0-5 minutes)\n1. **a**\n";

proptest! {
    #[test]
    fn never_panics_on_any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
        let _read = parse("random", &bytes);
    }

    #[test]
    fn never_panics_on_markdown_like_text(
        text in "(## |### |Alert: A|\n|1\\. |\\*\\*a\\*\\*|   |```bash|```|\\{id=a\\}|`|- |> |ls|\\$X|<!--|-->|---\n|: ){0,40}",
    ) {
        let (runbook, diagnostics) = parse("random", text.as_bytes());
        let lines = text.lines().count() + 1;
        prop_assert!(diagnostics.iter().all(|d| d.line >= 1 && d.line <= lines && d.column >= 1));
        let _outline = runbook.outline();
    }

    /// Units are slices of their fences in order, and their lines are where they stand.
    #[test]
    fn units_are_verbatim_slices(lines in prop::collection::vec("[a-c$X;&|'\" ()#]{0,8}", 0..8)) {
        let fence: String = lines.iter().map(|line| format!("   {line}\n")).collect();
        let text = format!("{OPENING}   ```bash\n{fence}   ```\n");
        let (runbook, _) = parse("random", text.as_bytes());
        let procedure = &runbook.procedures[0];
        let mut ids = Vec::new();
        for fence in procedure.steps().flat_map(|step| &step.fences) {
            let mut rest = fence.source.as_str();
            for unit in &fence.units {
                let at = rest.find(&unit.source);
                prop_assert!(at.is_some(), "{unit:?} is not in {rest:?}");
                let line = text.lines().nth(unit.line - 1).unwrap_or_default();
                prop_assert!(line.contains(unit.source.lines().next().unwrap_or_default()));
                rest = &rest[at.unwrap_or_default() + unit.source.len()..];
                ids.push(unit.id.clone());
            }
        }
        let count = ids.len();
        ids.sort();
        ids.dedup();
        prop_assert_eq!(ids.len(), count);
    }
}
