//! Owns asking the registries of npm and Python for the newest version of a package and what is known to be wrong with the
//! installed one. It takes the network; what does not answer in time is not known.

use std::time::Duration;

use reqwest::header::ACCEPT;
use reqwest::{Client, RequestBuilder, StatusCode, Url};
use serde_json::{Value, json};

use crate::version::{compare, is_early};
use crate::{Advisory, Ecosystem, Found, Installed};

/// The registry of npm, and the index of Python, where nobody says another.
pub const NPM: &str = "https://registry.npmjs.org";
/// The index of Python.
pub const PYPI: &str = "https://pypi.org/simple";

/// How long one question may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);
/// The largest answer, in bytes: packages with thousands of versions have some megabytes.
const ANSWER_BYTES_MAX: usize = 32 << 20;
/// So many advisories are of use to somebody.
const ADVISORIES_MAX: usize = 100;
/// The longest summary, in characters.
const SUMMARY_CHARS_MAX: usize = 200;

/// Who asks registries: it follows nobody to somewhere else.
#[derive(Clone, Debug)]
pub struct Asker(Client);

/// Makes one, once the process has a provider of cryptography.
///
/// # Errors
/// Where no client of HTTP can be made.
pub fn asker() -> reqwest::Result<Asker> {
    let agent = concat!("paramedic/", env!("CARGO_PKG_VERSION"));
    Client::builder().redirect(reqwest::redirect::Policy::none()).user_agent(agent).build().map(Asker)
}

/// Asks a registry of npm.
pub async fn npm(Asker(client): &Asker, registry: &str, installed: &Installed) -> Found {
    let mut found = Found::default();
    match address(registry, &[&installed.name]) {
        Ok(url) => {
            let asked = client.get(url).header(ACCEPT, "application/vnd.npm.install-v1+json");
            match ask(asked).await.map(|body| text(&body["dist-tags"]["latest"])) {
                Ok(Some(latest)) => found.newest = Some(latest),
                Ok(None) => found.gaps.push(format!("{registry} names no newest version")),
                Err(why) => found.gaps.push(format!("newest version: {why}")),
            }
        }
        Err(why) => found.gaps.push(why),
    }
    if let Ok(url) = address(registry, &["-", "npm", "v1", "security", "advisories", "bulk"]) {
        let asked = client.post(url).json(&json!({ &installed.name: [&installed.version] }));
        match ask(asked).await {
            Ok(body) => {
                let listed = body[&installed.name].as_array().cloned().unwrap_or_default();
                found.advisories.extend(listed.iter().take(ADVISORIES_MAX).map(|one| of_npm(one, registry)));
            }
            Err(why) => found.gaps.push(format!("advisories: {why}")),
        }
    }
    found
}

fn of_npm(one: &Value, registry: &str) -> Advisory {
    let url = text(&one["url"]).unwrap_or_default();
    let id = url.rsplit('/').next().filter(|id| !id.is_empty()).map(str::to_owned);
    Advisory {
        id: id.unwrap_or_else(|| one["id"].to_string()),
        severity: text(&one["severity"]),
        summary: summary(&one["title"]),
        fixed: text(&one["vulnerable_versions"]).map(|range| format!("not in {range}")),
        source: registry.to_owned(),
    }
}

/// Asks an index of Python (`…/simple`), and what stands beside it for advisories.
pub async fn pypi(Asker(client): &Asker, index: &str, installed: &Installed) -> Found {
    let mut found = Found::default();
    let name = normal(&installed.name);
    match address(index, &[&name, ""]) {
        Ok(url) => {
            let asked = client.get(url).header(ACCEPT, "application/vnd.pypi.simple.v1+json");
            match ask(asked).await {
                Ok(body) => {
                    found.newest = newest(&body);
                    if found.newest.is_none() {
                        found.gaps.push(format!("{index} lists no versions"));
                    }
                }
                Err(why) => found.gaps.push(format!("newest version: {why}")),
            }
        }
        Err(why) => found.gaps.push(why),
    }
    let Some(root) = index.trim_end_matches('/').strip_suffix("/simple") else {
        found.gaps.push(format!("advisories: {index} has no place for them"));
        return found;
    };
    match address(root, &["pypi", &name, &installed.version, "json"]) {
        Ok(url) => match ask(client.get(url)).await {
            Ok(body) => {
                let listed = body["vulnerabilities"].as_array().cloned().unwrap_or_default();
                let standing = listed.iter().filter(|one| one["withdrawn"].is_null());
                found.advisories.extend(standing.take(ADVISORIES_MAX).map(|one| of_pypi(one, root)));
            }
            Err(why) => found.gaps.push(format!("advisories: {why}")),
        },
        Err(why) => found.gaps.push(why),
    }
    found
}

fn of_pypi(one: &Value, root: &str) -> Advisory {
    let mended: Vec<String> = one["fixed_in"].as_array().into_iter().flatten().filter_map(text).collect();
    let summary_of = if one["summary"].is_string() { &one["summary"] } else { &one["details"] };
    Advisory {
        id: text(&one["id"]).unwrap_or_default(),
        severity: None,
        summary: summary(summary_of),
        fixed: (!mended.is_empty()).then(|| mended.join(", ")),
        source: root.to_owned(),
    }
}

/// The newest version that is for everybody and of which something was not taken back.
fn newest(body: &Value) -> Option<String> {
    let files = body["files"].as_array();
    let is_there = |version: &str| {
        let of_it = |file: &&Value| {
            let name = file["filename"].as_str().unwrap_or_default();
            [format!("-{version}-"), format!("-{version}.tar"), format!("-{version}.zip")]
                .iter()
                .any(|part| name.contains(part))
        };
        let mut of_it = files.into_iter().flatten().filter(of_it).peekable();
        // What is in no file by that name cannot be told.
        of_it.peek().is_none() || of_it.any(|file| matches!(file["yanked"], Value::Null | Value::Bool(false)))
    };
    let versions = body["versions"].as_array()?.iter().filter_map(text);
    versions
        .filter(|version| !is_early(Ecosystem::Pypi, version) && is_there(version))
        .max_by(|one, other| compare(Ecosystem::Pypi, one, other))
}

/// A name as an index has it.
fn normal(name: &str) -> String {
    let mut normal = String::new();
    for letter in name.chars() {
        match letter {
            '-' | '_' | '.' if normal.ends_with('-') => {}
            '-' | '_' | '.' => normal.push('-'),
            letter => normal.extend(letter.to_lowercase()),
        }
    }
    normal
}

/// An address below a base. Names are parts of it, whatever is in them.
fn address(base: &str, parts: &[&str]) -> Result<Url, String> {
    let wrong = || format!("`{base}` is no address of a registry");
    let mut url = Url::parse(base).map_err(|_| wrong())?;
    if !["http", "https"].contains(&url.scheme()) {
        return Err(wrong());
    }
    url.path_segments_mut().map_err(|()| wrong())?.pop_if_empty().extend(parts);
    Ok(url)
}

/// What a registry says.
async fn ask(asked: RequestBuilder) -> Result<Value, String> {
    let said = async {
        let mut response = asked.send().await.map_err(|error| chain(&error))?;
        let url = response.url().clone();
        let status = response.status();
        if status == StatusCode::NOT_FOUND {
            return Err(format!("{url} does not have it"));
        }
        if !status.is_success() {
            return Err(format!("{url} says {status}"));
        }
        let mut bytes = Vec::new();
        while let Some(piece) = response.chunk().await.map_err(|error| chain(&error))? {
            if bytes.len() + piece.len() > ANSWER_BYTES_MAX {
                return Err(format!("{url} says more than {ANSWER_BYTES_MAX} bytes"));
            }
            bytes.extend_from_slice(&piece);
        }
        serde_json::from_slice(&bytes).map_err(|_| format!("{url} says no JSON"))
    };
    tokio::time::timeout(ANSWER_MAX, said)
        .await
        .unwrap_or_else(|_| Err(format!("no answer within {ANSWER_MAX:?}")))
}

fn chain(error: &dyn std::error::Error) -> String {
    match error.source() {
        Some(source) => format!("{error}: {}", chain(source)),
        None => error.to_string(),
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().map(str::to_owned)
}

fn summary(value: &Value) -> String {
    let line = value.as_str().unwrap_or_default().lines().next().unwrap_or_default();
    line.chars().take(SUMMARY_CHARS_MAX).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_parts_of_an_address() {
        let check = |base: &str, parts: &[&str], expect: Option<&str>| {
            assert_eq!(address(base, parts).ok().map(String::from).as_deref(), expect);
        };
        check("https://r.example/npm/", &["@a/../b?c#d"], Some("https://r.example/npm/@a%2F..%2Fb%3Fc%23d"));
        check("https://p.example/simple", &["m", ""], Some("https://p.example/simple/m/"));
        check("file:///etc/passwd", &["m"], None);
        check("nonsense", &["m"], None);
        assert_eq!(normal("MCP_Server.-time"), "mcp-server-time");
    }

    #[test]
    fn the_newest_is_for_everybody_and_was_not_taken_back() {
        let body =
            |files: Value| json!({ "versions": ["1.0", "1.10", "1.9", "2.0rc1", "1.11"], "files": files });
        assert_eq!(newest(&body(json!([]))).as_deref(), Some("1.11"));
        let files = json!([
            { "filename": "m-1.11-py3-none-any.whl", "yanked": "broken" },
            { "filename": "m-1.11.tar.gz", "yanked": true },
            { "filename": "m-1.10.tar.gz", "yanked": false },
        ]);
        assert_eq!(newest(&body(files)).as_deref(), Some("1.10"));
        assert_eq!(newest(&json!({})), None);
    }
}
