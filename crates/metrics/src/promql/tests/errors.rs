//! Owns the tests of errors in queries: what they say, and where they point.

use expect_test::{Expect, expect};

use crate::promql::Query;

/// Parses a query that is not valid and shows the error under the place it points at.
#[track_caller]
fn check_error(text: &str, expect: &Expect) {
    let error = Query::parse(text).expect_err("it is not valid");
    let pointer = match error.position() {
        Some(position) => format!("{text}\n{}^\n", " ".repeat(position.column - 1)),
        None => String::new(),
    };
    expect.assert_eq(&format!("{pointer}{error}\n"));
}

#[test]
fn errors_point_into_the_query() {
    check_error(
        "",
        &expect![[r#"

        ^
        query is not valid at 1:1 near `end of query`: no expression found in input
    "#]],
    );
    check_error(
        "up ==",
        &expect![[r#"
        up ==
             ^
        query is not valid at 1:6 near `end of query`: invalid promql query
    "#]],
    );
    check_error(
        "up down",
        &expect![[r#"
        up down
           ^
        query is not valid at 1:4 near `down`: invalid promql query
    "#]],
    );
    check_error(
        "up == == 1",
        &expect![[r#"
        up == == 1
              ^
        query is not valid at 1:7 near `==`: invalid promql query
    "#]],
    );
    check_error(
        "sum(rate(up[5m])",
        &expect![[r#"
        sum(rate(up[5m])
                        ^
        query is not valid at 1:17 near `end of query`: unclosed left parenthesis
    "#]],
    );
    check_error(
        "sum(up))",
        &expect![[r#"
        sum(up))
              ^
        query is not valid at 1:7 near `)`: unexpected right parenthesis ')'
    "#]],
    );
    check_error(
        "rate(up)",
        &expect![[r#"
        rate(up)
        ^
        query is not valid at 1:1 near `rate`: expected type matrix in call to function 'rate', got vector
    "#]],
    );
    check_error(
        "1 + frobnicate(up)",
        &expect![[r#"
        1 + frobnicate(up)
            ^
        query is not valid at 1:5 near `frobnicate`: unknown function with name 'frobnicate'
    "#]],
    );
    check_error(
        "up{a=b}",
        &expect![[r#"
        up{a=b}
             ^
        query is not valid at 1:6 near `b`: unexpected identifier 'b' in label matching, expected string
    "#]],
    );
    check_error(
        "up{a=\"b}",
        &expect![[r#"
        up{a="b}
             ^
        query is not valid at 1:6 near `"`: unterminated quoted string "
    "#]],
    );
    check_error(
        "up{a=~\"(\"}",
        &expect![[r#"
        up{a=~"("}
              ^
        query is not valid at 1:7 near `"("`: illegal regex for (
    "#]],
    );
    check_error(
        "up[5x]",
        &expect![[r#"
        up[5x]
           ^
        query is not valid at 1:4 near `5x`: bad number or duration syntax: 5x
    "#]],
    );
    check_error(
        "up[0]",
        &expect![[r#"
        up[0]
           ^
        query is not valid at 1:4 near `0`: duration is out of range
    "#]],
    );
    check_error(
        "up[1e300]",
        &expect![[r#"
        up[1e300]
           ^
        query is not valid at 1:4 near `1e300`: duration is out of range
    "#]],
    );
    check_error(
        "up offset NaN",
        &expect![[r#"
        up offset NaN
                  ^
        query is not valid at 1:11 near `NaN`: duration is out of range
    "#]],
    );
    check_error(
        "up & 1",
        &expect![[r#"
        up & 1
           ^
        query is not valid at 1:4 near `&`: unexpected character: '&'
    "#]],
    );
    check_error(
        "* 2",
        &expect![[r#"
        * 2
        ^
        query is not valid at 1:1 near `*`: invalid promql query
    "#]],
    );
    check_error(
        "1 == 1",
        &expect![[r#"
        1 == 1
        ^
        query is not valid at 1:1 near `1`: comparisons between scalars must use BOOL modifier
    "#]],
    );
    check_error(
        "{a=\"\"}",
        &expect![[r#"
        {a=""}
        ^
        query is not valid at 1:1 near `{`: vector selector must contain at least one non-empty matcher
    "#]],
    );
    check_error(
        "a and on(x) group_left(y) b",
        &expect![[r#"
        a and on(x) group_left(y) b
          ^
        query is not valid at 1:3 near `and`: no grouping allowed for 'and' operation
    "#]],
    );
}

#[test]
fn what_is_not_implemented_says_so() {
    check_error(
        "up + info(up)",
        &expect![[r#"
        up + info(up)
             ^
        `info` at 1:6 is not supported
    "#]],
    );
    check_error(
        "histogram_sum(rate(up[5m]))",
        &expect![[r#"
        histogram_sum(rate(up[5m]))
        ^
        `histogram_sum` at 1:1 is not supported
    "#]],
    );
    check_error(
        "a + fill(0) b",
        &expect![[r#"
        a + fill(0) b
            ^
        `fill` at 1:5 is not supported
    "#]],
    );
    check_error(
        "{a=\"b\" or c=\"d\"}",
        &expect![[r#"
        {a="b" or c="d"}
               ^
        `or` at 1:8 is not supported
    "#]],
    );
}
