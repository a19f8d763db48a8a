//! What a set of rules really lets its holder do, and which way a change of rules goes.
//!
//! The server lets the most specific rule decide alone: a narrower path with fewer capabilities
//! takes power away, so removing it gives power. A set difference would call that a narrowing.
//! Here both sets are asked about witness paths, one for every way in which a rule of the one set
//! and a rule of the other can meet; [`direction`] says why those are enough.

use std::{
    cmp::Ordering,
    collections::{BTreeMap, BTreeSet},
};

use domain::{Direction, Scope};

use crate::scope::{self, Form};

/// A segment that no rule names: it stands for every segment that is not named.
const FRESH: &str = "\u{2}";

/// How many comparisons a direction may cost before it is called unknown.
const BUDGET: usize = 40_000_000;

/// A rule's path.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Pattern {
    text: String,
    /// Ends in `*`: the last segment is a beginning.
    glob: bool,
    /// The server treats it as one with `+`.
    plus: bool,
    /// How many segments it names.
    length: usize,
}

/// What a pattern wants of one segment.
enum Wants<'a> {
    Exactly(&'a str),
    Beginning(&'a str),
    Anything,
}

impl Pattern {
    pub(crate) fn new(text: &str) -> Pattern {
        let plus = text == "+" || text.starts_with("+/") || text.contains("/+");
        // A star at the end is no slash.
        let length = text.split('/').count();
        Pattern { text: text.to_owned(), glob: text.ends_with('*'), plus, length }
    }

    fn stem(&self) -> &str {
        if self.glob { &self.text[..self.text.len() - 1] } else { &self.text }
    }

    fn is_exact(&self) -> bool {
        !self.glob && !self.plus
    }

    /// Whether a concrete path is meant, as the server decides it.
    fn matches(&self, path: &str) -> bool {
        if !self.plus {
            return if self.glob { path.starts_with(self.stem()) } else { path == self.text };
        }
        let (own, given): (Vec<_>, Vec<_>) =
            (self.stem().split('/').collect(), path.split('/').collect());
        if given.len() < own.len() || (!self.glob && given.len() != own.len()) {
            return false;
        }
        let last = own.len() - 1;
        own.iter().zip(&given).enumerate().all(|(i, (own, given))| {
            *own == "+" || own == given || (self.glob && i == last && given.starts_with(own))
        })
    }

    /// The server's order among rules that match the same path and are not exact.
    fn rank(&self, other: &Pattern) -> Ordering {
        let first = |one: &Pattern| {
            if one.plus { one.text.find('+').unwrap_or(0) } else { one.stem().len() }
        };
        let wildcards = |one: &Pattern| one.stem().split('/').filter(|part| *part == "+").count();
        first(self)
            .cmp(&first(other))
            .then_with(|| other.glob.cmp(&self.glob))
            .then_with(|| wildcards(other).cmp(&wildcards(self)))
            .then_with(|| self.stem().len().cmp(&other.stem().len()))
            .then_with(|| self.stem().cmp(other.stem()))
    }

    /// What it wants of segment `at` in a path of `length`; `None` if it means no path so long.
    fn wants(&self, at: usize, length: usize) -> Option<Wants<'_>> {
        let own = self.length;
        if length < own || (length > own && !self.glob) {
            return None;
        }
        let Some(part) = self.stem().split('/').nth(at) else { return Some(Wants::Anything) };
        Some(match part {
            _ if self.glob && at == own - 1 => Wants::Beginning(part),
            "+" if self.plus => Wants::Anything,
            part => Wants::Exactly(part),
        })
    }

    /// A path of `length` segments that both mean and that says no more than both demand.
    fn witness(&self, other: &Pattern, length: usize, fresh: &str) -> Option<String> {
        use Wants::{Anything, Beginning, Exactly};
        let mut parts = Vec::with_capacity(length);
        for at in 0..length {
            parts.push(match (self.wants(at, length)?, other.wants(at, length)?) {
                (Exactly(a), Exactly(b)) => (a == b).then(|| a.to_owned())?,
                (Exactly(a), Beginning(b)) | (Beginning(b), Exactly(a)) => {
                    a.starts_with(b).then(|| a.to_owned())?
                }
                (Exactly(a), Anything) | (Anything, Exactly(a)) => a.to_owned(),
                (Beginning(a), Beginning(b)) => {
                    let longer = if a.len() >= b.len() { a } else { b };
                    (longer.starts_with(a) && longer.starts_with(b))
                        .then(|| format!("{longer}{fresh}"))?
                }
                (Beginning(a), Anything) | (Anything, Beginning(a)) => format!("{a}{fresh}"),
                (Anything, Anything) => fresh.to_owned(),
            });
        }
        Some(parts.join("/"))
    }

    /// Every witness of two patterns: one for each length up to one more than anybody names.
    fn witnesses(
        &self,
        other: &Pattern,
        longest: usize,
        fresh: &str,
    ) -> impl Iterator<Item = String> {
        (1..=longest + 1).filter_map(move |length| self.witness(other, length, fresh))
    }

    /// Its first segment, where that is a whole one and a word.
    fn head(&self) -> Option<&str> {
        let (head, _) = self.stem().split_once('/')?;
        (!(self.plus && head == "+")).then_some(head)
    }

    /// Whether their first words tell already that no path is meant by both: most of a table is of other
    /// mounts than the one that is asked about.
    fn apart(&self, other: &Pattern) -> bool {
        matches!((self.head(), other.head()), (Some(own), Some(other)) if own != other)
    }

    /// Whether some path is meant by both.
    pub(crate) fn meets(&self, other: &Pattern) -> bool {
        if self.apart(other) {
            return false;
        }
        let longest = self.length.max(other.length);
        self.witnesses(other, longest, FRESH).next().is_some()
    }

    /// Whether every path that the other means is meant by this one.
    pub(crate) fn covers(&self, other: &Pattern) -> bool {
        if self.apart(other) {
            return false;
        }
        let longest = self.length.max(other.length);
        other.witnesses(other, longest, FRESH).all(|path| self.matches(&path))
    }
}

/// Whose order of asking: they differ where a folder is listed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Server {
    /// Patterns that mean the slash first.
    OpenBao,
    /// Patterns that mean the path without it first, and never those for `scan`.
    Vault,
}

impl Server {
    const BOTH: [Server; 2] = [Server::OpenBao, Server::Vault];
}

/// Rules by path, as the server joins them: capabilities of one path add up, `deny` takes all.
#[derive(Debug, Default)]
pub(crate) struct Rules(BTreeMap<Pattern, BTreeSet<&'static str>>);

impl Rules {
    /// The rules among scopes.
    pub(crate) fn of<'a>(scopes: impl IntoIterator<Item = &'a Scope>) -> Rules {
        let mut rules = Rules::default();
        for scope in scopes {
            if let Some(Form::Rule { path, capability }) = scope::form(scope.as_str()) {
                rules.0.entry(Pattern::new(path)).or_default().insert(capability);
            }
        }
        for capabilities in rules.0.values_mut() {
            if capabilities.contains("deny") {
                *capabilities = BTreeSet::from(["deny"]);
            }
        }
        rules
    }

    fn exact(&self, path: &str) -> Option<&BTreeSet<&'static str>> {
        self.0.iter().find(|(one, _)| one.is_exact() && one.text == path).map(|(_, given)| given)
    }

    fn deciding(&self, path: &str) -> Option<&BTreeSet<&'static str>> {
        if let Some(exact) = self.exact(path) {
            return Some(exact);
        }
        let candidates = self.0.iter().filter(|(one, _)| !one.is_exact() && one.matches(path));
        candidates.max_by(|a, b| a.0.rank(b.0)).map(|(_, capabilities)| capabilities)
    }

    /// What may be done on a concrete path.
    pub(crate) fn effective(&self, path: &str, server: Server) -> BTreeSet<&'static str> {
        let decided = self.deciding(path);
        // Listing a folder also asks for its path without the slash: for an exact rule before any
        // pattern, and for a pattern before or after those that mean the slash.
        let bare = path.strip_suffix('/').filter(|_| self.exact(path).is_none());
        let exact = bare.and_then(|bare| self.exact(bare));
        let bare = || bare.and_then(|bare| self.deciding(bare));
        let (lists, scans) = match server {
            Server::OpenBao => (exact.or(decided).or_else(bare), exact.or(decided).or_else(bare)),
            Server::Vault => (exact.or_else(bare).or(decided), exact.or(decided)),
        };
        let given = |all: Option<&BTreeSet<&'static str>>, wanted: fn(&str) -> bool| {
            let all = all.filter(|all| !all.contains("deny")).into_iter().flatten().copied();
            all.filter(|one| wanted(one)).collect::<Vec<_>>()
        };
        let mut held: BTreeSet<&'static str> = BTreeSet::new();
        held.extend(given(decided, |one| !matches!(one, "list" | "scan")));
        held.extend(given(lists, |one| one == "list"));
        held.extend(given(scans, |one| one == "scan"));
        held
    }
}

/// Which way a change of scopes goes.
///
/// Let a path gain something. In the new set a rule A decides there, in the old one a rule B or
/// none. Take the witness of A and B of that path's length: it names a segment only where A or B
/// does. Whatever other rule means the witness cannot name a segment there that A and B leave open,
/// so it means the path too, and neither A nor B let it decide there. So A and B decide on the
/// witness as well, and it gains the same. At least one of A and B differs between the two sets:
/// if neither did, both would decide alike in both.
///
/// A listing of a folder is decided by what means its path without the slash or with it. A rule that
/// means only the latter (`a/+` for `a/`) counts as one more pattern without its last segment, and
/// every witness is asked about as a folder too. Both servers' orders are asked, since a connection's
/// direction is told without asking which it is.
pub(crate) fn direction(before: &BTreeSet<Scope>, after: &BTreeSet<Scope>) -> Direction {
    if before == after {
        return Direction::None;
    }
    let hidden = |scopes: &BTreeSet<Scope>| -> BTreeSet<Scope> {
        let rule = |one: &&Scope| matches!(scope::form(one.as_str()), Some(Form::Rule { .. }));
        scopes.iter().filter(|one| !rule(one)).cloned().collect()
    };
    let role = |one: &Scope| matches!(scope::form(one.as_str()), Some(Form::Role(_)));
    let (mut hidden_before, mut hidden_after) = (hidden(before), hidden(after));
    // A setting of the role only ever adds, whatever the rules are.
    let settings = Direction::by_difference(
        &hidden_before.iter().filter(|one| role(one)).cloned().collect(),
        &hidden_after.iter().filter(|one| role(one)).cloned().collect(),
        |a, b| a == b,
    );
    hidden_before.retain(|one| !role(one));
    hidden_after.retain(|one| !role(one));
    let (old, new) = (Rules::of(before), Rules::of(after));
    let visible = compare(&old, &new);
    let visible = if hidden_before.is_empty() && hidden_after.is_empty() {
        visible
    } else if hidden_before == hidden_after {
        // Rules that we cannot see lie under or over ours: where one of our paths comes or goes, it
        // may hide or uncover what they give or deny. Where only capabilities of paths that stay
        // change, ours decides before and after, or does not.
        let same_paths = old.0.keys().eq(new.0.keys());
        if same_paths || visible == Direction::None && old.0 == new.0 {
            visible
        } else {
            Direction::Unknown
        }
    } else {
        // What a policy of others gives, denies or hides is not told by its name.
        Direction::Unknown
    };
    settings.and(visible)
}

/// Whether a ceiling of these scopes leaves room for one, where `beside` is given with it at all times.
///
/// A ceiling lists what may be given, and is no policy: a narrower path in it with other capabilities
/// takes nothing from a wider one. What it denies it takes out, by the server's own order; the scope
/// then fits only beside rules that deny at least as much. One that denies gives nothing, and always
/// fits. What stands behind a name is not seen, so a name is covered by itself alone.
pub(crate) fn covers(ceiling: &BTreeSet<Scope>, scope: &Scope, beside: &BTreeSet<Scope>) -> bool {
    let Some(Form::Rule { path, capability }) = scope::form(scope.as_str()) else {
        return ceiling.contains(scope);
    };
    let says = |one: &&Scope, word: &str| {
        let form = scope::form(one.as_str());
        matches!(form, Some(Form::Rule { capability, .. }) if capability == word)
    };
    if capability == "deny" {
        return true;
    }
    let room = ceiling.iter().filter(|one| says(one, capability) || says(one, "deny"));
    let denied = beside.iter().filter(|one| says(one, "deny"));
    let (room, given) = (Rules::of(room), Rules::of(denied.chain([scope])));
    !compare_at(&room, &given, BTreeSet::from([Pattern::new(path)])).may_widen()
}

fn compare(old: &Rules, new: &Rules) -> Direction {
    if old.0 == new.0 {
        return Direction::None;
    }
    let all = old.0.keys().chain(new.0.keys());
    compare_at(old, new, all.filter(|one| old.0.get(one) != new.0.get(one)).cloned().collect())
}

/// The same on the paths that these patterns mean.
fn compare_at(old: &Rules, new: &Rules, mut changed: BTreeSet<Pattern>) -> Direction {
    let mut all: BTreeSet<Pattern> = old.0.keys().chain(new.0.keys()).cloned().collect();
    let folders = |patterns: &BTreeSet<Pattern>| -> Vec<Pattern> {
        let last = |one: &Pattern| match one.stem().rsplit_once('/') {
            Some((above, "" | "+")) => Some(Pattern::new(above)),
            _ => None,
        };
        patterns.iter().filter_map(last).collect()
    };
    changed.extend(folders(&changed));
    all.extend(folders(&all));
    let longest = all.iter().map(|one| one.length).max().unwrap_or(1);
    let cost = changed
        .len()
        .saturating_mul(all.len())
        .saturating_mul(longest + 1)
        .saturating_mul(all.len());
    if cost > BUDGET {
        return Direction::Unknown;
    }
    let (mut gains, mut loses) = (false, false);
    for one in &changed {
        for other in &all {
            for path in one.witnesses(other, longest, FRESH) {
                let folder = format!("{path}/");
                for path in [path, folder] {
                    for server in Server::BOTH {
                        let was = old.effective(&path, server);
                        let is = new.effective(&path, server);
                        gains |= !is.is_subset(&was);
                        loses |= !was.is_subset(&is);
                    }
                }
            }
            if gains && loses {
                return Direction::Mixed;
            }
        }
    }
    match (gains, loses) {
        (false, false) => Direction::None,
        (true, false) => Direction::Widens,
        (false, true) => Direction::Narrows,
        (true, true) => Direction::Mixed,
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn set(scopes: &[&str]) -> BTreeSet<Scope> {
        scopes.iter().map(|one| Scope::canonical(*one)).collect()
    }

    fn goes(before: &[&str], after: &[&str]) -> Direction {
        direction(&set(before), &set(after))
    }

    #[test]
    fn removing_a_narrower_rule_widens() {
        let wide = "secret/data/x/*:read";
        assert_eq!(goes(&[wide, "secret/data/x/pay:list"], &[wide]), Direction::Mixed);
        assert_eq!(goes(&[wide, "secret/data/x/pay:deny"], &[wide]), Direction::Widens);
        assert_eq!(goes(&[wide], &[wide, "secret/data/x/pay:deny"]), Direction::Narrows);
    }

    #[test]
    fn plain_additions_and_removals_go_the_way_they_look() {
        assert_eq!(goes(&[], &["a:read"]), Direction::Widens);
        assert_eq!(goes(&["a:read"], &[]), Direction::Narrows);
        assert_eq!(goes(&["a:read"], &["b:read"]), Direction::Mixed);
        assert_eq!(goes(&["a/*:read"], &["a/b:read"]), Direction::Narrows);
        assert_eq!(goes(&["a/b:read", "a/*:read"], &["a/*:read"]), Direction::None);
        assert_eq!(goes(&["a/+/c:read"], &["a/*:read"]), Direction::Widens);
    }

    #[test]
    fn what_cannot_be_seen_makes_a_change_of_paths_unknown() {
        assert_eq!(goes(&["policy/x"], &[]), Direction::Unknown);
        assert_eq!(goes(&["policy/x"], &["policy/x", "a:read"]), Direction::Unknown);
        assert_eq!(
            goes(&["policy/x", "a:read", "a:list"], &["policy/x", "a:read"]),
            Direction::Narrows
        );
        assert_eq!(goes(&["a:read"], &["a:read", "role/no-secret-needed"]), Direction::Widens);
        assert_eq!(goes(&["a:read", "role/no-secret-needed"], &["a:read"]), Direction::Narrows);
    }

    #[test]
    fn a_ceiling_covers_what_gives_no_more_than_it() {
        let fits = |ceiling: &[&str], all: &[&str]| -> Vec<bool> {
            let (ceiling, beside) = (set(ceiling), set(all));
            all.iter().map(|one| covers(&ceiling, &Scope::canonical(*one), &beside)).collect()
        };
        let all_of = "secret/data/*:read";
        for (ceiling, scope) in [
            (all_of, "secret/data/x:read"),
            (all_of, "secret/data/x/*:read"),
            (all_of, "secret/data/+/y:read"),
            ("secret/data/+/y:read", "secret/data/x/y:read"),
            ("*:read", "secret/data/x/y:read"),
            ("*:read", "+/data/x:read"),
            (all_of, "secret/data/x:deny"),
            ("policy/legacy", "policy/legacy"),
        ] {
            assert_eq!(fits(&[ceiling], &[scope]), [true], "{ceiling} {scope}");
        }
        for (ceiling, scope) in [
            (all_of, "secret/data/x:list"),
            (all_of, "secret/metadata/x:read"),
            (all_of, "secret/*:read"),
            (all_of, "secret/data:read"),
            ("secret/data/+/y:read", "secret/data/+/*:read"),
            ("secret/data/x:deny", "secret/data/x:read"),
            ("*:sudo", "policy/legacy"),
            ("policy/legacy", "policy/other"),
            ("policy/legacy", "secret/data/x:read"),
        ] {
            assert_eq!(fits(&[ceiling], &[scope]), [false], "{ceiling} {scope}");
        }
        // What is named more narrowly with another capability is no less.
        assert_eq!(fits(&[all_of, "secret/data/x:list"], &["secret/data/x:read"]), [true]);
        // What is denied is taken out, for whoever does not deny it too.
        let denies = [all_of, "secret/data/pay/*:deny"];
        assert_eq!(fits(&denies, &["secret/data/x:read"]), [true]);
        assert_eq!(fits(&denies, &["secret/data/pay/x:read"]), [false]);
        assert_eq!(fits(&denies, &[all_of]), [false]);
        assert_eq!(fits(&denies, &denies), [true, true]);
        assert_eq!(fits(&denies, &[all_of, "secret/data/pay/x:deny"]), [false, true]);
        assert_eq!(fits(&["secret/*:deny", all_of], &["secret/data/x:read"]), [true]);
    }

    fn pattern() -> impl Strategy<Value = String> {
        (
            prop::collection::vec(
                prop_oneof!["[ab]", Just("+".to_owned()), Just(String::new())],
                1..4,
            ),
            any::<bool>(),
        )
            .prop_map(|(parts, glob)| {
                let text = parts.join("/");
                let text = text.trim_start_matches('/').to_owned();
                if glob && !text.ends_with('+') { format!("{text}*") } else { text }
            })
            .prop_filter("a path", |text| !text.is_empty())
    }

    fn scopes() -> impl Strategy<Value = BTreeSet<Scope>> {
        prop::collection::btree_set((pattern(), prop_oneof!["read", "list", "deny"]), 0..5)
            .prop_map(|all| all.iter().map(|(path, word)| scope::rule(path, word)).collect())
    }

    /// Every path over a small alphabet, so that the claim about witnesses can be checked.
    fn every_path() -> Vec<String> {
        let parts = ["a", "b", "ab", "bz", "z", ""];
        let mut paths = vec![String::new()];
        let mut all = Vec::new();
        for _ in 0..4 {
            paths = paths
                .iter()
                .flat_map(|path| parts.iter().map(move |part| format!("{path}/{part}")))
                .collect();
            all.extend(paths.iter().map(|path| path[1..].to_owned()));
        }
        all
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(256))]

        #[test]
        fn the_direction_is_that_of_every_single_path(before in scopes(), after in scopes()) {
            let (old, new) = (Rules::of(&before), Rules::of(&after));
            let (mut gains, mut loses) = (false, false);
            for path in every_path() {
                for server in Server::BOTH {
                    let (was, is) = (old.effective(&path, server), new.effective(&path, server));
                    gains |= !is.is_subset(&was);
                    loses |= !was.is_subset(&is);
                }
            }
            let found = direction(&before, &after);
            // The witnesses see every path that exists, these only a small world: what the small
            // world shows must have been found.
            if gains { prop_assert!(found.may_widen(), "{found:?}"); }
            if loses { prop_assert!(matches!(found, Direction::Narrows | Direction::Mixed), "{found:?}"); }
            if !gains && !loses { prop_assert!(matches!(found, Direction::None), "{found:?}"); }
        }

        #[test]
        fn patterns_meet_where_they_mean_one_path_and_cover_where_they_mean_all(
            one in pattern(), other in pattern(),
        ) {
            let (one, other) = (Pattern::new(&one), Pattern::new(&other));
            let paths = every_path();
            let both = paths.iter().any(|path| one.matches(path) && other.matches(path));
            prop_assert_eq!(one.meets(&other), both);
            let all = paths.iter().all(|path| one.matches(path) || !other.matches(path));
            prop_assert_eq!(one.covers(&other), all);
        }

        #[test]
        fn what_a_ceiling_covers_gives_nothing_on_any_path_that_no_scope_of_it_gives(
            ceiling in scopes(), all in scopes(),
        ) {
            let fits = |one: &&Scope| covers(&ceiling, one, &all);
            // What takes away from others is beside them whether it fits or not.
            let given: BTreeSet<Scope> = all.iter().filter(fits).cloned().collect();
            let given = Rules::of(&given);
            let singly: Vec<Rules> = ceiling.iter().map(|one| Rules::of([one])).collect();
            let denied: Vec<BTreeSet<Scope>> = ["read", "list"]
                .map(|word| {
                    let counts = |one: &&Scope| {
                        one.as_str().ends_with(word) || one.as_str().ends_with("deny")
                    };
                    ceiling.iter().filter(counts).cloned().collect()
                })
                .to_vec();
            let denied: Vec<Rules> = denied.iter().map(Rules::of).collect();
            for path in every_path() {
                for server in Server::BOTH {
                    for capability in given.effective(&path, server) {
                        let gives = |one: &Rules| one.effective(&path, server).contains(capability);
                        prop_assert!(singly.iter().any(gives), "{path} {capability}");
                        let left = &denied[usize::from(capability == "list")];
                        prop_assert!(gives(left), "{path} {capability} is denied");
                    }
                }
            }
        }

        #[test]
        fn a_ceiling_covers_the_very_scopes_that_it_lists(all in scopes()) {
            for one in &all { prop_assert!(covers(&all, one, &all), "{one}"); }
        }

        #[test]
        fn a_change_and_its_reverse_go_opposite_ways(before in scopes(), after in scopes()) {
            let back = match direction(&before, &after) {
                Direction::Widens => Direction::Narrows,
                Direction::Narrows => Direction::Widens,
                other => other,
            };
            prop_assert_eq!(direction(&after, &before), back);
        }
    }
}
