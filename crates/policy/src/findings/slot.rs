//! One credential slot, by the same status word, and the same consequence, as a plan.

use jiff::Timestamp;

use super::{
    Finding, Rule, Severity, Verdict, accepts_anything, credential_missing, due, expired, exposed,
    foreign, found, held, old_still_used, overdue, proof_due, retire_due,
    revoked_credential_returned, rotating, sink_changed, sink_missing,
    stands::{AT_WORK, WAITS},
    unfinished, unheld, waiting,
};
use crate::status::{Consequence, consequence_for};

/// What is known of one slot, as [`slot`] judges it.
#[derive(Debug, Clone, Default)]
pub struct SlotFacts<'a> {
    /// The slot's id.
    pub id: &'a str,
    /// Its status word.
    pub status: &'a str,
    /// The current key, if any is known.
    pub key_id: Option<&'a str>,
    /// Who is at work on it, or why it is held.
    pub note: Option<&'a str>,
    /// Sinks by name: where, and `delivered`, `changed`, `missing` or `unchecked`.
    pub sinks: Vec<(&'a str, String, &'a str)>,
    /// Earlier keys that outlived their overlap.
    pub outlived: Vec<&'a str>,
    /// When earlier keys end by themselves, where their platform tells.
    pub end_alone: Vec<(&'a str, Timestamp)>,
    /// When a secret that nobody issued was let in, where the last proof showed that.
    pub accepts_anything: Option<Timestamp>,
    /// Earlier keys that somebody uses after their overlap: which, when last, and how much that matters.
    pub in_use: Vec<(&'a str, Timestamp, Severity)>,
    /// Earlier keys that are kept after their overlap for consumers that nobody sees: which, and until when.
    pub unread: Vec<(&'a str, Timestamp)>,
    /// Keys that were ended and that their platform shows again.
    pub returned: Vec<&'a str>,
    /// Keys that a call of ours made which came late.
    pub late: Vec<&'a str>,
    /// The integration may act.
    pub active: bool,
}

/// The rule of a status word, and what follows. Copies are named one by one, and have rules of their
/// own.
fn rule_of(status: &str) -> Option<(&'static Rule, &'static str)> {
    Some(match status {
        "rotating" => (&rotating::RULE, AT_WORK),
        "held" => (&held::RULE, WAITS),
        "exposed" => (&exposed::RULE, "rotate it now"),
        "missing" => (&credential_missing::RULE, "apply issues another one"),
        "expired" => (&expired::RULE, "apply issues another one"),
        "unfinished" => {
            (&unfinished::RULE, "apply, or nhi reconcile --due, finishes what was begun")
        }
        "foreign" => (&foreign::RULE, "the secret there is not ours"),
        "overdue" => (&overdue::RULE, "apply rotates it"),
        "due" => (&due::RULE, "apply rotates it"),
        "cut_due" => (
            &retire_due::RULE,
            "apply, or nhi reconcile --due, switches the earlier one off, and a later one ends it",
        ),
        "retire_due" => (&retire_due::RULE, "apply, or nhi reconcile --due, ends the earlier one"),
        "proof_due" => (
            &proof_due::RULE,
            "apply, or nhi reconcile --due, looks once more at what was ended, and forgets its secret",
        ),
        "waiting" => (&waiting::RULE, "due, and outside its windows"),
        "unheld" => (&unheld::RULE, "no sink of ours holds the secret"),
        _ => return None,
    })
}

/// Judges one credential slot by the same status word, and the same consequence, as a plan.
pub fn slot(facts: &SlotFacts<'_>) -> Vec<Finding> {
    let consequence = consequence_for(facts.status, facts.active);
    let mut all = Vec::new();
    all.extend(by_status(facts, consequence));
    for key in &facts.outlived {
        let ends = facts.end_alone.iter().find(|(of, _)| of == key).map(|(_, at)| *at);
        all.push(retire_due::judge(facts.id, key, facts.status == "cut_due", ends));
    }
    all.extend(facts.accepts_anything.map(|at| accepts_anything::judge(facts.id, at)));
    for (key, at, severity) in &facts.in_use {
        all.push(old_still_used::judge(facts.id, key, *at, *severity));
    }
    for (key, until) in &facts.unread {
        all.push(old_still_used::unread(facts.id, key, *until));
    }
    for key in &facts.late {
        all.push(unfinished::came_late(facts.id, key));
    }
    for key in &facts.returned {
        all.push(revoked_credential_returned::judge(facts.id, key));
    }
    if facts.active && consequence != Consequence::Nothing {
        all.extend(facts.sinks.iter().filter_map(|sink| by_copy(facts, sink)));
    }
    all
}

fn by_status(facts: &SlotFacts<'_>, consequence: Consequence) -> Option<Finding> {
    let (rule, why) = rule_of(facts.status)?;
    let idle = consequence == Consequence::Nothing
        && !matches!(facts.status, "rotating" | "held" | "waiting" | "unheld");
    // Keys that outlived their overlap are named one by one.
    let by_key = matches!(facts.status, "cut_due" | "retire_due") && !facts.outlived.is_empty();
    // So is what came late, where nothing else is unfinished.
    let late = facts.status == "unfinished" && facts.note.is_none() && !facts.late.is_empty();
    if idle || by_key || late {
        return None;
    }
    let key = facts.key_id.unwrap_or_default();
    let missing = facts.status == "missing";
    let verdict = if missing { Verdict::Missing } else { Verdict::Changed };
    Some(Finding {
        expected: match (missing, key.is_empty()) {
            (false, _) => "current".into(),
            (true, true) => "a credential".into(),
            (true, false) => key.to_owned(),
        },
        actual: match facts.status {
            "missing" => String::new(),
            // Who answers for one that somebody knows has not answered for the next.
            "exposed" if !key.is_empty() => format!("exposed: {key}"),
            status => status.to_owned(),
        },
        why: facts.note.map_or_else(|| why.to_owned(), |note| format!("{why}: {note}")),
        ..found(rule, facts.id, "status", verdict)
    })
}

/// A place whose copy is not the slot's own. How much that matters is the slot's: where no place has
/// it any more, its consumers have nothing.
fn by_copy(facts: &SlotFacts<'_>, sink: &(&str, String, &str)) -> Option<Finding> {
    let (name, place, status) = sink;
    let one = match *status {
        "changed" => sink_changed::judge(facts.id, name, place, facts.key_id),
        "missing" => sink_missing::judge(facts.id, name, place),
        _ => return None,
    };
    Some(match facts.status {
        "undelivered" => Finding {
            severity: Severity::High,
            why: "no sink holds it; apply rotates".into(),
            ..one
        },
        "stale_copy" => Finding { why: "apply copies it again".into(), ..one },
        _ => one,
    })
}

#[cfg(test)]
mod tests {
    use super::{super::Condition, *};
    use crate::status::{WORDS, consequence};

    fn slot_in(status: &str, active: bool) -> Vec<Finding> {
        let outlived = if status == "retire_due" { vec!["k1"] } else { Vec::new() };
        let copy =
            if matches!(status, "stale_copy" | "undelivered") { "changed" } else { "delivered" };
        slot(&SlotFacts {
            id: "bao/openbao_approle/x/credential/default",
            status,
            key_id: Some("k2"),
            sinks: vec![("app", "bao:secret/apps/x".into(), copy)],
            outlived,
            end_alone: Vec::new(),
            active,
            ..SlotFacts::default()
        })
    }

    #[test]
    fn a_slot_that_plan_would_change_is_never_in_sync_and_one_that_it_would_not_change_is() {
        for word in WORDS {
            let counts =
                |active| slot_in(word, active).iter().any(|one| one.condition > Condition::Note);
            let acts = consequence(word) != Consequence::Nothing || word == "held";
            assert_eq!(counts(true), acts, "{word}");
            let acts = consequence_for(word, false) != Consequence::Nothing || word == "held";
            assert_eq!(counts(false), acts, "{word} of what may not act");
        }
    }

    #[test]
    fn what_a_call_made_that_came_late_is_named_and_is_what_is_unfinished() {
        let facts = SlotFacts {
            id: "x",
            status: "unfinished",
            key_id: Some("k2"),
            late: vec!["k9"],
            active: true,
            ..SlotFacts::default()
        };
        let all = slot(&facts);
        let [one] = &all[..] else { panic!("{all:?}") };
        assert_eq!((one.rule, one.actual.as_str()), ("unfinished", "k9"));
        assert_eq!(one.condition, Condition::Unfinished);
        let begun = slot(&SlotFacts { note: Some("somebody died"), ..facts });
        assert_eq!(begun.len(), 2, "what was begun besides is told as well");
    }

    #[test]
    fn an_overlap_that_is_over_is_unfinished_and_names_the_key() {
        let all = slot_in("retire_due", true);
        assert_eq!(all.len(), 1);
        assert_eq!((all[0].actual.as_str(), all[0].condition), ("k1", Condition::Unfinished));
    }

    #[test]
    fn who_accepts_what_is_wrong_with_one_key_has_not_accepted_it_of_the_next() {
        let states = |status: &'static str, key: &'static str| {
            let sinks = vec![("app", "bao:secret/apps/x".to_owned(), "changed")];
            let facts = SlotFacts { status, key_id: Some(key), sinks, ..SlotFacts::default() };
            slot(&SlotFacts { id: "x", active: true, ..facts })
                .iter()
                .map(crate::waiver::state_of)
                .collect::<Vec<_>>()
        };
        for status in ["exposed", "stale_copy"] {
            let (one, next) = (states(status, "k1"), states(status, "k2"));
            assert_eq!(one, states(status, "k1"), "{status}");
            assert!(!one.is_empty() && one.iter().all(|state| !next.contains(state)), "{status}");
        }
    }

    #[test]
    fn an_overlap_that_is_over_hides_nothing_that_is_worse() {
        for status in ["missing", "expired", "held", "exposed", "unfinished", "overdue"] {
            let rules: Vec<&str> = slot(&SlotFacts {
                id: "bao/openbao_approle/x/credential/default",
                status,
                key_id: Some("k2"),
                outlived: vec!["k1"],
                end_alone: vec![("k1", "2026-03-01T10:00:00Z".parse().unwrap())],
                active: true,
                ..SlotFacts::default()
            })
            .iter()
            .map(|one| one.rule)
            .collect();
            let rule = if status == "missing" { "credential-missing" } else { status };
            assert_eq!(rules, [rule, "retire-due"]);
        }
    }
}
