//! Owns what a query has to be on other engines: some miss the very incident that an alert is for.
//!
//! - A counter that appears with its first event has no increase in Prometheus: one sample has nothing to differ from.
//! - A series that its process exports is gone with the process: `up == 0` finds nothing where there is nothing.
//! - A quantile is at most the highest finite bucket, so that `>` that bound never holds.
//!
//! Pieces are taken from the text of the query as they stand there; what does not have one of these forms stays as it is.

use super::Query;
use super::syntax::{Aggregation, Expr, Group, Grouping, Kind, Matching, Operator, SetOperator};

/// An engine that evaluates PromQL.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Engine {
    /// Prometheus itself.
    Prometheus,
    /// Thanos, by its querier.
    Thanos,
    /// Grafana Mimir, or Cortex.
    Mimir,
    /// VictoriaMetrics.
    VictoriaMetrics,
}

/// A query as an engine needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Portable {
    /// The query.
    pub text: String,
    /// What was written otherwise, or needs not be, and why.
    pub remarks: Vec<String>,
}

/// How far back a series is looked for that is missing.
const MISSING_FOR: &str = "1h";

/// A piece of the text that is put in place of another.
struct Edit {
    from: usize,
    to: usize,
    text: String,
}

struct Rewriting<'q> {
    text: &'q str,
    engine: Engine,
    /// The query says itself what is to be done about what is not there.
    knows_absence: bool,
    edits: Vec<Edit>,
    remarks: Vec<String>,
}

// === impl Engine ===

impl Engine {
    /// All engines.
    pub const ALL: [Self; 4] = [Self::Prometheus, Self::Thanos, Self::Mimir, Self::VictoriaMetrics];

    /// Its name, as it is written in a configuration.
    pub fn name(self) -> &'static str {
        match self {
            Self::Prometheus => "prometheus",
            Self::Thanos => "thanos",
            Self::Mimir => "mimir",
            Self::VictoriaMetrics => "victoriametrics",
        }
    }
}

// === impl Query ===

impl Query {
    /// Returns the query as an engine needs it, so that it does not miss what it is for.
    pub fn for_engine(&self, engine: Engine) -> Portable {
        let text = self.text();
        let expr = &self.0.expr;
        let knows_absence = holds_unless(expr);
        let mut rewriting = Rewriting { text, engine, knows_absence, edits: Vec::new(), remarks: Vec::new() };
        rewriting.visit(expr, text.trim_end().len());
        let Rewriting { mut edits, remarks, .. } = rewriting;
        edits.sort_by_key(|edit| edit.from);
        let mut whole = text.to_owned();
        for edit in edits.into_iter().rev() {
            whole.replace_range(edit.from..edit.to, &edit.text);
        }
        // What is put together must be a query; where it is not, what was there is better.
        match Query::parse(&whole) {
            Ok(_) => Portable { text: whole, remarks },
            Err(_) => Portable { text: text.to_owned(), remarks: Vec::new() },
        }
    }
}

// === impl Rewriting ===

impl Rewriting<'_> {
    /// Looks at a piece that ends before `end`.
    fn visit(&mut self, expr: &Expr, end: usize) {
        match &expr.kind {
            Kind::Paren(inner) => {
                if let Some(close) = closing(self.text, expr.offset) {
                    self.visit(inner, self.text[..close].trim_end().len());
                }
            }
            Kind::Binary { operator: Operator::Set(SetOperator::Or), left, right, matching, .. } => {
                if is_plain(matching)
                    && let Some(word) = before(self.text, right.offset, "or")
                {
                    self.visit(left, self.text[..word].trim_end().len());
                    self.visit(right, end);
                }
            }
            Kind::Binary { operator: Operator::Comparison(holds), left, right, matching, is_bool: false }
                if is_plain(matching) =>
            {
                let Kind::Number(bound) = right.unwrapped().kind else {
                    return self.top_bucket(*holds, left, right);
                };
                if bound == 0.0 {
                    self.first_event(*holds, expr, left, end);
                    self.missing(*holds, left, right, end);
                }
                self.top_bucket(*holds, left, right);
            }
            _ => {}
        }
    }

    /// `increase(x[5m]) > 0`: the first event of a series that was not there before.
    fn first_event(&mut self, holds: fn(f64, f64) -> bool, whole: &Expr, left: &Expr, end: usize) {
        if self.knows_absence || !holds(1.0, 0.0) || holds(0.0, 0.0) {
            return;
        }
        let mut call = left.unwrapped();
        if let Kind::Aggregate { aggregation: Aggregation::Sum | Aggregation::Max, inner, .. } = &call.kind {
            call = inner.unwrapped();
        }
        let Kind::Call { function, arguments } = &call.kind else { return };
        let [argument] = arguments.as_slice() else { return };
        let Kind::Range { selector, .. } = &argument.kind else { return };
        let moves = selector.when.at.is_some() || selector.when.offset.is_some();
        if !["increase", "rate"].contains(&function.name) || moves {
            return;
        }
        let Some(open) = self.text[call.offset..].find('(').map(|idx| call.offset + idx) else { return };
        let Some(close) = closing(self.text, open) else { return };
        let inside = self.text[open + 1..close].trim();
        let Some((series, range)) = inside.strip_suffix(']').and_then(|rest| rest.rsplit_once('[')) else {
            return;
        };
        let series = series.trim();
        if self.engine == Engine::VictoriaMetrics {
            self.remarks.push(format!(
                "`{}` stays: VictoriaMetrics counts from the sample before the window, and a series that appears from 0, so the first event counts",
                function.name
            ));
            return;
        }
        let new = format!("({series} unless {series} offset {range})");
        let again = format!("{}{new}{}", &self.text[whole.offset..call.offset], &self.text[close + 1..end]);
        self.edits.push(Edit { from: end, to: end, text: format!(" or {again}") });
        self.remarks.push(format!(
            "`{}` of a series that appears with its first event is nothing on {}: what was not there {range} before counts too (once more where a target with an old count is new)",
            function.name,
            self.engine.name()
        ));
    }

    /// `up == 0`: a series that is gone with its process.
    fn missing(&mut self, holds: fn(f64, f64) -> bool, left: &Expr, right: &Expr, end: usize) {
        if self.knows_absence || !holds(0.0, 0.0) || holds(1.0, 0.0) || holds(-1.0, 0.0) {
            return;
        }
        let Kind::Selector(selector) = &left.kind else { return };
        let named = selector
            .metric_name()
            .is_some_and(|name| name == "up" || name.ends_with("_up") || name.ends_with("_status"));
        let moves = selector.when.at.is_some() || selector.when.offset.is_some();
        let Some(sign) = before(self.text, right.offset, "==").filter(|_| named && !moves) else { return };
        let series = self.text[left.offset..sign].trim();
        let text = format!(" or (present_over_time({series}[{MISSING_FOR}]) unless {series})");
        self.edits.push(Edit { from: end, to: end, text });
        self.remarks.push(format!(
            "`{series}` is gone where nobody exports it any more, and nothing is not 0: what was there within {MISSING_FOR} and is missing counts too"
        ));
    }

    /// `histogram_quantile(…) > 5`: a quantile is never above the highest finite bucket.
    fn top_bucket(&mut self, holds: fn(f64, f64) -> bool, left: &Expr, right: &Expr) {
        let is_more = holds(1.0, 0.0) && !holds(0.0, 0.0) && !holds(0.0, 1.0);
        let Kind::Call { function, .. } = &left.unwrapped().kind else { return };
        if !is_more || function.name != "histogram_quantile" {
            return;
        }
        let Some(sign) = before(self.text, right.offset, ">") else { return };
        self.edits.push(Edit { from: sign, to: sign + 1, text: ">=".to_owned() });
        self.remarks.push(
            "a quantile is at most the highest finite bucket, so that `>` its bound never holds: `>=` is written"
                .to_owned(),
        );
    }
}

fn holds_unless(expr: &Expr) -> bool {
    match &expr.kind {
        Kind::Binary { operator: Operator::Set(SetOperator::Unless), .. } => true,
        Kind::Binary { left, right, .. } => holds_unless(left) || holds_unless(right),
        Kind::Subquery { inner, .. } | Kind::Negated(inner) | Kind::Paren(inner) => holds_unless(inner),
        Kind::Aggregate { inner, .. } => holds_unless(inner),
        Kind::Call { function, arguments } => {
            function.name.starts_with("absent") || arguments.iter().any(holds_unless)
        }
        _ => false,
    }
}

/// Whether sides find one another by all labels: nothing stands between the operator and its right side.
fn is_plain(matching: &Matching) -> bool {
    let by_all = matches!(&matching.labels, Grouping::Without(names) if names.is_empty());
    by_all
        && matches!(matching.group, Group::None)
        && matching.fill_left.is_none()
        && matching.fill_right.is_none()
}

/// Where a word or sign stands that ends right before `end`, with nothing but space between.
fn before(text: &str, end: usize, word: &str) -> Option<usize> {
    let head = text[..end].trim_end();
    let start = head.len().checked_sub(word.len())?;
    head.get(start..).filter(|found| found.eq_ignore_ascii_case(word)).map(|_| start)
}

/// Where the parenthesis is closed that opens at `open`.
fn closing(text: &str, open: usize) -> Option<usize> {
    let (mut depth, mut quote, mut escaped) = (0_usize, None, false);
    let mut letters = text.char_indices().skip_while(|(idx, _)| *idx < open);
    while let Some((idx, letter)) = letters.next() {
        match (quote, letter) {
            (Some('`'), '`') => quote = None,
            (Some('`'), _) => {}
            (Some(_), _) if escaped => escaped = false,
            (Some(_), '\\') => escaped = true,
            (Some(mark), _) if letter == mark => quote = None,
            (Some(_), _) => {}
            (None, '"' | '\'' | '`') => quote = Some(letter),
            // To the end of the line.
            (None, '#') => drop(letters.find(|(_, letter)| *letter == '\n')),
            (None, '(') => depth += 1,
            (None, ')') => {
                depth = depth.checked_sub(1)?;
                if depth == 0 {
                    return Some(idx);
                }
            }
            (None, _) => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(engine: Engine, query: &str, expect: &str, n_remarks: usize) {
        let portable = Query::parse(query).unwrap().for_engine(engine);
        assert_eq!(portable.text, expect);
        assert_eq!(portable.remarks.len(), n_remarks, "{:?}", portable.remarks);
    }

    #[test]
    fn the_first_event_counts() {
        for engine in [Engine::Prometheus, Engine::Thanos, Engine::Mimir] {
            check(
                engine,
                r#"increase(errors_total{type="security"}[5m]) > 0"#,
                r#"increase(errors_total{type="security"}[5m]) > 0 or (errors_total{type="security"} unless errors_total{type="security"} offset 5m) > 0"#,
                1,
            );
        }
        check(
            Engine::Prometheus,
            r#"( sum by (server_name) (rate(x{a=")"}[1m])) > 0 ) or y > 1"#,
            r#"( sum by (server_name) (rate(x{a=")"}[1m])) > 0 or sum by (server_name) ((x{a=")"} unless x{a=")"} offset 1m)) > 0 ) or y > 1"#,
            1,
        );
        let stays = "increase(x[5m]) > 0";
        check(Engine::VictoriaMetrics, stays, stays, 1);
    }

    #[test]
    fn what_is_missing_counts() {
        for engine in Engine::ALL {
            check(
                engine,
                "mcp_server_up == 0",
                "mcp_server_up == 0 or (present_over_time(mcp_server_up[1h]) unless mcp_server_up)",
                1,
            );
        }
    }

    #[test]
    fn the_highest_bucket_counts() {
        for engine in Engine::ALL {
            check(
                engine,
                "histogram_quantile(0.95, rate(x_bucket[5m])) > 5.0",
                "histogram_quantile(0.95, rate(x_bucket[5m])) >= 5.0",
                1,
            );
        }
    }

    #[test]
    fn everything_else_stays() {
        for query in [
            "x > 5",
            "increase(x[5m]) > 3",
            "increase(x[5m] offset 1h) > 0",
            "increase(x[5m]) >= 0",
            "increase(x[5m]) > bool 0",
            "queue_length == 0",
            "mcp_server_up offset 5m == 0",
            "mcp_server_up == 0 or (present_over_time(mcp_server_up[1h]) unless mcp_server_up)",
            "increase(x[5m]) > 0 or (x unless x offset 5m) > 0",
            "absent(x) or up == 0",
            "histogram_quantile(0.95, x_bucket) < 5",
            "up == on (a) group_left () z",
            "1",
        ] {
            check(Engine::Prometheus, query, query, 0);
        }
    }

    /// What fires still fires.
    #[test]
    fn what_was_found_is_found() {
        use crate::labels::Labels;
        use crate::promql::Value;
        use crate::store::{Limits, Store};

        let limits = Limits { retention_ms: 3_600_000, series_max: 100, samples_per_series_max: 1_000 };
        let mut store = Store::new(limits);
        for minute in 0..10_i64 {
            for (name, value) in [("up", 0.0), ("x_total", minute as f64)] {
                store.append(&Labels::metric(name, &[("a", "b")]), minute * 60_000, value).unwrap();
            }
        }
        for text in ["up == 0", "increase(x_total[5m]) > 0"] {
            let query = Query::parse(text).unwrap();
            for engine in Engine::ALL {
                let portable = Query::parse(&query.for_engine(engine).text).unwrap();
                let found = |query: &Query| match query.instant(&store, 540_000) {
                    Ok(Value::Vector(found)) => {
                        found.into_iter().map(|one| one.labels.without("__name__")).collect()
                    }
                    _ => Vec::new(),
                };
                assert_eq!(found(&portable), found(&query), "{text} on {}", engine.name());
                assert_eq!(found(&query).len(), 1);
            }
        }
    }
}
