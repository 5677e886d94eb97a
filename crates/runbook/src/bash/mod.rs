//! Owns reading bash: a text becomes a [`Script`], or an [`Error`] that says where and why it does not.
//!
//! It is a reader of the language as bash reads it, with everything in its place and nothing repaired: a text that
//! bash would refuse, or that nobody writes (`$[`, escaped backticks, patterns with parentheses), is an error. Time
//! and depth are bounded, so that no text can hold up whoever reads it.

mod ast;
mod compound;
mod cursor;
mod expansion;
mod parser;
mod redirect;
#[cfg(test)]
mod tests;
mod walk;
mod word;

pub(crate) use ast::*;
pub(crate) use parser::parse;
pub(crate) use walk::{Node, Visit, walk};
