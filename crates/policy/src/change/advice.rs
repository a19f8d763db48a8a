//! What is odd in how changes are reviewed: what nobody could meet, and what means nothing.

use std::collections::BTreeSet;

use domain::{Now, Span};

use super::{
    Action,
    freeze::When as Frozen,
    impact::{Level, When},
    projection,
    quorum::{OWNER, Presence, Quorum},
    review::Review,
};

/// How much something odd matters, lightest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Weight {
    /// It works, and perhaps otherwise than meant.
    Odd,
    /// It cannot work: somebody would be stopped who should not be.
    Stuck,
}

impl Weight {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Weight::Odd => "odd",
            Weight::Stuck => "stuck",
        }
    }
}

/// Something odd.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Advice {
    /// How much it matters.
    pub weight: Weight,
    /// The members that lead to where it stands, below `review`.
    pub at: Vec<String>,
    /// What is odd, in a sentence.
    pub text: String,
}

/// A key of somebody who may sign.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Key {
    /// Where it stands, for people.
    pub place: String,
    /// Whose it is; of an authority these may be patterns.
    pub principals: Vec<String>,
    /// It is in a device that somebody touches; what an authority certifies is not known.
    pub is_hardware: Option<bool>,
    /// It counts no more: its time is over, or it was taken back.
    pub is_over: bool,
}

impl Key {
    fn is_of(&self, person: &str) -> bool {
        self.principals.iter().any(|one| crate::waiver::matches(one, person))
    }

    fn shows(&self, presence: Presence) -> bool {
        presence == Presence::Key || self.is_hardware != Some(false)
    }
}

/// Longer than this an approval outlives what people remember of it.
const LONG: Span = Span::from_secs(31 * 86_400);

/// Everything that is odd, worst first.
pub fn advice(
    review: &Review,
    keys: &[Key],
    environments: &BTreeSet<String>,
    now: Now,
) -> Vec<Advice> {
    let mut found = Found { review, keys, all: Vec::new() };
    for level in Level::ALL {
        found.of_level(level);
    }
    found.of_the_policy_itself();
    found.of_people();
    for (index, rule) in review.own_rules().iter().enumerate() {
        if let Some(why) = never_holds(&rule.when, environments) {
            let text = format!("this rule never holds: {why}");
            found.add(Weight::Odd, &["impact", &index.to_string(), "when"], text);
        } else if rule.level == Level::Low {
            let text = "a rule raises a level, and none is below \"low\"".to_owned();
            found.add(Weight::Odd, &["impact", &index.to_string(), "level"], text);
        }
    }
    for (index, freeze) in review.freezes.iter().enumerate() {
        let index = index.to_string();
        if matches!(freeze.when, Frozen::Once { until, .. } if now.is_past(until)) {
            found.add(Weight::Odd, &["freeze", &index], "this time is over".to_owned());
        }
        if freeze.but.len() == Level::ALL.len() {
            let text = "every level is let pass, so that nothing is frozen".to_owned();
            found.add(Weight::Odd, &["freeze", &index, "but"], text);
        }
    }
    let mut all = found.all;
    all.sort_by(|a, b| (b.weight, &a.at, &a.text).cmp(&(a.weight, &b.at, &b.text)));
    all
}

struct Found<'a> {
    review: &'a Review,
    keys: &'a [Key],
    all: Vec<Advice>,
}

impl Found<'_> {
    fn add(&mut self, weight: Weight, at: &[&str], text: String) {
        let at = at.iter().map(|step| (*step).to_owned()).collect();
        self.all.push(Advice { weight, at, text });
    }

    fn can_sign(&self, person: &str, presence: Presence) -> bool {
        self.keys.iter().any(|key| !key.is_over && key.is_of(person) && key.shows(presence))
    }

    /// Who of a role could sign with such a key.
    fn able(&self, role: &str, presence: Presence) -> BTreeSet<&str> {
        let people = self.review.board.roles.get(role).into_iter().flatten();
        people.map(String::as_str).filter(|who| self.can_sign(who, presence)).collect()
    }

    fn of_level(&mut self, level: Level) {
        let board = &self.review.board;
        let word = level.as_str();
        let Some(quorum) = board.quorum.get(&level) else {
            let text = match board.quorum.range(level..).next() {
                Some((next, _)) => format!(
                    "{word:?} is not named: it needs what {next:?} does",
                    next = next.as_str()
                ),
                None => match board.quorum.last_key_value() {
                    Some((last, _)) => {
                        format!(
                            "{word:?} is not named: it needs what {last:?} does, and somebody at least",
                            last = last.as_str()
                        )
                    }
                    None => {
                        return self.add(
                            Weight::Stuck,
                            &["quorum"],
                            "no level is named, so that nothing could ever be approved".to_owned(),
                        );
                    }
                },
            };
            return self.add(Weight::Odd, &["quorum"], text);
        };
        let quorum = quorum.clone();
        let at = ["quorum", word];
        if quorum.longest > LONG {
            let text = format!(
                "an approval that holds for {} outlives what people know of it",
                quorum.longest
            );
            self.add(Weight::Odd, &[at[0], at[1], "longest"], text);
        }
        if quorum.people == 0 {
            if level >= Level::High {
                self.add(
                    Weight::Odd,
                    &[at[0], at[1], "people"],
                    "nobody is asked of what matters much".to_owned(),
                );
            }
            return;
        }
        for (member, roles) in [("roles", &quorum.roles), ("each", &quorum.each)] {
            for role in roles.iter().filter(|role| *role != OWNER) {
                if !self.review.board.roles.contains_key(role) {
                    let text = format!("nobody has the role {role:?}: it is not in roles");
                    self.add(Weight::Stuck, &[at[0], at[1], member], text);
                } else if member == "each" && self.able(role, quorum.presence).is_empty() {
                    let text = format!(
                        "nobody of the role {role:?} has {}",
                        key_in_words(quorum.presence)
                    );
                    self.add(Weight::Stuck, &[at[0], at[1], member], text);
                }
            }
        }
        self.of_number(level, &quorum);
    }

    /// Whether there are as many people as a level asks for.
    fn of_number(&mut self, level: Level, quorum: &Quorum) {
        let asked: BTreeSet<&str> = match quorum.roles.is_empty() {
            true => self.review.board.roles.keys().map(String::as_str).chain([OWNER]).collect(),
            false => quorum.roles.iter().chain(&quorum.each).map(String::as_str).collect(),
        };
        let of_roles: BTreeSet<&str> = asked
            .iter()
            .filter(|role| **role != OWNER)
            .flat_map(|role| self.able(role, quorum.presence))
            .collect();
        // Of owners those of one object alone can sign: the best case is told.
        let owners = self.review.owners.values().filter(|_| asked.contains(OWNER));
        let most = owners
            .map(|people| {
                let able = people.iter().map(String::as_str);
                able.filter(|who| self.can_sign(who, quorum.presence))
                    .chain(of_roles.iter().copied())
                    .collect::<BTreeSet<_>>()
                    .len()
            })
            .max()
            .unwrap_or_default()
            .max(of_roles.len());
        let (needed, word) = (quorum.people, level.as_str());
        let with = key_in_words(quorum.presence);
        let at = ["quorum", word, "people"];
        if most < needed {
            let text = format!("{needed} are asked for, and {most} could sign with {with}");
            self.add(Weight::Stuck, &at, text);
        } else if most == needed {
            let text = format!(
                "{needed} are asked for, and no more than {most} could sign with {with}: where one of them \
                 asks for the change, or nobody knows who asks, it is one too few"
            );
            self.add(Weight::Odd, &at, text);
        }
    }

    /// Whether the policy itself could follow another one: its change is critical, and it has no owner.
    fn of_the_policy_itself(&mut self) {
        let board = &self.review.board;
        let Some((level, quorum)) =
            board.quorum.range(Level::Critical..).next().or_else(|| board.quorum.last_key_value())
        else {
            return;
        };
        let (word, quorum) = (level.as_str(), quorum.clone());
        let named: BTreeSet<&String> = match quorum.roles.is_empty() {
            true => board.roles.keys().collect(),
            false => {
                quorum.roles.iter().chain(&quorum.each).filter(|role| *role != OWNER).collect()
            }
        };
        let able: BTreeSet<&str> =
            named.into_iter().flat_map(|role| self.able(role, quorum.presence)).collect();
        let needed = quorum.people.max(1);
        if able.len() < needed {
            let text = format!(
                "a change of the policy needs {needed} of those who sign for {word:?}, and {} could: it has \
                 no owner who could be one of them, so that nobody could ever change it",
                able.len()
            );
            self.add(Weight::Stuck, &["quorum", word], text);
        } else if needed == 1 {
            let text =
                "one person alone can change the policy, and with it who is asked".to_owned();
            self.add(Weight::Odd, &["quorum", word, "people"], text);
        }
    }

    /// Who is named and cannot sign, and who can and is not named.
    fn of_people(&mut self) {
        let review = self.review;
        let mut named: BTreeSet<&str> = BTreeSet::new();
        for (member, all) in [("roles", &review.board.roles), ("owners", &review.owners)] {
            for (name, people) in all {
                if people.is_empty() {
                    self.add(Weight::Odd, &[member, name], "nobody is named".to_owned());
                }
                for person in people {
                    named.insert(person);
                    let mine: Vec<&Key> =
                        self.keys.iter().filter(|key| key.is_of(person)).collect();
                    let text = match mine.iter().find(|key| !key.is_over) {
                        Some(_) => continue,
                        None if mine.is_empty() => {
                            format!("{person} has no key in {}", review.signers)
                        }
                        None => format!("every key of {person} in {} is over", review.signers),
                    };
                    self.add(Weight::Odd, &[member, name], text);
                }
            }
        }
        if let Some(glass) = &review.board.break_glass {
            for person in &glass.people {
                named.insert(person);
                if !self.can_sign(person, glass.presence) {
                    let with = key_in_words(glass.presence);
                    let text =
                        format!("{person} could not go ahead alone: they do not have {with}");
                    self.add(Weight::Stuck, &["break_glass", "people"], text);
                }
            }
        }
        for key in self.keys {
            let is_named = named.iter().any(|person| key.is_of(person));
            let who = key.principals.join(", ");
            if !is_named {
                let text = format!("{}: {who} has no role and speaks for no owner", key.place);
                self.add(Weight::Odd, &["signers"], text);
            } else if key.is_over {
                let text = format!("{}: the key of {who} counts no more", key.place);
                self.add(Weight::Odd, &["signers"], text);
            }
        }
    }
}

/// A key, as people say it.
pub fn key_in_words(presence: Presence) -> &'static str {
    match presence {
        Presence::Key => "a key that counts",
        Presence::Touched => "a hardware key",
        Presence::Verified => "a hardware key that asks who uses it",
    }
}

/// How things run, as resources say it.
const MODES: [&str; 4] = ["batch", "human_in_the_loop", "autonomous", "agent"];

/// Why a rule can see nothing.
fn never_holds(when: &When, environments: &BTreeSet<String>) -> Option<String> {
    let strange = |of: &BTreeSet<String>, known: &dyn Fn(&str) -> bool| {
        let strange: Vec<&str> = of.iter().map(String::as_str).filter(|one| !known(one)).collect();
        (!of.is_empty() && strange.len() == of.len()).then(|| strange.join(", "))
    };
    if let Some(kinds) = strange(&when.kinds, &|one| projection::KINDS.contains(&one)) {
        let known = projection::KINDS.join(", ");
        return Some(format!("{kinds} is no governed resource type; those are {known}"));
    }
    if let Some(modes) = strange(&when.execution_modes, &|one| MODES.contains(&one)) {
        return Some(format!("{modes} is no way to run; those are {}", MODES.join(", ")));
    }
    let is_known = |one: &str| environments.is_empty() || environments.contains(one);
    if let Some(found) = strange(&when.environments, &is_known) {
        return Some(format!("{found} is none of the environments that this policy allows"));
    }
    let only = |deeds: &[Action]| {
        !when.deeds.is_empty() && when.deeds.iter().all(|deed| deeds.contains(deed))
    };
    if when.widens == Some(true) && only(&[Action::Delete, Action::Forget]) {
        return Some("what ends or is left alone gives no power".to_owned());
    }
    let owned = ["nhi_integration", "nhi_owner"];
    let of_others =
        !when.kinds.is_empty() && !when.kinds.iter().any(|kind| owned.contains(&kind.as_str()));
    if when.removes_owner == Some(true) && of_others {
        return Some("owners stand on nhi_integration and nhi_owner alone".to_owned());
    }
    if when.takes_last_credential == Some(true) && only(&[Action::Create, Action::Adopt]) {
        return Some("what is made takes no credential".to_owned());
    }
    None
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::{super::impact::Rule, *};
    use crate::change::{
        freeze::Freeze,
        quorum::{Board, BreakGlass},
        standing::Class,
    };

    fn names(all: &[&str]) -> BTreeSet<String> {
        all.iter().map(|one| (*one).to_owned()).collect()
    }

    fn review() -> Review {
        Review {
            version: 1,
            domain: "acme.example".into(),
            signers: "allowed_signers".into(),
            revoked: None,
            approvals: "approvals".into(),
            board: Board {
                break_glass: None,
                quorum: Review::usual_quorum(),
                roles: [("security".to_owned(), names(&["ann", "bo", "sam"]))].into(),
            },
            owners: BTreeMap::new(),
            rules: Review::usual_rules(),
            usual_impact: true,
            freezes: Vec::new(),
            standing: Class::usual(),
            requesters: BTreeMap::new(),
        }
    }

    fn key(who: &str) -> Key {
        Key {
            place: "line 1".into(),
            principals: vec![who.to_owned()],
            is_hardware: Some(false),
            is_over: false,
        }
    }

    fn told(review: &Review, keys: &[Key]) -> Vec<String> {
        let now = "2027-01-10T12:00:00Z".parse::<jiff::Timestamp>().unwrap();
        let found = advice(review, keys, &names(&["production", "test"]), now.into());
        let one =
            |one: Advice| format!("{} {}: {}", one.weight.as_str(), one.at.join("."), one.text);
        found.into_iter().map(one).collect()
    }

    fn all() -> [Key; 3] {
        ["ann", "bo", "sam"].map(key)
    }

    #[test]
    fn what_is_usual_with_three_people_who_can_sign_is_not_odd() {
        assert_eq!(told(&review(), &all()), Vec::<String>::new());
    }

    #[test]
    fn a_quorum_that_nobody_can_reach_is_told_first() {
        let expect = |review: &Review, keys: &[Key], text: &str| {
            let found = told(review, keys);
            assert!(found.iter().any(|one| one.contains(text)), "{text}: {found:#?}");
            found
        };
        let found = expect(
            &review(),
            &all()[..1],
            "stuck quorum.high.people: 2 are asked for, and 1 could",
        );
        assert!(found[0].starts_with("stuck"), "{found:#?}");
        expect(&review(), &all()[..1], "stuck quorum.critical: a change of the policy needs 2");
        expect(
            &review(),
            &all()[..2],
            "odd quorum.high.people: 2 are asked for, and no more than 2",
        );
        expect(&review(), &all()[..2], "sam has no key");
        let mut hardware = review();
        let critical = hardware.board.quorum.get_mut(&Level::Critical).unwrap();
        critical.presence = Presence::Verified;
        expect(&hardware, &all(), "0 could sign with a hardware key that asks");
        let mut nobody = review();
        let high = nobody.board.quorum.get_mut(&Level::High).unwrap();
        (high.roles, high.each) = (names(&["owner", "data"]), names(&["board"]));
        expect(&nobody, &all(), "stuck quorum.high.roles: nobody has the role \"data\"");
        expect(&nobody, &all(), "stuck quorum.high.each: nobody has the role \"board\"");
        let mut glass = review();
        glass.board.break_glass = Some(BreakGlass {
            people: names(&["sam", "eve"]),
            presence: Presence::Touched,
            longest: Span::from_secs(3600),
            changes: 1,
            review_within: Span::from_secs(86_400),
        });
        expect(&glass, &all(), "stuck break_glass.people: sam could not go ahead alone");
        expect(&glass, &all(), "stuck break_glass.people: eve could not go ahead alone");
        let mut over = all();
        over[0].is_over = true;
        expect(&review(), &over, "every key of ann in allowed_signers is over");
        let mut none = review();
        none.board.quorum.clear();
        expect(&none, &all(), "stuck quorum: no level is named");
    }

    #[test]
    fn owners_of_one_object_count_together_with_roles_and_none_of_them_for_the_policy() {
        let mut review = review();
        review.board.roles = [("security".to_owned(), names(&["sam"]))].into();
        review.owners =
            [("a".to_owned(), names(&["ann"])), ("b".to_owned(), names(&["bo", "sam"]))].into();
        let found = told(&review, &all());
        assert!(
            found
                .iter()
                .any(|one| one.contains("quorum.high.people: 2 are asked for, and no more")),
            "{found:#?}"
        );
        assert!(!found.iter().any(|one| one.starts_with("stuck quorum.high")), "{found:#?}");
        assert!(
            found.iter().any(|one| one.contains("no owner who could be one of them")),
            "{found:#?}"
        );
    }

    #[test]
    fn what_means_nothing_is_named_where_it_stands() {
        let mut review = review();
        let rule = |when: When, level| Rule { when, level, why: "w".into() };
        let some = |word: &str| names(&[word]);
        review.rules = vec![
            rule(When { kinds: some("nhi_scopes"), ..When::default() }, Level::High),
            rule(When { environments: some("prod"), ..When::default() }, Level::High),
            rule(When { execution_modes: some("robot"), ..When::default() }, Level::High),
            rule(
                When { widens: Some(true), deeds: [Action::Delete].into(), ..When::default() },
                Level::High,
            ),
            rule(When::default(), Level::Low),
            rule(When { environments: some("production"), ..When::default() }, Level::High),
        ];
        review.usual_impact = false;
        let at = |text: &str| text.parse().unwrap();
        let when =
            Frozen::Once { from: at("2026-12-20T00:00:00Z"), until: at("2027-01-03T00:00:00Z") };
        review.freezes = vec![Freeze { when, reason: "r".into(), but: Level::ALL.into() }];
        let found = told(&review, &all());
        for index in 0..5 {
            let place = format!("odd impact.{index}.");
            assert!(found.iter().any(|one| one.starts_with(&place)), "{place} {found:#?}");
        }
        assert!(!found.iter().any(|one| one.contains("impact.5")), "{found:#?}");
        assert!(found.iter().any(|one| one == "odd freeze.0: this time is over"), "{found:#?}");
        assert!(found.iter().any(|one| one.starts_with("odd freeze.0.but")), "{found:#?}");
        let found = told(&review, &[&all()[..], &[key("eve")]].concat());
        assert!(found.iter().any(|one| one.contains("eve has no role")), "{found:#?}");
    }
}
