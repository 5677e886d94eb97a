//! Owns the way of a client's request to the protocol: who sends it, and whether the guard answers it or an upstream does.

use std::sync::Arc;

use bytes::Bytes;
use http::request::Parts;
use http::{Method, Response, header};
use hyper::body::Incoming;

use crate::admin::access::Ends;
use crate::clients::{self, Peer};
use crate::http::Body;
use crate::mcp::problem::Problem;
use crate::mcp::{self, request};
use crate::state::Guard;
use crate::upstream;

/// Answers a request to `/mcp`, for whoever has shown who it is, where that has to be.
pub(crate) async fn answer(
    guard: &Arc<Guard>,
    mut head: Parts,
    body: Incoming,
    peer: &Peer,
) -> Response<Body> {
    let user = match clients::who(guard, &head, peer).await {
        Ok(user) => user,
        Err(unknown) => return *unknown,
    };
    if let Some(user) = &user {
        if let Err(problem) = clients::check(guard, &head.headers, peer.ends, user) {
            return problem.response(guard);
        }
        // The token is for the guard, and for nobody behind it.
        head.headers.remove(header::AUTHORIZATION);
    }
    let response = match head.method {
        Method::POST => match read(guard, &head, body).await {
            Ok(body) => post(guard, &head, body, peer.ends).await,
            Err(problem) => problem.response(guard),
        },
        Method::GET => get(guard, &head, peer.ends).await,
        _ => delete(guard, &head, peer.ends).await,
    };
    if let Some(user) = &user {
        clients::given(guard, &response, peer.ends, user);
    }
    response
}

/// Reads what a client has posted.
pub(crate) async fn read(guard: &Guard, head: &Parts, body: Incoming) -> Result<Bytes, Problem> {
    request::body(&head.headers, body, guard.own().limits.request_bytes()).await
}

/// Takes in one message, or those of a batch.
pub(crate) async fn post(guard: &Arc<Guard>, head: &Parts, body: Bytes, ends: Ends) -> Response<Body> {
    match &guard.upstream {
        Some(up) => upstream::post(guard, up, head, body, ends).await,
        None => mcp::post(guard, head, &body, ends).await,
    }
}

/// Opens the stream of a session, or goes on with one.
pub(crate) async fn get(guard: &Arc<Guard>, head: &Parts, ends: Ends) -> Response<Body> {
    match &guard.upstream {
        Some(up) => upstream::get(guard, up, head, ends).await,
        None => mcp::get(guard, head),
    }
}

/// Ends a session.
pub(crate) async fn delete(guard: &Arc<Guard>, head: &Parts, ends: Ends) -> Response<Body> {
    match &guard.upstream {
        Some(up) => upstream::delete(guard, up, head, ends).await,
        None => mcp::delete(guard, head),
    }
}
