//! Owns whom the host is looked at for: a configured server, with what is known of its process.

use std::path::{Path, PathBuf};

use host::{Place, Subject};

use crate::config::{Config, Server};
use crate::fleet::{Member, upstream_address};

/// A configured server, without what only `serve` knows.
pub fn subject(config: &Config, server: &Server) -> Subject {
    let is_ours = server.upstream.is_none() && server.unit.is_none();
    let mut places = vec![place(config.log_dir.join(format!("{}.log", server.name)), "log", false)];
    places.extend(server.directory.iter().map(|folder| place(folder.clone(), "work", true)));
    let files = server.dependency.iter().filter_map(|one| Some((one.file.clone()?, one.critical)));
    places.extend(files.map(|(path, critical)| place(path, "data", critical)));
    // The paths that it is started with: what it works on, where they are no programs.
    let words = server.stdio.iter().skip(1).map(Path::new);
    places.extend(
        words
            .filter(|path| path.is_absolute() && path.is_dir())
            .map(|path| place(path.to_owned(), "data", true)),
    );
    Subject {
        name: server.name.clone(),
        unit: server.unit.as_ref().map(ToString::to_string),
        is_guarded: server.has_guard(),
        listens: server.upstream.as_deref().and_then(upstream_address),
        // An upstream has its port by itself, whoever it is.
        port: (is_ours || server.unit.is_some() || server.guarded)
            .then_some(server.port)
            .filter(|port| *port != 0),
        address: (is_ours || server.guarded).then_some(config.guard_address),
        places,
        ..Subject::default()
    }
}

/// The same with what `serve` knows of its process.
pub(crate) fn subject_of(config: &Config, member: &Member) -> Subject {
    let supervised = member.supervised();
    Subject {
        pid: supervised.child().map(|child| child.pid),
        ended_pid: supervised.last_exit().and_then(|exit| exit.pid),
        ..subject(config, &member.config)
    }
}

fn place(path: PathBuf, used_for: &'static str, is_needed: bool) -> Place {
    Place { path, used_for, is_needed }
}
