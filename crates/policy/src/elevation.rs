//! Scopes that an integration may have for a while, whenever somebody asks: what may be asked for, how
//! long it lasts, and what of that which is live is such a while.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Now, Scope, Span};
use jiff::{SignedDuration, Timestamp};

use crate::{
    change::impact::Level,
    schedule::later,
    scopes::{Declared, Lattice, Temporary, canonical, canonical_set},
};

/// Whose approval it takes to be given a scope that may be asked for. In order: the least first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Approval {
    /// Nobody's any more: who approved the declaration approved it.
    Declared,
    /// As much as the change comes to by the rules, and never less than a change of this level.
    AtLeast(Level),
}

impl Approval {
    /// Reads the word; what is left out leaves it to the rules.
    ///
    /// # Errors
    ///
    /// What is expected.
    pub fn from_word(word: Option<&str>) -> Result<Approval, String> {
        match word {
            None => Ok(Approval::AtLeast(Level::Low)),
            Some("none") => Ok(Approval::Declared),
            Some(word) => Level::from_word(word)
                .map(Approval::AtLeast)
                .ok_or_else(|| "one of: none, low, medium, high, critical".to_owned()),
        }
    }

    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Approval::Declared => "none",
            Approval::AtLeast(level) => level.as_str(),
        }
    }
}

/// What may be asked for of one scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct OnRequest {
    /// The longest that it lasts.
    pub longest: Span,
    /// Whose approval it takes.
    pub approval: Approval,
}

/// What somebody asks for, held against what is declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Wanted {
    /// The entry that covers it, as it is spelled.
    pub entry: String,
    /// What is to be had, canonical.
    pub scopes: BTreeSet<Scope>,
    /// Whose approval it takes.
    pub approval: Approval,
}

/// Why something may not be asked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Refused {
    /// It is outside the platform's grammar.
    Grammar,
    /// It is declared already, for good or for a time of its own.
    Declared,
    /// No entry covers it.
    NotListed,
    /// Every entry that covers it is shorter; so long is the longest.
    TooLong(Span),
}

/// So much further than the longest of an entry an end may be by our clock: who gave it went by another one.
const CLOCKS: SignedDuration = Now::FURTHEST;

/// The entries that cover all of these.
fn covering<'a>(
    lattice: &'a dyn Lattice,
    on_request: &'a BTreeMap<String, OnRequest>,
    scopes: &'a BTreeSet<Scope>,
) -> impl Iterator<Item = (&'a String, &'a OnRequest)> {
    on_request.iter().filter(move |(text, _)| {
        let all: BTreeSet<Scope> = canonical(lattice, text).into_iter().collect();
        scopes.is_subset(&all)
    })
}

/// Whether an entry covers this text, whatever its time.
pub fn is_listed(
    lattice: &dyn Lattice,
    on_request: &BTreeMap<String, OnRequest>,
    text: &str,
) -> bool {
    let scopes = canonical(lattice, text).into_iter().collect();
    covering(lattice, on_request, &scopes).next().is_some()
}

/// What is declared for good or for a time of its own.
fn declared_otherwise(lattice: &dyn Lattice, declared: &Declared) -> BTreeSet<Scope> {
    canonical_set(lattice, declared.scopes.iter().chain(declared.temporary.keys()))
}

/// Whether somebody may have this scope for so long.
///
/// # Errors
///
/// Why not.
pub fn may_have(
    lattice: &dyn Lattice,
    declared: &Declared,
    text: &str,
    span: Span,
) -> Result<Wanted, Refused> {
    let scopes = lattice.parse(text).filter(|all| !all.is_empty()).ok_or(Refused::Grammar)?;
    let scopes: BTreeSet<Scope> = scopes.into_iter().collect();
    if !declared_otherwise(lattice, declared).is_disjoint(&scopes) {
        return Err(Refused::Declared);
    }
    let all: Vec<_> = covering(lattice, &declared.on_request, &scopes).collect();
    let longest = all.iter().map(|(_, one)| one.longest).max().ok_or(Refused::NotListed)?;
    // Of several that would do the one that asks least has been agreed to as well.
    let fits = all.into_iter().filter(|(_, one)| span <= one.longest);
    let (entry, one) = fits.min_by_key(|(_, one)| one.approval).ok_or(Refused::TooLong(longest))?;
    let (entry, approval) = (entry.clone(), one.approval);
    Ok(Wanted { entry, scopes, approval })
}

/// Of what was given for a while that which still is: an entry covers it, its end is to come by some
/// clock, and no further away than the entry allows.
pub fn running(
    lattice: &dyn Lattice,
    declared: &Declared,
    given: &BTreeMap<Scope, Timestamp>,
    now: Now,
) -> BTreeMap<Scope, Timestamp> {
    let otherwise = declared_otherwise(lattice, declared);
    let is_running = |(scope, until): &(&Scope, &Timestamp)| {
        let alone = BTreeSet::from([(*scope).clone()]);
        let within = |one: &OnRequest| {
            let furthest = later(now.hi, one.longest);
            **until <= furthest.checked_add(CLOCKS).unwrap_or(furthest)
        };
        **until > now.lo
            && !otherwise.contains(*scope)
            && covering(lattice, &declared.on_request, &alone).any(|(_, one)| within(one))
    };
    let all = given.iter().filter(is_running);
    all.map(|(scope, until)| (scope.clone(), *until)).collect()
}

/// What was given for a while and is over by every clock, and is declared in no other way.
pub fn over(
    lattice: &dyn Lattice,
    declared: &Declared,
    given: &BTreeMap<Scope, Timestamp>,
    now: Now,
) -> BTreeMap<Scope, Timestamp> {
    let otherwise = declared_otherwise(lattice, declared);
    let all = given.iter().filter(|(scope, until)| **until <= now.lo && !otherwise.contains(scope));
    all.map(|(scope, until)| (scope.clone(), *until)).collect()
}

/// The declaration with what was given for a while among what is for a time.
pub fn with_given<'a>(
    declared: &Declared,
    given: impl IntoIterator<Item = (&'a Scope, &'a Timestamp)>,
) -> Declared {
    let mut declared = declared.clone();
    for (scope, until) in given {
        let one = Temporary { from: None, until: *until };
        declared.temporary.entry(scope.as_str().to_owned()).or_insert(one);
    }
    declared
}

#[cfg(test)]
mod tests {
    use domain::{Action, Direction};

    use super::*;

    /// `a:write` is sugar for three.
    struct Sugar;

    impl Lattice for Sugar {
        fn parse(&self, text: &str) -> Option<Vec<Scope>> {
            let (path, word) = text.split_once(':')?;
            let words: &[&str] = match word {
                "write" => &["create", "patch", "update"],
                word => &[word],
            };
            Some(words.iter().map(|word| Scope::canonical(format!("{path}:{word}"))).collect())
        }

        fn implies(&self, _: &Scope, _: &Scope) -> bool {
            false
        }

        fn covers(&self, _: &BTreeSet<Scope>, _: &Scope, _: &BTreeSet<Scope>) -> bool {
            false
        }

        fn action(&self, _: &Scope) -> Action {
            Action::Write
        }

        fn direction(&self, before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
            Direction::by_difference(before, after, |_, _| false)
        }
    }

    fn declared() -> Declared {
        let entry = |minutes: u64, word: Option<&str>| OnRequest {
            longest: Span::from_secs(minutes * 60),
            approval: Approval::from_word(word).unwrap(),
        };
        let text = str::to_owned;
        Declared {
            scopes: [text("a:read")].into(),
            on_request: [
                (text("a:write"), entry(60, Some("none"))),
                (text("a:update"), entry(120, Some("high"))),
                (text("b:read"), entry(30, None)),
            ]
            .into(),
            ..Declared::default()
        }
    }

    fn at(minutes: i64) -> Timestamp {
        Timestamp::from_second(1_795_500_000 + minutes * 60).unwrap()
    }

    fn now(minutes: i64) -> Now {
        Now { lo: at(minutes), hi: at(minutes) }
    }

    fn ask(text: &str, minutes: u64) -> Result<Approval, Refused> {
        let span = Span::from_secs(minutes * 60);
        may_have(&Sugar, &declared(), text, span).map(|wanted| wanted.approval)
    }

    #[test]
    fn only_what_an_entry_covers_may_be_asked_for_and_no_longer_than_it_says() {
        assert_eq!(ask("a:write", 60), Ok(Approval::Declared));
        assert_eq!(ask("a:create", 60), Ok(Approval::Declared), "a part of an entry");
        assert_eq!(ask("a:write", 61), Err(Refused::TooLong(Span::from_secs(3600))));
        // Two entries cover it: the longer one asks for more.
        assert_eq!(ask("a:update", 60), Ok(Approval::Declared));
        assert_eq!(ask("a:update", 90), Ok(Approval::AtLeast(Level::High)));
        assert_eq!(ask("b:read", 30), Ok(Approval::AtLeast(Level::Low)));
        assert_eq!(ask("b:write", 30), Err(Refused::NotListed));
        assert_eq!(ask("a:read", 1), Err(Refused::Declared));
        assert_eq!(ask("nonsense", 1), Err(Refused::Grammar));
    }

    #[test]
    fn no_approval_is_less_than_any() {
        let word = |word| Approval::from_word(word).unwrap();
        assert!(word(Some("none")) < word(None));
        assert_eq!(word(None), word(Some("low")));
        assert!(word(None) < word(Some("medium")) && word(Some("high")) < word(Some("critical")));
        assert!(Approval::from_word(Some("owner")).is_err());
    }

    #[test]
    fn what_was_given_runs_until_its_end_and_never_longer_than_an_entry_allows() {
        let scope = |text: &str| Scope::canonical(text);
        let given = BTreeMap::from([
            (scope("a:create"), at(60)),
            // Whoever wrote this wanted more than was ever declared.
            (scope("b:read"), at(600)),
            // No entry covers it, and what is declared for good is no while.
            (scope("c:read"), at(10)),
            (scope("a:read"), at(10)),
        ]);
        let names = |all: BTreeMap<Scope, Timestamp>| {
            all.into_keys().map(|scope| scope.as_str().to_owned()).collect::<Vec<_>>()
        };
        assert_eq!(names(running(&Sugar, &declared(), &given, now(0))), ["a:create"]);
        assert_eq!(names(running(&Sugar, &declared(), &given, now(59))), ["a:create"]);
        assert!(running(&Sugar, &declared(), &given, now(60)).is_empty(), "its time is over");
        assert_eq!(names(over(&Sugar, &declared(), &given, now(60))), ["a:create", "c:read"]);
        // While clocks disagree about the end it runs, and is not over.
        let unsure = Now { lo: at(58), hi: at(62) };
        assert_eq!(names(running(&Sugar, &declared(), &given, unsure)), ["a:create"]);
        assert_eq!(names(over(&Sugar, &declared(), &given, unsure)), ["c:read"]);
        // What is declared no more runs no more.
        let none = Declared { on_request: BTreeMap::new(), ..declared() };
        assert!(running(&Sugar, &none, &given, now(0)).is_empty());
    }
}
