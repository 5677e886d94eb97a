//! Owns random queries of which every version of Prometheus has the same idea.

use metrics::Steps;

use super::data::{INTERVAL_MS, SCRAPES, START_MS};

/// Numbers that depend on their seed alone (SplitMix64).
pub(super) struct Random(u64);

pub(super) struct Generator {
    random: Random,
    /// Within a subquery there is no other: the edges of its windows would fall upon steps.
    in_subquery: bool,
}

/// How deep expressions nest.
const DEPTH: usize = 3;

/// Functions of a counter's window.
const OF_COUNTERS: [&str; 4] = ["rate", "increase", "irate", "resets"];
/// Functions of a gauge's window.
const OF_GAUGES: [&str; 16] = [
    "delta",
    "idelta",
    "deriv",
    "changes",
    "avg_over_time",
    "min_over_time",
    "max_over_time",
    "sum_over_time",
    "count_over_time",
    "stddev_over_time",
    "stdvar_over_time",
    "last_over_time",
    "present_over_time",
    "quantile_over_time",
    "predict_linear",
    "absent_over_time",
];
const ELEMENTWISE: [&str; 12] = [
    "abs",
    "ceil",
    "floor",
    "round",
    "sgn",
    "sqrt",
    "ln",
    "clamp_min",
    "clamp_max",
    "atan",
    "hour",
    "minute",
];
/// Versions differ in the deviation of what is no number, so that is asked for of gauges only.
const AGGREGATIONS: [&str; 7] = ["sum", "avg", "min", "max", "count", "group", "quantile"];
const ARITHMETIC: [&str; 5] = ["+", "-", "*", "/", "^"];
const COMPARISONS: [&str; 6] = ["==", "!=", ">", "<", ">=", "<="];

// === impl Random ===

impl Random {
    pub(super) fn new(seed: u64) -> Self {
        Self(seed)
    }

    pub(super) fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.0;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (bits ^ (bits >> 31)) % limit
    }

    fn one<'t>(&mut self, of: &[&'t str]) -> &'t str {
        of[self.below(of.len() as u64) as usize]
    }
}

// === impl Generator ===

impl Generator {
    pub(super) fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), in_subquery: false }
    }

    /// Returns a query.
    pub(super) fn query(&mut self) -> String {
        match self.random.below(12) {
            0 => format!("scalar({}) {} 2", self.vector(1), self.random.one(&ARITHMETIC)),
            // The rules of the runbook above all.
            1 => format!("increase({}) > 0", self.counter_range()),
            2 => format!("rate({})", self.counter_range()),
            3 => format!("sum by (l) (increase({}))", self.counter_range()),
            _ => self.vector(DEPTH),
        }
    }

    /// Returns steps at half seconds, the last of which is the moment of a query at one moment.
    pub(super) fn steps(&mut self) -> Steps {
        let length_ms = SCRAPES * INTERVAL_MS;
        let start_ms = START_MS + 500 + self.random.below(length_ms as u64 / 1_000) as i64 * 1_000;
        let step_ms = (1 + self.random.below(90) as i64) * 1_000;
        let end_ms = start_ms + step_ms * self.random.below(30) as i64;
        Steps { start_ms, end_ms, step_ms }
    }

    fn vector(&mut self, depth: usize) -> String {
        if depth == 0 {
            return self.selector();
        }
        match self.random.below(15) {
            0 => self.selector(),
            1 | 2 => format!("{}({})", self.random.one(&OF_COUNTERS), self.counter_range()),
            3 | 4 => self.of_gauges(depth),
            5 | 6 => self.aggregation(depth),
            7 => self.elementwise(depth),
            8 => {
                let (left, right) = (self.vector(depth - 1), self.number());
                format!("({left}) {} {right}", self.random.one(&ARITHMETIC))
            }
            9 => {
                let bool = self.random.one(&["", " bool"]);
                let (left, operator) = (self.vector(depth - 1), self.random.one(&COMPARISONS));
                format!("({left}) {operator}{bool} {}", self.number())
            }
            10 => self.joined(depth),
            11 => {
                let (left, right) = (self.vector(depth - 1), self.vector(depth - 1));
                format!("({left}) {} on (l) ({right})", self.random.one(&["and", "or", "unless"]))
            }
            12 => self.quantile(),
            13 => format!("{} by (l) (g{})", self.random.one(&["stddev", "stdvar"]), self.when()),
            _ => format!("-({})", self.vector(depth - 1)),
        }
    }

    fn selector(&mut self) -> String {
        let name = self.random.one(&["c_total", "g", "g", "rare", "h_bucket"]);
        format!("{name}{}{}", self.matchers(), self.when())
    }

    fn matchers(&mut self) -> &'static str {
        self.random.one(&["", "", "", "{l=\"a\"}", "{l!=\"a\"}", "{l=~\"a|b\"}", "{l!~\"[bc]\"}", "{m=\"\"}"])
    }

    fn when(&mut self) -> String {
        match self.random.below(8) {
            0 => format!(" offset {}s", 1 + self.random.below(400)),
            1 => format!(" offset -{}s", 1 + self.random.below(400)),
            2 => format!(" @ {}.5", START_MS / 1000 + self.random.below(3_600) as i64),
            3 => self.random.one(&[" @ start()", " @ end()"]).to_owned(),
            _ => String::new(),
        }
    }

    fn length(&mut self) -> String {
        format!("{}s", 20 + self.random.below(600))
    }

    fn counter_range(&mut self) -> String {
        let name = self.random.one(&["c_total", "c_total", "h_bucket"]);
        format!("{name}{}[{}]{}", self.matchers(), self.length(), self.when())
    }

    fn of_gauges(&mut self, depth: usize) -> String {
        let range = match self.random.below(3) {
            // The steps of a subquery are at full seconds, the edges of its window at half ones.
            0 if !self.in_subquery => {
                self.in_subquery = true;
                let inner = self.vector(depth - 1);
                self.in_subquery = false;
                let step = 5 + self.random.below(60);
                format!("({inner})[{}:{step}s]{}", self.length(), self.when())
            }
            _ => {
                let name = self.random.one(&["g", "g", "rare"]);
                format!("{name}{}[{}]{}", self.matchers(), self.length(), self.when())
            }
        };
        match self.random.one(&OF_GAUGES) {
            "quantile_over_time" => format!("quantile_over_time({}, {range})", self.part()),
            // The old version moves the window of this one even where `@` says that it stands still.
            "predict_linear" => {
                format!("predict_linear(g{}[{}], {})", self.matchers(), self.length(), self.random.below(600))
            }
            function => format!("{function}({range})"),
        }
    }

    fn aggregation(&mut self, depth: usize) -> String {
        let grouping =
            self.random.one(&["", " by (l)", " by (m)", " by (l, le)", " without (l)", " without (m, le)"]);
        let inner = self.vector(depth - 1);
        match self.random.one(&AGGREGATIONS) {
            "quantile" => format!("quantile{grouping} ({}, {inner})", self.part()),
            operator => format!("{operator}{grouping} ({inner})"),
        }
    }

    fn elementwise(&mut self, depth: usize) -> String {
        let inner = self.vector(depth - 1);
        match self.random.one(&ELEMENTWISE) {
            function @ ("clamp_min" | "clamp_max") => format!("{function}({inner}, {})", self.number()),
            // Of what was computed, the last bit can make the next whole number of it; and what the date of no number is
            // depends on the processor.
            function @ ("ceil" | "floor" | "round" | "sgn" | "hour" | "minute") => {
                format!("{function}({} % 7)", self.selector())
            }
            function => format!("{function}({inner})"),
        }
    }

    /// Two vectors, of which each has one element for each `l`, or many on the left.
    fn joined(&mut self, depth: usize) -> String {
        let left = self.vector(depth - 1);
        let right = format!("sum by (l) ({})", self.vector(depth - 1));
        let operator = self.random.one(&ARITHMETIC[..4]);
        match self.random.below(3) {
            0 => format!("sum by (l) ({left}) {operator} {right}"),
            1 => format!("({left}) {operator} on (l) group_left {right}"),
            _ => format!("{right} {operator} on (l) group_right () ({left})"),
        }
    }

    fn quantile(&mut self) -> String {
        let (part, length) = (self.part(), self.length());
        match self.random.below(2) {
            0 => format!("histogram_quantile({part}, rate(h_bucket[{length}]))"),
            _ => format!(
                "histogram_quantile({part}, sum by (le) (increase(h_bucket{}[{length}])))",
                self.matchers()
            ),
        }
    }

    fn part(&mut self) -> &'static str {
        self.random.one(&["0", "0.1", "0.5", "0.9", "0.95", "0.99", "1"])
    }

    fn number(&mut self) -> &'static str {
        self.random.one(&["0", "1", "2", "-3", "0.5", "100", "5000", "1e3"])
    }
}
