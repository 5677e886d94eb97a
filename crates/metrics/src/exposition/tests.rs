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

/// Remembers the kinds of the series that it is given.
struct Kinds(Vec<Kind>);

impl Sink for Kinds {
    fn expected(&self, _: &[u8]) -> Option<usize> {
        None
    }

    fn known(&mut self, _: Reading, _: &Families) {}

    fn series(&mut self, _: &[u8], pairs: &Pairs<'_>, _: Reading, families: &Families) {
        self.0.push(families.kind(&pairs[0].1));
    }
}

fn kinds(page: &str) -> Vec<Kind> {
    let mut kinds = Kinds(Vec::new());
    let mut scanner = Scanner::new(Format::of_page(page), PageLimits::default());
    scanner.feed(page.as_bytes(), &mut kinds);
    scanner.close(&mut kinds);
    kinds.0
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
    assert_eq!(kinds(&page), [Kind::Counter; 6]);
}

#[test]
fn kinds_come_from_declarations_and_then_from_names() {
    let page = "# TYPE a counter\na 1\nb_total 1\n# TYPE c_total gauge\nc_total 1\nd_count 1\nup 1\n";
    assert_eq!(kinds(page), [Kind::Counter, Kind::Counter, Kind::Other, Kind::Other, Kind::Other]);
}

#[test]
fn garbage_is_counted_but_not_kept() {
    let page = "bad\n".repeat(1_000) + "good 1\n";
    let (samples, diagnostics) = parse(&page, NOW_MS);
    assert_eq!(samples.len(), 1);
    assert_eq!(diagnostics.len(), 51);
    let last = diagnostics.last().expect("there are some");
    assert_eq!(last.message, "950 more lines below could not be read");
}

#[test]
fn lines_and_labels_are_bounded() {
    let long = format!("up{{a=\"{}\"}} 1\n", "x".repeat(64 << 10));
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

/// What a page says, however it is cut.
#[track_caller]
fn read_in_pieces(page: &[u8], format: Format, limits: PageLimits, piece_bytes: usize) -> (String, usize) {
    let mut all = Collected { now_ms: NOW_MS, samples: Vec::new() };
    let mut scanner = Scanner::new(format, limits);
    for piece in page.chunks(piece_bytes.max(1)) {
        scanner.feed(piece, &mut all);
    }
    let rejected = scanner.close(&mut all);
    (format!("{:?} {:?}", all.samples, rejected.diagnostics), rejected.lines)
}

const SMALL: PageLimits =
    PageLimits { bytes_max: 100, line_bytes_max: 20, samples_max: 3, labels_max: 2, label_bytes_max: 5 };

#[track_caller]
fn check_small(page: &str, format: Format, expect: &str) {
    for piece_bytes in [1, 2, 3, 7, 1_000] {
        let (shown, _) = read_in_pieces(page.as_bytes(), format, SMALL, piece_bytes);
        let messages = shown.split("message: ").skip(1).map(|rest| rest.split(" }").next().unwrap());
        let messages: Vec<&str> = messages.collect();
        assert_eq!(messages.join("\n"), expect, "in pieces of {piece_bytes} bytes");
    }
}

#[test]
fn every_limit_is_named_wherever_the_page_is_cut() {
    check_small("a 1\n", Format::Text, "");
    check_small("a 1\n# EOF\n", Format::OpenMetrics, "");
    check_small("a 1\n", Format::OpenMetrics, r#""page has no `# EOF`: it may have been cut""#);
    let long = format!("a{{b=\"{}\"}} 1\na 1\n", "x".repeat(20));
    check_small(&long, Format::Text, r#""line is longer than 20 bytes""#);
    check_small(&long[..25], Format::Text, r#""line is longer than 20 bytes""#);
    check_small(
        "a{b=\"123456\"} 1",
        Format::Text,
        r#""name or value of a label is longer than 5 bytes: `123456`""#,
    );
    check_small(
        "a 1\nb 1\nc 1\nd 1\n# c\ne 1\n",
        Format::Text,
        r#""page has 2 samples more than the 3 that are read""#,
    );
    check_small(&"#\n".repeat(51), Format::Text, r#""page is longer than 100 bytes: the rest is not read""#);
    check_small(&"#\n".repeat(50), Format::Text, "");
}

#[test]
fn a_broken_exemplar_is_named_and_the_sample_is_kept() {
    check(
        concat!(
            "a_total 1 # {trace_id=\"x\"} 0.1 1.5\n",
            "b_total 2 # {trace_id=\"x} 0.1\n",
            "c_total 3 9.5 # nothing\n",
            "d_total 4 # {a=\"}\"} 1 # {} 1\n",
            "a_created 1.5e9\n",
            "# EOF\n",
        ),
        &expect![[r#"
            a_total 1 @1000
            b_total 2 @1000
            c_total 3 @9500
            d_total 4 @1000
            a_created 1500000000 @1000
            line 2: exemplar `{trace_id="x} 0.1` of `b_total` cannot be read; the sample is kept
            line 3: exemplar `nothing` of `c_total` cannot be read; the sample is kept
            line 4: exemplar `{a="}"} 1 # {} 1` of `d_total` cannot be read; the sample is kept
        "#]],
    );
}

#[test]
fn what_is_not_utf8_costs_only_its_line() {
    let (shown, lines) =
        read_in_pieces(b"a 1\nb{c=\"\xff\"} 1\nd 1\n", Format::Text, PageLimits::default(), 5);
    assert_eq!(lines, 1);
    assert!(shown.contains("line is not UTF-8") && shown.contains("[Sample { labels: a"), "{shown}");
}

#[test]
fn the_format_is_what_the_response_says() {
    for (content_type, format) in [
        ("application/openmetrics-text; version=1.0.0; charset=utf-8", Format::OpenMetrics),
        ("Application/OpenMetrics-Text", Format::OpenMetrics),
        ("text/plain; version=0.0.4", Format::Text),
        ("", Format::Text),
    ] {
        assert_eq!(Format::of_content_type(content_type), format, "{content_type}");
    }
}

proptest! {
    #[test]
    fn cuts_do_not_matter(
        page in "([a-c{}\"=\\\\,# .0-9é\n]|# TYPE|# EOF|\n|a 1\n|b\\{c=\"d\"\\} 2\n){0,60}",
        is_openmetrics in any::<bool>(),
        is_small in any::<bool>(),
        piece_bytes in 1usize..20,
    ) {
        let format = if is_openmetrics { Format::OpenMetrics } else { Format::Text };
        let limits = if is_small { SMALL } else { PageLimits::default() };
        let whole = read_in_pieces(page.as_bytes(), format, limits, usize::MAX);
        prop_assert_eq!(whole, read_in_pieces(page.as_bytes(), format, limits, piece_bytes));
    }

    #[test]
    fn never_panics_on_bytes(page in prop::collection::vec(any::<u8>(), 0..200), piece_bytes in 1usize..20) {
        read_in_pieces(&page, Format::OpenMetrics, SMALL, piece_bytes);
    }
}
