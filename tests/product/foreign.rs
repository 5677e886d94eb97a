//! Owns servers that nobody of ours has started: each a guard of its own, which ends with its test.

use std::process::{Child, Command, Stdio};

use crate::site::{EXE, Site, clean};

/// A process that ends with its test.
pub(crate) struct Foreign(pub(crate) Child);

impl Foreign {
    /// Starts one of the demonstration's servers behind a guard of this name, which listens there.
    pub(crate) fn start(site: &Site, name: &str, kind: &str, listen: &str) -> Self {
        let (control, log) = (site.path(&format!("{name}.sock")), site.path(&format!("{name}.log")));
        let mut command = Command::new(EXE);
        command.args(["guard", "--name", name, "--listen", listen]).arg("--control").arg(control);
        command.arg("--log").arg(log).args(["--", EXE, "demo-server", kind]);
        command.stdout(Stdio::null()).stderr(Stdio::null());
        clean(&mut command, site.config().parent().unwrap());
        Self(command.spawn().unwrap())
    }
}

impl Drop for Foreign {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}
