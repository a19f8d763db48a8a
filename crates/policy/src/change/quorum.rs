//! Whether those who signed are enough.
//!
//! People are counted and never keys; the one who asks is none of them. What somebody said last is what
//! they say. Signatures were verified before: here is only who said what.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Now, Span};
use jiff::Timestamp;

use super::impact::Level;

/// What somebody says of a change, the sternest last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Decision {
    /// It is done now, and reviewed afterwards: the glass is broken.
    BreakGlass,
    /// It may be done.
    Approve,
    /// What I said before counts no more.
    Revoke,
    /// It must not be done, whoever else approves.
    Reject,
}

impl Decision {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Decision::BreakGlass => "break-glass",
            Decision::Approve => "approve",
            Decision::Reject => "reject",
            Decision::Revoke => "revoke",
        }
    }

    /// The decision of this word.
    pub fn from_word(word: &str) -> Option<Decision> {
        [Decision::BreakGlass, Decision::Approve, Decision::Reject, Decision::Revoke]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// What a key shows of whoever used it, weakest first.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Presence {
    /// A key in a file or an agent.
    Key,
    /// A hardware key that somebody touched.
    Touched,
    /// A hardware key that also asked for a PIN or a finger.
    Verified,
}

impl Presence {
    /// Its word.
    pub fn as_str(self) -> &'static str {
        match self {
            Presence::Key => "key",
            Presence::Touched => "touched",
            Presence::Verified => "verified",
        }
    }

    /// The presence of this word.
    pub fn from_word(word: &str) -> Option<Presence> {
        [Presence::Key, Presence::Touched, Presence::Verified]
            .into_iter()
            .find(|one| one.as_str() == word)
    }
}

/// One statement whose signature was verified.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Vote {
    /// Who signed, as the file of signers calls them.
    pub principal: String,
    /// In which role.
    pub role: String,
    /// What they say.
    pub decision: Decision,
    /// When they signed, as they say.
    pub signed_at: Timestamp,
    /// From when on it holds.
    pub not_before: Timestamp,
    /// Until when it holds.
    pub not_after: Timestamp,
    /// What their key shows.
    pub presence: Presence,
    /// Which of their statements this is: two of one moment are ordered by it.
    pub nonce: String,
    /// The version of the policy under which they signed.
    pub policy_version: u64,
    /// Who asked for the change, as they were told.
    pub requester: Option<String>,
    /// How many changes the statement names.
    pub changes: usize,
}

/// Who may do in an emergency what nobody has approved, and what they owe for it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakGlass {
    /// Who: their keys are of no use for it unless they stand here.
    pub people: BTreeSet<String>,
    /// What their keys must show at least.
    pub presence: Presence,
    /// The longest time that it may hold.
    pub longest: Span,
    /// How many changes may be made so before they are reviewed.
    pub changes: usize,
    /// How soon each must be reviewed by those who would have approved it.
    pub review_within: Span,
}

/// What a level needs.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Quorum {
    /// How many people.
    pub people: usize,
    /// In which roles they may sign; where it is empty, in any.
    pub roles: BTreeSet<String>,
    /// Roles of each of which somebody must be among them.
    pub each: BTreeSet<String>,
    /// What their keys must show at least.
    pub presence: Presence,
    /// The longest time that an approval may hold.
    pub longest: Span,
}

/// What each level needs, and who may sign in which role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Board {
    /// Of each level.
    pub quorum: BTreeMap<Level, Quorum>,
    /// Who has which role.
    pub roles: BTreeMap<String, BTreeSet<String>>,
    /// Who may break the glass; none: nobody.
    pub break_glass: Option<BreakGlass>,
}

/// What the votes are held against.
#[derive(Debug, Clone)]
pub struct Question<'a> {
    /// How much the change matters.
    pub level: Level,
    /// Who asked for it, where that is proven; else one more is needed.
    pub requester: Option<&'a str>,
    /// The owners of the object: they have the role `owner` for it.
    pub owners: BTreeSet<String>,
    /// The version of the policy that is in force.
    pub policy_version: u64,
    /// The time, as far as it is known.
    pub now: Now,
}

/// The role that the owners of an object have for it, and nobody else.
pub const OWNER: &str = "owner";

/// Why one vote does not count, with the code that names it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Discounted {
    /// Whose it is.
    pub principal: String,
    /// `E-APPROVAL-EXPIRED` and its like.
    pub code: &'static str,
    /// Why, in words that follow the name.
    pub why: String,
}

/// What the votes amount to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tally {
    /// How many people are needed.
    pub needed: usize,
    /// Whose approval counts, and in which role.
    pub have: BTreeMap<String, String>,
    /// Roles of which somebody is missing.
    pub roles_missing: BTreeSet<String>,
    /// Whose does not, and why.
    pub discounted: Vec<Discounted>,
    /// Who forbids it.
    pub rejected_by: BTreeSet<String>,
    /// The earliest end of those that count.
    pub until: Option<Timestamp>,
    /// Who breaks the glass for it.
    pub broken_by: Option<String>,
}

impl Tally {
    /// Whether it may be done though too few have approved it: somebody answers for it, and nobody has
    /// said no.
    pub fn may_break(&self) -> bool {
        self.broken_by.is_some() && self.rejected_by.is_empty()
    }

    /// Whether it may be done.
    pub fn is_enough(&self) -> bool {
        self.rejected_by.is_empty()
            && self.have.len() >= self.needed
            && self.roles_missing.is_empty()
    }

    /// The code of what is missing; nothing where it is enough.
    pub fn code(&self) -> Option<&'static str> {
        if self.is_enough() {
            return None;
        }
        if !self.rejected_by.is_empty() {
            return Some("E-APPROVAL-REJECTED");
        }
        if self.have.is_empty() {
            // What was said and does not count tells more than that nobody said anything.
            let codes: BTreeSet<&str> = self.discounted.iter().map(|one| one.code).collect();
            return Some(match codes.len() {
                1 => self.discounted[0].code,
                _ => "E-APPROVAL-MISSING",
            });
        }
        Some("E-APPROVAL-QUORUM")
    }
}

/// Counts who approves.
pub fn tally(board: &Board, question: &Question<'_>, votes: &[Vote]) -> Tally {
    // Where no level is named nobody has said who is enough: nobody is.
    let none = Quorum {
        people: usize::MAX,
        roles: BTreeSet::new(),
        each: BTreeSet::new(),
        presence: Presence::Key,
        longest: Span::from_secs(0),
    };
    // A level that the policy does not name needs what the next higher one does. Above all that are named
    // it is what the highest needs, and somebody in any case: what lets a lower one pass alone was not
    // said of this.
    let named = board.quorum.range(question.level..).next();
    let least = usize::from(named.is_none());
    let quorum = named.or_else(|| board.quorum.last_key_value()).map_or(&none, |(_, one)| one);
    let people = quorum.people.max(least);
    let unknown = usize::from(question.requester.is_none() && people > 0);
    let mut tally = Tally {
        needed: people.saturating_add(unknown),
        have: BTreeMap::new(),
        roles_missing: BTreeSet::new(),
        discounted: Vec::new(),
        rejected_by: BTreeSet::new(),
        until: None,
        broken_by: None,
    };
    // Of a moment that no clock has seen nothing is said yet, so that it outranks nothing; but a no is one.
    let hi = question.now.hi;
    let early = |vote: &&Vote| vote.decision != Decision::Reject && vote.signed_at > hi;
    tally.discounted.extend(votes.iter().filter(early).map(|vote| Discounted {
        principal: vote.principal.clone(),
        code: "E-APPROVAL-NOT-YET",
        why: format!("signed at {}, which is to come", vote.signed_at),
    }));
    for vote in latest(votes.iter().filter(|vote| !early(vote)), hi) {
        match vote.decision {
            Decision::BreakGlass => match breaks(board, question, vote) {
                Ok(()) => tally.broken_by = Some(vote.principal.clone()),
                Err((code, why)) => tally.discounted.push(Discounted {
                    principal: vote.principal.clone(),
                    code,
                    why,
                }),
            },
            // Whoever is known may say no: a role gives power to say yes.
            Decision::Reject => {
                tally.rejected_by.insert(vote.principal.clone());
            }
            Decision::Revoke => tally.discounted.push(Discounted {
                principal: vote.principal.clone(),
                code: "E-APPROVAL-REVOKED",
                why: "took it back".to_owned(),
            }),
            Decision::Approve => match counts(board, quorum, question, vote) {
                Ok(()) => {
                    tally.have.insert(vote.principal.clone(), vote.role.clone());
                    let until = tally.until.map_or(vote.not_after, |at| at.min(vote.not_after));
                    tally.until = Some(until);
                }
                Err((code, why)) => {
                    tally.discounted.push(Discounted {
                        principal: vote.principal.clone(),
                        code,
                        why,
                    });
                }
            },
        }
    }
    let present: BTreeSet<&String> = tally.have.values().collect();
    tally.roles_missing =
        quorum.each.iter().filter(|role| !present.contains(role)).cloned().collect();
    tally
}

/// What each says last. Of one moment the sterner word is the last, and then that of the greater nonce.
/// Nothing is said later than `hi`.
fn latest<'a>(
    votes: impl Iterator<Item = &'a Vote>,
    hi: Timestamp,
) -> impl Iterator<Item = &'a Vote> {
    let mut last: BTreeMap<&str, &Vote> = BTreeMap::new();
    let rank = |vote: &Vote| (vote.signed_at.min(hi), vote.decision, vote.nonce.clone());
    for vote in votes {
        last.entry(&vote.principal)
            .and_modify(|known| {
                if rank(vote) > rank(known) {
                    *known = vote;
                }
            })
            .or_insert(vote);
    }
    last.into_values()
}

/// Whether somebody may break the glass, here and now.
fn breaks(
    board: &Board,
    question: &Question<'_>,
    vote: &Vote,
) -> Result<(), (&'static str, String)> {
    let said = |why: &str| Err(("E-BREAK-GLASS", why.to_owned()));
    let Some(terms) = &board.break_glass else {
        return said("broke the glass, which the policy lets nobody do");
    };
    if !terms.people.contains(&vote.principal) {
        return said("broke the glass, and is none of those whom the policy lets do it");
    }
    if vote.presence < terms.presence {
        return said("broke the glass with a key that shows too little of who used it");
    }
    if vote.changes > terms.changes {
        return said("broke the glass for more changes at once than the policy allows");
    }
    in_its_time(question, vote, terms.longest)
}

fn counts(
    board: &Board,
    quorum: &Quorum,
    question: &Question<'_>,
    vote: &Vote,
) -> Result<(), (&'static str, String)> {
    let has_role = match vote.role.as_str() {
        OWNER => question.owners.contains(&vote.principal),
        role => board.roles.get(role).is_some_and(|people| people.contains(&vote.principal)),
    };
    if !has_role {
        let why = format!("does not have the role {:?}", vote.role);
        return Err(("E-APPROVAL-ROLE", why));
    }
    if !quorum.roles.is_empty()
        && !quorum.roles.contains(&vote.role)
        && !quorum.each.contains(&vote.role)
    {
        let why = format!("signed as {:?}, which is none of those asked for", vote.role);
        return Err(("E-APPROVAL-ROLE", why));
    }
    let asked = [question.requester, vote.requester.as_deref()];
    if asked.into_iter().flatten().any(|who| who == vote.principal) {
        return Err(("E-APPROVAL-SELF", "asked for the change".to_owned()));
    }
    if vote.policy_version > question.policy_version {
        let why = format!(
            "signed under version {} of the policy, and here is {}",
            vote.policy_version, question.policy_version
        );
        return Err(("E-APPROVAL-POLICY-ROLLBACK", why));
    }
    if vote.presence < quorum.presence {
        let why = match quorum.presence {
            Presence::Verified => "signed without a hardware key that asks who uses it",
            _ => "signed without a hardware key",
        };
        return Err(("E-APPROVAL-KEY", why.to_owned()));
    }
    in_its_time(question, vote, quorum.longest)
}

/// Whether the time of a statement is now, and no longer than it may be.
fn in_its_time(
    question: &Question<'_>,
    vote: &Vote,
    longest: Span,
) -> Result<(), (&'static str, String)> {
    let asked = vote.not_after.duration_since(vote.not_before).as_secs();
    if asked < 0 || asked.unsigned_abs() > longest.as_secs() {
        let why = format!("approved for longer than {longest}");
        return Err(("E-APPROVAL-WINDOW", why));
    }
    if !question.now.agrees() {
        return Err(("E-APPROVAL-CLOCK", "cannot be judged: clocks disagree".to_owned()));
    }
    // Begun when every clock says so, over when any does.
    if !question.now.is_past(vote.not_before) {
        let why = format!("approved from {} on", vote.not_before);
        return Err(("E-APPROVAL-NOT-YET", why));
    }
    if question.now.hi >= vote.not_after {
        let why = format!("approved until {}", vote.not_after);
        return Err(("E-APPROVAL-EXPIRED", why));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn board() -> Board {
        let roles = |all: &[&str]| all.iter().map(|one| (*one).to_owned()).collect();
        let of = |people, each: &[&str], presence| Quorum {
            people,
            roles: roles(&["owner", "security"]),
            each: roles(each),
            presence,
            longest: Span::from_secs(86_400),
        };
        Board {
            quorum: [
                (Level::Medium, of(1, &[], Presence::Key)),
                (Level::High, of(2, &["security"], Presence::Key)),
                (Level::Critical, of(2, &[], Presence::Verified)),
            ]
            .into(),
            roles: [("security".to_owned(), roles(&["sam", "sue"]))].into(),
            break_glass: Some(BreakGlass {
                people: roles(&["eve"]),
                presence: Presence::Touched,
                longest: Span::from_secs(3600),
                changes: 3,
                review_within: Span::from_secs(86_400),
            }),
        }
    }

    #[test]
    fn in_an_emergency_those_whom_the_policy_names_may_go_ahead_alone_for_an_hour_and_a_no_stops_them()
     {
        let high = question(Level::High);
        let broken = Vote {
            decision: Decision::BreakGlass,
            signed_at: at("2027-01-10T11:30:00Z"),
            not_before: at("2027-01-10T11:30:00Z"),
            not_after: at("2027-01-10T12:30:00Z"),
            presence: Presence::Touched,
            ..vote("eve", "break-glass")
        };
        let of = |vote: Vote| tally(&board(), &high, &[vote]);
        let one = of(broken.clone());
        assert!(one.may_break() && !one.is_enough());
        assert_eq!(one.have.len(), 0, "it is no approval");
        for (wrong, code) in [
            (Vote { principal: "sam".into(), ..broken.clone() }, "E-BREAK-GLASS"),
            (Vote { presence: Presence::Key, ..broken.clone() }, "E-BREAK-GLASS"),
            (Vote { changes: 4, ..broken.clone() }, "E-BREAK-GLASS"),
            (Vote { not_after: at("2027-01-10T12:30:01Z"), ..broken.clone() }, "E-APPROVAL-WINDOW"),
            (
                Vote {
                    not_before: at("2027-01-10T10:59:00Z"),
                    not_after: at("2027-01-10T11:59:00Z"),
                    ..broken.clone()
                },
                "E-APPROVAL-EXPIRED",
            ),
        ] {
            let found = of(wrong.clone());
            assert!(!found.may_break(), "{wrong:?}");
            assert_eq!(found.discounted[0].code, code, "{wrong:?}");
        }
        let no = Vote { decision: Decision::Reject, ..vote("sam", "security") };
        assert!(!tally(&board(), &high, &[broken.clone(), no]).may_break());
        let nobody = Board { break_glass: None, ..board() };
        assert!(!tally(&nobody, &high, &[broken]).may_break());
    }

    fn question(level: Level) -> Question<'static> {
        Question {
            level,
            requester: Some("rob"),
            owners: ["ann".to_owned(), "rob".to_owned()].into(),
            policy_version: 12,
            now: at("2027-01-10T12:00:00Z").into(),
        }
    }

    fn vote(principal: &str, role: &str) -> Vote {
        Vote {
            principal: principal.to_owned(),
            role: role.to_owned(),
            decision: Decision::Approve,
            signed_at: at("2027-01-10T09:00:00Z"),
            not_before: at("2027-01-10T09:00:00Z"),
            not_after: at("2027-01-10T18:00:00Z"),
            presence: Presence::Key,
            nonce: "a".to_owned(),
            policy_version: 12,
            requester: Some("rob".to_owned()),
            changes: 1,
        }
    }

    #[test]
    fn people_are_counted_and_never_their_keys_or_statements() {
        let twice =
            [vote("sam", "security"), Vote { nonce: "b".into(), ..vote("sam", "security") }];
        let high = question(Level::High);
        let tally_of = |votes: &[Vote]| tally(&board(), &high, votes);
        assert_eq!(tally_of(&twice).code(), Some("E-APPROVAL-QUORUM"));
        let both = tally_of(&[vote("sam", "security"), vote("ann", "owner")]);
        assert!(both.is_enough() && both.code().is_none());
        assert_eq!(both.until, Some(at("2027-01-10T18:00:00Z")));
        assert_eq!(tally_of(&[]).code(), Some("E-APPROVAL-MISSING"));
    }

    #[test]
    fn a_role_that_must_be_among_them_is_named_where_it_is_missing() {
        let mut board = board();
        board.roles.insert("security".to_owned(), ["sam".to_owned()].into());
        let mut question = question(Level::High);
        question.owners = ["ann", "eli"].map(str::to_owned).into();
        let owners = [vote("ann", "owner"), vote("eli", "owner")];
        let tally = tally(&board, &question, &owners);
        assert!(!tally.is_enough());
        assert_eq!(tally.roles_missing, ["security".to_owned()].into());
        assert_eq!(tally.code(), Some("E-APPROVAL-QUORUM"));
    }

    #[test]
    fn each_reason_for_which_a_signature_does_not_count_has_its_code() {
        let medium = question(Level::Medium);
        let of = |vote: Vote, question: &Question<'_>| {
            let tally = tally(&board(), question, &[vote]);
            assert!(!tally.is_enough());
            assert_eq!(tally.discounted.len(), 1);
            tally.code().unwrap()
        };
        for (vote, code) in [
            (vote("rob", "owner"), "E-APPROVAL-SELF"),
            (Vote { requester: Some("ann".into()), ..vote("ann", "owner") }, "E-APPROVAL-SELF"),
            (vote("sam", "owner"), "E-APPROVAL-ROLE"),
            (vote("sam", "nobody"), "E-APPROVAL-ROLE"),
            (vote("ann", "security"), "E-APPROVAL-ROLE"),
            (
                Vote { not_after: at("2027-01-10T12:00:00Z"), ..vote("ann", "owner") },
                "E-APPROVAL-EXPIRED",
            ),
            (
                Vote { not_before: at("2027-01-10T12:00:01Z"), ..vote("ann", "owner") },
                "E-APPROVAL-NOT-YET",
            ),
            (
                Vote { not_after: at("2027-01-12T09:00:00Z"), ..vote("ann", "owner") },
                "E-APPROVAL-WINDOW",
            ),
            (
                Vote { not_after: at("2027-01-10T08:00:00Z"), ..vote("ann", "owner") },
                "E-APPROVAL-WINDOW",
            ),
            (Vote { policy_version: 13, ..vote("ann", "owner") }, "E-APPROVAL-POLICY-ROLLBACK"),
            (Vote { decision: Decision::Revoke, ..vote("ann", "owner") }, "E-APPROVAL-REVOKED"),
        ] {
            assert_eq!(of(vote.clone(), &medium), code, "{vote:?}");
        }
        let critical = question(Level::Critical);
        assert_eq!(of(vote("ann", "owner"), &critical), "E-APPROVAL-KEY");
        let touched = Vote { presence: Presence::Touched, ..vote("ann", "owner") };
        assert_eq!(of(touched, &critical), "E-APPROVAL-KEY");
        let apart = Question {
            now: Now { lo: at("2027-01-10T11:00:00Z"), hi: at("2027-01-10T12:00:00Z") },
            ..question(Level::Medium)
        };
        assert_eq!(of(vote("ann", "owner"), &apart), "E-APPROVAL-CLOCK");
    }

    #[test]
    fn a_window_begins_by_the_slowest_clock_and_ends_by_the_fastest() {
        let by = |lo: &str, hi: &str| {
            let now = Now { lo: at(lo), hi: at(hi) };
            tally(&board(), &Question { now, ..question(Level::Medium) }, &[vote("ann", "owner")])
        };
        assert!(by("2027-01-10T09:00:00Z", "2027-01-10T09:02:00Z").is_enough());
        assert_eq!(
            by("2027-01-10T08:59:00Z", "2027-01-10T09:02:00Z").code(),
            Some("E-APPROVAL-NOT-YET")
        );
        assert_eq!(
            by("2027-01-10T17:59:00Z", "2027-01-10T18:00:00Z").code(),
            Some("E-APPROVAL-EXPIRED")
        );
    }

    #[test]
    fn what_somebody_said_last_counts_and_one_who_says_no_stops_all_who_say_yes() {
        let medium = question(Level::Medium);
        let later = |vote: Vote| Vote { signed_at: at("2027-01-10T10:00:00Z"), ..vote };
        let no = |who: &str| Vote { decision: Decision::Reject, ..vote(who, "security") };
        let of = |votes: &[Vote]| tally(&board(), &medium, votes);
        assert_eq!(of(&[vote("ann", "owner"), no("sam")]).code(), Some("E-APPROVAL-REJECTED"));
        // In whatever order they are read.
        assert_eq!(of(&[no("sam"), vote("ann", "owner")]).code(), Some("E-APPROVAL-REJECTED"));
        assert!(of(&[no("sam"), later(vote("sam", "security"))]).is_enough());
        assert!(!of(&[later(no("sam")), vote("sam", "security")]).is_enough());
        // Of one moment the sterner word holds.
        assert!(!of(&[no("sam"), vote("sam", "security")]).is_enough());
        let back = Vote { decision: Decision::Revoke, ..no("sam") };
        assert!(of(&[no("sam"), later(back), vote("ann", "owner")]).is_enough());
    }

    #[test]
    fn who_asks_without_proof_needs_one_more_and_a_level_without_a_quorum_the_next_one_s() {
        let nobody = Question { requester: None, ..question(Level::Medium) };
        let unsaid = Vote { requester: None, ..vote("ann", "owner") };
        let one = tally(&board(), &nobody, std::slice::from_ref(&unsaid));
        assert_eq!((one.needed, one.code()), (2, Some("E-APPROVAL-QUORUM")));
        assert!(tally(&board(), &nobody, &[unsaid, vote("sam", "security")]).is_enough());
        // Low is not named: it needs what medium does.
        assert_eq!(tally(&board(), &question(Level::Low), &[]).needed, 1);
        let mut open = board();
        let none = Quorum { people: 0, ..open.quorum[&Level::Medium].clone() };
        open.quorum.insert(Level::Low, none);
        let low = Question { requester: None, ..question(Level::Low) };
        assert!(tally(&open, &low, &[]).is_enough());
        // Above all that are named it is what the highest needs, and never nobody.
        open.quorum.retain(|level, _| *level == Level::Low);
        assert_eq!(tally(&open, &question(Level::Critical), &[]).needed, 1);
        let mut some = board();
        some.quorum.remove(&Level::Critical);
        let critical = tally(&some, &question(Level::Critical), &[vote("ann", "owner")]);
        assert_eq!((critical.needed, critical.is_enough()), (2, false));
        some.quorum.clear();
        let all = [vote("ann", "owner"), vote("sam", "security"), vote("sue", "security")];
        for question in [question(Level::Low), nobody] {
            assert!(!tally(&some, &question, &all).is_enough());
        }
    }

    #[test]
    fn what_is_signed_later_than_now_outranks_nothing_and_a_no_of_it_counts() {
        let medium = question(Level::Medium);
        let of = |votes: &[Vote]| tally(&board(), &medium, votes);
        let said = |text: &str, decision, who: &str| Vote {
            signed_at: at(text),
            decision,
            ..vote(who, "security")
        };
        let ahead = |decision| said("2027-01-10T12:00:01Z", decision, "sam");
        let no = said("2027-01-10T11:00:00Z", Decision::Reject, "sam");
        assert_eq!(of(&[ahead(Decision::Approve)]).code(), Some("E-APPROVAL-NOT-YET"));
        let yes = vote("ann", "owner");
        for early in [Decision::Approve, Decision::Revoke] {
            let rejected = of(&[no.clone(), ahead(early), yes.clone()]);
            assert_eq!(rejected.code(), Some("E-APPROVAL-REJECTED"));
        }
        assert_eq!(of(&[ahead(Decision::Reject), yes]).code(), Some("E-APPROVAL-REJECTED"));
        let now = said("2027-01-10T12:00:00Z", Decision::Approve, "sam");
        assert_eq!(of(&[ahead(Decision::Reject), now]).code(), Some("E-APPROVAL-REJECTED"));
    }
}
