//! Owns which causes explain others: where both are seen in one server, only the first is the trouble.

use crate::cause::Cause;

/// Each cause with those that follow from it, and would not be seen without it. What follows from those follows too.
const EXPLAINS: &[(Cause, &[Cause])] = {
    use Cause::{
        AddressFamily, BadConfiguration, BlockedInKernel, BrokenInstallation, CacheGrowth,
        CertificateInvalid, ClockWrong, CrashLoop, DatabaseDown, DatabaseFull, DatabaseLocked,
        DependencyDown, DescriptorsExhausted, DiskFull, Frozen, MemoryLeak, MemoryPressure, MissingProgram,
        NameService, NetworkDown, OutOfMemory, Overload, PermissionMissing, PortTaken, ProgramFault,
        RateLimited, StuckRequests, TasksExhausted, UnreapedChildren,
    };
    &[
        (NetworkDown, &[DatabaseDown, DependencyDown, NameService]),
        (DatabaseDown, &[DependencyDown]),
        (DatabaseFull, &[DependencyDown]),
        (DatabaseLocked, &[DependencyDown]),
        (ClockWrong, &[CertificateInvalid]),
        (CertificateInvalid, &[DependencyDown]),
        (NameService, &[DependencyDown]),
        (AddressFamily, &[DependencyDown]),
        (RateLimited, &[DependencyDown]),
        (BlockedInKernel, &[Frozen]),
        (DescriptorsExhausted, &[Frozen, ProgramFault, CrashLoop]),
        (TasksExhausted, &[Frozen, ProgramFault, CrashLoop]),
        (UnreapedChildren, &[TasksExhausted]),
        (PermissionMissing, &[ProgramFault, CrashLoop]),
        (BrokenInstallation, &[ProgramFault, CrashLoop]),
        (DependencyDown, &[StuckRequests, Overload, Frozen, CrashLoop]),
        (DiskFull, &[ProgramFault, CrashLoop]),
        (MemoryLeak, &[MemoryPressure]),
        (CacheGrowth, &[MemoryPressure]),
        (MemoryPressure, &[OutOfMemory]),
        (OutOfMemory, &[CrashLoop]),
        (BadConfiguration, &[CrashLoop]),
        (PortTaken, &[CrashLoop]),
        (MissingProgram, &[CrashLoop]),
        (ProgramFault, &[CrashLoop]),
    ]
};

// === impl Cause ===

impl Cause {
    /// Tells whether this cause brings about the other one, directly or over others.
    pub fn explains(self, other: Self) -> bool {
        let following =
            EXPLAINS.iter().filter(|(cause, _)| *cause == self).flat_map(|(_, following)| *following);
        following.into_iter().any(|one| *one == other || one.explains(other))
    }

    /// Tells whether what helps against it is about the memory of a server or of its machine.
    pub fn is_about_memory(self) -> bool {
        matches!(self, Self::OutOfMemory | Self::MemoryPressure | Self::MemoryLeak | Self::CacheGrowth)
    }

    /// Tells whether somebody tries to break in, or has.
    pub fn is_attack(self) -> bool {
        matches!(self, Self::BlockedAttempt | Self::Intrusion)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_follows_follows_too_and_nothing_explains_itself() {
        assert!(Cause::NetworkDown.explains(Cause::CrashLoop));
        assert!(Cause::MemoryLeak.explains(Cause::OutOfMemory));
        assert!(!Cause::OutOfMemory.explains(Cause::MemoryLeak));
        for one in Cause::ALL {
            assert!(!one.explains(*one), "{one}");
            for other in Cause::ALL {
                assert!(!(one.explains(*other) && other.explains(*one)), "{one}, {other}");
                assert!(!(one.is_attack() && one.explains(*other)), "{one}, {other}");
                assert!(!(other.is_attack() && one.explains(*other)), "{one}, {other}");
            }
        }
    }
}
