//! Tests of reading documents: what becomes a procedure, a phase, a step, a unit, and what is said about the rest.

use expect_test::{Expect, expect};

use super::*;
use crate::effect::Effect;

#[track_caller]
fn check(text: &str, expect: &Expect) {
    let (runbook, diagnostics) = parse("test", text.as_bytes());
    let outline = runbook.outline();
    let (_, outline) = outline.split_once('\n').unwrap_or_default();
    let said: Vec<_> = diagnostics
        .iter()
        .map(|d| format!("{}:{} {:?} {}\n", d.line, d.column, d.level, d.message))
        .collect();
    expect.assert_eq(&format!("{outline}--\n{}", said.concat()));
}

fn one(text: &str) -> Procedure {
    let (mut runbook, _) = parse("test", text.as_bytes());
    assert_eq!(runbook.procedures.len(), 1);
    runbook.procedures.remove(0)
}

/// A procedure around some phases.
fn with_phases(phases: &str) -> String {
    format!("## P\n### Alert: A\n**Severity**: Info\n**Alert Query**: `up`\n\n{phases}")
}

#[test]
fn reads_a_whole_procedure() {
    let text = "# Book\n\n1. [P](#p)\n\n## P & Q\n\n### Alert: Down\n**Severity**: critical  \n**Response Time**: < 5 minutes\n**Alert Query**: `up == 0`\n**For**: 10 seconds\n**Keep Firing For**: 1m\n**Inhibits**: `Slow`, Full\n**Contact**: primary\n\n### Look (0-5 minutes)\n\n1. **See**\n   First `look`,\n   then think.\n   ```bash {id=see timeout=5s}\n   # once\n   uptime # now\n   cat \"$F\"\n   ```\n   - more\n     ```sh\n     ls\n     ls -l\n     ```\n\n2. **Ask**\n\n### Act (1-4 hours)\n\n3. **Restart**: gently\n   ```bash\n   paramedic server restart \"$NAME\"\n   ```\n   ```sql\n   SELECT 1;\n   ```\n\n### Escalation Criteria\n- Two `x`\n  fail\n- Three\n\n### Documentation Requirements\n- Write\n\n## Appendix\ntext\n";
    check(
        text,
        &expect![[r#"
            P & Q [p-q]
              alert Down (critical), response within 5m
                up == 0
              parameters F, NAME
              Look (0m to 5m)
                1. See
                  1.1   observe  uptime
                  1.2   observe  cat "$F"
                  1.3   observe  ls …
                2. Ask (by hand)
              Act (1h to 4h)
                3. Restart
                  3.1   disrupt  paramedic server restart "$NAME"
              call more people: Two `x` fail (people decide)
              call more people: Three (people decide)
            Appendix (reference)
            --
        "#]],
    );
    let procedure = one(text);
    let alert = procedure.alert.as_ref().expect("it has an alert");
    assert_eq!(alert.for_.map(|d| d.as_secs()), Some(10));
    assert_eq!(alert.keep_firing_for.map(|d| d.as_secs()), Some(60));
    assert_eq!(alert.inhibits, ["Slow", "Full"]);
    assert_eq!(alert.contact.as_deref(), Some("primary"));
    assert_eq!(procedure.escalation, ["Two `x` fail", "Three"]);
    assert_eq!(procedure.duties, ["Write"]);
    let steps: Vec<_> = procedure.steps().collect();
    assert_eq!(steps[0].instruction, "First `look`,\nthen think.\n\n- more");
    assert_eq!(steps[2].instruction, "gently");
    assert_eq!(steps[0].fences[0].source, "# once\nuptime # now\ncat \"$F\"\n");
    assert_eq!(steps[0].fences[0].attributes.id.as_deref(), Some("see"));
    let units: Vec<_> = procedure.units().map(|u| (u.line, u.comment.as_deref().unwrap_or(""))).collect();
    assert_eq!(units, [(23, "once\nnow"), (24, ""), (28, ""), (38, "")]);
    assert_eq!(steps[2].fences[0].last_mutating().map(|unit| unit.id.as_str()), Some("3.1"));
    assert_eq!(steps[2].effect(), Some(Effect::Disrupt));
    assert_eq!(steps[1].effect(), None);
}

#[test]
fn alerts_say_what_is_missing() {
    check(
        "## A\n### Alert: Odd name\n**Severity**: fatal\n**Response Time**: soon\n**Colour**: red\n\n1. **x**\n\n## B\n### Alert: Data Integrity\n- **Severity:** Info\n\n### Empty (0-5 minutes)\n\n## C\n### Alert: Odd name\n**Severity**: Info\n**Alert Query**: up == 0\n### Alert: Second\n",
        &expect![[r#"
            A [a]
              alert Odd name (warning)
                no query
              Alert: Odd name
                1. x (by hand)
            B [b]
              alert Data Integrity (info)
                mcp_data_integrity_status == 0
            C [c]
              alert Odd name (info)
                up == 0
            --
            2:5 Warning alert name `Odd name` holds blanks, which no label of an alert should
            2:5 Warning alert `Odd name` has no severity; it is taken as a warning
            2:5 Error alert `Odd name` has no query, so nothing can fire it
            2:5 Warning phase `Alert: Odd name` has no time window
            3:1 Error severity `fatal` is not critical, warning or info
            4:1 Warning `soon` of `response time` is not a time
            5:1 Info `colour` means nothing under an alert
            9:4 Warning procedure `B` has no steps
            10:5 Warning alert name `Data Integrity` holds blanks, which no label of an alert should
            10:5 Warning alert `Data Integrity` has no query; it is bound to `mcp_data_integrity_status == 0`
            13:5 Warning phase `Empty` has no steps
            15:1 Error two procedures answer the alert `Odd name`; the first one is used
            15:4 Warning procedure `C` has no steps
            16:5 Warning alert name `Odd name` holds blanks, which no label of an alert should
            18:1 Warning the query is not in backticks, so Markdown may have changed it
            19:5 Error a procedure answers one alert; this one is left out
        "#]],
    );
}

#[test]
fn steps_go_on_across_phases() {
    check(
        &with_phases(
            "### One (0-5 minutes)\n1. **a**\n1. **b**\n\ntext\n\n3. **c**\n### Two\n1. **d**\n7. not bold\n   more\n8. \n### Three (9-5 minutes)\n9. **e** f\n",
        ),
        &expect![[r#"
            P [p]
              alert A (info)
                up
              One (0m to 5m)
                1. a (by hand)
                2. b (by hand)
                3. c (by hand)
              Two
                4. d (by hand)
                5. not bold (by hand)
                6. Step 6 (by hand)
              Three (9m to 5m)
                9. e (by hand)
            --
            13:5 Warning phase `Two` has no time window
            14:1 Warning step 1 comes after step 3; it is taken as step 4
            15:1 Warning step 2 comes after step 4; it is taken as step 5
            15:1 Warning the title of this step is not bold
            17:1 Warning step 3 comes after step 5; it is taken as step 6
            17:1 Warning this step has no title
            18:5 Warning phase `Three` ends before it begins
            19:1 Warning step 7 is missing before step 9
        "#]],
    );
}

#[test]
fn fences_that_are_not_run_are_named() {
    check(
        &with_phases(
            "### One (0-5 minutes)\n1. **a**\n   ```\n   ls\n   ```\n   > ```bash\n   > ls\n   > ```\n\n       indented\n2. **b**\n```bash\nls\n```\n3. **c**\n   ```bash\n   # nothing\n   ```\n4. **d**\n   ```bash\n   ls\n",
        ),
        &expect![[r#"
            P [p]
              alert A (info)
                up
              One (0m to 5m)
                1. a (by hand)
                2. b (by hand)
                3. c (by hand)
                4. d
                  4.1   unknown  ls
            --
            8:4 Info this fence names no language and is not run
            11:6 Warning this fence stands outside every step and is not run; indent it under its step
            17:1 Warning this fence stands outside every step and is not run; indent it under its step
            21:4 Info nothing in this fence is executable
            25:4 Error this fence is not closed
        "#]],
    );
}

#[test]
fn attributes_raise_effects_and_never_lower_them() {
    let effects = |info: &str, statement: &str| {
        let text =
            with_phases(&format!("### One (0-5 minutes)\n1. **a**\n   ```{info}\n   {statement}\n   ```\n"));
        let procedure = one(&text);
        let unit = procedure.units().next().expect("it has a unit");
        (unit.effect, unit.reason.clone())
    };
    let restart = "paramedic server restart x";
    assert_eq!(
        effects("bash {effect=destroy}", "uptime"),
        (Effect::Destroy, "its author says `destroy`".to_owned())
    );
    assert_eq!(effects("bash {effect=observe}", restart).0, Effect::Disrupt);
    assert_eq!(effects("bash {effect=observe}", "rm x").0, Effect::Destroy);
    // What an author asked for and nobody understood makes a person look.
    for info in
        ["bash {wen=true}", "bash {when=\"cause ==\"}", "bash id=a", "bash {timeout=60}", "bash {id=a"]
    {
        assert_eq!(effects(info, "uptime").0, Effect::Unknown, "{info}");
    }
    assert_eq!(effects("bash {id=a when=\"cause != 'x'\"}", "uptime").0, Effect::Observe);
}

#[test]
fn nothing_is_trusted_after_words_may_have_changed() {
    let text = with_phases(
        "### One (0-5 minutes)\n1. **a**\n   ```bash\n   uptime\n   rm x\n   uptime\n   cat() { rm y; }\n   cat x\n   ```\n2. **b**\n   ```bash\n   paramedic server restart x\n   ```\n",
    );
    let procedure = one(&text);
    let effects: Vec<_> = procedure.units().map(|unit| unit.effect).collect();
    let (observe, unknown) = (Effect::Observe, Effect::Unknown);
    assert_eq!(effects, [observe, Effect::Destroy, observe, unknown, unknown, unknown]);
    let last = procedure.units().last().expect("it has units");
    assert_eq!(last.reason, "words may mean something else since line 12: it defines a function");
}

#[test]
fn an_unreadable_fence_is_one_unknown_unit() {
    check(
        &with_phases(
            "### One (0-5 minutes)\n1. **a**\n   ```bash\n   ls\n   if $X; then\n   ```\n   ```bash {id=b}\n   ls\n   ```\n   ```bash {id=b}\n   ls\n   ```\n",
        ),
        &expect![[r#"
            P [p]
              alert A (info)
                up
              parameters X
              One (0m to 5m)
                1. a
                  1.1   unknown  ls …
                  1.2   unknown  ls
                  1.3   unknown  ls
            --
            8:4 Warning this fence is taken as one unknown unit: nothing stands behind its `then` (line 3 of it)
            15:7 Error two fences of the procedure are called `b`
        "#]],
    );
}

#[test]
fn parameters_are_what_is_read_before_it_is_set() {
    let text = with_phases(
        "### One (0-5 minutes)\n1. **a**\n   ```bash\n   echo \"$B $HOME $PARAMEDIC_FINDINGS\"\n   C=$(x \"$A\")\n   echo \"$C $B ${D:-d}\"\n   for i in 1; do echo $i; done\n   ```\n2. **b**\n   ```bash\n   echo $C $E\n   ```\n",
    );
    let parameters = one(&text).parameters().into_iter().map(|p| (p.name, p.first_line)).collect::<Vec<_>>();
    assert_eq!(parameters, [("B".to_owned(), 9), ("A".to_owned(), 10), ("E".to_owned(), 16)]);
}

#[test]
fn odd_encodings_are_read() {
    let text = with_phases("### One (0-5 minutes)\n1. **a**\n   ```bash\n   ls\n   uptime\n   ```\n");
    let plain = one(&text);
    let windows = one(&format!("\u{feff}{}", text.replace('\n', "\r\n")));
    assert_eq!(plain.steps().collect::<Vec<_>>(), windows.steps().collect::<Vec<_>>());
    let (runbook, diagnostics) = parse("x", b"## P\xff\n### Alert: A\n");
    assert_eq!(runbook.procedures.len(), 1);
    assert!(diagnostics.iter().any(|d| d.message.contains("UTF-8") && d.line == 1 && d.column == 5));
}

#[test]
fn criteria_and_duties_are_inherited_and_procedures_found() {
    let text = "## One\n### Alert: A\n### Escalation Criteria\n- x\n### Documentation Requirements\n- y\n## One\n### Alert: B\n### Escalation\n- z\n";
    let (runbook, diagnostics) = parse("x", text.as_bytes());
    assert_eq!(runbook.procedures[1].escalation, ["z"]);
    assert_eq!(runbook.procedures[1].duties, ["y"]);
    assert_eq!(runbook.procedures[1].id, "one-2");
    assert!(
        diagnostics
            .iter()
            .any(|d| d.message == "`One` names no documentation requirements; it inherits them")
    );
    let find = |name| runbook.procedure(name).map(|procedure| procedure.id.as_str());
    assert_eq!(find("ONE"), Some("one"));
    assert_eq!(find("one-2"), Some("one-2"));
    assert_eq!(find("b"), Some("one-2"));
    assert_eq!(find("on"), None);
    assert_eq!(find(""), None);
    assert!(runbook.for_alert("One").is_none());
}

#[test]
fn limits_hold() {
    let (runbook, diagnostics) = parse("x", &vec![b'a'; DOCUMENT_BYTES_MAX + 1]);
    assert!(runbook.procedures.is_empty());
    assert_eq!(diagnostics.len(), 1);
    assert_eq!(diagnostics[0].message, "the document is longer than 16777216 bytes, and is not read");

    let deep = with_phases(&format!("### One (0-5 minutes)\n1. **a**\n   {}x\n", "- ".repeat(50)));
    let (runbook, diagnostics) = parse("x", deep.as_bytes());
    assert_eq!(runbook.procedures[0].steps().count(), 1);
    assert!(diagnostics.iter().any(|d| d.message.contains("nested deeper")));
}

#[test]
fn the_hash_is_of_the_bytes() {
    let (runbook, _) = parse("x", b"");
    assert_eq!(runbook.sha256, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
}
