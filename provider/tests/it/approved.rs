//! Whatever order things come in, nothing gains power that those who must sign it have not signed.

use std::collections::{BTreeMap, BTreeSet};

use policy::change::quorum::Decision;
use proptest::prelude::*;
use tfplugin::mini_core::{MiniCore, Plan, State};

use crate::{
    reviewed::{Office, digest, scopes, told},
    world::integration,
};

/// What may be declared.
const SETS: [&[&str]; 4] = [
    &["secret/data/a/*:read"],
    &["secret/data/a/*:read", "secret/data/b/*:read"],
    &["secret/data/a/*:read", "secret/data/b/*:read", "secret/data/c/*:read"],
    &["secret/data/c/*:read"],
];

/// What somebody may give by hand.
const BY_HAND: [&str; 2] = ["secret/data/b/*:read", "secret/data/d/*:read"];

/// Who signs, each in the one role that they have; bo asks, and has none.
const WHO: [(&str, &str); 4] =
    [("ann", "owner"), ("sam", "security"), ("sue", "security"), ("bo", "security")];

#[derive(Debug, Clone)]
enum Step {
    /// A new plan that declares one of the sets; what was planned before is gone.
    Plan(usize),
    /// Somebody says something of what is planned.
    Say(usize, Decision),
    /// What is planned is applied, by a run that saw nothing since.
    Apply,
    /// Somebody gives or takes a scope past everybody.
    Hand(usize, bool),
    /// Hours pass.
    Pass(i64),
}

fn step() -> impl Strategy<Value = Step> {
    let decision = prop_oneof![
        6 => Just(Decision::Approve),
        1 => Just(Decision::Reject),
        1 => Just(Decision::Revoke),
    ];
    prop_oneof![
        4 => (0..SETS.len()).prop_map(Step::Plan),
        8 => (0..WHO.len(), decision).prop_map(|(who, what)| Step::Say(who, what)),
        5 => Just(Step::Apply),
        2 => (0..BY_HAND.len(), any::<bool>()).prop_map(|(which, gives)| Step::Hand(which, gives)),
        1 => (1i64..12).prop_map(Step::Pass),
    ]
}

/// What was said of a change, by what it starts from and what it leaves: told apart from any digest.
type Said = BTreeMap<(BTreeSet<String>, BTreeSet<String>), Vec<(i64, usize, Decision)>>;

struct Desk {
    office: Office,
    core: MiniCore,
    made: State,
    state: State,
    said: Said,
    planned: Option<(Plan, BTreeSet<String>, BTreeSet<String>)>,
}

impl Desk {
    async fn open() -> Desk {
        let office = Office::new();
        let core = office.world.run().await;
        let made = office.make(&core, "nhi_integration", integration()).await;
        let state = office.make(&core, "nhi_scope", scopes(&made, SETS[0])).await;
        // What was said of making it is no word about changing it; time tells them apart.
        office.world.pass_hours(1);
        Desk { office, core, made, state, said: Said::new(), planned: None }
    }

    fn hour(&self) -> i64 {
        self.office.world.now().as_second() / 3600
    }

    async fn live(&self) -> BTreeSet<String> {
        self.office.world.scopes().await.into_iter().collect()
    }

    async fn take(&mut self, step: &Step) -> Result<(), TestCaseError> {
        match step {
            Step::Plan(which) => {
                self.core = self.office.world.run().await;
                self.state = self.core.refresh(&self.state).await.unwrap().unwrap();
                let config = scopes(&self.made, SETS[*which]);
                let plan = self.core.plan(&self.state, config).await.unwrap();
                let wanted = SETS[*which].iter().map(|one| (*one).to_owned()).collect();
                self.planned = Some((plan, self.live().await, wanted));
            }
            Step::Say(who, decision) => {
                let Some((plan, from, to)) = &self.planned else { return Ok(()) };
                if told(plan).is_empty() {
                    return Ok(());
                }
                let (name, role) = WHO[*who];
                self.office.says(name, role, *decision, digest(plan));
                let at = self.hour();
                let said = self.said.entry((from.clone(), to.clone())).or_default();
                said.push((at, *who, *decision));
            }
            Step::Apply => {
                let Some((plan, from, to)) = self.planned.take() else { return Ok(()) };
                let before = self.live().await;
                let applied = self.core.apply(plan).await;
                let after = self.live().await;
                if let Ok(Some(state)) = applied {
                    self.state = state;
                }
                let gained: Vec<&String> = after.difference(&before).collect();
                if !gained.is_empty() {
                    prop_assert_eq!(&before, &from, "it was made from where nobody had looked");
                    let said = self.said.get(&(from.clone(), to.clone()));
                    prop_assert!(self.is_signed(said), "{gained:?} by {said:?} at {}", self.hour());
                    // What was signed is used.
                    self.said.remove(&(from, to));
                    self.office.world.pass_hours(1);
                }
            }
            Step::Hand(which, gives) => {
                let scope = BY_HAND[*which];
                self.office.world.by_hand(|hand| match gives {
                    true => hand.grant(scope),
                    false => hand.withdraw(scope),
                });
            }
            Step::Pass(hours) => self.office.world.pass_hours(*hours),
        }
        Ok(())
    }

    /// Reading secrets is high: two people who have a role, none of whom asks, each by what they said
    /// last, within the twenty hours for which they said it, and nobody says no.
    fn is_signed(&self, said: Option<&Vec<(i64, usize, Decision)>>) -> bool {
        let mut last: BTreeMap<usize, (i64, Decision)> = BTreeMap::new();
        for (at, who, decision) in said.into_iter().flatten() {
            let word = (*at, *decision);
            let known = last.entry(*who).or_insert(word);
            // Of one moment the sterner word is the last.
            if word >= *known {
                *known = word;
            }
        }
        let no = last.values().any(|(_, decision)| *decision == Decision::Reject);
        let yes = last.iter().filter(|(who, (at, decision))| {
            WHO[**who].0 != "bo" && *decision == Decision::Approve && self.hour() < at + 20
        });
        !no && yes.count() >= 2
    }
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 24, max_shrink_iters: 200, ..ProptestConfig::default() })]

    #[test]
    fn nothing_gains_power_that_no_valid_approval_covers_whatever_order_things_come_in(
        steps in prop::collection::vec(step(), 1..28)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .start_paused(true)
            .build()
            .unwrap();
        runtime.block_on(async {
            let mut desk = Desk::open().await;
            for step in &steps {
                desk.take(step).await?;
            }
            Ok::<(), TestCaseError>(())
        })?;
    }
}
