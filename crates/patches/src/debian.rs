//! Owns packages of Debian: which one a program belongs to, and which version apt would install, by the lists that it has. The
//! network is not asked: that is `apt-get update`'s.

use std::fs::{self, File};
use std::io::{BufRead as _, BufReader, Read as _};
use std::path::{Path, PathBuf};
use std::time::Duration;

use tokio::process::Command;

use crate::{Advisory, Ecosystem, Found, Installed};

/// The tool, which is root's.
const APT_CACHE: &str = "/usr/bin/apt-cache";
/// How long it may take: it may have to read all lists.
const APT_MAX: Duration = Duration::from_secs(30);
/// A machine has some thousand packages, with lists of files of some megabytes.
const PACKAGES_MAX: usize = 20_000;
const FILE_BYTES_MAX: u64 = 64 << 20;

/// The package below `root` that has installed a program; none where none says so. Blocks.
pub fn owner(root: &Path, program: &Path) -> Option<Installed> {
    let program = program.to_str()?;
    // What is `/usr/bin` now may be written down as `/bin`.
    let names = [program, program.strip_prefix("/usr").unwrap_or(program)];
    let lists = fs::read_dir(root.join("var/lib/dpkg/info")).ok()?.flatten().take(PACKAGES_MAX * 10);
    let mut lists =
        lists.map(|entry| entry.path()).filter(|path| path.extension().is_some_and(|one| one == "list"));
    let list = lists.find(|path| has_line(path, &names))?;
    let owner = list.file_stem()?.to_str()?.to_owned();
    let status = root.join("var/lib/dpkg/status");
    let version = version_of(&status, &owner)?;
    Some(Installed { ecosystem: Ecosystem::Debian, name: owner, version, described_in: status })
}

fn has_line(path: &Path, names: &[&str]) -> bool {
    let Ok(file) = File::open(path) else { return false };
    let lines = BufReader::new(file.take(FILE_BYTES_MAX)).lines();
    lines.map_while(Result::ok).any(|line| names.contains(&line.as_str()))
}

/// The version of an installed package, which may be named with its architecture.
fn version_of(status: &Path, owner: &str) -> Option<String> {
    let (name, architecture) = owner.split_once(':').map_or((owner, None), |(name, of)| (name, Some(of)));
    let mut text = String::new();
    File::open(status).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    text.split("\n\n").find_map(|stanza| {
        let field = |wanted: &str| {
            stanza.lines().find_map(|line| line.strip_prefix(wanted)?.strip_prefix(": ")).map(str::trim)
        };
        let is_it = field("Package") == Some(name)
            && architecture.is_none_or(|architecture| field("Architecture") == Some(architecture))
            && field("Status").is_some_and(|status| status.ends_with(" installed"));
        is_it.then(|| field("Version").map(str::to_owned)).flatten()
    })
}

/// Which version apt would install by its lists below `root`, `/` but in tests.
pub async fn apt(root: &Path, installed: &Installed) -> Found {
    let mut found = Found::default();
    match policy(root, &installed.name).await {
        Ok(text) => match candidate(&text) {
            Some((version, is_security)) => {
                if is_security && version != installed.version {
                    found.advisories.push(Advisory {
                        id: format!("{} {version}", installed.name),
                        severity: None,
                        summary: "the newer version comes from the archive for security".to_owned(),
                        fixed: Some(version.clone()),
                        source: "the lists of apt".to_owned(),
                    });
                }
                found.newest = Some(version);
            }
            None => found.gaps.push("apt has no list with it: `apt-get update` fetches them".to_owned()),
        },
        Err(why) => found.gaps.push(why),
    }
    found
}

/// What apt says of a package.
async fn policy(root: &Path, name: &str) -> Result<String, String> {
    let mut command = Command::new(APT_CACHE);
    command.env_clear().env("LC_ALL", "C").env("PATH", "/usr/bin:/bin").kill_on_drop(true);
    command.stdin(std::process::Stdio::null());
    if root != Path::new("/") {
        let option = |name: &str, path: PathBuf| format!("{name}={}", path.display());
        command.arg("-o").arg(option("Dir", root.to_owned()));
        command.arg("-o").arg(option("Dir::State::status", root.join("var/lib/dpkg/status")));
    }
    // It keeps nothing: whoever only looks writes nowhere.
    command.args(["-o", "Dir::Cache::pkgcache=", "-o", "Dir::Cache::srcpkgcache=", "policy", "--", name]);
    let output = tokio::time::timeout(APT_MAX, command.output()).await;
    let output = output.map_err(|_| format!("`{APT_CACHE}` did not end within {APT_MAX:?}"))?;
    let output = output.map_err(|error| format!("`{APT_CACHE}` cannot be run: {error}"))?;
    if !output.status.success() {
        let why = String::from_utf8_lossy(&output.stderr).lines().next().unwrap_or_default().to_owned();
        return Err(format!("`{APT_CACHE}` failed: {why}"));
    }
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// The version that would be installed, and whether it comes from an archive for security; none where apt knows of none but
/// the installed one's own record.
fn candidate(text: &str) -> Option<(String, bool)> {
    let version = text.lines().find_map(|line| line.trim().strip_prefix("Candidate: "))?.trim();
    let mut lines = text.lines().skip_while(|line| line.trim() != "Version table:").skip(1);
    let is_it = |line: &str| {
        line.trim_start_matches([' ', '*']).split(' ').next() == Some(version) && line.len() >= 5
    };
    lines.find(|line| is_it(line))?;
    // Below each version stand its places, further to the right.
    let places: Vec<&str> = lines.take_while(|line| line.starts_with("        ")).map(str::trim).collect();
    let lists: Vec<&&str> = places.iter().filter(|place| place.contains("://")).collect();
    if lists.is_empty() && text.lines().all(|line| !line.contains("://")) {
        return None;
    }
    Some((version.to_owned(), lists.iter().any(|place| place.contains("security"))))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn put(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    fn machine() -> tempfile::TempDir {
        let root = tempfile::tempdir().unwrap();
        let at = root.path();
        for folder in
            ["etc/apt/apt.conf.d", "etc/apt/preferences.d", "var/lib/apt/lists/partial", "var/cache/apt"]
        {
            fs::create_dir_all(at.join(folder)).unwrap();
        }
        put(at, "var/lib/dpkg/info/other.list", "/.\n/usr/bin/mcp-xyz\n");
        put(at, "var/lib/dpkg/info/mcp-x.list", "/.\n/usr\n/bin/mcp-x\n");
        put(
            at,
            "var/lib/dpkg/status",
            "Package: mcp-x-doc\nStatus: install ok installed\nVersion: 9\n\nPackage: mcp-x\nStatus: deinstall ok config-files\n\
             Architecture: i386\nVersion: 8\n\nPackage: mcp-x\nStatus: install ok installed\nArchitecture: all\nVersion: 1.0-1\n\
             Maintainer: a\nDescription: x\n\n",
        );
        root
    }

    #[tokio::test]
    async fn the_owner_of_a_program_and_what_apt_would_install() {
        let root = machine();
        let found = owner(root.path(), Path::new("/usr/bin/mcp-x")).unwrap();
        assert_eq!((found.name.as_str(), found.version.as_str()), ("mcp-x", "1.0-1"));
        assert_eq!(owner(root.path(), Path::new("/usr/bin/mcp")), None);
        if !Path::new(APT_CACHE).exists() {
            eprintln!("SKIPPED: this machine has no `{APT_CACHE}`");
            return;
        }
        let none = apt(root.path(), &found).await;
        assert!(none.newest.is_none() && none.gaps[0].contains("apt-get update"), "{none:?}");
        let list = |of: &str, version: &str| {
            let (site, suite) = of.split_once('/').unwrap();
            let name = format!("var/lib/apt/lists/{site}_debian_dists_{suite}");
            put(
                root.path(),
                &format!("{name}_Release"),
                &format!("Origin: Debian\nSuite: {suite}\nCodename: {suite}\n"),
            );
            let text = format!(
                "Package: mcp-x\nVersion: {version}\nArchitecture: all\nFilename: x.deb\nSize: 1\nSHA256: aa\nDescription: x\n\n"
            );
            put(root.path(), &format!("{name}_main_binary-amd64_Packages"), &text);
        };
        let sources = "deb [trusted=yes arch=amd64] http://deb.example.org/debian stable main\n\
                       deb [trusted=yes arch=amd64] http://security.example.org/debian stable-security main\n";
        put(root.path(), "etc/apt/sources.list", sources);
        list("deb.example.org/stable", "1.0-1");
        let same = apt(root.path(), &found).await;
        assert_eq!((same.newest.as_deref(), same.advisories.len()), (Some("1.0-1"), 0), "{same:?}");
        list("security.example.org/stable-security", "1.0-1+deb12u1");
        let newer = apt(root.path(), &found).await;
        assert_eq!(newer.newest.as_deref(), Some("1.0-1+deb12u1"), "{newer:?}");
        assert_eq!(newer.advisories[0].fixed.as_deref(), Some("1.0-1+deb12u1"));
        assert_eq!(newer.verdict(&found), crate::Verdict::Behind);
        let strange = Installed { name: "--help; id".to_owned(), ..found };
        assert!(apt(root.path(), &strange).await.newest.is_none());
        let kept: Vec<_> = fs::read_dir(root.path().join("var/cache/apt")).unwrap().collect();
        assert!(kept.is_empty(), "whoever looks writes nothing: {kept:?}");
    }
}
