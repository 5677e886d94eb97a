//! Owns the tests of reading metrics pages.

use expect_test::{Expect, expect};
use proptest::prelude::*;

use super::*;

const NOW_MS: i64 = 1_000;

#[track_caller]
fn check(page: &str, expect: &Expect) {
    let (samples, diagnostics) = parse(page, NOW_MS);
    let mut shown = String::new();
    for sample in samples {
        shown += &format!("{} {} @{}\n", sample.labels, sample.value, sample.at_ms);
    }
    for diagnostic in diagnostics {
        shown += &format!("line {}: {}\n", diagnostic.line, diagnostic.message);
    }
    expect.assert_eq(&shown);
}

#[test]
fn reads_values_escapes_and_timestamps() {
    check(
        concat!(
            "# HELP up Whether it is up.\n# TYPE up gauge\nup 1\n",
            "up{a=\"1\",} 2 1234\n",
            "t{path=\"C:\\\\DIR\\\"x\\\"\\n\", b = \"é, }\"}\t-3.5e-2\r\n\n",
            "nan NaN\ninf +Inf\nminus -Inf\n",
            "{\"my.metric\", \"a.b\"=\"c\"} .5\n",
        ),
        &expect![[r#"
            up 1 @1000
            up{a="1"} 2 @1234
            t{b="é, }",path="C:\\DIR\"x\"\n"} -0.035 @1000
            nan NaN @1000
            inf inf @1000
            minus -inf @1000
            {"my.metric","a.b"="c"} 0.5 @1000
        "#]],
    );
}

#[test]
fn a_bad_line_costs_only_itself() {
    check(
        concat!(
            "good 1\n",
            "bad\n",
            "bad{a=\"1\" 1\n",
            "bad{a=1} 1\n",
            "bad{a=\"1} 1\n",
            "bad{=\"1\"} 1\n",
            "bad{a=\"1\",a=\"2\"} 1\n",
            "bad one\n",
            "bad 1 soon\n",
            "bad 1 2 3\n",
            "1bad 1\n",
            "{a=\"1\"} 1\n",
            "é 1\n",
            "bad 1 # {trace_id=\"x\"} 1\n",
            "good 2 5\n",
        ),
        &expect![[r##"
            good 1 @1000
            good 2 @5
            line 2: series `bad` has no value
            line 3: expected `}` at `1`
            line 4: expected `"` at `1} 1`
            line 5: text starting at `"1} 1` has no closing quote
            line 6: expected the name of a label in `bad{="1"} 1`
            line 7: label `a` is given twice
            line 8: value `one` of `bad` is not a number
            line 9: timestamp `soon` of `bad` cannot be read
            line 10: unexpected `3` after the value of `bad`
            line 11: expected the name of a metric at `1bad 1`
            line 12: expected the name of a metric at `{a="1"} 1`
            line 13: expected the name of a metric at `é 1`
            line 14: unexpected `#` after the value of `bad`
        "##]],
    );
}

#[test]
fn reads_openmetrics() {
    check(
        concat!(
            "# TYPE errors counter\n# UNIT errors 1\n",
            "errors_total{a=\"1\"} 3 1.5 # {trace_id=\"x\"} 0.1 1.2\n",
            "errors_total{a=\"2\"} 4 # {} 1\n",
            "# EOF\n",
            "after 1\n# EOF",
        ),
        &expect![[r#"
            errors_total{a="1"} 3 @1500
            errors_total{a="2"} 4 @1000
        "#]],
    );
}

#[test]
fn reads_what_prometheus_client_writes() {
    use prometheus_client::encoding::text::encode;
    use prometheus_client::metrics::{counter::Counter, family::Family, histogram::Histogram};
    use prometheus_client::registry::Registry;

    let mut registry = Registry::default();
    let errors = Family::<Vec<(String, String)>, Counter>::default();
    registry.register("mcp_server_errors", "Errors", errors.clone());
    errors.get_or_create(&vec![("error_type".to_owned(), "a \"b\"\n\\".to_owned())]).inc();
    let durations = Histogram::new([0.1, 5.0]);
    registry.register("mcp_request_duration_seconds", "Durations", durations.clone());
    durations.observe(1.0);
    let mut page = String::new();
    encode(&mut page, &registry).expect("writing to a string does not fail");
    assert!(page.ends_with("# EOF\n"));
    check(
        &page,
        &expect![[r#"
            mcp_server_errors_total{error_type="a \"b\"\n\\"} 1 @1000
            mcp_request_duration_seconds_sum 1 @1000
            mcp_request_duration_seconds_count 1 @1000
            mcp_request_duration_seconds_bucket{le="0.1"} 0 @1000
            mcp_request_duration_seconds_bucket{le="5.0"} 1 @1000
            mcp_request_duration_seconds_bucket{le="+Inf"} 1 @1000
        "#]],
    );
    let kinds: Vec<Kind> = read(&page, NOW_MS).samples.iter().map(|sample| sample.kind).collect();
    assert_eq!(kinds, [Kind::Counter; 6]);
}

#[test]
fn kinds_come_from_declarations_and_then_from_names() {
    let page = "# TYPE a counter\na 1\nb_total 1\n# TYPE c_total gauge\nc_total 1\nd_count 1\nup 1\n";
    let kinds: Vec<Kind> = read(page, NOW_MS).samples.iter().map(|sample| sample.kind).collect();
    assert_eq!(kinds, [Kind::Counter, Kind::Counter, Kind::Other, Kind::Other, Kind::Other]);
}

#[test]
fn garbage_is_counted_but_not_kept() {
    let page = "bad\n".repeat(1_000) + "good 1\n";
    let read = read(&page, NOW_MS);
    assert_eq!(read.samples.len(), 1);
    assert_eq!(read.lines_rejected, 1_000);
    assert_eq!(read.diagnostics.len(), DIAGNOSTICS_MAX + 1);
    let last = read.diagnostics.last().expect("there are some");
    assert_eq!(last.message, "950 more lines below could not be read");
}

#[test]
fn lines_and_labels_are_bounded() {
    let long = format!("up{{a=\"{}\"}} 1\n", "x".repeat(LINE_BYTES_MAX));
    let labels: String = (0..100).map(|index| format!("l{index}=\"1\",")).collect();
    check(
        &(long + &format!("up{{{labels}}} 1\n")),
        &expect![[r#"
            line 1: line is longer than 65536 bytes
            line 2: series has more than 64 labels
        "#]],
    );
}

proptest! {
    #[test]
    fn never_panics(page in any::<String>()) {
        let _ = parse(&page, NOW_MS);
    }

    #[test]
    fn never_panics_on_what_looks_like_a_page(page in "([a-z{}\"=\\\\,# .0-9é\n]|TYPE|EOF|NaN|_total){0,80}") {
        let _ = parse(&page, NOW_MS);
    }

    #[test]
    fn reads_back_what_labels_show(name in "[a-z:_]{1,8}", value in ".{0,20}", number in any::<f64>()) {
        let labels = Labels::metric(&name, &[("label", &value)]);
        let (samples, diagnostics) = parse(&format!("{labels} {number:?}\n"), NOW_MS);
        prop_assert_eq!(diagnostics, vec![]);
        prop_assert_eq!(&samples[0].labels, &labels);
        prop_assert!(samples[0].value == number || number.is_nan());
    }
}
