//! What an integration may do, compared with what was declared.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Action, Direction, Scope};
use jiff::Timestamp;

use crate::elevation::OnRequest;

/// What one kind knows of its scopes.
pub trait Lattice {
    /// A text in canonical form; sugar may give several. `None` outside the grammar.
    fn parse(&self, text: &str) -> Option<Vec<Scope>>;
    /// Whether holding `a` adds all that `b` gives.
    fn implies(&self, a: &Scope, b: &Scope) -> bool;
    /// Whether a ceiling of these scopes leaves room for `scope`, with `beside` given at all times.
    fn covers(&self, ceiling: &BTreeSet<Scope>, scope: &Scope, beside: &BTreeSet<Scope>) -> bool;
    /// What a scope lets its holder do.
    fn action(&self, scope: &Scope) -> Action;
    /// Which way a change goes.
    fn direction(&self, before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction;
}

/// Which differences are drift.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Enforcement {
    /// All of them.
    Exact,
    /// Others may take away by hand.
    AtMost,
    /// Others may add by hand.
    AtLeast,
}

impl Enforcement {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Enforcement::Exact => "exact",
            Enforcement::AtMost => "at_most",
            Enforcement::AtLeast => "at_least",
        }
    }

    /// Reads the word; anything else is `exact`.
    pub fn from_word(word: &str) -> Enforcement {
        match word {
            "at_most" => Enforcement::AtMost,
            "at_least" => Enforcement::AtLeast,
            _ => Enforcement::Exact,
        }
    }
}

/// A scope for a time, as declared.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Temporary {
    /// From when; `None` is at once.
    pub from: Option<Timestamp>,
    /// Until when.
    pub until: Timestamp,
}

impl Temporary {
    /// Its status, given whether it is live now.
    pub fn status(&self, live: bool, now: Timestamp) -> &'static str {
        if now >= self.until {
            if live { "ending" } else { "ended" }
        } else if self.from.is_some_and(|from| now < from) {
            "scheduled"
        } else if live {
            "active"
        } else {
            "starting"
        }
    }

    /// Whether it is to be live now.
    pub fn holds(&self, now: Timestamp) -> bool {
        now < self.until && self.from.is_none_or(|from| now >= from)
    }
}

/// What is declared.
#[derive(Debug, Clone, Default)]
pub struct Declared {
    /// Standing scopes in the user's spelling.
    pub scopes: BTreeSet<String>,
    /// Temporary ones in the user's spelling.
    pub temporary: BTreeMap<String, Temporary>,
    /// What may be had for a while by asking, in the user's spelling.
    pub on_request: BTreeMap<String, OnRequest>,
}

/// What Read gives back.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Echo {
    /// Standing scopes: the user's spelling where it still holds, the canonical one for extras.
    pub scopes: BTreeSet<String>,
    /// Extras that are tolerated.
    pub undeclared: BTreeSet<String>,
    /// Temporary scopes that are live, in the user's spelling.
    pub elevated: BTreeSet<String>,
    /// Extras that are drift, canonical.
    pub extra: BTreeSet<String>,
    /// Declared ones that are gone, in the user's spelling.
    pub gone: BTreeSet<String>,
}

/// Canonical forms of a text; one that is outside the grammar stands for itself.
pub fn canonical(lattice: &dyn Lattice, text: &str) -> Vec<Scope> {
    lattice.parse(text).unwrap_or_else(|| vec![Scope::canonical(text)])
}

/// Canonical forms of several.
pub fn canonical_set<'a>(
    lattice: &dyn Lattice,
    texts: impl IntoIterator<Item = &'a String>,
) -> BTreeSet<Scope> {
    texts.into_iter().flat_map(|text| canonical(lattice, text)).collect()
}

/// Compares what is live with what is declared.
pub fn echo(
    lattice: &dyn Lattice,
    declared: &Declared,
    live: &BTreeSet<Scope>,
    enforcement: Enforcement,
) -> Echo {
    let covered = |by: &BTreeSet<Scope>, scope: &Scope| {
        by.iter().any(|held| held == scope || lattice.implies(held, scope))
    };
    let all_live =
        |text: &String| canonical(lattice, text).iter().all(|scope| covered(live, scope));
    let standing = canonical_set(lattice, &declared.scopes);
    let dated = canonical_set(lattice, declared.temporary.keys());
    let extra: BTreeSet<String> = live
        .iter()
        .filter(|scope| !covered(&standing, scope) && !dated.contains(*scope))
        .map(|scope| scope.as_str().to_owned())
        .collect();
    let gone: BTreeSet<String> =
        declared.scopes.iter().filter(|text| !all_live(text)).cloned().collect();
    let kept = || declared.scopes.difference(&gone).cloned().collect::<BTreeSet<String>>();
    let (scopes, undeclared) = match enforcement {
        Enforcement::Exact => (kept().union(&extra).cloned().collect(), BTreeSet::new()),
        Enforcement::AtMost => (declared.scopes.union(&extra).cloned().collect(), BTreeSet::new()),
        Enforcement::AtLeast => (kept(), extra.clone()),
    };
    let elevated = declared
        .temporary
        .keys()
        .filter(|text| canonical(lattice, text).iter().all(|scope| live.contains(scope)))
        .cloned()
        .collect();
    Echo { scopes, undeclared, elevated, extra, gone }
}

/// The highest action among scopes; `classify` says what single ones really hold.
pub fn highest_action<'a>(
    lattice: &dyn Lattice,
    texts: impl IntoIterator<Item = &'a String>,
    classify: &BTreeMap<String, Action>,
) -> Action {
    texts
        .into_iter()
        .map(|text| match classify.get(text) {
            Some(action) => *action,
            None => canonical(lattice, text)
                .iter()
                .map(|scope| lattice.action(scope))
                .max()
                .unwrap_or(Action::None),
        })
        .max()
        .unwrap_or(Action::None)
}

/// What a credential may do, beside what is granted to its integration.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Verified {
    /// The same.
    Equal,
    /// More.
    Wider,
    /// Less.
    Narrower,
    /// Its platform does not say, or not in words that are known.
    Unknown,
}

impl Verified {
    /// The word.
    pub fn as_str(self) -> &'static str {
        match self {
            Verified::Equal => "equal",
            Verified::Wider => "wider",
            Verified::Narrower => "narrower",
            Verified::Unknown => "unknown",
        }
    }
}

/// Compares what a sign-in showed that its holder may do with what is granted.
pub fn verified(
    lattice: &dyn Lattice,
    granted: &BTreeSet<Scope>,
    shown: Option<&BTreeSet<String>>,
) -> Verified {
    let parsed = shown.and_then(|shown| parsed(lattice, shown));
    let Some(shown) = parsed else { return Verified::Unknown };
    match lattice.direction(granted, &shown) {
        Direction::None => Verified::Equal,
        Direction::Narrows => Verified::Narrower,
        Direction::Widens | Direction::Mixed => Verified::Wider,
        Direction::Unknown => Verified::Unknown,
    }
}

/// Whether a new credential may do what the one that it follows may not, as far as both tell.
pub fn is_wider_than(
    lattice: &dyn Lattice,
    new: Option<&BTreeSet<String>>,
    old: Option<&BTreeSet<String>>,
) -> bool {
    let both =
        new.zip(old).and_then(|(new, old)| Some((parsed(lattice, new)?, parsed(lattice, old)?)));
    both.is_some_and(|(new, old)| {
        matches!(lattice.direction(&old, &new), Direction::Widens | Direction::Mixed)
    })
}

/// `None` where one is outside the grammar.
fn parsed(lattice: &dyn Lattice, texts: &BTreeSet<String>) -> Option<BTreeSet<Scope>> {
    let each: Option<Vec<Vec<Scope>>> = texts.iter().map(|text| lattice.parse(text)).collect();
    Some(each?.into_iter().flatten().collect())
}

/// The action of a ceiling. A word that is none limits nothing, so it is an error and never "no
/// limit"; `unknown` ranks above everything and would limit nothing either.
///
/// # Errors
///
/// The word, where it is no action that can be a limit.
pub fn limit(word: Option<&str>) -> Result<Option<Action>, &str> {
    let Some(word) = word else { return Ok(None) };
    match word.parse() {
        Ok(Action::Unknown) | Err(_) => Err(word),
        Ok(action) => Ok(Some(action)),
    }
}

/// Whether a scope reaches over more than one thing: a `*` in it, or a `+` as a whole segment.
pub fn is_wildcard(text: &str) -> bool {
    let path = text.rsplit_once(':').map_or(text, |(path, _)| path);
    text.contains('*') || path.split('/').any(|segment| segment == "+")
}

/// A scope that a ceiling does not let through, and which half of the ceiling it is above.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Above {
    /// In the user's spelling.
    pub scope: String,
    /// What it lets its holder do.
    pub action: Action,
    /// The ceiling's highest action, where it is above that.
    pub most: Option<Action>,
    /// No scope of the ceiling covers it.
    pub uncovered: bool,
}

impl Above {
    /// What of the ceiling it is above, for people.
    pub fn why(&self) -> String {
        let action = self.most.map(|most| {
            format!("lets it act as: {}, and ceiling.highest_action is {most}", self.action)
        });
        let scopes =
            self.uncovered.then(|| "is covered by none of the scopes in ceiling.scopes".to_owned());
        format!(
            "{:?} {}",
            self.scope,
            Vec::from_iter(action.into_iter().chain(scopes)).join("; it ")
        )
    }

    /// What helps.
    pub fn remedy(&self) -> &'static str {
        match (self.most, self.uncovered) {
            (Some(_), true) => {
                "drop the scope, or there raise ceiling.highest_action and add to ceiling.scopes one that \
                 covers it"
            }
            (Some(_), false) => "drop the scope, or raise ceiling.highest_action there",
            (None, _) => "drop the scope, or add one that covers it to ceiling.scopes there",
        }
    }
}

/// The scopes that a ceiling does not let through. `standing` are those of them that are given at all
/// times: what one of them takes away from another stays away.
pub fn above_ceiling(
    lattice: &dyn Lattice,
    texts: &BTreeSet<String>,
    standing: &BTreeSet<String>,
    classify: &BTreeMap<String, Action>,
    highest: Option<Action>,
    covering: Option<&BTreeSet<String>>,
) -> Vec<Above> {
    let covering = covering.map(|texts| canonical_set(lattice, texts));
    let beside = canonical_set(lattice, standing);
    texts
        .iter()
        .filter_map(|text| {
            let action = highest_action(lattice, [text], classify);
            let most = highest.filter(|most| action > *most);
            let uncovered = covering.as_ref().is_some_and(|ceiling| {
                let mut scopes = canonical(lattice, text).into_iter();
                scopes.any(|scope| !lattice.covers(ceiling, &scope, &beside))
            });
            (most.is_some() || uncovered).then(|| Above {
                scope: text.clone(),
                action,
                most,
                uncovered,
            })
        })
        .collect()
}

/// What apply should leave live.
pub fn wanted(
    lattice: &dyn Lattice,
    declared: &Declared,
    live: &BTreeSet<Scope>,
    enforcement: Enforcement,
    now: Timestamp,
) -> BTreeMap<Scope, Option<Timestamp>> {
    let mut wanted: BTreeMap<Scope, Option<Timestamp>> = match enforcement {
        Enforcement::Exact => BTreeMap::new(),
        // What others added stays, unless it is one of ours whose time is over.
        Enforcement::AtLeast => {
            let dated = canonical_set(lattice, declared.temporary.keys());
            live.iter().filter(|scope| !dated.contains(*scope)).map(|s| (s.clone(), None)).collect()
        }
        Enforcement::AtMost => BTreeMap::new(),
    };
    for scope in canonical_set(lattice, &declared.scopes) {
        wanted.insert(scope, None);
    }
    for (text, temporary) in declared.temporary.iter().filter(|(_, one)| one.holds(now)) {
        for scope in canonical(lattice, text) {
            wanted.entry(scope).or_insert(Some(temporary.until));
        }
    }
    wanted
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// `admin` implies all; upper case is spelled lower.
    struct Simple;

    impl Lattice for Simple {
        fn parse(&self, text: &str) -> Option<Vec<Scope>> {
            Some(vec![Scope::canonical(text.to_lowercase())])
        }

        fn implies(&self, a: &Scope, _: &Scope) -> bool {
            a.as_str() == "admin"
        }

        fn covers(&self, ceiling: &BTreeSet<Scope>, scope: &Scope, _: &BTreeSet<Scope>) -> bool {
            ceiling.iter().any(|held| held == scope || self.implies(held, scope))
        }

        fn action(&self, scope: &Scope) -> Action {
            scope.as_str().parse().unwrap_or(Action::Unknown)
        }

        fn direction(&self, before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
            Direction::by_difference(before, after, |a, b| self.implies(a, b))
        }
    }

    fn texts(all: &str) -> BTreeSet<String> {
        all.split_whitespace().map(str::to_owned).collect()
    }

    fn live(all: &str) -> BTreeSet<Scope> {
        all.split_whitespace().map(Scope::canonical).collect()
    }

    fn check(declared: &str, seen: &str, enforcement: Enforcement) -> (String, String) {
        let declared = Declared { scopes: texts(declared), ..Declared::default() };
        let echo = echo(&Simple, &declared, &live(seen), enforcement);
        let join = |set: BTreeSet<String>| set.into_iter().collect::<Vec<_>>().join(" ");
        (join(echo.scopes), join(echo.undeclared))
    }

    #[test]
    fn a_scope_added_by_hand_is_drift_unless_it_is_tolerated() {
        let pair = |a: &str, b: &str| (a.to_owned(), b.to_owned());
        assert_eq!(check("read", "read write", Enforcement::Exact), pair("read write", ""));
        assert_eq!(check("read", "read write", Enforcement::AtLeast), pair("read", "write"));
        assert_eq!(check("read write", "read", Enforcement::Exact), pair("read", ""));
        assert_eq!(check("read write", "read", Enforcement::AtMost), pair("read write", ""));
        // What the declared scope implies adds nothing.
        assert_eq!(check("admin", "admin read", Enforcement::Exact), pair("admin", ""));
    }

    #[test]
    fn the_user_s_spelling_is_kept() {
        assert_eq!(check("READ", "read", Enforcement::Exact).0, "READ");
    }

    #[test]
    fn a_temporary_scope_ends_and_says_so() {
        let at = |text: &str| text.parse::<Timestamp>().unwrap();
        let one =
            Temporary { from: Some(at("2026-12-01T00:00:00Z")), until: at("2026-12-05T00:00:00Z") };
        assert_eq!(one.status(false, at("2026-11-30T00:00:00Z")), "scheduled");
        assert_eq!(one.status(false, at("2026-12-01T00:00:00Z")), "starting");
        assert_eq!(one.status(true, at("2026-12-02T00:00:00Z")), "active");
        assert_eq!(one.status(true, at("2026-12-05T00:00:00Z")), "ending");
        assert_eq!(one.status(false, at("2026-12-06T00:00:00Z")), "ended");
    }

    #[test]
    fn a_ceiling_stops_what_is_above_it_and_says_which_half_of_it_does() {
        let over = |highest, covering: Option<&str>| -> Vec<(String, String)> {
            let (all, none) = (texts("read policy"), BTreeMap::new());
            let covering = covering.map(texts);
            let over = above_ceiling(&Simple, &all, &all, &none, highest, covering.as_ref());
            over.iter().map(|one| (one.why(), one.remedy().to_owned())).collect()
        };
        let has = |over: &[(String, String)], all: &[&str], not: &[&str]| {
            let [(why, remedy)] = over else { panic!("{over:?}") };
            let said = format!("{why} {remedy}");
            assert!(
                why.starts_with("\"policy\" ") && all.iter().all(|one| said.contains(one)),
                "{said}"
            );
            assert!(!not.iter().any(|one| said.contains(one)), "{said}");
        };
        let (action, scopes) = ("ceiling.highest_action", "ceiling.scopes");
        let most = Some(Action::Write);
        has(&over(most, None), &[action, "act as: policy", "is write"], &[scopes]);
        has(&over(most, Some("admin")), &[action], &[scopes]);
        has(&over(None, Some("read")), &[scopes, "is covered by none"], &[action, "act as"]);
        has(&over(Some(Action::Policy), Some("read")), &[scopes], &[action, "act as"]);
        has(&over(most, Some("read")), &[action, scopes, "act as: policy"], &[]);
        assert_eq!(over(Some(Action::Policy), Some("admin")), []);
        assert_eq!(over(None, None), []);
    }

    #[test]
    fn a_wildcard_is_a_star_or_a_whole_segment() {
        for wide in ["*", "secret/data/x/*:read", "secret/+/x:read", "+:read"] {
            assert!(is_wildcard(wide), "{wide}");
        }
        for one in ["secret/data/x:read", "secret/a+b:read", "invoices.read"] {
            assert!(!is_wildcard(one), "{one}");
        }
    }

    #[test]
    fn a_word_that_is_no_action_is_never_no_limit() {
        assert_eq!(limit(None), Ok(None));
        assert_eq!(limit(Some("write")), Ok(Some(Action::Write)));
        assert_eq!(limit(Some("wirte")), Err("wirte"));
        assert_eq!(limit(Some("unknown")), Err("unknown"));
    }

    proptest! {
        #[test]
        fn in_sync_echoes_what_is_declared(all in proptest::collection::btree_set("[a-e]", 0..5)) {
            let declared = Declared { scopes: all.clone(), ..Declared::default() };
            let seen: BTreeSet<Scope> = all.iter().map(Scope::canonical).collect();
            for enforcement in [Enforcement::Exact, Enforcement::AtMost, Enforcement::AtLeast] {
                let echo = echo(&Simple, &declared, &seen, enforcement);
                prop_assert_eq!(&echo.scopes, &all);
                prop_assert!(echo.extra.is_empty() && echo.gone.is_empty());
            }
        }

        #[test]
        fn after_apply_exact_is_in_sync(want in proptest::collection::btree_set("[a-e]", 0..5), have in proptest::collection::btree_set("[a-h]", 0..6)) {
            let declared = Declared { scopes: want.clone(), ..Declared::default() };
            let have: BTreeSet<Scope> = have.iter().map(Scope::canonical).collect();
            let now = Timestamp::UNIX_EPOCH;
            let then: BTreeSet<Scope> = wanted(&Simple, &declared, &have, Enforcement::Exact, now).into_keys().collect();
            prop_assert_eq!(echo(&Simple, &declared, &then, Enforcement::Exact).scopes, want);
        }
    }
}
