//! Owns which package is really run: what was resolved, read from the files that a server's processes run.
//!
//! For node it is the `package.json` nearest above the script, with symbolic links followed (`npx` starts a link in
//! `.bin`). For Python it is the `*.dist-info` beside the script's own interpreter that says it installed the script, or
//! has the module. The last process that has one is it: those above it are wrappers.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use process::ProcessId;
use process::control::{Package, PackageKind};
use serde::Deserialize;

use crate::tree::{self, Process};

/// A description of a package has some kilobytes; the list of its files may have a megabyte.
const FILE_BYTES_MAX: u64 = 4 << 20;
/// Scripts lie a few folders below the description of their package.
const FOLDERS_UP_MAX: usize = 12;
/// Larger places are whole distributions.
const ENTRIES_MAX: usize = 4096;

#[derive(Deserialize)]
struct PackageJson {
    name: Option<String>,
    version: Option<String>,
}

/// The package that a server runs, as far as its processes show it. Blocks while files are read.
pub(crate) fn resolve(proc_root: &Path, top: ProcessId) -> Option<Package> {
    tree::read(proc_root, top).iter().rev().find_map(of_process)
}

fn of_process(process: &Process) -> Option<Package> {
    let (program, rest) = process.arguments.split_first()?;
    let base = program.rsplit('/').next()?;
    let at =
        |word: &str| process.directory.as_ref().map_or_else(|| PathBuf::from(word), |cwd| cwd.join(word));
    if base.starts_with("node") || base == "bun" {
        let script = rest.iter().find(|word| !word.starts_with('-'))?;
        return of_node(&at(script));
    }
    if base.starts_with("python") {
        return match rest {
            [option, module, ..] if option == "-m" => of_python(&at(program), Wanted::Module(module)),
            _ => {
                let script = at(rest.iter().find(|word| !word.starts_with('-'))?);
                let name = script.file_name()?.to_str()?.to_owned();
                of_python(&script, Wanted::Script(&name))
            }
        };
    }
    None
}

fn of_node(script: &Path) -> Option<Package> {
    let script = fs::canonicalize(script).ok()?;
    // A `package.json` that only says of which kind the modules below it are has no name.
    script.ancestors().skip(1).take(FOLDERS_UP_MAX).find_map(|folder| {
        let described_in = folder.join("package.json");
        let PackageJson { name, version } = serde_json::from_str(&text(&described_in)?).ok()?;
        Some(Package { name: name?, version: version?, kind: PackageKind::Npm, described_in })
    })
}

/// What a distribution has to have.
#[derive(Clone, Copy)]
enum Wanted<'a> {
    Script(&'a str),
    Module(&'a str),
}

/// `program` lies in the `bin` of an environment, whose packages are in `lib/pythonN/site-packages`.
fn of_python(program: &Path, wanted: Wanted<'_>) -> Option<Package> {
    let environment = program.parent()?.parent()?;
    let libraries = fs::read_dir(environment.join("lib")).ok()?.flatten();
    let sites = libraries.map(|entry| entry.path().join("site-packages")).filter(|path| path.is_dir());
    sites.into_iter().find_map(|site| {
        let entries = fs::read_dir(&site).ok()?.flatten().take(ENTRIES_MAX);
        let mut folders = entries
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|e| e == "dist-info"));
        let folder = folders.find(|folder| has(folder, wanted))?;
        let described_in = folder.join("METADATA");
        let metadata = text(&described_in)?;
        let field = |name: &str| {
            // The fields end at the first empty line.
            let mut lines = metadata.lines().take_while(|line| !line.is_empty());
            lines
                .find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
                .map(|value| value.trim().to_owned())
        };
        Some(Package {
            name: field("Name")?,
            version: field("Version")?,
            kind: PackageKind::Pypi,
            described_in,
        })
    })
}

/// `RECORD` lists what was installed, as paths from `site-packages`, each at the beginning of a line.
fn has(folder: &Path, wanted: Wanted<'_>) -> bool {
    let Some(record) = text(&folder.join("RECORD")) else { return false };
    let mut paths = record.lines().filter_map(|line| line.split(',').next());
    match wanted {
        Wanted::Script(name) => {
            paths.any(|path| path.starts_with("..") && path.ends_with(&format!("/bin/{name}")))
        }
        Wanted::Module(module) => {
            let module = module.split('.').next().unwrap_or(module);
            paths.any(|path| {
                path.strip_prefix(module).is_some_and(|rest| rest.starts_with('/') || rest == ".py")
            })
        }
    }
}

fn text(path: &Path) -> Option<String> {
    let mut text = String::new();
    File::open(path).ok()?.take(FILE_BYTES_MAX).read_to_string(&mut text).ok()?;
    Some(text)
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::path::Path;

    use process::ProcessId;
    use process::control::PackageKind;

    use super::of_process;
    use crate::tree::{Done, Process};

    fn write(root: &Path, path: &str, text: &str) {
        let path = root.join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    #[track_caller]
    fn check(root: &Path, command: &str, expect: Option<(&str, &str, PackageKind)>) {
        let process = Process {
            id: ProcessId { pid: 2, start_ticks: 1 },
            parent: 1,
            arguments: command.split(' ').map(|word| word.replace("ROOT", root.to_str().unwrap())).collect(),
            directory: Some(root.to_owned()),
            lifecycle: None,
            done: Done::default(),
        };
        let found = of_process(&process);
        let found = found.as_ref().map(|one| (one.name.as_str(), one.version.as_str(), one.kind));
        assert_eq!(found, expect, "{command}");
    }

    #[test]
    fn node_runs_a_link_to_a_script_of_a_package() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        write(root, "node_modules/@a/fs/package.json", r#"{"name":"@a/fs","version":"1.2.3"}"#);
        write(root, "node_modules/@a/fs/dist/package.json", r#"{"type":"module"}"#);
        write(root, "node_modules/@a/fs/dist/index.js", "");
        fs::create_dir(root.join("node_modules/.bin")).unwrap();
        std::os::unix::fs::symlink("../@a/fs/dist/index.js", root.join("node_modules/.bin/fs")).unwrap();
        let expect = Some(("@a/fs", "1.2.3", PackageKind::Npm));
        check(root, "node ROOT/node_modules/.bin/fs /x", expect);
        check(root, "/usr/bin/node --no-warnings node_modules/@a/fs/dist/index.js", expect);
        check(root, "node missing.js", None);
        check(root, "npm exec @a/fs", None);
    }

    #[test]
    fn python_runs_a_script_or_a_module_of_a_distribution() {
        let root = tempfile::tempdir().unwrap();
        let root = root.path();
        let site = "lib/python3.11/site-packages";
        write(root, "bin/mcp-server-time", "");
        write(
            root,
            &format!("{site}/other-1.0.dist-info/RECORD"),
            "other/__init__.py,,\nbin/mcp-server-time,,\n",
        );
        write(
            root,
            &format!("{site}/mcp_server_time-2026.1.dist-info/RECORD"),
            "../../../bin/mcp-server-time,sha256=x,1\nmcp_server_time/__init__.py,,\n",
        );
        write(
            root,
            &format!("{site}/mcp_server_time-2026.1.dist-info/METADATA"),
            "Metadata-Version: 2.4\nName: mcp-server-time\nVersion: 2026.1\n\nVersion: of the text\n",
        );
        let expect = Some(("mcp-server-time", "2026.1", PackageKind::Pypi));
        check(root, "ROOT/bin/python3 ROOT/bin/mcp-server-time --x", expect);
        check(root, "ROOT/bin/python3 -m mcp_server_time", expect);
        check(root, "ROOT/bin/python3 -m mcp_server", None);
        check(root, "ROOT/bin/python3 ROOT/bin/time", None);
    }
}
