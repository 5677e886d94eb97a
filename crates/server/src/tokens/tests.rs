//! Tests of tokens: what is made, what is kept of it, and for whom it is good.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use super::*;

const NOW: i64 = 1_000_000_000_000;

fn of(folder: &Path) -> Config {
    Config { data_dir: folder.join("data"), ..crate::config::parse("").unwrap() }
}

fn wish(name: &str, role: Role) -> Wish {
    Wish { name: name.to_owned(), role, servers: Vec::new(), days: 30, by: "root".to_owned() }
}

#[test]
fn a_word_is_good_until_its_end_and_is_kept_nowhere() {
    let folder = tempfile::tempdir().unwrap();
    let (config, keyring) = (of(folder.path()), Keyring::default());
    let path = document::path::<Tokens>(&config);
    assert_eq!(keyring.find(&config, "paramedic_x", NOW), Err(NoEntry::Unknown));

    let (token, word) =
        create_token(&config, &wish("ada", Role::Responder), &[7; RANDOM_BYTES], NOW).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    assert!(!text.contains(&word) && !text.contains(&word[20..]), "{text}");
    assert_eq!(std::fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    assert!(word.contains(&token.id) && !format!("{token:?}").contains(&word[20..]));

    assert_eq!(keyring.find(&config, &word, NOW), Ok(token.clone()));
    for wrong in ["", "paramedic_", &word[1..], &word[..word.len() - 1], &format!("{word} ")] {
        assert_eq!(keyring.find(&config, wrong, NOW), Err(NoEntry::Unknown), "{wrong}");
    }
    let over = "the token of ada has expired".to_owned();
    assert_eq!(keyring.find(&config, &word, token.expires_ms), Err(NoEntry::Over(over)));

    // Taken back by somebody else's process: it is seen at once, and stays so.
    revoke_token(&config, "ada", "grace", NOW + 1).unwrap();
    let taken = Err(NoEntry::Over("the token of ada was taken back by grace".to_owned()));
    assert_eq!(keyring.find(&config, &word, NOW + 2), taken);
    assert_eq!(revoke_token(&config, &token.id, "root", NOW + 3).unwrap().revoked.unwrap().by, "grace");
    let again = revoke_token(&config, "ada", "root", NOW + 3).unwrap_err().to_string();
    assert!(again.contains("there is no token `ada` that is good"), "{again}");

    std::fs::write(&path, "{").unwrap();
    let unread = keyring.find(&config, &word, NOW);
    assert!(matches!(&unread, Err(NoEntry::NoList(why)) if why.contains("nobody comes in")), "{unread:?}");
}

#[test]
fn a_wish_that_makes_no_sense_is_refused() {
    let mut all = Tokens::default();
    let mut check = |wish: Wish, random: u8, expect: &str| {
        let error = all.add(&wish, &[random; RANDOM_BYTES], NOW).map(|(token, _)| token.id);
        let error = error.err().map(|error| error.to_string()).unwrap_or_default();
        assert!(error.contains(expect) && error.is_empty() == expect.is_empty(), "{error}");
    };
    let ada = || wish("ada", Role::Viewer);
    check(wish(" ", Role::Viewer), 1, "a token is for somebody");
    check(wish("a\nb", Role::Viewer), 1, "a token is for somebody");
    check(Wish { days: 0, ..ada() }, 1, "1 to 366 days");
    check(Wish { days: i64::MAX, ..ada() }, 1, "1 to 366 days");
    check(Wish { servers: vec![String::new()], ..ada() }, 1, "is no name of a server");
    check(Wish { servers: vec!["a".to_owned()], ..wish("ada", Role::Admin) }, 1, "for every server");
    check(ada(), 1, "");
    check(ada(), 1, "try again");
    check(ada(), 2, "");
    assert!(matches!(all.revoke("ada", "root", NOW), Err(TokenError::Several(_))));

    // What has been over for a quarter of a year is forgotten.
    all.add(&ada(), &[3; RANDOM_BYTES], NOW + 200 * DAY_MS).unwrap();
    assert_eq!(all.tokens.len(), 1);
    for number in 1..TOKENS_MAX {
        let mut random = [4; RANDOM_BYTES];
        random[..2].copy_from_slice(&u16::try_from(number).unwrap().to_be_bytes());
        all.add(&ada(), &random, NOW + 200 * DAY_MS).unwrap();
    }
    let full = all.add(&ada(), &[5; RANDOM_BYTES], NOW + 200 * DAY_MS).unwrap_err().to_string();
    assert!(full.contains("there are 1000 tokens"), "{full}");
}

#[test]
fn roles_and_servers() {
    let roles = [Role::Viewer, Role::Responder, Role::Approver, Role::Admin];
    assert!(roles.is_sorted() && roles[0] < roles[3]);
    let of = |servers: &[&str]| {
        let servers = servers.iter().map(|one| (*one).to_owned()).collect();
        Tokens::default()
            .add(&Wish { servers, ..wish("ada", Role::Viewer) }, &[1; RANDOM_BYTES], NOW)
            .unwrap()
            .0
    };
    assert!(of(&[]).is_for("mem"));
    assert!(of(&["mem"]).is_for("mem") && !of(&["mem"]).is_for("mem-2") && !of(&["mem"]).is_for(""));
}
