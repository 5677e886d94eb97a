//! Tests of effects: labelled statements, none of which may ever be taken for milder than it is.

use proptest::prelude::*;

use super::{Assessment, Effect, Stated, Table, Trust, statements};

/// `= EFFECT`, then statements of that effect.
const LABELLED: &str = include_str!("labelled.txt");

fn labelled() -> Vec<(Effect, String)> {
    let mut label = Effect::Unknown;
    let mut list = Vec::new();
    for line in LABELLED.lines() {
        if let Some(name) = line.strip_prefix("= ") {
            label = Effect::from_name(name).expect("the label is an effect");
        } else if !line.starts_with("# ") || line.contains("\\n") {
            list.push((label, line.replace("\\\\", "\u{0}").replace("\\n", "\n").replace('\u{0}', "\\")));
        }
    }
    list
}

/// The worst of the statements of a text.
fn assess(source: &str) -> (Effect, String) {
    let worst = statements(source, Table::builtin()).into_iter().max_by_key(|one| one.effect);
    worst.map_or((Effect::Observe, String::new()), |Stated { effect, reason, .. }| (effect, reason))
}

fn effect(source: &str) -> Effect {
    assess(source).0
}

#[test]
fn nothing_is_taken_for_milder_than_it_is() {
    let labelled = labelled();
    assert!(labelled.len() >= 600, "{}", labelled.len());
    let mut wrong = Vec::new();
    let (mut n_harmless, mut n_unknown) = (0, 0);
    for (label, statement) in &labelled {
        let (found, reason) = assess(statement);
        n_harmless += usize::from(*label == Effect::Observe);
        n_unknown += usize::from(*label == Effect::Observe && found == Effect::Unknown);
        if found != *label {
            wrong.push(format!("{label}, found {found}: {statement}\n    {reason}"));
        }
    }
    println!("{} statements; {n_unknown} of {n_harmless} harmless ones are unknown", labelled.len());
    // One tool that nobody listed stands among them on purpose.
    assert!(wrong.len() <= 1, "{}", wrong.join("\n"));
}

/// `= LABEL`, then statements; `\n` is a line break. Those of `blind.txt` nobody wrote with the table in mind.
#[track_caller]
fn check_set(text: &str, n_expected: usize) {
    let (mut label, mut milder, mut worse) = ("", Vec::new(), Vec::new());
    let (mut n_harmless, mut n_all, mut n_exact) = (0, 0, 0);
    for line in text.lines().skip(2) {
        if let Some(name) = line.strip_prefix("= ") {
            label = name;
            continue;
        }
        let (found, reason) = assess(&line.replace("\\n", "\n"));
        n_all += 1;
        n_harmless += usize::from(label == "observe");
        n_exact += usize::from(label == found.name());
        match (label, found) {
            ("observe", Effect::Observe) => {}
            ("observe", _) => worse.push(format!("{found}: {line}\n    {reason}")),
            (_, Effect::Observe) => milder.push(format!("{label}: {line}\n    {reason}")),
            _ => {}
        }
    }
    println!("{n_all} statements, {n_exact} exactly; {} of {n_harmless} harmless ones are more", worse.len());
    assert!(n_all > n_expected && milder.is_empty(), "{}", milder.join("\n"));
    assert!(worse.len() * 20 <= n_harmless, "{}", worse.join("\n"));
}

#[test]
fn a_blind_set_of_statements_is_never_taken_for_milder_than_it_is() {
    check_set(include_str!("blind.txt"), 2700);
}

#[test]
fn nothing_gets_past_the_table() {
    check_set(include_str!("heldout.txt"), 1700);
}

#[test]
fn reasons_read_well() {
    #[track_caller]
    fn check(statement: &str, expect: &str) {
        assert_eq!(assess(statement).1, expect);
    }
    check("ps aux | grep x | grep y", "only looks (ps, grep)");
    check("curl -f http://localhost:${PORT}/health", "only looks (curl), as long as $PORT is one plain word");
    check(
        "cat x; paramedic server restart a",
        "`paramedic server restart` stops the server and starts it again",
    );
    check("cat x; foo x", "`foo` is not a command that is known");
    check("journalctl --vacuum-size=1G", "`journalctl` with `--vacuum-size` deletes or overwrites");
    check("jmap -histo 5", "`jmap` attaches to the process, which ends it if it is no JVM");
    check("echo x > /etc/motd", "overwrites `/etc/motd`");
    check("if true; then", "it can not be read: nothing stands behind its `then`");
}

#[test]
fn values_are_trusted_only_where_they_could_do_harm() {
    #[track_caller]
    fn check(statement: &str, expect: &[(&str, Trust)]) {
        let script = crate::bash::parse(statement).expect("it is bash");
        let mut known = super::Known::default();
        let Assessment { trusts, .. } = super::assess(&script, &script.items, Table::builtin(), &mut known);
        let expect: Vec<_> = expect.iter().map(|(name, trust)| ((*name).to_owned(), *trust)).collect();
        assert_eq!(trusts.into_iter().collect::<Vec<_>>(), expect, "{statement}");
    }
    check("ls $X \"$Y\"", &[]);
    check("cat < \"$F\"", &[("F", Trust::File)]);
    check("curl \"http://$HOST:$PORT\"", &[]);
    check("curl http://$HOST", &[("HOST", Trust::Word)]);
    check("curl \"$URL\"", &[("URL", Trust::Operand)]);
    check("[[ $N -gt 5 ]]", &[("N", Trust::Integer)]);
    check("N=5; curl http://h/$N", &[]);
    check("N=$(cat x); curl http://h/$N", &[("N", Trust::Word)]);
    check("for p in 1 2; do curl http://h/$p; done", &[]);
    check("systemctl status x-$A \"$B\" \"c-$D\"", &[("A", Trust::Word), ("B", Trust::Operand)]);
    check("rm -rf $X", &[]);
    check("echo $((A + 1))", &[("A", Trust::Integer)]);
}

#[test]
fn statements_stand_with_their_lines() {
    let found =
        statements("#!/bin/bash\nls\n\n# x\nfoo() {\n  rm x\n}\nfoo; PATH=/evil\nls\n", Table::builtin());
    let found: Vec<_> = found.iter().map(|one| (one.line, one.effect, one.statement.as_str())).collect();
    assert_eq!(
        found,
        [
            (2, Effect::Observe, "ls"),
            (5, Effect::Destroy, "foo() {\n  rm x\n}"),
            (8, Effect::Destroy, "foo"),
            (8, Effect::Unknown, "PATH=/evil"),
            (9, Effect::Unknown, "ls"),
        ]
    );
}

#[test]
fn a_users_table_is_believed() {
    let table = Table::builtin().extended("looks = [\"foo\"]\n[\"bar status\"]\nother = \"unknown\"\n");
    let table = table.expect("it is a table");
    let effects: Vec<_> =
        statements("foo -x\nbar status\nbar stop", &table).into_iter().map(|one| one.effect).collect();
    assert_eq!(effects, [Effect::Observe, Effect::Observe, Effect::Unknown]);
}

#[test]
fn a_users_table_holds_options_to_what_is_known() {
    let table = Table::builtin().extended(
        r#"
        [tool]
        effect = "destroy"
        reason = "empties it"
        flags = "v"
        attached = "b"
        values = "o"
        observe = "-l=error|self*"
        dry = "-n --dry-run?client"
        operands = "unknown"
        free = 1
        harmless = "all"
        ["show list"]
        dry = "-x"
        ["show print"]
        effect = "change"
        prints = true
        [show]
        dry = "-x -V"
        refuse = ";"
        shows = "some"
        ["ask * list-*"]
        ["ask *"]
        effect = "unknown"
        "#,
    );
    let table = table.expect("it is a table");
    #[track_caller]
    fn check(table: &Table, statement: &str, expect: Effect) {
        let found = statements(statement, table);
        assert_eq!(found[0].effect, expect, "{statement}: {}", found[0].reason);
    }
    for (statement, expect) in [
        ("tool x", Effect::Destroy),
        ("tool -n x", Effect::Observe),
        ("tool -vn", Effect::Observe),
        ("tool -b -n", Effect::Observe),
        ("tool -bn", Effect::Destroy),
        ("tool -o -n", Effect::Destroy),
        ("tool -n -q", Effect::Unknown),
        ("tool -n -l error", Effect::Observe),
        ("tool -n -lself.test", Effect::Observe),
        ("tool -n -l self/../x", Effect::Unknown),
        ("tool -n -l reset", Effect::Unknown),
        ("tool -n -l $X", Effect::Unknown),
        ("tool --dry-run all", Effect::Observe),
        ("tool --dry-run=client", Effect::Observe),
        ("tool --dry-run=none", Effect::Unknown),
        ("tool --dry x", Effect::Unknown),
        ("tool x y", Effect::Unknown),
        ("tool all x", Effect::Destroy),
        ("show some", Effect::Observe),
        ("show print x", Effect::Change),
        ("show print x -", Effect::Observe),
        ("show print - x", Effect::Change),
        ("show print - -", Effect::Change),
        ("show -x print x", Effect::Change),
        ("show print -x x", Effect::Change),
        ("show -V print x", Effect::Observe),
        ("show some \\; print x", Effect::Unknown),
        ("show some \"$X;\"", Effect::Unknown),
        ("show some \"$X\"", Effect::Observe),
        ("show -q some", Effect::Unknown),
        ("ask any list-all", Effect::Observe),
        ("ask any drop-all", Effect::Unknown),
        ("ask any more list-all", Effect::Unknown),
    ] {
        check(&table, statement, expect);
    }
}

#[test]
fn effects_are_ordered_and_named() {
    assert!(Effect::Observe < Effect::Change && Effect::Change < Effect::Disrupt);
    assert!(Effect::Disrupt < Effect::Destroy && Effect::Destroy < Effect::Unknown);
    assert_eq!(Effect::from_name("destroy"), Some(Effect::Destroy));
    assert_eq!(Effect::from_name("Destroy"), None);
}

/// What does something is never lost, wherever it stands and whatever it is wrapped in.
#[test]
fn harm_is_found_wherever_it_stands() {
    for (label, statement) in labelled() {
        if crate::bash::parse(&statement).is_err() {
            continue;
        }
        for wrapped in [
            format!("{statement}\n\nrm x"),
            format!("rm x; {statement}"),
            format!("if true; then\n{statement}\nrm x; fi"),
            format!("echo \"$(\n{statement}\nrm x)\""),
            format!("f() {{\n{statement}\nrm x\n}}"),
        ] {
            assert!(effect(&wrapped) >= Effect::Destroy, "{wrapped}");
        }
        let label = if label == Effect::Observe { effect(&statement) } else { label };
        for wrapped in [
            format!("(\n{statement}\n)"),
            format!("if true; then\n{statement}\nfi"),
            format!("while :; do\n{statement}\ndone"),
            format!("X=$(\n{statement}\n)"),
            format!("f() {{\n{statement}\n}}; f"),
        ] {
            assert!(effect(&wrapped) >= label, "{wrapped}: {:?}", assess(&wrapped));
        }
        if !statement.contains('\'') && label > Effect::Observe {
            let wrapped = format!("bash -c '{statement}\n'");
            assert!(effect(&wrapped) >= label, "{wrapped}: {:?}", assess(&wrapped));
        }
    }
}

proptest! {
    #[test]
    fn never_panics(statement in any::<String>()) {
        let _effect = assess(&statement);
    }

    #[test]
    fn never_panics_on_shell_like_text(statement in "(cat|sed|awk|find|curl|tar|if|then|fi|\\[|\\]|x|\\$|[ '\"\\\\;&|<>(){}$`!=#\n/.*~-]){0,40}") {
        let _effect = assess(&statement);
    }

    /// Another word behind a command that does harm does not make it harmless.
    #[test]
    fn words_do_not_hide_harm(word in "[a-z./$-]{0,6}|\"[a-z$ ]{0,5}\"|'[^']{0,6}'") {
        for command in ["rm -rf x", "find . -delete", "kill 1", "curl -X DELETE h", "sed -i s/a/b/ x", "tee x"] {
            let statement = format!("{command} {word}");
            prop_assert!(effect(&statement) > Effect::Observe, "{}", statement);
        }
    }
}

#[test]
fn what_a_variable_holds_is_known_only_where_it_is_certain() {
    #[track_caller]
    fn check(statement: &str, expect: Effect, reason: &str) {
        let (effect, found) = assess(statement);
        assert!(effect == expect && found.contains(reason), "{statement}: {effect}, {found}");
    }
    let asks = "as long as $P is one plain word";
    check("P=8080; ping -c1 $P", Effect::Observe, "(ping)");
    for statement in [
        "if [ -f /x ]; then P=8080; fi; ping -c1 $P",
        "false && P=8080; ping -c1 $P",
        "(P=8080); ping -c1 $P",
        "P=8080 | cat; ping -c1 $P",
        "P=8080 & ping -c1 $P",
        "while false; do P=8080; done; ping -c1 $P",
        "case a in b) P=8080;; esac; ping -c1 $P",
    ] {
        let found = statements(statement, Table::builtin());
        let last = found.last().expect("there is one");
        assert!(
            last.effect == Effect::Observe && last.reason.ends_with(asks),
            "{statement}: {}",
            last.reason
        );
    }
    check("P='a b'; ping -c1 $P", Effect::Observe, "");
    check("P='-o x'; sort $P", Effect::Unknown, "$P holds `-o x`, and should hold what is one plain word");
    for value in ["x='a[$(rm -f f)]'", "export x='a[$(rm -f f)]'", "y='a[$(rm -f f)]'; x=y"] {
        for use_ in [
            "(( x ))",
            "[[ $x -gt 0 ]]",
            "echo $((x + 1))",
            "echo ${HOME:x:1}",
            "a[x]=1",
            "for ((;x;)); do :; done",
        ] {
            check(&format!("{value}; {use_}"), Effect::Unknown, "a whole number");
        }
    }
    check("x='a[$(rm -f f)]' bash -c '((x))'", Effect::Unknown, "what `x` is set to");
    check("x=5 bash -c 'echo $((x))'", Effect::Observe, "");
}
