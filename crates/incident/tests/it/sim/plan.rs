//! Owns the plan of a seed: what happens to whom and when. Leaving parts of it out leaves the rest as it was.

use super::dice::Dice;

/// The servers of the simulated world.
pub(crate) const SERVERS: [&str; 2] = ["a", "b"];

/// How long things happen: after that the world is quiet, and every incident has to come to its end.
pub(crate) const DISTURBED_MS: i64 = 60 * MINUTE_MS;

pub(crate) const MINUTE_MS: i64 = 60_000;

/// Something that happens.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Disturbance {
    /// When; 0 for what comes with the so-manieth write or run.
    pub(crate) at_ms: i64,
    pub(crate) what: What,
}

#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum What {
    /// The engine dies at this moment.
    Crash(Loss),
    /// The engine dies at its so-manieth write to the journal.
    CrashAtWrite {
        write: u32,
        moment: Moment,
        loss: Loss,
    },
    /// The disk fails in the very end of a write: it is done, and counts as failed.
    FalseAlarm {
        write: u32,
    },
    /// The journal refuses, as on a full disk.
    Full {
        for_ms: i64,
    },
    /// Writes take seconds.
    Slow {
        for_ms: i64,
    },
    /// Another process writes an entry that is about no incident.
    Foreign,
    /// The engine does not run for a while, as after SIGSTOP.
    Stall {
        for_ms: i64,
    },
    /// Somebody sets the wall clock.
    Jump {
        by_ms: i64,
    },
    /// The so-manieth runner is killed.
    KillRunner {
        run: u32,
        stage: Stage,
    },
    /// The so-manieth runner takes minutes.
    SlowRunner {
        run: u32,
    },
    /// The engine cannot wait for the so-manieth runner.
    Untold {
        run: u32,
    },
    /// A server breaks; its exit is told of late, and maybe twice.
    Break {
        server: usize,
        late_ms: i64,
        times: u32,
    },
    /// A server is well again by itself.
    Heal {
        server: usize,
    },
    /// The alert is over for a moment, and then another one.
    Flap {
        server: usize,
    },
    /// Rules are not evaluated for a while.
    Silence {
        for_ms: i64,
    },
    /// A person silences the alert of all servers for a while.
    Mute {
        for_ms: i64,
    },
    /// What all servers need does not answer, or does again.
    Need {
        fails: bool,
    },
    Kill {
        on: bool,
    },
    Maintenance {
        for_ms: i64,
    },
    /// A parameter of the servers gets another value.
    Moved,
    /// A person restarts a server by hand.
    RestartByHand {
        server: usize,
    },
    /// A person stops a server.
    StopByHand {
        server: usize,
    },
    /// A person opens an incident.
    Open {
        server: usize,
    },
    Say(Say),
}

/// What a person says to some incident that is open.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Say {
    Acknowledge,
    Note,
    Hold,
    Resume,
    Abort,
    Resolve,
    Close,
}

/// What a crash takes along.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Loss {
    /// The process alone: runners live on, files stay.
    Process,
    /// The machine: runners end, files that nobody synced may be gone.
    Machine,
    /// The machine, and its disk has lied: so many entries that were synced are gone as well.
    LyingDisk { entries: usize },
}

/// When in a write.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Moment {
    Before,
    /// In the middle: nothing of it is there afterwards.
    Torn,
    /// It is there, and nobody has heard of it.
    Landed,
    After,
}

/// When in the life of a runner.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) enum Stage {
    Unclaimed,
    BeforeEffect,
    AfterEffect,
}

/// The plan of a seed.
pub(crate) fn plan(seed: u64) -> Vec<Disturbance> {
    let mut dice = Dice::of(seed, "plan");
    let mut plan = Vec::new();
    // Something is wrong from the start, or there is nothing to see.
    let first = dice.within(0, 2) as usize;
    plan.push(Disturbance { at_ms: 1_000, what: What::Break { server: first, late_ms: 10, times: 1 } });
    for _ in 0..dice.within(2, 24) {
        let what = draw(&mut dice);
        let counted = matches!(
            what,
            What::CrashAtWrite { .. }
                | What::FalseAlarm { .. }
                | What::KillRunner { .. }
                | What::SlowRunner { .. }
                | What::Untold { .. }
        );
        // Most of an incident happens in its first minutes.
        let latest_ms = dice.pick(&[MINUTE_MS, 5 * MINUTE_MS, DISTURBED_MS]);
        let at_ms = if counted { 0 } else { dice.within(1_000, latest_ms) };
        plan.push(Disturbance { at_ms, what });
    }
    // What comes back again and again is flapping.
    if Dice::of(seed, "relapse").chance(15) {
        let back = |time| What::Break { server: first, late_ms: 10 * time, times: 1 };
        plan.extend((1..6).map(|time| Disturbance { at_ms: time * 4 * MINUTE_MS, what: back(time) }));
    }
    plan.sort_by_key(|one| one.at_ms);
    plan
}

fn draw(dice: &mut Dice) -> What {
    let server = dice.within(0, SERVERS.len() as i64) as usize;
    let for_ms = dice.pick(&[2_000, 20_000, 5 * MINUTE_MS, 20 * MINUTE_MS]);
    match dice.within(0, 100) {
        0..18 => {
            What::CrashAtWrite { write: dice.within(1, 90) as u32, moment: moment(dice), loss: loss(dice) }
        }
        18..24 => What::Crash(loss(dice)),
        24..27 => What::FalseAlarm { write: dice.within(1, 90) as u32 },
        27..30 => What::Full { for_ms },
        30..32 => What::Slow { for_ms },
        32..34 => What::Foreign,
        34..37 => What::Stall { for_ms },
        37..42 => What::Jump { by_ms: jump(dice) },
        42..50 => What::KillRunner { run: dice.within(1, 25) as u32, stage: stage(dice) },
        50..53 => What::SlowRunner { run: dice.within(1, 25) as u32 },
        53..54 => What::Untold { run: dice.within(1, 25) as u32 },
        54..62 => What::Break { server, late_ms: dice.within(0, 60_000), times: dice.pick(&[1, 1, 2]) },
        62..66 => What::Heal { server },
        66..69 => What::Flap { server },
        69..70 => What::Silence { for_ms },
        70..71 => What::Mute { for_ms },
        71..73 => What::Need { fails: dice.chance(70) },
        73..75 => What::Kill { on: true },
        75..77 => What::Kill { on: false },
        77..79 => What::Maintenance { for_ms },
        79..81 => What::Moved,
        81..84 => What::RestartByHand { server },
        84..85 => What::StopByHand { server },
        85..87 => What::Open { server },
        _ => What::Say(dice.pick(&[
            Say::Acknowledge,
            Say::Note,
            Say::Hold,
            Say::Hold,
            Say::Resume,
            Say::Resume,
            Say::Abort,
            Say::Resolve,
            Say::Close,
        ])),
    }
}

fn moment(dice: &mut Dice) -> Moment {
    dice.pick(&[Moment::Before, Moment::Torn, Moment::Landed, Moment::After])
}

fn stage(dice: &mut Dice) -> Stage {
    dice.pick(&[Stage::Unclaimed, Stage::BeforeEffect, Stage::AfterEffect])
}

fn loss(dice: &mut Dice) -> Loss {
    match dice.within(0, 10) {
        0..6 => Loss::Process,
        6..9 => Loss::Machine,
        _ => Loss::LyingDisk { entries: dice.within(1, 6) as usize },
    }
}

/// Backwards as often as forwards, and never by little: a clock that is corrected by less does not matter to anybody.
fn jump(dice: &mut Dice) -> i64 {
    let by_ms = dice.pick(&[2 * MINUTE_MS, 30 * MINUTE_MS, 5 * 60 * MINUTE_MS, 26 * 60 * MINUTE_MS]);
    if dice.chance(50) { by_ms } else { -by_ms }
}
