//! Rules that somebody forgot, each with the stories in which it must show: from the first seed on, of the
//! ways that the rule is about.

use super::{Bounds, Kept, ROUGH, Scene, Teller};
use crate::{
    choices::Choices,
    ports::{Bug, Call, Fate},
};

/// A rule that is left out.
#[derive(Debug, Clone, Copy)]
pub struct Planted {
    /// What it is called.
    pub rule: &'static str,
    /// What is wrong then.
    pub bug: Bug,
    way: &'static str,
    scene: Scene,
    runs: usize,
    faults: usize,
    /// The promise that it breaks, where another one may be broken before.
    promise: &'static str,
    /// What leads there, as often as not.
    wanted: Option<(Call, Fate)>,
}

const fn usual(rule: &'static str, bug: Bug, way: &'static str) -> Planted {
    let (scene, runs, faults) = (Scene::Usual, 2, 3);
    Planted { rule, bug, way, scene, runs, faults, promise: "", wanted: None }
}

const fn where_often(what: &'static str, fate: Fate, of: Planted) -> Planted {
    Planted { wanted: Some((Call { what, phase: "" }, fate)), ..of }
}

const fn about(scene: Scene, of: Planted) -> Planted {
    Planted { scene, ..of }
}

const fn rough(of: Planted) -> Planted {
    Planted { faults: ROUGH, ..of }
}

/// All of them.
pub static PLANTED: [Planted; 26] = [
    about(Scene::Duel, usual("R1 epoch in the mark", Bug::EveryEpochLooksOld, "add-marked")),
    about(Scene::Duel, usual("R1 a new epoch", Bug::TakingOverKeepsTheEpoch, "add-marked")),
    about(Scene::Duel, usual("R2 memory", Bug::MemoryOutlivesTheClaim, "add-marked")),
    where_often(
        "sign in",
        Fate::FalselyRefused,
        about(Scene::Duel, usual("R3", Bug::APromoteReplacesWhateverIsThere, "add-marked")),
    ),
    where_often(
        "sign in",
        Fate::FalselyRefused,
        rough(about(Scene::Duel, usual("R4 fence", Bug::AFenceStopsNobody, "add-marked"))),
    ),
    usual("R5 named keys", Bug::WhatIsNotCurrentEnds, "add-marked"),
    Planted {
        runs: 3,
        promise: "P2",
        // Where nothing marks what is made, nothing but the listing tells what was there before.
        ..rough(usual("R6 claim, then list", Bug::TheListingIsOlderThanTheClaim, "slots"))
    },
    usual("R7 late orphans", Bug::NobodyLooksForLateOrphans, "add-marked"),
    usual("R8 settle, add-unmarked", Bug::NothingIsWaitedFor, "add-unmarked"),
    usual("R8 settle, slots", Bug::NothingIsWaitedFor, "slots"),
    usual("R8 settle, replace-once", Bug::NothingIsWaitedFor, "replace-once"),
    where_often(
        "issue",
        Fate::RequestLost,
        about(
            Scene::Beside,
            usual("R9 other slots' claims", Bug::OtherSlotsAreHidden, "add-unmarked"),
        ),
    ),
    usual("R10 by id", Bug::EndingGoesByName, "add-marked"),
    Planted {
        promise: "R11",
        ..rough(usual("R11", Bug::WhatAPersonWroteIsWrittenOver, "add-marked"))
    },
    usual("R12 journalled first", Bug::AnEntryThatIsNotKeptIsNoMatter, "add-marked"),
    usual("verify before promote", Bug::WhatIsIssuedIsTrusted, "add-marked"),
    usual("anchor last", Bug::TheAnchorComesFirst, "add-marked"),
    usual("retire waits", Bug::NoOverlapIsKept, "add-marked"),
    about(Scene::Cut, usual("the soft cut is watched", Bug::NobodyIsWatchedFor, "add-marked")),
    usual("null is unused", Bug::NullIsUnused, "add-unmarked"),
    Planted {
        promise: "P4",
        ..where_often(
            "issue",
            Fate::AnswerLost,
            usual(
                "nothing dead is called with",
                Bug::WhatMadeItsSuccessorLooksAlive,
                "replace-self",
            ),
        )
    },
    about(Scene::Stopped, usual("who stopped says so", Bug::WhoStoppedSaysNothing, "add-marked")),
    about(
        Scene::Shut,
        usual("a person is asked in the end", Bug::NobodyIsAskedInTheEnd, "add-marked"),
    ),
    about(
        Scene::Due,
        usual("slow readers are waited for", Bug::SlowReadersAreForgotten, "add-marked"),
    ),
    about(
        Scene::Out,
        usual("what is out of service stays out", Bug::NobodyKnowsThatItIsOut, "add-marked"),
    ),
    Planted { runs: 1, ..rough(usual("budget", Bug::RefusalsAreNotCounted, "add-marked")) },
];

impl Planted {
    /// The world without the rule.
    pub fn bounds(&self) -> Bounds {
        Bounds {
            way: self.way,
            runs: self.runs,
            faults: self.faults,
            scene: self.scene,
            bug: Some(self.bug),
            wanted: self.wanted,
        }
    }

    /// The first seed whose story breaks a promise, and which, as long as there is time.
    pub fn found(&self, teller: &mut Teller, time: impl Fn() -> bool) -> Option<(u64, String)> {
        let bounds = self.bounds();
        (0..).take_while(|_| time()).find_map(|seed| {
            let broken = teller.tell(Choices::of_seed(seed), &bounds).broken;
            Some((seed, broken.filter(|broken| broken.starts_with(self.promise))?))
        })
    }

    /// The story of a seed that shows it, made small, as a file that is told again with and without the
    /// rule; `None` where nothing is broken in it.
    ///
    /// # Errors
    ///
    /// Something is broken with the rule too.
    pub fn kept(&self, teller: &mut Teller, seed: u64) -> Option<Result<Kept, String>> {
        let bounds = self.bounds();
        let told = teller.seed(seed, &bounds).err()?;
        Some(Kept::of(&format!("without {}", self.rule), &bounds, &told).again(teller))
    }
}
