//! Tests that runtimes are known by what they are, and not by what they are called.

use std::process::{Child, Command, Stdio};

use super::*;

struct Running(Child);

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A program that says `ready`, and then waits; none where it is not installed, which is said.
fn start(program: &Path, args: &[&str], options: Option<&str>) -> Option<Running> {
    let mut command = Command::new(program);
    command.args(args).stdin(Stdio::piped()).stdout(Stdio::piped()).env_remove("NODE_OPTIONS");
    if let Some(options) = options {
        command.env("NODE_OPTIONS", options);
    }
    match command.spawn() {
        Ok(mut child) => {
            let mut line = String::new();
            std::io::BufRead::read_line(
                &mut std::io::BufReader::new(child.stdout.as_mut().unwrap()),
                &mut line,
            )
            .unwrap();
            assert_eq!(line, "ready\n");
            Some(Running(child))
        }
        Err(error) => {
            println!("SKIPPED: {} cannot be started: {error}", program.display());
            None
        }
    }
}

fn runtime(running: &Running) -> Option<Runtime> {
    Runtime::of(&Roots::default(), i32::try_from(running.0.id()).unwrap())
}

const NODE: &str = "console.log('ready'); process.stdin.resume()";

#[test]
fn node_is_known_by_another_name_with_its_heap() {
    let Some(node) = installed("node") else { return };
    let folder = tempfile::tempdir().unwrap();
    let python = folder.path().join("python3");
    std::os::unix::fs::symlink(&node, &python).unwrap();
    let Some(running) = start(&python, &["--max_old_space_size=300", "-e", NODE], None) else { return };
    let found = runtime(&running).unwrap();
    assert_eq!((found.kind, found.heap_limit_bytes), (Kind::Node, Some(300 * MIB)));
    assert_eq!((found.dump_signal, found.dump_folder), (None, std::env::current_dir().ok()));
    let Some(running) = start(
        &node,
        &["-e", NODE],
        Some("--max-old-space-size=400 --heapsnapshot-signal=SIGUSR2 --diagnostic-dir=/srv/dumps"),
    ) else {
        return;
    };
    let found = runtime(&running).unwrap();
    assert_eq!((found.heap_limit_bytes, found.dump_signal.as_deref()), (Some(400 * MIB), Some("SIGUSR2")));
    assert_eq!(found.dump_folder, Some(PathBuf::from("/srv/dumps")));
}

#[test]
fn python_is_known_and_what_only_mentions_it_is_not() {
    let script = "print('ready', flush=True); input()";
    if let Some(running) = start(Path::new("python3"), &["-c", script], None) {
        let found = runtime(&running).unwrap();
        assert_eq!((found.kind, found.heap_limit_bytes), (Kind::Python, None));
    }
    let folder = tempfile::tempdir().unwrap();
    let java = folder.path().join("java");
    std::os::unix::fs::symlink("/bin/sh", &java).unwrap();
    let running = start(&java, &["-c", "echo ready; read line", "node", "python3", "-Xmx9g"], None).unwrap();
    assert_eq!(runtime(&running), None);
    assert_eq!(Runtime::of(&Roots::default(), i32::MAX), None);
}

/// The program itself, not a script that stands for it.
fn installed(name: &str) -> Option<PathBuf> {
    let path = std::env::var_os("PATH")?;
    let found = std::env::split_paths(&path).map(|folder| folder.join(name)).find(|path| path.is_file());
    if found.is_none() {
        println!("SKIPPED: there is no {name}");
    }
    found
}

#[test]
fn limits_on_command_lines() {
    for (kind, word, expect) in [
        (Kind::Node, "--max-old-space-size=512", Some(512 * MIB)),
        (Kind::Node, "--max-old-space-size=x", None),
        (Kind::Node, "max-old-space-size=512", None),
        (Kind::Jvm, "-Xmx2g", Some(2 << 30)),
        (Kind::Jvm, "-Xmx512M", Some(512 * MIB)),
        (Kind::Jvm, "-XX:MaxHeapSize=4096", Some(4096)),
        (Kind::Jvm, "-Xmx", None),
        (Kind::Jvm, "-Xmx99999999999999999999g", None),
        (Kind::Python, "-Xmx2g", None),
    ] {
        assert_eq!(limit_of_word(kind, word), expect, "{word}");
    }
}

#[test]
fn only_what_is_mapped_to_run_is_looked_at() {
    let maps = b"7f00-7f01 r--p 0 08:01 5 /lib/a.so\n7f01-7f02 r-xp 0 08:01 5 /lib/a b.so\nx\n7f03-7f04 r-xp 0 0:0 0 [vdso]\n";
    assert_eq!(mapped_files(maps), [PathBuf::from("/lib/a b.so")]);
}
