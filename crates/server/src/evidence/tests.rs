//! Tests that a fleet which fails at once does not wait for its evidence, and that what is given up is said.

use std::path::Path;

use super::*;
use crate::config::parse;

fn wanted(root: &Path, n: usize) -> Collection {
    Collection {
        server: None,
        pid: None,
        incident: Some(format!("I-{n}")),
        by: "test".to_owned(),
        tier: Tier::T0,
        since_ms: None,
        deep: Deep::default(),
        now_ms: 1_700_000_000_000,
        root: root.to_owned(),
        exe: PathBuf::from("/nowhere"),
    }
}

#[tokio::test]
async fn a_thousand_incidents_at_once_are_kept_as_far_as_it_takes() {
    let folder = tempfile::tempdir().unwrap();
    let mut config = parse("").unwrap();
    config.data_dir = folder.path().join("data");
    config.log_dir = folder.path().join("log");
    config.evidence.dir = folder.path().join("evidence");
    let config = Arc::new(config);
    // A machine on which nothing runs.
    let root = folder.path().join("root");
    fs::create_dir_all(root.join("proc")).unwrap();
    let mut waiting = tokio::task::JoinSet::new();
    for n in 0..1000 {
        waiting.spawn(preserve(Arc::clone(&config), wanted(&root, n)));
    }
    let all = waiting.join_all().await;
    let kept = all.iter().filter(|one| !one.manifest.is_empty()).count();
    assert_eq!((kept, bundles(&config).len()), (WAITING_MAX, WAITING_MAX));
    for one in all.iter().filter(|one| one.manifest.is_empty()) {
        let problem = one.problem.as_deref().unwrap();
        assert!(problem.contains("8 incidents were having theirs kept"), "{problem}");
    }
    // The next one is heard again.
    assert!(!preserve(Arc::clone(&config), wanted(&root, 1000)).await.manifest.is_empty());
    // Beyond the budget no more are made, and none is deleted.
    let mut small = (*config).clone();
    small.evidence.budget = crate::config::Bytes(1);
    let refused = preserve(Arc::new(small), wanted(&root, 1001)).await.problem.unwrap();
    assert!(refused.contains("`budget` of `[evidence]` allows 1"), "{refused}");
    assert_eq!(bundles(&config).len(), WAITING_MAX + 1);
}
