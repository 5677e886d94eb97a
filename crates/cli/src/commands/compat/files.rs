//! Owns what stand-ins consist of: a few lines of Python or shell each, that hand over to this program.

use std::path::Path;

use anyhow::anyhow;
use serde_json::json;

use super::Script;
use crate::fail::Failure;

/// The scripts, each with what it is called by.
const SCRIPTS: [(&str, Script); 6] = [
    ("mcp_health_checks.py", Script::HealthChecks),
    ("mcp_metrics_collector.py", Script::MetricsCollector),
    ("mcp_logging.py", Script::Logging),
    ("mcp_tracing.py", Script::Tracing),
    ("data_integrity_monitor.py", Script::IntegrityMonitor),
    ("data_integrity_check.sh", Script::IntegrityCheck),
];

/// The names of all files that are ever written.
pub(super) const NAMES: [&str; 7] =
    [SCRIPTS[0].0, SCRIPTS[1].0, SCRIPTS[2].0, SCRIPTS[3].0, SCRIPTS[4].0, SCRIPTS[5].0, CURL_FORMAT];

const CURL_FORMAT: &str = "curl-format.txt";

/// Where the time of a request goes; each is counted from its beginning, in seconds. For `curl -w @curl-format.txt`.
const PHASES: &str = "\
name look-up:  %{time_namelookup} s\\n\
connected:     %{time_connect} s\\n\
TLS ready:     %{time_appconnect} s\\n\
request sent:  %{time_pretransfer} s\\n\
redirected:    %{time_redirect} s\\n\
first byte:    %{time_starttransfer} s\\n\
total:         %{time_total} s\\n\
status:        %{http_code}, %{size_download} bytes\\n";

/// A file that is written.
#[derive(Debug)]
pub(super) struct File {
    pub(super) name: &'static str,
    pub(super) content: String,
    pub(super) mode: u32,
}

// === impl File ===

impl File {
    pub(super) fn sum(&self) -> String {
        sum(self.content.as_bytes())
    }
}

/// The sum of a content.
pub(super) fn sum(content: &[u8]) -> String {
    integrity::digest_of(content).to_string()
}

/// All files; the scripts start `program`, with the configuration `config` where one was named.
///
/// # Errors
/// Where a path is no text.
pub(super) fn all(program: &Path, config: Option<&Path>) -> Result<Vec<File>, Failure> {
    let text = |path: &Path| {
        path.to_str()
            .map(str::to_owned)
            .ok_or_else(|| Failure::usage(anyhow!("the path {} is no text", path.display())))
    };
    let program = text(program)?;
    let config = config.map(text).transpose()?;
    let mut files: Vec<File> = SCRIPTS
        .iter()
        .map(|&(name, script)| {
            let words = words(&program, config.as_deref(), script);
            let content = if name.ends_with(".py") { python(name, &words) } else { shell(name, &words) };
            File { name, content, mode: 0o755 }
        })
        .collect();
    files.push(File { name: CURL_FORMAT, content: PHASES.to_owned(), mode: 0o644 });
    Ok(files)
}

fn words(program: &str, config: Option<&str>, script: Script) -> Vec<String> {
    let script = clap::ValueEnum::to_possible_value(&script).map(|value| value.get_name().to_owned());
    let config = config.into_iter().flat_map(|path| ["--config".to_owned(), path.to_owned()]);
    let verb = ["compat".to_owned(), "run".to_owned()].into_iter().chain(script);
    std::iter::once(program.to_owned()).chain(config).chain(verb).collect()
}

/// A list of strings is the same in JSON and in Python, as long as its characters are.
fn python(name: &str, words: &[String]) -> String {
    let list = json!(words);
    format!(
        "#!/usr/bin/env python3\n\
         \"\"\"Stand-in for {name}, written by `paramedic compat install`: it hands over to `paramedic`.\"\"\"\n\
         import os\n\
         import sys\n\
         \n\
         COMMAND = {list}\n\
         \n\
         if __name__ == \"__main__\":\n\
         \x20   try:\n\
         \x20       os.execv(COMMAND[0], COMMAND + sys.argv[1:])\n\
         \x20   except OSError as error:\n\
         \x20       sys.exit(f\"{{sys.argv[0]}}: cannot start {{COMMAND[0]}}: {{error}}; run `paramedic compat install` again\")\n"
    )
}

fn shell(name: &str, words: &[String]) -> String {
    let quoted: Vec<String> = words.iter().map(|word| format!("'{}'", word.replace('\'', r"'\''"))).collect();
    format!(
        "#!/bin/sh\n\
         # Stand-in for {name}, written by `paramedic compat install`: it hands over to `paramedic`.\n\
         exec {} \"$@\"\n",
        quoted.join(" ")
    )
}

/// A line of each kind, as the log of a guard has them.
pub(super) fn log_lines(now_ms: i64) -> Vec<String> {
    let ts = chrono::DateTime::from_timestamp_millis(now_ms).unwrap_or_default();
    let ts = ts.to_rfc3339_opts(chrono::SecondsFormat::Millis, true);
    let lines = [
        ("INFO", "request", "tools/call"),
        ("INFO", "response", "tools/call: answered"),
        ("ERROR", "error", "the server answered with an error"),
        ("WARNING", "performance", "the answer took longer than 5 s"),
        ("WARNING", "security", "a request came from a page of somebody else, and was refused"),
        ("INFO", "audit", "read-only mode was turned on"),
        ("INFO", "system", "ready"),
    ];
    let line = |(level, event, message)| {
        json!({"ts": ts, "level": level, "server": "demo", "event": event, "message": message}).to_string()
    };
    lines.map(line).to_vec()
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::all;

    #[test]
    fn quotes_in_paths_stay_in_their_words() {
        let files = all(Path::new("/opt/it's \"here\"/paramedic"), Some(Path::new("/etc/ä.toml"))).unwrap();
        let of = |name: &str| files.iter().find(|file| file.name == name).unwrap().content.as_str();
        let list = r#"COMMAND = ["/opt/it's \"here\"/paramedic","--config","/etc/ä.toml","compat","run","health-checks"]"#;
        assert!(of("mcp_health_checks.py").contains(list), "{}", of("mcp_health_checks.py"));
        let command = r#"exec '/opt/it'\''s "here"/paramedic' '--config' '/etc/ä.toml' 'compat' 'run' 'integrity-check' "$@""#;
        assert!(of("data_integrity_check.sh").contains(command), "{}", of("data_integrity_check.sh"));
    }
}
