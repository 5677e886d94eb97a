//! Tests of dumps: of a real Java machine, a real Node, and who has no way.

use std::io::{BufRead as _, BufReader};
use std::process::{Child, Command, Stdio};

use super::*;

/// A program that says `ready`, and ends with its test.
struct Runs(Child);

impl Runs {
    /// Starts it; nothing where there is none, which is said.
    fn start(program: &str, args: &[&str], folder: &Path) -> Option<Self> {
        let mut command = Command::new(program);
        // Some wait for the end of their input.
        let command = command.args(args).current_dir(folder).stdin(Stdio::piped()).stdout(Stdio::piped());
        let spawned = command.spawn();
        let Ok(mut child) = spawned else {
            println!("SKIPPED: there is no {program}");
            return None;
        };
        let mut line = String::new();
        BufReader::new(child.stdout.as_mut().unwrap()).read_line(&mut line).unwrap();
        assert_eq!(line, "ready\n", "{program}");
        Some(Self(child))
    }

    fn runtime(&self) -> Runtime {
        Runtime::of(&Roots::default(), i32::try_from(self.0.id()).unwrap()).unwrap()
    }

    fn still_runs(&mut self) -> bool {
        self.0.try_wait().unwrap().is_none()
    }
}

impl Drop for Runs {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn mode(path: &Path) -> u32 {
    fs::metadata(path).unwrap().mode() & 0o777
}

/// Holds this text, which the dump has.
const HOLDS: &str = "public class Holds {
  static final byte[] SECRET = \"hunter2-in-the-heap\".getBytes();
  public static void main(String[] args) throws Exception { System.out.println(\"ready\"); Thread.sleep(600000); }
}
";

#[test]
fn a_java_machine_dumps_its_heap_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("Holds.java"), HOLDS).unwrap();
    let Some(mut java) = Runs::start("java", &["-Xmx128m", "Holds.java"], folder.path()) else { return };
    let (roots, runtime) = (Roots::default(), java.runtime());
    let Ok(way) = Way::of(&roots, &runtime) else {
        println!("SKIPPED: there is a java, and no JDK");
        return;
    };
    collect(&runtime).unwrap();
    let to = folder.path().join("dumps");
    let dumped = dump(&roots, &runtime, &way, &to, "one").unwrap();
    let bytes = fs::read(&dumped.file).unwrap();
    assert!(bytes.starts_with(b"JAVA PROFILE") && bytes.len() as u64 == dumped.bytes, "{dumped:?}");
    assert!(bytes.windows(19).any(|part| part == b"hunter2-in-the-heap"));
    assert_eq!((mode(&dumped.file), mode(&to.join("one")), mode(&to)), (0o600, 0o700, 0o700));
    assert!(java.still_runs());
    // Nothing that is there is written over.
    let again = dump(&roots, &runtime, &way, &to, "one").unwrap_err();
    assert!(matches!(again, HeapError::Io { what: "make", .. }), "{again}");
    assert_eq!(fs::metadata(&dumped.file).unwrap().len(), dumped.bytes);
}

const NODE: &str =
    "globalThis.held = 'hunter2-in-the-heap'; setInterval(() => {}, 1000); console.log('ready')";

#[test]
fn a_node_that_was_started_for_it_writes_a_snapshot_and_goes_on() {
    let folder = tempfile::tempdir().unwrap();
    let (roots, own) = (Roots::default(), folder.path().join("own"));
    fs::DirBuilder::new().mode(0o700).create(&own).unwrap();
    let args = ["--heapsnapshot-signal=SIGUSR2", "-e", NODE];
    let Some(mut node) = Runs::start("node", &args, &own) else { return };
    let runtime = node.runtime();
    let way = Way::of(&roots, &runtime).unwrap();
    let to = folder.path().join("dumps");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o755)).unwrap();
    let open = dump(&roots, &runtime, &way, &to, "open").unwrap_err();
    assert!(open.to_string().contains("others may enter it (mode 0755)"), "{open}");
    fs::set_permissions(&own, fs::Permissions::from_mode(0o700)).unwrap();
    let dumped = dump(&roots, &runtime, &way, &to, "one").unwrap();
    let text = fs::read_to_string(&dumped.file).unwrap();
    assert!(text.starts_with("{\"snapshot\"") && text.contains("hunter2-in-the-heap"), "{dumped:?}");
    assert_eq!(mode(&dumped.file), 0o600);
    assert!(node.still_runs() && fs::read_dir(&own).unwrap().next().is_none());
}

/// Their first signal would be their last.
#[test]
fn who_has_no_way_is_left_alone() {
    let folder = tempfile::tempdir().unwrap();
    let roots = Roots::default();
    if let Some(mut node) = Runs::start("node", &["-e", NODE], folder.path()) {
        let error = Way::of(&roots, &node.runtime()).unwrap_err();
        assert!(error.to_string().contains("--heapsnapshot-signal=SIGUSR2"), "{error}");
        assert!(collect(&node.runtime()).is_err() && node.still_runs());
    }
    let python = "import sys; print('ready', flush=True); sys.stdin.read()";
    if let Some(mut python) = Runs::start("python3", &["-c", python], folder.path()) {
        let error = Way::of(&roots, &python.runtime()).unwrap_err();
        assert!(error.to_string().contains("without running code in it"), "{error}");
        assert!(collect(&python.runtime()).is_err() && python.still_runs());
    }
}

#[test]
fn a_place_without_room_takes_nothing() {
    let folder = tempfile::tempdir().unwrap();
    must_have_room(folder.path(), 1).unwrap();
    let error = must_have_room(folder.path(), u64::MAX / 2).unwrap_err();
    assert!(error.to_string().contains("MiB are free, and a dump may take"), "{error}");
}
