//! Owns the tests of the whole product: the real program, real processes, and servers that no one here wrote.
//!
//! Each test has a folder, ports and processes of its own (see `site.rs`) and leaves nothing behind.

#![expect(clippy::unwrap_used, reason = "a test fails by panicking")]

#[path = "../machine/mod.rs"]
mod machine;

mod afar;
mod alertmanager;
mod api;
mod approval;
mod attacks;
mod authoring;
mod away;
mod bad_input;
mod browsing;
mod by_hand;
mod calling;
mod carried_out;
mod checks;
mod client;
mod compat;
mod controls;
mod crash;
mod data;
mod demo;
mod elsewhere;
mod engines;
mod evidence;
mod faults;
mod fleet_pages;
mod foreign;
mod guarded;
mod guards;
mod handling;
mod heaps;
mod helper;
mod hold;
mod ill;
mod inbound;
mod init;
mod installed;
mod installing;
mod intruders;
mod jobs;
mod journal;
mod kills;
mod logs;
mod manual;
mod monitoring;
mod network;
mod original;
mod pages;
mod poll;
mod processes;
mod querying;
mod real;
mod receiver;
mod reclaim;
mod reports;
mod restoring;
mod right;
mod rules;
mod samples;
mod secrets;
mod sessions;
mod silent;
mod site;
mod six;
mod stdio;
mod story;
mod streams;
mod stub;
mod tour;
mod traces;
mod triage;
mod trust;
mod tune;
mod two_units;
mod uninstall;
mod unit_fleet;
mod units;
mod upstream;
mod watch;
mod watching;
mod webdriver;
