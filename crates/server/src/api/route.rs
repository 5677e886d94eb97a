//! Owns a row of the table of routes: where something is asked, who may ask, and what answers.

use std::sync::Arc;

use axum::handler::Handler;
use axum::http::Method;
use axum::routing::{MethodFilter, MethodRouter, on};
use schemars::SchemaGenerator;

use super::signature::{Operation, Signature};
use crate::flow::Flow;
use crate::tokens::Role;

/// Who may ask.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Who {
    /// Everybody who reaches the address.
    Everybody,
    /// Whoever has a token with this role, or a higher one; and whoever opens the local socket.
    Role(Role),
    /// Whoever knows the word of `[inbound]`.
    Teller,
    /// Whoever opens the local socket.
    Local,
}

/// A row.
pub(super) struct Route {
    pub(super) method: Method,
    pub(super) path: &'static str,
    pub(super) who: Who,
    /// What it is for, in a sentence.
    pub(super) says: &'static str,
    /// The media types of its answer, where that is no JSON of ours.
    pub(super) kinds: &'static [&'static str],
    describe: fn(&mut Operation, &mut SchemaGenerator),
    pub(super) handler: MethodRouter<Arc<Flow>>,
}

// === impl Route ===

impl Route {
    fn new<H, T, A>(method: Method, filter: MethodFilter, path: &'static str, handler: H) -> Self
    where
        H: Handler<T, Arc<Flow>> + Signature<A>,
        T: 'static,
    {
        let (who, says, kinds) = (Who::Local, "", [].as_slice());
        Self { method, path, who, says, kinds, describe: H::describe, handler: on(filter, handler) }
    }

    pub(super) fn says(self, says: &'static str) -> Self {
        Self { says, ..self }
    }

    pub(super) fn kinds(self, kinds: &'static [&'static str]) -> Self {
        Self { kinds, ..self }
    }

    /// What its handler takes and answers.
    pub(super) fn operation(&self, schemas: &mut SchemaGenerator) -> Operation {
        let mut operation = Operation::default();
        (self.describe)(&mut operation, schemas);
        operation
    }
}

/// Looks.
pub(super) fn get<H, T, A>(path: &'static str, handler: H) -> Route
where
    H: Handler<T, Arc<Flow>> + Signature<A>,
    T: 'static,
{
    Route::new(Method::GET, MethodFilter::GET, path, handler)
}

/// Changes something.
pub(super) fn post<H, T, A>(path: &'static str, handler: H) -> Route
where
    H: Handler<T, Arc<Flow>> + Signature<A>,
    T: 'static,
{
    Route::new(Method::POST, MethodFilter::POST, path, handler)
}

/// The same for all of them.
pub(super) fn of(who: Who, routes: impl IntoIterator<Item = Route>) -> impl Iterator<Item = Route> {
    routes.into_iter().map(move |route| Route { who, ..route })
}
