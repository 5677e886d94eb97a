//! Owns `redis-cli`: which commands of the store only ask.

use crate::bash::Word;
use crate::effect::Effect;
use crate::effect::assess::Judge;
use crate::effect::word::Position;

/// Commands that ask, whatever stands behind them.
const LOOKS: &str = "bitcount bitpos command dbsize dump echo exists expiretime geodist geohash geopos get getbit \
    getrange hexists hget hgetall hkeys hlen hmget hscan hstrlen hvals info keys lastsave lindex llen lolwut lpos \
    lrange mget object pexpiretime ping pttl pubsub randomkey role scan scard sdiff sinter sintercard sismember \
    smembers smismember srandmember sscan strlen sunion time ttl type xinfo xlen xpending xrange xrevrange zcard \
    zcount zlexcount zmscore zrange zrangebylex zrangebyscore zrank zrevrange zrevrangebyscore zrevrank zscan zscore";
/// Commands that ask with some words behind them.
const LOOKS_WITH: [(&str, &str); 11] = [
    ("acl", "cat getuser list users whoami"),
    ("client", "getname id info list"),
    ("cluster", "countkeysinslot getkeysinslot info keyslot links myid nodes replicas shards slaves slots"),
    ("config", "get"),
    ("function", "list stats"),
    ("latency", "doctor graph histogram history latest"),
    ("memory", "doctor malloc-stats stats usage"),
    ("module", "list"),
    ("script", "exists"),
    ("sentinel", "ckquorum get-master-addr-by-name master masters myid replicas sentinels slaves"),
    ("slowlog", "get len"),
];

pub(super) fn judge(judge: &mut Judge<'_>, arguments: &[Word]) {
    judge.looks("redis-cli");
    let mut words = arguments.iter();
    let mut command: Vec<Word> = Vec::new();
    let mut watches = false;
    while let Some(word) = words.next() {
        judge.guard("redis-cli", word, Position::Open);
        let (text, _) = word.literal_prefix();
        match text.as_ref() {
            "-h" | "-p" | "-a" | "-n" | "--user" | "--pass" | "-u" | "-s" | "-r" | "-i" | "--pattern"
            | "--count" | "--cacert" | "--cert" | "--key" | "--sni"
                if command.is_empty() =>
            {
                if let Some(value) = words.next() {
                    judge.guard("redis-cli", value, Position::Closed);
                }
            }
            "-c" | "-2" | "-3" | "--tls" | "--no-auth-warning" | "--raw" | "--no-raw" | "--csv"
            | "--json" | "--insecure" | "--askpass"
                if command.is_empty() => {}
            "--version" | "--help" if arguments.len() == 1 => return,
            "--cluster" if command.is_empty() => {
                match words.next().and_then(Word::literal).as_deref() {
                    Some("check" | "info") => {}
                    _ => judge.raise(Effect::Disrupt, "`redis-cli --cluster` changes the cluster"),
                }
                return words.for_each(|word| judge.guard("redis-cli", word, Position::Open));
            }
            "--latency" | "--latency-history" | "--latency-dist" | "--stat" | "--bigkeys" | "--memkeys"
            | "--hotkeys" | "--scan"
                if command.is_empty() =>
            {
                watches = true;
            }
            text if text.starts_with('-') && command.is_empty() => {
                return judge.unknown(format!("`redis-cli {text}` is not known"));
            }
            _ => command.push(word.clone()),
        }
    }
    if watches && command.is_empty() {
        return;
    }
    let word = |idx: usize| command.get(idx).and_then(Word::literal).unwrap_or_default().to_ascii_lowercase();
    commands(judge, &word(0), &word(1));
}

fn commands(judge: &mut Judge<'_>, first: &str, second: &str) {
    let is_one_of = |names: &str, name: &str| names.split_whitespace().any(|known| known == name);
    let looks_with = LOOKS_WITH.iter().find(|(name, _)| *name == first).map(|(_, words)| *words);
    match first {
        "" => judge.unknown("what is fed to `redis-cli` nobody knows"),
        "flushall" | "flushdb" | "del" | "unlink" | "restore" | "ltrim" | "hdel" | "srem" | "zrem"
        | "lrem" | "xdel" | "xtrim" | "getdel" | "lpop" | "rpop" | "spop" => {
            judge.raise(Effect::Destroy, format!("`redis-cli {first}` deletes data"));
        }
        "set" | "setex" | "psetex" | "hset" | "hmset" | "mset" | "getset" | "rename" | "setrange"
        | "lset" | "copy" => {
            judge.raise(Effect::Destroy, format!("`redis-cli {first}` overwrites data"));
        }
        "expire" | "pexpire" | "persist" | "bgsave" | "save" | "bgrewriteaof" | "incr" | "incrby"
        | "decr" | "decrby" | "append" | "lpush" | "rpush" | "sadd" | "zadd" | "xadd" | "setnx"
        | "publish" => {
            judge.raise(Effect::Change, format!("`redis-cli {first}` changes data"));
        }
        "shutdown" | "failover" | "replicaof" | "slaveof" => {
            judge.raise(Effect::Disrupt, format!("`redis-cli {first}` interrupts the server"));
        }
        "monitor" => judge.raise(Effect::Disrupt, "`redis-cli monitor` slows the server down"),
        "client" if second == "kill" || second == "pause" => {
            judge.raise(Effect::Disrupt, "`redis-cli client` interrupts clients");
        }
        "cluster" | "sentinel" if second == "failover" => {
            judge.raise(
                Effect::Disrupt,
                format!("`redis-cli {first} failover` makes another server the leader"),
            );
        }
        "config" if second == "set" || second == "resetstat" || second == "rewrite" => {
            judge.raise(Effect::Change, "`redis-cli config` changes settings");
        }
        "slowlog" | "latency" | "acl" if second == "reset" => {
            judge.raise(Effect::Destroy, format!("`redis-cli {first} reset` forgets what it recorded"));
        }
        "debug" => judge.unknown("`redis-cli debug` may do anything"),
        known if is_one_of(LOOKS, known) => {}
        _ => match looks_with {
            Some(words) if is_one_of(words, second) => {}
            Some(_) => judge.unknown(format!("`redis-cli {first} {second}` is not known")),
            None => judge.unknown(format!("`redis-cli {first}` is not known")),
        },
    }
}
