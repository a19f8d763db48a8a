//! What a directory's word on an owner means.

use super::{Finding, Verdict, found, owner_inactive, owner_left, owner_moved};

/// What a directory's word on an owner means; `owns` are integrations that name them.
pub fn owner(id: &str, status: &str, since: Option<&str>, owns: &[String]) -> Option<Finding> {
    let rule = match status {
        "left" => &owner_left::RULE,
        "inactive" => &owner_inactive::RULE,
        "moved" => &owner_moved::RULE,
        _ => return None,
    };
    let since = since.map(|day| format!(" since {day}")).unwrap_or_default();
    let next = if owns.is_empty() {
        "nothing that is declared here is theirs: remove this nhi_owner".to_owned()
    } else {
        format!("name another owner of {}", owns.join(", "))
    };
    Some(Finding {
        expected: "active".into(),
        actual: format!("{status}{since}"),
        why: next,
        ..found(rule, id, "status", Verdict::Changed)
    })
}

#[cfg(test)]
mod tests {
    use super::{super::Condition, *};

    #[test]
    fn who_left_is_out_of_policy_and_names_what_is_left_without_an_owner() {
        let owns = ["bao/openbao_approle/x".to_owned()];
        let one = owner("owner/ann", "left", Some("2026-11-01"), &owns).unwrap();
        assert_eq!((one.condition, one.rule), (Condition::Policy, "owner-left"));
        assert!(one.why.contains("bao/openbao_approle/x"));
        assert_eq!(owner("owner/ann", "active", None, &owns), None);
        let of_nothing = owner("owner/ann", "left", None, &[]).unwrap();
        assert!(of_nothing.why.contains("remove this nhi_owner"), "{}", of_nothing.why);
    }
}
