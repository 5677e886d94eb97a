//! Owns the list of the rules, in the order of their codes.

mod rb000;
mod rb001;
mod rb002;
mod rb003;
mod rb004;
mod rb005;
mod rb006;
mod rb010;
mod rb011;
mod rb012;
mod rb013;
mod rb014;
mod rb015;
mod rb016;
mod rb020;
mod rb021;
mod rb022;
mod rb023;
mod rb030;
mod rb031;
mod rb032;
mod rb033;
mod rb034;
mod rb036;
mod rb040;
mod rb041;
mod rb042;
mod rb043;
mod rb050;
mod rb051;
mod rb060;
mod rb070;
mod rb071;
mod rb080;
mod rb081;
mod rb090;

use super::Rule;
pub use rb060::traps;
pub(super) use rb090::RULE as UNUSED_ALLOW;

/// All rules, by code.
pub static RULES: &[&Rule] = &[
    &rb000::RULE,
    &rb001::RULE,
    &rb002::RULE,
    &rb003::RULE,
    &rb004::RULE,
    &rb005::RULE,
    &rb006::RULE,
    &rb010::RULE,
    &rb011::RULE,
    &rb012::RULE,
    &rb013::RULE,
    &rb014::RULE,
    &rb015::RULE,
    &rb016::RULE,
    &rb020::RULE,
    &rb021::RULE,
    &rb022::RULE,
    &rb023::RULE,
    &rb030::RULE,
    &rb031::RULE,
    &rb032::RULE,
    &rb033::RULE,
    &rb034::RULE,
    &rb036::RULE,
    &rb040::RULE,
    &rb041::RULE,
    &rb042::RULE,
    &rb043::RULE,
    &rb050::RULE,
    &rb051::RULE,
    &rb060::RULE,
    &rb070::RULE,
    &rb071::RULE,
    &rb080::RULE,
    &rb081::RULE,
    &rb090::RULE,
];
