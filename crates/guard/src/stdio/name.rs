//! Owns what a server is called when nobody says so: by the package or program in its command.

/// Names become parts of file names, with a number behind them.
const NAME_BYTES_MAX: usize = 56;
/// What a name is made of when nothing else is there.
const NAMELESS: &str = "server";
/// Files that are called like this have their name from their folder.
const PLAIN_FILES: [&str; 8] = ["index", "main", "__main__", "cli", "server", "app", "start", "run"];
/// Folders that are called like this have their name from the one above.
const PLAIN_FOLDERS: [&str; 7] = ["dist", "build", "src", "bin", "lib", "out", "target"];
/// Options that a value follows, of programs that run packages.
const VALUED: [&str; 21] = [
    "-p",
    "--package",
    "-c",
    "--call",
    "--from",
    "--with",
    "--python",
    "--index-url",
    "--directory",
    "--project",
    "--registry",
    "--cache",
    "-v",
    "--volume",
    "-e",
    "--env",
    "--mount",
    "--name",
    "--network",
    "-w",
    "--spec",
];
/// Words that stand between a program and what it runs.
const VERBS: [&str; 8] = ["run", "tool", "exec", "x", "dlx", "uvx", "start", "container"];

/// The name of a server by its command: `npx -y @modelcontextprotocol/server-filesystem /x` is `server-filesystem`.
pub fn name_of(command: &[String]) -> String {
    let words: Vec<&str> = command.iter().map(String::as_str).collect();
    let name = named(&words).map(clean).filter(|name| !name.is_empty());
    name.unwrap_or_else(|| NAMELESS.to_owned())
}

fn named<'a>(words: &[&'a str]) -> Option<&'a str> {
    let (program, rest) = words.split_first()?;
    let base = base_name(program);
    match base.trim_end_matches(|c: char| c.is_ascii_digit() || c == '.') {
        "env" => {
            let skipped = rest.iter().take_while(|word| word.starts_with('-') || word.contains('=')).count();
            named(&rest[skipped..])
        }
        "npx" | "npm" | "bunx" | "pnpm" | "pnpx" | "yarn" | "uvx" | "uv" | "pipx" | "docker" | "podman" => {
            package(rest).or(Some(base))
        }
        "bun" | "node" | "nodejs" | "deno" | "python" | "tsx" | "ts-node" => match rest {
            ["-m", module, ..] => Some(module.split('.').next().unwrap_or(module)),
            ["x", rest @ ..] => package(rest),
            _ => argument(rest).map(script).or(Some(base)),
        },
        _ => Some(script(program)),
    }
}

/// The first word that is neither an option, nor the value of one, nor a verb.
fn package<'a>(words: &[&'a str]) -> Option<&'a str> {
    let spec = argument(words)?;
    let unscoped = base_name(spec);
    let end = unscoped.find(['@', '=', '<', '>', '[', '~', ':']).filter(|end| *end > 0);
    let name = &unscoped[..end.unwrap_or(unscoped.len())];
    Some(if spec.ends_with(".py") || spec.ends_with(".js") { script(spec) } else { name })
}

fn argument<'a>(words: &[&'a str]) -> Option<&'a str> {
    let mut words = words.iter().copied();
    while let Some(word) = words.next() {
        if VALUED.contains(&word) {
            words.next();
        } else if !word.starts_with('-') && !VERBS.contains(&word) {
            return Some(word);
        }
    }
    None
}

/// The name of a script, or that of the folder that is named after what is in it.
fn script(path: &str) -> &str {
    let mut parts = path.rsplit('/').filter(|part| !part.is_empty() && *part != ".");
    let file = parts.next().unwrap_or(path);
    let stem = file.rsplit_once('.').map_or(file, |(stem, _)| stem);
    if !PLAIN_FILES.contains(&stem) {
        return stem;
    }
    parts.find(|folder| !PLAIN_FOLDERS.contains(folder) && *folder != "..").unwrap_or(stem)
}

fn base_name(word: &str) -> &str {
    word.trim_end_matches('/').rsplit('/').next().unwrap_or(word)
}

/// Letters, digits, `-`, `_` and `.`, beginning with one of the first two.
fn clean(name: &str) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || "-_.".contains(c) { c } else { '-' };
    let name: String = name.chars().map(plain).collect();
    let name = name.trim_start_matches(|c: char| !c.is_ascii_alphanumeric());
    name.chars().take(NAME_BYTES_MAX).collect::<String>().trim_end_matches('-').to_owned()
}

#[cfg(test)]
mod tests {
    use super::name_of;

    #[track_caller]
    fn check(command: &str, expect: &str) {
        let words: Vec<String> = command.split_ascii_whitespace().map(str::to_owned).collect();
        assert_eq!(name_of(&words), expect, "{command}");
    }

    #[test]
    fn names_come_from_packages_and_programs() {
        check("npx -y @modelcontextprotocol/server-filesystem /x", "server-filesystem");
        check("npx --yes --package @a/b@1.2.3 server-x /y", "server-x");
        check("npx -y @modelcontextprotocol/server-memory@latest", "server-memory");
        check("npm exec -- @a/server-fs", "server-fs");
        check("uvx mcp-server-time", "mcp-server-time");
        check("uvx --from git+https://x.example/y mcp-server-git[extra]>=1", "mcp-server-git");
        check("uv tool run mcp-server-fetch==2026.1", "mcp-server-fetch");
        check("uv --directory /srv run weather.py", "weather");
        check("pipx run mcp-server-sqlite --db x", "mcp-server-sqlite");
        check("bunx server-x", "server-x");
        check("node /a/@modelcontextprotocol/server-everything/dist/index.js stdio", "server-everything");
        check("node build/index.js", "index");
        check("python3.11 -m mcp_server_time --local x", "mcp_server_time");
        check("/venv/bin/python3 /srv/notes/server.py", "notes");
        check("docker run -i --rm -e TOKEN mcp/filesystem:1.0 /x", "filesystem");
        check("env -i A=b uvx mcp-server-time", "mcp-server-time");
        check("/opt/bin/mcp-server-time", "mcp-server-time");
        check("./run.sh", "run");
        check("npx", "npx");
        check("ünder/--", "server");
        check("", "server");
        check(&format!("/x/{}", "a".repeat(99)), &"a".repeat(56));
    }
}
