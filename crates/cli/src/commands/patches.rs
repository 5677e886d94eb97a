//! Owns `paramedic security patches`: whether the package that a server runs is the newest, and what is known to be wrong with
//! it. It looks and asks, and proposes a command that it does not run.

use std::path::{Path, PathBuf};

use ::patches::{Ecosystem, Found, Installed, Verdict};
use serde::Serialize;
use server::api::wire::ServerStatus;

use crate::arguments::{Output, PatchesArguments};
use crate::context;
use crate::fail::{Code, Failure};
use crate::show;

/// What was found out, and what it comes to.
#[derive(Serialize)]
struct Told<'a> {
    server: &'a str,
    installed: &'a Installed,
    verdict: Verdict,
    #[serde(flatten)]
    found: &'a Found,
    /// The command that would install the newest version.
    command: Option<String>,
}

pub(super) fn run(
    arguments: &PatchesArguments,
    named: Option<PathBuf>,
    output: Output,
) -> Result<Code, Failure> {
    let client = context::client(named)?;
    context::runtime()?.block_on(async {
        let status: ServerStatus = client.get(&format!("/api/v1/servers/{}", arguments.name)).await?;
        let installed = installed(&status)?;
        let mut found = match (installed.ecosystem, arguments.offline) {
            // Its lists are here already.
            (Ecosystem::Debian, _) => ::patches::apt(Path::new("/"), &installed).await,
            (_, true) => {
                let gaps = vec!["newest version: nobody was asked (--offline)".to_owned()];
                Found { gaps, ..Found::default() }
            }
            (Ecosystem::Npm, false) => ::patches::npm(&asker()?, &arguments.npm, &installed).await,
            (Ecosystem::Pypi, false) => ::patches::pypi(&asker()?, &arguments.pypi, &installed).await,
        };
        if let Some(folder) = &arguments.advisories {
            found.join(::patches::local_advisories(folder, &installed));
        }
        let verdict = found.verdict(&installed);
        let newer = found.newest.as_ref().filter(|_| found.is_newer(&installed));
        let command = newer.map(|version| ::patches::proposal(&installed, version));
        let told = Told { server: &arguments.name, installed: &installed, verdict, found: &found, command };
        match output {
            Output::Table => tell(&told),
            _ => show::json(&told),
        }
        Ok(match verdict {
            Verdict::Newest => Code::Done,
            Verdict::Behind => Code::No,
            Verdict::Unknown => Code::Unreachable,
        })
    })
}

/// The package of a server: as its guard says, or as the package manager of the machine does.
fn installed(status: &ServerStatus) -> Result<Installed, Failure> {
    if let Some(package) = &status.package {
        return Ok(package.into());
    }
    let unknown = |why: &str| {
        let words = format!("nobody knows which package `{}` runs: {why}", status.name);
        Failure::new(Code::Unreachable, anyhow::anyhow!(words))
    };
    let pid = status.pid.ok_or_else(|| unknown("it does not run"))?;
    let program =
        std::fs::read_link(format!("/proc/{pid}/exe")).map_err(|error| unknown(&error.to_string()))?;
    ::patches::owner(Path::new("/"), &program)
        .ok_or_else(|| unknown(&format!("no package manager has installed `{}`", program.display())))
}

fn asker() -> Result<::patches::Asker, Failure> {
    probe::install_crypto();
    ::patches::asker().map_err(Failure::no)
}

fn tell(told: &Told<'_>) {
    let Installed { name, version, described_in, .. } = told.installed;
    let plain = |text: &str| show::harmless(text);
    show::line(&format!("{}: {} {} ({})", told.server, plain(name), plain(version), described_in.display()));
    match &told.found.newest {
        Some(newest) if newest == version => show::line("newest: this one"),
        Some(newest) => show::line(&format!("newest: {}", plain(newest))),
        None => show::line("newest: not known"),
    }
    for one in &told.found.advisories {
        let severity = one.severity.as_ref().map(|word| format!(" ({})", plain(word))).unwrap_or_default();
        let fixed = one.fixed.as_ref().map(|fixed| format!("; mended: {}", plain(fixed))).unwrap_or_default();
        show::line(&format!("advisory {}{severity}: {}{fixed}", plain(&one.id), plain(&one.summary)));
    }
    for gap in &told.found.gaps {
        anstream::eprintln!("not known: {}", plain(gap));
    }
    if let Some(command) = &told.command {
        show::line(&format!("proposed, and not run: {}", plain(command)));
    }
}
