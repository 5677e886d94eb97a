//! Owns the page of metrics in the format that is asked for: the text of Prometheus, or OpenMetrics.
//!
//! The library writes OpenMetrics without `_created`. Both formats are made of what it writes, line by line: for
//! OpenMetrics each counter and histogram gets the moment of its birth, and for the text format the names that it has
//! there. A series that is not there from the start was born after the page before the one that first has it, and was
//! nothing then: that moment is told, so that whoever reads the birth loses no increase.

use std::collections::HashMap;
use std::fmt::Write as _;

use http::header::HeaderMap;

/// A format of the page.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Format {
    /// Version 0.0.4 of the text of Prometheus.
    Text,
    /// Version 1.0.0.
    OpenMetrics,
}

/// When the series of a page were born.
#[derive(Debug)]
pub(super) struct Births {
    by_series: HashMap<Box<str>, i64>,
    /// When the last page was written, or the guard has started, in milliseconds since 1970.
    last_ms: i64,
}

// === impl Format ===

impl Format {
    /// What is asked for. Whoever does not ask for OpenMetrics gets the text, which everybody can read.
    pub(crate) fn asked(headers: &HeaderMap) -> Self {
        let values =
            headers.get_all(http::header::ACCEPT).into_iter().filter_map(|value| value.to_str().ok());
        let (mut open, mut text) = (0.0_f32, 0.0_f32);
        for part in values.flat_map(|value| value.split(',')) {
            let mut parts = part.split(';').map(str::trim);
            let media_type = parts.next().unwrap_or_default();
            let quality =
                parts.find_map(|parameter| parameter.strip_prefix("q=")).map_or(Ok(1.0), str::parse);
            let quality: f32 = quality.unwrap_or(0.0);
            match media_type {
                "application/openmetrics-text" => open = open.max(quality),
                "text/plain" => text = text.max(quality),
                _ => {}
            }
        }
        if open > 0.0 && open >= text { Self::OpenMetrics } else { Self::Text }
    }

    /// The media type of a page.
    pub(crate) fn media_type(self) -> &'static str {
        match self {
            Self::Text => "text/plain; version=0.0.4; charset=utf-8",
            Self::OpenMetrics => "application/openmetrics-text; version=1.0.0; charset=utf-8",
        }
    }
}

// === impl Births ===

impl Births {
    pub(super) fn new(now_ms: i64) -> Self {
        Self { by_series: HashMap::new(), last_ms: now_ms }
    }

    /// A page of the library in this format. `older` is a family that was born before the guard, and when.
    pub(super) fn page(&mut self, written: &str, format: Format, now_ms: i64, older: (&str, i64)) -> String {
        let mut page = String::with_capacity(written.len() * 2);
        // The family that the lines are about, whether it counts, and its help, which stands before its type.
        let (mut counts, mut help) = (None, "");
        for line in written.lines() {
            if let Some(rest) = line.strip_prefix("# HELP ") {
                help = rest;
            } else if let Some(rest) = line.strip_prefix("# TYPE ") {
                let (name, kind) = rest.split_once(' ').unwrap_or((rest, "unknown"));
                counts = match kind {
                    "counter" => Some((name, "_total")),
                    "histogram" => Some((name, "_sum")),
                    _ => None,
                };
                let suffix = if format == Format::Text && kind == "counter" { "_total" } else { "" };
                let words = help.split_once(' ').map_or("", |(_, words)| words);
                let _ = writeln!(page, "# HELP {name}{suffix} {words}\n# TYPE {name}{suffix} {kind}");
            } else if line.starts_with('#') {
                // The end, and units.
                if format == Format::OpenMetrics {
                    let _ = writeln!(page, "{line}");
                }
            } else {
                let _ = writeln!(page, "{line}");
                if let Some((name, suffix)) = counts {
                    let born_ms = if name == older.0 { older.1 } else { self.last_ms };
                    self.born(&mut page, (name, suffix), line, (format, born_ms));
                }
            }
        }
        self.last_ms = now_ms;
        page
    }

    /// Takes note of the birth of a series, by the one of its lines that ends in this, and tells it.
    fn born(
        &mut self,
        page: &mut String,
        (name, suffix): (&str, &str),
        line: &str,
        (format, born_ms): (Format, i64),
    ) {
        let Some(rest) = line.strip_prefix(name).and_then(|rest| rest.strip_prefix(suffix)) else { return };
        let Some((labels, _)) = rest.rsplit_once(' ') else { return };
        let key = &line[..name.len() + suffix.len() + labels.len()];
        let born_ms = match self.by_series.get(key) {
            Some(born_ms) => *born_ms,
            None => *self.by_series.entry(key.into()).or_insert(born_ms),
        };
        if format == Format::OpenMetrics {
            let _ = writeln!(page, "{name}_created{labels} {}.{:03}", born_ms / 1000, born_ms % 1000);
        }
    }
}

#[cfg(test)]
mod tests {
    use http::header::{ACCEPT, HeaderMap, HeaderValue};

    use super::{Births, Format};

    const WRITTEN: &str = "# HELP a What.\n# TYPE a counter\na_total{x=\"} 1\"} 3\n# HELP g Now.\n# TYPE g gauge\n\
                           g{x=\"1\"} 2\n# HELP h How long.\n# TYPE h histogram\nh_sum{x=\"1\"} 0.5\nh_count{x=\"1\"} 1\n\
                           h_bucket{le=\"+Inf\",x=\"1\"} 1\n# EOF\n";

    #[test]
    fn what_is_asked_for_is_told() {
        for (accept, expect) in [
            ("*/*", Format::Text),
            ("text/plain", Format::Text),
            ("application/openmetrics-text", Format::OpenMetrics),
            (
                "application/openmetrics-text;version=1.0.0;q=0.5,text/plain;version=0.0.4;q=0.3,*/*;q=0.2",
                Format::OpenMetrics,
            ),
            ("text/plain;q=0.9, application/openmetrics-text;q=0.1", Format::Text),
            ("application/openmetrics-text;q=0", Format::Text),
            ("application/openmetrics-text;q=x", Format::Text),
        ] {
            let headers = HeaderMap::from_iter([(ACCEPT, HeaderValue::from_static(accept))]);
            assert_eq!(Format::asked(&headers), expect, "{accept}");
        }
        assert_eq!(Format::asked(&HeaderMap::new()), Format::Text);
    }

    #[test]
    fn text_has_the_names_of_its_samples_and_no_births() {
        let page = Births::new(1_000).page(WRITTEN, Format::Text, 2_000, ("", 0));
        let expect = "# HELP a_total What.\n# TYPE a_total counter\na_total{x=\"} 1\"} 3\n# HELP g Now.\n# TYPE g gauge\n\
                      g{x=\"1\"} 2\n# HELP h How long.\n# TYPE h histogram\nh_sum{x=\"1\"} 0.5\n\
                      h_count{x=\"1\"} 1\nh_bucket{le=\"+Inf\",x=\"1\"} 1\n";
        assert_eq!(page, expect);
    }

    #[test]
    fn a_birth_is_the_last_moment_at_which_there_was_nothing() {
        let mut births = Births::new(1_500);
        let created = |page: &str, name: &str| {
            page.lines()
                .find_map(|line| line.strip_prefix(name)?.rsplit_once(' ').map(|(_, at)| at.to_owned()))
        };
        let page = births.page("# TYPE a counter\n# EOF\n", Format::Text, 20_000, ("", 0));
        assert_eq!(created(&page, "a_created"), None);
        for now_ms in [30_000, 40_000] {
            let page = births.page(WRITTEN, Format::OpenMetrics, now_ms, ("h", 5));
            assert_eq!(created(&page, "a_created{x=\"} 1\"}").as_deref(), Some("20.000"), "{page}");
            assert_eq!(created(&page, "h_created{x=\"1\"}").as_deref(), Some("0.005"), "{page}");
            assert_eq!(created(&page, "g_created"), None);
            assert!(page.ends_with("# EOF\n"));
        }
    }
}
