//! Owns why: the ranks in lines for people.

use crate::rank::{Conclusion, MARGIN, Ranked, Role, SCORE_MIN};

/// Says in lines what the ranks come to, and then of each cause why.
pub fn explain(ranked: &[Ranked]) -> Vec<String> {
    let conclusion = match Conclusion::of(ranked) {
        Conclusion::Named(best) => format!("the cause is {}, with {} of 100 points", best.cause, best.score),
        Conclusion::Nothing => "no cause is named: no rule speaks".to_owned(),
        Conclusion::RuledOut => "no cause is named: all that speaks is ruled out".to_owned(),
        Conclusion::Weak(best) => format!(
            "no cause is named: the best, {}, has {} points, and {SCORE_MIN} are needed",
            best.cause, best.score
        ),
        Conclusion::Close(best, second) => format!(
            "no cause is named: {} with {} points and {} with {} are less than {MARGIN} apart",
            best.cause, best.score, second.cause, second.score
        ),
    };
    let mut lines = vec![conclusion];
    lines.extend(ranked.iter().flat_map(why));
    lines
}

/// Says in lines why this cause: what its rules found, what added to it and what ruled it out.
pub fn why(ranked: &Ranked) -> Vec<String> {
    let mut lines = vec![format!("{}: {} of 100 points", ranked.cause, ranked.score)];
    for (nth, rule) in ranked.rules.iter().enumerate() {
        // Only the best rule counts: the others are other readings, and nothing to be added.
        let or = if nth > 0 { "or " } else { "" };
        for (at, reason) in rule.reasons.iter().enumerate() {
            let role = match reason.role {
                Role::Needed if at == 0 => format!("{or}{} points", rule.weight),
                Role::Needed => "and".to_owned(),
                Role::Strengthened(points) => format!("{points} more"),
                Role::RuledOut => "ruled out".to_owned(),
            };
            lines.push(format!("  {role}: {}", reason.says));
            lines.extend(reason.findings.iter().map(|finding| format!("    {finding}")));
            if reason.more > 0 {
                lines.push(format!("    and {} more", reason.more));
            }
        }
    }
    lines
}
