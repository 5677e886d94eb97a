//! Owns the tests of new tokens: files whole or as before, the mode kept, the old one taken for as long as was said.

use super::*;

const NOW_MS: i64 = 1_000_000;

struct Site(tempfile::TempDir);

impl Site {
    fn new(names: &[&str]) -> Self {
        let site = Self(tempfile::tempdir().unwrap());
        let tables = names.iter().map(|name| format!("[clients.{name}]\ntoken_file = '{name}'\n"));
        fs::write(site.settings(), tables.collect::<String>()).unwrap();
        for name in names {
            site.write(name, &format!("{name}-0123456789abcdef\n"), 0o640);
        }
        site
    }

    fn settings(&self) -> PathBuf {
        self.0.path().join("guard.toml")
    }

    fn write(&self, name: &str, text: &str, mode: u32) {
        let path = self.0.path().join(name);
        fs::write(&path, text).unwrap();
        fs::set_permissions(&path, Permissions::from_mode(mode)).unwrap();
    }

    fn word(&self, name: &str) -> String {
        fs::read_to_string(self.0.path().join(name)).unwrap().trim().to_owned()
    }

    /// Whose token this is, as a guard sees it that reads the settings now.
    fn whose(&self, word: &str, now_ms: i64) -> Option<String> {
        Own::read(&self.settings()).unwrap().clients.of(word, now_ms).map(|name| name.to_string())
    }

    fn rotate(&self, names: &[&str], until_ms: Option<i64>, byte: u8) -> Vec<Made> {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        let mut next = byte;
        let random = || {
            next += 1;
            Ok([next; 32])
        };
        let rotation = Rotation::plan(&self.settings(), &names, random).unwrap();
        rotation.carry_out(until_ms).unwrap();
        rotation.made()
    }
}

#[test]
fn the_old_one_is_refused_at_once_and_others_stay() {
    let site = Site::new(&["ann", "ben"]);
    let made = site.rotate(&["ann"], None, 0);
    assert_eq!(made.len(), 1);
    assert_eq!((made[0].client.as_str(), made[0].mark.len()), ("ann", 12));
    let word = site.word("ann");
    assert_eq!(word, "01".repeat(32), "256 bits");
    assert!(!word.contains(&made[0].mark));
    let whose = |word: &str| site.whose(word, NOW_MS);
    assert_eq!(whose(&word).as_deref(), Some("ann"));
    assert_eq!(whose("ann-0123456789abcdef"), None);
    assert_eq!(whose("ben-0123456789abcdef").as_deref(), Some("ben"));
    let mode = fs::metadata(site.0.path().join("ann")).unwrap().mode() & 0o777;
    assert_eq!(mode, 0o640, "a guard that has it by its group goes on reading it");
    let left: Vec<_> = fs::read_dir(site.0.path()).unwrap().map(|one| one.unwrap().file_name()).collect();
    assert_eq!(left.len(), 3, "{left:?}");
}

#[test]
fn the_old_one_is_taken_for_a_while_and_only_the_last() {
    let site = Site::new(&["ann", "ben"]);
    let first = "ann-0123456789abcdef";
    site.rotate(&[], Some(NOW_MS + 600), 0);
    assert_eq!(site.whose(first, NOW_MS + 599).as_deref(), Some("ann"));
    assert_eq!(site.whose(first, NOW_MS + 600), None);
    assert_eq!(site.whose(&site.word("ann"), NOW_MS + 600).as_deref(), Some("ann"));
    let beside = fs::read_to_string(site.0.path().join("ann.before")).unwrap();
    assert!(!beside.contains(first), "a hash: {beside}");
    let second = site.word("ann");
    site.rotate(&["ann"], Some(NOW_MS + 900), 10);
    assert_eq!(site.whose(&second, NOW_MS + 899).as_deref(), Some("ann"));
    assert_eq!(site.whose(first, NOW_MS), None, "not the one before that");
    // Without a time it ends what was still taken.
    site.rotate(&["ann"], None, 20);
    assert_eq!(site.whose(&second, NOW_MS), None);
    assert!(!site.0.path().join("ann.before").exists());
    for (text, mode) in [("nonsense\n", 0o600), ("", 0o600), (beside.as_str(), 0o644)] {
        site.write("ben.before", text, mode);
        let error = Own::read(&site.settings()).unwrap_err().to_string();
        assert!(error.contains("ben.before"), "{error}");
    }
}

#[test]
fn what_cannot_be_is_refused_and_changes_nothing() {
    let site = Site::new(&["ann"]);
    let plan = |names: &[&str]| {
        let names: Vec<String> = names.iter().map(|name| (*name).to_owned()).collect();
        Rotation::plan(&site.settings(), &names, || Ok([7; 32])).map(|rotation| rotation.made())
    };
    let error = plan(&["eve"]).unwrap_err().to_string();
    assert!(error.contains("`eve`") && error.contains("ann"), "{error}");
    let nothing = || Err(io::Error::other("no"));
    assert!(matches!(Rotation::plan(&site.settings(), &[], nothing), Err(RotationError::Random(_))));
    // A place that cannot be written, found before the first file is another.
    let rotation = Rotation::plan(&site.settings(), &[], || Ok([7; 32])).unwrap();
    fs::create_dir(site.0.path().join("ann.new")).unwrap();
    rotation.carry_out(Some(NOW_MS)).unwrap_err();
    assert_eq!(site.word("ann"), "ann-0123456789abcdef");
    assert!(!site.0.path().join("ann.before").exists());
    fs::remove_dir(site.0.path().join("ann.new")).unwrap();
    site.write("ann", "ann-0123456789abcdef\n", 0o644);
    assert!(plan(&[]).is_err(), "what a guard would not take is not built on");
    fs::write(site.settings(), "").unwrap();
    assert!(plan(&[]).unwrap_err().to_string().contains("[clients.NAME]"));
}

#[test]
fn the_file_behind_a_link_is_replaced() {
    let site = Site::new(&["ann"]);
    let real = site.0.path().join("real");
    fs::rename(site.0.path().join("ann"), &real).unwrap();
    std::os::unix::fs::symlink("real", site.0.path().join("ann")).unwrap();
    let made = site.rotate(&[], Some(NOW_MS + 5), 0);
    assert_eq!(made[0].path, fs::canonicalize(&real).unwrap());
    assert!(site.0.path().join("ann").is_symlink());
    assert_eq!(site.whose(&site.word("real"), NOW_MS).as_deref(), Some("ann"));
    assert_eq!(site.whose("ann-0123456789abcdef", NOW_MS).as_deref(), Some("ann"));
}
