//! Owns `[backup.target]`: the object store where backups of servers' data go as well.

use std::path::{Path, PathBuf};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::config::{Config, Secret, Text, secret};

/// `[backup.target]`
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct Target {
    /// `s3://BUCKET` or `s3://BUCKET/PREFIX`; each server's backups are below its name in there.
    pub url: String,
    /// The address of the service, where it is not Amazon's: `https://s3.example.org`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endpoint: Option<String>,
    /// The region of the bucket.
    #[serde(default = "default_region")]
    pub region: String,
    /// The name of the key.
    pub access_key: Text,
    /// Where the key is.
    pub secret_key: Secret,
    /// For HTTPS: the certificates that are trusted in place of those of this machine, a PEM file.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ca: Option<PathBuf>,
}

fn default_region() -> String {
    "us-east-1".to_owned()
}

// === impl Target ===

impl Target {
    /// The bucket, and what stands before each name in it.
    pub(crate) fn place(&self) -> Option<(&str, &str)> {
        let rest = self.url.strip_prefix("s3://")?;
        let (bucket, prefix) = rest.split_once('/').unwrap_or((rest, ""));
        let is_plain =
            |text: &str| text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"._-/".contains(&byte));
        let is_path = !prefix.split('/').any(|part| part == "." || part == "..");
        (!bucket.is_empty() && is_plain(rest) && is_path).then_some((bucket, prefix.trim_matches('/')))
    }

    /// Makes relative paths relative to `base`.
    pub(in crate::config) fn settle(&mut self, base: &Path) {
        self.access_key.settle(base);
        self.secret_key.settle(base);
        self.ca.iter_mut().for_each(|path| *path = base.join(&*path));
    }
}

/// What is wrong with it: the key, and why.
pub(in crate::config) fn problems(config: &Config) -> Vec<(&'static str, String)> {
    let Some(target) = &config.backup.target else { return Vec::new() };
    let mut problems = Vec::new();
    if target.place().is_none() {
        problems.push(("url", format!("`{}` is not s3://BUCKET or s3://BUCKET/PREFIX", target.url)));
    }
    if let Some(endpoint) = &target.endpoint {
        let parsed = reqwest::Url::parse(endpoint).ok();
        let is_good =
            parsed.is_some_and(|url| ["http", "https"].contains(&url.scheme()) && url.query().is_none());
        if !is_good || secret::has_password(endpoint) {
            problems.push(("endpoint", "this is no address of HTTP or HTTPS, without a password".to_owned()));
        }
    }
    problems
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_place_is_a_bucket_and_what_is_before_names() {
        let check = |url: &str, expected: Option<(&str, &str)>| {
            let text = format!("url = {url:?}\naccess_key = \"A\"\nsecret_key = {{ file = \"/k\" }}\n");
            let target: Target = toml::from_str(&text).unwrap();
            assert_eq!(target.place(), expected, "{url}");
        };
        check("s3://bucket", Some(("bucket", "")));
        check("s3://bucket/a/b/", Some(("bucket", "a/b")));
        for bad in
            ["", "s3://", "s3:///a", "https://bucket/a", "s3://bucket/../a", "s3://bucket/a?b", "s3://a:b@c"]
        {
            check(bad, None);
        }
    }
}
