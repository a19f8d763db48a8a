//! Whoever signs what, when and under which policy: what makes it enough.

use std::collections::{BTreeMap, BTreeSet};

use domain::{Now, Span};
use jiff::Timestamp;
use policy::change::{
    impact::Level,
    quorum::{Board, BreakGlass, Decision, OWNER, Presence, Question, Quorum, Tally, Vote, tally},
};
use proptest::prelude::*;

const PEOPLE: [&str; 4] = ["ann", "bo", "sam", "eve"];
const ROLES: [&str; 4] = [OWNER, "security", "data", "nobody"];
/// A moment is some hours behind the first one.
const HOUR: i64 = 3600;

fn at(hour: i64) -> Timestamp {
    Timestamp::from_second(1_799_539_200 + hour * HOUR).unwrap()
}

fn one(of: &'static [&'static str]) -> impl Strategy<Value = String> {
    prop::sample::select(of).prop_map(str::to_owned)
}

fn some(of: &'static [&'static str]) -> impl Strategy<Value = BTreeSet<String>> {
    prop::collection::btree_set(one(of), 0..3)
}

fn presence() -> impl Strategy<Value = Presence> {
    prop::sample::select(vec![Presence::Key, Presence::Touched, Presence::Verified])
}

fn decision() -> impl Strategy<Value = Decision> {
    prop::sample::select(vec![
        Decision::Approve,
        Decision::Approve,
        Decision::Approve,
        Decision::Revoke,
        Decision::Reject,
        Decision::BreakGlass,
    ])
}

prop_compose! {
    fn vote()(
        principal in one(&PEOPLE),
        role in one(&ROLES),
        decision in decision(),
        signed in 0i64..12,
        begins in 0i64..12,
        lasts in -1i64..12,
        presence in presence(),
        nonce in 0u8..4,
        policy_version in 1u64..4,
        requester in prop::option::of(one(&PEOPLE)),
        changes in 1usize..4,
    ) -> Vote {
        Vote {
            principal,
            role,
            decision,
            signed_at: at(signed),
            not_before: at(begins),
            not_after: at(begins + lasts),
            presence,
            nonce: nonce.to_string(),
            policy_version,
            requester,
            changes,
        }
    }
}

prop_compose! {
    fn quorum()(
        people in 0usize..4,
        roles in some(&ROLES[..3]),
        each in some(&ROLES[..3]),
        presence in presence(),
        longest in 1u64..12,
    ) -> Quorum {
        Quorum { people, roles, each, presence, longest: Span::from_secs(longest * 3600) }
    }
}

prop_compose! {
    fn glass()(
        people in some(&PEOPLE),
        presence in presence(),
        longest in 1u64..12,
        changes in 1usize..4,
    ) -> BreakGlass {
        let review_within = Span::from_secs(86_400);
        BreakGlass { people, presence, longest: Span::from_secs(longest * 3600), changes, review_within }
    }
}

prop_compose! {
    fn board()(
        quorum in prop::collection::btree_map(prop::sample::select(Level::ALL.to_vec()), quorum(), 0..4),
        roles in prop::collection::btree_map(one(&ROLES[1..3]), some(&PEOPLE), 0..3),
        break_glass in prop::option::of(glass()),
    ) -> Board {
        Board { quorum, roles, break_glass }
    }
}

#[derive(Debug, Clone)]
struct Asked {
    level: Level,
    requester: Option<String>,
    owners: BTreeSet<String>,
    policy_version: u64,
    now: Now,
}

impl Asked {
    fn of(&self, board: &Board, votes: &[Vote]) -> Tally {
        let question = Question {
            level: self.level,
            requester: self.requester.as_deref(),
            owners: self.owners.clone(),
            policy_version: self.policy_version,
            now: self.now,
        };
        tally(board, &question, votes)
    }
}

prop_compose! {
    fn asked()(
        level in prop::sample::select(Level::ALL.to_vec()),
        requester in prop::option::of(one(&PEOPLE)),
        owners in some(&PEOPLE),
        policy_version in 1u64..4,
        lo in 0i64..14,
        apart in prop::sample::select(vec![0i64, 0, 0, 60, 400]),
    ) -> Asked {
        let hi = Timestamp::from_second(at(lo).as_second() + apart).unwrap();
        Asked { level, requester, owners, policy_version, now: Now { lo: at(lo), hi } }
    }
}

/// What somebody said last by then, told in another way than the judge does.
fn last<'a>(votes: &'a [Vote], who: &str, by: Timestamp) -> Vec<&'a Vote> {
    let of = votes.iter().filter(|vote| vote.principal == who);
    // A no counts from whenever it is signed.
    let heard = of.filter(|vote| vote.signed_at <= by || vote.decision == Decision::Reject);
    let heard: Vec<&Vote> = heard.collect();
    let newest = heard.iter().map(|vote| vote.signed_at.min(by)).max();
    heard.into_iter().filter(|vote| Some(vote.signed_at.min(by)) == newest).collect()
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, ..ProptestConfig::default() })]

    #[test]
    fn whatever_is_signed_it_is_enough_only_by_people_who_may_say_yes_and_still_do(
        board in board(),
        asked in asked(),
        votes in prop::collection::vec(vote(), 0..8),
    ) {
        let found = asked.of(&board, &votes);
        // Each who counts said yes last, in a role that they have, and is not who asks.
        for (who, role) in &found.have {
            let said = last(&votes, who, asked.now.hi);
            let yes = [Decision::Approve, Decision::BreakGlass];
            prop_assert!(said.iter().all(|vote| yes.contains(&vote.decision)), "{who} said no");
            prop_assert!(asked.requester.as_ref() != Some(who), "{who} asks");
            let holders = match role.as_str() {
                OWNER => Some(&asked.owners),
                role => board.roles.get(role),
            };
            prop_assert!(holders.is_some_and(|people| people.contains(who)), "{who} has no {role}");
            let good = said.iter().any(|vote| {
                vote.decision == Decision::Approve
                    && vote.role == *role
                    && vote.not_before <= asked.now.lo
                    && asked.now.hi < vote.not_after
                    && vote.policy_version <= asked.policy_version
                    && vote.requester.as_ref() != Some(who)
            });
            prop_assert!(good && asked.now.agrees(), "{who} did not say that for now");
        }
        // Who breaks the glass may, said that last, and is nobody who approves by it.
        if let Some(who) = &found.broken_by {
            let terms = board.break_glass.as_ref();
            prop_assert!(terms.is_some_and(|terms| terms.people.contains(who)), "{who} may not");
            let said = last(&votes, who, asked.now.hi);
            prop_assert!(said.iter().any(|vote| vote.decision == Decision::BreakGlass));
            prop_assert!(!found.have.contains_key(who));
        }
        // A no of anybody stands until that person says something else.
        let refused = PEOPLE.iter().any(|who| {
            last(&votes, who, asked.now.hi).iter().any(|vote| vote.decision == Decision::Reject)
        });
        prop_assert_eq!(!found.rejected_by.is_empty(), refused);
        if !found.is_enough() {
            prop_assert!(found.code().is_some());
            return Ok(());
        }
        prop_assert!(!refused && found.code().is_none());
        let named = board.quorum.range(asked.level..).next();
        match named.or_else(|| board.quorum.last_key_value()) {
            None => prop_assert!(false, "nobody has said who is enough"),
            Some((_, quorum)) => {
                let one_more = usize::from(asked.requester.is_none() && quorum.people > 0);
                prop_assert!(found.have.len() >= quorum.people + one_more);
                prop_assert!(named.is_some() || !found.have.is_empty());
                for role in &quorum.each {
                    prop_assert!(found.have.values().any(|has| has == role), "{role} is missing");
                }
            }
        }
    }

    #[test]
    fn to_sign_once_more_makes_nobody_more_and_one_no_more_makes_it_never_enough(
        board in board(),
        asked in asked(),
        votes in prop::collection::vec(vote(), 0..6),
        who in one(&PEOPLE),
    ) {
        let before = asked.of(&board, &votes);
        let again: Vec<Vote> = votes
            .iter()
            .flat_map(|vote| [vote.clone(), Vote { nonce: format!("{}+", vote.nonce), ..vote.clone() }])
            .collect();
        let twice = asked.of(&board, &again);
        prop_assert_eq!(&twice.have, &before.have);
        prop_assert_eq!(twice.is_enough(), before.is_enough());
        let reversed: Vec<Vote> = votes.iter().rev().cloned().collect();
        let order = asked.of(&board, &reversed);
        let people = |of: &Tally| of.have.keys().cloned().collect::<Vec<_>>();
        let told: BTreeMap<_, _> = votes
            .iter()
            .map(|vote| ((&vote.principal, vote.signed_at, &vote.nonce), ()))
            .collect();
        // Where no two statements are of one moment and one nonce, their order says nothing.
        if told.len() == votes.len() {
            prop_assert_eq!(people(&order), people(&before));
        }
        let mut refused = votes;
        let no = refused.first().cloned();
        if let Some(no) = no {
            let signed_at = at(20);
            refused.push(Vote { principal: who, decision: Decision::Reject, signed_at, ..no });
            let after = asked.of(&board, &refused);
            prop_assert!(!after.is_enough());
            prop_assert_eq!(after.code(), Some("E-APPROVAL-REJECTED"));
        }
    }
}
