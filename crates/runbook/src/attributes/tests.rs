//! Tests of attributes: what is read, what is said about the rest, and that nothing panics.

use proptest::prelude::*;

use super::*;

#[track_caller]
fn check(info: &str, expect: &expect_test::Expect) {
    let (language, attributes, remarks) = read(info);
    let json = serde_json::to_value(&attributes).expect("attributes serialise");
    let set: Vec<String> = json
        .as_object()
        .into_iter()
        .flatten()
        .filter(|(_, value)| !value.is_null() && **value != false && **value != "policy")
        .map(|(key, value)| format!("{key}={value}"))
        .collect();
    let said: Vec<_> = remarks.iter().map(|r| format!("\n{}: {}", r.offset, r.message)).collect();
    expect.assert_eq(&[format!("[{language}] {}", set.join(" ")).trim_end(), &said.concat()].concat());
}

#[test]
fn reads_every_attribute() {
    check(
        r#"bash {id=restart when="cause != 'disk_full'" timeout=1m30s retry=2 idempotent verify="ready"}"#,
        &expect_test::expect![[
            r#"[bash] id="restart" idempotent=true retry=2 timeout_ms=90000 verify="ready" when="cause != 'disk_full'""#
        ]],
    );
    check(
        r#"sh{effect=disrupt approve=always undo='a "b" \c' until=30m every=10s idempotent=false}"#,
        &expect_test::expect![[
            r#"[sh] approve="always" effect="disrupt" every_ms=10000 undo="a \"b\" \\c" until="30m""#
        ]],
    );
    check(
        r#"  bash { verify="steps.a == \"b\"" }  "#,
        &expect_test::expect![[r#"[bash] verify="steps.a == \"b\"""#]],
    );
    check("bash", &expect_test::expect!["[bash]"]);
    check("", &expect_test::expect!["[]"]);
    check("bash {}", &expect_test::expect!["[bash]"]);
}

#[test]
fn says_what_it_does_not_understand() {
    check(
        "bash {colour=red timeout=60 retry=99 approve=maybe effect=mild idempotent=2 id=a/b every=0s undo=}",
        &expect_test::expect![[r#"
            [bash] approve="always"
            6: attribute `colour` is not known
            17: attribute `timeout` wants a duration such as `90s`, not `60`
            28: attribute `retry` wants a number up to 10, not `99`
            37: attribute `approve` wants policy or always, not `maybe`
            51: attribute `effect` wants observe, change, disrupt, destroy or unknown, not `mild`
            63: attribute `idempotent` wants true or false, not `2`
            76: attribute `id` wants letters, digits, `-` and `_`, not `a/b`
            83: attribute `every` wants a duration such as `10s`, not `0s`
            92: attribute `undo` wants a statement, not ``"#]],
    );
    check(
        "bash {when=\"cause == \" on=db1 id=a id=b}",
        &expect_test::expect![[r#"
            [bash] id="a" on="db1" when="cause == "
            6: condition `cause ==` is not a CEL expression: Syntax error: mismatched input '<EOF>' expecting {'[', '{', '(', '.', '-', '!', 'true', 'false', 'null', NUM_FLOAT, NUM_INT, NUM_UINT, STRING, BYTES, IDENTIFIER}
            23: attribute `on` is refused: there is no fleet yet
            35: attribute `id` stands twice; the first one holds"#]],
    );
    check(
        "bash {when=\"x",
        &expect_test::expect![[r#"
            [bash]
            11: the quote of attribute `when` does not close"#]],
    );
    check(
        "bash {id=a",
        &expect_test::expect![[r#"
        [bash] id="a"
        10: the brace of the attributes does not close"#]],
    );
    check(
        "bash id=a",
        &expect_test::expect![[r#"
            [bash]
            5: what follows the language is not in braces, and is not carried out"#]],
    );
    check(
        "bash {=a}",
        &expect_test::expect![[r#"
            [bash]
            6: an attribute has no name"#]],
    );
    check(
        "bash {id=a} more",
        &expect_test::expect![[r#"
        [bash] id="a"
        11: something follows the attributes"#]],
    );
}

proptest! {
    #[test]
    fn never_panics(info in any::<String>()) {
        let _language = read(&info);
        let _attributes = read(&format!("bash {{{info}}}"));
    }

    #[test]
    fn quoted_values_come_back(value in "[^\\\\\"]{1,40}") {
        let info = format!("bash {{undo=\"{value}\"}}");
        let (_, attributes, remarks) = read(&info);
        if value.trim().is_empty() {
            prop_assert_eq!(remarks.len(), 1);
        } else {
            prop_assert_eq!(attributes.undo, Some(value));
        }
    }
}
