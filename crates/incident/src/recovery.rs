//! Owns verified recovery: so many good answers in a row over a period, by one and the same process.

/// What counts as recovered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Goal {
    /// Good answers in a row.
    pub probes: u32,
    /// The time from the first of them to the last, at least, in milliseconds.
    pub period_ms: u64,
    /// When to give up, in milliseconds after the start.
    pub timeout_ms: u64,
}

/// One look at the server.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Reading {
    /// When, in milliseconds since the Unix epoch.
    pub at_ms: i64,
    /// What is wrong, where something is.
    pub problem: Option<String>,
    /// What changes when the server's process is another one, where that is known.
    pub incarnation: Option<u64>,
}

/// The verification, reading by reading.
#[derive(Debug, Clone)]
pub struct Recovery {
    goal: Goal,
    started_ms: i64,
    /// When the last reading was.
    last_ms: i64,
    good: u32,
    first_good_ms: i64,
    incarnation: Option<u64>,
    last_problem: Option<String>,
}

/// Where the verification stands.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Progress {
    /// Look again.
    More,
    /// Recovered: this many good answers over this period.
    Verified {
        /// Good answers in a row.
        probes: u32,
        /// From the first to the last, in milliseconds.
        period_ms: u64,
    },
    /// Not recovered in time.
    Failed(String),
}

// === impl Recovery ===

impl Recovery {
    /// Starts a verification at `started_ms` (milliseconds since the Unix epoch).
    pub fn new(goal: Goal, started_ms: i64) -> Self {
        let (last_ms, first_good_ms) = (started_ms, started_ms);
        Self { goal, started_ms, last_ms, good: 0, first_good_ms, incarnation: None, last_problem: None }
    }

    /// Takes in one reading. A bad answer or a restart in between begins the count anew.
    pub fn observe(&mut self, reading: &Reading) -> Progress {
        // A clock that was set back by a day must not make it last a day.
        let back_ms = (self.last_ms - reading.at_ms).max(0);
        self.started_ms -= back_ms;
        self.first_good_ms -= back_ms;
        self.last_ms = reading.at_ms;
        if self.good > 0 && reading.incarnation != self.incarnation {
            self.good = 0;
            self.last_problem = Some("its process was started again meanwhile".to_owned());
        }
        match &reading.problem {
            Some(problem) => {
                self.good = 0;
                self.last_problem = Some(problem.clone());
            }
            None => {
                if self.good == 0 {
                    self.first_good_ms = reading.at_ms;
                    self.incarnation = reading.incarnation;
                }
                self.good += 1;
            }
        }
        let period_ms = elapsed(self.first_good_ms, reading.at_ms);
        if self.good >= self.goal.probes && period_ms >= self.goal.period_ms {
            return Progress::Verified { probes: self.good, period_ms };
        }
        if elapsed(self.started_ms, reading.at_ms) >= self.goal.timeout_ms {
            let problem = self.last_problem.as_deref().unwrap_or("too few good answers");
            return Progress::Failed(format!(
                "no {} good answers in a row within {} s: {problem}",
                self.goal.probes,
                self.goal.timeout_ms / 1000
            ));
        }
        Progress::More
    }
}

fn elapsed(from_ms: i64, to_ms: i64) -> u64 {
    u64::try_from(to_ms - from_ms).unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOAL: Goal = Goal { probes: 3, period_ms: 200, timeout_ms: 1000 };

    /// Each letter is a reading, 100 ms after the one before: `+` good, `-` bad, `r` good after a restart.
    #[track_caller]
    fn check(readings: &str, expect: &Progress) {
        let mut recovery = Recovery::new(GOAL, 0);
        let mut starts = 1;
        let mut last = Progress::More;
        for (idx, letter) in readings.chars().enumerate() {
            assert_eq!(last, Progress::More, "went on after the end");
            starts += u64::from(letter == 'r');
            last = recovery.observe(&Reading {
                at_ms: idx as i64 * 100,
                problem: (letter == '-').then(|| "refused".to_owned()),
                incarnation: Some(starts),
            });
        }
        assert_eq!(last, *expect);
    }

    #[test]
    fn never_one_good_answer() {
        check("+", &Progress::More);
        check("++", &Progress::More);
        check("+++", &Progress::Verified { probes: 3, period_ms: 200 });
    }

    #[test]
    fn a_bad_answer_or_a_restart_begins_anew() {
        check("++-++", &Progress::More);
        check("++-+++", &Progress::Verified { probes: 3, period_ms: 200 });
        check("++r++", &Progress::Verified { probes: 3, period_ms: 200 });
        check("++r+", &Progress::More);
    }

    #[test]
    fn a_clock_that_is_set_back_takes_no_time() {
        let mut recovery = Recovery::new(GOAL, 1_000_000);
        let mut observe = |at_ms, well: bool| {
            let problem = (!well).then(|| "refused".to_owned());
            recovery.observe(&Reading { at_ms, problem, incarnation: None })
        };
        assert_eq!(observe(1_000_100, true), Progress::More);
        assert_eq!(observe(100, true), Progress::More);
        assert_eq!(observe(300, false), Progress::More);
        assert_eq!(observe(400, true), Progress::More);
        assert_eq!(observe(500, true), Progress::More);
        assert_eq!(observe(600, true), Progress::Verified { probes: 3, period_ms: 200 });

        let mut recovery = Recovery::new(GOAL, 1_000_000);
        let mut observe = |at_ms| {
            let problem = Some("refused".to_owned());
            recovery.observe(&Reading { at_ms, problem, incarnation: None })
        };
        assert_eq!(
            [observe(1_000_500), observe(0), observe(499)],
            [Progress::More, Progress::More, Progress::More]
        );
        assert!(matches!(observe(500), Progress::Failed(_)));
    }

    #[test]
    fn it_gives_up_with_the_last_problem() {
        check("-----------", &Progress::Failed("no 3 good answers in a row within 1 s: refused".to_owned()));
    }
}
