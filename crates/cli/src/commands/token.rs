//! Owns `paramedic token`: on this machine the list itself, elsewhere the API.

use std::path::PathBuf;
use std::time::Duration;

use server::api::wire::{By, NewToken};
use server::client::Client;
use server::config::Config;
use server::{Token, Wish, create_token, now_ms, random_token, read_tokens, revoke_token};

use crate::arguments::{Output, TokenCommand};
use crate::context::{self, actor};
use crate::fail::{Code, Failure};
use crate::show;

/// How long the API may take.
const ANSWER_MAX: Duration = Duration::from_secs(10);

/// Where the tokens are.
enum Place {
    Here(Box<Config>),
    Far(Client),
}

pub(super) fn run(command: TokenCommand, config: Option<PathBuf>, output: Output) -> Result<Code, Failure> {
    let place = match context::far() {
        Some(client) => Place::Far(client),
        None => Place::Here(Box::new(context::load_or_default(config)?.0)),
    };
    context::runtime()?.block_on(answer(&place, command, output))
}

async fn answer(place: &Place, command: TokenCommand, output: Output) -> Result<Code, Failure> {
    match command {
        TokenCommand::Create(arguments) => {
            let (role, days) = (arguments.role.into(), arguments.days);
            let wish = Wish { name: arguments.name, role, servers: arguments.servers, days, by: actor() };
            let made = create(place, &wish).await?;
            if output == Output::Table {
                show::line(&made.word);
                let until = show::time(made.token.expires_ms);
                anstream::eprintln!(
                    "{}: it is shown this once; good until {until} UTC (`paramedic token revoke {}`)",
                    made.token.name,
                    made.token.id
                );
            } else {
                show::json(&made);
            }
        }
        TokenCommand::List => {
            let tokens = match place {
                Place::Here(config) => read_tokens(config).map_err(Failure::usage)?,
                Place::Far(client) => client.list("/api/v1/tokens", usize::MAX).await?,
            };
            let now_ms = now_ms();
            let header = ["id", "name", "role", "servers", "made by", "until", "state"];
            show::rows(output, &tokens, &header, |one| row(one, now_ms));
        }
        TokenCommand::Revoke { token } => {
            let revoked = match place {
                Place::Here(config) => {
                    revoke_token(config, &token, &actor(), now_ms()).map_err(Failure::usage)?
                }
                Place::Far(client) => {
                    let path = format!("/api/v1/tokens/{token}/revoke");
                    client.post(&path, &By { by: actor() }, ANSWER_MAX).await?
                }
            };
            anstream::eprintln!("the token {} of {} is no good any more", revoked.id, revoked.name);
        }
    }
    Ok(Code::Done)
}

async fn create(place: &Place, wish: &Wish) -> Result<NewToken, Failure> {
    match place {
        Place::Here(config) => {
            let random = random_token().map_err(Failure::usage)?;
            let (token, word) = create_token(config, wish, &random, now_ms()).map_err(Failure::usage)?;
            Ok(NewToken { token, word })
        }
        Place::Far(client) => Ok(client.post("/api/v1/tokens", wish, ANSWER_MAX).await?),
    }
}

fn row(one: &Token, now_ms: i64) -> Vec<String> {
    let state = match &one.revoked {
        Some(revoked) => format!("taken back by {}", revoked.by),
        None if one.expires_ms <= now_ms => "expired".to_owned(),
        None => "good".to_owned(),
    };
    let servers = if one.servers.is_empty() { "all".to_owned() } else { one.servers.join(", ") };
    let role = format!("{:?}", one.role).to_lowercase();
    let until = show::time(one.expires_ms);
    vec![one.id.clone(), one.name.clone(), role, servers, one.created_by.clone(), until, state]
}
