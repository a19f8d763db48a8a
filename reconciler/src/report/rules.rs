//! What a rule looks for, and what helps, in words: for forms that show findings by rule.

use policy::findings::RULES;

/// A rule in words.
#[derive(Debug, Clone, Copy)]
pub(super) struct About {
    /// What it is that is wrong.
    pub(super) title: &'static str,
    /// What helps.
    pub(super) help: &'static str,
}

/// A rule in words. Of one that is not known here only that is said.
pub(super) fn about(rule: &str) -> About {
    // It is no rule of its own: it says of another that it counts again.
    if rule == "waiver-expired" {
        return About {
            title: "What somebody answered for is over",
            help: "Put right what it is about, or have it accepted anew.",
        };
    }
    let known = RULES.iter().find(|one| one.alias == rule);
    known.map_or(
        About {
            title: "Something is not as declared",
            help: "The finding itself says what it means.",
        },
        |one| About { title: one.title, help: one.remedy },
    )
}
