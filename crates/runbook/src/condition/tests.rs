//! Tests of conditions: answers, refusals, and bounds that hold on a small stack.

use proptest::prelude::*;
use serde_json::json;

use super::*;

#[track_caller]
fn check(source: &str, expect: &str) {
    let facts = json!({
        "cause": "oom",
        "server": {"name": "mem", "phase": "exited", "starts": 3},
        "steps": {"restart": {"exit": 0, "outcome": "succeeded"}},
        "findings": [{"kind": "oom_kill", "value": 1}, {"kind": "disk", "value": 0.97}],
        "parameters": {"PORT": "8001"},
    });
    let said = match Condition::parse(source).and_then(|condition| condition.eval(&facts)) {
        Ok(answer) => answer.to_string(),
        Err(error) => error.to_string(),
    };
    assert_eq!(said, expect, "{source}");
}

#[test]
fn answers() {
    check("cause != 'disk_full'", "true");
    check("cause == \"oom\" && server.starts >= 3", "true");
    check("server.starts == 3", "true");
    check("steps.restart.exit == 0", "true");
    check("findings.exists(f, f.kind == 'disk' && f.value > 0.9)", "true");
    check("findings.exists(f, f.kind == 'lock')", "false");
    check("size(findings) == 2", "true");
    check("has(steps.verify)", "false");
    check("alert == null", "true");
    check("alert != 'x'", "true");
    check("parameters.PORT in ['8001', '8002']", "true");
    check(" true ", "true");
}

#[test]
fn refuses_without_guessing() {
    check("1 + 1", "condition `1 + 1` is not a yes or no, but int");
    check(
        "colour == 'red'",
        "condition names `colour`, which is none of alert, server, steps, cause, findings, host, parameters",
    );
    check(&"(".repeat(9), "there are more than 8 levels of brackets in the condition");
    check(&format!("true{}", " || true".repeat(200)), "there are more than 1024 bytes in the condition");
    check(&format!("true{}", "||1<2".repeat(80)), "there are more than 128 operators in the condition");
    check(
        "findings.exists(a, findings.exists(b, findings.exists(c, a == c)))",
        "there are more than 2 loops in the condition",
    );
    assert!(Condition::parse("").is_err());
    assert!(Condition::parse("cause ==").is_err());
    assert!(Condition::parse("steps.other.exit == 0").is_ok_and(|c| c.eval(&json!({"steps": {}})).is_err()));
    let many = json!({ "findings": vec![1; LIST_ITEMS_MAX + 1] });
    assert!(Condition::parse("true").is_ok_and(|c| c.eval(&many).is_err()));
    assert!(Condition::parse("cause == 'x'").is_ok_and(|c| c.eval(&json!([])).is_ok_and(|answer| !answer)));
}

#[test]
fn is_shown_and_serialised_as_its_text() {
    let condition = Condition::parse(" cause == 'oom' ").expect("it is CEL");
    assert_eq!(condition.as_str(), "cause == 'oom'");
    assert_eq!(json!(condition), json!("cause == 'oom'"));
    fn shared<T: Send + Sync + Clone>(_: &T) {}
    shared(&condition);
}

/// Every shape that recurses, at its bound, on a stack half as large as a worker's.
#[test]
fn bounds_hold_on_a_small_stack() {
    let deep = |open: &str, close: &str| format!("{}true{}", open.repeat(DEPTH_MAX), close.repeat(DEPTH_MAX));
    let chains = [
        deep("(", ")"),
        deep("[", "]"),
        deep("{1:", "}"),
        deep("!(", ")"),
        deep("size(", ")"),
        format!("true{}", "&&true".repeat(OPERATORS_MAX / 2)),
        format!("1{}==1", "+1".repeat(OPERATORS_MAX - 2)),
        format!("{}true", "!".repeat(OPERATORS_MAX)),
        format!("{}1 == 1", "-".repeat(OPERATORS_MAX - 2)),
        format!("{}true", "true?true:".repeat(OPERATORS_MAX / 2)),
        format!("cause{}", ".a".repeat(OPERATORS_MAX)),
        format!("cause{}", "[0]".repeat(OPERATORS_MAX)),
        format!("1{}", " in [1]".repeat(OPERATORS_MAX / 2)),
    ];
    for chain in chains {
        let run =
            move || Condition::parse(&chain).map(|condition| condition.eval(&json!({"cause": {}})).is_ok());
        let thread = std::thread::Builder::new().stack_size(1 << 20).spawn(run).expect("a thread starts");
        let _either_way = thread.join().expect("it does not overflow, nor panic");
    }
}

proptest! {
    #[test]
    fn never_panics(source in "[a-z.()'\"!=&|<>0-9 \\[\\]{}:?,+*/%-]{0,60}") {
        if let Ok(condition) = Condition::parse(&source) {
            let _either_way = condition.eval(&json!({"cause": "a", "findings": [1]}));
        }
    }

    #[test]
    fn never_panics_on_any_text(source in any::<String>()) {
        let _either_way = Condition::parse(&source);
    }
}
