//! Owns what the type of a handler says of it: what it takes and what it answers. The description of the API is made of
//! this, so that it cannot say anything else than what is done.

use axum::body::Bytes;
use axum::extract::{Path, Query, RawQuery, Request, State};
use axum::response::Response;
use axum::{Extension, Json};
use schemars::{JsonSchema, Schema, SchemaGenerator};

use super::listing::Listed;
use super::problem::Failure;

/// What is known of a handler.
#[derive(Debug, Default)]
pub(super) struct Operation {
    /// Of each variable in the path, in their order.
    pub(super) path: Vec<Schema>,
    /// An object whose fields are the parameters of the query.
    pub(super) query: Option<Schema>,
    pub(super) body: Option<Schema>,
    pub(super) answer: Option<Schema>,
    /// Whether `Link` says where the answer goes on.
    pub(super) is_part: bool,
}

/// Something that a handler takes.
pub(super) trait Takes {
    fn takes(_: &mut Operation, _: &mut SchemaGenerator) {}
}

/// Something that a handler answers.
pub(super) trait Answers {
    fn answers(_: &mut Operation, _: &mut SchemaGenerator) {}
}

/// A handler; `Arguments` are the types of what it takes.
pub(super) trait Signature<Arguments> {
    fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator);
}

macro_rules! signature {
    ($($argument:ident),+) => {
        impl<Function, Future, Answer, $($argument),+> Signature<($($argument,)+)> for Function
        where
            Function: Fn($($argument),+) -> Future,
            Future: std::future::Future<Output = Answer>,
            Answer: Answers,
            $($argument: Takes),+
        {
            fn describe(operation: &mut Operation, schemas: &mut SchemaGenerator) {
                $($argument::takes(operation, schemas);)+
                Answer::answers(operation, schemas);
            }
        }
    };
}

signature!(A);
signature!(A, B);
signature!(A, B, C);
signature!(A, B, C, D);

// === impl Takes ===

impl<T> Takes for State<T> {}
impl<T> Takes for Option<Extension<T>> {}
impl Takes for RawQuery {}
impl Takes for Request {}

impl<T: JsonSchema> Takes for Path<T> {
    fn takes(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        let schema = T::json_schema(schemas);
        // A tuple has a schema for each.
        let each = schema.get("prefixItems").and_then(|items| items.as_array()).cloned();
        let each = each.map(|each| each.into_iter().filter_map(|one| Schema::try_from(one).ok()).collect());
        operation.path = each.unwrap_or_else(|| vec![schema]);
    }
}

impl<T: JsonSchema> Takes for Query<T> {
    fn takes(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.query = Some(T::json_schema(schemas));
    }
}

impl<T: JsonSchema> Takes for Json<T> {
    fn takes(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.body = Some(schemas.subschema_for::<T>());
    }
}

// === impl Answers ===

impl Answers for Response {}
impl Answers for Bytes {}

impl<T: JsonSchema> Answers for Json<T> {
    fn answers(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.answer = Some(schemas.subschema_for::<T>());
    }
}

impl<T: JsonSchema> Answers for Listed<T> {
    fn answers(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        operation.answer = Some(schemas.subschema_for::<Vec<T>>());
        operation.is_part = true;
    }
}

impl<T: Answers> Answers for Result<T, Failure> {
    fn answers(operation: &mut Operation, schemas: &mut SchemaGenerator) {
        T::answers(operation, schemas);
    }
}
