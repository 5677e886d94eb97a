//! Owns the lifeline: a small process between an owner and its child, which sees to it that nothing outlives the owner.
//!
//! `paramedic lifeline --control-fd N -- COMMAND…` makes itself a subreaper, starts COMMAND in a process group of
//! its own, hands over standard input, output and error, and then waits for whichever comes first: a word from the
//! owner, the end of the owner, or the end of the child. Because it is a subreaper it stays the ancestor of
//! everything that the child starts, daemons with their own session included.
//!
//! The control socket (a stream socket pair, descriptor N) carries, from the owner, single bytes: `t` = SIGTERM to
//! the child's group, `k` = SIGKILL to everything below. End of file means that the owner has ended, and is a `k`.
//! To the owner it carries JSON lines: `{"started":{"pid":…,"start_ticks":…}}` or `{"failed":"No such file…"}`,
//! then `{"ended":{"exited":0}}`, which is only said when nothing is left below the lifeline.
//!
//! If the lifeline itself is killed, the kernel kills the child (parent-death signal), and what the child had
//! started falls to the owner, which must be a subreaper ([`crate::become_subreaper`]) and ends it.

mod owner;
mod role;

use serde::{Deserialize, Serialize};

pub use owner::{Bounds, Launch, LaunchError, Lifeline, Pipes};
pub use role::run;

use crate::ending::Ending;
use crate::identity::ProcessId;

const TERMINATE: u8 = b't';
const KILL: u8 = b'k';

/// The variable of the lifeline that says how many descriptors its child may have open; the child does not see it.
const OPEN_FILES: &str = "PARAMEDIC_OPEN_FILES";
/// The same for the `cgroup.procs` of the control group that its child is to be in.
const GROUP: &str = "PARAMEDIC_GROUP";

/// What the lifeline tells its owner.
#[derive(Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Report {
    Started(ProcessId),
    Failed(String),
    Ended(Ending),
}

#[cfg(test)]
mod tests {
    use expect_test::expect;

    use super::Report;
    use crate::{Ending, ProcessId};

    #[test]
    fn reports_keep_their_form() {
        let reports = [
            Report::Started(ProcessId { pid: 7, start_ticks: 99 }),
            Report::Failed("no".to_owned()),
            Report::Ended(Ending::Signaled(9)),
        ];
        let lines = reports.map(|report| serde_json::to_string(&report).unwrap()).join("\n");
        expect![[r#"
            {"started":{"pid":7,"start_ticks":99}}
            {"failed":"no"}
            {"ended":{"signaled":9}}"#]]
        .assert_eq(&lines);
    }
}
