//! What a core's plan (`terraform show -json`, `tofu show -json`) says it will do to what is governed.
//!
//! A plan holds everything in clear text: values of other resources, variables, and what is only
//! marked as sensitive beside it. Nothing is kept here but attributes of our own resources, and of
//! those it is known which are marked. What is not understood is listed, never passed over.

mod marks;
mod read;

use serde_json::Value;

pub use marks::Marks;
pub use read::{LONGEST, NoPlan, read};

/// Where the provider of this repository comes from.
pub const PROVIDER: [&str; 2] =
    ["registry.terraform.io/open-nhi/nhi", "registry.opentofu.org/open-nhi/nhi"];

/// A plan, as far as it is about what is governed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    /// The version of the core that made it.
    pub core: Option<String>,
    /// Every object of ours that it names, changed or not.
    pub objects: Vec<Planned>,
    /// What it leaves ungoverned, or does not say.
    pub loose: Vec<Loose>,
    /// How many changes it has of what is not ours.
    pub others: usize,
}

/// What is done to one object.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Does {
    /// Nothing.
    Nothing,
    /// It comes.
    Create,
    /// It is changed in place.
    Update,
    /// It goes.
    Delete,
    /// It goes, and then another comes in its place.
    Replace,
    /// Another comes, and then it goes.
    ReplaceAfter,
    /// It lives on and nobody manages it any more.
    Forget,
    /// It lives on unmanaged, and another comes.
    ForgetAndCreate,
}

impl Does {
    fn of(actions: &[String]) -> Option<Does> {
        let words: Vec<&str> = actions.iter().map(String::as_str).collect();
        Some(match words.as_slice() {
            ["no-op"] => Does::Nothing,
            ["create"] => Does::Create,
            ["update"] => Does::Update,
            ["delete"] => Does::Delete,
            ["delete", "create"] => Does::Replace,
            ["create", "delete"] => Does::ReplaceAfter,
            ["forget"] => Does::Forget,
            ["create", "forget"] => Does::ForgetAndCreate,
            _ => return None,
        })
    }

    /// Whether it needs something to be there before it, and something that is wanted.
    fn sides(self) -> (bool, bool) {
        match self {
            Does::Nothing => (false, false),
            Does::Create => (false, true),
            Does::Delete | Does::Forget => (true, false),
            Does::Update | Does::Replace | Does::ReplaceAfter | Does::ForgetAndCreate => {
                (true, true)
            }
        }
    }

    /// Whether what is there goes, or is left.
    pub fn leaves_nothing(self) -> bool {
        matches!(self, Does::Delete | Does::Forget)
    }
}

/// One object of ours in a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Planned {
    /// The resource type.
    pub kind: String,
    /// Its address, for people.
    pub address: String,
    /// The address that it had, where it moves.
    pub previous_address: Option<String>,
    /// The key of what a replacement has left to be destroyed.
    pub deposed: Option<String>,
    /// What is done.
    pub does: Does,
    /// Why, as the core says; for people.
    pub reason: Option<String>,
    /// It is imported.
    pub imports: bool,
    /// What is there.
    pub before: Value,
    /// What is wanted, as far as it is known; nothing where it stays as it is.
    pub after: Value,
    /// Which of what is wanted is known only after apply.
    pub unknown: Value,
    /// Which of what is there is marked as sensitive.
    pub hidden_before: Marks,
    /// Which of what is wanted is.
    pub hidden_after: Marks,
}

/// One call that a core makes of the provider: what it hands over as being there and as wanted.
#[derive(Debug, Clone, Copy)]
pub struct Call<'a> {
    /// What is done.
    pub does: Does,
    /// What is there.
    pub before: &'a Value,
    /// What is wanted, as far as it is known.
    pub after: &'a Value,
    /// Which of what is wanted is known only after apply.
    pub unknown: &'a Value,
    /// Which of what is there, and of what is wanted, is marked.
    pub hidden: [&'a Marks; 2],
}

/// Nothing is there, or nothing is to be left.
static NOTHING: Value = Value::Null;
static UNMARKED: Marks = Marks::None;

impl Planned {
    /// What the provider is asked for, in order: a replacement is two. What is forgotten is never
    /// asked for, and is listed as what it is.
    pub fn calls(&self) -> Vec<Call<'_>> {
        let (was, is) = (&self.hidden_before, &self.hidden_after);
        let (before, after, unknown) = (&self.before, &self.after, &self.unknown);
        let hidden = [was, &UNMARKED];
        let ends = |does| Call { does, before, after: &NOTHING, unknown: &NOTHING, hidden };
        let hidden = [&UNMARKED, is];
        let comes = Call { does: Does::Create, before: &NOTHING, after, unknown, hidden };
        match self.does {
            Does::Nothing => Vec::new(),
            Does::Create => vec![comes],
            Does::Update => {
                vec![Call { does: Does::Update, before, after, unknown, hidden: [was, is] }]
            }
            Does::Delete => vec![ends(Does::Delete)],
            Does::Replace => vec![ends(Does::Delete), comes],
            Does::ReplaceAfter => vec![comes, ends(Does::Delete)],
            Does::Forget => vec![ends(Does::Forget)],
            Does::ForgetAndCreate => vec![ends(Does::Forget), comes],
        }
    }
}

/// What a plan leaves ungoverned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Loose {
    /// The address that it is about, or "the plan".
    pub address: String,
    /// What.
    pub what: What,
}

/// Why something is ungoverned.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum What {
    /// It lives on, and nobody manages it any more.
    Forgotten,
    /// It is put off until a later plan.
    Deferred(String),
    /// The plan says that it is not the whole change.
    Incomplete,
    /// Planning failed: what is in it is a part.
    Errored,
    /// It is done by a provider from elsewhere.
    Provider(String),
    /// It is done in a way that is not known here.
    Unknown(String),
    /// An operation of a provider beside any change, which has no before and no after.
    Operation(String),
}

impl What {
    /// In words that follow what it is about.
    pub fn words(&self) -> String {
        match self {
            What::Forgotten => {
                "lives on, and nobody manages it any more: no apply will ever end it".to_owned()
            }
            What::Deferred(why) => format!("is put off until a later plan ({why})"),
            What::Incomplete => "says itself that it is not the whole change".to_owned(),
            What::Errored => "failed: what it has is a part".to_owned(),
            What::Provider(from) => {
                format!("is done by a provider from {from}, which nothing here vouches for")
            }
            What::Unknown(how) => format!("is done in a way that is not known here ({how})"),
            What::Operation(name) => {
                format!("runs the operation {name}, which no plan shows the outcome of")
            }
        }
    }

    /// What helps.
    pub fn next(&self) -> &'static str {
        match self {
            What::Forgotten => {
                "destroy it, or hand it over first; where it is meant, have the forgetting signed"
            }
            What::Deferred(_) | What::Incomplete => {
                "apply what is approved, plan once more, and have the rest reviewed"
            }
            What::Errored => "correct what failed, and plan once more",
            What::Provider(_) => {
                "take the provider from its registry; where a copy of it is meant, name it with \
                 --provider-from"
            }
            What::Unknown(_) | What::Operation(_) => "bring nhi up to date, or do it another way",
        }
    }
}
