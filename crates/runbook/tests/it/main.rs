//! Tests of the crate from outside: whole documents, and the original runbook with its known defects.

mod defects;
mod documents;
mod harmless;
mod shared;
