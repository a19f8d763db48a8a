//! What a rule looks for, and what helps, in words: for forms that show findings by rule.

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
    let found = ABOUT.iter().find(|(name, ..)| *name == rule);
    let (title, help) = found.map_or(
        ("Something is not as declared", "The finding itself says what it means."),
        |(_, title, help)| (*title, *help),
    );
    About { title, help }
}

const APPLY: &str = "Find out who changed it and why; then apply, or change the configuration.";
const FINISH: &str = "Apply, or let nhi reconcile --due do it; nhi recover says what was begun.";
const PERSON: &str = "A person has to look: nhi recover says what was begun and what helps.";

#[rustfmt::skip]
const ABOUT: &[(&str, &str, &str)] = &[
    ("accepts-anything", "A secret that nobody issued was let in", "The platform takes any secret there: find out why before anything else."),
    ("clock-disagrees", "Clocks disagree", "Set the clocks right; what ends when its time is over waits for that."),
    ("contacts-changed", "The contacts at the platform are others", APPLY),
    ("contract-ended", "The contract has ended", "End the integration, or enter the new end."),
    ("credential-missing", "A declared credential is not there", "Apply issues another one; find out who ended it."),
    ("credential-unmanaged", "A credential that nobody declared", "Find out who uses it; then adopt it or have it ended."),
    ("decommission-unfinished", "Taken out of service in part", "nhi decommission goes on from there."),
    ("decommissioned", "Out of service and declared still", "Remove it from the configuration, and apply."),
    ("decommissioned-lives", "Out of service, and something of it works", "nhi decommission ends it."),
    ("drill-overdue", "The drill is overdue", "Switch it off and on again, and enter the day."),
    ("due", "A rotation is due", "Apply rotates it."),
    ("expired", "Its end has passed and it lives", "Apply does what the policy says; if it is needed, give it a new end."),
    ("exposed", "A credential is exposed", "Rotate it now: nhi rotate."),
    ("foreign", "The secret in the sink is not ours", "Find out who wrote it; apply delivers ours."),
    ("held", "A rotation waits for a person", PERSON),
    ("integration-missing", "A declared integration is not there", "Apply makes it again; find out who removed it."),
    ("ledger-changed", "The ledger is not as it was written", "nhi ledger verify says which part can be trusted."),
    ("marker-forged", "A mark that nobody here set", "Somebody pretends that it is ours: find out who."),
    ("not-in-given-states", "A credential of ours that the given state does not declare", "Give all states, or end it where none has it."),
    ("old-still-used", "An earlier credential is used after its overlap", "Find out who still uses it; nhi recover says how it ends."),
    ("other-realm", "Another installation governs it", "Find out who took it over, or hand it over there."),
    ("overdue", "A rotation is overdue", "Apply rotates it."),
    ("owner-inactive", "An owner is inactive", "Ask whether they come back, or name another owner."),
    ("owner-left", "An owner has left", "Name another owner."),
    ("owner-moved", "An owner has moved to another department", "Ask whether they still answer for it, or name another owner."),
    ("proof-due", "The proof of an end is open", FINISH),
    ("quarantine-broken", "What was to be cut off works", "Find out who switched it on; apply cuts it off again."),
    ("record-edited", "What is written about it at the platform was changed", APPLY),
    ("recreated", "It was removed and made again", "Another object stands in its place: find out who made it."),
    ("retire-due", "An overlap is over and the earlier credential lives", FINISH),
    ("review-overdue", "A review is overdue", "Review it, and enter the day."),
    ("revoked-credential-returned", "A credential that was ended is there again", "End it, and find out how it came back."),
    ("rotating", "A run is at work on it", "Nothing is to be done, unless that run has died: nhi recover."),
    ("scope-added", "It may do more than is declared", "Apply takes it away; if it is needed, declare it."),
    ("scope-outlived", "A temporary scope is live after its time", "Apply takes it away."),
    ("scope-removed", "It may do less than is declared", "Apply gives it back; if it is not needed, remove it from the configuration."),
    ("setting-changed", "A setting was changed", APPLY),
    ("sink-changed", "The secret in a sink was written over", "Find out who wrote it; apply delivers it again."),
    ("sink-missing", "A sink lacks the secret", "Apply delivers it again."),
    ("stale-copy", "A sink holds an earlier secret", "Apply copies it again."),
    ("standing", "Out of policy", "The finding itself says what it means."),
    ("switch-changed", "It was switched on or off", APPLY),
    ("undelivered", "No sink holds the secret", "Apply rotates it."),
    ("unfinished", "Work was begun and not finished", FINISH),
    ("unheld", "No sink of ours holds the secret", "Nothing is to be done here; it cannot be proven by use."),
    ("waiting", "A rotation is due and outside its windows", "Nothing is to be done: it waits for its window."),
    ("waiver-expired", "What somebody answered for is over", "Put right what it is about, or have it accepted anew."),
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::ABOUT;

    #[test]
    fn a_rule_is_named_once_and_says_what_is_wrong_and_what_helps() {
        let names: BTreeSet<_> = ABOUT.iter().map(|(name, ..)| name).collect();
        assert_eq!(names.len(), ABOUT.len());
        for (name, title, help) in ABOUT {
            assert!(!title.is_empty() && !title.ends_with('.'), "{name}");
            assert!(help.ends_with('.'), "{name}");
        }
    }
}
