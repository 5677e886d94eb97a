//! Owns the command that would install another version: proposed, and run by nobody here.

use std::path::Path;

use crate::{Ecosystem, Installed};

/// How far above its description the environment of a distribution of Python is: `lib/pythonN/site-packages/X.dist-info/METADATA`.
const UP_TO_ENVIRONMENT: usize = 5;

/// The command that would install this version in the place of the one that is there.
pub fn proposal(installed: &Installed, version: &str) -> String {
    let Installed { ecosystem, name, described_in, .. } = installed;
    let wanted = |sign: &str| quoted(&format!("{name}{sign}{version}"));
    match ecosystem {
        Ecosystem::Npm => match project(described_in) {
            Some(folder) => {
                format!("npm install --prefix {} {}", quoted(&folder.to_string_lossy()), wanted("@"))
            }
            None => format!("npm install {}", wanted("@")),
        },
        Ecosystem::Pypi => match described_in.ancestors().nth(UP_TO_ENVIRONMENT) {
            Some(folder) if folder != Path::new("") => {
                format!(
                    "{} -m pip install {}",
                    quoted(&folder.join("bin/python").to_string_lossy()),
                    wanted("==")
                )
            }
            _ => format!("python3 -m pip install {}", wanted("==")),
        },
        Ecosystem::Debian => format!("apt-get install --only-upgrade {}", wanted("=")),
    }
}

/// The folder in whose `node_modules` a package is.
fn project(described_in: &Path) -> Option<&Path> {
    let modules =
        described_in.ancestors().filter(|path| path.file_name().is_some_and(|name| name == "node_modules"));
    modules.last()?.parent()
}

/// A word for a shell, whatever is in it: names come from registries.
fn quoted(word: &str) -> String {
    let is_plain =
        !word.is_empty() && word.chars().all(|one| one.is_ascii_alphanumeric() || "@%+=:,./_-".contains(one));
    if is_plain { word.to_owned() } else { format!("'{}'", word.replace('\'', r"'\''")) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn it_is_about_the_place_where_it_is_installed() {
        let check = |ecosystem, name: &str, described_in: &str, version: &str, expect: &str| {
            let installed = Installed {
                ecosystem,
                name: name.to_owned(),
                version: "1".to_owned(),
                described_in: described_in.into(),
            };
            assert_eq!(proposal(&installed, version), expect);
        };
        let (npm, pypi, debian) = (Ecosystem::Npm, Ecosystem::Pypi, Ecosystem::Debian);
        check(
            npm,
            "@a/fs",
            "/srv/x y/node_modules/@a/fs/package.json",
            "1.2.0",
            "npm install --prefix '/srv/x y' @a/fs@1.2.0",
        );
        check(npm, "fs", "/opt/fs/package.json", "1.2.0", "npm install fs@1.2.0");
        let metadata = "/opt/v/lib/python3.11/site-packages/m-1.dist-info/METADATA";
        check(pypi, "m", metadata, "2026.1", "/opt/v/bin/python -m pip install m==2026.1");
        check(
            debian,
            "mcp-x",
            "/var/lib/dpkg/status",
            "1:1.2-1",
            "apt-get install --only-upgrade mcp-x=1:1.2-1",
        );
        check(npm, "a", "", "1; touch $(id)", "npm install 'a@1; touch $(id)'");
    }
}
