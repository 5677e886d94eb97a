//! Tests how much the linter says about ordinary scripts that only look, which people of other trades would call good.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use runbook::lint::{Config, lint};
use runbook::{Effect, Level, Table, statements};

/// A runbook in which nothing is wrong, around one fence.
fn wrapped(script: &str) -> String {
    let fence: String = script
        .lines()
        .map(|line| if line.is_empty() { "\n".to_owned() } else { format!("   {line}\n") })
        .collect();
    format!(
        "---\nowner: somebody\n---\n\n# X\n\n## P\n\n### Alert: A\n\n**Severity**: Critical\\\n**Response Time**: < 5 minutes\\\n\
         **Alert Query**: `sum by (server_name) (up) < 1`\\\n**For**: 1 minute\n\n### Now (0-5 minutes)\n\n1. **One**\n\n   Look.\n\n   \
         ```bash {{timeout=60s}}\n{fence}   ```\n\n### Escalation Criteria\n\n- It lasts\n\n### Documentation Requirements\n\n- What was done\n"
    )
}

#[test]
fn ordinary_scripts_are_left_in_peace() {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/it/harmless");
    let mut paths: Vec<_> =
        fs::read_dir(folder).expect("they are there").map(|entry| entry.unwrap().path()).collect();
    paths.sort();
    let (mut warnings, mut notes) = (Vec::new(), BTreeMap::<&str, usize>::new());
    let mut n_unknown = 0;
    for path in &paths {
        let script = fs::read_to_string(path).expect("it is text");
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        for one in lint(&name, wrapped(&script).as_bytes(), &Config::default(), None) {
            match one.level {
                Level::Info => *notes.entry(one.code).or_default() += 1,
                _ => warnings.push(format!("{name}: {} {}", one.code, one.message)),
            }
        }
        let worst = statements(&script, Table::builtin()).into_iter().max_by_key(|one| one.effect);
        let worst = worst.expect("it has statements");
        n_unknown += usize::from(worst.effect == Effect::Unknown);
        // They only look: at worst they are not understood.
        assert!(
            matches!(worst.effect, Effect::Observe | Effect::Unknown),
            "{name}: {} {}",
            worst.effect,
            worst.reason
        );
    }
    println!(
        "{} scripts: warnings {warnings:#?}, notes {notes:?}, {n_unknown} with a statement that is unknown",
        paths.len()
    );
    assert!(paths.len() >= 60 && warnings.len() <= 3, "{warnings:#?}");
    assert!(notes.values().sum::<usize>() <= paths.len(), "{notes:?}");
}
