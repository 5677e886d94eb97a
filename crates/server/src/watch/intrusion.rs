//! Owns looking for intruders as time goes on: at servers that have a baseline; what is new is told once and written down.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use ::intrusion::{Attack, Baseline, Certainty, Sign, Traffic};
use incident::error_chain;
use serde_json::json;

use super::Watch;
use crate::clock;
use crate::config::Config;
use crate::fleet::Fleet;
use crate::intrusion::{Look, Looked, SignIns, baseline_path, signs_log};
use crate::watched::{TIMES, Watched};
use crate::world::ServeWorld;

/// What is exported: how many signs the last look has found.
const SIGNS: &str = "paramedic_intrusion_signs";
/// The log becomes that long, and one that was full is kept.
const LOG_BYTES_MAX: u64 = 16 << 20;
/// The least time between two turns.
const TURN_MIN: Duration = Duration::from_millis(10);
/// Signs that are remembered as told, of one server.
const TOLD_MAX: usize = 10_000;

/// What is known of one server from look to look.
#[derive(Debug, Default)]
struct Course {
    traffic: Traffic,
    told: BTreeSet<(String, String)>,
    learned_ms: i64,
}

/// Looks at all servers in turn, whenever it is time. Nothing else waits for it.
pub(crate) async fn watch_for_intruders(world: Arc<ServeWorld>, watch: Arc<Watch>, fleet: Arc<Fleet>) {
    let mut courses: BTreeMap<String, Course> = BTreeMap::new();
    let mut sign_ins = SignIns::default();
    // Servers that are watched have a turn at each of these, and others at each so many of them.
    let mut ticks = tokio::time::interval((world.config.intrusion.every.get() / TIMES).max(TURN_MIN));
    ticks.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
    for turn in (0..TIMES).cycle() {
        ticks.tick().await;
        let config = Arc::clone(&world.config);
        let is_due = move |server: &str| turn == 0 || Watched::of(&config, server, clock::now_ms()).is_some();
        let due: Vec<_> = fleet.members().filter(|one| is_due(&one.config.name)).collect();
        if due.is_empty() {
            continue;
        }
        let config = Arc::clone(&world.config);
        let read = tokio::task::spawn_blocking(move || {
            if config.server.iter().any(|server| baseline_path(&config, &server.name).exists()) {
                sign_ins.refresh(Path::new("/"), clock::now_ms());
            }
            sign_ins
        });
        sign_ins = read.await.unwrap_or_default();
        for member in due {
            let name = member.config.name.clone();
            let pid = member.child().map(|child| child.pid);
            let (config, mut course) = (Arc::clone(&world.config), courses.remove(&name).unwrap_or_default());
            let server = name.clone();
            let looked = tokio::task::spawn_blocking(move || {
                let found = look(&config, &server, pid, &mut course, &sign_ins);
                (found, course, sign_ins)
            });
            let Ok((found, course, read)) = looked.await else {
                sign_ins = SignIns::default();
                continue;
            };
            sign_ins = read;
            courses.insert(name.clone(), course);
            match found {
                Ok(Some(signs)) => tell(&watch, &name, &signs),
                Ok(None) => {}
                Err(problem) => tracing::warn!(server = name, problem, "nobody can look for intruders"),
            }
        }
    }
}

/// The signs of now; none where there is no baseline.
fn look(
    config: &Config,
    server: &str,
    pid: Option<i32>,
    course: &mut Course,
    sign_ins: &SignIns,
) -> Result<Option<Vec<Sign>>, String> {
    let read = Baseline::read(&baseline_path(config, server)).map_err(|error| error_chain(&error))?;
    let Some(baseline) = read else { return Ok(None) };
    if baseline.learned_ms != course.learned_ms {
        // What was told before is right now, or is told again.
        *course = Course { learned_ms: baseline.learned_ms, ..Course::default() };
    }
    let Some(server) = config.server.iter().find(|one| one.name == server) else { return Ok(None) };
    let looked = Looked { config, server, pid, root: Path::new("/"), now_ms: clock::now_ms() };
    let Look { signs, .. } = looked.judge(&baseline, &mut course.traffic, sign_ins);
    let news: Vec<&Sign> = signs.iter().filter(|sign| !course.told.contains(&sign.key())).collect();
    if let Err(error) = write_down(&signs_log(config), &server.name, &news) {
        // They are told again at the next look.
        return Err(format!("`{}` cannot be written: {error}", signs_log(config).display()));
    }
    for sign in &news {
        tracing::warn!(server = server.name, attack = %sign.attack, certainty = %sign.certainty, rule = sign.rule, what = sign.what, "a sign of an intrusion");
    }
    if course.told.len() + news.len() > TOLD_MAX {
        course.told.clear();
    }
    let keys: Vec<_> = news.iter().map(|sign| sign.key()).collect();
    course.told.extend(keys);
    Ok(Some(signs))
}

fn tell(watch: &Watch, server: &str, signs: &[Sign]) {
    for attack in Attack::ALL {
        for certainty in [Certainty::Likely, Certainty::Certain] {
            let n = signs.iter().filter(|sign| sign.attack == attack && sign.certainty == certainty).count();
            let labels =
                [("server_name", server), ("attack", attack.name()), ("certainty", &certainty.to_string())];
            watch.sample(SIGNS, &labels, n as f64);
        }
    }
}

/// Appends a line of JSON for each.
fn write_down(path: &Path, server: &str, signs: &[&Sign]) -> io::Result<()> {
    if signs.is_empty() {
        return Ok(());
    }
    if let Some(folder) = path.parent() {
        fs::create_dir_all(folder)?;
    }
    if fs::metadata(path).is_ok_and(|of| of.len() > LOG_BYTES_MAX) {
        fs::rename(path, path.with_extension("log.1"))?;
    }
    let mut lines = Vec::new();
    for sign in signs {
        let level = if sign.certainty == Certainty::Certain { "error" } else { "warning" };
        let at = chrono::DateTime::from_timestamp_millis(sign.at_ms).unwrap_or_default();
        let line = json!({
            "ts": at.to_rfc3339_opts(chrono::SecondsFormat::Millis, true),
            "level": level,
            "server": server,
            "event": "security",
            "message": sign.what,
            "attack": sign.attack,
            "certainty": sign.certainty,
            "rule": sign.rule,
            "source": sign.source,
            "pid": sign.pid,
            "user": sign.user,
            "peer": sign.peer,
            "bytes": sign.bytes,
            "raw": sign.raw,
        });
        lines.extend(line.to_string().into_bytes());
        lines.push(b'\n');
    }
    File::options().append(true).create(true).mode(0o640).open(path)?.write_all(&lines)
}
