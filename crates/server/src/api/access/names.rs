//! Owns under which names the address of `listen` may be asked. A page in a browser that has bound its own name to this
//! machine anew gives itself away by it: the name in `Host` is that of the page.

use crate::config::Config;
use crate::web::is_ours as is_known;

/// Whether `Host` is a name of ours. Where `listen` is an address that other machines reach and no names are said, each is:
/// nobody could scrape it otherwise.
pub(super) fn is_ours(config: &Config, host: &str) -> bool {
    let names = &config.api.names;
    is_known(names, host) || (names.is_empty() && !config.listen.ip().is_loopback())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Place, empty};

    #[test]
    fn names_of_pages_are_none_of_ours() {
        let mut config = empty(&Place::current());
        let check = |config: &Config, host: &str, expect: bool| {
            assert_eq!(is_ours(config, host), expect, "{host} at {}", config.listen);
        };
        config.listen = "127.0.0.1:7477".parse().unwrap();
        for host in ["127.0.0.1:7477", "localhost", "LOCALHOST:80", "[::1]:7477", "[::1]", "10.0.0.5:7477"] {
            check(&config, host, true);
        }
        for host in [
            "evil.example",
            "evil.example:7477",
            "localhost.evil.example",
            "127.0.0.1.evil.example",
            "",
            ":7477",
            "[::1",
            "[::1]x",
            "localhost:7477x",
            "localhost@evil.example",
        ] {
            check(&config, host, false);
        }
        config.api.names = vec!["Paramedic.example".to_owned()];
        check(&config, "paramedic.example:443", true);
        check(&config, "evil.example", false);
        config.listen = "0.0.0.0:7477".parse().unwrap();
        check(&config, "evil.example", false);
        config.api.names.clear();
        check(&config, "db1.internal:7477", true);
    }
}
