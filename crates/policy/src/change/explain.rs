//! How changes are reviewed, in words for who reads no HCL.

use super::{
    freeze::{Freeze, When as Frozen},
    impact::{Level, Rule, When},
    quorum::{Presence, Quorum},
    review::Review,
    standing::Class,
};

/// The quorum that holds of a level: its own, or that which stands in for it.
pub fn quorum_of(review: &Review, level: Level) -> Option<(Level, &Quorum)> {
    let all = &review.board.quorum;
    let found = all.range(level..).next().or_else(|| all.last_key_value());
    found.map(|(level, quorum)| (*level, quorum))
}

/// What a level needs, in a sentence.
pub fn needs(review: &Review, level: Level) -> String {
    let Some((of, quorum)) = quorum_of(review, level) else {
        return "The policy names nobody, so that nothing can be approved.".to_owned();
    };
    let people = if of < level { quorum.people.max(1) } else { quorum.people };
    if people == 0 {
        return "Nobody needs to sign. That it was done is written down.".to_owned();
    }
    let mut text = match people {
        1 => "1 person must sign".to_owned(),
        people => format!("{people} different people must sign"),
    };
    if !quorum.roles.is_empty() {
        let roles: Vec<&str> = quorum.roles.union(&quorum.each).map(String::as_str).collect();
        text.push_str(&format!(", each as {}", roles.join(" or ")));
    }
    if !quorum.each.is_empty() {
        let each: Vec<&str> = quorum.each.iter().map(String::as_str).collect();
        text.push_str(&format!(", with {} among them", each.join(" and ")));
    }
    text.push_str(match quorum.presence {
        Presence::Key => "",
        Presence::Touched => ", with a hardware key that they touch",
        Presence::Verified => ", with a hardware key that asks for a PIN or a finger",
    });
    format!(
        "{text}. Who asks for the change is none of them; where nobody has shown who asks, it takes {}. What \
         is signed holds for {} at most.",
        people + 1,
        quorum.longest
    )
}

/// What a rule sees, in words that follow the level.
pub fn rule(rule: &Rule) -> String {
    format!("{}, where {}", rule.why, seen(&rule.when))
}

fn seen(when: &When) -> String {
    let or = |all: &std::collections::BTreeSet<String>| {
        all.iter().map(String::as_str).collect::<Vec<_>>().join(" or ")
    };
    let mut parts = Vec::new();
    match when.widens {
        Some(true) => parts.push("it gives power or may".to_owned()),
        Some(false) => parts.push("it gives no power".to_owned()),
        None => {}
    }
    if !when.deeds.is_empty() {
        let deeds: Vec<&str> = when.deeds.iter().map(|deed| deed.as_str()).collect();
        parts.push(format!("what is done is: {}", deeds.join(" or ")));
    }
    if let Some(action) = when.action_at_least {
        parts.push(format!(
            "the most that it can do after it is {action} or above, or is not known"
        ));
    }
    if !when.environments.is_empty() {
        parts.push(format!("it runs in {}, or nobody has said where", or(&when.environments)));
    }
    if !when.execution_modes.is_empty() {
        parts.push(format!("it runs as {}", or(&when.execution_modes)));
    }
    if !when.kinds.is_empty() {
        parts.push(format!("it is a change of {}", or(&when.kinds)));
    }
    match when.takes_last_credential {
        Some(true) => parts.push("it takes the last credential".to_owned()),
        Some(false) => parts.push("a credential is left".to_owned()),
        None => {}
    }
    match when.removes_owner {
        Some(true) => parts.push("an owner goes and nobody comes".to_owned()),
        Some(false) => parts.push("no owner goes".to_owned()),
        None => {}
    }
    match parts.is_empty() {
        true => "it is any change".to_owned(),
        false => parts.join(", and "),
    }
}

/// Who may go ahead alone in an emergency, and what they owe for it; nothing where nobody may.
pub fn break_glass(review: &Review) -> Option<String> {
    let terms = review.board.break_glass.as_ref()?;
    let people: Vec<&str> = terms.people.iter().map(String::as_str).collect();
    let with = match terms.presence {
        Presence::Key => "",
        Presence::Touched => ", with a hardware key that they touch",
        Presence::Verified => ", with a hardware key that asks for a PIN or a finger",
    };
    Some(format!(
        "{} may go ahead alone{with}, for {} at most and {} at once. Each change must be reviewed within {} by \
         those who would have signed it.",
        people.join(" or "),
        terms.longest,
        match terms.changes {
            1 => "1 change".to_owned(),
            changes => format!("{changes} changes"),
        },
        terms.review_within
    ))
}

/// When it is frozen, why, and what goes on.
pub fn freeze(one: &Freeze) -> String {
    let when = match &one.when {
        Frozen::Once { from, until } => format!("From {from} until {until}"),
        Frozen::Weekly { windows, timezone } => {
            let each = windows.iter().map(|window| {
                let days: Vec<String> = window.days.iter().map(|day| format!("{day:?}")).collect();
                format!(
                    "{} from {} for {}",
                    days.join(", "),
                    window.start.strftime("%H:%M"),
                    window.length
                )
            });
            let zone = timezone.iana_name().unwrap_or("UTC");
            format!("Each {} ({zone})", each.collect::<Vec<_>>().join("; "))
        }
    };
    let but: Vec<&str> = one.but.iter().map(|level| level.as_str()).collect();
    let but = match but.is_empty() {
        true => "Nothing is changed then, but what takes power away.".to_owned(),
        false => format!(
            "Only changes of level {} are made then, and what takes power away.",
            but.join(" and ")
        ),
    };
    format!("{when}: {}. {but}", one.reason)
}

/// What is approved beforehand.
pub fn class(class: Class) -> &'static str {
    match class {
        Class::Narrowing => "What takes power away is done at once, and written down.",
        Class::Rotation => "A credential is issued anew when its schedule says so.",
        Class::Restore => {
            "What was taken by hand is given back, and nothing that the last approval did not give."
        }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::{BTreeMap, BTreeSet};

    use domain::{Action, Span};

    use super::*;
    use crate::change::quorum::{Board, BreakGlass};

    fn review(quorum: BTreeMap<Level, Quorum>) -> Review {
        Review {
            version: 1,
            domain: "acme.example".into(),
            signers: "allowed_signers".into(),
            revoked: None,
            approvals: "approvals".into(),
            board: Board { quorum, roles: BTreeMap::new(), break_glass: None },
            owners: BTreeMap::new(),
            rules: Vec::new(),
            usual_impact: false,
            freezes: Vec::new(),
            standing: Class::usual(),
            requesters: BTreeMap::new(),
        }
    }

    #[test]
    fn what_a_level_needs_is_told_as_it_is_judged() {
        let names = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect::<BTreeSet<_>>();
        let high = Quorum {
            people: 2,
            roles: names(&["owner"]),
            each: names(&["security"]),
            presence: Presence::Verified,
            longest: Span::from_secs(4 * 3600),
        };
        let low = Quorum { people: 0, ..Review::usual_quorum()[&Level::Low].clone() };
        let told = review([(Level::Low, low), (Level::High, high)].into());
        assert!(needs(&told, Level::Low).starts_with("Nobody needs to sign"));
        let text = needs(&told, Level::Medium);
        for part in [
            "2 different people",
            "as owner or security",
            "with security among them",
            "PIN",
            "takes 3",
            "4h",
        ] {
            assert!(text.contains(part), "{part}: {text}");
        }
        assert_eq!(break_glass(&told), None);
        let mut glass = told.clone();
        glass.board.break_glass = Some(BreakGlass {
            people: names(&["eve"]),
            presence: Presence::Touched,
            longest: Span::from_secs(3600),
            changes: 2,
            review_within: Span::from_secs(86_400),
        });
        let text = break_glass(&glass).unwrap();
        for part in ["eve may go ahead alone", "touch", "1h at most and 2 changes", "within 1d"] {
            assert!(text.contains(part), "{part}: {text}");
        }
        let mut open = told.clone();
        open.board.quorum.remove(&Level::High);
        assert!(needs(&open, Level::Critical).starts_with("1 person"), "somebody in any case");
        assert!(needs(&review(BTreeMap::new()), Level::Low).contains("names nobody"));
    }

    #[test]
    fn every_usual_rule_is_told_with_all_that_it_sees() {
        for one in Review::usual_rules() {
            let text = rule(&one);
            assert!(text.starts_with(&one.why) && !text.contains("any change"), "{text}");
            if let Some(action) = one.when.action_at_least {
                assert!(text.contains(&action.to_string()), "{text}");
            }
        }
        let any = Rule { when: When::default(), level: Level::High, why: "w".into() };
        assert_eq!(rule(&any), "w, where it is any change");
        assert!(
            seen(&When { action_at_least: Some(Action::Admin), ..When::default() })
                .contains("admin")
        );
    }
}
