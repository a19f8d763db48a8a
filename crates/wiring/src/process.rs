//! What both programs do before anything else.

use crate::Environment;

/// Keeps this process' memory, which holds secrets for moments, out of core files and of other
/// processes of the same user. `NHI_ALLOW_DUMP=1` leaves it open, for somebody who must look.
///
/// Call it first in `main`, before there are threads. Where a sandbox refuses, everything is as it
/// was.
pub fn hide_memory(environment: &Environment) {
    if environment.get("NHI_ALLOW_DUMP").as_deref() == Some("1") {
        return;
    }
    #[cfg(unix)]
    {
        use rustix::process::{Resource, Rlimit, setrlimit};
        let _ = setrlimit(Resource::Core, Rlimit { current: Some(0), maximum: Some(0) });
    }
    #[cfg(target_os = "linux")]
    {
        use rustix::process::{DumpableBehavior, set_dumpable_behavior};
        let _ = set_dumpable_behavior(DumpableBehavior::NotDumpable);
    }
}
