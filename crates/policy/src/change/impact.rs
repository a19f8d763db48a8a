//! How much a change matters, and why: the highest level that any rule gives it.

use std::{collections::BTreeSet, fmt};

use domain::{Action, Direction};

use super::{Action as Deed, Change, Value};

/// How much a change matters, lowest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Level {
    /// It takes power away, or moves none.
    Low,
    /// It gives some.
    Medium,
    /// It gives much, or takes away what others rely on.
    High,
    /// It changes who may do what.
    Critical,
}

impl Level {
    /// Every level, lowest first.
    pub const ALL: [Level; 4] = [Level::Low, Level::Medium, Level::High, Level::Critical];

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Level::Low => "low",
            Level::Medium => "medium",
            Level::High => "high",
            Level::Critical => "critical",
        }
    }

    /// The level of this word.
    pub fn from_word(word: &str) -> Option<Level> {
        Level::ALL.into_iter().find(|level| level.as_str() == word)
    }

    /// One higher, up to the highest.
    #[must_use]
    pub fn raised(self) -> Level {
        Level::ALL.into_iter().find(|level| *level > self).unwrap_or(self)
    }
}

impl fmt::Display for Level {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

/// What is known of a change beside its record.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// Which way it goes, by the platform's own lattice.
    pub direction: Direction,
    /// The highest thing that can be done with it before; none where nothing is there or it is unknown.
    pub action_before: Option<Action>,
    /// The same after it.
    pub action_after: Option<Action>,
    /// Where it runs; none where nobody has said.
    pub environment: Option<String>,
    /// How it runs: `batch`, `human_in_the_loop`, `autonomous` or `agent`; none is judged as agent.
    pub execution_mode: Option<String>,
    /// It takes the last credential of something that lives on.
    pub takes_last_credential: bool,
    /// Somebody is no longer an owner, and nobody takes that place.
    pub removes_owner: bool,
}

/// When a rule of the policy holds. What is not said matches everything.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct When {
    /// It gives power, or may.
    pub widens: Option<bool>,
    /// What is done is one of these.
    pub deeds: BTreeSet<Deed>,
    /// The highest action after it is this or above; one that is not known is above all.
    pub action_at_least: Option<Action>,
    /// The environment is one of these; where nobody has said, it is each of them.
    pub environments: BTreeSet<String>,
    /// How it runs is one of these.
    pub execution_modes: BTreeSet<String>,
    /// The resource type is one of these.
    pub kinds: BTreeSet<String>,
    /// It takes the last credential.
    pub takes_last_credential: Option<bool>,
    /// An owner goes and nobody comes.
    pub removes_owner: Option<bool>,
}

/// One rule: what it sees, and how much that matters.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Rule {
    /// When it holds.
    pub when: When,
    /// What it makes of the change at least.
    pub level: Level,
    /// Why, in words that follow the level.
    pub why: String,
}

/// How much a change matters, and every reason for the highest level.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Impact {
    /// The level.
    pub level: Level,
    /// What made it so.
    pub reasons: Vec<String>,
}

impl When {
    /// Whether it holds of a change.
    pub fn holds(&self, change: &Change, facts: &Facts) -> bool {
        let is = |said: Option<bool>, value: bool| said.is_none_or(|said| said == value);
        let among = |set: &BTreeSet<String>, word: Option<&str>| {
            set.is_empty() || word.is_none_or(|word| set.contains(word))
        };
        let unknown = || if facts.direction.may_widen() { Action::Unknown } else { Action::None };
        is(self.widens, facts.direction.may_widen())
            && (self.deeds.is_empty() || self.deeds.contains(&change.action))
            && self
                .action_at_least
                .is_none_or(|least| facts.action_after.unwrap_or_else(unknown) >= least)
            && among(&self.environments, facts.environment.as_deref())
            && (self.execution_modes.is_empty()
                || self
                    .execution_modes
                    .contains(facts.execution_mode.as_deref().unwrap_or("agent")))
            && (self.kinds.is_empty() || self.kinds.contains(&change.kind))
            && is(self.takes_last_credential, facts.takes_last_credential)
            && is(self.removes_owner, facts.removes_owner)
    }
}

/// Judges a change by rules. Where no rule sees it, what widens is medium and anything else is low.
pub fn impact(change: &Change, facts: &Facts, rules: &[Rule]) -> Impact {
    let least = match facts.direction.may_widen() {
        true => (Level::Medium, format!("it {}", facts.direction)),
        false => (Level::Low, format!("it {}", facts.direction)),
    };
    let holding = rules.iter().filter(|rule| rule.when.holds(change, facts));
    let seen: Vec<(Level, String)> =
        holding.map(|rule| (rule.level, rule.why.clone())).chain([least]).collect();
    let level = seen.iter().map(|(level, _)| *level).max().unwrap_or(Level::Low);
    let reasons = seen.into_iter().filter(|(one, _)| *one == level).map(|(_, why)| why).collect();
    Impact { level, reasons }
}

/// What a small team can live with on the first day.
pub fn usual() -> Vec<Rule> {
    let widening = When { widens: Some(true), ..When::default() };
    let rule = |when, level, why: &str| Rule { when, level, why: why.to_owned() };
    vec![
        rule(
            When { action_at_least: Some(Action::Policy), ..widening.clone() },
            Level::Critical,
            "what it holds can change who may do what",
        ),
        rule(
            When { action_at_least: Some(Action::Secret), ..widening.clone() },
            Level::High,
            "what it holds can read secrets",
        ),
        rule(
            When {
                action_at_least: Some(Action::Write),
                environments: ["production".to_owned()].into(),
                ..widening.clone()
            },
            Level::High,
            "it gives power over production data",
        ),
        rule(
            When {
                execution_modes: ["autonomous", "agent"].map(str::to_owned).into(),
                action_at_least: Some(Action::Write),
                ..widening
            },
            Level::High,
            "nobody stands between it and what it does",
        ),
        rule(
            When { deeds: [Deed::Forget].into(), ..When::default() },
            Level::High,
            "it lives on and nobody manages it any more",
        ),
        rule(
            When { takes_last_credential: Some(true), ..When::default() },
            Level::High,
            "it takes the last credential of something that lives on",
        ),
        rule(
            When { removes_owner: Some(true), ..When::default() },
            Level::High,
            "somebody is no longer responsible and nobody takes that place",
        ),
        rule(
            When { deeds: [Deed::Replace].into(), ..When::default() },
            Level::Medium,
            "one thing ends and another takes its place",
        ),
    ]
}

/// Whether an owner goes and nobody comes, by the records alone.
pub fn removes_owner(change: &Change) -> bool {
    let owner = |value: &Value, who: &str| match value.member(who) {
        Value::Null => false,
        owner => *owner.member("id") != Value::Null,
    };
    match change.kind.as_str() {
        // What goes whole needs nobody.
        "nhi_integration" if change.after != Value::Null => ["business_owner", "technical_owner"]
            .iter()
            .any(|who| owner(&change.before, who) && !owner(&change.after, who)),
        // An owner who goes is named by nothing by then: that was a change of what named them.
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn change(action: Deed) -> Change {
        Change {
            tenant: "cluster-1".into(),
            kind: "nhi_scope".into(),
            object: "openbao_approle/x".into(),
            action,
            generation: 0,
            before: Value::map([]),
            after: Value::map([]),
        }
    }

    fn facts(direction: Direction, after: Option<Action>) -> Facts {
        Facts {
            direction,
            action_before: None,
            action_after: after,
            environment: Some("test".into()),
            execution_mode: Some("batch".into()),
            takes_last_credential: false,
            removes_owner: false,
        }
    }

    #[test]
    fn the_highest_level_that_any_rule_gives_is_said_with_all_its_reasons() {
        use Direction::{Mixed, Narrows, None as Same, Unknown, Widens};
        let production = |facts: Facts| Facts { environment: Some("production".into()), ..facts };
        let agent = |facts: Facts| Facts { execution_mode: None, ..facts };
        let of = |facts: Facts, action| impact(&change(action), &facts, &usual());
        for (facts, action, level) in [
            (facts(Narrows, Some(Action::Admin)), Deed::Update, Level::Low),
            (facts(Same, Some(Action::Read)), Deed::Rotate, Level::Low),
            (facts(Widens, Some(Action::Read)), Deed::Update, Level::Medium),
            (facts(Widens, Some(Action::Write)), Deed::Update, Level::Medium),
            (facts(Mixed, Some(Action::Policy)), Deed::Update, Level::Critical),
            (facts(Widens, Some(Action::Secret)), Deed::Create, Level::High),
            // What nobody knows is above everything, unless power shrinks.
            (facts(Widens, None), Deed::Update, Level::Critical),
            (facts(Unknown, None), Deed::Update, Level::Critical),
            (facts(Narrows, None), Deed::Update, Level::Low),
            (production(facts(Widens, Some(Action::Read))), Deed::Update, Level::Medium),
            (production(facts(Widens, Some(Action::Write))), Deed::Update, Level::High),
            (agent(facts(Widens, Some(Action::Write))), Deed::Update, Level::High),
            (facts(Narrows, None), Deed::Forget, Level::High),
            (facts(Same, None), Deed::Replace, Level::Medium),
        ] {
            let found = of(facts.clone(), action);
            assert_eq!(found.level, level, "{facts:?} {action} {:?}", found.reasons);
            assert!(!found.reasons.is_empty());
        }
        let both = agent(production(facts(Widens, Some(Action::Delete))));
        assert_eq!(of(both, Deed::Update).reasons.len(), 2);
    }

    #[test]
    fn where_nobody_says_where_it_runs_it_is_judged_as_in_each_environment() {
        let nowhere = Facts { environment: None, ..facts(Direction::Widens, Some(Action::Write)) };
        assert_eq!(impact(&change(Deed::Update), &nowhere, &usual()).level, Level::High);
    }

    #[test]
    fn an_owner_who_goes_and_is_followed_by_nobody_is_seen() {
        let owned = |who: &[&str]| {
            let owners = who.iter().map(|who| (*who, Value::map([("id", Value::text("owner/x"))])));
            Value::map(owners)
        };
        let change = |kind: &str, before: Value, after: Value| Change {
            kind: kind.into(),
            before,
            after,
            ..change(Deed::Update)
        };
        let both = || owned(&["business_owner", "technical_owner"]);
        for (one, removes) in [
            (change("nhi_integration", both(), both()), false),
            (change("nhi_integration", both(), owned(&["technical_owner"])), true),
            (change("nhi_integration", both(), Value::Null), false),
            (change("nhi_integration", Value::Null, both()), false),
            (change("nhi_owner", owned(&[]), Value::Null), false),
            (change("nhi_owner", Value::Null, owned(&[])), false),
            (change("nhi_scope", both(), owned(&[])), false),
        ] {
            assert_eq!(removes_owner(&one), removes, "{one:?}");
        }
    }
}
