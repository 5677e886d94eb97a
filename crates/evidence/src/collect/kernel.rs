//! Owns what was put into the kernel, as evidence: rules of the firewall, programs of eBPF, the table of its symbols.
//!
//! A program that is asked for the rules of a firewall that is not in use would load it into the kernel: it is asked only where
//! the kernel has it already.

use std::fs::File;
use std::path::Path;
use std::time::Duration;

use serde_json::json;

use super::Scene;
use super::command::give;
use super::out::Out;
use super::reading::kernel;
use super::tree::walk;
use crate::Digest;
use crate::bundle::Gathered;

const WITHIN: Duration = Duration::from_secs(4);
const PINNED_MAX: usize = 10_000;

pub(super) fn collect(scene: &Scene, out: &Out) {
    firewall(scene, out);
    bpf(scene, out);
    const SYMBOLS: &str = "t1/kernel/symbols.json";
    out.doing("the table of symbols of the kernel");
    // Whoever hooks into the kernel adds some; without privileges all addresses are zeros, and the names still count.
    match File::open(scene.roots.proc.join("kallsyms")).and_then(Digest::of_reader) {
        Ok(sha256) => out.line(SYMBOLS, &json!({ "sha256": sha256 })),
        Err(error) => out.give(Gathered::missing(SYMBOLS, error.to_string())),
    }
}

fn firewall(scene: &Scene, out: &Out) {
    let is_there = |path: &Path| path.exists();
    let modules = scene.roots.sys.join("module");
    if is_there(&modules.join("nf_tables")) {
        give(scene, out, "t1/firewall/nft", "nft", &["--handle", "list", "ruleset"], WITHIN);
    } else {
        out.give(Gathered::missing("t1/firewall/nft", "the kernel has no nf_tables"));
    }
    for (names, item, program) in [
        ("net/ip_tables_names", "t1/firewall/iptables", "iptables-save"),
        ("net/ip6_tables_names", "t1/firewall/ip6tables", "ip6tables-save"),
    ] {
        match kernel(&scene.roots.proc.join(names), 4096) {
            Ok(tables) if !tables.is_empty() => give(scene, out, item, program, &["-c"], WITHIN),
            Ok(_) => out.give(Gathered::missing(item, "the kernel has no such table in use")),
            Err(error) => out.give(Gathered::missing(item, format!("`{names}`: {error}"))),
        }
    }
}

/// What is attached is known by the descriptors that hold it (`t0/bpf.jsonl`), by what is pinned, and by `bpftool`.
fn bpf(scene: &Scene, out: &Out) {
    let pinned = scene.roots.sys.join("fs/bpf");
    if pinned.is_dir() {
        out.doing("programs of eBPF that are pinned");
        let each = &mut |path: &Path| {
            let name = path.strip_prefix(&pinned).unwrap_or(path);
            out.line("t1/kernel/bpf-pinned.jsonl", &super::reading::text_of(name.as_os_str()));
            !out.is_given_up()
        };
        if !walk(&pinned, PINNED_MAX, each) {
            out.give(Gathered::missing(
                "t1/kernel/bpf-pinned/rest",
                format!("more than {PINNED_MAX}, or very deep"),
            ));
        }
    } else {
        out.give(Gathered::missing("t1/kernel/bpf-pinned.jsonl", "there is no file system of eBPF"));
    }
    for kind in ["prog", "link", "map"] {
        give(scene, out, &format!("t1/kernel/bpf-{kind}"), "bpftool", &["--json", kind, "show"], WITHIN);
    }
}
