//! Owns what a watch is: the statements of a fence, looked at again and again until something holds or its time is over.
//!
//! `until` is a length of time, or what has to come true: `ready`, `live` or a condition. What has to come true has
//! `timeout` for it, or the window of its phase. With a length of time `timeout` is that of each statement, as ever.

use std::time::Duration;

use crate::duration::{Window, show_seconds};
use crate::step::Fence;

/// The time between two looks where the author names none.
const EVERY: Duration = Duration::from_secs(10);

/// How long is waited for what has to come true where neither the author nor the phase says so.
const LIMIT: Duration = Duration::from_secs(15 * 60);

/// How a fence is watched.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Watch {
    /// What ends it, beside its time.
    pub until: Option<String>,
    /// The time between two looks.
    pub every: Duration,
    /// When it is over at the latest, from its beginning.
    pub limit: Duration,
    /// How long one statement may take, where the author says so.
    pub statement: Option<Duration>,
}

// === impl Fence ===

impl Fence {
    /// Returns how it is watched, where its author wants that; `window` is that of its phase.
    pub fn watch(&self, window: Option<Window>) -> Option<Watch> {
        let attributes = &self.attributes;
        if attributes.until.is_none() && attributes.every.is_none() {
            return None;
        }
        let every = attributes.every.unwrap_or(EVERY);
        if let Some(limit) = attributes.until.as_deref().and_then(crate::parse_duration) {
            return Some(Watch { until: None, every, limit, statement: attributes.timeout });
        }
        let window = window.and_then(|window| window.end_s?.checked_sub(window.start_s));
        let window = window.filter(|seconds| *seconds > 0).map(Duration::from_secs);
        let limit = attributes.timeout.or(window).unwrap_or(LIMIT);
        Some(Watch { until: attributes.until.clone(), every, limit, statement: None })
    }
}

// === impl Watch ===

impl std::fmt::Display for Watch {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let length = |duration: Duration| match duration.subsec_millis() {
            0 => show_seconds(duration.as_secs()),
            _ => format!("{} ms", duration.as_millis()),
        };
        let (every, limit) = (length(self.every), length(self.limit));
        match &self.until {
            Some(condition) => write!(f, "every {every} until `{condition}`, at most {limit}"),
            None => write!(f, "every {every} for {limit}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use expect_test::{Expect, expect};

    #[track_caller]
    fn check(attributes: &str, phase: &str, expect: &Expect) {
        let text = format!(
            "## P\n\n### Alert: A\n\n**Alert Query**: `up == 0`\n\n### Look{phase}\n\n1. **Look**\n\n   ```bash {{{attributes}}}\n   uptime\n   ```\n"
        );
        let (runbook, diagnostics) = crate::parse("p.md", text.as_bytes());
        let phase = &runbook.procedures[0].phases[0];
        let watch = phase.steps[0].fences[0].watch(phase.window);
        let watch =
            watch.map_or_else(|| "none".to_owned(), |watch| format!("{watch}; {:?}", watch.statement));
        let said: String = diagnostics.iter().map(|one| format!("\n{}", one.message)).collect();
        expect.assert_eq(&format!("{watch}{said}"));
    }

    #[test]
    fn how_long_and_how_often() {
        check(
            "timeout=5s",
            " (0-5 minutes)",
            &expect![[r#"
            none
            alert `A` has no severity; it is taken as a warning"#]],
        );
        check(
            "until=15m every=1m timeout=5s",
            " (0-5 minutes)",
            &expect![[r#"
            every 1m for 15m; Some(5s)
            alert `A` has no severity; it is taken as a warning"#]],
        );
        check(
            "until=ready",
            " (5-15 minutes)",
            &expect![[r#"
            every 10s until `ready`, at most 10m; None
            alert `A` has no severity; it is taken as a warning"#]],
        );
        check(
            "until=live every=500ms timeout=90s",
            "",
            &expect![[r#"
                every 500 ms until `live`, at most 90s; None
                alert `A` has no severity; it is taken as a warning
                phase `Look` has no time window"#]],
        );
        check(
            "until=\"cause == 'x'\"",
            " (30+ minutes)",
            &expect![[r#"
                every 10s until `cause == 'x'`, at most 15m; None
                alert `A` has no severity; it is taken as a warning"#]],
        );
        check(
            "every=2s",
            "",
            &expect![[r#"
            every 2s for 15m; None
            alert `A` has no severity; it is taken as a warning
            phase `Look` has no time window"#]],
        );
        check(
            "until=soon",
            "",
            &expect![[r#"
            every 10s until `soon`, at most 15m; None
            alert `A` has no severity; it is taken as a warning
            phase `Look` has no time window
            condition names `soon`, which is none of alert, server, steps, cause, findings, host, parameters"#]],
        );
        check(
            "until=0s",
            "",
            &expect![[r#"
            every 10s for 0m; None
            alert `A` has no severity; it is taken as a warning
            phase `Look` has no time window
            attribute `until` wants a duration up to a day, or a condition, not `0s`"#]],
        );
    }
}
