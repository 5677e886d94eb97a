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
        &[
            "",
            "up ==",
            "up down",
            "up == == 1",
            "* 2",
            "sum(rate(up[5m])",
            "sum(up))",
            "up & 1",
            "a,\nb",
            "1 </ 2",
            "sum by x (up)",
            "a + on b",
            "a + group_left() b",
            "a + on(x) fill(b) c",
        ],
        &expect![[r#"

            ^ query is not valid at 1:1 near `end of query`: expected an expression
            up ==
                 ^ query is not valid at 1:6 near `end of query`: expected an expression
            up down
               ^ query is not valid at 1:4 near `down`: expected an operator or the end
            up == == 1
                  ^ query is not valid at 1:7 near `==`: expected an expression
            * 2
            ^ query is not valid at 1:1 near `*`: expected an expression
            sum(rate(up[5m])
                            ^ query is not valid at 1:17 near `end of query`: expected `)`
            sum(up))
                   ^ query is not valid at 1:8 near `)`: expected an operator or the end
            up & 1
               ^ query is not valid at 1:4 near `&`: unexpected character
            a,
            b
             ^ query is not valid at 1:2 near `,`: expected an operator or the end
            1 </ 2
              ^ `</` at 1:3 is not supported: it needs native histograms, which are not stored here
            sum by x (up)
                   ^ query is not valid at 1:8 near `x`: expected `(`
            a + on b
                   ^ query is not valid at 1:8 near `b`: expected `(`
            a + group_left() b
                ^ query is not valid at 1:5 near `group_left`: grouping must follow `on` or `ignoring`
            a + on(x) fill(b) c
                           ^ query is not valid at 1:16 near `b`: expected a number to fill with
        "#]],
    );
}

#[test]
fn slips_in_selectors() {
    check(
        &[
            "up{a=b}",
            "up{a=\"b}",
            "up{a=~\"(\"}",
            "{a=\"\"}",
            "1 + up{a=\"x\" b=\"y\"}",
            "{a=\"b\" or c=\"d\"}",
            "up{__name__=\"down\"}",
            "up{a=\"\\q\"}",
        ],
        &expect![[r#"
            up{a=b}
                 ^ query is not valid at 1:6 near `b`: expected a quoted text
            up{a="b}
                 ^ query is not valid at 1:6 near `"b}`: the quote is never closed
            up{a=~"("}
                  ^ query is not valid at 1:7 near `"("`: `(` is no regular expression
            {a=""}
            ^ query is not valid at 1:1 near `{`: vector selector must contain at least one non-empty matcher
            1 + up{a="x" b="y"}
                         ^ query is not valid at 1:14 near `b`: expected `}`
            {a="b" or c="d"}
                   ^ query is not valid at 1:8 near `or`: expected `}`
            up{__name__="down"}
               ^ query is not valid at 1:4 near `__name__`: metric name must not be set twice
            up{a="\q"}
                 ^ query is not valid at 1:6 near `"\q"`: bad escape in quoted text
        "#]],
    );
}

#[test]
fn slips_in_durations() {
    check(
        &[
            "up[5x]",
            "up[0]",
            "up[1e300]",
            "up offset NaN",
            "up[5m:0]",
            "up offset 200y",
            "up[5m - 5m]",
            "up[5m",
            "up offset 5m[5m]",
            "sum(up) offset 5m",
            "up[5m:1m:1m]",
            "up @ noon",
        ],
        &expect![[r#"
            up[5x]
               ^ query is not valid at 1:4 near `5x`: bad number or duration syntax
            up[0]
               ^ query is not valid at 1:4 near `0`: duration is out of range
            up[1e300]
               ^ query is not valid at 1:4 near `1e300`: duration is out of range
            up offset NaN
                      ^ query is not valid at 1:11 near `NaN`: duration is out of range
            up[5m:0]
                  ^ query is not valid at 1:7 near `0`: duration is out of range
            up offset 200y
                      ^ query is not valid at 1:11 near `200y`: duration is out of range
            up[5m - 5m]
               ^ query is not valid at 1:4 near `5m`: duration is out of range
            up[5m
                 ^ query is not valid at 1:6 near `end of query`: expected `]`
            up offset 5m[5m]
                         ^ query is not valid at 1:14 near `5m`: no offset or @ modifiers allowed before range
            sum(up) offset 5m
                    ^ query is not valid at 1:9 near `offset`: offset modifier must be preceded by an instant vector selector or range vector selector or a subquery
            up[5m:1m:1m]
                    ^ query is not valid at 1:9 near `:`: expected `]`
            up @ noon
                 ^ query is not valid at 1:6 near `noon`: expected a timestamp in seconds
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
            "clamp_max(up, 1, 2)",
            "label_join(up)",
            "topk(up)",
            "-\"text\"",
            "up[5m] + 1",
            "a + on(x) group_left(x) b",
            "1 and 2",
            "a + bool b",
            "info(up, up + 1)",
        ],
        &expect![[r#"
            rate(up)
                 ^ query is not valid at 1:6 near `up`: expected type range vector in call to function "rate", got instant vector
            1 + frobnicate(up)
                ^ query is not valid at 1:5 near `frobnicate`: unknown function with name "frobnicate"
            1 == 1
              ^ query is not valid at 1:3 near `==`: comparisons between scalars must use BOOL modifier
            a and on(x) group_left(y) b
              ^ query is not valid at 1:3 near `and`: no grouping or fill allowed for set operation
            clamp(up, 1)
            ^ query is not valid at 1:1 near `clamp`: expected 3 argument(s) in call to "clamp", got 2
            sum(up[5m])
                ^ query is not valid at 1:5 near `up`: expected type instant vector in aggregation expression, got range vector
            clamp_max(up, 1, 2)
            ^ query is not valid at 1:1 near `clamp_max`: expected 2 argument(s) in call to "clamp_max", got 3
            label_join(up)
            ^ query is not valid at 1:1 near `label_join`: expected at least 3 argument(s) in call to "label_join", got 1
            topk(up)
            ^ query is not valid at 1:1 near `topk`: wrong number of arguments for aggregate expression, expected 2, got 1
            -"text"
             ^ query is not valid at 1:2 near `"text"`: unary expression only allowed on expressions of type scalar or instant vector, got string
            up[5m] + 1
            ^ query is not valid at 1:1 near `up`: binary expression must contain only scalar and instant vector types
            a + on(x) group_left(x) b
                      ^ query is not valid at 1:11 near `group_left`: label "x" must not occur in ON and GROUP clause at once
            1 and 2
              ^ query is not valid at 1:3 near `and`: set operator not allowed in binary scalar expression
            a + bool b
              ^ query is not valid at 1:3 near `+`: bool modifier can only be used on comparison operators
            info(up, up + 1)
                     ^ query is not valid at 1:10 near `up`: expected label matchers in braces
        "#]],
    );
}

#[test]
fn what_is_not_implemented_says_so() {
    check(
        &[
            "up + histogram_stddev(up)",
            "histogram_sum(rate(up[5m]))",
            "sum(up) </ 2",
            "rate(up[5m] smoothed)",
            "rate(up[5m] anchored)",
        ],
        &expect![[r#"
            up + histogram_stddev(up)
                 ^ `histogram_stddev` at 1:6 is not supported: it needs native histograms, which are not stored here
            histogram_sum(rate(up[5m]))
            ^ `histogram_sum` at 1:1 is not supported: it needs native histograms, which are not stored here
            sum(up) </ 2
                    ^ `</` at 1:9 is not supported: it needs native histograms, which are not stored here
            rate(up[5m] smoothed)
                        ^ `smoothed` at 1:13 is not supported: it is experimental in Prometheus
            rate(up[5m] anchored)
                        ^ `anchored` at 1:13 is not supported: it is experimental in Prometheus
        "#]],
    );
}
