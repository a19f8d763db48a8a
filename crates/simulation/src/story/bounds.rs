//! What may happen in a story: its way to issue, how many are at work, and what it is about.

use super::coverage::cells_of;
use crate::ports::{Bug, Call, Fate};

/// The ways in which the platform of a story may issue.
pub const WAYS: [&str; 9] = [
    "add-ours",
    "add-marked",
    "slots",
    "add-unmarked",
    "first-only",
    "grace",
    "replace-ours",
    "replace-once",
    "replace-self",
];

/// So many faults make a rough world.
pub const ROUGH: usize = 12;

/// What a story is about, beside faults.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Scene {
    /// Nothing besides.
    Usual,
    /// Two runs rotate one key at once, and each takes the other for dead.
    Duel,
    /// There are two generations, the overlap of the first is over, and the platform can switch one key
    /// off.
    Cut,
    /// There is a second slot of the same integration.
    Beside,
    /// People change by hand what is ours on the platform; then a claim or a document is lost, or comes
    /// back as it was on an earlier day.
    Hands,
    /// Whoever began a run asks it to stop.
    Stopped,
    /// A consumers' place takes nothing, for as long as it pleases somebody.
    Shut,
    /// Runs that do only what is due, and long times; consumers who are slow to read.
    Due,
    /// The integration is taken out of service.
    Out,
    /// A person makes a key and writes it over what was delivered; then it is taken for the current one.
    Theirs,
}

impl Scene {
    /// All of them.
    pub const ALL: [Scene; 10] = [
        Scene::Usual,
        Scene::Duel,
        Scene::Cut,
        Scene::Beside,
        Scene::Hands,
        Scene::Stopped,
        Scene::Shut,
        Scene::Due,
        Scene::Out,
        Scene::Theirs,
    ];

    /// Its word in files.
    pub fn as_str(self) -> &'static str {
        match self {
            Scene::Usual => "usual",
            Scene::Duel => "duel",
            Scene::Cut => "cut",
            Scene::Beside => "beside",
            Scene::Hands => "hands",
            Scene::Stopped => "stopped",
            Scene::Shut => "shut",
            Scene::Due => "due",
            Scene::Out => "out",
            Scene::Theirs => "theirs",
        }
    }

    /// Whether such a story can be told of a platform that issues so.
    pub fn suits(self, way: &str) -> bool {
        match self {
            Scene::Usual | Scene::Hands | Scene::Stopped | Scene::Shut => true,
            Scene::Due | Scene::Out => true,
            // Two that take each other for dead are told apart by marks alone, and elsewhere there is no
            // place for a person's.
            Scene::Duel | Scene::Theirs => ["add-ours", "add-marked"].contains(&way),
            // Elsewhere a platform switches none off, or there is no place for a second slot's.
            Scene::Cut | Scene::Beside => {
                ["add-ours", "add-marked", "slots", "add-unmarked"].contains(&way)
            }
        }
    }
}

/// What may happen in a story.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Bounds {
    /// How the platform issues.
    pub way: &'static str,
    /// So many runs at once at most.
    pub runs: usize,
    /// So many faults at most.
    pub faults: usize,
    /// What it is about.
    pub scene: Scene,
    /// What is wrong with the world.
    pub bug: Option<Bug>,
    /// Which call is wanted to come to which end, as often as not.
    pub wanted: Option<(Call, Fate)>,
}

impl Bounds {
    /// Of the usual scene, in a world in which nothing is wrong.
    pub const fn of(way: &'static str, runs: usize, faults: usize) -> Bounds {
        Bounds { way, runs, faults, scene: Scene::Usual, bug: None, wanted: None }
    }

    /// The same, about something.
    #[must_use]
    pub const fn about(self, scene: Scene) -> Bounds {
        Bounds { scene, ..self }
    }

    /// The same, in a world in which a rule is forgotten.
    #[must_use]
    pub const fn without(self, bug: Bug) -> Bounds {
        Bounds { bug: Some(bug), ..self }
    }

    /// What may happen in the nth of many stories: every way in turn, and of each every scene.
    pub fn nth(nth: u64) -> Bounds {
        Bounds::nth_of(WAYS[pick(nth, WAYS.len())], nth / WAYS.len() as u64)
    }

    /// The same of one way.
    pub fn nth_of(way: &'static str, nth: u64) -> Bounds {
        let suits = |scene: &&Scene| scene.suits(way);
        // Those in which most calls are met come twice as often.
        let often = Scene::ALL.iter().take(5);
        let scenes: Vec<&Scene> = often.chain(&Scene::ALL).filter(suits).collect();
        let scene = *scenes[pick(nth, scenes.len())];
        let nth = nth / scenes.len() as u64;
        let runs = match scene {
            Scene::Duel => 2,
            // One name for whatever is made: there is nobody beside it.
            _ if way == "first-only" => 1,
            _ => 1 + pick(nth, 3),
        };
        let faults = [3, 6, 1, ROUGH][pick(nth / 3, 4)];
        // What is about something else has the faults of a usual world.
        let faults = match scene {
            Scene::Usual | Scene::Duel => faults,
            _ => faults.min(3),
        };
        // Every second one goes for what chance alone hardly meets, one cell after the other.
        let wanted = (nth % 2 == 1).then(|| {
            let cells = cells_of(way, runs);
            let (_, call, fate, _) = cells[pick(nth / 2, cells.len())];
            (call, fate)
        });
        Bounds { way, runs, faults, scene, bug: None, wanted }
    }
}

fn pick(nth: u64, of: usize) -> usize {
    usize::try_from(nth % of as u64).unwrap_or_default()
}
