//! Owns how a watcher sees an incident: one line for each thing that happens, and on a terminal one more that tells
//! how things stand.

use std::io::{IsTerminal as _, Write as _};

use incident::{Clocks, Incident, Record, describe, duration, plain};
use server::api::wire::Happened;

use super::super::question;
use crate::arguments::Output;
use crate::show;

/// The longest line at the bottom: on a narrower terminal it would wrap, and could not be taken back.
const STATUS_WIDTH_MAX: usize = 79;

/// Back to the beginning of the line, and clears it.
const TAKE_BACK: &str = "\r\x1b[2K";

/// What a watcher sees.
pub(super) struct Screen {
    output: Output,
    is_live: bool,
}

// === impl Screen ===

impl Screen {
    pub(super) fn new(output: Output) -> Self {
        let is_dumb = std::env::var_os("TERM").is_none_or(|term| term == "dumb");
        let is_live = output == Output::Table && std::io::stdout().is_terminal() && !is_dumb;
        Self { output, is_live }
    }

    /// Shows one thing that happened; `incident` has it already.
    pub(super) fn show(&mut self, incident: &Incident, happened: &Happened) {
        match self.output {
            Output::Json => {}
            Output::Jsonl => show::json_line(happened),
            Output::Table => {
                self.take_back();
                lines(incident, happened).iter().for_each(|line| show::line(line));
                self.tick(Some(incident));
            }
        }
    }

    /// Draws the line at the bottom anew.
    pub(super) fn tick(&mut self, incident: Option<&Incident>) {
        let Some(incident) = incident.filter(|incident| self.is_live && incident.state.is_open()) else {
            return;
        };
        let line: String = status(incident, server::now_ms()).chars().take(STATUS_WIDTH_MAX).collect();
        let mut stdout = std::io::stdout();
        // Who does not see it misses nothing that is not told again.
        let _ = write!(stdout, "{TAKE_BACK}{line}").and_then(|()| stdout.flush());
    }

    fn take_back(&self) {
        if self.is_live {
            let _ = write!(std::io::stdout(), "{TAKE_BACK}");
        }
    }

    /// Tells how it ended.
    pub(super) fn end(&mut self, incident: &Incident) {
        self.take_back();
        if self.output == Output::Table {
            let clocks = Clocks::of(incident);
            let told: Vec<String> = [
                ("detected", Some(clocks.detected_ms)),
                ("acknowledged", clocks.acknowledged_ms),
                ("diagnosed", clocks.diagnosed_ms),
                ("mitigated", clocks.mitigated_ms),
                ("resolved", clocks.resolved_ms),
            ]
            .into_iter()
            .filter_map(|(name, at_ms)| Some(format!("{name} after {}", after(&clocks, at_ms?))))
            .collect();
            show::line(&format!("{} is {}: {}", incident.id, incident.state, told.join(", ")));
        }
    }
}

/// The lines for one thing that happened: its time, the clock of the incident, and what it was.
fn lines(incident: &Incident, happened: &Happened) -> Vec<String> {
    let what = match &happened.record {
        Record::StepEnded { step, end, reason } => {
            Some(format!("step {} {}: {}", step.number, format!("{end:?}").to_lowercase(), plain(reason)))
        }
        record => describe(record),
    };
    let Some(what) = what else { return Vec::new() };
    let clock = after(&Clocks::of(incident), happened.at_ms);
    let mut lines = vec![format!("{}  {clock:>11}  {what}", show::time(happened.at_ms))];
    if let Record::ApprovalAsked { unit, .. } = &happened.record
        && let Some((unit, view, asked)) = incident.open_questions().find(|(one, ..)| *one == unit)
    {
        lines.extend(question(incident, unit, view, asked));
        lines.push(String::new());
    }
    lines
}

/// How things stand, on one line.
fn status(incident: &Incident, now_ms: i64) -> String {
    let step = incident.steps.iter().rev().find(|view| view.ended_ms.is_none());
    let doing = match (step, &incident.person_needed) {
        (_, Some(_)) => "a person is needed".to_owned(),
        (Some(view), None) => format!("step {} {}: {}", view.step.number, view.state, view.step.title),
        (None, None) if incident.mitigated_ms.is_some() => "until its alert is over".to_owned(),
        (None, None) => "between steps".to_owned(),
    };
    format!("── {}, {} · {doing}", incident.state, after(&Clocks::of(incident), now_ms))
}

fn after(clocks: &Clocks, at_ms: i64) -> String {
    duration(u64::try_from(clocks.after_ms(at_ms)).unwrap_or(0))
}

#[cfg(test)]
mod tests {
    use expect_test::expect;
    use incident::{Alarm, IncidentId, RunbookPin, Source, Step, StepEnd, UnitRef};

    use super::*;

    fn records() -> Vec<(i64, Record)> {
        let alarm =
            Alarm { source: Source::Operator, summary: "odd \x1b[2Jend".to_owned(), alert: None, exit: None };
        let runbook = RunbookPin { name: "down.md".to_owned(), sha256: "ab".to_owned() };
        let step = || Step { run: 1, number: 6, title: "Restart".to_owned(), phase: "Now".to_owned() };
        let unit = UnitRef { run: 1, unit: "6.1".to_owned() };
        let opened = Record::Opened {
            server: "time".to_owned(),
            procedure: "down".to_owned(),
            title: "Down".to_owned(),
            alarm,
            runbook,
            response_time_ms: None,
            dependency: None,
            earlier: None,
        };
        let asked = Record::ApprovalAsked {
            unit,
            statement: "restart \x1b[31m\"$X\"".to_owned(),
            effect: "disrupt".to_owned(),
            reason: "the mode is `suggest`".to_owned(),
            binding: "b".to_owned(),
            missing: vec!["X".to_owned()],
            expires_ms: 9,
            people: None,
        };
        vec![
            (1_000, opened),
            (1_010, Record::StepStarted { step: step() }),
            (61_500, asked),
            (62_000, Record::StepEnded { step: step(), end: StepEnd::Failed, reason: "no".to_owned() }),
            (63_000, Record::Mitigated {}),
        ]
    }

    #[test]
    fn each_thing_has_its_time_and_the_clock() {
        let id = IncidentId::from_text("20261123-184501-7f3a");
        let mut told = Vec::new();
        let mut incident: Option<Incident> = None;
        for (at_ms, record) in records() {
            match &mut incident {
                Some(incident) => incident.apply(at_ms, &record),
                None => incident = Incident::fold(&id, [(at_ms, &record)]),
            }
            let incident = incident.as_ref().unwrap();
            told.extend(lines(incident, &Happened { at_ms, record }));
            told.push(format!("[{}]", status(incident, at_ms + 500)));
        }
        expect![[r#"
            1970-01-01 00:00:01         0 ms  incident opened for Down: odd [2Jend
            [── triggered, 500 ms · between steps]
            1970-01-01 00:00:01        10 ms  step 6: Restart
            [── triggered, 510 ms · step 6 running: Restart]
            1970-01-01 00:01:01    1 min 0 s  6.1 waits for a person: the mode is `suggest`

            6.1 waits for a person (disrupt): the mode is `suggest`
            restart [31m"$X"

              paramedic incident approve 20261123-184501-7f3a 6.1 --question b -p X=VALUE
              paramedic incident reject 20261123-184501-7f3a 6.1

            [── triggered, 1 min 1 s · step 6 awaiting a person: Restart]
            1970-01-01 00:01:02    1 min 1 s  step 6 failed: no
            [── triggered, 1 min 1 s · between steps]
            1970-01-01 00:01:03    1 min 2 s  mitigated
            [── mitigated, 1 min 2 s · until its alert is over]"#]]
        .assert_eq(&told.join("\n"));
    }
}
