//! Owns which files let somebody in again, start something by themselves, or are the server's own, and what became of them.

use std::collections::BTreeMap;
use std::fs::{self, File, Metadata};
use std::io::{self, Read as _};
use std::os::unix::fs::{MetadataExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};

use checksum::Digest;
use serde::{Deserialize, Serialize};

use crate::sign::{Attack, Sign};

/// What starts by itself, who may come in, and what every program loads; `~` is each home.
pub const PLACES: [&str; 27] = [
    "/etc/systemd/system",
    "/etc/systemd/user",
    "/run/systemd/system",
    "/usr/local/lib/systemd",
    "/etc/init.d",
    "/etc/rc.local",
    "/etc/crontab",
    "/etc/cron.d",
    "/etc/cron.hourly",
    "/etc/cron.daily",
    "/etc/cron.weekly",
    "/etc/cron.monthly",
    "/var/spool/cron",
    "/etc/passwd",
    "/etc/shadow",
    "/etc/group",
    "/etc/sudoers",
    "/etc/sudoers.d",
    "/etc/ssh/sshd_config",
    "/etc/ssh/sshd_config.d",
    "/etc/pam.d",
    "/etc/ld.so.preload",
    "/etc/profile",
    "/etc/profile.d",
    "/etc/environment",
    "~/.ssh",
    "~/.bashrc",
];
/// Everything of them on a machine with very many users; more is said and left out.
const FILES_MAX: usize = 10_000;
const DEPTH_MAX: usize = 6;
/// The largest program that is hashed as a whole.
const BYTES_MAX: u64 = 1 << 30;
const HOMES_MAX: usize = 2000;

/// Files at one moment, by their paths.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Files {
    /// Each with what is known of it.
    pub known: BTreeMap<String, Known>,
    /// What could not be read, a sentence each.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub gaps: Vec<String>,
}

/// What is known of a file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Known {
    /// Its content, or where a link points to; nothing where it cannot be read.
    pub digest: Option<Digest>,
    /// Permissions and owner.
    pub rights: (u32, u32, u32),
    /// Device, inode, size, and both times in nanoseconds: as long as they are the same, nobody has written to it.
    pub state: (u64, u64, u64, i64, i64),
}

// === impl Files ===

impl Files {
    /// Looks at [`PLACES`] below `root` (`/` for this machine) and at `own`, which are the server's. What has not been written to
    /// since `before` is not read again.
    pub fn look(root: &Path, own: &[PathBuf], before: Option<&Self>) -> Self {
        let mut files = Self::default();
        let mut looking = Looking { root, before, files: &mut files };
        for place in PLACES {
            match place.strip_prefix("~/") {
                Some(inside) => {
                    for home in homes(root) {
                        looking.walk(&home.join(inside), 0);
                    }
                }
                None => looking.walk(&root.join(place.trim_start_matches('/')), 0),
            }
        }
        for path in own {
            looking.walk(path, 0);
        }
        files
    }

    /// What became of them: `own` are the server's, and what a change of our own has written last at a path, by `written`, is no
    /// sign; that is asked only where something differs. The time of a sign is that of the last change, which nobody sets back
    /// easily.
    pub fn judge(
        &self,
        now: &Self,
        own: &[PathBuf],
        written: impl Fn(&str) -> Option<Digest>,
        now_ms: i64,
    ) -> Vec<Sign> {
        let mut signs = Vec::new();
        let is_ours = |path: &str, is: &Known| {
            is.digest.is_some_and(|digest| written(path) == Some(digest)) && is.rights.0 & 0o022 == 0
        };
        for (path, is) in &now.known {
            let how = match self.known.get(path) {
                None => "was put there",
                Some(was) if was.digest != is.digest => "is another",
                Some(was) if was.rights != is.rights => "has other permissions",
                Some(_) => continue,
            };
            if is_ours(path, is) {
                continue;
            }
            let at_ms = is.state.4 / 1_000_000;
            let raw = format!("{path}: {}, {:o} {}:{}", digest_of(is), is.rights.0, is.rights.1, is.rights.2);
            signs.push(sign(path, how, own, at_ms).with_raw(raw));
        }
        for (path, was) in self.known.iter().filter(|(path, _)| !now.known.contains_key(*path)) {
            let raw = format!("{path}: it was {}", digest_of(was));
            signs.push(sign(path, "is gone", own, now_ms).with_raw(raw));
        }
        signs.sort_by_key(|sign| sign.at_ms);
        signs
    }
}

fn digest_of(known: &Known) -> String {
    known.digest.as_ref().map_or("not readable".to_owned(), |digest| format!("SHA-256 {digest}"))
}

fn sign(path: &str, how: &str, own: &[PathBuf], at_ms: i64) -> Sign {
    let is_own = own.iter().any(|own| Path::new(path).starts_with(own));
    let lets_in =
        ["/.ssh/", "/etc/passwd", "/etc/shadow", "/etc/group", "/etc/sudoers", "/etc/ssh/", "/etc/pam.d"];
    let rule = if is_own {
        "own_file"
    } else if lets_in.iter().any(|part| path.contains(part)) {
        "access_file"
    } else {
        "start_file"
    };
    let attack = if is_own { Attack::SoftwareChanged } else { Attack::Persistence };
    // No package does this, and every program loads it.
    let is_certain = path.ends_with("/etc/ld.so.preload") && how == "was put there";
    Sign::new(at_ms, "files", rule, attack, format!("`{path}` {how}")).certain_if(is_certain)
}

struct Looking<'a> {
    root: &'a Path,
    before: Option<&'a Files>,
    files: &'a mut Files,
}

// === impl Looking ===

impl Looking<'_> {
    fn walk(&mut self, path: &Path, depth: usize) {
        let metadata = match fs::symlink_metadata(path) {
            Ok(metadata) => metadata,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return,
            Err(error) => return self.gap(path, &error.to_string()),
        };
        if !metadata.is_dir() {
            return self.one(path, &metadata);
        }
        if depth == DEPTH_MAX {
            return self.gap(path, "it is too deep");
        }
        let names = match fs::read_dir(path) {
            Ok(names) => names,
            Err(error) => return self.gap(path, &error.to_string()),
        };
        let mut paths: Vec<PathBuf> = names.flatten().take(FILES_MAX).map(|entry| entry.path()).collect();
        paths.sort_unstable();
        for path in paths {
            self.walk(&path, depth + 1);
        }
    }

    fn one(&mut self, path: &Path, of: &Metadata) {
        if self.files.known.len() == FILES_MAX {
            if !self.files.gaps.iter().any(|gap| gap.starts_with("more than")) {
                self.files.gaps.push(format!("more than {FILES_MAX} files; the rest is not looked at"));
            }
            return;
        }
        let name = self.name(path);
        let nanoseconds =
            |seconds: i64, rest: i64| seconds.saturating_mul(1_000_000_000).saturating_add(rest);
        let state = (
            of.dev(),
            of.ino(),
            of.size(),
            nanoseconds(of.mtime(), of.mtime_nsec()),
            nanoseconds(of.ctime(), of.ctime_nsec()),
        );
        let rights = (of.mode() & 0o7777, of.uid(), of.gid());
        let same =
            self.before.and_then(|before| before.known.get(&name)).filter(|known| known.state == state);
        let digest = match same {
            Some(known) => known.digest,
            None => match digest(path, of) {
                Ok(digest) => digest,
                Err(error) => {
                    self.gap(path, &error.to_string());
                    None
                }
            },
        };
        self.files.known.insert(name, Known { digest, rights, state });
    }

    /// The path on the machine that is looked at.
    fn name(&self, path: &Path) -> String {
        match path.strip_prefix(self.root) {
            Ok(inside) => format!("/{}", inside.display()),
            Err(_) => path.display().to_string(),
        }
    }

    fn gap(&mut self, path: &Path, why: &str) {
        if self.files.gaps.len() < 100 {
            let name = self.name(path);
            self.files.gaps.push(format!("`{name}` could not be looked at: {why}"));
        }
    }
}

/// Of a file its content, of a link its target; of anything else nothing, and it is never opened.
fn digest(path: &Path, of: &Metadata) -> io::Result<Option<Digest>> {
    if of.is_symlink() {
        let target = fs::read_link(path)?;
        return Ok(Some(Digest::of(target.as_os_str().as_encoded_bytes())));
    }
    if !of.is_file() {
        return Ok(None);
    }
    let flags = rustix::fs::OFlags::NOFOLLOW | rustix::fs::OFlags::NONBLOCK;
    let file = File::options().read(true).custom_flags(flags.bits().cast_signed()).open(path)?;
    Digest::of_reader(file.take(BYTES_MAX)).map(Some)
}

/// The homes of people, and root's.
fn homes(root: &Path) -> Vec<PathBuf> {
    let names = fs::read_dir(root.join("home")).into_iter().flatten().flatten();
    let mut homes: Vec<PathBuf> = names.take(HOMES_MAX).map(|entry| entry.path()).collect();
    homes.sort_unstable();
    homes.push(root.join("root"));
    homes
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::{PermissionsExt as _, symlink};

    use super::*;

    fn write(root: &Path, path: &str, content: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, content).unwrap();
    }

    fn check(change: impl Fn(&Path), expect: &[(&str, &str)]) {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        write(root, "etc/systemd/system/a.service", "[Service]\n");
        write(root, "home/alice/.ssh/authorized_keys", "ssh-ed25519 A\n");
        write(root, "opt/server/main.py", "print(1)\n");
        write(root, "etc/unrelated", "x");
        let own = [root.join("opt/server")];
        let before = Files::look(root, &own, None);
        assert_eq!((before.known.len(), before.gaps.len()), (3, 0), "{before:?}");
        change(root);
        let now = Files::look(root, &own, Some(&before));
        let signs = before.judge(&now, &[PathBuf::from("/opt/server")], |_| None, 5);
        let mut got: Vec<_> = signs.iter().map(|sign| (sign.rule.as_str(), sign.what.as_str())).collect();
        got.sort_unstable();
        assert_eq!(got, expect);
        // What was read once and what is read now are told alike.
        assert_eq!(
            before.judge(&Files::look(root, &own, None), &[PathBuf::from("/opt/server")], |_| None, 5).len(),
            signs.len()
        );
    }

    #[test]
    fn what_a_known_change_has_written_is_no_sign_as_long_as_it_is_that() {
        let folder = tempfile::tempdir().unwrap();
        let root = folder.path();
        let before = Files::look(root, &[], None);
        let (name, text) = ("/run/systemd/system/a.service.d/50-paramedic-sandbox.conf", "[Service]\n");
        let written = |path: &str| (path == name).then(|| Digest::of(text.as_bytes()));
        let signs = |text: &str, mode: u32| {
            write(root, &name[1..], text);
            fs::set_permissions(root.join(&name[1..]), fs::Permissions::from_mode(mode)).unwrap();
            before.judge(&Files::look(root, &[], None), &[], written, 5).len()
        };
        assert_eq!(signs(text, 0o644), 0);
        assert_eq!(signs("[Service]\nExecStartPre=/tmp/x\n", 0o644), 1);
        assert_eq!(signs(text, 0o666), 1, "anybody may write to it");
    }

    #[test]
    fn what_was_planted_changed_and_taken_away() {
        check(|_| (), &[]);
        check(|root| write(root, "etc/unrelated", "y"), &[]);
        check(
            |root| {
                write(root, "etc/systemd/system/evil.service", "[Service]\nExecStart=/tmp/x\n");
                write(root, "home/alice/.ssh/authorized_keys", "ssh-ed25519 A\nssh-ed25519 B\n");
                write(root, "opt/server/main.py", "import os\n");
                symlink("/dev/null", root.join("etc/systemd/system/b.service")).unwrap();
            },
            &[
                ("access_file", "`/home/alice/.ssh/authorized_keys` is another"),
                ("own_file", "`/opt/server/main.py` is another"),
                ("start_file", "`/etc/systemd/system/b.service` was put there"),
                ("start_file", "`/etc/systemd/system/evil.service` was put there"),
            ],
        );
        check(
            |root| {
                fs::remove_file(root.join("etc/systemd/system/a.service")).unwrap();
                fs::set_permissions(root.join("opt/server/main.py"), fs::Permissions::from_mode(0o4755))
                    .unwrap();
            },
            &[
                ("own_file", "`/opt/server/main.py` has other permissions"),
                ("start_file", "`/etc/systemd/system/a.service` is gone"),
            ],
        );
    }

    #[test]
    fn what_every_program_loads_is_certain() {
        let folder = tempfile::tempdir().unwrap();
        let before = Files::look(folder.path(), &[], None);
        write(folder.path(), "etc/ld.so.preload", "/tmp/evil.so\n");
        let [sign] =
            before.judge(&Files::look(folder.path(), &[], None), &[], |_| None, 5).try_into().unwrap();
        assert_eq!(sign.certainty, crate::Certainty::Certain);
    }

    #[test]
    fn a_pipe_hangs_nobody() {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir_all(folder.path().join("etc/cron.d")).unwrap();
        let pipe = folder.path().join("etc/cron.d/pipe");
        rustix::fs::mkfifoat(rustix::fs::CWD, &pipe, rustix::fs::Mode::RUSR).unwrap();
        let files = Files::look(folder.path(), &[], None);
        assert_eq!(files.known["/etc/cron.d/pipe"].digest, None);
    }
}
