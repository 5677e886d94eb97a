//! Owns `redis-cli`: which commands of the store only ask.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    const LOOKS: [&str; 34] = [
        "client", "cluster", "config", "dbsize", "debug", "exists", "get", "hget", "hgetall", "hlen", "info",
        "keys", "lastsave", "latency", "llen", "lrange", "memory", "mget", "object", "ping", "pttl", "role",
        "scan", "scard", "slowlog", "smembers", "strlen", "time", "ttl", "type", "xinfo", "xlen", "zcard",
        "zrange",
    ];
    judge.looks("redis-cli");
    let mut words = arguments.iter();
    let mut command: Vec<Word> = Vec::new();
    while let Some(word) = words.next() {
        judge.guard("redis-cli", word, Position::Open);
        let (text, _) = word.literal_prefix();
        match text.as_str() {
            "-h" | "-p" | "-a" | "-n" | "--user" | "--pass" | "-u" | "-s" | "-t" if command.is_empty() => {
                words.next();
            }
            "--tls" | "--no-auth-warning" | "--raw" | "--no-raw" | "--csv" if command.is_empty() => {}
            "--latency" | "--stat" | "--bigkeys" | "--memkeys" | "--scan" | "--version" | "--help"
                if command.is_empty() =>
            {
                return;
            }
            text if text.starts_with('-') && command.is_empty() => {
                return judge.unknown(format!("`redis-cli {text}` is not known"));
            }
            _ => command.push(word.clone()),
        }
    }
    let word = |idx: usize| command.get(idx).and_then(Word::literal).unwrap_or_default().to_ascii_lowercase();
    let (first, second) = (word(0), word(1));
    match first.as_str() {
        "" => judge.unknown("what is fed to `redis-cli` nobody knows"),
        "flushall" | "flushdb" | "del" | "unlink" | "restore" | "ltrim" => {
            judge.raise(Effect::Destroy, format!("`redis-cli {first}` deletes data"));
        }
        "set" | "hset" | "mset" | "getset" | "rename" => {
            judge.raise(Effect::Destroy, format!("`redis-cli {first}` overwrites data"))
        }
        "expire" | "bgsave" | "save" | "bgrewriteaof" | "incr" | "lpush" | "rpush" | "sadd" => {
            judge.raise(Effect::Change, format!("`redis-cli {first}` changes data"));
        }
        "shutdown" | "failover" | "replicaof" | "slaveof" => {
            judge.raise(Effect::Disrupt, format!("`redis-cli {first}` interrupts the server"))
        }
        "client" if second == "kill" || second == "pause" => {
            judge.raise(Effect::Disrupt, "`redis-cli client` interrupts clients")
        }
        "config" if second == "set" || second == "resetstat" || second == "rewrite" => {
            judge.raise(Effect::Change, "`redis-cli config` changes settings")
        }
        "client" if !matches!(second.as_str(), "list" | "info" | "id" | "getname") => {
            judge.unknown(format!("`redis-cli client {second}` is not known"))
        }
        "config" if second != "get" => judge.unknown(format!("`redis-cli config {second}` is not known")),
        "cluster" if !matches!(second.as_str(), "info" | "nodes" | "slots" | "shards") => {
            judge.unknown(format!("`redis-cli cluster {second}` is not known"))
        }
        "memory" if !matches!(second.as_str(), "usage" | "stats" | "doctor") => {
            judge.unknown(format!("`redis-cli memory {second}` is not known"))
        }
        "slowlog" if !matches!(second.as_str(), "get" | "len") => {
            judge.unknown(format!("`redis-cli slowlog {second}` is not known"))
        }
        "latency" if !matches!(second.as_str(), "latest" | "history" | "doctor") => {
            judge.unknown(format!("`redis-cli latency {second}` is not known"))
        }
        "debug" => judge.unknown("`redis-cli debug` may do anything"),
        known if LOOKS.contains(&known) => {}
        other => judge.unknown(format!("`redis-cli {other}` is not known")),
    }
}
