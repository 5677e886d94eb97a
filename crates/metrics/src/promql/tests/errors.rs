//! Owns the tests of errors in queries: what they say, and where they point.

use expect_test::{Expect, expect};

use crate::promql::Query;

/// Parses queries that are not valid and shows each error under the place it points at.
#[track_caller]
fn check(queries: &[&str], expect: &Expect) {
    let mut shown = String::new();
    for text in queries {
        let error = Query::parse(text).expect_err("it is not valid");
        let column = error.position().expect("it is in one place").column;
        shown += &format!("{text}\n{}^ {error}\n", " ".repeat(column - 1));
    }
    expect.assert_eq(&shown);
}

#[test]
fn slips_of_grammar() {
    check(
        &["", "up ==", "up down", "up == == 1", "* 2", "sum(rate(up[5m])", "sum(up))", "up & 1", "a,\nb"],
        &expect![[r#"

            ^ query is not valid at 1:1 near `end of query`: no expression found in input
            up ==
                 ^ query is not valid at 1:6 near `end of query`: invalid promql query
            up down
               ^ query is not valid at 1:4 near `down`: invalid promql query
            up == == 1
                  ^ query is not valid at 1:7 near `==`: invalid promql query
            * 2
            ^ query is not valid at 1:1 near `*`: invalid promql query
            sum(rate(up[5m])
                            ^ query is not valid at 1:17 near `end of query`: unclosed left parenthesis
            sum(up))
                  ^ query is not valid at 1:7 near `)`: unexpected right parenthesis ')'
            up & 1
               ^ query is not valid at 1:4 near `&`: unexpected character: '&'
            a,
            b
             ^ query is not valid at 1:2 near `,`: invalid promql query
        "#]],
    );
}

#[test]
fn slips_in_selectors() {
    check(
        &["up{a=b}", "up{a=\"b}", "up{a=~\"(\"}", "{a=\"\"}", "1 + up{a=\"x\" b=\"y\"}"],
        &expect![[r#"
            up{a=b}
                 ^ query is not valid at 1:6 near `b`: unexpected identifier 'b' in label matching, expected string
            up{a="b}
                 ^ query is not valid at 1:6 near `"`: unterminated quoted string "
            up{a=~"("}
                  ^ query is not valid at 1:7 near `"("`: illegal regex for (
            {a=""}
            ^ query is not valid at 1:1 near `{`: vector selector must contain at least one non-empty matcher
            1 + up{a="x" b="y"}
                         ^ query is not valid at 1:14 near `b`: invalid promql query
        "#]],
    );
}

#[test]
fn slips_in_durations() {
    check(
        &["up[5x]", "up[0]", "up[1e300]", "up offset NaN", "up[5m:0]", "up offset 200y"],
        &expect![[r#"
        up[5x]
           ^ query is not valid at 1:4 near `5x`: bad number or duration syntax: 5x
        up[0]
           ^ query is not valid at 1:4 near `0`: duration is out of range
        up[1e300]
           ^ query is not valid at 1:4 near `1e300`: duration is out of range
        up offset NaN
                  ^ query is not valid at 1:11 near `NaN`: duration is out of range
        up[5m:0]
           ^ query is not valid at 1:4 near `5m`: duration is out of range
        up offset 200y
           ^ query is not valid at 1:4 near `offset`: duration is out of range
    "#]],
    );
}

#[test]
fn slips_of_meaning() {
    check(
        &[
            "rate(up)",
            "1 + frobnicate(up)",
            "1 == 1",
            "a and on(x) group_left(y) b",
            "clamp(up, 1)",
            "sum(up[5m])",
        ],
        &expect![[r#"
            rate(up)
            ^ query is not valid at 1:1 near `rate`: expected type matrix in call to function 'rate', got vector
            1 + frobnicate(up)
                ^ query is not valid at 1:5 near `frobnicate`: unknown function with name 'frobnicate'
            1 == 1
            ^ query is not valid at 1:1 near `1`: comparisons between scalars must use BOOL modifier
            a and on(x) group_left(y) b
              ^ query is not valid at 1:3 near `and`: no grouping allowed for 'and' operation
            clamp(up, 1)
            ^ query is not valid at 1:1 near `clamp`: expected 3 argument(s) in call to 'clamp', got 2
            sum(up[5m])
            ^ query is not valid at 1:1 near `sum`: expected type vector in aggregation expression, got matrix
        "#]],
    );
}

#[test]
fn what_is_not_implemented_says_so() {
    check(
        &[
            "up + info(up)",
            "histogram_sum(rate(up[5m]))",
            "a + fill(0) b",
            "{a=\"b\" or c=\"d\"}",
            "rate(up[5m] smoothed)",
        ],
        &expect![[r#"
            up + info(up)
                 ^ `info` at 1:6 is not supported
            histogram_sum(rate(up[5m]))
            ^ `histogram_sum` at 1:1 is not supported
            a + fill(0) b
                ^ `fill` at 1:5 is not supported
            {a="b" or c="d"}
                   ^ `or` at 1:8 is not supported
            rate(up[5m] smoothed)
                        ^ query is not valid at 1:13 near `smoothed`: invalid promql query
        "#]],
    );
}
