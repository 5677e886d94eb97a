//! Owns reading the files in which clients name their servers. Nothing is ever written there.

use std::fs::File;
use std::io::Read as _;
use std::path::{Path, PathBuf};

use serde_json::Value;

/// Clients keep histories in the same file; more than this is no configuration.
const FILE_BYTES_MAX: u64 = 16 << 20;

/// The files: whose, below what, where, and the key under which the servers are.
const FILES: [(&str, Base, &str, &str); 7] = [
    ("Claude Desktop", Base::Home, ".config/Claude/claude_desktop_config.json", "mcpServers"),
    ("Claude Code", Base::Home, ".claude.json", "mcpServers"),
    ("Claude Code", Base::Here, ".mcp.json", "mcpServers"),
    ("Cursor", Base::Home, ".cursor/mcp.json", "mcpServers"),
    ("Cursor", Base::Here, ".cursor/mcp.json", "mcpServers"),
    ("VS Code", Base::Here, ".vscode/mcp.json", "servers"),
    ("Windsurf", Base::Home, ".codeium/windsurf/mcp_config.json", "mcpServers"),
];

#[derive(Clone, Copy)]
enum Base {
    Home,
    /// The working directory.
    Here,
}

/// A server that a client's file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Named {
    pub(super) client: &'static str,
    pub(super) file: PathBuf,
    pub(super) name: String,
    pub(super) how: How,
}

/// How the client reaches it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum How {
    /// It starts this command.
    Stdio(Vec<String>),
    /// It connects to this address.
    Http(String),
}

/// Reads the files that are there. Those that are not understood are said in `notes`.
pub(super) fn find(home: &Path, here: &Path, notes: &mut Vec<String>) -> Vec<Named> {
    let mut found: Vec<Named> = Vec::new();
    for (client, base, file, key) in FILES {
        let file = match base {
            Base::Home => home.join(file),
            Base::Here => here.join(file),
        };
        // Whoever works in the home directory has one file twice.
        if found.iter().any(|one| one.file == file) {
            continue;
        }
        match read(&file) {
            None => {}
            Some(Err(why)) => notes.push(format!("{} ({client}): {why}", file.display())),
            Some(Ok(document)) => {
                found.extend(servers(&document, key).into_iter().map(|(name, how)| Named {
                    client,
                    file: file.clone(),
                    name,
                    how,
                }))
            }
        }
    }
    found
}

// === impl Named ===

impl Named {
    /// The line that would have it watched; `None` where it is so already, or it is not started by the client.
    pub(super) fn change(&self) -> Option<String> {
        let How::Stdio(command) = &self.how else { return None };
        if is_guarded(command) {
            return None;
        }
        let words = ["guard", "--stdio", "--"].map(str::to_owned);
        let args: Vec<Value> = words.iter().chain(command).cloned().map(Value::String).collect();
        let args: Vec<String> = args.iter().map(Value::to_string).collect();
        Some(format!("\"command\": \"paramedic\", \"args\": [{}]", args.join(", ")))
    }
}

/// Whether a command is a guard between a client and its server already.
fn is_guarded(command: &[String]) -> bool {
    let is_ours = |program: &String| Path::new(program).file_name().is_some_and(|name| name == "paramedic");
    let before_command = command.iter().take_while(|word| *word != "--");
    command.first().is_some_and(is_ours)
        && command.get(1).is_some_and(|word| word == "guard")
        && before_command.clone().any(|word| word == "--stdio")
}

/// `None` where there is no such file.
fn read(file: &Path) -> Option<Result<Value, String>> {
    let opened = match File::open(file) {
        Ok(opened) => opened,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return None,
        Err(error) if error.kind() == std::io::ErrorKind::NotADirectory => return None,
        Err(error) => return Some(Err(format!("cannot be read: {error}"))),
    };
    let mut text = String::new();
    match opened.take(FILE_BYTES_MAX + 1).read_to_string(&mut text) {
        Err(error) => Some(Err(format!("cannot be read: {error}"))),
        Ok(bytes) if bytes as u64 > FILE_BYTES_MAX => Some(Err("is too large to be read".to_owned())),
        Ok(_) => Some(serde_json::from_str(&plain(&text)).map_err(|error| format!("is no JSON: {error}"))),
    }
}

/// The servers of a document, those of its projects too.
fn servers(document: &Value, key: &str) -> Vec<(String, How)> {
    let projects = document.get("projects").and_then(Value::as_object);
    let projects = projects.into_iter().flat_map(|projects| projects.values());
    let tables = std::iter::once(document).chain(projects).filter_map(|one| one.get(key)?.as_object());
    tables.flatten().filter_map(|(name, server)| Some((name.clone(), How::of(server)?))).collect()
}

// === impl How ===

impl How {
    fn of(server: &Value) -> Option<Self> {
        let text = |key| server.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
        if let Some(program) = text("command") {
            let args = server.get("args").and_then(Value::as_array).into_iter().flatten();
            let args = args.filter_map(Value::as_str).map(str::to_owned);
            return Some(Self::Stdio(std::iter::once(program.to_owned()).chain(args).collect()));
        }
        text("url").or_else(|| text("serverUrl")).map(|url| Self::Http(url.to_owned()))
    }
}

/// JSON without the comments and the last commas that editors allow in it.
fn plain(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.trim_start_matches('\u{feff}').chars().peekable();
    while let Some(letter) = rest.next() {
        match (letter, rest.peek()) {
            ('"', _) => {
                out.push(letter);
                let mut escaped = false;
                for letter in rest.by_ref() {
                    out.push(letter);
                    if letter == '"' && !escaped {
                        break;
                    }
                    escaped = letter == '\\' && !escaped;
                }
            }
            ('/', Some('/')) => while rest.next_if(|letter| *letter != '\n').is_some() {},
            ('/', Some('*')) => {
                rest.next();
                let mut before = ' ';
                for letter in rest.by_ref() {
                    if before == '*' && letter == '/' {
                        break;
                    }
                    before = letter;
                }
                out.push(' ');
            }
            ('}' | ']', _) => {
                let end = out.trim_end().len();
                if out[..end].ends_with(',') {
                    out.truncate(end - 1);
                }
                out.push(letter);
            }
            _ => out.push(letter),
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn comments_and_last_commas_are_no_json_and_strings_are_left_alone() {
        for (text, expect) in [
            ("{\"a\": 1}", "{\"a\":1}"),
            ("{// x\n\"a\": [1, 2,], /* y } */ }", "{\"a\":[1,2]}"),
            ("{\"a\": \"// no \\\" /* no */ ,]\",}", "{\"a\":\"// no \\\" /* no */ ,]\"}"),
            ("\u{feff}{\"a\": \"\\\\\"} // end", "{\"a\":\"\\\\\"}"),
        ] {
            let value: Value = serde_json::from_str(&plain(text)).unwrap();
            assert_eq!(value.to_string(), expect, "{text}");
        }
        assert!(serde_json::from_str::<Value>(&plain("{\"a\": \"")).is_err());
    }

    #[test]
    fn each_client_has_its_file() {
        let home = tempfile::tempdir().unwrap();
        let here = tempfile::tempdir().unwrap();
        for (idx, (_, base, file, key)) in FILES.into_iter().enumerate() {
            let base = if matches!(base, Base::Home) { home.path() } else { here.path() };
            fs::create_dir_all(base.join(file).parent().unwrap()).unwrap();
            let text =
                format!("{{\"{key}\": {{\"s{idx}\": {{\"command\": \"c{idx}\", \"args\": [\"x\"]}}}}}}");
            fs::write(base.join(file), text).unwrap();
        }
        let mut notes = Vec::new();
        let found = find(home.path(), here.path(), &mut notes);
        let found: Vec<String> =
            found.iter().map(|one| format!("{} {} {:?}", one.client, one.name, one.how)).collect();
        assert_eq!(found.len(), FILES.len());
        for (idx, one) in found.iter().enumerate() {
            assert_eq!(*one, format!("{} s{idx} Stdio([\"c{idx}\", \"x\"])", FILES[idx].0));
        }
        assert_eq!(notes, Vec::<String>::new());

        fs::write(home.path().join(".claude.json"), "{").unwrap();
        find(home.path(), here.path(), &mut notes);
        assert!(notes.len() == 1 && notes[0].contains(".claude.json (Claude Code): is no JSON"), "{notes:?}");
        // In the home directory, its files are not read twice.
        assert_eq!(find(home.path(), home.path(), &mut notes).len(), 3);
    }

    #[test]
    fn servers_of_all_forms() {
        let document = serde_json::json!({
            "mcpServers": {"a": {"command": "x", "args": ["1", 2]}, "b": {"url": "http://h/"}, "c": 7, "d": {}},
            "projects": {"/p": {"mcpServers": {"e": {"serverUrl": "http://i/"}}}, "/q": []},
        });
        let found = servers(&document, "mcpServers");
        let stdio = How::Stdio(vec!["x".to_owned(), "1".to_owned()]);
        let http = |url: &str| How::Http(url.to_owned());
        let expect = [("a", stdio), ("b", http("http://h/")), ("e", http("http://i/"))];
        assert_eq!(found, expect.map(|(name, how)| (name.to_owned(), how)));
        assert_eq!(servers(&document, "servers"), []);
    }

    #[test]
    fn the_change_is_exact_and_not_offered_twice() {
        let change = |command: &[&str]| {
            let how = How::Stdio(command.iter().map(|word| (*word).to_owned()).collect());
            Named { client: "Cursor", file: PathBuf::new(), name: "x".to_owned(), how }.change()
        };
        assert_eq!(
            change(&["npx", "-y", "a \"b\""]).as_deref(),
            Some(r#""command": "paramedic", "args": ["guard", "--stdio", "--", "npx", "-y", "a \"b\""]"#)
        );
        assert_eq!(change(&["/usr/bin/paramedic", "guard", "--name", "x", "--stdio", "--", "npx"]), None);
        assert!(change(&["paramedic", "guard", "--", "npx", "--stdio"]).is_some());
        assert!(change(&["not-paramedic", "guard", "--stdio"]).is_some());
    }
}
