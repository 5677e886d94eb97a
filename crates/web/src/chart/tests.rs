//! Owns the tests of charts: what is drawn, what is left out, and that the same stands there in words.

use super::{Chart, Line, Mark, Stretch, Threshold, Unit, runs, spark};

const STRETCH: Stretch = Stretch { from_ms: 1_780_000_000_000, to_ms: 1_780_003_600_000 };

fn at(minute: i64, value: f64) -> (i64, f64) {
    (STRETCH.from_ms + minute * 60_000, value)
}

fn chart(samples: Vec<(i64, f64)>) -> Chart {
    Chart {
        id: "latency",
        title: "Latency",
        unit: Unit::Seconds,
        stretch: STRETCH,
        gap_ms: 90_000,
        lines: vec![Line { name: "95th percentile".to_owned(), samples }],
        thresholds: Vec::new(),
        marks: Vec::new(),
    }
}

#[test]
fn numbers_are_short() {
    let check = |unit: Unit, value: f64, expect: &str| assert_eq!(unit.show(value), expect);
    check(Unit::Seconds, 0.0, "0 s");
    check(Unit::Seconds, 0.000_12, "120 µs");
    check(Unit::Seconds, 0.1204, "120 ms");
    check(Unit::Seconds, 5.0, "5 s");
    check(Unit::Seconds, 300.0, "5 min");
    check(Unit::Bytes, 2.0 * 1024.0 * 1024.0 * 1024.0, "2 GiB");
    check(Unit::Bytes, 76_546_048.0, "73 MiB");
    check(Unit::Bytes, 12.0, "12 B");
    check(Unit::Percent, 12.34, "12.3 %");
    check(Unit::PerSecond, 0.05, "0.05/s");
    check(Unit::Count, 1000.0, "1000");
    check(Unit::Count, f64::NAN, "no number");
    check(Unit::Bytes, f64::INFINITY, "no number");
}

#[test]
fn what_is_no_number_and_what_is_missing_are_gaps() {
    let samples = [at(0, 1.0), at(1, 2.0), at(2, f64::NAN), at(3, 3.0), at(9, 4.0), at(10, f64::INFINITY)];
    let lengths: Vec<usize> = runs(&samples, STRETCH, 90_000).iter().map(Vec::len).collect();
    assert_eq!(lengths, [2, 1, 1]);
    // Nothing from outside of the stretch.
    assert!(runs(&[at(-1, 1.0), at(61, 1.0)], STRETCH, 90_000).is_empty());
}

#[test]
fn a_chart_draws_each_run_and_says_the_same_in_words() {
    let samples = vec![at(0, 0.1), at(1, 0.3), at(10, 0.2), at(11, 0.25), at(30, 0.2)];
    let text = chart(samples).figure().into_string();
    let lines = text.split("<polyline").skip(1).filter(|shape| shape.contains("#111111"));
    assert_eq!(lines.count(), 2, "{text}");
    assert_eq!(text.matches("<circle").count(), 1, "a single sample is a point");
    assert!(text.contains("95th percentile: 200 ms (from 100 ms to 300 ms)"), "{text}");
    assert!(text.contains("role=\"img\"") && text.contains("<title id=\"latency-t\">Latency</title>"));
    // The style sheet has the colours, and the policy of the page forbids any other style.
    assert!(!text.contains("style="), "{text}");
    assert!(text.len() < 6_000, "{} bytes", text.len());
}

#[test]
fn thresholds_that_are_near_are_lines_and_others_are_words() {
    let lines = |value: f64| {
        let mut chart = chart(vec![at(0, 1.0), at(1, 2.0)]);
        chart.thresholds = vec![Threshold { alert: "MCPSlow".to_owned(), value }];
        let text = chart.figure().into_string();
        assert!(text.contains("MCPSlow above"), "{text}");
        text.matches("#030303").count()
    };
    assert_eq!((lines(5.0), lines(50.0)), (1, 0));
}

#[test]
fn incidents_are_marks() {
    let mut chart = chart(vec![at(0, 1.0), at(1, 2.0)]);
    let mark = |minute| Mark { at_ms: at(minute, 0.0).0, name: "INC-1 <b>".to_owned() };
    chart.marks = vec![mark(30), mark(-30)];
    let text = chart.figure().into_string();
    assert_eq!(text.matches("#040404").count(), 1, "one of them is before the chart begins");
    assert!(text.contains("INC-1 &lt;b&gt; at 2026-"), "{text}");
}

#[test]
fn without_samples_there_is_no_picture() {
    for samples in [vec![], vec![at(0, f64::NAN)]] {
        let text = chart(samples).figure().into_string();
        assert!(text.contains("No samples in this time.") && !text.contains("<svg"), "{text}");
        assert!(text.contains("95th percentile: no samples"), "{text}");
    }
}

#[test]
fn every_size_of_values_has_an_axis() {
    for high in [0.0, 1e-9, 0.004, 1.0, 7.3, 1e6, 3e12, 1e300] {
        for unit in [Unit::Seconds, Unit::Bytes, Unit::Percent, Unit::PerSecond, Unit::Count] {
            let mut chart = chart(vec![at(0, 0.0), at(1, high)]);
            chart.unit = unit;
            let text = chart.figure().into_string();
            let named = text.matches("<text").count();
            assert!((4..=16).contains(&named), "{high} {unit:?}: {named}");
        }
    }
    // Time that stands still, or goes back, breaks nothing.
    let mut still = chart(vec![(5, 1.0)]);
    for (from_ms, to_ms) in [(5, 5), (5, 1)] {
        still.stretch = Stretch { from_ms, to_ms };
        still.figure();
    }
}

#[test]
fn a_sparkline_is_small() {
    let samples: Vec<(i64, f64)> =
        (0..240).map(|half| (STRETCH.from_ms + half * 15_000, (half % 37) as f64)).collect();
    let text = spark(&samples, STRETCH, 60_000).into_string();
    assert!(text.len() <= 250, "{}: {text}", text.len());
    assert_eq!(text.matches('M').count(), 1);
    assert_eq!(spark(&[], STRETCH, 60_000).into_string(), "");
    assert_eq!(spark(&[at(0, f64::NAN)], STRETCH, 60_000).into_string(), "");
    // All is 0: a line at the bottom.
    let zeros = spark(&[at(0, 0.0), at(30, 0.0), at(60, 0.0)], STRETCH, i64::MAX).into_string();
    assert!(zeros.contains("d=\"M0 23h96\""), "{zeros}");
    let gap = spark(&[at(0, 1.0), at(60, 1.0)], STRETCH, 60_000).into_string();
    assert!(gap.contains("d=\"M0 1h0M96 1h0\""), "{gap}");
}

#[test]
fn every_colour_has_its_place_in_the_style_sheet() {
    let mut chart = chart(vec![at(0, 1.0), at(1, 2.0), at(30, 1.0)]);
    chart.lines = (0..3).map(|number| Line { name: number.to_string(), ..chart.lines[0].clone() }).collect();
    chart.thresholds = vec![Threshold { alert: "a".to_owned(), value: 2.0 }];
    chart.marks = vec![Mark { at_ms: at(5, 0.0).0, name: "m".to_owned() }];
    let text = chart.figure().into_string();
    let style = crate::assets()[0].text;
    for attribute in ["stroke", "fill"] {
        let begin = format!("{attribute}=\"#");
        for shape in text.split(&begin).skip(1) {
            let rule = format!(".chart [{begin}{}\"]", &shape[..6]);
            assert!(style.contains(&rule), "the style sheet has no `{rule}`");
        }
    }
}
