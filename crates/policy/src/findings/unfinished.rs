//! `unfinished`: a deed was begun and not finished.

use super::{Condition, Finding, Rule, Severity, Stands, Verdict, found};

/// The rule.
pub(super) static RULE: Rule = Rule {
    alias: "unfinished",
    checks: &["LIF01"],
    title: "A deed was begun and not finished",
    means: "A rotation or an end was cut off. More credentials than one may work, and a secret may \
        wait in custody.",
    cause: "A run was killed, or lost its connection, and no other came since.",
    remedy: "Apply, or `nhi reconcile --due`, finishes it; `nhi recover` where nothing declares it any \
        more.",
    severity: Severity::High,
    condition: Condition::Unfinished,
    rows: &[10],
    waivable: true,
};

/// A key that a call of ours made which came late: it bears the slot's mark, and its books have another one.
pub(super) fn came_late(slot: &str, key: &str) -> Finding {
    Finding {
        actual: key.to_owned(),
        why: "a call of ours made it and came late, so nobody has its secret; apply, or nhi reconcile \
              --due, ends it"
            .to_owned(),
        ..found(&RULE, slot, "credentials", Verdict::Added)
    }
}

/// What was begun in a slot that is not declared, and left in this phase: a key of it may work, and
/// its secret may wait in custody, although no plan would say so.
pub fn left_open(id: &str, key_id: Option<&str>, phase: &str, stands: Stands<'_>) -> Finding {
    let key = key_id.map(|key_id| format!(": {key_id} may work")).unwrap_or_default();
    Finding {
        actual: format!("unfinished ({phase})"),
        why: format!(
            "begun for a credential that is not declared here{key}{}; apply the configuration that \
             declares it; if none does, end it: nhi recover {id} --end",
            stands.words()
        ),
        ..found(stands.rule(), id, "status", Verdict::Added)
    }
}

/// What was begun for an integration that nothing declares, or that is not there any more. Where not
/// everything that is declared was compared, it may be another state's.
pub fn left_behind(
    id: &str,
    key_id: Option<&str>,
    phase: &str,
    stands: Stands<'_>,
    place: &str,
    all_declared: bool,
) -> Finding {
    let key = key_id.map(|key_id| format!(": {key_id} may work")).unwrap_or_default();
    let (whose, end) = match all_declared {
        true => (
            "begun for what nothing declares or is gone",
            format!("end it: nhi recover {id} --end"),
        ),
        false => {
            ("begun for what is not in the given state", "apply where it is declared".to_owned())
        }
    };
    let how = stands.words();
    noted_unless(
        all_declared,
        Finding {
            actual: format!("unfinished ({phase})"),
            why: format!(
                "{whose}{key}{how}; {end}; where its platform is gone, remove {place} for good"
            ),
            ..found(stands.rule(), id, "status", Verdict::Added)
        },
    )
}

/// A document in custody of which nothing says what it is: a run died before it had, or it was lost.
pub fn begun_and_unsaid(place: &str, stands: Stands<'_>, all_declared: bool) -> Finding {
    let rule = if all_declared { stands.rule() } else { &RULE };
    noted_unless(
        all_declared,
        Finding {
            actual: "begun, and nothing says what for".into(),
            why: format!(
                "a run wrote it and was cut off, or somebody took away what stood beside it{}; nhi \
                 recover names what was begun and how it ends; where it names nothing, remove {place} \
                 for good",
                stands.words()
            ),
            ..found(rule, "custody", place, Verdict::Added)
        },
    )
}

/// Of what may be another state's nothing follows.
fn noted_unless(all_declared: bool, one: Finding) -> Finding {
    match all_declared {
        true => one,
        false => Finding { severity: Severity::Info, condition: Condition::Note, ..one },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_waits_for_a_person_is_told_so_and_what_may_be_another_state_s_is_only_noted() {
        let told = |stands, all| left_behind("x", None, "stored", stands, "bao:p", all);
        let one = told(Stands::Waits("sink-refuses"), true);
        assert_eq!((one.rule, one.condition), ("held", Condition::Unfinished));
        assert_eq!(told(Stands::AtWork("ci"), true).rule, "rotating");
        let one = told(Stands::Silent, false);
        assert_eq!((one.rule, one.condition), ("unfinished", Condition::Note));
        let one = begun_and_unsaid("bao:p", Stands::Waits("x"), false);
        assert_eq!((one.rule, one.severity), ("unfinished", Severity::Info));
    }
}
