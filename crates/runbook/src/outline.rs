//! Owns the outline of a runbook: plain text, a line for each thing in it.

use std::fmt::{self, Write as _};

use crate::duration::{Window, show_seconds};
use crate::escalation::Criterion;
use crate::procedure::{Phase, Procedure, Runbook};
use crate::step::{Step, Unit};

/// Statements are cut to keep a line a line.
const SOURCE_CHARS_MAX: usize = 72;

impl Runbook {
    /// Returns a plain text tree: procedures, alerts, phases with windows, steps, units with effects.
    pub fn outline(&self) -> String {
        let mut text = String::new();
        write(self, &mut text).expect("a string takes everything");
        text
    }
}

fn write(runbook: &Runbook, out: &mut String) -> fmt::Result {
    writeln!(out, "{} ({})", runbook.name, runbook.sha256.get(..12).unwrap_or_default())?;
    for procedure in &runbook.procedures {
        write_procedure(procedure, out)?;
    }
    for title in &runbook.reference {
        writeln!(out, "{title} (reference)")?;
    }
    Ok(())
}

fn write_procedure(procedure: &Procedure, out: &mut String) -> fmt::Result {
    writeln!(out, "{} [{}]", procedure.title, procedure.id)?;
    if let Some(alert) = &procedure.alert {
        write!(out, "  alert {} ({})", alert.name, alert.severity)?;
        if let Some(limit) = alert.response_time {
            write!(out, ", response within {}", show_seconds(limit.as_secs()))?;
        }
        writeln!(out)?;
        writeln!(out, "    {}", alert.query.as_deref().unwrap_or("no query"))?;
    }
    let parameters: Vec<_> = procedure.parameters().into_iter().map(|parameter| parameter.name).collect();
    if !parameters.is_empty() {
        writeln!(out, "  parameters {}", parameters.join(", "))?;
    }
    procedure.phases.iter().try_for_each(|phase| write_phase(phase, out))?;
    procedure.criteria().try_for_each(|(text, read)| {
        let decided = if read == Criterion::Unread { " (people decide)" } else { "" };
        writeln!(out, "  call more people: {text}{decided}")
    })
}

fn write_phase(phase: &Phase, out: &mut String) -> fmt::Result {
    match phase.window {
        Some(window) => writeln!(out, "  {} ({})", phase.title, show_window(window))?,
        None => writeln!(out, "  {}", phase.title)?,
    }
    phase.steps.iter().try_for_each(|step| write_step(step, phase.window, out))
}

fn show_window(window: Window) -> String {
    match window.end_s {
        Some(end_s) => format!("{} to {}", show_seconds(window.start_s), show_seconds(end_s)),
        None => format!("from {}", show_seconds(window.start_s)),
    }
}

fn write_step(step: &Step, window: Option<Window>, out: &mut String) -> fmt::Result {
    let manual = if step.is_manual() { " (by hand)" } else { "" };
    writeln!(out, "    {}. {}{manual}", step.number, step.title)?;
    for fence in &step.fences {
        if let Some(watch) = fence.watch(window).filter(|_| !fence.units.is_empty()) {
            writeln!(out, "      watched {watch}:")?;
        }
        fence.units.iter().try_for_each(|unit| write_unit(unit, out))?;
    }
    Ok(())
}

fn write_unit(unit: &Unit, out: &mut String) -> fmt::Result {
    writeln!(out, "      {:<5} {:<8} {}", unit.id, unit.effect, unit.summary())
}

// === impl Unit ===

impl Unit {
    /// Returns its first line that is no comment, cut to 72 characters, with `…` where there is more.
    pub fn summary(&self) -> String {
        let mut lines =
            self.source.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
        let first = lines.next().unwrap_or_default();
        let mut summary: String = first.chars().take(SOURCE_CHARS_MAX).collect();
        if summary.len() < first.len() || lines.next().is_some() {
            summary.push_str(" …");
        }
        summary
    }
}
