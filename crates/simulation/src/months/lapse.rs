//! What somebody forgot: the world behaves as if the engine did not keep to a rule, and a life in which nobody
//! notices is no test.

/// A rule that is left out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs)] // Their names say what is wrong.
pub enum Lapse {
    GapsAreSilent,
    NobodyRotates,
    NobodyRetires,
    NoOverlapIsKept,
    WhatIsTemporaryStays,
    NobodyEverLeaves,
    NobodyHearsOtherClocks,
    TheSwitchIsNotSeen,
    TakingAwayGivesAnother,
    ClaimsExcludeNobody,
}

/// All of them, each with what the promise begins with that it breaks.
pub const LAPSES: [(Lapse, &str); 10] = [
    (Lapse::GapsAreSilent, "CLEAN"),
    (Lapse::NobodyRotates, "DEADLINE"),
    (Lapse::NobodyRetires, "DEADLINE"),
    (Lapse::NoOverlapIsKept, "LOCKOUT"),
    (Lapse::WhatIsTemporaryStays, "DEADLINE"),
    (Lapse::NobodyEverLeaves, "DEADLINE"),
    (Lapse::NobodyHearsOtherClocks, "LOCKOUT"),
    (Lapse::TheSwitchIsNotSeen, "POWER"),
    (Lapse::TakingAwayGivesAnother, "POWER"),
    (Lapse::ClaimsExcludeNobody, "TWICE"),
];
