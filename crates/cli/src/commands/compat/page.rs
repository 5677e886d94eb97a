//! Owns the page of metrics on a port of its own, for those who still collect from there.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::Context as _;
use axum::Router;
use axum::http::StatusCode;
use axum::http::header::CONTENT_TYPE;
use axum::response::{IntoResponse as _, Response};
use axum::routing::get;
use server::client::Client;

use crate::context;
use crate::fail::{Code, Failure};

/// Hands on the page of `serve`, until it is ended.
pub(super) fn serve(port: u16, config: Option<PathBuf>) -> Result<Code, Failure> {
    let client = context::client(config)?;
    let address = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
    context::runtime()?.block_on(async {
        let listener = tokio::net::TcpListener::bind(address).await;
        let listener =
            listener.with_context(|| format!("cannot listen at {address}")).map_err(Failure::no)?;
        anstream::eprintln!("paramedic: the metrics are at http://{address}/metrics");
        let routes = Router::new().route("/metrics", get(move || page(client.clone())));
        axum::serve(listener, routes).await.map_err(Failure::no)?;
        Ok(Code::Done)
    })
}

async fn page(client: Client) -> Response {
    match client.get_text("/metrics").await {
        Ok(text) => ([(CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response(),
        Err(error) => (StatusCode::BAD_GATEWAY, error.to_string()).into_response(),
    }
}
